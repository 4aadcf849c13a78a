"""`sv.init`: starting values of parameters that depend on their shape, and on the seed of the fit where they are random.

An initialiser is called with the shape (integers, as the parameter was declared) and a `numpy.random.Generator`, and
returns an array of that shape: `sv.param("W", D, K, init=sv.init.glorot())`. Any function of (shape, rng) serves.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np

from symvi.errors import DataError, ExpressionError

__all__ = ["Initialiser", "normal", "uniform", "constant", "glorot", "he", "kmeans"]

Shape = tuple[int, ...]


class Initialiser:
    """A function of (shape, rng) with a text, so that a model prints what it was given."""

    def __init__(self, text: str, values: Callable[[Shape, np.random.Generator], np.ndarray]):
        self.text, self.values = text, values

    def __call__(self, shape: Shape, rng: np.random.Generator | None = None) -> np.ndarray:
        array = np.asarray(self.values(tuple(shape), np.random.default_rng(0) if rng is None else rng), dtype=np.float64)
        if array.shape != tuple(shape):
            raise DataError(f"{self.text} gives an array of shape {array.shape}, the parameter has the shape {tuple(shape)}")
        return array

    def __repr__(self) -> str:
        return self.text


def _positive(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value > 0:
        raise ExpressionError(f"{what} is a positive number, not {value!r}")
    return float(value)


def normal(scale: float = 1.0, loc: float = 0.0) -> Initialiser:
    """Independent normal values with standard deviation `scale` around `loc`."""
    scale = _positive(scale, "the scale of init.normal")
    return Initialiser(f"init.normal({scale:g})", lambda shape, rng: loc + scale * rng.standard_normal(shape))


def uniform(low: float = -1.0, high: float = 1.0) -> Initialiser:
    """Independent values, uniform between `low` and `high`."""
    if not low < high:
        raise ExpressionError(f"init.uniform needs low < high, not {low!r} and {high!r}")
    return Initialiser(f"init.uniform({low:g}, {high:g})", lambda shape, rng: rng.uniform(low, high, shape))


def constant(value: Any) -> Initialiser:
    """One number everywhere, or an array that broadcasts to the shape."""
    return Initialiser(f"init.constant({value!r})", lambda shape, rng: np.broadcast_to(np.asarray(value, dtype=np.float64), shape).copy())


def _fans(shape: Shape) -> tuple[int, int]:
    """How many values come in and go out: a weight (..., inputs, outputs) stands right of `x @ W`."""
    if len(shape) < 2:
        return prod(shape), prod(shape)
    return prod(shape[:-1]), shape[-1]


def glorot(gain: float = 1.0) -> Initialiser:
    """Uniform with the variance 2 / (inputs + outputs) (Glorot and Bengio 2010): keeps the scale of tanh layers."""
    gain = _positive(gain, "the gain of init.glorot")

    def values(shape: Shape, rng: np.random.Generator) -> np.ndarray:
        limit = gain * sqrt(6.0 / max(sum(_fans(shape)), 1))
        return rng.uniform(-limit, limit, shape)

    return Initialiser("init.glorot()", values)


def he(gain: float = 1.0) -> Initialiser:
    """Normal with the variance 2 / inputs (He et al. 2015): keeps the scale of layers with max(x, 0)."""
    gain = _positive(gain, "the gain of init.he")
    return Initialiser("init.he()", lambda shape, rng: gain * sqrt(2.0 / max(_fans(shape)[0], 1)) * rng.standard_normal(shape))


def kmeans(points: Any, iterations: int = 20) -> Initialiser:
    """The centres of k-means clusters of the rows of `points` (N × D) for a parameter K × D: inducing points, mixture means."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2:
        raise ExpressionError(f"init.kmeans takes the rows of a matrix, not an array of shape {array.shape}")
    rows = array[np.isfinite(array).all(axis=1)]

    def values(shape: Shape, rng: np.random.Generator) -> np.ndarray:
        if len(shape) != 2 or shape[1] != rows.shape[1]:
            raise DataError(f"init.kmeans of points of shape {array.shape} starts a parameter of shape (K, {rows.shape[1]}), not {shape}")
        count = shape[0]
        distinct = np.unique(rows, axis=0)
        if len(distinct) < count:
            raise DataError(f"init.kmeans needs at least {count} different points without missing values, there are {len(distinct)}")
        from scipy.cluster.vq import kmeans2

        centres, _ = kmeans2(rows, rng.permutation(distinct)[:count], iter=iterations, minit="matrix", missing="warn", seed=rng)
        return centres

    return Initialiser(f"init.kmeans(points {array.shape[0]} × {array.shape[1]})", values)
