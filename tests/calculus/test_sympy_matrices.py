"""Matrix derivatives that SymPy 1.14 gives as 0, leaves undone, or gets wrong: imported from SymPy and differentiated here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.hadamard import HadamardProduct

import symvi as sv

n = sp.Symbol("n", integer=True, positive=True)
A, B, X = (sp.MatrixSymbol(name, n, n) for name in "ABX")
a, b, x = (sp.MatrixSymbol(name, n, 1) for name in "abx")
t = sp.Symbol("t")
det, tr, log = sp.Determinant, sp.Trace, sp.log
npinv, npdet, nptr, outer = np.linalg.inv, np.linalg.det, np.trace, np.outer
N = sv.dim("N")


class Row(NamedTuple):
    """An expression of SymPy, the symbol it is differentiated by, and the derivative as a NumPy formula of its symbols."""

    expression: sp.Basic
    by: sp.Basic
    derivative: Callable
    verdict: str  # of SymPy 1.14: zero, undone, wrong or error


TABLE = {
    "log det": Row(log(det(X)), X, lambda X: npinv(X).T, "zero"),
    "log det of an inverse": Row(log(det(X.inv())), X, lambda X: -npinv(X).T, "zero"),
    "log det of a gram matrix": Row(log(det(X.T * X)), X, lambda X: 2 * npinv(X).T, "zero"),
    "log det of a sum": Row(log(det(X + A)), X, lambda X, A: npinv(X + A).T, "zero"),
    "log det of a product": Row(log(det(A * X * B)), X, lambda A, X, B: npinv(X).T, "zero"),
    "square of det": Row(det(X) ** 2, X, lambda X: 2 * npdet(X) ** 2 * npinv(X).T, "zero"),
    "one over det": Row(1 / det(X), X, lambda X: -npinv(X).T / npdet(X), "zero"),
    "sine of det": Row(sp.sin(det(X)), X, lambda X: np.cos(npdet(X)) * npdet(X) * npinv(X).T, "zero"),
    "absolute det": Row(sp.Abs(det(X)), X, lambda X: abs(npdet(X)) * npinv(X).T, "zero"),
    "log of a trace": Row(log(tr(X)), X, lambda X: np.eye(len(X)) / nptr(X), "zero"),
    "log of a trace of a product": Row(log(tr(A * X * X.T)), X, lambda A, X: (A + A.T) @ X / nptr(A @ X @ X.T), "zero"),
    "exp of a trace": Row(sp.exp(tr(A * X) / 9), X, lambda A, X: np.exp(nptr(A @ X) / 9) * A.T / 9, "zero"),
    "exp of a quadratic form": Row(
        sp.exp(tr(x.T * A * x) / 9), x, lambda x, A: np.exp(x @ A @ x / 9) * ((A + A.T) @ x)[:, None] / 9, "zero"),
    "log of a quadratic form": Row(
        log(tr(x.T * A.T * A * x)), x, lambda x, A: 2 * (A.T @ A @ x)[:, None] / (x @ A.T @ A @ x), "zero"),
    "positive part of a trace": Row(sp.Max(tr(X), 0), X, lambda X: np.eye(len(X)), "zero"),
    "det": Row(det(X), X, lambda X: npdet(X) * npinv(X).T, "undone"),
    "det of an inverse": Row(det(X.inv()), X, lambda X: -npinv(X).T / npdet(X), "undone"),
    "det of a product": Row(det(A * X * B), X, lambda A, X, B: npdet(A @ X @ B) * npinv(X).T, "undone"),
    "det of a congruence": Row(
        det(X.T * A * X), X, lambda X, A: 2 * npdet(X.T @ A @ X) * npinv(X).T, "undone"),
    "det along a line": Row(det(A + t * B), t, lambda A, B, t: npdet(A + t * B) * nptr(npinv(A + t * B) @ B), "undone"),
    "log det along a line": Row(log(det(A + t * B)), t, lambda A, B, t: nptr(npinv(A + t * B) @ B), "undone"),
    "product of trace and det": Row(
        tr(X) * det(X), X, lambda X: npdet(X) * np.eye(len(X)) + nptr(X) * npdet(X) * npinv(X).T, "wrong"),
    "det times a form": Row(
        det(X) * (a.T * X * b), X, lambda a, X, b: npdet(X) * (outer(a, b) + (a @ X @ b) * npinv(X).T), "wrong"),
    "trace along a line": Row(
        tr((A + t * B).inv()), t, lambda A, B, t: -nptr(npinv(A + t * B) @ B @ npinv(A + t * B)), "error"),
    "trace of a kronecker product": Row(tr(sp.KroneckerProduct(A, X)), X, lambda A, X: nptr(A) * np.eye(len(X)), "error"),
    "norm": Row(sp.sqrt(tr(x.T * x)), x, lambda x: (x / np.linalg.norm(x))[:, None], "error"),
    "square root of a trace": Row(sp.sqrt(tr(X)), X, lambda X: np.eye(len(X)) / (2 * np.sqrt(nptr(X))), "error"),
    "trace of a diagonal product": Row(tr(A * sp.DiagMatrix(x)), x, lambda A, x: np.diag(A)[:, None], "error"),
    "trace of an elementwise product": Row(tr(HadamardProduct(X, A)), X, lambda X, A: np.diag(np.diag(A)), "unevaluated"),
}  # fmt: skip


def verdict_of_sympy(row: Row) -> str:
    try:
        derivative = row.expression.diff(row.by)
    except (TypeError, AttributeError, NotImplementedError, RecursionError):
        return "error"
    if derivative == 0 or isinstance(derivative, sp.ZeroMatrix):
        return "zero"
    return "undone" if derivative.has(sp.Derivative) else "some"


@pytest.mark.skipif(not sp.__version__.startswith("1.14"), reason="the verdicts are those of SymPy 1.14")
@pytest.mark.parametrize("verdict", ["zero", "undone"])
def test_the_verdicts_are_those_of_sympy(verdict):
    rows = {name: row for name, row in TABLE.items() if row.verdict == verdict}
    assert {name: verdict_of_sympy(row) for name, row in rows.items()} == dict.fromkeys(rows, verdict)


def values_of(row: Row, size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    values = {}
    for symbol in row.expression.atoms(sp.MatrixSymbol) | ({t} & row.expression.free_symbols):
        if symbol is t:
            values["t"] = rng.uniform(0.1, 0.5)
        elif symbol.shape[1] == 1:
            values[symbol.name] = rng.standard_normal(size)
        else:
            values[symbol.name] = rng.standard_normal((size, size)) / 2 + 2 * np.eye(size)
    return values


@pytest.mark.parametrize("name", TABLE)
def test_derivatives_come_out_right(name, value_of, assert_close):
    row = TABLE[name]
    columns = {symbol.name for symbol in row.expression.atoms(sp.MatrixSymbol) if symbol.shape[1] == 1}
    for seed, size in enumerate((3, 1, 4)):
        values = values_of(row, size, np.random.default_rng(seed))
        leaves = {key: sv.data(key, *(() if key == "t" else (N, 1) if key in columns else (N, N))) for key in values}
        ours = sv.from_sympy(row.expression, leaves)
        derivative = sv.grad(ours.reshape(()) if ours.ndim else ours, leaves[str(row.by)])
        arrays = {leaves[key]: value[:, None] if key in columns else value for key, value in values.items()}
        found = value_of(derivative, arrays, {"N": size})
        assert_close(found, row.derivative(**values))
