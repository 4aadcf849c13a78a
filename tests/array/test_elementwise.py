"""Operators, functions, ufuncs and broadcasting, against NumPy."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symvi as sv

rng = np.random.default_rng(3)
X = rng.normal(size=(3, 4))
v = rng.normal(size=4)
column = rng.normal(size=(3, 1))
i = np.array([[3, -1, 2, 0], [1, 2, 3, 4], [5, -6, 7, 8]])
b = X > 0

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.le, operator.gt, operator.ge]
OPERANDS = {
    "matrix": X,
    "vector": v,
    "column": column,
    "number": np.asarray(1.5),
    "integers": i,
    "booleans": b,
    "one": np.ones((1, 1)),
    "batch": X[None] + 1,
}


@pytest.mark.parametrize("right", OPERANDS)
@pytest.mark.parametrize("left", OPERANDS)
def test_operators(agrees, left, right):
    for function in OPERATORS:
        if left == right == "booleans" and function in (operator.add, operator.sub, operator.mul):
            continue  # NumPy's sums and products of booleans are booleans, and there is no difference; here they count
        agrees(lambda m, x, y, f=function: f(x, y), OPERANDS[left], OPERANDS[right])


@pytest.mark.parametrize("number", [2, -1, 0, 0.5, 2.0, True, np.float64(1.5), np.int64(3), np.float32(0.25), np.bool_(True)])
def test_numbers_of_python_and_numpy(agrees, number):
    for x in (X, i):
        agrees(lambda m, x: x + number, x)
        agrees(lambda m, x: number - x, x)
        agrees(lambda m, x: number * x, x)
        agrees(lambda m, x: x * number + number, x)
        agrees(lambda m, x: m.maximum(number, x), x)
        agrees(lambda m, x: x > number, x)
        agrees(lambda m, x: number >= x, x)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, 1.5, -0.5])
def test_powers(agrees, exponent):
    agrees(lambda m, x: x**exponent, abs(X) + 0.1)
    agrees(lambda m, x: m.power(x, exponent), abs(X) + 0.1)


def test_powers_of_expressions(agrees):
    agrees(lambda m, x, y: x**y, abs(X), v)
    agrees(lambda m, x: 2**x, X)
    agrees(lambda m, x: 2.0**x, X)
    agrees(lambda m, x: x**2, i)


def test_integers(agrees):
    agrees(lambda m, x: x // 2, i)
    agrees(lambda m, x: x % 3, i)
    agrees(lambda m, x: 7 % (x**2 + 1), i)
    agrees(lambda m, x: x // 0.3, X)
    agrees(lambda m, x: x % 0.3, X)
    agrees(lambda m, x: -x, i)
    agrees(lambda m, x: abs(x), i)
    agrees(lambda m, x: x / 2, i)
    agrees(lambda m, x: +x, i)
    agrees(lambda m, x: m.exp(x), i)
    agrees(lambda m, x: m.sqrt(abs(x)), i)
    agrees(lambda m, x: m.sign(x), i)


def test_booleans(agrees):
    agrees(lambda m, x, y: x & y, b, i > 0)
    agrees(lambda m, x, y: x | y, b, i > 0)
    agrees(lambda m, x: ~x, b)
    agrees(lambda m, x: (x > 0) & ~(x > 1), X)
    agrees(lambda m, x, y: x * y, b, X)
    agrees(lambda m, x: x * 2, b)
    agrees(lambda m, x: x + 1, b)
    agrees(lambda m, x, y: m.logical_and(x, y), b, i > 0)
    agrees(lambda m, x, y: m.logical_or(x, y), b, i > 0)
    agrees(lambda m, x: m.logical_not(x), b)
    agrees(lambda m, x, y: x ^ y, b, i > 0)
    agrees(lambda m, x: True & x, b)


UNARY = """exp log log1p expm1 log2 log10 sqrt sin cos tan arctan sinh cosh tanh arcsinh abs absolute sign floor ceil square
reciprocal negative cbrt isnan""".split()


@pytest.mark.parametrize("name", UNARY)
def test_functions(agrees, name):
    agrees(lambda m, x: getattr(m, name)(x), abs(X) + 0.5)
    agrees(lambda m, x: getattr(np, name)(x), abs(X) + 0.5)  # NumPy's own function on an expression


@pytest.mark.parametrize("name", ["arcsin", "arccos", "arctanh"])
def test_functions_on_the_unit_interval(agrees, name):
    agrees(lambda m, x: getattr(m, name)(x), np.tanh(X))


BINARY = """add subtract multiply divide true_divide power maximum minimum arctan2 logaddexp less less_equal greater greater_equal equal
not_equal floor_divide remainder""".split()


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two(agrees, name):
    agrees(lambda m, x, y: getattr(np, name)(x, y), abs(X) + 0.5, abs(v))
    if hasattr(sv, name):
        agrees(lambda m, x, y: getattr(m, name)(x, y), abs(X) + 0.5, abs(v))


def test_functions_of_numpy_that_are_no_ufuncs(agrees):
    agrees(lambda m, x: np.where(x > 0, x, 0.0), X)
    agrees(lambda m, x: np.sum(x), X)
    agrees(lambda m, x: np.sum(x, axis=0), X)
    agrees(lambda m, x: np.mean(x, axis=1, keepdims=True), X)
    agrees(lambda m, x: np.concatenate([x, x]), X)
    agrees(lambda m, x: np.stack([x, x * 2]), X)
    agrees(lambda m, x: np.transpose(x), X)
    agrees(lambda m, x, y: np.dot(x, y), X, v)
    agrees(lambda m, x, y: np.einsum("ij,j->i", x, y), X, v)
    agrees(lambda m, x: np.clip(x, -1, 1), X)
    agrees(lambda m, x: np.linalg.inv(x), X[:, :3] + 3 * np.eye(3))
    agrees(lambda m, x: np.maximum(x, 0), X)


def test_choice(agrees):
    agrees(lambda m, x: m.where(x > 0, x, 0.0), X)
    agrees(lambda m, x, y: m.where(x > 0, x, y), X, v)
    agrees(lambda m, c, x: m.where(c, x, -1), b, i)
    agrees(lambda m, c: m.where(c, 1, 0), b)
    agrees(lambda m, c: m.where(c, 1.0, 0.0), b)
    agrees(lambda m, c, x: m.where(c, x, float("-inf")).max(), b, X)
    agrees(lambda m, x: m.clip(x, -0.5, 0.5), X)
    agrees(lambda m, x: m.clip(x, 0, 2), i)


def test_arrays_on_either_side(agrees):
    """NumPy arrays, scalars and lists meet expressions from both sides."""
    agrees(lambda m, x: x + v, X, named=False)
    agrees(lambda m, x: v + x, X, named=False)
    agrees(lambda m, x: v * x - v, X, named=False)
    agrees(lambda m, x: X @ x, v, named=False)
    agrees(lambda m, x: x @ X, rng.normal(size=3), named=False)
    agrees(lambda m, x: v / x, X, named=False)
    agrees(lambda m, x: v > x, X, named=False)
    agrees(lambda m, x: np.float64(2.0) * x, X, named=False)
    agrees(lambda m, x: np.int32(2) * x, X, named=False)
    agrees(lambda m, x: x + [1.0, 2.0, 3.0, 4.0], X, named=False)
    agrees(lambda m, x: [1.0, 2.0, 3.0, 4.0] + x, X, named=False)
    agrees(lambda m, x: i + x, X, named=False)
    agrees(lambda m, x: np.asarray(2.5) * x, X, named=False)


class Frame:
    """What a pandas Series or an xarray DataArray offers: `__array__` and arithmetic of its own that must yield."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


