"""Terms through their views: at which axes an array is read by two labels, and what a function is applied to."""

from __future__ import annotations

from symvi.expr.build import Index, rename
from symvi.expr.facts.forms import labels_of
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Read, Tensor, Term

__all__ = ["is_twin", "opened_view", "argument_of"]


def is_twin(left: Index, right: Index, i: Label, j: Label) -> bool:
    """Is one index term the other with i and j exchanged, so that both are one function of a row?"""
    if isinstance(left, Label) or isinstance(right, Label) or {i, j} <= left.labels:
        return False
    return rename(left, {i: j, j: i}) is right


def opened_view(term: Read, i: Label, j: Label) -> tuple[int, int] | None:
    """The axes of an array that are read at f(i) and f(j), where neither occurs elsewhere."""
    carriers = [(p, index) for p, index in enumerate(term.indices) if {i, j} & labels_of(index)]
    if len(carriers) != 2:
        return None
    (p, left), (q, right) = carriers
    if j in labels_of(left):
        (p, left), (q, right) = (q, right), (p, left)
    same = (left, right) == (i, j) or is_twin(left, right, i, j)
    return (p, q) if same else None


def argument_of(term: Term, name: str) -> Term | None:
    """x of f(x), seen through a view."""
    inner = term.array.term if isinstance(term, Read) and isinstance(term.array, Tensor) else term
    if not isinstance(inner, Apply) or inner.function.name != name:
        return None
    (x,) = inner.children
    return x if inner is term else rename(x, dict(zip(term.array.axes, term.indices, strict=True)))
