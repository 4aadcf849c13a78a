"""The arithmetic of a region as a polynomial in the sizes: additions, multiplications, scalar functions at the cost of their table."""

from __future__ import annotations

from collections.abc import Iterable

from symvi.expr.dims import Dim
from symvi.expr.nodes import Apply, Contract, Reduce, Sum, Term
from symvi.loops.steps import RegionTerms, Step

__all__ = ["work_of", "volume", "DRAW"]

DRAW = 40  # operations of a random number, about


def work_of(terms: RegionTerms) -> Dim:
    """Operations of one run over all rows, draws inside the pass included."""
    total = Dim(0)
    for step in terms.steps:
        total = total + _operations(step, terms) * volume(label.dim for label in step.loops)
    drawn = {node.array for node in terms.local if getattr(node, "array", None) in terms.plan.block_draws}
    for array in drawn:
        total = total + DRAW * volume(array.shape)
    return total


def volume(dims: Iterable[Dim]) -> Dim:
    """The number of elements of an array, or of turns of nested loops."""
    total = Dim(1)
    for dim in dims:
        total = total * dim
    return total


def _operations(step: Step, terms: RegionTerms) -> int:
    """The operations of one turn of a step's loops: its own, and those of what is written inline."""
    if step.define and terms.product(step.term) is not None:
        return 2  # of a product of matrices
    count, stack, seen = 0, [step.term], set()
    while stack:
        node = stack.pop()
        if node in seen or (node in terms.defined and not (step.define and node is step.term)):
            continue
        seen.add(node)
        count += _own(node)
        stack.extend(terms.inner_children(node))
    return count


def _own(node: Term) -> int:
    if isinstance(node, Apply):
        return node.function.cost
    if isinstance(node, Sum):
        return len(node.children) - 1 + sum(abs(c) != 1 for c, _ in node.terms)
    if isinstance(node, Contract):
        return sum(abs(e) for _, e in node.factors) - 1 + bool(node.bound)
    return int(isinstance(node, Reduce))
