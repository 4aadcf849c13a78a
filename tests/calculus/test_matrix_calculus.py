"""The inputs shown at matrixcalculus.org (Laue, Mitterreiter and Giesen 2018): gradients, Jacobians and second derivatives.

A row is the function as a user writes it, its first derivatives by some of its arguments, and the second ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

import symvi as sv

M, N, K = sv.dims("M N K")
SIZES = ((3, 4, 2), (5, 2, 3), (1, 1, 1), (2, 3, 1))
npinv, outer, eye = np.linalg.inv, np.outer, np.eye
ones_like = np.ones_like


class Row(NamedTuple):
    function: Callable
    shapes: dict[str, tuple]
    first: dict[str, Callable]
    second: dict[str, Callable] = {}
    positive: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        return list(inspect.signature(self.function).parameters)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


TABLE = {
    "quadratic form": Row(
        lambda A, x: 0.5 * x @ A @ x, {"A": (N, N), "x": (N,)},
        {"x": lambda A, x: 0.5 * (A + A.T) @ x, "A": lambda A, x: 0.5 * outer(x, x)},
        {"x": lambda A, x: 0.5 * (A + A.T), "A": lambda A, x: np.zeros(A.shape * 2)},
    ),
    "product with an exponential": Row(
        lambda A, x: A @ sv.exp(x), {"A": (M, N), "x": (N,)},
        {"x": lambda A, x: A * np.exp(x), "A": lambda A, x: np.einsum("ij,k->ijk", eye(len(A)), np.exp(x))},
    ),
    "weighted inner product": Row(
        lambda y, v, x: (y * v) @ x, {"y": (N,), "v": (N,), "x": (N,)},
        {"x": lambda y, v, x: y * v, "y": lambda y, v, x: v * x, "v": lambda y, v, x: y * x},
        {"x": lambda y, v, x: np.zeros(x.shape * 2)},
    ),
    "power": Row(
        lambda a, b: a**b, {"a": (), "b": ()},
        {"a": lambda a, b: b * a ** (b - 1), "b": lambda a, b: a**b * np.log(a)},
        {"a": lambda a, b: b * (b - 1) * a ** (b - 2), "b": lambda a, b: a**b * np.log(a) ** 2}, positive=("a",),
    ),
    "norm of a residual": Row(
        lambda A, x, y: sv.sum(sv.abs(A @ x - y)), {"A": (M, N), "x": (N,), "y": (M,)},
        {"x": lambda A, x, y: A.T @ np.sign(A @ x - y), "y": lambda A, x, y: -np.sign(A @ x - y),
         "A": lambda A, x, y: outer(np.sign(A @ x - y), x)},
        {"x": lambda A, x, y: np.zeros(x.shape * 2)},
    ),
    "squared norm of a residual": Row(
        lambda A, x, y: sv.sum((A @ x - y) ** 2), {"A": (M, N), "x": (N,), "y": (M,)},
        {"x": lambda A, x, y: 2 * A.T @ (A @ x - y), "y": lambda A, x, y: -2 * (A @ x - y),
         "A": lambda A, x, y: 2 * outer(A @ x - y, x)},
        {"x": lambda A, x, y: 2 * A.T @ A, "y": lambda A, x, y: 2 * eye(len(y)),
         "A": lambda A, x, y: 2 * np.einsum("ik,j,l->ijkl", eye(len(A)), x, x)},
    ),
    "logistic loss": Row(
        lambda X, w, y: sv.sum(sv.log(sv.exp(-y * (X @ w)) + 1)), {"X": (M, N), "w": (N,), "y": (M,)},
        {"w": lambda X, w, y: -X.T @ (y * sigmoid(-y * (X @ w))), "X": lambda X, w, y: -outer(y * sigmoid(-y * (X @ w)), w)},
        {"w": lambda X, w, y: (X.T * (y**2 * sigmoid(y * (X @ w)) * sigmoid(-y * (X @ w)))) @ X},
    ),
    "trace of a product": Row(
        lambda A, X, B, C: sv.linalg.trace(A @ X.T @ B @ X @ C), {"A": (K, N), "X": (M, N), "B": (M, M), "C": (N, K)},
        {"X": lambda A, X, B, C: B @ X @ C @ A + B.T @ X @ A.T @ C.T, "B": lambda A, X, B, C: X @ A.T @ C.T @ X.T},
        {"X": lambda A, X, B, C: np.einsum("ik,lj->ijkl", B, C @ A) + np.einsum("ki,jl->ijkl", B, C @ A)},
    ),
    "log determinant of an inverse": Row(
        lambda X: sv.log(sv.linalg.det(sv.linalg.inv(X @ X.T))), {"X": (N, N)},
        {"X": lambda X: -2 * npinv(X).T}, {"X": lambda X: 2 * np.einsum("jk,li->ijkl", npinv(X), npinv(X))},
    ),
    "logdet of an inverse": Row(
        lambda X: sv.linalg.logdet(sv.linalg.inv(X)), {"X": (N, N)},
        {"X": lambda X: -npinv(X).T}, {"X": lambda X: np.einsum("jk,li->ijkl", npinv(X), npinv(X))},
    ),
}  # fmt: skip


def random_values(row: Row, sizes: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    values = {}
    for name in row.arguments:
        shape = tuple(sizes[dim] for dim in row.shapes[name])
        value = rng.standard_normal(shape)
        values[name] = np.exp(value) if name in row.positive else value + 3 * eye(*shape) if len(shape) == 2 else value
    return values


@pytest.mark.parametrize("name", TABLE)
def test_derivatives_equal_the_formulas(name, value_of, assert_close):
    row = TABLE[name]
    leaves = {argument: sv.data(argument, *row.shapes[argument]) for argument in row.arguments}
    output = row.function(**leaves)
    derive = sv.jacobian if output.ndim else sv.grad
    first = {by: derive(output, leaves[by]) for by in row.first}
    second = {by: sv.hessian(output, leaves[by]) for by in row.second}
    for seed, (m, n, k) in enumerate(SIZES):
        values = random_values(row, {M: m, N: n, K: k}, np.random.default_rng(seed))
        arrays, sizes = {leaves[argument]: value for argument, value in values.items()}, {"M": m, "N": n, "K": k}
        for found, expected in ((first, row.first), (second, row.second)):
            for by, formula in expected.items():
                assert_close(value_of(found[by], arrays, sizes), formula(**values))


def test_the_logistic_loss_is_stable(value_of):
    """Written with a logarithm of an exponential, where the exponential overflows."""
    row = TABLE["logistic loss"]
    X, w, y = (sv.data(name, *row.shapes[name]) for name in row.arguments)
    arrays = {X: np.array([[1.0], [-1.0]]), w: np.array([2000.0]), y: np.array([1.0, 1.0])}
    np.testing.assert_array_equal(value_of(sv.grad(row.function(X, w, y), w), arrays, {}), [1.0])
