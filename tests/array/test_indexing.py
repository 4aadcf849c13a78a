"""Indexing, moves of axes and joining, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symvi as sv

rng = np.random.default_rng(1)
X = rng.normal(size=(3, 4))
W = rng.normal(size=(3, 3))
C = rng.normal(size=(3, 4, 5))
v = rng.normal(size=5)
row = rng.normal(size=(1, 4))
g = np.array([2, 0, 0, 1])
h = np.array([[0, 2], [1, 1]])
empty = np.zeros((0, 4))

LITERAL = {"step", "reshape", "reshape with -1", "reshape method", "broadcast_to", "broadcast_to more axes"}  # sizes that must be known

CASES = {
    "transpose": (lambda m, x: x.T, X),
    "transpose of three axes": (lambda m, x: x.T, C),
    "transpose with order": (lambda m, x: m.transpose(x, (2, 0, 1)), C),
    "transpose method": (lambda m, x: x.transpose(1, 0, 2), C),
    "mT": (lambda m, x: x.mT, C),
    "new axis behind": (lambda m, x: x[:, None], v),
    "new axis before": (lambda m, x: x[None, :], v),
    "new axes everywhere": (lambda m, x: x[None, :, None, :, None], X),
    "outer difference": (lambda m, x: x[:, None] - x[None, :], v),
    "pairwise distances": (lambda m, x: ((x[:, None, :] - x[None, :, :]) ** 2).sum(-1), X),
    "ellipsis": (lambda m, x: x[..., 0], C),
    "ellipsis in front of a new axis": (lambda m, x: x[..., None], C),
    "ellipsis in the middle": (lambda m, x: x[0, ..., 1], C),
    "ellipsis of nothing": (lambda m, x: x[..., 1, 2], X),
    "integer": (lambda m, x: x[1], X),
    "negative integer": (lambda m, x: x[-1], X),
    "two integers": (lambda m, x: x[1, -2], X),
    "the same row twice": (lambda m, x: x[0] - x[-1], W),
    "slice": (lambda m, x: x[1:3], v),
    "slice with negative stop": (lambda m, x: x[:-1], v),
    "slice with negative start": (lambda m, x: x[-2:], v),
    "differences": (lambda m, x: x[1:] - x[:-1], v),
    "slice of length 1": (lambda m, x: x[2:3], v),
    "empty slice": (lambda m, x: x[2:2], v),
    "slices on two axes": (lambda m, x: x[1:, :-1], X),
    "step": (lambda m, x: x[::2], v),
    "step with bounds": (lambda m, x: x[1:4:2], v),
    "reversed": (lambda m, x: x[::-1], v),
    "reversed rows": (lambda m, x: x[::-1], X),
    "slice of an axis of 1": (lambda m, x: x[:1], row),
    "empty slice of an axis of 1": (lambda m, x: x[1:], row),
    "rows by integers": (lambda m, x, i: x[i], X, np.array([2, 0, 0, 1])),
    "columns by integers": (lambda m, x, i: x[:, i], X, np.array([3, 0, 0])),
    "integers of rank 2": (lambda m, x, i: x[i], X, h),
    "integers on two axes": (lambda m, x, i: x[i, i], W, np.array([2, 0, 1, 1])),
    "integers that broadcast": (lambda m, x, i, j: x[i[:, None], j], X, np.array([0, 2]), g),
    "integer array and integer": (lambda m, x, i: x[i, 1], X, np.array([0, 2])),
    "integer and integer array": (lambda m, x, i: x[1, i], C, np.array([0, 2])),
    "integer array in the middle": (lambda m, x, i: x[:, i, :], C, np.array([3, 1])),
    "integer array and new axis": (lambda m, x, i: x[i][:, None], X, np.array([0, 2])),
    "gather of an expression": (lambda m, x, i: m.exp(x)[i] * x[i], X, np.array([0, 2])),
    "row of an empty matrix": (lambda m, x: x[:, 1], empty),
    "gather from an axis of 1": (lambda m, x, i: x[i], row, np.array([0, 0, 0])),
    "swapaxes": (lambda m, x: m.swapaxes(x, 0, 2), C),
    "swapaxes of negative axes": (lambda m, x: m.swapaxes(x, -1, 0), C),
    "moveaxis": (lambda m, x: m.moveaxis(x, 0, -1), C),
    "moveaxis backwards": (lambda m, x: m.moveaxis(x, -1, 0), C),
    "moveaxis of two": (lambda m, x: m.moveaxis(x, (0, 1), (-1, 0)), C),
    "expand_dims": (lambda m, x: m.expand_dims(x, 1), X),
    "expand_dims at the end": (lambda m, x: m.expand_dims(x, -1), X),
    "expand_dims of two": (lambda m, x: m.expand_dims(x, (0, 2)), X),
    "squeeze": (lambda m, x: m.squeeze(x), row),
    "squeeze of an axis": (lambda m, x: m.squeeze(x, 0), row),
    "squeeze of the last": (lambda m, x: m.squeeze(x[..., None, None], -1), v),
    "reshape": (lambda m, x: m.reshape(x, (4, 3)), X),
    "reshape with -1": (lambda m, x: m.reshape(x, (-1, 4)), C),
    "reshape to a row": (lambda m, x: m.reshape(x, (1, -1)), v),
    "reshape method": (lambda m, x: x.reshape(12, 5), C),
    "reshape to a number": (lambda m, x: m.reshape(x, ()), row[:, :1]),
    "ravel": (lambda m, x: m.ravel(x), C),
    "ravel of a transpose": (lambda m, x: x.T.ravel(), X),
    "flip": (lambda m, x: m.flip(x, 0), X),
    "flip of the last axis": (lambda m, x: m.flip(x, axis=-1), X),
    "flip of all axes": (lambda m, x: m.flip(x), X),
    "take": (lambda m, x, i: m.take(x, i, axis=0), X, np.array([2, 0])),
    "take from the last axis": (lambda m, x, i: m.take(x, i, axis=-1), C, h),
    "take from all": (lambda m, x, i: m.take(x, i), X, np.array([11, 0])),
    "broadcast_to": (lambda m, x: m.broadcast_to(x, (3, 4)), row),
    "broadcast_to more axes": (lambda m, x: m.broadcast_to(x, (2, 3, 4)), X),
    "diag of a matrix": (lambda m, x: m.diag(x), W),
    "diag of a vector": (lambda m, x: m.diag(x), v),
    "diag of a vector, above": (lambda m, x: m.diag(x, 1), v),
    "diag of a matrix, below": (lambda m, x: m.diag(x, -1), W),
    "diag of one number": (lambda m, x: m.diag(x), v[:1]),
    "tril": (lambda m, x: m.tril(x), W),
    "tril of a rectangle": (lambda m, x: m.tril(x), X),
    "tril with k": (lambda m, x: m.tril(x, 1), W),
    "triu": (lambda m, x: m.triu(x), W),
    "triu with k": (lambda m, x: m.triu(x, 1), W),
    "triu with negative k": (lambda m, x: m.triu(x, -1), X),
    "tril of a batch": (lambda m, x: m.tril(x), C),
    "tril of integers": (lambda m, x: m.tril(x), h),
    "concatenate": (lambda m, x, y: m.concatenate([x, y]), X, row),
    "concatenate columns": (lambda m, x: m.concatenate([x, x[:, :1]], axis=1), X),
    "concatenate columns, negative axis": (lambda m, x: m.concatenate([x, x * 2], axis=-1), C),
    "concatenate in the middle": (lambda m, x: m.concatenate([x, x * 2], axis=1), C),
    "concatenate integers and floats": (lambda m, x, i: m.concatenate([x, i]), v, g),
    "concatenate with an empty part": (lambda m, x, y: m.concatenate([x, y]), X, empty),
    "stack": (lambda m, x: m.stack([x, x**2]), X),
    "stack of numbers": (lambda m, x: m.stack([x[0], x[1], x[4] + 1]), v),
    "stack behind": (lambda m, x: m.stack([x, x**2], axis=-1), X),
    "stack in the middle": (lambda m, x: m.stack([x, x**2, -x], axis=1), X),
    "hstack": (lambda m, x: m.hstack([x, 2 * x]), X),
    "hstack of vectors": (lambda m, x: m.hstack([x, 2 * x]), v),
    "vstack": (lambda m, x, y: m.vstack([x, y[0]]), X, row),
    "vstack of vectors": (lambda m, x: m.vstack([x, 2 * x]), v),
    "reshape that keeps the first axis": (lambda m, x: m.reshape(x, (x.shape[0], -1)), C),
    "reshape that keeps the last axis": (lambda m, x: m.reshape(x, (-1, x.shape[-1])), C),
    "integer array and integer, parted": (lambda m, x, i: x[i, :, 1], C, np.array([0, 2])),
    "integer and integer array, parted": (lambda m, x, i: x[1, :, i], C, np.array([0, 2])),
    "integer arrays, parted": (lambda m, x, i: x[i, :, i], C, np.array([0, 2])),
    "integer arrays parted by a new axis": (lambda m, x, i: x[i, None, i], X, np.array([0, 2])),
    "negative integers": (lambda m, x: x[[0, -1, -2]], X),
    "a list of integers": (lambda m, x: x[:, [1, 1, 0]], X),
    "cumsum": (lambda m, x: m.cumsum(x, axis=0), X),
    "cumsum of the last axis": (lambda m, x: m.cumsum(x, axis=-1), C),
    "cumsum of a vector": (lambda m, x: m.cumsum(x), v),
    "cumsum of integers": (lambda m, x: m.cumsum(x), g),
}


@pytest.mark.parametrize("name", CASES)
def test_as_numpy(agrees, name):
    case, *arrays = CASES[name]
    agrees(case, *arrays, named=name not in LITERAL)


def test_cumsum_of_all(agrees):
    agrees(lambda m, x: np.cumsum(x), X)
    agrees(lambda m, x: m.cumsum(m.ravel(x)), X)


def test_symbolic_bounds(value):
    T, N, M = sv.dims("T N M")
    x, y, z = sv.data("x", T), sv.data("y", N + M), sv.data("z", T)
    a, b, c = rng.normal(size=5), rng.normal(size=7), rng.normal(size=5)
    sizes = {"T": 5, "N": 4, "M": 3}
    assert x[: T - 1].shape == (T - 1,) and x[1:].shape == (T - 1,)
    np.testing.assert_allclose(value(x[1:] - x[: T - 1], {x: a}, sizes), np.diff(a))
    np.testing.assert_allclose(value(x[:-1] * z[1:], {x: a, z: c}, sizes), a[:-1] * c[1:])
    np.testing.assert_allclose(value(x[T - 1], {x: a}, sizes), a[-1])
    np.testing.assert_allclose(value(x[T - 2 :], {x: a}, sizes), a[-2:])
    np.testing.assert_allclose(value(y[:N].sum() - y[N:].sum(), {y: b}, sizes), b[:4].sum() - b[4:].sum())
    assert y[N:].shape == (M,)
    np.testing.assert_allclose(value(sv.concatenate([x[1:], x[:1]]), {x: a}, sizes), np.roll(a, -1))
    assert sv.concatenate([y[N:], y[:N]]).shape == (N + M,)


def test_stacks_of_matrices_take_one_each(value):
    """mu[y] for labels y, and mu[arange(N), y]: the log-likelihood of a categorical variable."""
    N, K = sv.dims("N K")
    logits, y = sv.data("logits", N, K), sv.data("y", N, dtype=sv.index(K))
    a, b = rng.normal(size=(3, 4)), np.array([3, 0, 1])
    chosen = logits[sv.arange(N), y]
    assert chosen.shape == (N,)
    np.testing.assert_allclose(value(chosen, {logits: a, y: b}, {"N": 3, "K": 4}), a[np.arange(3), b])


def test_creation(value):
    N, D = sv.dims("N D")
    sizes = {"N": 3, "D": 4}
    for expression, expected in [
        (sv.eye(N), np.eye(3)), (sv.eye(N, D), np.eye(3, 4)), (sv.eye(1), np.eye(1)), (sv.eye(1, D), np.eye(1, 4)),
        (sv.eye(D, 1), np.eye(4, 1)),
        (sv.zeros(N, D), np.zeros((3, 4))), (sv.zeros((N, D)), np.zeros((3, 4))), (sv.zeros(()), np.zeros(())), (sv.ones(N), np.ones(3)),
        (sv.full((N, 1), 2.5), np.full((3, 1), 2.5)), (sv.full(N, 2), np.full(3, 2)), (sv.arange(N), np.arange(3)),
        (sv.arange(1, N), np.arange(1, 3)),
        (sv.arange(4), np.arange(4)), (sv.arange(2, 3), np.arange(2, 3)), (sv.arange(0), np.arange(0)), (sv.zeros(0, 3), np.zeros((0, 3))),
        (sv.ones_like(sv.data("a", N, D)), np.ones((3, 4))), (sv.full_like(sv.data("a", N), 3.0), np.full(3, 3.0)),
    ]:  # fmt: skip
        found = value(expression, {}, sizes)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


@st.composite
def keys(draw, shape):
    """A key of basic indexing for an array of this shape."""
    parts, position = [], 0
    while position < len(shape):
        kind = draw(st.sampled_from(["integer", "slice", "slice", "new", "all"]))
        if kind == "new":
            parts.append(None)
            continue
        n = shape[position]
        position += 1
        if kind == "integer" and n:
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice" and n != 1:
            bound = st.one_of(st.none(), st.integers(-n - 2, n + 2))
            parts.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3, -1, -2]))))
        else:
            parts.append(slice(None))
    if draw(st.booleans()) and parts:
        cut = draw(st.integers(0, len(parts)))
        if all(part == slice(None) for part in parts[cut:]):
            parts[cut:] = [Ellipsis]
    return tuple(parts)


@settings(max_examples=120, deadline=None)
@given(st.data(), st.lists(st.sampled_from([0, 1, 2, 4, 5]), min_size=1, max_size=3))
def test_basic_indexing_of_known_extents(value, data, shape):
    """Every basic key NumPy takes, on literal extents."""
    from symvi.array.expression import as_expr

    array = np.arange(float(np.prod(shape))).reshape(shape)
    key = data.draw(keys(shape))
    expression = as_expr(array)[key]
    found = value(expression)
    assert found.shape == array[key].shape, key
    np.testing.assert_array_equal(found, array[key], err_msg=str(key))
