"""Ascent with a step size per coordinate, from the sizes of past gradients."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import ClassVar

from symvi.array.expression import Expr, mistake
from symvi.array.functions import clip, expm1, sign, sqrt, where
from symvi.errors import ExpressionError
from symvi.optim.optimizer import THETA, Optimizer, check_range
from symvi.optim.schedules import Constant

__all__ = ["AdaGrad", "AdaDelta", "RMSProp", "Adam"]


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """s ← s + g², θ ← θ + ε g / (√s + δ) (Duchi, Hazan & Singer, JMLR 12, 2011, with diagonal matrices)."""

    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "epsilon", 0.0, inf)

    @property
    def slots(self) -> dict[str, float]:
        return {"sum_of_squares": 0.0}

    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        total = slots["sum_of_squares"] + gradient**2
        return {THETA: theta + self.rate_at(step) * gradient / (sqrt(total) + self.epsilon), "sum_of_squares": total}


@dataclass(frozen=True)
class AdaDelta(Optimizer):
    """Δ = √(E[Δ²] + δ) / √(E[g²] + δ) g, θ ← θ + ε Δ, with decaying means E (Zeiler, arXiv:1212.5701, algorithm 1, where ε = 1)."""

    rate: float = 1.0
    decay: float = 0.95
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "decay", 0.0, 1.0)
        check_range(self, "epsilon", 0.0, inf)

    @property
    def slots(self) -> dict[str, float]:
        return {"mean_square": 0.0, "mean_square_step": 0.0}

    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        square = self.decay * slots["mean_square"] + (1.0 - self.decay) * gradient**2
        move = sqrt(slots["mean_square_step"] + self.epsilon) / sqrt(square + self.epsilon) * gradient
        step_square = self.decay * slots["mean_square_step"] + (1.0 - self.decay) * move**2
        return {THETA: theta + self.rate_at(step) * move, "mean_square": square, "mean_square_step": step_square}


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """r ← γ r + (1 - γ) g², θ ← θ + ε g / (√r + δ) (Tieleman & Hinton, lecture 6.5, 2012).

    With `agreement=a` every coordinate has a rate of its own, at first `rate`: multiplied by 1 + a where the last two steps agree in sign
    and by 1 - a otherwise, then clipped to [1e-6, 10]. The optimiser of Gal, Chen & Ghahramani (ICML 2015).
    """

    decay: float = 0.9
    agreement: float | None = None
    epsilon: float = 1e-8

    RATES: ClassVar[tuple[float, float]] = (1e-6, 10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "decay", 0.0, 1.0)
        check_range(self, "epsilon", 0.0, inf)
        if self.agreement is not None:
            check_range(self, "agreement", 0.0, 1.0)
            if not isinstance(self.rate, (int, float, Constant)):
                raise mistake("RMSProp with agreement= adapts the rate itself; its rate= is a number, the first rate", ExpressionError)

    @property
    def slots(self) -> dict[str, float]:
        if self.agreement is None:
            return {"mean_square": 0.0}
        first = self.rate.rate if isinstance(self.rate, Constant) else self.rate
        return {"mean_square": 0.0, "direction": 0.0, "rate": float(first)}

    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        square = self.decay * slots["mean_square"] + (1.0 - self.decay) * gradient**2
        new = {"mean_square": square}
        rate = self.rate_at(step)
        if self.agreement is not None:
            direction = sign(gradient)
            factor = where(direction * slots["direction"] > 0, 1.0 + self.agreement, 1.0 - self.agreement)
            rate = clip(slots["rate"] * where(visits > 0, factor, 1.0), *self.RATES)
            new |= {"direction": direction, "rate": rate}
        return {THETA: theta + rate * gradient / (sqrt(square) + self.epsilon), **new}


@dataclass(frozen=True)
class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², θ ← θ + ε m̂ / (√v̂ + δ), m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ)
    (Kingma & Ba, ICLR 2015, algorithm 1); t is the number of updates of the coordinate."""

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "beta1", 0.0, 1.0)
        check_range(self, "beta2", 0.0, 1.0)
        check_range(self, "epsilon", 0.0, inf)

    @property
    def slots(self) -> dict[str, float]:
        return {"mean": 0.0, "mean_square": 0.0}

    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        mean = self.beta1 * slots["mean"] + (1.0 - self.beta1) * gradient
        square = self.beta2 * slots["mean_square"] + (1.0 - self.beta2) * gradient**2
        root = sqrt(_weight(self.beta2, visits))  # m̂ / (√v̂ + δ) with one division: (m √w₂ / w₁) / (√v + δ √w₂)
        move = (root / _weight(self.beta1, visits)) * mean / (sqrt(square) + self.epsilon * root)
        return {THETA: theta + self.rate_at(step) * move, "mean": mean, "mean_square": square}


def _weight(beta: float, visits: Expr) -> Expr | float:
    """1 - beta^(visits + 1), the sum of the weights of a decaying mean, without cancellation."""
    return -expm1((visits + 1.0) * log(beta)) if beta > 0 else 1.0
