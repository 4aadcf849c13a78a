"""Derivatives by matrices against the formulas of The Matrix Cookbook (Petersen and Pedersen, version of November 2012).

A row is an equation number, the function as a user writes it, and the derivative as a NumPy formula. The arguments of both are
the leaves, named as in the book: the derivative is by X where it occurs, else by x, s or A. Shapes are random.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest

import symvi as sv

inv, det, logdet, trace, kron = sv.linalg.inv, sv.linalg.det, sv.linalg.logdet, sv.linalg.trace, sv.linalg.kron
outer, npinv, npdet, nptrace = np.outer, np.linalg.inv, np.linalg.det, np.trace
N, M = sv.dims("N M")
SIZES = ((4, 2), (3, 3), (1, 1), (5, 1))  # rows and columns; X' C X is regular where no column is more than the rows
SHAPES = {"a": (N,), "b": (N,), "c": (N,), "d": (N,), "s": (N,), "x": (N,), "y": (N,), "t": ()}
TALL = {"X": (N, M)}
SYMMETRIC = ("W",)


class Row(NamedTuple):
    """An equation, the function, its derivative, and shapes that are not vectors of N or matrices N by N."""

    number: int
    function: Callable
    derivative: Callable
    shapes: dict = {}
    by: str = ""

    @property
    def leaves(self) -> list[str]:
        return list(inspect.signature(self.function).parameters)

    @property
    def variable(self) -> str:
        return self.by or next(name for name in ("X", "x", "s", "A", "t") if name in self.leaves)

    def shape(self, name: str) -> tuple:
        return self.shapes.get(name, SHAPES.get(name, (N, N)))


def eye(a):
    return np.eye(len(a))


def unit(n, k):
    return np.eye(n)[k]


def adjugate(a):
    return npdet(a) * npinv(a)


def power(a, n):
    return np.linalg.matrix_power(a, n)


def chain(x, n):
    product = x
    for _ in range(n - 1):
        product = product @ x
    return product


TABLE = (
    # 2: differentials
    Row(33, lambda X, A: A, lambda X, A: np.zeros(A.shape + X.shape)),
    Row(34, lambda X, t: t * X, lambda X, t: t * np.einsum("ik,jl->ijkl", eye(X), eye(X))),
    Row(35, lambda X, Y: X + Y, lambda X, Y: np.einsum("ik,jl->ijkl", eye(X), eye(X))),
    Row(36, lambda X, Y: trace(X * Y), lambda X, Y: np.diag(np.diag(Y))),
    Row(37, lambda X, Y: X @ Y, lambda X, Y: np.einsum("ik,lj->ijkl", eye(X), Y)),
    Row(38, lambda X, Y: X * Y, lambda X, Y: np.einsum("ij,ik,jl->ijkl", Y, eye(X), eye(X))),
    Row(40, lambda X: inv(X), lambda X: -np.einsum("ik,lj->ijkl", npinv(X), npinv(X))),
    Row(41, lambda X: det(X), lambda X: adjugate(X).T),
    Row(42, lambda X: det(X), lambda X: npdet(X) * npinv(X).T),
    Row(43, lambda X: sv.log(det(X) ** 2) / 2, lambda X: npinv(X).T),
    Row(44, lambda X: X.T, lambda X: np.einsum("il,jk->ijkl", eye(X), eye(X))),
    Row(46, lambda t, A, B: det(A + t * B), lambda t, A, B: npdet(A + t * B) * nptrace(npinv(A + t * B) @ B), by="t"),
    Row(47, lambda X: sv.grad(det(X), X) @ X.T, lambda X: determinant_times_identity(X)),
    Row(49, lambda X: det(X), lambda X: npdet(X) * npinv(X).T),
    Row(51, lambda X, A, B: det(A @ X @ B), lambda X, A, B: npdet(A @ X @ B) * npinv(X).T),
    Row(52, lambda X, A: det(X.T @ A @ X), lambda X, A: 2 * npdet(X.T @ A @ X) * npinv(X).T),
    Row(53, lambda X, W: det(X.T @ W @ X), lambda X, W: 2 * npdet(X.T @ W @ X) * W @ X @ npinv(X.T @ W @ X), TALL),
    Row(54, lambda X, A: det(X.T @ A @ X),
        lambda X, A: npdet(X.T @ A @ X) * (A @ X @ npinv(X.T @ A @ X) + A.T @ X @ npinv(X.T @ A.T @ X)), TALL),
    Row(55, lambda X: logdet(X.T @ X), lambda X: 2 * np.linalg.pinv(X).T, TALL),
    Row(57, lambda X: logdet(X), lambda X: npinv(X).T),
    Row(57, lambda X: sv.log(sv.abs(det(X))), lambda X: npinv(X).T),
    Row(58, lambda X: det(chain(X, 3)), lambda X: 3 * npdet(X) ** 3 * npinv(X).T),
    # 2.2: the inverse
    Row(59, lambda t, A, B: inv(A + t * B), lambda t, A, B: -npinv(A + t * B) @ B @ npinv(A + t * B), by="t"),
    Row(60, lambda X: inv(X), lambda X: -np.einsum("ki,jl->klij", npinv(X), npinv(X))),
    Row(61, lambda a, X, b: a @ inv(X) @ b, lambda a, X, b: -npinv(X).T @ outer(a, b) @ npinv(X).T),
    Row(62, lambda X: det(inv(X)), lambda X: -npdet(npinv(X)) * npinv(X).T),
    Row(63, lambda A, X, B: trace(A @ inv(X) @ B), lambda A, X, B: -(npinv(X) @ B @ A @ npinv(X)).T),
    Row(64, lambda X, A: trace(inv(X + A)), lambda X, A: -(npinv(X + A) @ npinv(X + A)).T),
    Row(65, lambda X, B: sv.sum(sv.sin(inv(X)) * B), lambda X, B: -npinv(X).T @ (np.cos(npinv(X)) * B) @ npinv(X).T),
    # 2.4: vectors, scalar forms
    Row(69, lambda x, a: x @ a, lambda x, a: a),
    Row(70, lambda a, X, b: a @ X @ b, lambda a, X, b: outer(a, b)),
    Row(71, lambda a, X, b: a @ X.T @ b, lambda a, X, b: outer(b, a)),
    Row(72, lambda a, X: a @ X @ a, lambda a, X: outer(a, a)),
    Row(72, lambda a, X: a @ X.T @ a, lambda a, X: outer(a, a)),
    Row(73, lambda X: X, lambda X: np.einsum("ik,jl->ijkl", eye(X), eye(X))),
    Row(74, lambda X, A: X @ A, lambda X, A: np.einsum("im,nj->ijmn", eye(X), A)),
    Row(75, lambda X, A: X.T @ A, lambda X, A: np.einsum("in,mj->ijmn", eye(X), A)),
    Row(76, lambda X: sv.sum(X) ** 2, lambda X: 2 * X.sum() * np.ones_like(X), TALL),
    Row(77, lambda b, X, c: b @ X.T @ X @ c, lambda b, X, c: X @ (outer(b, c) + outer(c, b)), {**TALL, "b": (M,), "c": (M,)}),
    Row(78, lambda B, x, b, C, D, d: (B @ x + b) @ C @ (D @ x + d),
        lambda B, x, b, C, D, d: B.T @ C @ (D @ x + d) + D.T @ C.T @ (B @ x + b)),
    Row(79, lambda X, B: X.T @ B @ X,
        lambda X, B: np.einsum("lj,ki->klij", np.eye(X.shape[1]), X.T @ B) + np.einsum("kj,il->klij", np.eye(X.shape[1]), B @ X), TALL),
    Row(81, lambda x, B: x @ B @ x, lambda x, B: (B + B.T) @ x),
    Row(82, lambda b, X, D, c: b @ X.T @ D @ X @ c, lambda b, X, D, c: D.T @ X @ outer(b, c) + D @ X @ outer(c, b)),
    Row(83, lambda X, b, c, D: (X @ b + c) @ D @ (X @ b + c), lambda X, b, c, D: outer((D + D.T) @ (X @ b + c), b)),
    Row(84, lambda x, A, s, W: (x - A @ s) @ W @ (x - A @ s), lambda x, A, s, W: -2 * A.T @ W @ (x - A @ s), by="s"),
    Row(85, lambda x, s, W: (x - s) @ W @ (x - s), lambda x, s, W: 2 * W @ (x - s)),
    Row(86, lambda x, s, W: (x - s) @ W @ (x - s), lambda x, s, W: -2 * W @ (x - s), by="s"),
    Row(87, lambda x, A, s, W: (x - A @ s) @ W @ (x - A @ s), lambda x, A, s, W: 2 * W @ (x - A @ s)),
    Row(88, lambda x, A, s, W: (x - A @ s) @ W @ (x - A @ s), lambda x, A, s, W: -2 * outer(W @ (x - A @ s), s), by="A"),
    Row(90, lambda X: chain(X, 3),
        lambda X: sum(np.einsum("ki,jl->klij", power(X, r), power(X, 2 - r)) for r in range(3))),
    Row(91, lambda a, X, b: a @ chain(X, 3) @ b, lambda a, X, b: sum(power(X, r).T @ outer(a, b) @ power(X, 2 - r).T for r in range(3))),
    Row(97, lambda x, A, b: x @ A @ x + b @ x, lambda x, A, b: (A + A.T) @ x + b),
    Row(98, lambda x, A, b: sv.grad(x @ A @ x + b @ x, x), lambda x, A, b: A + A.T),
    # 2.5: traces
    Row(99, lambda X: trace(X), lambda X: eye(X)),
    Row(100, lambda X, A: trace(X @ A), lambda X, A: A.T),
    Row(101, lambda A, X, B: trace(A @ X @ B), lambda A, X, B: A.T @ B.T),
    Row(102, lambda A, X, B: trace(A @ X.T @ B), lambda A, X, B: B @ A),
    Row(103, lambda X, A: trace(X.T @ A), lambda X, A: A),
    Row(104, lambda A, X: trace(A @ X.T), lambda A, X: A),
    Row(105, lambda A, X: trace(kron(A, X)), lambda A, X: nptrace(A) * eye(X), {"A": (M, M)}),
    Row(106, lambda X: trace(X @ X), lambda X: 2 * X.T),
    Row(107, lambda X, B: trace(X @ X @ B), lambda X, B: (X @ B + B @ X).T),
    Row(108, lambda X, B: trace(X.T @ B @ X), lambda X, B: B @ X + B.T @ X, TALL),
    Row(109, lambda X, B: trace(B @ X @ X.T), lambda X, B: B @ X + B.T @ X, TALL),
    Row(110, lambda X, B: trace(X @ X.T @ B), lambda X, B: B @ X + B.T @ X, TALL),
    Row(111, lambda X, B: trace(X @ B @ X.T), lambda X, B: X @ B.T + X @ B, {**TALL, "B": (M, M)}),
    Row(112, lambda X, B: trace(B @ X.T @ X), lambda X, B: X @ B.T + X @ B, {**TALL, "B": (M, M)}),
    Row(113, lambda X, B: trace(X.T @ X @ B), lambda X, B: X @ B.T + X @ B, {**TALL, "B": (M, M)}),
    Row(114, lambda A, X, B: trace(A @ X @ B @ X), lambda A, X, B: A.T @ X.T @ B.T + B.T @ X.T @ A.T),
    Row(115, lambda X: trace(X.T @ X), lambda X: 2 * X, TALL),
    Row(115, lambda X: trace(X @ X.T), lambda X: 2 * X, TALL),
    Row(116, lambda B, X, C: trace(B.T @ X.T @ C @ X @ B), lambda B, X, C: C.T @ X @ B @ B.T + C @ X @ B @ B.T),
    Row(117, lambda X, B, C: trace(X.T @ B @ X @ C), lambda X, B, C: B @ X @ C + B.T @ X @ C.T),
    Row(118, lambda A, X, B, C: trace(A @ X @ B @ X.T @ C), lambda A, X, B, C: A.T @ C.T @ X @ B.T + C @ A @ X @ B),
    Row(119, lambda A, X, B, C: trace((A @ X @ B + C) @ (A @ X @ B + C).T), lambda A, X, B, C: 2 * A.T @ (A @ X @ B + C) @ B.T),
    Row(120, lambda X: trace(kron(X, X)), lambda X: 2 * nptrace(X) * eye(X)),
    Row(121, lambda X: trace(chain(X, 4)), lambda X: 4 * power(X, 3).T),
    Row(122, lambda A, X: trace(A @ chain(X, 4)), lambda A, X: sum((power(X, r) @ A @ power(X, 3 - r)).T for r in range(4))),
    Row(123, lambda B, X, C: trace(B.T @ X.T @ C @ X @ X.T @ C @ X @ B),
        lambda B, X, C: C @ X @ X.T @ C @ X @ B @ B.T + C.T @ X @ B @ B.T @ X.T @ C.T @ X + C @ X @ B @ B.T @ X.T @ C @ X
        + C.T @ X @ X.T @ C.T @ X @ B @ B.T),
    Row(124, lambda A, X, B: trace(A @ inv(X) @ B), lambda A, X, B: -npinv(X).T @ A.T @ B.T @ npinv(X).T),
    Row(125, lambda X, W, A: trace(inv(X.T @ W @ X) @ A),
        lambda X, W, A: -(W @ X @ npinv(X.T @ W @ X)) @ (A + A.T) @ npinv(X.T @ W @ X), {**TALL, "A": (M, M)}),
    Row(126, lambda X, C, B: trace(inv(X.T @ (C + C.T) @ X) @ (X.T @ (B + B.T) @ X)),
        lambda X, C, B: ratio_of_forms(X, np.zeros((X.shape[1],) * 2), C + C.T, B + B.T), TALL),
    Row(127, lambda A, X, C, B: trace(inv(A + A.T + X.T @ (C + C.T) @ X) @ (X.T @ (B + B.T) @ X)),
        lambda A, X, C, B: ratio_of_forms(X, A + A.T, C + C.T, B + B.T), {**TALL, "A": (M, M)}),
    # 2.6: norms
    Row(129, lambda x, a: sv.sqrt(sv.sum((x - a) ** 2)), lambda x, a: (x - a) / np.linalg.norm(x - a)),
    Row(130, lambda x, a: (x - a) / sv.sqrt(sv.sum((x - a) ** 2)),
        lambda x, a: eye(x) / np.linalg.norm(x - a) - outer(x - a, x - a) / np.linalg.norm(x - a) ** 3),
    Row(131, lambda x: sv.sum(x**2), lambda x: 2 * x),
    Row(132, lambda X: sv.sum(X**2), lambda X: 2 * X, TALL),
)  # fmt: skip


def determinant_times_identity(X):
    """Row 47 states det X I; its derivative by X is a product with the cofactors."""
    return np.einsum("ij,kl->ijkl", eye(X), npdet(X) * npinv(X).T)


def ratio_of_forms(X, A, C, B):
    """The derivative of Tr((A + X'CX)^-1 X'BX) for symmetric A, B, C."""
    inner = npinv(A + X.T @ C @ X)
    return -2 * C @ X @ inner @ X.T @ B @ X @ inner + 2 * B @ X @ inner


def leaves_of(row: Row, suffix: object = "") -> dict[str, sv.Expr]:
    """Fresh leaves; a matrix that the book takes as symmetric is stated to be so."""
    found = {name: sv.data(f"{name}{suffix}", *row.shape(name)) for name in row.leaves}
    return {name: sv.assume(leaf, sv.symmetric) if name in SYMMETRIC else leaf for name, leaf in found.items()}


def values_of(row: Row, n: int, m: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random arrays; square matrices are shifted, which keeps them regular."""
    sizes = {N: n, M: m}
    values = {}
    for name in row.leaves:
        shape = tuple(sizes[dim] for dim in row.shape(name))
        value = rng.standard_normal(shape)
        if len(shape) == 2 and shape[0] == shape[1]:
            value = value + 3 * np.eye(shape[0])
        values[name] = value + value.T if name in SYMMETRIC else value
    return values


def derivative_of(row: Row, leaves: dict[str, sv.Expr]) -> sv.Expr:
    """Our derivative: the gradient of a scalar, the Jacobian of an array."""
    output, by = row.function(**leaves), leaves[row.variable]
    return sv.jacobian(output, by) if output.ndim else sv.grad(output, by)


def instances(row: Row) -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
    for seed, (n, m) in enumerate(SIZES):
        yield n, m, values_of(row, n, m, np.random.default_rng(1000 * seed + row.number))


def named(row: Row) -> str:
    return f"{row.number}_{TABLE.index(row)}"


def test_the_table_covers_fifty_equations():
    assert len({row.number for row in TABLE}) >= 50


@pytest.mark.parametrize("row", TABLE, ids=named)
def test_derivative_equals_the_formula(row, value_of, assert_close):
    leaves = leaves_of(row)
    derivative = derivative_of(row, leaves)
    for n, m, values in instances(row):
        arrays = {leaves[name]: value for name, value in values.items()}
        assert_close(value_of(derivative, arrays, {"N": n, "M": m}), row.derivative(**values))


def test_compiled_derivatives_equal_the_formulas(assert_close):
    """A choice of rows in one compiled function."""
    rows = [next(row for row in TABLE if row.number == number) for number in (54, 61, 83)]
    leaves = [leaves_of(row, row.number) for row in rows]
    inputs = [leaf for each in leaves for leaf in each.values()]
    compiled = sv.function(inputs, [derivative_of(row, each) for row, each in zip(rows, leaves, strict=True)])
    for seed, (n, m) in enumerate(SIZES):
        values = [values_of(row, n, m, np.random.default_rng(seed)) for row in rows]
        found = compiled(*(array for each in values for array in each.values()), sizes={"N": n, "M": m})
        for row, each, result in zip(rows, values, found, strict=True):
            assert_close(np.asarray(result), row.derivative(**each))
