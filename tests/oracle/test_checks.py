"""The checks find what they are for: a planted wrong derivative, a planted wrong rewrite."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

import symvi.atoms.linear_algebra  # noqa: F401  (the atoms register themselves)
from symvi.atoms import elementwise as el
from symvi.atoms.array_atom import ARRAY_ATOMS
from symvi.calculus import reverse
from symvi.errors import GradientError, ShapeError, SymviError
from symvi.expr.build import as_term, constant, contract, input_array, iota, read, read_own, reduce, tensor
from symvi.expr.dims import dims
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.oracle.gradient_check import check_gradient, check_tangent
from symvi.oracle.pass_check import PassError, check_pass
from symvi.oracle.random_inputs import dims_of, leaves_of, random_sizes, random_value, random_values

N, D, J, T = dims("N D J T")
n, d = Label(N), Label(D)


class Support(NamedTuple):
    """The part of a support that facts and random values see."""

    name: str
    interval: tuple[float, float] | None = None
    matrix_facts: tuple[str, ...] = ()


class Discrete(NamedTuple):
    """A support of whole numbers that are carried as real ones."""

    name: str
    interval: tuple[float, float]
    discrete: bool = True


def array(name, *shape, kind="f", **attributes):
    return input_array(Leaf("data", name, shape, kind, **attributes))


X, w, y = array("X", N, D), array("w", D), array("y", N)
eta = contract({d}, [(read(X, (n, d)), 1), (read(w, (d,)), 1)])
LOSS = contract({n}, [(el.softplus(eta) - read(y, (n,)) * eta, 1)])
VALUES = {X: np.arange(6.0).reshape(3, 2) / 5, w: np.array([0.3, -0.7]), y: np.array([0.0, 1.0, 1.0])}


@pytest.mark.parametrize("method", ["complex", "mpmath", "auto"])
def test_right_derivatives_pass(method):
    report = check_gradient(LOSS, [X, w, y], VALUES, method=method)
    assert report.passed and report.max_error < 1e-14 and "agrees" in str(report)
    assert report.method == ("complex" if method == "auto" else method)
    assert check_tangent([LOSS, eta], [X, w], VALUES, method=method).raise_if_failed().passed


def test_functions_that_are_not_holomorphic_are_checked_in_50_digits():
    term = contract({n}, [(el.arctan2(read(y, (n,)), constant(2.0)), 1)])
    assert check_gradient(term, [y], VALUES).method == "mpmath"


@pytest.mark.parametrize("method", ["complex", "mpmath"])
@pytest.mark.parametrize("error", [1e-6, 0.5])
def test_a_wrong_scalar_derivative_is_caught(method, error):
    wrong = dataclasses.replace(el.softplus, name="wrong_softplus", derivative=lambda x: (el.sigmoid(x) * (1 + error),))
    term = contract({n}, [(wrong(eta + read(y, (n,))), 1)])
    report = check_gradient(term, [w, y], VALUES, method=method)
    assert not report.passed and report.array in ("w", "y") and 0.01 * error < report.max_error < 10 * error
    assert not check_tangent([term], [w], VALUES, method=method).passed
    with pytest.raises(GradientError, match="disagrees"):
        report.raise_if_failed()


def test_a_wrong_array_derivative_is_caught(monkeypatch):
    A = array("A", N, N)
    atom = type(ARRAY_ATOMS["logdet"])
    right = atom.vjp
    monkeypatch.setattr(atom, "vjp", lambda self, node, adjoint: (right(self, node, adjoint)[0] * 2,))
    report = check_gradient(read_own(ARRAY_ATOMS["logdet"](A)), [A], {A: np.eye(2) + 0.1})
    assert not report.passed and report.index in {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_wrong_rule_of_the_calculus_is_caught(monkeypatch):
    """A contraction whose adjoint forgets the exponent."""
    from symvi.calculus import rules

    def forgetful(node, adjoint):
        return [(child, rules.send(child, node.labels | set(node.bound), adjoint * child)) for child in node.children]

    monkeypatch.setattr(reverse, "contract_vjp", forgetful)
    assert not check_gradient(contract({d}, [(read(w, (d,)), 2)]), [w], VALUES).passed


def test_a_nan_never_passes():
    term = contract({d}, [(el.sqrt(read(w, (d,)) * 0 - 1 + read(w, (d,))), 1)])
    assert not check_gradient(term, [w], {w: np.array([0.5])}).passed


# ---------------------------------------------------------------------------------------------------------------- passes
def test_equal_expressions_pass():
    x = read(y, (n,))
    check_pass([LOSS, eta, tensor(eta, (n,))], [LOSS, eta, tensor(eta, (n,))])
    check_pass([el.log(1 + el.exp(x))], [el.softplus(x)])
    check_pass([x * el.exp(-x) * el.exp(x)], [x + 0 * eta])


def test_an_overflow_before_the_pass_is_no_difference():
    x = 1000 * read(y, (n,)) + 2000
    check_pass([el.log(1 + el.exp(x))], [el.softplus(x)], trials=4)


@pytest.mark.parametrize(
    "before, after",
    [
        (el.log1p(el.exp(read(y, (n,)))), el.exp(read(y, (n,)))),
        (el.tanh(read(y, (n,))), el.tanh(read(y, (n,))) * (1 + 1e-6)),
        (reduce("logsumexp", {n}, read(y, (n,))), reduce("max", {n}, read(y, (n,)))),
        (contract({n}, [(read(y, (n,)), 2)]), contract({n}, [(read(y, (n,)), 1)]) ** 2),
        (eta, tensor(eta, (n,)).term * iota(n)),
        (el.log(el.exp(1000 * read(y, (n,)) + 5000) + 1), 1000 * read(y, (n,)) + 5001),
    ],
    ids=["dropped log", "a millionth", "max for logsumexp", "square of a sum", "a factor", "wrong beyond overflow"],
)
def test_a_wrong_rewrite_is_caught(before, after):
    with pytest.raises(PassError, match="changed a value") as caught:
        for seed in range(4):  # extents 0 and 1 may hide a difference
            check_pass([before], [after], seed=seed, trials=3)
    assert isinstance(caught.value, SymviError) and f"{leaves_of([before])[0].name} = " in str(caught.value)


def test_a_pass_that_loses_an_expression_is_caught():
    with pytest.raises(PassError, match="2 expressions and gave 1"):
        check_pass([LOSS, eta], [LOSS])


def test_a_guard_narrows_the_sizes():
    """A rewrite that is right only for N > 1."""
    larger = el.where(el.greater(as_term(N), 1), constant(1.0), constant(0.0))
    check_pass([larger], [constant(1.0)], guard=lambda sizes: sizes["N"] > 1)
    with pytest.raises(PassError):
        check_pass([larger], [constant(1.0)], guard=lambda sizes: sizes["N"] == 1)


# --------------------------------------------------------------------------------------------------------- random inputs
def test_random_sizes_fit_all_dims():
    rng = np.random.default_rng(0)
    h, g = array("h", T - 2), array("g", N, kind="i", index_of=J)
    roots = [contract({Label(T - 2)}, [(read_own(h), 1)]), read(array("mu", J), (read_own(g),))]
    assert set(dims_of(roots)) >= {T - 2, J, N}
    for _ in range(30):
        sizes = random_sizes(roots, rng)
        assert sizes["T"] >= 2 and (sizes["J"] > 0 or sizes["N"] == 0)
    simplex = read_own(array("s", N, J, support=Support("simplex", (0.0, 1.0))))
    assert all(random_sizes([simplex], rng)["J"] > 0 for _ in range(20))
    with pytest.raises(ShapeError, match="guard"):
        random_sizes(roots, rng, guard=lambda sizes: False)


@pytest.mark.parametrize("extent", [0, 1, 3])
def test_random_values_respect_supports(extent):
    rng = np.random.default_rng(1)
    sizes = {"N": extent, "J": 2}

    def draw(name, *shape, kind="f", **attributes):
        return random_value(Leaf("param", name, shape, kind, **attributes), sizes, rng)

    assert (draw("p", N, support=Support("positive", (5e-324, np.inf))) > 0).all()
    unit = draw("u", N, support=Support("unit", (0.0, 1.0)))
    assert ((unit > 0) & (unit < 1)).all()
    simplex = draw("s", J, N, support=Support("simplex", (0.0, 1.0)))
    np.testing.assert_allclose(simplex.sum(axis=-1), 1.0 if extent else 0.0)
    assert (np.diff(draw("o", N, support=Support("ordered"))) >= 0).all()
    spd = draw("K", J, N, N, support=Support("spd", None, ("spd",)))
    assert (np.linalg.eigvalsh(spd) > 0).all()
    lower = draw("L", N, N, support=Support("lower_cholesky", None, ("lower",)))
    assert (np.triu(lower, 1) == 0).all() and (np.diag(lower) > 0).all()
    index = draw("g", N, kind="i", index_of=J)
    assert ((index >= 0) & (index < 2)).all() and draw("b", N, kind="b").dtype == bool
    assert draw("i", N, kind="i").dtype == np.int64
    counts = draw("c", N, support=Discrete("count", (0.0, np.inf)))
    assert counts.dtype == float and (counts == np.floor(counts)).all() and (counts >= 0).all()
    assert set(draw("r", N, noise_kind="rademacher").ravel()) <= {-1.0, 1.0}
    assert (draw("e", N, noise_kind="exponential") > 0).all()


def test_random_values_respect_the_domains_of_functions():
    q = array("q", N)
    roots = [el.log(read_own(q)), el.arcsin(read_own(q))]
    (value,) = random_values(roots, {"N": 50}, np.random.default_rng(0)).values()
    assert ((value > 0) & (value < 1)).all()
    assert [leaf.name for leaf in leaves_of(roots)] == ["q"]
