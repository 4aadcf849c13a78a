"""Reverse mode: one sweep from a scalar gives the gradient by every array asked for, as expressions.

Derivatives are closed in the language: gradients can be differentiated again. The argument has been through the
stabilise stage before it arrives here (law 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symvi.atoms.array_atom import axes_of
from symvi.calculus.rules import apply_vjp, as_real, contract_vjp, join_masks, read_vjp, reduce_vjp, send, sum_vjp
from symvi.expr import provenance
from symvi.expr.build import add, constant
from symvi.expr.nodes import (
    Apply,
    Array,
    Contract,
    Node,
    Operator,
    Read,
    Reduce,
    Sum,
    Surrogate,
    Tensor,
    Term,
    postorder,
)

__all__ = ["gradients", "pullback", "dependents"]


def dependents(roots: Iterable[Node], leaves: Iterable[Node]) -> dict[Node, bool]:
    """For every node below `roots`: does it depend on one of `leaves` through differentiable edges?"""
    leaves = set(leaves)
    depends: dict[Node, bool] = {}
    for node in postorder(roots, lambda n: () if n in leaves else _differentiable_children(n)):
        depends[node] = node in leaves or any(depends[child] for child in _differentiable_children(node))
    return depends


def _differentiable_children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Surrogate):
        return node.children[1:]
    if isinstance(node, Read):
        return node.children[:1]
    return tuple(child for child in node.children if child.kind == "f")


def gradients(scalar: Term, arrays: Sequence[Array]) -> list[Term]:
    """∂ scalar / ∂ array for each array, as terms on the canonical axes of the array."""
    return pullback([(scalar, constant(1.0))], arrays)


def pullback(seeds: Sequence[tuple[Node, Term]], arrays: Sequence[Array]) -> list[Term]:
    """Vector-Jacobian products: seeds are (node, adjoint); an array's adjoint is on its canonical axes."""
    roots = [node for node, _ in seeds]
    depends = dependents(roots, arrays)
    adjoints: dict[Node, list[Term]] = {}
    for node, seed in seeds:
        adjoints.setdefault(node, []).append(as_real(seed))
    targets = set(arrays)
    for node in reversed(list(postorder(roots, lambda n: () if n in targets else _differentiable_children(n)))):
        if node not in adjoints or not depends[node] or node in targets:
            continue
        with provenance.within(provenance.site_of(node)):
            adjoint = join_masks(add([(1, a) for a in adjoints.pop(node)]))
        provenance.record_adjoint(adjoint, node)
        with provenance.within(provenance.site_of(node)):
            for child, contribution in _vjp(node, adjoint):
                if depends.get(child):
                    adjoints.setdefault(child, []).append(contribution)
    with provenance.within(provenance.site_of(roots[0])):
        return [as_real(join_masks(add([(1, a) for a in adjoints[array]]))) if array in adjoints else constant(0.0) for array in arrays]


def _vjp(node: Node, adjoint: Term) -> list[tuple[Node, Term]]:
    if isinstance(node, Sum):
        return sum_vjp(node, adjoint)
    if isinstance(node, Contract):
        return contract_vjp(node, adjoint)
    if isinstance(node, Apply):
        return apply_vjp(node, adjoint)
    if isinstance(node, Reduce):
        return reduce_vjp(node, adjoint)
    if isinstance(node, Surrogate):
        return [(node.children[1], send(node.children[1], node.labels, adjoint))]
    if isinstance(node, Read):
        return [(node.array, read_vjp(node, adjoint, axes_of(node.array)))]
    if isinstance(node, Tensor):
        return [(node.term, send(node.term, node.axes, adjoint))]
    if isinstance(node, Operator):
        pairs = zip(node.children, node.atom.vjp(node, as_real(adjoint)), strict=True)
        return [(child, contribution) for child, contribution in pairs if contribution is not None]
    return []
