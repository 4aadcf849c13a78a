"""Facts are sound: values lie in their intervals, psd matrices have no negative eigenvalue, lower ones no upper triangle."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symvi.atoms.linear_algebra  # noqa: F401  (the atoms register themselves)
from symvi.atoms import elementwise as el
from symvi.atoms.array_atom import ARRAY_ATOMS
from symvi.atoms.scalar_function import TABLE
from symvi.expr.build import (
    as_term,
    constant,
    contract,
    delta,
    input_array,
    iota,
    multiply,
    read,
    read_own,
    reduce,
    rename,
    surrogate,
    tensor,
)
from symvi.expr.dims import dims
from symvi.expr.facts import assert_fact, asserted, interval, is_nonnegative, is_positive, matrix_facts
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import postorder
from symvi.oracle.interpreter import evaluate, evaluate_one
from symvi.oracle.random_inputs import random_values

N, D = dims("N D")
i, j, d = Label(N), Label(N, 1), Label(D)


class Support(NamedTuple):
    """The part of a support that facts and random values see."""

    name: str
    interval: tuple[float, float] | None = None
    matrix_facts: tuple[str, ...] = ()


def array(name, *shape, kind="f", **attributes):
    return input_array(Leaf("param", name, shape, kind, **attributes))


real = array("real", N)
positive = array("positive", N, support=Support("positive", (5e-324, float("inf"))))
unit = array("unit", N, support=Support("unit", (0.0, 1.0)))
negative = array("negative", N, support=Support("negative", (float("-inf"), 0.0)))
count = array("count", N, kind="i", index_of=D)
LEAVES = [real, positive, unit, negative, count]

BINARY = ["maximum", "minimum", "logaddexp", "less", "power"]
UNARY = ["exp", "log1p", "expm1", "sigmoid", "softplus", "tanh", "sin", "cos", "arctan", "erf", "erfc", "erfcx", "ndtr", "log_ndtr",
         "absolute", "sign", "floor", "ceil", "sinh", "cosh", "arcsinh", "as_float", "sqrt", "log"]  # fmt: skip
fractions = st.fractions(min_value=-3, max_value=3, max_denominator=4)


def combine(inner):
    return st.one_of(
        st.tuples(st.sampled_from(UNARY), inner).map(lambda t: TABLE[t[0]](t[1])),
        st.tuples(inner, inner, fractions, fractions).map(lambda t: t[2] * t[0] + t[3] * t[1]),
        st.tuples(inner, inner).map(lambda t: t[0] * t[1]),
        st.tuples(inner, st.sampled_from([-3, -2, -1, 2, 3])).map(lambda t: t[0] ** t[1]),
        st.tuples(st.sampled_from(BINARY), inner, inner).map(lambda t: TABLE[t[0]](t[1], t[2])),
        st.tuples(inner, inner, inner).map(lambda t: el.where(el.greater(t[0], 0), t[1], t[2])),
        st.tuples(inner, inner).map(lambda t: surrogate(t[0], t[1])),
        inner.map(lambda t: contract({i}, [(t, 1)]) if i in t.labels else t),
        st.tuples(st.sampled_from(["max", "min", "prod", "logsumexp"]), inner).map(lambda t: reduce(t[0], {i}, t[1])),
    )


terms = st.recursive(st.one_of(st.sampled_from(LEAVES).map(read_own), fractions.map(constant)), combine, max_leaves=6)


def all_finite(term, seed):
    """Is every part of a term finite?"""
    values = random_values(LEAVES, {"N": 3, "D": 4}, np.random.default_rng(seed))
    parts = [node for node in postorder([term]) if node.is_term]
    return all(np.isfinite(np.asarray(value, dtype=float)).all() for value in evaluate(parts, values, {"N": 3, "D": 4}, precision=30))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(terms, st.integers(0, 5))
def test_values_lie_in_their_interval(term, seed):
    lo, hi = interval(term)
    assert lo <= hi
    value = evaluate_one(term, random_values(LEAVES, {"N": 3, "D": 4}, np.random.default_rng(seed)), {"N": 3, "D": 4}, precision=30)
    value = np.asarray(value)[()] if value.dtype != object else value
    for number in np.ravel(np.array(value, dtype=object)):
        if number != number:  # outside of the domain of a function
            continue
        slack = 1e-12 * max(1, abs(number)) if abs(number) != float("inf") else 0  # bounds are computed in float64
        assert lo - slack <= number <= hi + slack
        if lo > 0 and not term.extended and number <= 0:  # facts speak of finite values: erfc(inf) is 0
            assert not all_finite(term, seed)


def test_positivity_survives_products_powers_and_scaling():
    p, r = read_own(positive), read_own(real)
    for term in (p * p, 1 / p, p**-3, p / 2, p + p, el.sqrt(p), el.exp(r) * p, Fraction(1, 1000) * p**5, p + 1, el.power(p, r)):
        assert is_positive(term)
    for term in (p * read_own(unit), r**2, contract({i}, [(p, 1)]), el.absolute(r), read_own(count)):
        assert is_nonnegative(term) and not is_positive(term)
    assert not is_nonnegative(p - 1)
    assert interval(-p)[1] < 0


def test_stated_facts():
    term = read_own(array("t", N))
    assert not is_nonnegative(term)
    assert_fact(term, "positive")
    assert is_positive(term) and asserted(term) == {"positive"}
    K = array("K", N, N)
    inverse = ARRAY_ATOMS["inverse"](K)
    assert not matrix_facts(inverse)
    assert_fact(K, "spd")
    assert "spd" in matrix_facts(inverse), "what was derived before the fact was stated is derived again"
    assert matrix_facts(K) == {"spd", "psd", "symmetric", "positive_diagonal"}


solve, cholesky, inverse, solve_triangular = (ARRAY_ATOMS[name] for name in ("solve", "cholesky", "inverse", "solve_triangular"))
X, w, s = array("X", N, D), array("w", D), array("s", N)
scales = array("scales", D, support=Support("positive", (5e-324, float("inf"))))
P = array("P", N, N, support=Support("spd", None, ("spd",)))
Q = array("Q", N, N, support=Support("psd", None, ("psd",)))
H = array("H", N, N, support=Support("symmetric", None, ("symmetric",)))
L = array("L", N, N, support=Support("lower", None, ("lower",)))
T = array("T", N, N, support=Support("lower_cholesky", None, ("lower", "positive_diagonal")))
G = array("G", N, N)
M = array("M", N, D)
S = array("S", D, D, support=Support("spd", None, ("spd",)))
group = array("group", N, kind="i", index_of=D)
k, d1 = Label(N, 2), Label(D, 1)
f = el.tanh(read(s, (i,)))
f_twin = el.tanh(read(s, (j,)))
difference = read(X, (i, d)) - read(X, (j, d))
distance = contract({d}, [(difference, 2), (read(scales, (d,)), -2)])
root = el.sqrt(distance)
kernel = el.exp(Fraction(-1, 2) * distance)
gram = contract({d}, [(read(X, (i, d)), 1), (read(X, (j, d)), 1)])
squares = contract({d}, [(read(X, (i, d)), 2)])
expanded = squares + contract({d}, [(read(X, (j, d)), 2)]) - 2 * gram
eye = delta(i, j)
Pij = read(P, (i, j))
shape = read(array("a", support=Support("positive", (5e-324, float("inf")))), ())
time, time_twin = read(positive, (i,)), read(positive, (j,))


solved = solve(S, tensor(read(X, (i, d)), (d, i)), attributes=(False, False))
half = solve_triangular(T, G, attributes=(False, False))
symmetric = array("A", D, D, support=Support("symmetric", None, ("symmetric",)))


def product(left, middle, right):
    """A G B', one contraction after the other, as `A @ G @ B.T` builds it."""
    inner, outer = (Label(middle.shape[0], 2 + number) for number in range(2))
    product = contract({inner}, [(read(left, (i, inner)), 1), (read(middle, (inner, outer)), 1)])
    return contract({outer}, [(product, 1), (read(right, (j, outer)), 1)])


