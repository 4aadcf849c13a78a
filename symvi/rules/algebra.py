"""Exact simplifications of what differentiation leaves: masks, exponentials that cancel, complements."""

from __future__ import annotations

from fractions import Fraction

from symvi.atoms.elementwise import exp, greater, is_apply, sigmoid, where
from symvi.expr.build import add, constant, contract
from symvi.expr.dims import dim
from symvi.expr.nodes import Constant, Contract, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import arguments_of

N = dim("N")


@rule(stage="simple", kind="stabilise")
def sigmoid_and_complement(x):
    """sigmoid(x) + sigmoid(-x) = 1."""
    return sigmoid(x) + sigmoid(-x), constant(1)


def _cancelling():
    x, y = example.term("x", N), example.term("y", N)
    inside = contract(x.labels, [(exp(x + 2), 1), (exp(-x), 1), (y, 1)])
    return [exp(x) * exp(-x), y * exp(x) ** 2 * exp(-2 * x), exp(x - y) * exp(y), inside]


def _staying():
    x, y = example.term("x", N), example.term("y", N)
    return [exp(x) * exp(y), exp(x) ** 2, exp(x) * exp(x * y)]


@rule.procedure(head="product", stage="simple", kind="stabilise", example=_cancelling, counterexample=_staying)
def exponentials_cancel(node: Contract) -> Term | None:
    """e^a e^b = e^(a + b), where a + b loses terms: e^x e^-x = 1."""
    exponentials = [(f, e, arguments_of(f, "exp")) for f, e in node.factors]
    exponentials = [(f, e, arguments[0]) for f, e, arguments in exponentials if arguments is not None]
    for position, (first, m, a) in enumerate(exponentials):
        for second, n, b in exponentials[position + 1 :]:
            total = add([(Fraction(m), a), (Fraction(n), b)])
            fewer = _operands(total) < min(_operands(a), _operands(b)) or _operands(total) == 1 < max(_operands(a), _operands(b))
            if fewer or isinstance(total, Constant):
                rest = [(f, e) for f, e in node.factors if f is not first and f is not second]
                return contract(node.bound, [*rest, (exp(total), 1)])
    return None


def _operands(term: Term) -> int:
    return len(term.children) if isinstance(term, Sum) else 1


def _is_zero(term: Term) -> bool:
    return isinstance(term, Constant) and term.value == 0


def _mask(term: Term) -> tuple[Term, Term] | None:
    """(condition, value) of where(condition, value, 0)."""
    if is_apply(term, "where") and _is_zero(term.children[2]):
        return term.children[0], term.children[1]
    return None


def _condition():
    return greater(example.term("c", N), 0)


def _masks():
    c, x, y = _condition(), example.term("x", N), example.term("y", N)
    return [where(c, x, 0) * where(c, y, 0), contract(x.labels, [(where(c, x, 0), 1), (where(c, y, 0), 1)])]


def _other_masks():
    x, y = example.term("x", N), example.term("y", N)
    return [where(_condition(), x, 0) * where(_condition(), y, 0), where(_condition(), x, 1) * y]


@rule.procedure(head="product", stage="simple", kind="exact", example=_masks, counterexample=_other_masks)
def product_of_masks(node: Contract) -> Term | None:
    """where(c, x, 0) where(c, y, 0) = where(c, x y, 0)."""
    masks = [(f, _mask(f)) for f, e in node.factors if e == 1 and _mask(f) is not None]
    for position, (first, (condition, x)) in enumerate(masks):
        for second, (other, y) in masks[position + 1 :]:
            if condition is other:
                rest = [(f, e) for f, e in node.factors if f is not first and f is not second]
                return contract(node.bound, [*rest, (where(condition, x * y, 0), 1)])
    return None


def _halves():
    c, x, y = _condition(), example.term("x", N), example.term("y", N)
    return [where(c, x, 0) + where(c, 0, y), 2 * where(c, x, 0) + 2 * where(c, 0, y) + x]


@rule.procedure(head="sum", stage="simple", kind="exact", example=_halves, counterexample=lambda: _other_masks()[1] + 1)
def sum_of_halves(node: Sum) -> Term | None:
    """where(c, x, 0) + where(c, 0, y) = where(c, x, y)."""
    for position, (coefficient, first) in enumerate(node.terms):
        if _mask(first) is None:
            continue
        condition, x = _mask(first)
        for other_position, (other_coefficient, second) in enumerate(node.terms):
            if other_coefficient != coefficient or not is_apply(second, "where"):
                continue
            if second.children[0] is condition and _is_zero(second.children[1]):
                rest = [item for index, item in enumerate(node.terms) if index not in (position, other_position)]
                return add([(coefficient, where(condition, x, second.children[2])), *rest])
    return None


def _nested():
    c, x, y, z = _condition(), *(example.term(name, N) for name in "xyz")
    return [where(c, where(c, x, y), z), where(c, x, where(c, y, z))]


def _not_nested():
    return where(_condition(), *_other_masks())


@rule.procedure(head="where", stage=("stable", "simple"), kind="exact", example=_nested, counterexample=_not_nested)
def nested_choice(node: Term) -> Term | None:
    """where(c, where(c, x, y), z) = where(c, x, z)."""
    condition, yes, no = node.children
    if is_apply(yes, "where") and yes.children[0] is condition:
        return where(condition, yes.children[1], no)
    if is_apply(no, "where") and no.children[0] is condition:
        return where(condition, yes, no.children[2])
    return None
