"""Nodes replaced in expressions, at every depth, and values held: what the passes of the plan end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symvi.expr import provenance
from symvi.expr.build import constant, rebuild, surrogate
from symvi.expr.nodes import Node, Surrogate, Term, postorder

__all__ = ["held", "with_replaced"]


def with_replaced(changes: Mapping[Node, Node], roots: Sequence[Term]) -> list[Term]:
    """The roots with every key of `changes` replaced. What replaces a node may hold others that are replaced, too."""
    if not changes:
        return list(roots)
    done: dict[Node, Node] = {}
    for node in postorder(roots, lambda node: (changes[node],) if node in changes else node.children):
        with provenance.within(provenance.site_of(node)):
            done[node] = done[changes[node]] if node in changes else rebuild(node, tuple(done[child] for child in node.children))
        provenance.replaced(node, done[node])
    return [done[root] for root in roots]


def held(term: Term) -> Term:
    """The term as a value of its own: a surrogate, which is not flattened into the sums and products that contain it."""
    return term if isinstance(term, Surrogate) else surrogate(term, constant(0.0))