def test_anything_with_an_array_inside(value):
    N, D = sv.dims("N D")
    x = sv.data("x", 3, 4)
    np.testing.assert_allclose(value(x * Frame(v), {x: X}), X * v)
    np.testing.assert_allclose(value(Frame(v) * x, {x: X}), X * v)
    np.testing.assert_allclose(value(sv.matmul(Frame(X), v)), X @ v)
    np.testing.assert_allclose(value(sv.exp(Frame(v))), np.exp(v))
    np.testing.assert_allclose(value(x[Frame(np.array([0, 2]))], {x: X}), X[[0, 2]])


def test_one_array_is_one_leaf():
    x = sv.data("x", 4)
    assert (x * v) == (x * v)
    assert (x * v) != (x * v.copy())


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_broadcasting(agrees, data):
    extents = data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=4))
    arrays = []
    for _ in range(3):
        shape = [data.draw(st.sampled_from([n, 1])) for n in extents]
        arrays.append(rng.normal(size=shape[data.draw(st.integers(0, len(shape))) :]))
    agrees(lambda m, x, y, z: (x + 2.0 * y) * m.exp(z) + m.where(x > y, y, z), *arrays)


def test_a_known_size_and_its_number_are_one(agrees, value):
    """A dim with a known size meets arrays of that extent: both sizes are known when the model is written."""
    N, K = sv.dim("N"), sv.dim("K", 4)
    x = sv.data("x", N, K)
    sizes = {"N": 3}
    assert (x + v).shape == (v + x).shape == (N, K)
    np.testing.assert_allclose(value(x + v, {x: X}, sizes), X + v)
    np.testing.assert_allclose(value(x @ v, {x: X}, sizes), X @ v)
    np.testing.assert_allclose(value(x @ X.T, {x: X}, sizes), X @ X.T)
    np.testing.assert_allclose(value(sv.einsum("nk,k->n", x, v), {x: X}, sizes), X @ v)
    np.testing.assert_allclose(value(sv.linalg.quad(np.eye(4), x), {x: X}, sizes), (X**2).sum(1))


def test_lists_of_expressions(value):
    x = sv.data("x", 4)
    np.testing.assert_allclose(value(sv.exp([x[0], 2 * x[1]]), {x: v}), np.exp([v[0], 2 * v[1]]))
    np.testing.assert_allclose(value(sv.matmul([[x[0], 1.0], [0.0, x[1]]], [1.0, 2.0]), {x: v}), [v[0] + 2.0, 2.0 * v[1]])


def test_astype(value):
    x, k, c = sv.data("x", 4), sv.data("k", 4, dtype=int), sv.data("c", 4, dtype=bool)
    values = {x: v, k: np.arange(4), c: v > 0}
    for expression, expected in [
        (k.astype(float), np.arange(4.0)), (c.astype(int), (v > 0).astype(int)), (c.astype(float), (v > 0) * 1.0),
        (k.astype(bool), np.arange(4) > 0),
        (x.astype(float), v),
    ]:  # fmt: skip
        found = value(expression, values)
        assert expression.kind == expected.dtype.kind
        np.testing.assert_array_equal(found, expected)


def test_conditions_may_be_numbers(agrees):
    agrees(lambda m, k, x: m.where(k, x, 0.0), i, X)
    agrees(lambda m, k, x: m.logical_and(k, x), i, X)
    agrees(lambda m, k, x: m.logical_xor(k, x > 0), i, X)
    agrees(lambda m, k: m.logical_not(k), i)
