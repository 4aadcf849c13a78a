"""Averages of iterates, as expressions and as settings of the compiled loop."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from symvi.array.expression import Expr
from symvi.optim.optimizer import check_range

__all__ = ["Average"]


@dataclass(frozen=True)
class Average:
    """Running mean and variance of the iterates from step `start` on; the n-th iterate enters with weight (1 + eta) / (n + eta).

    eta = 0 is the plain (tail) average of Polyak & Juditsky (SIAM J. Control 30, 1992); eta > 0 forgets early iterates at a polynomial rate
    (Shamir & Zhang, ICML 2013, section 4). The variance is that of the same weights: its root over the root of the number of independent
    iterates is the Monte Carlo error of the mean. Means are of the coordinates that are optimised; a coordinate counts its own visits.
    """

    start: float = 0
    eta: float = 0.0

    def __post_init__(self) -> None:
        check_range(self, "start", 0, inf, open_high=False)
        check_range(self, "eta", 0.0, inf)

    def weight(self, count: Expr) -> Expr:
        """The weight of the next iterate when `count` have entered."""
        return (1.0 + self.eta) / (count + (1.0 + self.eta))

    def updates(self, theta: Expr, mean: Expr, variance: Expr, count: Expr) -> dict[str, Expr]:
        """The new "mean", "variance" and "count", all of one shape (Finch, "Incremental calculation of weighted mean", 2009)."""
        weight = self.weight(count)
        difference = theta - mean
        return {
            "mean": mean + weight * difference,
            "variance": (1.0 - weight) * (variance + weight * difference**2),
            "count": count + 1.0,
        }

    def settings(self) -> np.ndarray:
        """What the compiled loop reads: [first step, eta]."""
        return np.array([float(self.start), float(self.eta)])


NEVER = Average(start=inf)
"""No averages."""
