"""Reductions along axes, against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import symvi as sv

rng = np.random.default_rng(4)
X = rng.normal(size=(3, 4))
C = rng.normal(size=(2, 3, 4))
S = rng.normal(size=(3, 1, 3))
i = rng.integers(-3, 5, size=(3, 4))
b = X > 0.3

AXES = [None, 0, 1, -1, (0, 1), (-1,), ()]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std"])
def test_reductions(agrees, name, axis, keepdims):
    for x in (X, C, i, S):
        agrees(lambda m, x: getattr(m, name)(x, axis=axis, keepdims=keepdims), x)
        agrees(lambda m, x: getattr(x, name)(axis=axis, keepdims=keepdims), x)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["any", "all", "sum", "max", "prod", "mean"])
def test_reductions_of_booleans(agrees, name, axis):
    agrees(lambda m, x: getattr(m, name)(x, axis=axis), b)


@pytest.mark.parametrize("axis", AXES)
def test_any_and_all_of_numbers(agrees, axis):
    agrees(lambda m, x: m.any(x, axis=axis), i)
    agrees(lambda m, x: m.all(x, axis=axis), X)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES[:-1])
def test_logsumexp(agrees, axis, keepdims):
    for x in (X, C, 1000 * X):
        agrees(lambda m, x: (sv if m is sv else scipy.special).logsumexp(x, axis=axis, keepdims=keepdims), x)


def test_softmax(agrees):
    for axis in (0, 1, -1):
        agrees(lambda m, x, axis=axis: (sv if m is sv else scipy.special).softmax(x, axis=axis), X)
        agrees(lambda m, x, axis=axis: (sv if m is sv else scipy.special).log_softmax(x, axis=axis), X)
    agrees(lambda m, x, w: (sv if m is sv else scipy.special).logsumexp(x, axis=0, b=w), X, abs(X))
    agrees(lambda m, x: sv.logmeanexp(x, axis=0) if m is sv else np.log(np.mean(np.exp(x), axis=0)), X)


def test_ddof_and_positional_axis(agrees):
    agrees(lambda m, x: m.var(x, axis=0, ddof=1), X)
    agrees(lambda m, x: x.std(axis=1, ddof=1), X)
    agrees(lambda m, x: x.sum(0), X)
    agrees(lambda m, x: x.mean(-1), X)
    agrees(lambda m, x: m.amax(x, 0), X)
    agrees(lambda m, x: m.amin(x, 1), X)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (1,), (1, 1), (1, 3), ()])
def test_extents_0_and_1(agrees, shape):
    x = rng.normal(size=shape)
    for axis in [None, *range(len(shape))]:
        agrees(lambda m, x, axis=axis: x.sum(axis=axis), x)
        agrees(lambda m, x, axis=axis: m.prod(x, axis=axis), x)
        agrees(lambda m, x, axis=axis: m.any(x > 0, axis=axis), x)
        if x.size:
            agrees(lambda m, x, axis=axis: x.max(axis=axis), x)
            agrees(lambda m, x, axis=axis: x.mean(axis=axis), x)
            agrees(lambda m, x, axis=axis: x.var(axis=axis), x)


def test_what_is_constant_along_an_axis_counts(value):
    """Reductions of an expression that lacks a label: its extent counts for sums, products, means and logsumexp."""
    N, D = sv.dims("N D")
    w = sv.data("w", D)
    wide = sv.broadcast_to(w, (N, D))
    x = np.array([1.0, 2.0, 0.5, 3.0])
    full = np.broadcast_to(x, (3, 4))
    for ours, theirs in [
        (wide.sum(0), full.sum(0)), (wide.mean(0), full.mean(0)), (wide.prod(0), full.prod(0)), (wide.max(0), full.max(0)),
        (wide.var(0), full.var(0)),
        (sv.logsumexp(wide, axis=0), scipy.special.logsumexp(full, axis=0)), (wide.sum(), full.sum()),
        (sv.cumsum(wide, axis=0), np.cumsum(full, axis=0)),
    ]:  # fmt: skip
        np.testing.assert_allclose(value(ours, {w: x}), theirs, rtol=1e-12, atol=1e-12)


def test_dims_in_arithmetic(value):
    N, D = sv.dims("N D")
    x = sv.data("x", N, D)
    np.testing.assert_allclose(value(x.sum() / N, {x: X}), X.sum() / 3)
    np.testing.assert_allclose(value(N * x, {x: X}), 3 * X)
    np.testing.assert_allclose(value(x + (N - 1), {x: X}), X + 2)
    np.testing.assert_allclose(value(1 / N + x * D, {x: X}), 1 / 3 + X * 4)
    np.testing.assert_allclose(value(N**2 - x, {x: X}), 9 - X)
    np.testing.assert_allclose(value(x / (N * D - 1), {x: X}), X / 11)
    np.testing.assert_allclose(value(0.5 * N * sv.log(x**2), {x: X}), 1.5 * np.log(X**2))
