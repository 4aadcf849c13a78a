"""SymPy's formulas come in and ours go out; values agree with SymPy's own."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symvi as sv

t, u, v = sp.symbols("t u v")
N, D = sv.dims("N D")
rng = np.random.default_rng(6)
tv, uv = rng.uniform(0.2, 0.9, 5), 0.7

FORMULAS = [
    t + u * t**2 - 3, sp.Rational(1, 3) * t / u, sp.sqrt(t) + t ** sp.Rational(3, 2) + t**-2 + 1 / sp.sqrt(u), sp.pi * sp.E**t + sp.E,
    sp.exp(-(t**2) / 2),
    sp.sin(t) ** 2 + sp.cos(u) * sp.tan(t), sp.asin(t) + sp.acos(u) + sp.atan(t) + sp.atan2(t, u), sp.sinh(t) + sp.cosh(t) - sp.tanh(u),
    sp.asinh(t) * sp.atanh(u),
    sp.Abs(t - u) + sp.sign(t - u), sp.Max(t, u, sp.Rational(1, 2)) - sp.Min(t, u), sp.Piecewise((t, t < u), (u**2, t < 2 * u), (0, True)),
    sp.erf(t) + sp.erfc(u),
    sp.loggamma(t) + sp.digamma(u) + sp.polygamma(1, t) + sp.gamma(t), sp.floor(10 * t) + sp.ceiling(u), t**u, sp.log(t, 2),
    sp.Float(0.1) * t, sp.Mod(7 * t, u),
    sp.Piecewise((1, sp.And(t > u, t < 1)), (2, sp.Or(t < 0, sp.Ne(t, u))), (3, True)), sp.Heaviside(t - u) * t, 1 / (1 + sp.exp(-t)),
]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_formulas(value, formula):
    x = sv.data("x", N)
    ours = sv.from_sympy(formula, {t: x, "u": uv})
    expected = [complex(formula.subs({t: float(entry), u: uv}).evalf(17)).real for entry in tv]
    assert ours.shape == ((N,) if formula.has(t) else ())
    np.testing.assert_allclose(value(ours, {x: tv}, {"N": 5}), expected, rtol=1e-12)


def test_matrices(value):
    a, c = sv.data("a"), sv.data("c")
    rotation = sp.Matrix([[sp.cos(t), -sp.sin(t)], [sp.sin(t), sp.cos(t)], [u, 0]])
    ours = sv.from_sympy(rotation, {t: a, u: c})
    assert ours.shape == (3, 2)
    np.testing.assert_allclose(value(ours, {a: 0.3, c: 2.0}), [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)], [2.0, 0.0]])
    x = sv.data("x", N)
    batch = sv.from_sympy(sp.Matrix([[t, 1], [0, t * u]]), {t: x, u: 3.0})
    assert batch.shape == (N, 2, 2), "a matrix for every entry"
    np.testing.assert_allclose(value(batch, {x: tv}, {"N": 5})[:, 1, 1], 3 * tv)


class Swish(sp.Function):
    """A user's own function, by its definition."""

    calls = 0

    def doit(self, **hints):
        Swish.calls += 1
        (x,) = self.args
        return x / (1 + sp.exp(-x))


def test_functions_of_the_user(value):
    x = sv.data("x", N)
    formula = Swish(t) + Swish(t) ** 2 * Swish(u)
    ours = sv.from_sympy(formula, {t: x, u: 1.0})
    swish = lambda z: z / (1 + np.exp(-z))
    np.testing.assert_allclose(value(ours, {x: tv}, {"N": 5}), swish(tv) + swish(tv) ** 2 * swish(1.0), rtol=1e-14)
    before = Swish.calls
    sv.from_sympy(Swish(t) * 2, {t: x})
    assert Swish.calls == before, "opened once"


def test_mistakes():
    with pytest.raises(sv.ExpressionError, match="nothing is given for the symbol u.*test_sympy_bridge"):
        sv.from_sympy(t + u, {t: 1.0})
    with pytest.raises(sv.ExpressionError, match="zeta.*no counterpart"):
        sv.from_sympy(sp.zeta(t), {t: sv.data("x")})
    with pytest.raises(sv.ExpressionError, match="f has no definition"):
        sv.from_sympy(sp.Function("f")(t), {t: sv.data("x")})


def test_scalars_go_out():
    b, s = sv.param("b"), sv.param("s")
    bs, ss = sp.Symbol("b", real=True), sp.Symbol("s", real=True)
    for ours, theirs in [
        (b**2 + 2 * b * s - 1, bs**2 + 2 * bs * ss - 1), (sv.exp(-b) / s, sp.exp(-bs) / ss), (sv.sqrt(b) * sv.pi, sp.sqrt(bs) * sp.pi),
        (sv.where(b > 0, b, -s), sp.Piecewise((bs, bs > 0), (-ss, True))), (sv.maximum(b, s), sp.Max(bs, ss)),
        (sv.tanh(b) + sv.erf(s), sp.tanh(bs) + sp.erf(ss)),
        (sv.gammaln(b), sp.loggamma(bs)), (b**s, bs**ss), (sv.sigmoid(b), 1 / (1 + sp.exp(-bs))), (abs(b), sp.Abs(bs)), (b / 3, bs / 3),
    ]:  # fmt: skip
        assert sp.simplify(sv.to_sympy(ours) - theirs) == 0


def test_there_and_back(value):
    b, s = sv.param("b"), sv.param("s")
    expression = sv.log(1 + sv.exp(b * s)) / (1 + b**2) + sv.where(s > b, sv.sin(s), sv.softplus(b))
    again = sv.from_sympy(sv.to_sympy(expression), {"b": b, "s": s})
    for at in [(0.3, 0.9), (2.0, -1.0)]:
        np.testing.assert_allclose(value(again, {b: at[0], s: at[1]}), value(expression, {b: at[0], s: at[1]}), rtol=1e-14)


def test_sums_over_dims_go_out():
    X, w = sv.data("X", N, D), sv.param("w", D)
    formula = sv.to_sympy(sv.sum((X @ w) ** 2) / N)
    values = {sp.Symbol("N", integer=True, positive=True): 2, sp.Symbol("D", integer=True, positive=True): 2}
    x, z = [[1, 2], [3, 4]], [5, 6]
    found = formula.subs(values).doit()
    found = found.subs({sp.IndexedBase("X")[i, j]: x[i][j] for i in range(2) for j in range(2)}).subs(
        {sp.IndexedBase("w")[j]: z[j] for j in range(2)}
    )
    assert found == ((5 + 12) ** 2 + (15 + 24) ** 2) / sp.Integer(2)
