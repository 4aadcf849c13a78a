"""Ill-conditioned matrices: at most twice the error of the best of three LAPACK factorisations, no failure where one succeeds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import symvi as sv

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 13


@pytest.fixture(scope="module")
def table():
    """The module that makes the table of benchmarks/ill_conditioned.py."""
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks import ill_conditioned

        yield ill_conditioned
    finally:
        sys.path.remove(str(ROOT))


def test_no_row_is_worse_than_twice_the_best_of_lapack(table):
    rows = list(table.measure(table.cases(LARGEST)))
    assert {row.case for row in rows} >= {"empty", "Hilbert 13", "Kahan 10", "duplicated 12", "general 8, rows 1e±150"}
    assert [row for row in rows if not row.good] == []


def test_hand_written_forms_would_not_do(table):
    """Planted: each factorisation of LAPACK in our place makes bad rows, so the comparison tells them apart."""
    rows = [row for row in table.measure(case for case in table.cases(LARGEST) if "Hilbert" in case.name and case.definite)]
    for name in ("potrf", "getrf", "sytrf"):
        swapped = [table.Row(row.case, row.definite, row.quantity, row.theirs.get(name), row.theirs) for row in rows]
        assert any(not row.good for row in swapped), name


def solver(definite: bool):
    n = sv.dim("n")
    K, b = sv.data("K", n, n), sv.data("b", n)
    A = sv.assume(K, sv.spd) if definite else K
    return sv.function([K, b], [sv.linalg.solve(A, b), sv.linalg.logdet(A), sv.linalg.inv(A)])


@pytest.mark.parametrize("matrix", [-np.eye(3), np.diag([1.0, 1.0, -1e-3]), np.zeros((2, 2)), np.ones((4, 4))], ids=str)
def test_what_is_not_positive_definite_beyond_rounding_is_an_error(matrix):
    with pytest.raises(sv.NotPositiveDefiniteError):
        solver(True)(matrix, np.ones(len(matrix)))


@pytest.mark.parametrize("matrix", [np.zeros((2, 2)), np.ones((4, 4)), np.outer(np.arange(20.0), np.arange(20.0))], ids=["0", "1", "outer"])
def test_what_is_exactly_singular_is_an_error(matrix):
    with pytest.raises(sv.NonFiniteError):
        solver(False)(matrix, np.ones(len(matrix)))


def test_a_cholesky_factor_of_an_ill_conditioned_matrix(table):
    """The factor itself, when it is asked for: accurate where there is one, an error where the matrix is definite only but for rounding."""
    n = sv.dim("n")
    K = sv.data("K", n, n)
    factor = sv.function([K], sv.linalg.cholesky(K))
    for order in (6, 12):
        matrix = table.hilbert(order)
        L = factor(matrix)
        assert np.abs(L @ L.T - matrix).max() < 4e-16 and (np.triu(L, 1) == 0).all()
    with pytest.raises(sv.NotPositiveDefiniteError):
        factor(table.hilbert(20))


def test_a_function_reads_the_matrix_of_this_call():
    """Two calls at one size: operations on whole arrays see the new arrays."""
    f = solver(False)
    assert f(np.eye(2), np.ones(2))[1] == 0.0
    solved, logdet, inverse = f(2 * np.eye(2), np.ones(2))
    assert logdet == pytest.approx(2 * np.log(2)) and (solved == 0.5).all() and inverse[0, 0] == 0.5
