"""Powers and roots: products of them, powers of powers, roots of squares and of sums of squares."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from symvi.atoms.elementwise import absolute, exp, hypot, power, sqrt
from symvi.expr.build import constant, multiply, split_coefficient
from symvi.expr.dims import dim
from symvi.expr.facts import is_nonnegative, is_positive
from symvi.expr.nodes import Apply, Contract, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule

N = dim("N")


@rule(stage="stable", kind="reassociate", when=is_positive, bounded=(1e-3, 30.0))
def product_of_powers(x, a, b):
    """x^a x^b = x^(a + b), for x > 0: no zero times infinity."""
    return power(x, a) * power(x, b), power(x, a + b)


@rule(stage="stable", kind="reassociate", when=is_positive, bounded=(1e-3, 30.0))
def quotient_of_powers(x, a, b):
    """x^a / x^b = x^(a - b), for x > 0: no infinity over infinity."""
    return power(x, a) / power(x, b), power(x, a - b)


@rule(stage="stable", kind="reassociate", bounded=(1e-3, 30.0))
def power_of_exponential(x, p):
    """(e^x)^p = e^(p x): no overflow of e^x."""
    return power(exp(x), p), exp(p * x)


@rule(stage="stable", kind="stabilise")
def root_of_exponential(x):
    """sqrt(e^x) = e^(x / 2): no overflow of e^x."""
    return sqrt(exp(x)), exp(x / 2)


def _roots():
    x, p = example.term("x", N), example.term("p", N, stated=example.POSITIVE)
    return [sqrt(x**2 * p), sqrt(p**3), sqrt(p / x**2), sqrt(x**4 / 2)]


def _plain_roots():
    x, y = example.term("x", N), example.term("y", N)
    return [sqrt(x * y), sqrt(2 * x), sqrt(x / y), sqrt(1 / y), sqrt(x**2 * y), sqrt(y**-3)]


@rule.procedure(head="sqrt", stage=("stable", "simple"), kind="stabilise", example=_roots, counterexample=_plain_roots, priority=1)
def root_of_product(node: Apply) -> Term | None:
    """sqrt(x^2 y) = |x| sqrt(y) for y >= 0: the square can over- and underflow."""
    coefficient, operand = split_coefficient(node.children[0])
    factors = operand.factors if isinstance(operand, Contract) and not operand.bound else ((operand, 1),)
    outside, inside = [], []
    for factor, exponent in factors:
        half = exponent // 2 if exponent > 0 or exponent % 2 == 0 else 0
        outside += [(factor if half % 2 == 0 or is_nonnegative(factor) else absolute(factor), half)] if half else []
        inside += [(factor, exponent - 2 * half)] if exponent != 2 * half else []
    rest = multiply([*inside, (constant(coefficient), 1)])
    return multiply([*outside, (sqrt(rest), 1)]) if outside and is_nonnegative(rest) else None


def _rational_root(value: Fraction) -> Fraction | None:
    if value <= 0:
        return None
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    return Fraction(top, bottom) if top * top == value.numerator and bottom * bottom == value.denominator else None


def _distances():
    x, y, z = (example.term(name, N) for name in "xyz")
    return [sqrt(x**2 + y**2), sqrt(4 * x**2 + (y - z) ** 2), sqrt(x**2 + y**2 + z**2), sqrt(hypot(x, y) ** 2 + z**2)]


def _no_distances():
    x, y = example.term("x", N), example.term("y", N)
    return [sqrt(x**2 - y**2), sqrt(x**2 + y), sqrt(1 + x**2), sqrt(2 * x**2 + y**2), sqrt(x**2 + y**3), sqrt(4 * x**2)]


@rule.procedure(head="sqrt", stage=("stable", "simple"), kind="stabilise", example=_distances, counterexample=_no_distances)
def root_of_squares(node: Apply) -> Term | None:
    """sqrt(x^2 + y^2) = hypot(x, y), and so for three squares: the squares can over- and underflow."""
    (total,) = node.children
    if not isinstance(total, Sum) or not 2 <= len(total.terms) <= 3:
        return None
    sides = []
    for coefficient, term in total.terms:
        root = _rational_root(coefficient)
        exponents = [e for _, e in term.factors] if isinstance(term, Contract) and not term.bound else []
        if root is None or not exponents or any(e != 2 for e in exponents):
            return None
        sides.append(multiply([(constant(root), 1), *((factor, 1) for factor, _ in term.factors)]))
    distance = sides[0]
    for side in sides[1:]:
        distance = hypot(distance, side)
    return distance
