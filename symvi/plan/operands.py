"""Array atoms take arrays of their own kind: integers and booleans become real numbers before they are joined or solved."""

from __future__ import annotations

from collections.abc import Sequence

from symvi.atoms.elementwise import as_float, where
from symvi.expr import provenance
from symvi.expr.build import operator, read_own, rebuild, tensor
from symvi.expr.labels import canonical_axes
from symvi.expr.nodes import Array, Node, Operator, postorder

__all__ = ["cast_operands"]


def cast_operands(roots: Sequence[Node]) -> list[Node]:
    """The roots with every operand of an array atom of the kind of the atom's result."""
    done: dict[Node, Node] = {}
    for node in postorder(roots):
        children = tuple(done[child] for child in node.children)
        with provenance.within(provenance.site_of(node)):
            if isinstance(node, Operator) and any(child.kind != node.kind for child in children):
                done[node] = operator(node.atom, [_cast(child, node.kind) for child in children], node.attributes)
            else:
                done[node] = rebuild(node, children)
        provenance.replaced(node, done[node])
    return [done[root] for root in roots]


def _cast(array: Array, kind: str) -> Array:
    if array.kind == kind:
        return array
    own = read_own(array)
    return tensor(as_float(own) if kind == "f" else where(own, 1, 0), canonical_axes(array.shape))
