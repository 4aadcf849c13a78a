"""Derivatives of the kinds of terms that are not scalar functions, and the one function through which adjoints travel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from symvi.atoms.elementwise import equal, exp, greater, is_apply, where
from symvi.expr.build import as_term, constant, contract, delta, multiply, reduce, rename
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Constant, Contract, Read, Reduce, Sum, Term

Contribution = tuple[Term, frozenset, list]
NEGATIVE_INFINITY = constant(float("-inf"))


def is_mask(term: Term) -> bool:
    """where(c, t, 0): a structural mask, whose zero wins over an infinite factor."""
    return is_apply(term, "where") and isinstance(term.children[2], Constant) and term.children[2].value == 0


def masked_product(adjoint: Term, factor: Term) -> Term:
    """adjoint * factor, with masks sunk outward: where(c, t, 0) * f = where(c, t f, 0), so that 0 * inf is 0."""
    for mask, other in ((adjoint, factor), (factor, adjoint)):
        if is_mask(mask):
            condition, value, _ = mask.children
            return where(condition, masked_product(value, other), 0)
    return multiply([(adjoint, 1), (factor, 1)])


def send(target: Term, domain: Iterable[Label], adjoint: Term) -> Term:
    """The contribution to the adjoint of `target`: sum over the labels of `domain` that it lacks.

    A label that the adjoint lacks contributes its extent; an adjoint is constant over labels that it lacks.
    """
    return contract(set(domain) - target.labels, [(adjoint, 1)])


def apply_vjp(node: Apply, adjoint: Term) -> list[tuple[Term, Term]]:
    """Adjoints of the arguments of a scalar function."""
    if node.function.name == "where":
        condition, yes, no = node.children
        zero = constant(0.0)
        return [(yes, send(yes, node.labels, where(condition, adjoint, zero))), (no, send(no, node.labels, where(condition, zero, adjoint)))]
    contributions = []
    for argument, partial in zip(node.children, node.function.derivative(*node.children), strict=True):
        if partial is None or argument.kind != "f":
            continue
        contributions.append((argument, send(argument, node.labels, masked_product(adjoint, as_term(partial)))))
    return contributions


def sum_vjp(node: Sum, adjoint: Term) -> list[tuple[Term, Term]]:
    return [(term, send(term, node.labels, adjoint * constant(c))) for c, term in node.terms if term.kind == "f"]


def contract_vjp(node: Contract, adjoint: Term) -> list[tuple[Term, Term]]:
    """∂/∂f of Σ Π f^k: the other factors times k f^(k-1)."""
    domain = node.labels | set(node.bound)
    contributions = []
    for position, (factor, exponent) in enumerate(node.factors):
        if factor.kind != "f":
            continue
        others = [(f, e) for index, (f, e) in enumerate(node.factors) if index != position]
        factors = [*others, (factor, exponent - 1), (constant(Fraction(exponent)), 1)]
        if is_mask(adjoint):
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
    if node.operation == "prod":  # no division by a factor that is zero
        is_zero = equal(x, 0)
        zeros = contract(node.bound, [(where(is_zero, 1, 0), 1)])
        rest = reduce("prod", node.bound, where(is_zero, 1.0, x))
        return where(is_zero, where(equal(zeros, 1), rest, 0.0), where(equal(zeros, 0), rest / where(is_zero, 1.0, x), 0.0))
    return None


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
