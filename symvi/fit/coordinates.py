"""The coordinates in which a Gaussian guide is trained: centre and unit of every block, from the Laplace approximation.

The optimiser then starts at location 0 and scale 1, and its steps are in posterior standard deviations. Where there is no proper
mode, the centre is 0 and the unit 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symvi.expect.approximation import Approximation
from symvi.expr.leaf import Leaf
from symvi.fit.laplace import Laplace, LogJoint, block_covariances, find_mode
from symvi.fit.leaves import Sizes, as_values
from symvi.fit.observations import Observations
from symvi.stats.model import Model
from symvi.vi.elbo import Bound, elbo
from symvi.vi.guides import Mode

__all__ = ["laplace_coordinates", "reference_values"]


def laplace_coordinates(
    model: Model,
    observations: Observations,
    sizes: Sizes,
    plates: frozenset,
    joint: bool,
    name: str,
    init: Mapping | None,
    deadline: float | None,
) -> tuple[Laplace, dict[str, np.ndarray]]:
    """The Laplace approximation, and `<block>_center` and `<block>_unit` by name if it was found. `joint` as in `Mode`."""
    density = elbo(model, Mode(joint), list(observations.observed.values()), plates=plates, missing=list(observations.missing.values()))
    problem = LogJoint(density, observations.values, sizes, f"{name}_mode", incomplete=observations.incomplete)
    _place_start(problem, density, observations, init or {}, sizes)
    laplace = find_mode(problem, deadline=deadline)
    values: dict[str, np.ndarray] = {}
    if laplace.found:
        covariances = block_covariances(problem, laplace)
        for leaf in problem.parameters:
            block = leaf.name.removesuffix("_mode")
            values[f"{block}_center"] = problem.part(laplace.mode, leaf).copy()
            covariance = covariances[leaf]
            values[f"{block}_unit"] = np.linalg.cholesky(covariance) if joint else _conditional_sd(problem, laplace, leaf, covariance)
    return laplace, values


def _conditional_sd(problem: LogJoint, laplace: Laplace, leaf: Leaf, covariance: np.ndarray) -> np.ndarray:
    """What a mean-field guide finds for a Gaussian posterior: the sd of each value given all others."""
    if laplace.hessian is None:
        return np.sqrt(np.ascontiguousarray(np.diagonal(covariance, axis1=-2, axis2=-1)))
    return 1.0 / np.sqrt(problem.part(np.diagonal(laplace.hessian).copy(), leaf))


def _place_start(problem: LogJoint, density: Bound, observations: Observations, init: Mapping[Any, Any], sizes: Sizes) -> None:
    """Put the user's starting values of latents into the vector that Newton's method starts from."""
    starting = as_values(init, [variable.leaf for variable in observations.latent.values()], "init")
    for block in density.approximation.blocks:
        for latent in block.latents:
            if latent.leaf not in starting:
                continue
            value = np.asarray(starting[latent.leaf], dtype=float)
            latent.support.check(f"init of {latent.name}: {latent.name}", value, latent.leaf.site)
            value = latent.support.inverse(value)
            leaf = next(p for p in problem.parameters if p.name == f"{block.name}_mode")
            part = problem.part(problem.theta, leaf)
            if len(block.latents) > 1 and not block.plates:
                offset, shape = block.places[latent.name]
                begin, count = offset.size(sizes.values), int(np.prod([d.size(sizes.values) for d in shape], dtype=np.int64))
                part.reshape(-1)[begin : begin + count] = np.broadcast_to(value, [d.size(sizes.values) for d in shape]).ravel()
            elif len(block.latents) == 1:
                part[...] = value.reshape(part.shape) if value.size == part.size else value


def reference_values(approximation: Approximation, found: Mapping[str, np.ndarray], sizes: Sizes) -> dict[Leaf, np.ndarray]:
    """Centre and unit of every block, from the Laplace approximation or their defaults."""
    values = {}
    for expression, default in approximation.reference.items():
        leaf = expression.leaf
        shape = tuple(d.size(sizes.values) for d in leaf.shape)
        array = found.get(leaf.name)
        if array is None:
            array = default(shape)
        elif array.ndim == len(shape) + 1:  # a low-rank guide takes standard deviations where the Laplace approximation gives a factor
            array = np.sqrt((array**2).sum(axis=-1))
        values[leaf] = np.ascontiguousarray(array).reshape(shape)
    return values
