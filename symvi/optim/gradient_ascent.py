"""Ascent along the gradient, plain and with momentum."""

from __future__ import annotations

from dataclasses import dataclass

from symvi.array.expression import Expr
from symvi.optim.optimizer import THETA, Optimizer, check_range

__all__ = ["SGD", "Momentum", "Nesterov"]


@dataclass(frozen=True)
class SGD(Optimizer):
    """θ ← θ + ε g (Robbins & Monro, Ann. Math. Stat. 22, 1951)."""

    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        return {THETA: theta + self.rate_at(step) * gradient}


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v ← μ v + ε g, θ ← θ + v (Polyak, USSR Comp. Math. 4, 1964; equations 1 and 2 of Sutskever et al., ICML 2013)."""

    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "momentum", 0.0, 1.0)

    @property
    def slots(self) -> dict[str, float]:
        return {"velocity": 0.0}

    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        velocity = self.momentum * slots["velocity"] + self.rate_at(step) * gradient
        return {THETA: theta + velocity, "velocity": velocity}


@dataclass(frozen=True)
class Nesterov(Momentum):
    """v ← μ v + ε g, θ ← θ + μ v + ε g with the new v: simplified Nesterov momentum (Bengio et al., ICASSP 2013).

    θ is the point that Nesterov's method looks ahead to, so that the gradient is taken at the parameters themselves.
    """

    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        push = self.rate_at(step) * gradient
        velocity = self.momentum * slots["velocity"] + push
        return {THETA: theta + self.momentum * velocity + push, "velocity": velocity}
