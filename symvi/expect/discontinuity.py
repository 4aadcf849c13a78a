"""Does an expression choose by the value of a latent? Then a gradient through draws may miss a jump."""

from __future__ import annotations

from symvi.array.expression import Expr
from symvi.expr import provenance
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Apply, Delta, Input, Node, Read, postorder

__all__ = ["jump_of"]

CHOICES = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "floor", "ceil", "sign", "floor_divide", "remainder")


def jump_of(expression: Expr, latents: set[Leaf]) -> str | None:
    """The user's line (or the text) of a comparison, rounding or index that reads one of the latents, or None."""
    depends: dict[Node, bool] = {}
    for node in postorder([expression.term]):
        if isinstance(node, Input):
            depends[node] = node.leaf in latents
            continue
        depends[node] = any(depends[child] for child in node.children)
        if not depends[node]:
            continue
        chooses = isinstance(node, Apply) and node.function.name in CHOICES
        indexes = isinstance(node, (Read, Delta)) and any(depends[child] for child in node.children if child.is_term)
        if chooses or indexes:
            return str(provenance.site_of(node) or expression)
    return None
