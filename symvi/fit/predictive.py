"""Draws of observed variables by NumPy, given arrays of parameters over draws."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np

__all__ = ["sample_distribution"]


def sample_distribution(
    distribution, parameters: Mapping[str, np.ndarray], shape: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    """Draws of a distribution; parameters have the draws in the first axis and broadcast against `shape`."""
    batch = len(shape) - 1 - distribution.family.event_rank
    aligned: dict[str, np.ndarray | None] = dict.fromkeys(distribution.family.parameter_names)
    for name, array in parameters.items():
        missing = 1 + batch + distribution.family.event_ranks[name] - array.ndim
        aligned[name] = array.reshape(array.shape[0], *[1] * max(missing, 0), *array.shape[1:])
    return distribution.family.random(generator, SimpleNamespace(**aligned), shape)
