"""Choices, comparisons, absolute values and signs that facts decide."""

from __future__ import annotations

from fractions import Fraction

from symvi.atoms.elementwise import (
    absolute,
    exp,
    greater,
    greater_equal,
    is_apply,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    not_equal,
    sign,
    where,
)  # fmt: skip
from symvi.expr.build import add, constant, contract, split_coefficient
from symvi.expr.dims import dim
from symvi.expr.facts import Interval, interval
from symvi.expr.nodes import Apply, Constant, Contract, Input, Read, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule

N = dim("N")
SMALLEST = 5e-324  # as a bound of a computed term it stands for "positive", which underflow can break


def _bounds(term: Term) -> Interval:
    """Bounds that hold for the computed value as well."""
    lo, hi = interval(term)
    coefficient, bare = split_coefficient(term)
    if isinstance(term, Constant) or (abs(coefficient) >= 1 and isinstance(bare, Read) and isinstance(bare.array, Input)):
        return lo, hi
    return (0.0 if lo == SMALLEST else lo), (0.0 if hi == -SMALLEST else hi)


def _decided():
    x, p = example.term("x", N), example.term("p", N, stated=example.POSITIVE)
    q = example.term("q", N, stated=example.Stated((2.0, 3.0)))
    chosen = where(greater(p, 0), log(p), x)
    return [greater(p, 0), less_equal(p * p, -1), greater_equal(absolute(x), 0), less(1, q), not_equal(q, 1), chosen]


def _undecided():
    x, p = example.term("x", N), example.term("p", N, stated=example.SMALL)
    return [greater(x, 0), greater(p, 0), less(p, 1), greater(exp(x), 0)]


@rule.procedure(
    head=("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"), stage=("stable", "simple"), kind="exact",
    example=_decided, counterexample=_undecided,
)  # fmt: skip
def decided_comparison(node: Apply) -> Term | None:
    """(x > y) = true where the least value of x exceeds the largest of y, and so for the other comparisons."""
    (a, b), (c, d) = map(_bounds, node.children)
    apart = b < c or d < a
    answers = {
        "less": (b < c, a >= d), "less_equal": (b <= c, a > d), "greater": (a > d, b <= c), "greater_equal": (a >= d, b < c),
        "equal": (False, apart), "not_equal": (apart, False),
    }  # fmt: skip
    yes, no = answers[node.function.name]
    return constant(yes) if yes or no else None


def _limits():
    x, p = example.term("x", N), example.term("p", N, stated=example.SMALL)
    return [maximum(p, 0), minimum(p, 1), maximum(-3, minimum(x, -4)), maximum(absolute(x), -1)]


def _open_limits():
    x, p = example.term("x", N), example.term("p", N, stated=example.SMALL)
    return [maximum(x, 0), minimum(p, 0.5), maximum(x, p)]


@rule.procedure(head=("maximum", "minimum"), stage=("stable", "simple"), kind="exact", example=_limits, counterexample=_open_limits)
def decided_maximum(node: Apply) -> Term | None:
    """max(x, y) = x where the least value of x is at least the largest of y, and so for the minimum."""
    x, y = node.children
    (a, b), (c, d) = interval(x), interval(y)
    if a < d and c < b:
        return None
    larger, smaller = (x, y) if a >= d else (y, x)
    chosen = larger if node.function.name == "maximum" else smaller
    return chosen if chosen.kind == node.kind else None


def _absolutes():
    x, p = example.term("x", N), example.term("p", N, stated=example.POSITIVE)
    return [absolute(p), absolute(-p), absolute(absolute(x)), absolute(x * x)]


@rule.procedure(
    head="absolute", stage=("stable", "simple"), kind="exact", example=_absolutes, counterexample=lambda: absolute(example.term("x", N))
)  # fmt: skip
def decided_absolute(node: Apply) -> Term | None:
    """|x| = x for x >= 0, -x for x <= 0."""
    (x,) = node.children
    lo, hi = interval(x)
    if lo >= 0:
        return x
    return -x if hi <= 0 else None


def _signs():
    return [sign(example.term("p", N, stated=example.POSITIVE)), sign(-example.term("p", N, stated=example.POSITIVE))]


@rule.procedure(head="sign", stage=("stable", "simple"), kind="exact", example=_signs, counterexample=lambda: sign(example.term("x", N)))
def decided_sign(node: Apply) -> Term | None:
    """sign(x) = 1 for x > 0, -1 for x < 0."""
    lo, hi = _bounds(node.children[0])
    return constant(1, node.kind) if lo > 0 else constant(-1, node.kind) if hi < 0 else None


def _magnitudes():
    x, y = example.term("x", N), example.term("y", N)
    return [absolute(x) ** 2, sign(x) * absolute(x) * y, x * sign(x), contract(x.labels, [(absolute(x), 2), (y, 1)])]


