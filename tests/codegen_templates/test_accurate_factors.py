"""Factors in twice the precision, in float32: both forms, transposes, panels of columns. float64 is tested through kernels."""

import numpy as np
import pytest

from symvi.codegen_templates import accurate_factors as factors

KIND = np.float32
EPS = np.finfo(KIND).eps


def made(matrix, definite):
    """(status, the factor) of a matrix."""
    n = len(matrix)
    parts = np.full((n, n), 7, KIND), np.full((n + 2 * factors.PANEL, n), 7, KIND), np.full(3 * n + 1, 7, np.int32)
    return (factors.factor_definite if definite else factors.factor_general)(matrix, *parts), parts


def relative(got, want):
    return np.abs(got - want).max(initial=0.0) / max(np.abs(want).max(initial=0.0), 1e-300)


@pytest.mark.parametrize("n", [0, 1, 5, 17, 80])
@pytest.mark.parametrize("definite", [False, True])
def test_against_numpy(n, definite):
    rng = np.random.default_rng(n)
    matrix = rng.normal(size=(n, n))
    matrix = (matrix @ matrix.T / max(n, 1) + np.eye(n) if definite else matrix / np.sqrt(max(n, 1)) + 2 * np.eye(n)).astype(KIND)
    exact = matrix.astype(float)
    status, factor = made(matrix, definite)
    assert status == 0
    plain = not definite and n > factors.SMALL_FACTOR and factor[2][n] == factors.PLAIN_LU
    tolerance = 200 * EPS if plain else 2 * EPS
    for columns in (0, 1, 3, 2 * factors.PANEL + 1):
        for transposed in (False, True):
            right = rng.normal(size=(n, columns)).astype(KIND)
            solved = right.copy()
            factors.eliminated_solve(*factor, solved, transposed)
            assert relative(solved, np.linalg.solve(exact.T if transposed else exact, right.astype(float))) < tolerance
    sign, logdet = factors.eliminated_slogdet(*factor)
    expected = np.linalg.slogdet(exact)
    assert sign == expected[0] and abs(logdet - expected[1]) <= tolerance * (1 + abs(expected[1]))
    if definite:
        lower = np.empty((n, n), KIND)
        assert factors.eliminated_lower_factor(factor[0], factor[2], lower) == 0
        assert relative(lower, np.linalg.cholesky(exact)) < tolerance


def test_an_ill_conditioned_matrix_keeps_its_digits():
    hilbert = (1.0 / (np.arange(6)[:, None] + np.arange(6) + 1.0)).astype(KIND)  # condition 1e7: float32 would have none left
    right = np.ones((6, 1), KIND)
    for definite in (False, True):
        status, factor = made(hilbert, definite)
        solved = right.copy()
        factors.eliminated_solve(*factor, solved, False)
        assert status == 0 and relative(solved, np.linalg.solve(hilbert.astype(float), right.astype(float))) < 4 * EPS


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.ones((3, 3)), np.full((2, 2), np.nan), np.diag([1.0, np.inf])], ids=str)
def test_singular_matrices_have_a_status(matrix):
    assert made(matrix.astype(KIND), False)[0] > 0
    status, factor = made(matrix.astype(KIND), True)
    assert status > 0 and np.isnan(factor[0]).all()