def matern(root_of_five, u):
    return (1 + root_of_five * u + Fraction(5, 3) * u**2) * el.exp(-root_of_five * u)


SPD = {
    "identity": eye,
    "input": Pij,
    "kernel plus jitter": kernel + Fraction(1, 100) * eye,
    "kernel plus noise": kernel + eye * read(positive, (i,)),
    "gram plus input": gram + Pij,
    "positive diagonal": eye * el.exp(read(s, (i,))),
    "product with a positive row and column": Pij * read(positive, (i,)) * read(positive, (j,)),
    "schur product of two": Pij * Pij,
    "positive scaling": shape * Pij / 3,
    "gram of a factor with a positive diagonal": contract({k}, [(read(T, (i, k)), 1), (read(T, (j, k)), 1)]),
    "gram of columns of a factor": contract({k}, [(read(T, (k, i)), 1), (read(T, (k, j)), 1)]),
    "inverse": read(inverse(tensor(kernel + eye, (i, j))), (i, j)),
    "transpose": read(P, (j, i)),
    "gram plus scaled identity": gram + shape * eye,
}
PSD = {
    "kernel": kernel,
    "kernel with amplitude": read(array("a"), ()) ** 2 * kernel,
    "kernel from a shifted distance": el.exp(1 - Fraction(1, 2) * distance),
    "kernel from an expanded distance": el.exp(-expanded / 2),
    "gram": gram,
    "weighted gram": contract({d}, [(read(X, (i, d)), 1), (read(X, (j, d)), 1), (read(scales, (d,)), 1)]),
    "rank one": f * f_twin,
    "squared diagonal": eye * read(s, (i,)) ** 2,
    "rows scaled by numbers that may be zero": Pij * f * f_twin,
    "exp of a gram": el.exp(gram),
    "constant": constant(2.0),
    "rational kernel": 1 / (1 + distance),
    "rational quadratic": el.power(1 + distance / (2 * shape), -shape),
    "squared rational quadratic": (1 + distance / 2) ** -2,
    "rational quadratic of an expanded distance": 1 / (1 + expanded),
    "inverse multiquadric": 1 / el.sqrt(1 + distance),
    "exponential": el.exp(-root / shape),
    "exponential in one dimension": el.exp(-el.absolute(time - time_twin)),
    "power exponential": el.exp(-el.power(distance, Fraction(3, 4))),
    "matern 3/2": (1 + el.sqrt(3) * root / shape) * el.exp(-el.sqrt(3) * root / shape),
    "matern 5/2": shape**2 * matern(el.sqrt(5), root),
    "matern 5/2 in numbers": matern(constant(5**0.5), root / shape),
    "matern 5/2 from the squares": (1 + el.sqrt(5) * root + Fraction(5, 3) * distance) * el.exp(-el.sqrt(5) * root),
    "periodic": el.exp(-2 * el.sin(el.pi * (time - time_twin) / 3) ** 2 / shape**2),
    "locally periodic": el.exp(-2 * el.sin(time - time_twin) ** 2) * kernel,
    "cosine": el.cos(time - time_twin),
    "linear": shape**2 * gram + 1,
    "polynomial": (gram + 1) ** 3,
    "series of a gram": el.sinh(gram) + el.expm1(gram) + el.cosh(gram),
    "logarithmic": 1 / (1 + el.log1p(distance)),
    "brownian motion": el.minimum(time, time_twin),
    "levels of groups": el.where(el.equal(read(group, (i,)), read(group, (j,))), shape, 0),
    "gathered": read(tensor(kernel, (i, j)), (read(group, (i,)), read(group, (j,)))),
    "congruence": product(X, S, X),
    "congruence with an inverse": product(X, inverse(S), X),
    "congruence by a solve": contract({d}, [(read(X, (i, d)), 1), (read(solved, (d, j)), 1)]),
    "gram of a triangular solve": contract({k}, [(read(half, (k, i)), 1), (read(half, (k, j)), 1)]),
    "congruence of a semidefinite matrix": product(G, Q, G),
    "gram of a lower factor": contract({k}, [(read(L, (i, k)), 1), (read(L, (j, k)), 1)]),
    "sum of kernels": kernel + gram + el.exp(-root),
    "product of kernels": kernel * gram,
}  # fmt: skip
NOT_PSD = {
    "general": read(G, (i, j)),
    "symmetric": read(H, (i, j)),
    "difference": Pij - gram,
    "elementwise product with the transpose": read(G, (i, j)) * read(G, (j, i)),
    "signed diagonal": eye * read(s, (i,)),
    "one over a matrix": 1 / (2 + el.sin(Pij)),
    "exp of a distance": el.exp(distance),
    "negative weight": contract({d}, [(read(X, (i, d)), 1), (read(X, (j, d)), 1), (read(w, (d,)), 1)]),
    "distance": distance,
    "diagonal batch of definite matrices": read(array("Q", N, N, N, support=Support("spd", None, ("spd",))), (i, i, j)),
    "asymmetric kernel": el.exp(-((read(s, (i,)) - 2 * read(s, (j,))) ** 2)),
    "kernel of an antisymmetric matrix": el.exp(-((read(G, (i, j)) - read(G, (j, i))) ** 2)),
    "fourth power of a difference": el.exp(-((time - time_twin) ** 4)),
    "rational of a distance that may be negative": 1 / (1 + read(s, (i,)) * read(s, (j,)) + gram),
    "matern with too much slope": (1 + 2 * root) * el.exp(-root),
    "matern with too much curvature": (1 + root + root**2) * el.exp(-root),
    "power of a distance beyond two": el.exp(-el.power(distance, Fraction(3, 2))),
    "sine of a difference": el.sin(time - time_twin),
    "minimum of signed numbers": el.minimum(read(s, (i,)), read(s, (j,))),
    "congruence of a symmetric matrix": product(X, symmetric, X),
    "two sides that differ": product(X, S, M),
    "row sums": contract({j}, [(kernel, 1)]),
    "square of a matrix": contract({k}, [(read(G, (i, k)), 1), (read(G, (k, j)), 1)]),
}  # fmt: skip


