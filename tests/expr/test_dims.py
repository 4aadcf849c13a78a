"""Dims are integer polynomials: a commutative ring, equal when the polynomials are."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symvi.errors import ExpressionError, ShapeError
from symvi.expr.dims import Dim, as_dim, dim, dims

N, M, T = dims("N M T")
K = dim("K", 10)

operations = st.sampled_from([operator.add, operator.sub, operator.mul])
polynomials = st.recursive(
    st.one_of(st.sampled_from([N, M, T]), st.integers(-3, 3).map(Dim)),
    lambda inner: st.tuples(operations, inner, inner).map(lambda t: t[0](t[1], t[2])),
    max_leaves=6,
)
sizes = st.fixed_dictionaries({"N": st.integers(0, 5), "M": st.integers(0, 5), "T": st.integers(0, 5)})


@settings(max_examples=100, deadline=None)
@given(polynomials, polynomials, polynomials, sizes)
def test_ring(a, b, c, values):
    assert a + b == b + a and a * b == b * a
    assert hash(a + b) == hash(b + a) and str(a * b) == str(b * a)
    assert (a + b) + c == a + (b + c) and a * (b + c) == a * b + a * c
    assert a - a == 0 and a + 0 == a and a * 1 == a
    assert (a + b).size(values) == a.size(values) + b.size(values)
    assert (a * b).size(values) == a.size(values) * b.size(values)
    assert (a - b).size(values) == a.size(values) - b.size(values)


@settings(max_examples=100, deadline=None)
@given(polynomials, polynomials)
def test_equal_dims_have_equal_texts_and_others_do_not(a, b):
    assert (a == b) == (repr(a) == repr(b))


@given(st.integers(0, 20))
def test_a_number_is_a_dim_and_hashes_like_it(n):
    assert as_dim(n) == n and hash(as_dim(n)) == hash(n) and as_dim(n).value == n


def test_known_sizes():
    assert K.value == 10 and (K * 2 + 1).value == 21 and (K + N).value is None
    assert dim("K", 3) != K and repr(dim("K", 3)) != repr(K) and str(K) == "K"
    assert (N * K).size({"N": 2}) == 20


def test_texts():
    assert str(T - 1) == "T - 1"
    assert str(N + M) == "M + N"
    assert str(2 * N * M - 3) == "2*M*N - 3"
    assert str(N - N) == "0"


def test_mistakes():
    with pytest.raises(ShapeError, match="identifier"):
        dim("1N")
    with pytest.raises(ShapeError, match="negative"):
        dim("N", -1)
    with pytest.raises(ShapeError, match="not known"):
        N.size({})
    with pytest.raises(ShapeError, match="integer"):
        as_dim(2.5)
    with pytest.raises(ExpressionError, match="truth value"):
        bool(N)
