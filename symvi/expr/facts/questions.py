"""The questions that facts answer, each in terms of the others: intervals, facts of matrices, definiteness.

A trace is not negative because a matrix is definite, which is so because a weight is positive. So the questions stand here, and the
files that know the answers register them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symvi.expr.facts.assertions import Interval, stated_interval
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Operator, Term, postorder

__all__ = ["answers", "interval", "is_positive", "is_nonnegative", "is_nonzero", "matrix_facts", "is_nonsingular", "definite"]

_answers: dict[str, Callable] = {}


def answers(question: str) -> Callable[[Callable], Callable]:
    """Register the answer to a question."""

    def register(function: Callable) -> Callable:
        _answers[question] = function
        return function

    return register


def interval(term: Term) -> Interval:
    """Bounds (closed, possibly infinite) of the values of a term. A lower bound of 5e-324 stands for "positive"."""
    if "interval" not in term.memo:
        answer: Any = _answers["interval"]
        for node in postorder((term,), lambda n: [child for child in n.children if "interval" not in child.memo]):
            if "interval" not in node.memo:
                bounds, stated = answer(node), stated_interval(node)
                node.memo["interval"] = bounds if stated is None else (max(bounds[0], stated[0]), min(bounds[1], stated[1]))
    return term.memo["interval"]


def is_positive(term: Term) -> bool:
    return interval(term)[0] > 0


def is_nonnegative(term: Term) -> bool:
    return interval(term)[0] >= 0


def is_nonzero(term: Term) -> bool:
    lo, hi = interval(term)
    return lo > 0 or hi < 0


def matrix_facts(array: Array) -> frozenset[str]:
    """Facts of the matrices in the last two axes of an array."""
    if "matrix_facts" not in array.memo:  # inner arrays first: depth is no limit
        answer: Any = _answers["matrix facts"]
        for node in postorder((array,), lambda n: [child for child in n.children if "matrix_facts" not in child.memo]):
            if not node.is_term and "matrix_facts" not in node.memo:
                node.memo["matrix_facts"] = answer(node)
    return array.memo["matrix_facts"]


def is_nonsingular(array: Array) -> bool:
    facts = matrix_facts(array)
    triangular = bool(facts & {"lower", "upper"}) and "positive_diagonal" in facts
    return triangular or bool(facts & {"spd", "orthogonal"}) or (isinstance(array, Operator) and array.name == "inverse")


def definite(term: Term, i: Label, j: Label) -> str | None:
    """"spd", "psd" or None for the matrix term[i, j]."""
    return _answers["definite"](term, i, j)
