"""Every row of the table of scalar functions: value and derivative against 50-digit mpmath, edges of the domain, far tails."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from symvi.atoms import elementwise as el
from symvi.atoms.scalar_function import TABLE
from symvi.errors import GradientError
from symvi.expr.build import constant, input_array, read, read_own
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Apply
from symvi.oracle.interpreter import evaluate, evaluate_one
from symvi.oracle.random_inputs import domain_points

P = dim("P")
p = Label(P)
FUNCTIONS = sorted(TABLE)
DIFFERENTIABLE = sorted(name for name, f in TABLE.items() if f.kind_of(("f",) * f.arity) == "f" and name != "polygamma2")


def inputs(function, points):
    """One input array per argument, and their values."""
    arrays = []
    for position, value in enumerate(points):
        arrays.append(input_array(Leaf("data", f"x{position}", (P,), "b" if value.dtype == bool else "f")))
    return arrays, dict(zip(arrays, points, strict=True))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_agrees_with_mpmath(name):
    function = TABLE[name]
    arrays, values = inputs(function, domain_points(function, np.random.default_rng(1), (25,)))
    term = function(*(read(a, (p,)) for a in arrays))
    found, exact = evaluate_one(term, values), evaluate_one(term, values, precision=50)
    if term.kind == "b":
        assert (found == exact).all()
    else:
        np.testing.assert_allclose(found, exact.astype(float), rtol=3e-13, atol=1e-15)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivative_agrees_with_mpmath(name):
    function = TABLE[name]
    points = domain_points(function, np.random.default_rng(2), (12,))
    arrays, values = inputs(function, points)
    partials = function.derivative(*(read(a, (p,)) for a in arrays))
    assert len(partials) == function.arity
    with mpmath.workdps(50):
        for position, partial in enumerate(partials):
            if points[position].dtype == bool:
                assert partial is None
                continue
            exact = [numerical_derivative(function, [value[k] for value in points], position) for k in range(12)]
            found = 0.0 if partial is None else evaluate_one(constant(1.0) * partial, values)
            np.testing.assert_allclose(np.broadcast_to(found, (12,)), exact, rtol=1e-12, atol=1e-14)


def numerical_derivative(function, point, position):
    point = [v if v.dtype == bool else mpmath.mpf(float(v)) for v in point]
    step = mpmath.mpf("1e-18")
    up, down = list(point), list(point)
    up[position], down[position] = up[position] + step, down[position] - step
    return float((function.mpmath(*up) - function.mpmath(*down)) / (2 * step))


@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if TABLE[name].holomorphic])
def test_a_complex_step_passes_through_holomorphic_functions(name):
    function = TABLE[name]
    points = domain_points(function, np.random.default_rng(3), (12,))
    for position, value in enumerate(points):
        if value.dtype == bool:
            continue
        moved = [v + 1e-30j if k == position else v for k, v in enumerate(points)]
        with np.errstate(all="ignore"):
            found = np.imag(function.numpy(*moved)) / 1e-30
        with mpmath.workdps(50):
            exact = [numerical_derivative(function, [v[k] for v in points], position) for k in range(12)]
        np.testing.assert_allclose(found, exact, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if TABLE[name].arity == 1 and name not in ("logical_not", "isnan", "is_gap")])
def test_ends_of_the_domain(name):
    """At finite ends the value is the limit, possibly infinite; nan only where mpmath has no value either."""
    function = TABLE[name]
    ends = np.array([end for end in function.domain if np.isfinite(end)] + [0.0])
    arrays, values = inputs(function, [ends])
    term = function(read(arrays[0], (p,)))
    found, exact = evaluate_one(term, values), evaluate_one(term, values, precision=50).astype(float)
    known = np.isfinite(exact)
    np.testing.assert_allclose(found[known], exact[known], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if TABLE[name].at])
def test_exact_values_are_constants(name):
    function = TABLE[name]
    for argument, value in function.at.items():
        folded = function(constant(argument))
        assert folded is constant(value, "f")
        with mpmath.workdps(50):
            assert abs(function.mpmath(mpmath.mpf(argument.numerator) / argument.denominator) - float(value)) < 1e-45


def test_ranges_and_directions_hold():
    rng = np.random.default_rng(4)
    for function in TABLE.values():
        points = domain_points(function, rng, (40,))
        value = np.asarray(function.numpy(*points), dtype=float)
        assert (value >= function.range[0]).all() and (value <= function.range[1]).all(), function.name
        if function.monotone:
            ordered = np.asarray(function.numpy(np.sort(points[0])), dtype=float)
            assert (np.diff(ordered) * function.monotone >= 0).all(), function.name


FAR_POINTS = [
    ("log1mexp", [-800.0, -700.0, -1.0, -1e-9, -1e-300], 2),
    ("tanh", [-350.0, -20.0, 0.5, 19.5, 350.0], 2),
    ("sigmoid", [-700.0, -40.0, 40.0, 700.0], 2),
    ("softplus", [-700.0, -40.0, 40.0, 700.0], 2),
    ("logit", [1e-300, 1e-17, 1 - 1e-15], 1),
    ("log_ndtr", [-1e8, -1e4, -37.0, -1.0, 5.0, 30.0], 1),
    ("log_ndtr", [-100.0, -37.0, -1.0, 5.0], 2),
    ("log1p", [-1 + 1e-15, 1e-300, 1e300], 1),
    ("expm1", [-700.0, 1e-300, 700.0], 2),
    ("erfc", [-5.0, 10.0, 26.0], 2),
    ("arcsin", [1 - 1e-15, -1 + 1e-15], 1),
    ("arctanh", [1 - 1e-15, 1e-300], 1),
    ("ndtri", [1e-300, 1e-17], 1),
]


@pytest.mark.parametrize("name, points, order", FAR_POINTS)
def test_derivatives_keep_their_digits_far_out(name, points, order):
    """First and second derivatives are finite and right where a textbook formula overflows or cancels."""
    function, points = TABLE[name], np.array(points)
    x = input_array(Leaf("data", "x", (P,), "f"))
    term = function(read_own(x))
    for _ in range(order):
        term = derivative_of(term, read_own(x))
    found = evaluate_one(term, {x: points})
    with mpmath.workdps(400):
        exact = [mpmath.diff(function.mpmath, mpmath.mpf(point), order, h=mpmath.mpf(10) ** -350) for point in points]
    # 4e-13 is what one exponential of a number near 700 loses
    tolerance = 4e-13 * (1 if order == 1 or name != "log_ndtr" else 1e4)
    np.testing.assert_allclose(found, np.array([float(e) for e in exact]), rtol=tolerance, atol=1e-300)


def derivative_of(term, x):
    from symvi.calculus.forward import pushforward

    return pushforward([term], {x.array: constant(1.0)})[0]


def test_products_with_logs_at_zero():
    """x log y with x = 0: value 0 and derivative 0 by y, also at y = 0."""
    x, y = (input_array(Leaf("data", name, (P,), "f")) for name in "xy")
    at = {x: np.array([0.0, 0.0, 2.0]), y: np.array([0.0, 3.0, 4.0])}
    term = el.xlogy(read(x, (p,)), read(y, (p,)))
    value, by_y = evaluate([term, term.function.derivative(read_own(x), read_own(y))[1]], at)
    np.testing.assert_array_equal(value, [0.0, 0.0, 2 * np.log(4.0)])
    np.testing.assert_array_equal(by_y, [0.0, 0.0, 0.5])
    at[y] = np.array([-1.0, 3.0, 4.0])
    (by_y,) = evaluate([el.xlog1py.derivative(read_own(x), read_own(y))[1]], at)
    np.testing.assert_array_equal(by_y, [0.0, 0.0, 0.4])


def test_power_at_zero():
    x, q = (input_array(Leaf("data", name, (P,), "f")) for name in "xq")
    at = {x: np.array([0.0, 0.0, 0.0, 2.0]), q: np.array([0.0, 1.0, 2.5, 0.0])}
    partials = evaluate(list(el.power.derivative(read_own(x), read_own(q))), at)
    np.testing.assert_allclose(partials[0], [0.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(partials[1], [0.0, 0.0, 0.0, np.log(2.0)])


def test_powers_and_roots_fold():
    x = read_own(input_array(Leaf("data", "x", (P,), "f")))
    assert el.power(x, 2) is x * x
    assert el.power(x, 0.5) is el.sqrt(x)
    assert el.sqrt(x) ** 2 is x
    assert el.sqrt(constant(9.0)) is constant(3.0)
    assert el.log(el.exp(x)) is x
    assert el.where(constant(True), x, constant(0.0)) is x
    assert el.less(constant(1), constant(2)) is constant(True)
    assert isinstance(el.sqrt(constant(2)), Apply)


def test_a_derivative_that_is_not_in_the_table_says_so():
    with pytest.raises(GradientError, match="polygamma2"):
        TABLE["polygamma2"].derivative(constant(1.0))
