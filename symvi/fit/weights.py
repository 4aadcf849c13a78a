"""Importance weights of a fitted guide, log p(data, z) - log q(z) at independent draws: for k-hat.

Where the bound is an average over draws and nothing of it was taken in closed form, its own kernel with one draw per step gives
them, compiled and without arrays over draws. Else the bound is written once more without closed forms and evaluated in chunks.
"""

from __future__ import annotations

import numpy as np

from symvi.errors import SymviError
from symvi.fit.leaves import Sizes
from symvi.fit.trainer import Trainer
from symvi.vi.approximate import approximate
from symvi.vi.elbo import elbo
from symvi.vi.guides import Guide

__all__ = ["log_weights", "weight_draws"]

STREAM_WEIGHTS = 6
EXACT = ("exact", "cancels")  # such a term is the same for every draw
LANDING = ", sticking the landing"


def weight_draws(rows: int) -> int:
    """How many draws k-hat is estimated from."""
    return 2000 if rows <= 20_000 else 500


def log_weights(fit, n: int) -> np.ndarray | None:
    """n log weights, or None where they are not defined (points, minibatches) or not known (low rank)."""
    if fit.objective.batch_size or any(block.point for block in fit.bound.approximation.blocks):
        return None
    ways = {entry.how.removesuffix(LANDING) for entry in fit.bound.resolution}
    by_draws = fit.objective.is_stochastic and all(how.endswith("draws") or how in EXACT for how in ways)
    weights = _by_kernel(fit, n) if by_draws else _by_interpreter(fit, n)
    return weights if weights is not None and np.isfinite(weights).any() and not np.isnan(weights).any() else None


def _by_kernel(fit, n: int) -> np.ndarray:
    sizes = Sizes()
    sizes.values = {**fit.sizes.values, str(fit.bound.approximation.particles): 1}
    old = fit.trainer
    raw = old.raw_parameters(fit.averaged)
    single = Trainer(old.objective, old.data, old.optimizer, sizes, fit.seed, raw, incomplete=fit.observations.incomplete)
    return single.evaluate(n, STREAM_WEIGHTS)


def _by_interpreter(fit, n: int) -> np.ndarray | None:
    observed = list(fit.observations.observed.values())
    old = fit.bound.approximation
    try:
        default = fit.guide if isinstance(fit.guide, Guide) else "auto"
        approximation = approximate(fit.model, fit.guide, observed, old.particles, fit.plates, bool(old.reference), True, default)
        if any(block.minus_log_q is None and not block.exact_prior for block in approximation.blocks):
            return None
        missing = list(fit.observations.missing.values())
        bound = elbo(fit.model, observed=observed, entropy="stick", missing=missing, approximation=approximation)
    except SymviError:
        return None
    return fit.posterior.weights(bound.log_weight, n, STREAM_WEIGHTS)
