"""Derivatives of the kinds of terms that are not scalar functions, and the one function through which adjoints travel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import reduce as fold

from symvi.atoms.elementwise import as_float, equal, exp, greater, is_apply, logical_and, where
from symvi.expr.build import add, as_term, constant, contract, delta, iota, multiply, reduce, rename, scale, surrogate
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Constant, Contract, Read, Reduce, Sum, Term

NEGATIVE_INFINITY = constant(float("-inf"))


def is_mask(term: Term) -> bool:
    """where(c, t, 0) or where(c, 0, t): a structural mask, whose zero wins over an infinite factor."""
    return is_apply(term, "where") and any(isinstance(branch, Constant) and branch.value == 0 for branch in term.children[1:])


Mask = tuple[Term, bool]  # a condition, and the truth value for which the mask lets through


def open_mask(term: Apply) -> tuple[Mask, Term]:
    """A mask and what it lets through."""
    condition, yes, no = term.children
    through = isinstance(no, Constant) and no.value == 0
    return (condition, through), yes if through else no


def masked(mask: Mask, value: Term) -> Term:
    """The value where the mask lets through, else 0."""
    condition, through = mask
    return where(condition, value, 0) if through else where(condition, 0, value)


def masked_parts(term: Term) -> tuple[dict[Mask, Term], Term | None]:
    """A sum of masked values and other terms as ({mask: value}, the rest); values under one mask join."""
    masks: dict[Mask, Term] = {}
    rest = []
    for coefficient, part in term.terms if isinstance(term, Sum) else ((Fraction(1), term),):
        if is_mask(part):
            mask, value = open_mask(part)
            value = scale(coefficient, value)
            masks[mask] = masks[mask] + value if mask in masks else value
        else:
            rest.append((coefficient, part))
    return masks, add(rest) if rest else None


def as_real(term: Term) -> Term:
    """A derivative where its dtype matters: a lone delta is made of integers, but no factor of a solve is."""
    return term if term.kind == "f" else as_float(term)


def _total(parts: Iterable[Term], rest: Term | None) -> Term:
    return add([(Fraction(1), part) for part in (*parts, *(() if rest is None else (rest,)))])


def join_masks(term: Term) -> Term:
    """The term with its masks sunk outward: c where(p, a, 0) + where(p, b, 0) = where(p, c a + b, 0)."""
    masks, rest = masked_parts(term)
    return _total([masked(mask, value) for mask, value in masks.items()], rest) if masks else term


def masked_product(adjoint: Term, factor: Term) -> Term:
    """adjoint * factor, with masks sunk outward: where(c, t, 0) * f = where(c, t f, 0), so that 0 * inf is 0."""
    for left, right in ((adjoint, factor), (factor, adjoint)):
        masks, rest = masked_parts(left)
        if masks:
            parts = [masked(mask, masked_product(value, right)) for mask, value in masks.items()]
            return _total(parts, None if rest is None else masked_product(rest, right))
    return multiply([(adjoint, 1), (factor, 1)])


def send(target: Term, domain: Iterable[Label], adjoint: Term) -> Term:
    """The contribution to the adjoint of `target`: sum over the labels of `domain` that it lacks.

    A label that the adjoint lacks contributes its extent; an adjoint is constant over labels that it lacks.
    """
    bound = set(domain) - target.labels
    masks, rest = masked_parts(adjoint)
    constant_along = {mask: value for mask, value in masks.items() if not mask[0].labels & bound}
    if not bound or not constant_along:
        return contract(bound, [(adjoint, 1)])
    # a mask that is constant along the sum stays outside of it, where the next partial derivative may be infinite
    inner = _total([masked(mask, value) for mask, value in masks.items() if mask not in constant_along], rest)
    return _total([masked(mask, contract(bound, [(value, 1)])) for mask, value in constant_along.items()], contract(bound, [(inner, 1)]))


def apply_vjp(node: Apply, adjoint: Term) -> list[tuple[Term, Term]]:
    """Adjoints of the arguments of a scalar function."""
    if node.function.name == "where":
        condition, yes, no = node.children
        zero = constant(0.0)
        inside = send(yes, node.labels, where(condition, adjoint, zero))
        outside = send(no, node.labels, where(condition, zero, adjoint))
        return [(yes, inside), (no, outside)]
    contributions = []
    for argument, partial in zip(node.children, node.function.derivative(*node.children), strict=True):
        if partial is None or argument.kind != "f":
            continue
        contributions.append((argument, send(argument, node.labels, masked_product(adjoint, as_term(partial)))))
    return contributions


def sum_vjp(node: Sum, adjoint: Term) -> list[tuple[Term, Term]]:
    return [(term, send(term, node.labels, join_masks(scale(c, adjoint)))) for c, term in node.terms if term.kind == "f"]


def contract_vjp(node: Contract, adjoint: Term) -> list[tuple[Term, Term]]:
    """∂/∂f of Σ Π f^k: the other factors times k f^(k-1)."""
    domain = node.labels | set(node.bound)
    contributions = []
    for position, (factor, exponent) in enumerate(node.factors):
        if factor.kind != "f":
            continue
        others = [(f, e) for index, (f, e) in enumerate(node.factors) if index != position]
        factors = [*others, (factor, exponent - 1), (constant(Fraction(exponent)), 1)]
        if masked_parts(adjoint)[0]:
            contribution = send(factor, domain, masked_product(adjoint, multiply(factors)))
        else:
            contribution = contract(domain - factor.labels, [(adjoint, 1), *factors])
        contributions.append((factor, contribution))
    return contributions


def reduce_partial(node: Reduce) -> Term | None:
    """∂ reduction / ∂ its argument, on the labels of the argument."""
    (x,) = node.children
    if node.operation == "logsumexp":  # softmax; 0 where every entry is -inf
        return exp(x - where(greater(node, NEGATIVE_INFINITY), node, 0))
    if node.operation in ("max", "min"):  # ties share the derivative equally
        hit = where(equal(x, node), 1.0, 0.0)
        return hit / contract(node.bound, [(hit, 1)])
    if node.operation == "prod":
        return surrogate(_product_of_the_others(node), _leave_one_out(node))
    return None


def _product_of_the_others(node: Reduce) -> Term:
    """Π x / x without a division by zero: every factor is touched a few times, but zeros hide what depends on them."""
    (x,) = node.children
    is_zero = equal(x, 0)
    zeros = contract(node.bound, [(where(is_zero, 1, 0), 1)])
    rest = reduce("prod", node.bound, where(is_zero, 1.0, x))
    return where(is_zero, where(equal(zeros, 1), rest, 0.0), where(equal(zeros, 0), rest / where(is_zero, 1.0, x), 0.0))


def _leave_one_out(node: Reduce) -> Term:
    """The same as a product over all places but one, which has the right derivatives at zeros as well."""
    (x,) = node.children
    top = max(label.number for label in (*x.labels, *node.bound)) + 1
    others = {label: Label(label.dim, top + label.number) for label in node.bound}
    here = fold(logical_and, [equal(iota(label), iota(other)) for label, other in others.items()])
    return reduce("prod", others.values(), where(here, 1.0, rename(x, others)))


def reduce_vjp(node: Reduce, adjoint: Term) -> list[tuple[Term, Term]]:
    partial = reduce_partial(node)
    if partial is None:
        return []
    (x,) = node.children
    return [(x, send(x, node.labels | set(node.bound), masked_product(adjoint, partial)))]


def read_vjp(node: Read, adjoint: Term, axes: Sequence[Label]) -> Term:
    """The adjoint of the array that is read, on its canonical axes."""
    if node.plain:
        return rename(adjoint, dict(zip(node.indices, axes, strict=True)))
    top = max((label.number for label in (*node.labels, *adjoint.labels)), default=-1) + 1
    fresh = [Label(axis.dim, top + position) for position, axis in enumerate(axes)]
    deltas = [(delta(label, index), 1) for label, index in zip(fresh, node.indices, strict=True)]
    scattered = contract(node.labels, [(adjoint, 1), *deltas])
    return rename(scattered, dict(zip(fresh, axes, strict=True)))
