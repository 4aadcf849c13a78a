"""`sv.assume`: facts that cannot be derived, stated by the user."""

from __future__ import annotations

from math import inf
from typing import Any

from symvi.array.expression import Expr, array_of, as_expr, mistake, shape_text
from symvi.array.matrices import diagonal as diagonal_of
from symvi.errors import ExpressionError
from symvi.expr.facts import MATRIX_FACTS, TINY, Interval, assert_fact, assert_interval, keep
from symvi.expr.printing import text

__all__ = ["assume", "spd", "psd", "symmetric", "lower", "upper", "orthogonal"]

INTERVALS: dict[str, Interval] = {"positive": (TINY, inf), "nonnegative": (0.0, inf)}


class Fact(str):
    """A fact that `sv.assume` states."""

    __slots__ = ()


spd, psd, symmetric, lower, upper, orthogonal = (Fact(name) for name in ("spd", "psd", "symmetric", "lower", "upper", "orthogonal"))
diagonal_of.fact_name = "diagonal"  # `sv.assume(D, sv.diagonal)`: the function that takes the diagonal also names the fact


def assume(a: Any, *facts: Any) -> Expr:
    """State facts that cannot be derived: `sv.assume(K, sv.spd)`, `sv.assume(p, sv.interval(0, 1))`. Returns the same expression.

    Facts of matrices (last two axes): `sv.spd`, `sv.psd`, `sv.symmetric`, `sv.lower`, `sv.upper`, `sv.diagonal`, `sv.orthogonal`,
    `sv.lower_cholesky` (lower with a positive diagonal). Facts of numbers: `sv.positive`, `sv.nonnegative`, `sv.unit_interval`,
    `sv.interval(a, b)`, `sv.greater_than(a)`, `sv.less_than(b)`. What is stated is taken for true, and rewrites rely on it;
    `check=True` of `fit`, `maximize`, `function` and `compile` compares it with the data.
    """
    a = as_expr(a)
    for fact in facts:
        matrix, bounds = _meaning(fact)
        for name in matrix:
            _state_of_matrices(a, name)
        if bounds is not None:
            assert_interval(a.term, bounds)
    return a


def _meaning(fact: Any) -> tuple[tuple[str, ...], Interval | None]:
    """The matrix facts, or the interval, that a fact stands for: a name, a function that names one, or a support."""
    if getattr(fact, "matrix_facts", ()):
        return tuple(fact.matrix_facts), None
    name = getattr(fact, "fact_name", None) or fact
    if isinstance(name, str) and name in MATRIX_FACTS:
        return (name,), None
    bounds = INTERVALS.get(name) if isinstance(name, str) else getattr(fact, "interval", None)
    if bounds is None:
        raise mistake(
            f"assume knows the facts {', '.join((*MATRIX_FACTS, *INTERVALS))} and supports such as sv.interval(0, 1), not {fact!r}",
            ExpressionError,
        )
    return (), bounds


def _state_of_matrices(a: Expr, name: str) -> None:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise mistake(f"assume: {name} is a fact of square matrices, {text(a)} has dims {shape_text(a.shape)}")
    if a.axes[-1] is None:  # one by one: a number
        if name in ("spd", "psd", "positive_diagonal"):
            assert_interval(a.term, INTERVALS["nonnegative" if name == "psd" else "positive"])
        return
    array = array_of(a)
    assert_fact(array, name)
    keep(a.term, array)
