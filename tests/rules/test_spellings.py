"""The table of naive spellings, at a few points of each row and without a compiler: value and gradient by the reference interpreter."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.spellings.check import check_rows, error_of
from benchmarks.spellings.kernels import FORMS, interpret, spelling
from benchmarks.spellings.reference import evaluate_exactly
from benchmarks.spellings.rows import REAL, Row
from benchmarks.spellings.scalar_rows_exponential import ROWS
from symvi.array.expression import leaf_expr
from symvi.atoms.elementwise import log
from symvi.expr.dims import dim
from symvi.expr.leaf import Leaf

POINTS = 5
PLAIN = FORMS[:1]


def moderate(row):
    """The row at points for which few digits are enough."""
    leaves = {name: replace(leaf, infinite=False, largest=min(leaf.largest, 750.0)) for name, leaf in row.leaves.items()}
    return replace(row, leaves=leaves)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_value_and_gradient(row):
    (outcome,) = check_rows([moderate(row)], PLAIN, POINTS, interpret)
    assert outcome.points and not outcome.failures, outcome.failures[:3]


def test_a_wrong_spelling_is_seen():
    off = Row("e^x - 1 by hand", lambda f, x: f.exp(x) * f.exp(-x * 1e-9), {"x": REAL}, "")
    plain = Row("e^x", lambda f, x: f.exp(x), {"x": REAL}, "")
    (outcome,) = check_rows([plain], PLAIN, POINTS, lambda spellings, points: interpret([spelling(off, PLAIN[0])], points))
    assert outcome.failures


def test_the_reference_takes_the_digits_it_needs():
    leaf = Leaf("param", "x", (dim("P"),), "f")
    x = leaf_expr(leaf).term
    reference = evaluate_exactly([log(1 + x)], {"x": leaf}, {"x": np.array([1e-200, 2.0])}, {}, "P")
    assert list(reference.digits) == [400, 60]
    assert error_of(1e-200, reference.values[0][0]) < 1e-15
    assert error_of(0.0, reference.values[0][0]) == 1.0
