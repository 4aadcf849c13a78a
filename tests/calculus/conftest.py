"""What the tables of matrix derivatives share: values by the reference interpreter, and what counts as equal."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv
from symvi.expr.build import tensor
from symvi.oracle.interpreter import evaluate_one
from symvi.rules import simplify


def _value_of(expression: sv.Expr, values: dict[sv.Expr, np.ndarray], sizes: dict[str, int]) -> np.ndarray:
    (term,) = simplify([expression.term])
    array = tensor(term, tuple(axis for axis in expression.axes if axis is not None))
    value = evaluate_one(array, {leaf.leaf: value for leaf, value in values.items()}, sizes)
    return value.reshape([1 if dim == 1 else extent for dim, extent in _extents(expression, value)])


def _extents(expression: sv.Expr, value: np.ndarray):
    lengths = iter(value.shape)
    return [(dim, 1 if axis is None else next(lengths)) for dim, axis in zip(expression.shape, expression.axes, strict=True)]


def _assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    expected = np.asarray(expected, dtype=float)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, float(np.abs(expected).max(initial=0))))


@pytest.fixture(scope="session")
def value_of():
    """The value of an expression after all exact rules: `value_of(expression, {leaf: array}, sizes)`."""
    return _value_of


@pytest.fixture(scope="session")
def assert_close():
    """Equal in shape, and to 1e-9 of the largest entry."""
    return _assert_close
