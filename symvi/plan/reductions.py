"""logsumexp opened for loops: a maximum, a sum of the other shifted exponentials, a logarithm; its softmax keeps the exponentials.

The last pass on expressions before the plan: grouping that matters for rounding was kept in the atom until here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from symvi.atoms.elementwise import absolute, deviation, equal, exp, is_apply, less, log1p, minus_in_order, where
from symvi.expr import provenance
from symvi.expr.build import add, constant, contract, multiply, rebuild, reduce
from symvi.expr.nodes import Apply, Contract, Node, Reduce, Sum, Surrogate, Term, postorder

__all__ = ["open_reductions", "role_of"]

INFINITY = constant(float("inf"))
_roles: WeakKeyDictionary = WeakKeyDictionary()


def role_of(node: Node) -> tuple[str, Node] | None:
    """What a node made here is for, and of which argument x: ("max", x); also "shift", "exp", "sum_exp", "count" and "norm"."""
    return _roles.get(node)


def _as(role: str, x: Term, node: Term) -> Term:
    if node.children and not isinstance(node, Sum):
        _roles.setdefault(node, (role, x))
    return node


class _Opened(NamedTuple):
    """The parts of log Σ e^x: where e^(x - max) is below 1 and how often it is not, e^(x - max), their sum, log(Σ e^(x - max))."""

    top: Term
    is_below: Term
    largest: Term
    shifted: Term
    total: Term
    log_total: Term


def open_reductions(roots: Sequence[Node]) -> list[Node]:
    """The roots with every logsumexp in terms of max, exp, sum and log."""
    done: dict[Node, Node] = {}
    parts: dict[Reduce, _Opened] = {}
    for node in postorder(roots):
        with provenance.within(provenance.site_of(node)):
            if isinstance(node, Surrogate):  # differentiation is over: only the value is left
                done[node] = done[node.children[0]]
            elif isinstance(node, Reduce) and node.operation == "logsumexp":
                parts[node] = _open(node, done[node.children[0]])
                done[node] = parts[node].log_total + parts[node].top
            elif (source := _softmax_of(node)) is not None and source in parts:
                total = parts[source].total
                done[node] = parts[source].shifted / _as("norm", done[source.children[0]], where(less(0, total), total, 1.0))
            else:
                done[node] = _open_sum(node, done, parts) if isinstance(node, Sum) else None
                done[node] = done[node] or rebuild(node, tuple(done[child] for child in node.children))
        provenance.replaced(node, done[node])
    return [done[root] for root in roots]


def _open(node: Reduce, x: Term) -> _Opened:
    """max + log1p(the others): next to e^0 = 1 the small ones would lose their digits. Largest ones beside the first count as others."""
    top = _as("max", x, reduce("max", node.bound, x))
    shift = _as("shift", x, where(less(absolute(top), INFINITY), top, 0.0))
    shifted = _as("exp", x, exp(deviation(x, shift)))  # 1 where x is the largest, whatever x is rounded by
    is_below = less(shifted, 1)
    others = _as("sum_exp", x, contract(node.bound, [(where(is_below, shifted, 0.0), 1)]))
    largest = _as("count", x, contract(node.bound, [(where(is_below, 0.0, 1.0), 1)]))
    log_total = log1p(where(equal(largest, 1), others, others + (largest - 1)))
    return _Opened(top, is_below, largest, shifted, others + largest, log_total)


def _open_sum(node: Sum, done: dict[Node, Node], parts: dict[Reduce, _Opened]) -> Node | None:
    """A sum that cancels where an entry of a softmax is near 1: its logarithm x - logsumexp(x), and its derivative."""
    if not parts or len(node.children) < 2:
        return None
    terms = dict(zip(node.children, node.payload[0], strict=True))
    for term, coefficient in terms.items():
        if isinstance(term, Reduce) and term in parts:
            scaled = {t: -coefficient * c for t, c in _terms(term.children[0]).items()}
            if scaled.items() <= terms.items():
                opened = parts[term]
                apart = minus_in_order(done[term.children[0]], opened.top, opened.log_total)
                rest = [(c, done[t]) for t, c in terms.items() if t not in scaled and t is not term]
                return add([(-coefficient, apart), *rest])
    return _open_derivative(terms, done, parts)


def _open_derivative(terms: dict, done: dict[Node, Node], parts: dict[Reduce, _Opened]) -> Node | None:
    """s t - s Σ s t = s (t' - Σ s t') for a softmax s and t' = t - (t where s is largest): there nothing cancels."""
    for lower, coefficient in terms.items():
        for factor in lower.children if isinstance(lower, Contract) and not lower.bound else ():
            source = _softmax_of(factor)
            if source not in parts:
                continue
            for upper, opposite in terms.items():
                if opposite != -coefficient or not isinstance(upper, Contract) or upper.bound:
                    continue
                twin = next((f for f, e in upper.factors if e == 1 and _softmax_of(f) is source), None)
                if twin is None or contract(source.bound, upper.factors) * factor is not lower:
                    continue
                opened, share = parts[source], done[factor]
                t = multiply([(done[f], e) for f, e in upper.factors if f is not twin])
                count = where(less(0, opened.largest), opened.largest, 1.0)  # 0 without entries
                there = contract(source.bound, [(where(opened.is_below, 0.0, t), 1)]) / count
                mean = contract(source.bound, [(share, 1), (t - there, 1)])
                rest = [(c, done[other]) for other, c in terms.items() if other is not lower and other is not upper]
                return add([(opposite, share * minus_in_order(t, there, mean)), *rest])
    return None


def _terms(x: Term) -> dict:
    return dict(zip(x.children, x.payload[0], strict=True)) if isinstance(x, Sum) else {x: 1}


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
    return {t: c for t, c in terms.items() if t is not removed} == _terms(x)