def values_of(term, seed):
    values = random_values([tensor(term, (i, j)), real], {"N": 4, "D": 2}, np.random.default_rng(seed))
    if seed == 0 and s.leaf in values:
        values[s.leaf] = np.zeros(4)
    return values


@pytest.mark.parametrize("name", [*SPD, *PSD])
def test_definite_matrices_are_found_and_are_definite(name):
    term = SPD.get(name, PSD.get(name))
    matrix = tensor(term, (i, j))
    facts = matrix_facts(matrix)
    assert ("spd" if name in SPD else "psd") in facts and "symmetric" in facts
    assert ("spd" in facts) == (name in SPD)
    for seed in range(3):
        value = evaluate_one(matrix, values_of(term, seed), {"N": 4, "D": 2})
        np.testing.assert_allclose(value, value.T, rtol=1e-14)
        smallest = np.linalg.eigvalsh(value).min()
        assert smallest > 0 if "spd" in facts else smallest >= -1e-9 * abs(value).max()


@pytest.mark.parametrize("name", NOT_PSD)
def test_nothing_is_claimed_of_other_matrices(name):
    assert not {"psd", "spd"} & matrix_facts(tensor(NOT_PSD[name], (i, j)))


def matrix_product(left, right):
    inner = Label(N, 9)
    return contract({inner}, [(rename(left, {j: inner}), 1), (rename(right, {i: inner}), 1)])


