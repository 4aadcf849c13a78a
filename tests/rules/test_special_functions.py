"""What the rules for gamma functions, roots, choices and moments make of what users type."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from symvi.atoms.elementwise import (
    absolute,
    betaln,
    exp,
    gamma,
    gammaln,
    gammaln_difference,
    greater,
    hypot,
    log,
    log1p,
    log_product,
    log_ratio,
    sqrt,
    where,
)  # fmt: skip
from symvi.calculus.reverse import gradients
from symvi.expr.build import contract, multiply, size
from symvi.expr.dims import dim
from symvi.oracle.interpreter import evaluate
from symvi.rewrite.example import POSITIVE, Stated, term
from symvi.rules import simplify, stabilise

K, N = dim("K"), dim("N")
x, y, p, q = term("x", N), term("y", N), term("p", N, stated=POSITIVE), term("q", N, stated=POSITIVE)
unit = term("u", N, stated=Stated((0.0, 1.0)))

FORMS = [
    (gammaln(p + 1) - gammaln(p), log(p)),
    (gammaln(x + 1) - gammaln(x), log(absolute(x))),
    (gammaln(p + q) - gammaln(p), gammaln_difference(p, q)),
    (log(gamma(p) * gamma(q) / gamma(p + q)), betaln(p, q)),
    (gammaln(p + q + 1) - gammaln(p + 1) - gammaln(q + 1), -betaln(p + 1, q + 1) - log1p(p + q)),
    (log(x * y), log_product(x, y)),
    (log(x / y), log_ratio(x, y)),
    (exp(log(p * q)), p * q),
    (sqrt(x**2 * y**2 + y**4), absolute(y) * hypot(x, y)),
    (absolute(-absolute(x)), absolute(x)),
    (where(greater(p, 0), x, y), x),
    (x * y - x * p, x * (y - p)),
]


@pytest.mark.parametrize("typed, stable", FORMS)
def test_form(typed, stable):
    assert stabilise([typed]) == [stable]


@pytest.mark.parametrize("kept", [greater(exp(x), 0), greater(unit, 0), log(gamma(x)), sqrt(x**2 * y), sqrt(1 + x**2)])
def test_what_facts_or_floats_do_not_allow_is_kept(kept):
    """exp(x) > 0 may guard against underflow; the gamma function may be negative; x^2 y may be 0 for a negative y."""
    assert stabilise([kept]) == [kept]


def test_the_derivative_of_the_log_of_a_square_is_a_reciprocal():
    (value,) = stabilise([contract(x.labels, [(log(x**2), 1)])])
    assert simplify(gradients(value, [x.array])) == [2 / x]


def test_a_variance_keeps_its_digits_in_value_and_gradient():
    v = term("v", K)
    (k,) = v.labels
    mean = [multiply([(contract([k], [(v**power, 1)]), 1), (size(K), -1)]) for power in (1, 2)]
    (value,) = stabilise([mean[1] - mean[0] ** 2])
    points = np.array([1e8, 1e8 + 1, 1e8 - 2, 1e8 + 0.25])
    found, gradient = evaluate([value, *gradients(value, [v.array])], {v.array.leaf: points})
    exact = [mpmath.mpf(point) for point in points]
    centre = sum(exact) / 4
    assert abs(found - sum((e - centre) ** 2 for e in exact) / 4) < 1e-13
    assert max(abs(g - (e - centre) / 2) for g, e in zip(gradient, exact, strict=True)) < 1e-13
