"""Matrix expressions of SymPy come in with the meaning of matrices: values agree with SymPy's own explicit matrices."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.hadamard import HadamardPower, HadamardProduct

import symvi as sv

n, m = sp.symbols("n m", integer=True, positive=True)
X, Y, Z, x = sp.MatrixSymbol("X", n, n), sp.MatrixSymbol("Y", n, n), sp.MatrixSymbol("Z", n, m), sp.MatrixSymbol("x", n, 1)
t = sp.Symbol("t")
N, M = sv.dims("N M")
rng = np.random.default_rng(8)
VALUES = {"X": rng.standard_normal((3, 3)) + 2 * np.eye(3), "Y": rng.standard_normal((3, 3)), "Z": rng.standard_normal((3, 2)),
          "x": rng.standard_normal((3, 1)), "t": np.array(0.7)}  # fmt: skip

EXPRESSIONS = [
    X * Y, 2 * t * X * Y - Y * X / 3, X + Y, X.T * Z, Z.T * X * Z, X**3, X.inv() * Z, X ** (-2),
    HadamardProduct(X, Y, X), HadamardPower(X, 2), sp.KroneckerProduct(X, Z), sp.Identity(n) + X, sp.ZeroMatrix(n, n) + X,
    sp.OneMatrix(n, n) * X, sp.Trace(X * Y), sp.Determinant(X) ** 2,
    sp.log(sp.Determinant(X * X.T)), X[0, 1] * X[2, 2], X.applyfunc(sp.sin), sp.DiagMatrix(x) * Y, x * x.T + X, x.T * X * x,
    n * sp.Trace(X), sp.Trace(X) * X, sp.exp(sp.Trace(X) / 4) + t,
]  # fmt: skip


def explicit(expression):
    """SymPy's own value."""
    shown = expression.subs({n: 3, m: 2, t: sp.Float(0.7)})
    numbers = {sp.MatrixSymbol(name, *value.shape): sp.Matrix(value) for name, value in VALUES.items() if value.ndim}
    shown = shown.xreplace(numbers)
    shown = shown.doit() if not isinstance(shown, sp.MatrixExpr) else sp.Matrix(shown.doit().as_explicit())
    return np.array(sp.Matrix(shown).evalf(), dtype=float) if isinstance(shown, sp.MatrixBase) else float(shown)


def leaves():
    return {"X": sv.data("X", N, N), "Y": sv.data("Y", N, N), "Z": sv.data("Z", N, M), "x": sv.data("x", N), "t": sv.data("t")}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_values(value, expression):
    given = leaves()
    ours = sv.from_sympy(expression, given)
    arrays = {given[name]: array[:, 0] if name == "x" else array for name, array in VALUES.items()}
    np.testing.assert_allclose(value(ours, arrays, {"N": 3, "M": 2}), explicit(expression), rtol=1e-11)


def test_sizes_are_those_of_the_matrices():
    assert sv.from_sympy(sp.Identity(n) + X, {X: sv.data("X", N, N)}).shape == (N, N)
    assert sv.from_sympy(sp.Identity(n + m), {n: N, m: M}).shape == (N + M, N + M)
    assert sv.from_sympy(sp.ZeroMatrix(2, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    ("expression", "given", "message"),
    [
        (X * Y, {"X": sv.data("X", N, N)}, "nothing is given for the matrix Y.*test_sympy_matrix_import"),
        (sp.Identity(n), {}, "the size n is not known"),
        (sp.MatPow(X, t), {"X": sv.data("X", N, N), "t": 1.0}, "not an integer"),
        (X, {"X": sv.data("X", N)}, "X is a matrix, what is given for it has 1 axes"),
        (sp.Permanent(X), {"X": sv.data("X", N, N)}, "Permanent.*no counterpart"),
    ],
)
def test_mistakes(expression, given, message):
    with pytest.raises(sv.ExpressionError, match=message):
        sv.from_sympy(expression, given)
