"""The constructors keep the value: random expressions are built twice, as canonical terms and as plain NumPy arrays.

The arrays carry every label of a small universe as an axis, so that renaming, summing and substituting are one line each.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symvi.atoms import elementwise as el
from symvi.expr.build import add, constant, contract, delta, input_array, iota, multiply, read, reduce, rename, tensor
from symvi.expr.dims import dims
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Term
from symvi.oracle.interpreter import evaluate_one

N, D = dims("N D")
UNIVERSE = [Label(N, 0), Label(N, 1), Label(N, 2), Label(D, 0), Label(D, 1)]
SIZES = {"N": 2, "D": 3}
SHAPE = tuple(label.dim.size(SIZES) for label in UNIVERSE)
GRID = np.indices(SHAPE)


def array(name, *shape, kind="f", **attributes):
    return input_array(Leaf("data", name, shape, kind, **attributes))


RNG = np.random.default_rng(7)
ARRAYS = {name: array(name, *shape) for name, shape in {"a": (N,), "b": (D,), "A": (N, N), "B": (N, D), "C": (D, D), "c": ()}.items()}
VALUES = {ARRAYS[name]: RNG.uniform(0.5, 1.5, [dim.size(SIZES) for dim in ARRAYS[name].shape]) for name in ARRAYS}
INDEX = array("g", N, kind="i", index_of=D)
VALUES[INDEX] = np.array([2, 0])


class Twice(NamedTuple):
    """One expression in both forms."""

    term: Term
    value: np.ndarray

    def __repr__(self) -> str:
        return f"<term on {', '.join(map(str, self.term.sorted_labels()))}>"


def axis(label: Label) -> np.ndarray:
    return GRID[UNIVERSE.index(label)]


def reading(array_, labels) -> Twice:
    return Twice(read(array_, labels), np.broadcast_to(VALUES[array_][tuple(axis(label) for label in labels)], SHAPE))


def renaming(x: Twice, mapping) -> Twice:
    image = {label: mapping.get(label, label) for label in UNIVERSE}
    return Twice(rename(x.term, mapping), x.value[tuple(axis(image[label]) for label in UNIVERSE)])


def gathering(x: Twice, label: Label) -> Twice:
    """The label of D replaced by the entries of an index array."""
    source = Label(D, 0)
    positions = [VALUES[INDEX][axis(label)] if other == source else axis(other) for other in UNIVERSE]
    return Twice(rename(x.term, {source: read(INDEX, (label,))}), x.value[tuple(positions)])


def reducing(operation: Callable, x: Twice, bound, term: Term) -> Twice:
    axes = tuple(UNIVERSE.index(label) for label in bound)
    return Twice(term, np.broadcast_to(operation(x.value, axes), SHAPE))


def total(x, axes):
    return x.sum(axis=axes, keepdims=True)


def largest(x, axes):
    return x.max(axis=axes, keepdims=True)


def logsumexp(x, axes):
    return np.log(np.exp(x).sum(axis=axes, keepdims=True))


def summing(x: Twice, bound) -> Twice:
    return reducing(total, x, bound, contract(bound, [(x.term, 1)]))


def product_of(factors, bound) -> Twice:
    """A contraction given as a list of powers, as derivatives build it."""
    value = np.prod([x.value**exponent for x, exponent in factors], axis=0)
    return reducing(total, Twice(None, value), bound, contract(bound, [(x.term, e) for x, e in factors]))


def identity(i: Label, j: Label) -> Twice:
    return Twice(delta(i, j), np.broadcast_to((axis(i) == axis(j)).astype(float), SHAPE))


def scatter(i: Label) -> Twice:
    row = Label(N, 2)
    return Twice(delta(i, read(INDEX, (row,))), np.broadcast_to((axis(i) == VALUES[INDEX][axis(row)]).astype(float), SHAPE))


def closing(x: Twice) -> Twice:
    """Through an array and back."""
    labels = x.term.sorted_labels()
    return Twice(read(tensor(x.term, labels[::-1]), labels[::-1]), x.value)


n_labels, d_labels = st.sampled_from(UNIVERSE[:3]), st.sampled_from(UNIVERSE[3:])
bounds = st.sets(st.sampled_from(UNIVERSE), max_size=3)
leaves = st.one_of(
    n_labels.map(lambda i: reading(ARRAYS["a"], (i,))),
    d_labels.map(lambda i: reading(ARRAYS["b"], (i,))),
    st.tuples(n_labels, n_labels).map(lambda z: reading(ARRAYS["A"], z)),
    st.tuples(n_labels, d_labels).map(lambda z: reading(ARRAYS["B"], z)),
    st.tuples(d_labels, d_labels).map(lambda z: reading(ARRAYS["C"], z)),
    st.just(reading(ARRAYS["c"], ())),
    st.tuples(n_labels, n_labels).map(lambda z: identity(*z)),
    d_labels.map(scatter),
    n_labels.map(lambda i: Twice(iota(i), axis(i))),
    st.sampled_from([Fraction(2), Fraction(-1, 2), Fraction(3)]).map(lambda c: Twice(constant(c), np.full(SHAPE, float(c)))),
)
fractions = st.sampled_from([Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-3)])
permutations = st.tuples(st.permutations(UNIVERSE[:3]), st.permutations(UNIVERSE[3:]))
renamings = permutations.map(lambda z: dict(zip(UNIVERSE, [*z[0], *z[1]], strict=True)))
merges = st.sampled_from([{UNIVERSE[1]: UNIVERSE[0]}, {UNIVERSE[0]: UNIVERSE[2]}, {UNIVERSE[4]: UNIVERSE[3]}])
positive = st.sampled_from([("exp", np.exp), ("tanh", np.tanh), ("sin", np.sin), ("absolute", np.abs)])


def combine(inner):
    powers = st.lists(st.tuples(inner, st.sampled_from([1, 1, 2])), min_size=1, max_size=3)
    return st.one_of(
        st.tuples(inner, inner, fractions, fractions).map(
            lambda z: Twice(add([(z[2], z[0].term), (z[3], z[1].term)]), float(z[2]) * z[0].value + float(z[3]) * z[1].value)
        ),
        st.tuples(inner, inner).map(lambda z: Twice(multiply([(z[0].term, 1), (z[1].term, 1)]), z[0].value * z[1].value)),
        st.tuples(powers, bounds).map(lambda z: product_of(*z)),
        st.tuples(inner, bounds).map(lambda z: summing(*z)),
        st.tuples(inner, bounds).map(lambda z: _log_sum(*z)),
        st.tuples(inner, bounds).map(lambda z: reducing(largest, z[0], z[1], reduce("max", z[1], z[0].term))),
        st.tuples(inner, renamings).map(lambda z: renaming(*z)),
        st.tuples(inner, merges).map(lambda z: renaming(*z)),
        st.tuples(inner, n_labels).map(lambda z: gathering(*z)),
        st.tuples(inner, positive).map(lambda z: Twice(el.scalar_function(z[1][0])(_bounded(z[0]).term), z[1][1](_bounded(z[0]).value))),
        inner.map(closing),
    )


def _bounded(x: Twice) -> Twice:
    return Twice(el.tanh(x.term), np.tanh(x.value))


def _log_sum(x: Twice, bound) -> Twice:
    x = _bounded(x)
    return reducing(logsumexp, x, bound, reduce("logsumexp", bound, x.term))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.recursive(leaves, combine, max_leaves=8))
def test_a_term_has_the_value_of_its_construction(x):
    labels = x.term.sorted_labels()
    found = evaluate_one(x.term, VALUES, SIZES)
    order = sorted(labels, key=UNIVERSE.index)
    found = np.transpose(found, [labels.index(label) for label in order])
    found = found.reshape([SHAPE[position] if label in labels else 1 for position, label in enumerate(UNIVERSE)])
    scale = max(1.0, float(np.abs(x.value).max()))
    np.testing.assert_allclose(np.broadcast_to(found, SHAPE) / scale, x.value / scale, rtol=1e-9, atol=1e-9)