def combine_matrices(inner):
    weights = st.sampled_from([-1, Fraction(-1, 2), Fraction(1, 3), 1, 2])
    return st.one_of(
        st.tuples(inner, inner, weights, weights).map(lambda t: t[2] * t[0] + t[3] * t[1]),
        st.tuples(inner, inner).map(lambda t: t[0] * t[1]),
        st.tuples(inner, inner).map(lambda t: matrix_product(t[0], t[1])),
        st.tuples(inner, inner).map(lambda t: matrix_product(matrix_product(t[0], t[1]), rename(t[0], {i: j, j: i}))),
        inner.map(lambda t: rename(t, {i: j, j: i})),
        inner.map(lambda t: t + rename(t, {i: j, j: i})),
        st.tuples(st.sampled_from(["exp", "sqrt", "sin", "cos", "log1p", "absolute", "sinh", "arcsin"]), inner).map(
            lambda t: TABLE[t[0]](t[1])
        ),
        st.tuples(inner, st.sampled_from([-2, -1, 2, 3])).map(lambda t: (1 + t[0]) ** t[1]),
        st.tuples(inner, st.sampled_from([f, time, time_twin, f * f_twin, shape])).map(lambda t: t[0] * t[1]),
        st.tuples(inner, inner).map(lambda t: el.where(el.greater_equal(iota(i), iota(j)), t[0], 0)),
        st.tuples(inner, inner).map(lambda t: el.minimum(t[0], t[1])),
        inner.map(lambda t: read(inverse(tensor(t + 5 * eye, (i, j))), (i, j))),
    )


ATOMS = [kernel, gram, Pij, read(Q, (i, j)), read(H, (i, j)), read(G, (i, j)), read(L, (i, j)), eye, distance, root, time - time_twin,
         read(G, (i, j)) - read(G, (j, i)), f, time, constant(2.0), el.minimum(time, time_twin), 1 / (1 + distance)]  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(st.sampled_from(ATOMS), combine_matrices, max_leaves=4), st.integers(0, 5))
