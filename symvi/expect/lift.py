"""Substitution of draws that carry further labels (particles): the whole expression is evaluated for every draw at once.

A term may have any free labels, so a draw `w[s, d]` for `w[d]` passes through sums, functions and reductions as it is.
Arrays get the new labels as leading axes; the atoms of linear algebra take leading axes as batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from symvi.array.expression import Expr, as_expr, on_axes
from symvi.atoms.array_atom import axes_of
from symvi.errors import ExpressionError
from symvi.expr import build, provenance
from symvi.expr.dims import Dim
from symvi.expr.labels import Label, sort_labels
from symvi.expr.nodes import Array, Node, Operator, Read, Tensor, Term, postorder

__all__ = ["lift", "lift_terms", "average"]


def lift(expressions: Iterable[Expr], replacements: Mapping[Expr, Expr], leading: Dim | None = None) -> list[Term]:
    """The terms of expressions with leaves replaced.

    A replacement has the shape of its leaf, or one axis `leading` in front, whose label is then free in the results;
    the other labels of a result are the axes of the expression.
    """
    label = Label(leading, 0) if leading is not None else None
    arrays: dict[Node, Term] = {}
    for leaf, value in replacements.items():
        value = as_expr(value)
        own = [axis for axis in leaf.axes if axis is not None]
        front = value.ndim - leaf.ndim
        if front and (front != 1 or value.shape[0] != leading):
            raise ExpressionError(f"a draw of {leaf} has the dims {value.shape}, not {leaf.shape} with {leading} in front")
        target = ([label] if front else []) + list(leaf.axes)
        arrays[leaf.term.array] = on_axes(value, [axis if value.axes[k] is not None else None for k, axis in enumerate(target)])
        assert arrays[leaf.term.array].labels <= {*own, label}, leaf
    return lift_terms([expression.term for expression in expressions], arrays, {label} - {None})


def lift_terms(roots: Iterable[Term], replacements: Mapping[Array, Term], labels: set[Label]) -> list[Term]:
    """Terms with input arrays replaced by terms on the canonical axes of the array and, possibly, on `labels`."""
    roots = list(roots)
    done: dict[Node, Node] = {}
    extra: dict[Node, tuple[Label, ...]] = {}  # leading axes that an array has got
    for node in postorder(roots, lambda n: () if n in replacements else n.children):
        with provenance.within(provenance.site_of(node)):
            if node in replacements:
                term = replacements[node]
                extra[node] = sort_labels(term.labels & labels)
                done[node] = build.tensor(term, (*extra[node], *axes_of(node)))
            elif isinstance(node, Tensor):
                term = done[node.term]
                extra[node] = sort_labels(term.labels & labels)
                done[node] = build.tensor(term, (*extra[node], *node.axes))
            elif isinstance(node, Operator):
                done[node], extra[node] = _operator(node, done, extra)
            elif isinstance(node, Read):
                terms = iter(done[child] for child in node.children[1:])
                indices = [index if index is not None else next(terms) for index in node.payload]
                done[node] = build.read(done[node.array], (*extra.get(node.array, ()), *indices))
            else:
                children = tuple(done[child] for child in node.children)
                done[node] = build.rebuild(node, children) if children else node
    return [done[root] for root in roots]


def _operator(node: Operator, done: Mapping[Node, Node], extra: Mapping[Node, tuple[Label, ...]]) -> tuple[Node, tuple[Label, ...]]:
    """An array atom on arguments with leading axes: arguments that lack them are repeated along them."""
    joint = sort_labels({label for child in node.children for label in extra.get(child, ())})
    arguments = []
    for child in node.children:
        own, axes = extra.get(child, ()), axes_of(child)
        arguments.append(done[child] if own == joint else build.tensor(build.read(done[child], (*own, *axes)), (*joint, *axes)))
    attributes = node.attributes
    if joint and node.name == "concatenate":
        attributes = (attributes[0] + len(joint), *attributes[1:])
    return build.operator(node.atom, arguments, attributes), joint


def average(term: Term, leading: Dim | None) -> Term:
    """The sum over all axes of a term, averaged over the particles that it carries."""
    label = Label(leading, 0) if leading is not None else None
    total = build.contract(term.labels - {label}, [(term, 1)])
    if label is None or label not in term.labels:
        return total
    return build.multiply([(build.contract([label], [(total, 1)]), 1), (build.size(leading), -1)])
