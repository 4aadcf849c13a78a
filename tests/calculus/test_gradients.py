"""Gradients of composite models at the level of terms, against a complex step and 50 digits; forward and reverse agree."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symvi.atoms.joining
import symvi.atoms.linear_algebra  # noqa: F401  (the atoms register themselves)
from symvi.atoms import elementwise as el
from symvi.atoms.array_atom import ARRAY_ATOMS
from symvi.calculus.forward import pushforward
from symvi.calculus.reverse import gradients, pullback
from symvi.expr.build import as_term, constant, contract, delta, input_array, iota, read, read_own, reduce, surrogate, tensor
from symvi.expr.dims import dims
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import postorder
from symvi.oracle.gradient_check import check_gradient, check_tangent
from symvi.oracle.interpreter import evaluate, evaluate_one
from symvi.oracle.random_inputs import random_values

N, D, K, M, J, T = dims("N D K M J T")
n, d, k, m, j, t = (Label(dim) for dim in (N, D, K, M, J, T))
m1, d1, n1 = Label(M, 1), Label(D, 1), Label(N, 1)
HALF = Fraction(1, 2)
MINUS_INFINITY = constant(float("-inf"))
inverse, logdet, solve, cholesky = (ARRAY_ATOMS[name] for name in ("inverse", "logdet", "solve", "cholesky"))
solve_triangular, concatenate, cumsum = (ARRAY_ATOMS[name] for name in ("solve_triangular", "concatenate", "cumsum"))


class Support(NamedTuple):
    """The part of a support that facts and random values see."""

    name: str
    interval: tuple[float, float] | None = None
    matrix_facts: tuple[str, ...] = ()


POSITIVE = Support("positive", (5e-324, float("inf")))
SPD = Support("spd", None, ("spd",))


def array(name, *shape, kind="f", **attributes):
    return input_array(Leaf("param", name, shape, kind, **attributes))


def total(term):
    return contract(term.labels, [(term, 1)])


X, w, b, y = array("X", N, D), array("w", D), array("b"), array("y", N)
W, Y = array("W", D, K), array("Y", N, K)
Z, u, ell, amplitude = array("Z", M, D), array("u", M), array("ell", D, support=POSITIVE), array("amplitude", support=POSITIVE)
mu, sigma, logits = array("mu", K), array("sigma", K, support=POSITIVE), array("logits", K)
group, effects = array("group", N, kind="i", index_of=J), array("effects", J)
h, rate = array("h", T), array("rate", N, support=POSITIVE)
S = array("S", D, D, support=SPD)
mask = array("mask", N, kind="b")

eta = contract({d}, [(read_own(X), 1), (read(w, (d,)), 1)]) + read(b, ())


def logistic():
    return total(read(y, (n,)) * eta - el.softplus(eta)), [w, b, X, y]


def softmax_regression():
    scores = contract({d}, [(read_own(X), 1), (read_own(W), 1)])
    return total(read_own(Y) * (scores - reduce("logsumexp", {k}, scores))), [W, X, Y]


def linear_regression():
    residual = read(y, (n,)) - eta
    return -HALF * contract({n}, [(residual, 2)]) - HALF * contract({d}, [(read(w, (d,)), 2)]), [w, b, X]


def mixture():
    difference = (read(y, (n,)) - read(mu, (k,))) / read(sigma, (k,))
    weights = read(logits, (k,)) - reduce("logsumexp", {k}, read(logits, (k,)))
    return total(reduce("logsumexp", {k}, weights - HALF * difference**2 - el.log(read(sigma, (k,))))), [mu, sigma, logits, y]


def kernel(a, b):
    distance = contract({d}, [(read(Z, (a, d)) - read(Z, (b, d)), 2), (read(ell, (d,)), -2)])
    return read(amplitude, ()) ** 2 * el.exp(-HALF * distance)


def gaussian_process():
    matrix = tensor(kernel(m, m1) + Fraction(1, 10) * delta(m, m1), (m, m1))
    quadratic = contract({m, m1}, [(read(u, (m,)), 1), (read_own(inverse(matrix)), 1), (read(u, (m1,)), 1)])
    return -HALF * quadratic - HALF * read_own(logdet(matrix)), [Z, u, ell, amplitude]


def gaussian_process_by_cholesky():
    factor = cholesky(tensor(kernel(m, m1) + Fraction(1, 10) * delta(m, m1), (m, m1)))
    white = read_own(solve_triangular(factor, u, attributes=(False, True)))
    return -HALF * contract({m}, [(white, 2)]) - contract({m}, [(el.log(read(factor, (m, m))), 1)]), [Z, u, ell]


def sparse_process():
    matrix = tensor(kernel(m, m1) + Fraction(1, 10) * delta(m, m1), (m, m1))
    cross = el.exp(-HALF * contract({d}, [(read(X, (n, d)) - read(Z, (m, d)), 2)]))
    weights = solve(matrix, tensor(cross, (m, n)), attributes=(False, False))
    mean = contract({m}, [(read(weights, (m, n)), 1), (read(u, (m,)), 1)])
    variance = 1 - contract({m}, [(cross, 1), (read(weights, (m, n)), 1)])
    return total(-HALF * (read(y, (n,)) - mean) ** 2 - variance), [Z, X, u, ell]


def random_effects():
    linear = read(effects, (read(group, (n,)),)) + read(w, (d,)) * 0 + el.tanh(read(effects, (j,))) * 0 + eta
    return contract({n}, [(read(y, (n,)) * linear - el.exp(linear), 1)]) / 1, [effects, w]


def gather_of_a_nonlinear_function():
    table = tensor(el.exp(read_own(effects)) * el.sin(read_own(effects)), (j,))
    return total(el.softplus(read(table, (read(group, (n,)),)) * read(y, (n,)))), [effects, y]


def random_walk():
    short = Label(T - 1)
    step = read(h, (iota(short) + 1,)) - el.tanh(read(h, (short,)))
    return -HALF * contract({short}, [(step, 2)]) + total(el.cos(read(h, (t,)))), [h]


def second_differences():
    short = Label(T - 2)
    difference = read(h, (iota(short) + 2,)) - 2 * read(h, (iota(short) + 1,)) + read(h, (short,))
    return contract({short}, [(el.exp(difference), 1)]), [h]


def reversed_read():
    backwards = read(h, (as_term(T) - 1 - iota(t),))
    return total(el.sin(backwards) * read(h, (t,)) ** 2), [h]


def diagonal_and_trace():
    A = array("A", D, D)
    diagonal = read(A, (d, d))
    return total(el.exp(diagonal) * read(w, (d,))) + contract({d, d1}, [(read(A, (d, d1)), 1), (read(A, (d1, d)), 1)]), [A, w]


def gaussian_divergence():
    """KL of a full-rank Gaussian from the standard one, with its covariance as parameter."""
    trace = contract({d}, [(read(S, (d, d)), 1)])
    return HALF * (trace + contract({d}, [(read(w, (d,)), 2)]) - as_term(D) - read_own(logdet(S))), [S, w]


def masked_likelihood():
    value = el.where(read(mask, (n,)), el.log(read(rate, (n,))) * eta, el.sqrt(read(rate, (n,))) + eta)
    return total(value), [rate, w]


def reductions():
    top = reduce("max", {n}, eta) * reduce("min", {d}, read(w, (d,)))
    return top + reduce("prod", {n}, 1 + HALF * el.sin(eta)) + reduce("prod", {d}, read(w, (d,))), [w, b, X]


def joined():
    whole = concatenate(tensor(el.exp(read_own(w)), (d,)), u, attributes=(0,))
    (axis,) = canonical_axes(whole.shape)
    sums = cumsum(whole, attributes=(False,))
    return contract({axis}, [(read_own(sums), 2), (read_own(whole), 1)]), [w, u]


def power_law():
    return total(el.power(read(rate, (n,)), el.tanh(eta)) + el.xlogy(read(rate, (n,)), read(rate, (n,)))), [rate, w]


def gamma_density():
    shape, value = read(sigma, (k,)), read(rate, (n,))
    return total((shape - 1) * el.log(value) - value - el.gammaln(shape)), [sigma, rate]


MODELS = [
    logistic, softmax_regression, linear_regression, mixture, gaussian_process, gaussian_process_by_cholesky, sparse_process,
    random_effects, gather_of_a_nonlinear_function, random_walk, second_differences, reversed_read, diagonal_and_trace, gaussian_divergence,
    masked_likelihood, reductions, joined, power_law, gamma_density,
]  # fmt: skip
TINY = {"N": 3, "D": 2, "K": 3, "M": 3, "J": 2, "T": 4}
EDGES = [{"N": 0, "D": 1, "K": 1, "M": 1, "J": 1, "T": 2}, {"N": 1, "D": 0, "K": 1, "M": 0, "J": 2, "T": 3}]


def case(model, sizes, seed=0):
    scalar, arrays = model()
    return scalar, arrays, random_values([scalar, *arrays], sizes, np.random.default_rng(seed))


@pytest.mark.parametrize("model", MODELS)
def test_both_modes_agree_with_a_complex_step(model):
    scalar, arrays, values = case(model, TINY)
    check_gradient(scalar, arrays, values, TINY, tolerance=1e-11).raise_if_failed()
    check_tangent([scalar], arrays, values, TINY, tolerance=1e-11).raise_if_failed()


@pytest.mark.parametrize("model", [logistic, mixture, gaussian_process, sparse_process, random_walk, masked_likelihood, reductions])
def test_gradients_agree_with_50_digits(model):
    scalar, arrays, values = case(model, TINY, seed=1)
    check_gradient(scalar, arrays, values, TINY, tolerance=1e-11, method="mpmath").raise_if_failed()


@pytest.mark.parametrize("sizes", EDGES, ids=["N=0", "D=0"])
@pytest.mark.parametrize("model", [model for model in MODELS if model is not reductions])
def test_extents_of_zero_and_one(model, sizes):
    scalar, arrays, values = case(model, sizes)
    check_gradient(scalar, arrays, values, sizes, tolerance=1e-11).raise_if_failed()


@pytest.mark.parametrize("model", MODELS)
def test_second_derivatives(model):
    """The gradient of a function of the gradient; derivatives are closed in the language."""
    scalar, arrays, values = case(model, TINY, seed=2)
    arrays = arrays[:2]
    adjoints = gradients(scalar, arrays)
    again = sum((total(el.sin(g) if g.labels else g * g) for g in adjoints[1:]), total(el.sin(adjoints[0])))
    check_gradient(again, arrays, values, TINY, tolerance=1e-9).raise_if_failed()


def test_adjoints_live_on_the_axes_of_their_arrays():
    for model in MODELS:
        scalar, arrays = model()
        for array_, adjoint in zip(arrays, gradients(scalar, arrays), strict=True):
            assert adjoint.labels <= set(canonical_axes(array_.shape))


def test_derivatives_are_real_numbers():
    A = array("A", D, D)
    for scalar, array_ in ((contract({d}, [(read(A, (d, d)), 1)]), A), (total(read(w, (d,))), w)):
        assert gradients(scalar, [array_])[0].kind == "f"
    assert pullback([(read_own(w), constant(1))], [w])[0].kind == "f"
    summed = read(cumsum(h, attributes=(False,)), (constant(1),))
    assert evaluate_one(gradients(summed, [h])[0], {h: np.zeros(3)}).dtype == float


def test_gradient_by_an_array_that_does_not_occur_is_zero():
    scalar, _ = linear_regression()
    assert gradients(scalar, [effects])[0].value == 0


# ----------------------------------------------------------------------------------------------------------------- masks
def gradient_at(scalar, array_, values):
    (adjoint,) = gradients(scalar, [array_])
    return evaluate_one(tensor(adjoint, canonical_axes(array_.shape)), values)


x = array("x", N)
AT_ZERO = {x: np.array([0.0, 2.0, 0.0])}
v = read(x, (n,))
inside = el.greater(v, 0)
SAFE = {
    "log": (el.where(inside, el.log(v), 0), 0.5),
    "the other branch": (el.where(el.less_equal(v, 0), 0, el.log(v)), 0.5),
    "scaled inside": (el.where(inside, el.sqrt(3 * el.log(2 * v)), 0), None),
    "used twice": (el.where(inside, el.log(v) ** 2 + el.log(v), 0), None),
    "a sum of two masks": (el.where(inside, el.log(v), 0) + el.where(el.greater(v, 1), el.log(v), 0), 1.0),
    "masks under opposite conditions": (el.where(inside, el.log(v), 0) + el.where(inside, 1, el.exp(v)), None),
    "division": (el.where(inside, 1 / v, 7), -0.25),
    "minus infinity": (el.where(inside, el.log(v), MINUS_INFINITY), 0.5),
    "nested": (el.where(inside, el.where(el.greater(v, 1), el.log(v), v), 0), 0.5),
    "masked then summed": (contract({k}, [(el.where(inside, el.log(v) * read(mu, (k,)), 0), 1)]), None),
}


@pytest.mark.parametrize("name", SAFE)
def test_a_dead_branch_sends_no_gradient(name):
    """At x = 0 the dead branch has an infinite derivative; the mask wins and the gradient is finite."""
    term, expected = SAFE[name]
    values = {**AT_ZERO, mu: np.array([0.3, 0.4])}
    found = gradient_at(total(el.where(inside, term, 0)) if name == "minus infinity" else total(term), x, values)
    assert np.isfinite(found).all()
    if expected is not None:
        np.testing.assert_allclose(found, [0.0, expected, 0.0])
    at_two = {**values, x: np.array([2.0])}
    if name != "minus infinity":
        check_gradient(total(term), [x], at_two, tolerance=1e-12).raise_if_failed()


def test_logsumexp_with_terms_of_probability_zero():
    """Entries of -inf have weight 0; where all are -inf the gradient is 0, not nan."""
    scores = el.where(read(mask, (n,)), read(x, (n,)), MINUS_INFINITY)
    term = reduce("logsumexp", {n}, scores)
    found = gradient_at(term, x, {x: np.array([1.0, 2.0, 1.0]), mask: np.array([True, False, True])})
    np.testing.assert_allclose(found, [0.5, 0.0, 0.5])
    none = gradient_at(term, x, {x: np.array([1.0, 2.0]), mask: np.array([False, False])})
    np.testing.assert_array_equal(none, [0.0, 0.0])


@pytest.mark.parametrize("operation", ["max", "min"])
def test_ties_share_the_derivative(operation):
    values = {x: np.array([1.0, 1.0, 2.0, 2.0]) * (1 if operation == "max" else -1)}
    found = gradient_at(reduce(operation, {n}, read(x, (n,))), x, values)
    np.testing.assert_allclose(found, [0.0, 0.0, 0.5, 0.5])


@pytest.mark.parametrize("value", [[2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 3.0, 0.0], [0.0], []])
def test_products_with_zeros(value):
    values = {x: np.array(value)}
    check_gradient(reduce("prod", {n}, read(x, (n,))), [x], values, tolerance=1e-14).raise_if_failed()
    check_tangent([reduce("prod", {n}, read(x, (n,)))], [x], values, tolerance=1e-14).raise_if_failed()


@pytest.mark.parametrize("value", [[2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0], [5.0]])
def test_second_and_third_derivatives_of_products_with_zeros(value):
    """By differences: a complex step does not leave the branch of a zero."""
    values = {x: np.array(value)}
    (first,) = gradients(reduce("prod", {n}, read(x, (n,))), [x])
    weighted = contract({n}, [(first, 1), (iota(n) + 1, 1)])
    check_gradient(weighted, [x], values, tolerance=1e-14, method="mpmath").raise_if_failed()
    (second,) = gradients(weighted, [x])
    check_gradient(contract({n}, [(second, 1), (iota(n) + 2, 2)]), [x], values, tolerance=1e-13, method="mpmath").raise_if_failed()


def test_second_derivatives_of_a_product_over_two_axes():
    term = reduce("prod", {n, d}, read_own(X))
    values = {X: np.array([[0.0, 2.0], [3.0, 0.5]])}
    (first,) = gradients(term, [X])
    check_gradient(total(first * read_own(X) ** 2 + first), [X], values, tolerance=1e-14, method="mpmath").raise_if_failed()


@pytest.mark.parametrize("operation", ["logsumexp", "prod", "max", "min"])
def test_reductions_over_labels_that_the_term_lacks(operation):
    term = reduce(operation, {n}, el.exp(read(b, ()))) + reduce(operation, {n, d}, read(w, (d,)))
    values = {b: np.array(0.3), w: np.array([0.5, -0.7])}
    check_gradient(term, [b, w], values, {"N": 3}, tolerance=1e-13).raise_if_failed()
    check_tangent([term], [b, w], values, {"N": 3}, tolerance=1e-13).raise_if_failed()


# ----------------------------------------------------------------------------------------------------------- surrogates
def test_a_stopped_gradient_is_zero():
    stopped = surrogate(el.exp(v), constant(0.0))
    np.testing.assert_array_equal(gradient_at(total(stopped), x, AT_ZERO), np.zeros(3))
    np.testing.assert_allclose(gradient_at(total(stopped * v), x, AT_ZERO), np.exp(AT_ZERO[x]))
    (tangent,) = pushforward([stopped * v], {x: constant(1.0)})
    np.testing.assert_allclose(evaluate_one(tangent, AT_ZERO), np.exp(AT_ZERO[x]))


def test_a_surrogate_is_differentiated_as_its_second_part():
    straight_through = surrogate(el.sign(v), v)
    np.testing.assert_allclose(gradient_at(total(straight_through**2), x, AT_ZERO), 2 * np.sign(AT_ZERO[x]))
    constant_along_n = surrogate(read(b, ()), v)
    np.testing.assert_allclose(gradient_at(total(constant_along_n * 3), x, {**AT_ZERO, b: 1.0}), [3.0, 3.0, 3.0])


# -------------------------------------------------------------------------------------------------------------- duality
VECTOR = [array("p", N), array("q", D), array("R", N, D), array("c")]
p, q, R, c = (read_own(a) for a in VECTOR)

pieces = st.sampled_from([p, q, R, c, el.tanh(p), el.exp(R / 4), el.sigmoid(q)])
UNARY = st.sampled_from([el.tanh, el.sigmoid, el.sin, el.softplus, el.arctan])


def combine(inner):
    return st.one_of(
        st.tuples(UNARY, inner).map(lambda z: z[0](z[1])),
        st.tuples(inner, inner).map(lambda z: z[0] * z[1]),
        st.tuples(inner, inner).map(lambda z: z[0] + 2 * z[1]),
        inner.map(lambda z: contract(z.labels & {d}, [(z, 1)])),
        inner.map(lambda z: reduce("logsumexp", z.labels & {n}, z) if n in z.labels else z),
        inner.map(lambda z: read(tensor(z, (n, d)), (n1, d)) if z.labels == {n, d} else z),
        inner.map(lambda z: z / (1 + z**2)),
    )


vector_functions = st.recursive(pieces, combine, max_leaves=5)  # at least one row: the logsumexp of none is -inf


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(vector_functions, st.integers(1, 3), st.integers(0, 3), st.integers(0, 9))
def test_forward_and_reverse_are_adjoint(term, rows, columns, seed):
    """<u, J v> = <J' u, v>."""
    sizes, rng = {"N": rows, "D": columns}, np.random.default_rng(seed)
    values = random_values(VECTOR, sizes, rng)
    directions = {a: array(f"d{a.name}", *a.shape) for a in VECTOR}
    seed_array = array("seed", *(label.dim for label in term.sorted_labels()))
    cotangent = read(seed_array, term.sorted_labels())
    values |= random_values([*directions.values(), seed_array], sizes, rng)
    (tangent,) = pushforward([term], {a: read_own(direction) for a, direction in directions.items()})
    left = contract(term.labels, [(cotangent, 1), (tangent, 1)])
    adjoints = pullback([(term, cotangent)], VECTOR)
    pairs = zip(VECTOR, adjoints, strict=True)
    right = sum((contract(canonical_axes(a.shape), [(g, 1), (read_own(directions[a]), 1)]) for a, g in pairs), constant(0.0))
    one, other = evaluate([left, right], values, sizes)
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


