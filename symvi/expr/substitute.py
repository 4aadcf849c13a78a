"""Replace nodes below a root by others, through the one rebuild function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symvi.expr import provenance
from symvi.expr.build import rebuild
from symvi.expr.facts import inherit
from symvi.expr.nodes import Node, postorder

__all__ = ["substitute"]


def substitute(roots: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """`roots` with every occurrence of a key replaced. Arrays are replaced by arrays of the same shape, terms by terms
    with no further labels. Replacements are not searched again."""
    done: dict[Node, Node] = dict(replacements)
    for node in postorder(roots, lambda n: () if n in replacements else n.children):
        if node in done:
            continue
        children = tuple(done[child] for child in node.children)
        if children == node.children:
            done[node] = node
        else:
            with provenance.within(provenance.site_of(node)):
                done[node] = rebuild(node, children)
            inherit(node, done[node], done)  # what is stated holds for all values of the leaves
    return [done[root] for root in roots]
