"""The bound at fitted parameters with its Monte Carlo error, by fresh draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symvi.fit.trainer import Trainer

__all__ = ["Estimate", "estimate_bound"]

FEWEST, MOST = 2000, 32_000  # draws
ACCURATE = 0.01  # nats


@dataclass(frozen=True)
class Estimate:
    """A bound, its standard error, how many draws it is the mean of."""

    value: float
    error: float
    draws: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.error:.2f}" if self.draws > 1 else f"{self.value:.2f}"


def estimate_bound(trainer: Trainer, averaged: bool, fewest: int = FEWEST, most: int = MOST) -> Estimate:
    """At least `fewest` draws; twice as many until the error is below 0.01 or there are `most`. One evaluation if nothing is random."""
    kept = trainer.raw_parameters()
    if averaged:
        trainer.set_parameters(trainer.raw_parameters(averaged=True))
    try:
        if not trainer.objective.is_stochastic and not trainer.objective.batch_size:
            return Estimate(float(trainer.evaluate(1)[0]), 0.0, 1)
        values = trainer.evaluate(max(2, -(-fewest // trainer.particles)))
        while values.size * trainer.particles < most and _error(values) > ACCURATE:
            values = np.concatenate([values, trainer.evaluate(values.size, first=values.size)])
        return Estimate(float(values.mean()), _error(values), values.size * trainer.particles)
    finally:
        trainer.set_parameters(kept)


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size))