# ----------------------------------------------------------------------------------------------------------------- shape
def test_the_gradient_of_a_deep_chain_does_not_recurse():
    whole = h
    for level in range(1200):
        whole = cumsum(whole, attributes=(level % 2 == 0,))
    scalar = read(whole, (constant(0),))
    values = {h: np.array([0.5, 1.5])}
    (tangent,) = pushforward([scalar], {h: constant(1.0)})
    adjoint = gradient_at(scalar, h, values)
    np.testing.assert_allclose(evaluate_one(tangent, values), adjoint.sum())
    np.testing.assert_allclose(adjoint @ values[h], evaluate_one(scalar, values), err_msg="a linear function is its gradient times x")


def test_a_chain_of_many_nonlinear_functions():
    term = read(b, ())
    for _ in range(200):
        term = el.tanh(term)
    check_gradient(term, [b], {b: 0.5}, tolerance=1e-14).raise_if_failed()


def test_one_sweep_shares_the_nodes_of_the_primal():
    """The gradient of the logistic model reads the linear predictor that the value reads: one contraction over D."""
    scalar, arrays = logistic()
    below = set(postorder([scalar, *gradients(scalar, [w])]))
    assert eta in below
    assert len([node for node in below if node.is_term and getattr(node, "bound", ()) and node.bound[0].dim == D]) == 1


def test_the_adjoint_of_a_gather_is_a_scatter():
    table = read(effects, (read(group, (n,)),))
    found = gradient_at(contract({n}, [(table, 1), (read(y, (n,)), 1)]), effects, {
        effects: np.zeros(3), group: np.array([2, 0, 2]), y: np.array([1.0, 10.0, 100.0]),
    })  # fmt: skip
    np.testing.assert_array_equal(found, [10.0, 0.0, 101.0])
