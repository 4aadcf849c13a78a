"""softplus and sigmoid of one argument share their exponential: with e = exp(-|x|),

    softplus(x) = max(x, 0) + log(1 + e),    sigmoid(x) = (1 if x >= 0 else e) / (1 + e),

and the same e serves -x. Where only one of them occurs, the function is called by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

from symvi.atoms.elementwise import absolute, exp, greater_equal, is_apply, log1p_of_exp, maximum, where
from symvi.expr import provenance
from symvi.expr.build import rebuild
from symvi.expr.nodes import Node, Term, order_key, postorder

__all__ = ["share_exponentials"]


def share_exponentials(roots: Sequence[Node]) -> list[Node]:
    """The roots with softplus and sigmoid opened where they have an argument, up to its sign, in common."""
    uses: dict[Term, set[Node]] = {}
    for node in postorder(roots):
        if _is_sharing(node):
            uses.setdefault(_without_sign(node.children[0]), set()).add(node)
    shared = {node for group in uses.values() if len(group) > 1 for node in group}
    done: dict[Node, Node] = {}
    for node in postorder(roots):
        children = tuple(done[child] for child in node.children)
        with provenance.within(provenance.site_of(node)):
            done[node] = _open(node.name, children[0]) if node in shared else rebuild(node, children)
        provenance.replaced(node, done[node])
    return [done[root] for root in roots]


def _is_sharing(node: Node) -> bool:
    return is_apply(node, "softplus") or is_apply(node, "sigmoid")


def _without_sign(x: Term) -> Term:
    """x or -x, the same for both."""
    return min(x, -x, key=order_key)


def _open(name: str, x: Term) -> Term:
    e = exp(-absolute(_without_sign(x)))
    if name == "softplus":
        return maximum(x, 0.0) + log1p_of_exp(e)
    return where(greater_equal(x, 0), 1.0, e) / (1 + e)
