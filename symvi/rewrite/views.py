"""Heavy terms through their views: the same mathematics on any labels.

A heavy term exists on canonical labels only; elsewhere it is read as `at(tensor(term), labels)`. Rules speak of the
mathematics, so the matcher opens views: what it sees are the operands under the labels of the view.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from symvi.expr.build import Index, rename
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Contract, Node, Operator, Read, Reduce, Sum, Tensor, Term

__all__ = ["head_of", "common_coefficient", "opened", "arguments_of", "opened_sum", "opened_reduction", "fresh_labels", "operator_read"]


def opened(term: Term) -> tuple[Term, dict[Label, Index]]:
    """The heavy term behind a view and the renaming that the view applies; any other term is itself."""
    if isinstance(term, Read) and isinstance(term.array, Tensor):
        array = term.array
        return array.term, {axis: index for axis, index in zip(array.axes, term.indices, strict=True) if axis != index}
    return term, {}


def leads_with_minus(term: Term) -> bool:
    """Of a sum and its negative, one does."""
    return isinstance(term, Sum) and term.terms[0][0] < 0


def arguments_of(term: Term, name: str) -> tuple[Term, ...] | None:
    """The arguments of an application of the function `name`, seen through views; None for other terms."""
    inner, renaming = opened(term)
    if not isinstance(inner, Apply) or inner.function.name != name:
        return None
    return tuple(rename(child, renaming) for child in inner.children) if renaming else inner.children


def common_coefficient(term: Term) -> Fraction:
    """c for c (x ± y ± ...), a sum whose coefficients differ in sign only; the first of them counts. 1 for any other term."""
    if not isinstance(term, Sum) or len(term.children) < 2:
        return Fraction(1)
    coefficients = [coefficient for coefficient, _ in term.terms]
    return coefficients[0] if all(abs(c) == abs(coefficients[0]) for c in coefficients) else Fraction(1)


def fresh_labels(labels: Iterable[Label], avoid: Iterable[Label]) -> dict[Label, Label]:
    """New labels of the same dims that meet none of `avoid`."""
    top: dict = {}
    for label in avoid:
        top[label.dim] = max(top.get(label.dim, -1), label.number)
    fresh = {}
    for label in labels:
        top[label.dim] = top.get(label.dim, -1) + 1
        fresh[label] = Label(label.dim, top[label.dim])
    return fresh


def _apart(inner: Term, bound, renaming, avoid) -> tuple[dict, dict]:
    """The renaming of a body under a view, with its bound labels moved out of the way."""
    used = {*avoid, *(label for index in renaming.values() for label in ([index] if isinstance(index, Label) else index.labels))}
    if not renaming and not used & set(bound):
        return {}, {label: label for label in bound}
    moved = fresh_labels(bound, {*used, *inner.labels, *bound})
    return {**renaming, **moved}, moved


def opened_sum(term: Term, avoid: Iterable[Label] = ()) -> tuple[tuple[Label, ...], tuple[tuple[Term, int], ...]] | None:
    """(bound labels, factors) of a contraction over at least one label, seen through views; bound labels meet none of `avoid`."""
    inner, renaming = opened(term)
    if not isinstance(inner, Contract) or not inner.bound:
        return None
    mapping, moved = _apart(inner, inner.bound, renaming, set(avoid))
    factors = tuple((rename(f, mapping), e) for f, e in inner.factors) if mapping else inner.factors
    return tuple(moved[label] for label in inner.bound), factors


def opened_reduction(term: Term, operation: str, avoid: Iterable[Label] = ()) -> tuple[tuple[Label, ...], Term] | None:
    """(bound labels, body) of a reduction, seen through views; bound labels meet none of `avoid`."""
    inner, renaming = opened(term)
    if not isinstance(inner, Reduce) or inner.operation != operation:
        return None
    mapping, moved = _apart(inner, inner.bound, renaming, set(avoid))
    body = inner.children[0]
    return tuple(moved[label] for label in inner.bound), rename(body, mapping) if mapping else body


def operator_read(term: Term, name: str) -> tuple[Operator, tuple[Index, ...]] | None:
    """(operator, indices) of a read of the array atom `name`."""
    if isinstance(term, Read) and isinstance(term.array, Operator) and term.array.name == name:
        return term.array, term.indices
    return None


def head_of(node: Node) -> str:
    """What rules are filed under: `exp`, `logsumexp`, `solve()`, `read solve()`, `sum`, `product`, else the kind of node."""
    if isinstance(node, (Apply, Reduce)):
        return node.name
    if isinstance(node, Operator):
        return f"{node.name}()"
    if isinstance(node, Read):
        return f"read {node.array.name}()" if isinstance(node.array, Operator) else "read"
    if isinstance(node, Sum):
        return "sum"
    if isinstance(node, Contract):
        return "product"
    return type(node).__name__.lower()