def test_facts_of_random_matrices_hold(term, seed):
    matrix = tensor(term, (i, j))
    facts = matrix_facts(matrix)
    value = evaluate_one(matrix, random_values([matrix, positive, X], {"N": 3, "D": 2}, np.random.default_rng(seed)), {"N": 3, "D": 2})
    if not facts or not np.isfinite(value).all() or np.linalg.cond(value) > 1e8:
        return
    slack = 1e-7 * np.abs(value).max(initial=0.0)
    holds = {
        "symmetric": np.abs(value - value.T).max() <= slack,
        "psd": np.linalg.eigvalsh(value)[0] >= -slack,
        "spd": np.linalg.eigvalsh(value)[0] > 0,
        "lower": np.abs(np.triu(value, 1)).max() <= slack,
        "upper": np.abs(np.tril(value, -1)).max() <= slack,
        "diagonal": np.abs(value - np.diag(np.diagonal(value))).max() <= slack,
        "positive_diagonal": (np.diagonal(value) > 0).all(),
    }
    assert all(holds[fact] for fact in facts), [fact for fact in facts if not holds[fact]]


@pytest.mark.parametrize("n", [0, 1])
def test_definiteness_of_tiny_matrices(n):
    for term in (*SPD.values(), *PSD.values()):
        values = random_values([tensor(term, (i, j))], {"N": n, "D": 0}, np.random.default_rng(0))
        value = evaluate_one(tensor(term, (i, j)), values, {"N": n, "D": 0})
        assert (np.linalg.eigvalsh(value) >= 0).all()


low_times_sums = read(L, (i, j)) * contract({k}, [(read(L, (j, k)), 1), (read(s, (k,)), 1)])
LOWER = {
    "input": read(L, (i, j)),
    "masked": el.where(el.greater_equal(iota(i), iota(j)), read(G, (i, j)), 0),
    "masked the other way round": el.where(el.less_equal(iota(j), iota(i)), read(G, (i, j)), 0),
    "strict": el.where(el.greater(iota(i), iota(j)), read(G, (i, j)), 0),
    "diagonal": el.where(el.equal(iota(i), iota(j)), read(G, (i, j)), 0),
    "sum": read(L, (i, j)) + eye,
    "scaled rows": read(L, (i, j)) * read(s, (i,)),
    "delta": eye * read(s, (i,)),
}
NOT_LOWER = {
    "upper": el.where(el.less_equal(iota(i), iota(j)), read(G, (i, j)), 0),
    "transposed": read(L, (j, i)),
    "general": read(G, (i, j)),
    "equality of other things": el.where(el.equal(read(s, (i,)), read(s, (j,))), read(G, (i, j)), 0),
    "negated condition": el.where(el.logical_not(el.greater(iota(i), iota(j))), read(G, (i, j)), 0),
    "outside of the triangle": el.where(el.greater(iota(i), iota(j)), 0, read(G, (i, j))),
    "lower times sums along a row and upper times such": low_times_sums + rename(low_times_sums, {i: j, j: i}),
    "one over a lower": multiply([(read(L, (i, j)), -1)]),
}


@pytest.mark.parametrize("name", LOWER)
def test_lower_matrices(name):
    matrix = tensor(LOWER[name], (i, j))
    assert "lower" in matrix_facts(matrix)
    values = random_values([matrix], {"N": 4, "D": 2}, np.random.default_rng(0))
    assert (np.triu(evaluate_one(matrix, values, {"N": 4}), 1) == 0).all()


@pytest.mark.parametrize("name", NOT_LOWER)
def test_other_matrices_are_not_lower(name):
    assert "lower" not in matrix_facts(tensor(NOT_LOWER[name], (i, j)))


def test_facts_pass_through_operators_and_deep_chains():
    inverse = ARRAY_ATOMS["inverse"]
    matrix = tensor(SPD["kernel plus jitter"], (i, j))
    for _ in range(600):
        matrix = inverse(tensor(read(inverse(matrix), (i, j)) + eye, (i, j)))
    assert "spd" in matrix_facts(matrix)


def test_facts_of_sizes():
    assert is_nonnegative(as_term(N)) and not is_positive(as_term(N))
    assert interval(as_term(N) + 1)[0] == 1
