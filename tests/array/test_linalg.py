"""sv.linalg against numpy.linalg and SciPy, batches and extents of 1 included."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.linalg

import symvi as sv

rng = np.random.default_rng(5)


def square(*batch, n=3):
    return rng.normal(size=(*batch, n, n)) + 3 * np.eye(n)


def definite(*batch, n=3):
    a = square(*batch, n=n)
    return a @ np.swapaxes(a, -1, -2)


MATRICES = [
    square(),
    square(n=1),
    square(n=2),
    square(2),
    square(2, 4),
    square(3),
    square(1),
    square(1, 2),
    square(5, n=1),
    square(1, n=1),
    square(0),
    square(n=0),
]


@pytest.mark.parametrize("number", range(len(MATRICES)))
def test_functions_of_a_matrix(agrees, number):
    a = MATRICES[number]
    agrees(lambda m, a: m.linalg.inv(a), a)
    agrees(lambda m, a: m.linalg.det(a), a)
    agrees(lambda m, a: m.linalg.slogdet(a)[1], a)
    agrees(lambda m, a: m.linalg.slogdet(a)[0], a)
    agrees(lambda m, a: sv.linalg.logdet(a) if m is sv else np.linalg.slogdet(a)[1], a)
    agrees(lambda m, a: m.linalg.cholesky(a @ a.mT), a)
    agrees(lambda m, a: m.linalg.inv(a @ a.mT + 1.0), a)
    agrees(lambda m, a: m.linalg.diagonal(a), a)
    agrees(lambda m, a: m.linalg.trace(a), a)


SYSTEMS = [
    ((3, 3), (3,)), ((3, 3), (3, 2)), ((3, 3), (3, 3)), ((3, 3), (3, 1)), ((1, 1), (1,)), ((1, 1), (1, 4)), ((2, 3, 3), (2, 3, 4)),
    ((2, 3, 3), (3, 4)),
    ((3, 3), (2, 3, 4)), ((1, 3, 3), (2, 3, 4)), ((2, 3, 3), (1, 3, 4)), ((2, 3, 3), (3,)), ((5, 1, 3, 3), (2, 3, 4)),
    ((3, 3, 3), (3, 3, 3)), ((2, 1, 1), (2, 1, 4)),
]  # fmt: skip


def make(shape, lower=False):
    a = rng.normal(size=shape) + 3 * np.eye(shape[-1])
    return np.tril(a) if lower else a


@pytest.mark.parametrize("left, right", SYSTEMS)
def test_solve(agrees, left, right):
    b = rng.normal(size=right)
    agrees(lambda m, a, b: m.linalg.solve(a, b), make(left), b)
    agrees(lambda m, a, b: m.linalg.solve(a @ a.mT, b), make(left), b)
    agrees(lambda m, a, b: sv.linalg.solve_triangular(a, b) if m is sv else np.linalg.solve(a, b), make(left, True), b)
    agrees(
        lambda m, a, b: sv.linalg.solve_triangular(a, b, trans=1) if m is sv else np.linalg.solve(np.swapaxes(a, -1, -2), b),
        make(left, True),
        b,
    )


def test_solve_triangular_as_scipy(agrees):
    a, b = square(), rng.normal(size=(3, 2))
    for lower, trans in itertools.product((True, False), (0, 1, "N", "T")):
        options = {"lower": lower, "trans": trans}
        agrees(lambda m, a, b, o=options: (sv.linalg if m is sv else scipy.linalg).solve_triangular(a, b, **o), a, b)


@pytest.mark.parametrize(
    "a, x", [((3, 3), (3,)), ((3, 3), (5, 3)), ((2, 3, 3), (2, 3)), ((2, 3, 3), (3,)), ((1, 1), (1,)), ((5, 1, 3, 3), (2, 3))]
)
def test_quad(agrees, a, x):
    agrees(lambda m, a, x: sv.linalg.quad(a, x) if m is sv else np.einsum("...i,...ij,...j->...", x, a, x), make(a), rng.normal(size=x))


def test_textbook_formulas(agrees):
    """Density of a Gaussian, a Woodbury solve, a Mahalanobis distance, a Schur complement."""
    K, y, U = definite(), rng.normal(size=3), rng.normal(size=(3, 2))
    agrees(lambda m, K, y: -0.5 * y @ m.linalg.inv(K) @ y - 0.5 * m.log(m.linalg.det(K)), K, y)
    agrees(lambda m, K, y, U: m.linalg.solve(K + U @ U.T, y), K, y, U)
    agrees(lambda m, K, U: U.T @ m.linalg.inv(K) @ U, K, U)
    agrees(lambda m, K: m.linalg.inv(m.linalg.inv(K)), K)
    agrees(lambda m, K: m.linalg.cholesky(K) @ m.linalg.cholesky(K).T, K)
    agrees(lambda m, K: m.trace(m.linalg.inv(K) @ K), K)


def test_square_matrices_of_equal_extent_in_a_batch(agrees):
    """The batch has the dim of the matrices: nothing may be confused."""
    a = square(3)
    agrees(lambda m, a: m.linalg.inv(a).T, a)
    agrees(lambda m, a: a @ m.linalg.inv(a), a)
    agrees(lambda m, a: m.linalg.inv(a[:, :, ::-1])[..., 0], a)
