"""Forward mode: tangents of expressions along given directions, as expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symvi.atoms.array_atom import axes_of
from symvi.atoms.elementwise import where
from symvi.calculus.reverse import _differentiable_children, dependents
from symvi.calculus.rules import as_real, masked_product, reduce_partial
from symvi.expr import provenance
from symvi.expr.build import add, as_term, constant, contract, multiply, read, tensor
from symvi.expr.nodes import Apply, Array, Contract, Node, Operator, Read, Reduce, Sum, Surrogate, Tensor, Term, postorder

__all__ = ["pushforward"]


def pushforward(outputs: Sequence[Term], directions: Mapping[Array, Term]) -> list[Term]:
    """Jacobian-vector products of `outputs`; a direction is a term on the canonical axes of its array."""
    depends = dependents(outputs, directions)
    tangents: dict[Node, Term] = dict(directions)
    for node in postorder(outputs, lambda n: () if n in directions else _differentiable_children(n)):
        if node not in tangents and depends[node]:
            with provenance.within(provenance.site_of(node)):
                tangents[node] = _jvp(node, tangents)
    return [tangents.get(output, constant(0.0)) for output in outputs]


def _jvp(node: Node, tangents: Mapping[Node, Term]) -> Term:
    if isinstance(node, Sum):
        return add([(c, tangents[t]) for c, t in node.terms if t in tangents])
    if isinstance(node, Contract):
        return _contract_jvp(node, tangents)
    if isinstance(node, Apply):
        return _apply_jvp(node, tangents)
    if isinstance(node, Reduce):
        partial = reduce_partial(node)
        return constant(0.0) if partial is None else contract(node.bound, [(masked_product(tangents[node.children[0]], partial), 1)])
    if isinstance(node, Surrogate):
        return tangents[node.children[1]]
    if isinstance(node, Read):
        return read(tensor(tangents[node.array], axes_of(node.array)), node.indices)
    if isinstance(node, Tensor):
        return tangents[node.term]
    assert isinstance(node, Operator)
    return node.atom.jvp(node, [as_real(tangents[child]) if child in tangents else None for child in node.children])


def _contract_jvp(node: Contract, tangents: Mapping[Node, Term]) -> Term:
    parts = []
    for position, (factor, exponent) in enumerate(node.factors):
        if factor not in tangents:
            continue
        others = [(f, e) for index, (f, e) in enumerate(node.factors) if index != position]
        parts.append((1, contract(node.bound, [*others, (factor, exponent - 1), (constant(exponent), 1), (tangents[factor], 1)])))
    return add(parts)


def _apply_jvp(node: Apply, tangents: Mapping[Node, Term]) -> Term:
    if node.function.name == "where":
        condition, yes, no = node.children
        zero = constant(0.0)
        return where(condition, tangents.get(yes, zero), tangents.get(no, zero))
    parts = []
    for argument, partial in zip(node.children, node.function.derivative(*node.children), strict=True):
        if partial is not None and argument in tangents:
            parts.append((1, masked_product(tangents[argument], as_term(partial))))
    return add(parts) if parts else multiply([(constant(0.0), 1)])