def _no_magnitudes():
    x, y = example.term("x", N), example.term("y", N)
    return [absolute(x) * y, sign(x) * y, sign(x) * absolute(y), x * absolute(x)]


@rule.procedure(head="product", stage=("stable", "simple"), kind="exact", example=_magnitudes, counterexample=_no_magnitudes)
def magnitude_and_sign(node: Contract) -> Term | None:
    """|x|^2 = x^2, sign(x) |x|^k = x^k for odd k, x sign(x) = |x|: so the derivative of log|x| is 1 / x."""
    factors = dict(node.factors)
    for factor, exponent in node.factors:
        if not isinstance(factor, Apply) or factor.function.name not in ("absolute", "sign"):
            continue
        (x,) = factor.children
        if factor.function.name == "absolute" and exponent % 2 == 0:
            taken, put = {factor: exponent}, (x, exponent)
        elif factor.function.name == "sign" and exponent == 1 and factors.get(absolute(x), 0) % 2:
            taken, put = {factor: 1, absolute(x): factors[absolute(x)]}, (x, factors[absolute(x)])
        elif factor.function.name == "sign" and exponent == 1 and factors.get(x, 0) == 1:
            taken, put = {factor: 1, x: 1}, (absolute(x), 1)
        else:
            continue
        return contract(node.bound, [*((f, e - taken.get(f, 0)) for f, e in node.factors), put])
    return None


def _condition():
    return greater(example.term("c", N), 0)


def _same():
    c, x, y, z = _condition(), *(example.term(name, N) for name in "xyz")
    return [where(c, x, y) + where(c, z, 2), 2 * where(c, x, 0) - where(c, 1, y) + z, where(c, x, 0) + where(c, 0, y)]


def _differing():
    x, y = example.term("x", N), example.term("y", N)
    return [where(_condition(), x, y) + where(_condition(), x, 0), where(_condition(), x, 0) + y]


@rule.procedure(head="sum", stage="simple", kind="exact", example=_same, counterexample=_differing)
def sum_of_choices(node: Sum) -> Term | None:
    """a where(c, x, y) + b where(c, z, w) = where(c, a x + b z, a y + b w)."""
    choices = [(c, t) for c, t in node.terms if is_apply(t, "where")]
    for position, (a, first) in enumerate(choices):
        for b, second in choices[position + 1 :]:
            if first.children[0] is second.children[0]:
                rest = [item for item in node.terms if item[1] is not first and item[1] is not second]
                yes, no = (add([(a, first.children[k]), (b, second.children[k])]) for k in (1, 2))
                return add([(Fraction(1), where(first.children[0], yes, no)), *rest])
    return None


def _same_factors():
    c, x, y, z = _condition(), *(example.term(name, N) for name in "xyz")
    inside = contract(x.labels, [(where(c, x, 0), 1), (where(c, y, 0), 1)])
    return [where(c, x, 0) * where(c, y, 0), where(c, x, y) * where(c, z, 2), inside]


@rule.procedure(
    head="product", stage="simple", kind="exact", example=_same_factors, counterexample=lambda: _differing_factors()
)  # fmt: skip
def product_of_choices(node: Contract) -> Term | None:
    """where(c, x, y) where(c, z, w) = where(c, x z, y w)."""
    choices = [f for f, e in node.factors if e == 1 and is_apply(f, "where")]
    for position, first in enumerate(choices):
        for second in choices[position + 1 :]:
            if first.children[0] is second.children[0]:
                rest = [(f, e) for f, e in node.factors if f is not first and f is not second]
                yes, no = (first.children[k] * second.children[k] for k in (1, 2))
                return contract(node.bound, [*rest, (where(first.children[0], yes, no), 1)])
    return None


def _differing_factors():
    x, y = example.term("x", N), example.term("y", N)
    return [where(_condition(), x, 0) * where(_condition(), y, 0), where(_condition(), x, 1) * y]


def _nested():
    c, x, y, z = _condition(), *(example.term(name, N) for name in "xyz")
    return [where(c, where(c, x, y), z), where(c, x, where(c, y, z))]


def _not_nested():
    return where(_condition(), *_differing_factors())


@rule.procedure(head="where", stage=("stable", "simple"), kind="exact", example=_nested, counterexample=_not_nested)
def nested_choice(node: Term) -> Term | None:
    """where(c, where(c, x, y), z) = where(c, x, z)."""
    condition, yes, no = node.children
    if is_apply(yes, "where") and yes.children[0] is condition:
        return where(condition, yes.children[1], no)
    if is_apply(no, "where") and no.children[0] is condition:
        return where(condition, yes, no.children[2])
    return None
