"""logsumexp opened for loops: a maximum, a sum of shifted exponentials, a logarithm; its softmax keeps the exponentials.

The last pass on expressions before the plan: grouping that matters for rounding was kept in the atom until here.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from symvi.atoms.elementwise import absolute, exp, is_apply, less, log, where
from symvi.expr import provenance
from symvi.expr.build import constant, contract, rebuild, reduce
from symvi.expr.nodes import Apply, Node, Reduce, Sum, Surrogate, Term, postorder

__all__ = ["open_reductions", "role_of"]

INFINITY = constant(float("inf"))
_roles: WeakKeyDictionary = WeakKeyDictionary()


def role_of(node: Node) -> tuple[str, Node] | None:
    """What a node made here is for, and of which argument: ("max", x), ("shift", x), ("exp", x), ("sum_exp", x), ("norm", x)."""
    return _roles.get(node)


def _as(role: str, x: Term, node: Term) -> Term:
    if node.children and not isinstance(node, Sum):
        _roles.setdefault(node, (role, x))
    return node


def open_reductions(roots: Sequence[Node]) -> list[Node]:
    """The roots with every logsumexp in terms of max, exp, sum and log."""
    done: dict[Node, Node] = {}
    parts: dict[Reduce, tuple[Term, Term]] = {}
    for node in postorder(roots):
        with provenance.within(provenance.site_of(node)):
            if isinstance(node, Surrogate):  # differentiation is over: only the value is left
                done[node] = done[node.children[0]]
            elif isinstance(node, Reduce) and node.operation == "logsumexp":
                done[node] = _open(node, done[node.children[0]], parts)
            elif (source := _softmax_of(node)) is not None and source in parts:
                shifted, total = parts[source]
                done[node] = shifted / _as("norm", done[source.children[0]], where(less(0, total), total, 1.0))
            else:
                done[node] = rebuild(node, tuple(done[child] for child in node.children))
        provenance.replaced(node, done[node])
    return [done[root] for root in roots]


def _open(node: Reduce, x: Term, parts: dict) -> Term:
    top = _as("max", x, reduce("max", node.bound, x))
    shift = _as("shift", x, where(less(absolute(top), INFINITY), top, 0.0))
    shifted = _as("exp", x, exp(x - shift))
    total = _as("sum_exp", x, contract(node.bound, [(shifted, 1)]))
    parts[node] = (shifted, total)
    return log(total) + shift


def _softmax_of(node: Node) -> Reduce | None:
    """The logsumexp L of x if the node is exp(x - L), possibly with L masked where it is -inf."""
    if not is_apply(node, "exp") or not isinstance(node.children[0], Sum):
        return None
    terms = dict(zip(node.children[0].children, node.children[0].payload[0], strict=True))
    for term, coefficient in terms.items():
        inner = term.children[1] if isinstance(term, Apply) and term.function.name == "where" else term
        if coefficient == -1 and isinstance(inner, Reduce) and inner.operation == "logsumexp":
            if _difference(terms, term, inner.children[0]):
                return inner
    return None


def _difference(terms: dict, removed: Term, x: Term) -> bool:
    """Is the sum without `removed` equal to x?"""
    rest = {t: c for t, c in terms.items() if t is not removed}
    if isinstance(x, Sum):
        return rest == dict(zip(x.children, x.payload[0], strict=True))
    return rest == {x: 1}
