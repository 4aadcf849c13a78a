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
from symvi.expr.build import as_term, constant, contract, delta, input_array, iota, multiply, read, read_own, reduce, surrogate, tensor
from symvi.expr.dims import dims
from symvi.expr.facts import assert_fact, asserted, interval, is_nonnegative, is_positive, matrix_facts
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.oracle.interpreter import evaluate_one
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
        if lo > 0 and not term.extended:  # facts speak of finite values: erfc(inf) is 0
            assert number > 0


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
    assert matrix_facts(K) == {"spd", "psd", "symmetric"}


X, w, s = array("X", N, D), array("w", D), array("s", N)
scales = array("scales", D, support=Support("positive", (5e-324, float("inf"))))
P = array("P", N, N, support=Support("spd", None, ("spd",)))
L = array("L", N, N, support=Support("lower", None, ("lower",)))
G = array("G", N, N)
f = el.tanh(read(s, (i,)))
f_twin = el.tanh(read(s, (j,)))
difference = read(X, (i, d)) - read(X, (j, d))
distance = contract({d}, [(difference, 2), (read(scales, (d,)), -2)])
kernel = el.exp(Fraction(-1, 2) * distance)
gram = contract({d}, [(read(X, (i, d)), 1), (read(X, (j, d)), 1)])
eye = delta(i, j)
Pij = read(P, (i, j))

SPD = {
    "identity": eye,
    "input": Pij,
    "kernel plus jitter": kernel + Fraction(1, 100) * eye,
    "kernel plus noise": kernel + eye * read(positive, (i,)),
    "gram plus input": gram + Pij,
    "positive diagonal": eye * el.exp(read(s, (i,))),
    "product with a positive row and column": Pij * read(positive, (i,)) * read(positive, (j,)),
    "schur product of two": Pij * Pij,
}
PSD = {
    "kernel": kernel,
    "kernel with amplitude": read(array("a"), ()) ** 2 * kernel,
    "kernel from a shifted distance": el.exp(1 - Fraction(1, 2) * distance),
    "gram": gram,
    "weighted gram": contract({d}, [(read(X, (i, d)), 1), (read(X, (j, d)), 1), (read(scales, (d,)), 1)]),
    "rank one": f * f_twin,
    "squared diagonal": eye * read(s, (i,)) ** 2,
    "rows scaled by numbers that may be zero": Pij * f * f_twin,
    "exp of a gram": el.exp(gram),
    "constant": constant(2.0),
}
NOT_PSD = {
    "general": read(G, (i, j)),
    "difference": Pij - gram,
    "elementwise product with the transpose": read(G, (i, j)) * read(G, (j, i)),
    "signed diagonal": eye * read(s, (i,)),
    "one over a matrix": 1 / (2 + el.sin(Pij)),
    "rational kernel": 1 / (1 + distance),
    "exp of a distance": el.exp(distance),
    "negative weight": contract({d}, [(read(X, (i, d)), 1), (read(X, (j, d)), 1), (read(w, (d,)), 1)]),
    "distance": distance,
    "diagonal batch of definite matrices": read(array("Q", N, N, N, support=Support("spd", None, ("spd",))), (i, i, j)),
    "asymmetric kernel": el.exp(-((read(s, (i,)) - 2 * read(s, (j,))) ** 2)),
}


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


@pytest.mark.parametrize("n", [0, 1])
def test_definiteness_of_tiny_matrices(n):
    for term in (*SPD.values(), *PSD.values()):
        values = random_values([tensor(term, (i, j))], {"N": n, "D": 0}, np.random.default_rng(0))
        value = evaluate_one(tensor(term, (i, j)), values, {"N": n, "D": 0})
        assert (np.linalg.eigvalsh(value) >= 0).all()


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
