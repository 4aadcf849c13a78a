"""Does a log-density fall off in every direction from its highest point found? If not, there is no proper posterior.

A density that is flat or rises for ever (separable classes under flat priors, a sum of two parameters of which only the sum
is seen) leaves an optimiser at a point that looks like a mode: the gradient is small and the curvature positive, both nearly zero.
Twenty standard deviations further along the direction in which it escapes, a proper log-density has fallen, this one has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Escape", "escape"]

DISTANCE = 20.0  # standard deviations by the curvature
FAR = 1e3  # where the curvature is zero: times the size of the point
DROP = 0.5  # a Gaussian falls by 200, a Cauchy by 5
WEAK = 1e-4  # curvature, relative to the largest, of the directions that a step is projected on


class Escape(NamedTuple):
    """A direction along which a log-density does not fall, and how much it rises there."""

    direction: np.ndarray
    rise: float

    @property
    def unbounded(self) -> bool:
        """Does it rise for ever? A funnel does so too, whose posterior is proper although it has no mode."""
        return self.rise > 1.0


def escape(value: Callable[[np.ndarray], float], mode: np.ndarray, gradient: np.ndarray, hessian: np.ndarray) -> Escape | None:
    """A direction along which the log-density `value` does not fall from `mode`, or None. `hessian` is that of -value."""
    height = value(mode)
    curvatures, vectors = np.linalg.eigh(hessian)
    limit = FAR * max(1.0, float(np.abs(mode).max()))
    for direction in _directions(mode, gradient, curvatures, vectors):
        curvature = float(direction @ hessian @ direction)
        distance = min(DISTANCE / np.sqrt(curvature), 1e6 * limit) if curvature > 0 else limit
        rise = value(mode + distance * direction) - height
        if rise > -DROP:
            return Escape(direction, rise)
    return None


def _directions(mode: np.ndarray, gradient: np.ndarray, curvatures: np.ndarray, vectors: np.ndarray) -> Iterator[np.ndarray]:
    """Unit vectors: the weakest directions both ways, where the point itself lies, where Newton's method still goes."""
    weak = vectors[:, curvatures <= WEAK * max(curvatures[-1], 1e-12)]
    step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(curvatures), 1e-300))
    candidates = [mode, step, weak @ (weak.T @ mode), weak @ (weak.T @ step)]
    candidates += [sign * vectors[:, k] for k in range(min(3, len(curvatures))) for sign in (1.0, -1.0)]
    for candidate in candidates:
        length = float(np.linalg.norm(candidate))
        if np.isfinite(length) and length > 0:
            yield candidate / length
