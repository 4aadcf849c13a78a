"""Starting values: shapes, scales, seeds."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv


def draw(init, shape, seed=0):
    return init(shape, np.random.default_rng(seed))


@pytest.mark.parametrize(
    "init", [sv.init.normal(0.1), sv.init.uniform(-1, 2), sv.init.glorot(), sv.init.he(), sv.init.constant(3.0)], ids=repr
)
@pytest.mark.parametrize("shape", [(), (5,), (40, 30), (3, 4, 5), (0, 2)])
def test_shape_and_seed(init, shape):
    array = draw(init, shape)
    assert array.shape == shape and array.dtype == np.float64
    np.testing.assert_array_equal(array, draw(init, shape))
    if array.size > 1 and "constant" not in repr(init):
        assert not np.array_equal(array, draw(init, shape, 1))


def test_scales():
    shape = (200, 300)
    assert abs(draw(sv.init.normal(0.1, loc=2.0), shape).std() - 0.1) < 1e-3
    assert abs(draw(sv.init.glorot(), shape).std() - np.sqrt(2 / 500)) < 1e-3
    assert abs(draw(sv.init.he(), shape).std() - np.sqrt(2 / 200)) < 1e-3
    low_high = draw(sv.init.uniform(-1, 2), shape)
    assert low_high.min() >= -1 and low_high.max() < 2 and abs(low_high.mean() - 0.5) < 0.02
    np.testing.assert_array_equal(draw(sv.init.constant([1.0, 2.0]), (3, 2)), [[1.0, 2.0]] * 3)


def test_kmeans_finds_clusters():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.repeat(centres, 50, axis=0) + 0.1 * rng.standard_normal((150, 2))
    points[7] = np.nan  # rows with missing values are left out
    found = draw(sv.init.kmeans(points), (3, 2), seed=3)
    assert found.shape == (3, 2) and np.isfinite(found).all()
    assert draw(sv.init.kmeans(points), (2, 2)).shape == (2, 2)
    np.testing.assert_array_equal(draw(sv.init.kmeans(points), (3, 2), 5), draw(sv.init.kmeans(points), (3, 2), 5))
    with pytest.raises(sv.DataError, match=r"\(K, 2\)"):
        draw(sv.init.kmeans(points), (3, 4))
    with pytest.raises(sv.DataError, match="at least 3 different points"):
        draw(sv.init.kmeans(np.ones((10, 2))), (3, 2))


def test_parameters_take_them():
    N, D = sv.dims("N D")
    W = sv.param("W", N, D, init=sv.init.glorot())
    assert repr(W.leaf.init) == "init.glorot()"
    sv.param("V", N, D, init=lambda shape, rng: np.zeros(shape))


def test_mistakes():
    for action in (
        lambda: sv.init.normal(-1.0),
        lambda: sv.init.normal("big"),
        lambda: sv.init.uniform(1, 1),
        lambda: sv.init.kmeans(np.ones(3)),
    ):
        with pytest.raises(sv.ExpressionError):
            action()
    with pytest.raises(sv.DataError, match="shape"):
        sv.array.initialisers.Initialiser("mine", lambda shape, rng: np.zeros(2))((3,))
