"""Sums of products that are quadratic forms or traces of products of definite matrices are not negative; others are left alone."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv
from symvi.array.expression import array_of
from symvi.expr.facts import interval, is_nonnegative, is_positive, matrix_facts
from symvi.oracle.interpreter import evaluate_one
from symvi.oracle.random_inputs import random_values

N, M, B = sv.dims("N M B")
inv, trace, solve, quad = sv.linalg.inv, sv.linalg.trace, sv.linalg.solve, sv.linalg.quad
A, H, U, x, y = sv.data("A", N, N), sv.data("H", N, N), sv.data("U", N, M), sv.data("x", N), sv.data("y", N)
S = sv.assume(sv.data("S", N, N), sv.spd)
P = sv.assume(sv.data("P", N, N), sv.psd)
Q = sv.assume(sv.data("Q", M, M), sv.psd)
R = sv.assume(sv.data("R", N, N), sv.symmetric)
batch = sv.assume(sv.data("batch", B, N, N), sv.spd)
v, w = sv.data("v", M), sv.data("w", N)
p = sv.param("p", N, support=sv.positive)
K = sv.exp(-((x[:, None] - x[None, :]) ** 2)) + 0.1 * sv.eye(N)

FORMS = {
    "quadratic form": x @ S @ x,
    "of a semidefinite matrix": x @ P @ x,
    "of an inverse": x @ inv(S) @ x,
    "of a solve": x @ solve(S, x),
    "of a kernel": x @ solve(K, x),
    "quad": quad(P, x),
    "of a residual": (y - U @ v) @ inv(K) @ (y - U @ v),
    "of an image": (A @ x) @ P @ (A @ x),
    "batch": sv.sum(sv.einsum("i,bij,j->b", x, batch, x)),
    "trace of a semidefinite matrix": trace(P),
    "trace of a product": trace(P @ S),
    "trace of an inverse times a gram matrix": trace(inv(S) @ (A @ A.T)),
    "trace of a congruence": trace(U @ Q @ U.T),
    "trace of a gram matrix": trace(A @ A.T),
    "sum of a gram matrix": sv.sum(A @ A.T),
    "squared norm": x @ x,
    "weighted squared norm": sv.sum(p * x**2),
    "frobenius norm": sv.sum(A * A),
    "two forms": (x @ S @ x) * (y @ P @ y),
}
OTHERS = {
    "of a general matrix": x @ A @ x,
    "of a symmetric matrix": x @ R @ x,
    "bilinear": x @ S @ y,
    "trace of a square": trace(A @ A),
    "trace of a general product": trace(A @ H),
    "trace of three semidefinite matrices": trace(P @ S @ (A @ A.T)),
    "weights of unknown sign": sv.sum(w * x**2),
    "inner product": x @ y,
    "solve of a general matrix": x @ solve(A, x),
    "sum of a semidefinite matrix and another": sv.sum(P * R),
}
POSITIVE = {
    "one more": 1 + x @ S @ x,
    "diagonal of an inverse": sv.diagonal(inv(S)),
    "diagonal of a factor": sv.diagonal(sv.linalg.cholesky(S)),
    "diagonal of a definite matrix": sv.diagonal(S),
}


def smallest(expression, seed):
    values = random_values([expression.term], {"N": 3, "M": 2, "B": 2}, np.random.default_rng(seed))
    return np.min(evaluate_one(expression.term, values, {"N": 3, "M": 2, "B": 2}))


@pytest.mark.parametrize("name", [*FORMS, *POSITIVE])
def test_forms_are_found_and_are_not_negative(name):
    expression = {**FORMS, **POSITIVE}[name]
    assert is_nonnegative(expression.term)
    assert is_positive(expression.term) == (name in POSITIVE)
    assert all(smallest(expression, seed) >= 0 for seed in range(3))


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_is_claimed_of_other_sums(name):
    assert interval(OTHERS[name].term)[0] == -np.inf


CONGRUENCES = {
    "semidefinite": ("psd", [A @ P @ A.T, U @ Q @ U.T, U.T @ inv(S) @ U, U.T @ solve(S, U), A @ (P @ S @ P) @ A.T, (A @ U) @ (A @ U).T]),
    "symmetric": ("symmetric", [A @ R @ A.T, A @ (H + H.T) @ A.T, U.T @ (A + A.T) @ U, A @ H.T + H @ A.T]),
    "definite": ("spd", [U @ Q @ U.T + p[0] * sv.eye(N), U @ U.T + S, inv(inv(S) + A.T @ A)]),
}


@pytest.mark.parametrize("name", CONGRUENCES)
def test_congruences(name):
    fact, matrices = CONGRUENCES[name]
    for matrix in matrices:
        facts = matrix_facts(array_of(matrix))
        assert fact in facts and (fact != "symmetric" or "psd" not in facts)
        values = random_values([matrix.term], {"N": 3, "M": 2}, np.random.default_rng(1))
        value = evaluate_one(array_of(matrix), values, {"N": 3, "M": 2})
        np.testing.assert_allclose(value, value.T, rtol=1e-12, atol=1e-12)
        least = np.linalg.eigvalsh(value).min() / abs(value).max()
        assert least > {"psd": -1e-12, "spd": 0, "symmetric": -np.inf}[fact]


@pytest.mark.parametrize("matrix", [A @ S @ H.T, A @ S @ A, A @ A, U @ Q @ (2 * A @ U).T, A @ H + H @ A], ids=str)
def test_products_that_are_not_symmetric(matrix):
    assert not matrix_facts(array_of(matrix)) & {"symmetric", "psd", "spd"}


def test_triangles_of_products_and_inverses():
    low, up = sv.tril(A), sv.triu(A)
    factor = sv.linalg.cholesky(S)
    assert "lower" in matrix_facts(array_of(low @ sv.tril(H))) and "upper" in matrix_facts(array_of(up @ sv.triu(H)))
    assert "upper" in matrix_facts(array_of(low.T)) and "lower" in matrix_facts(array_of(inv(low)))
    assert not matrix_facts(array_of(low @ up)) & {"lower", "upper"}
    assert {"lower", "positive_diagonal"} <= matrix_facts(array_of(sv.tril(A, -1) + sv.eye(N)))
    assert not matrix_facts(array_of(sv.tril(A, 1))) & {"lower", "upper"}
    assert {"lower", "positive_diagonal"} <= matrix_facts(array_of(inv(factor)))
    assert "spd" in matrix_facts(array_of(factor @ factor.T)) and "spd" not in matrix_facts(array_of(low @ low.T))
    assert {"diagonal", "spd"} <= matrix_facts(array_of(sv.diag(p))) and "spd" not in matrix_facts(array_of(sv.diag(x)))
