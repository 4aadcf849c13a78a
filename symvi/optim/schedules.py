"""Step sizes as expressions of the step, a scalar that is 0 at the first step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from symvi.array.expression import Expr, as_expr, mistake
from symvi.array.functions import cos, floor, minimum, pi, power, where
from symvi.errors import ExpressionError

__all__ = [
    "Schedule", "Constant", "Given", "RobbinsMonro", "ExponentialDecay", "CosineDecay", "Piecewise", "Halving", "Warmup", "as_schedule",
]  # fmt: skip


def _positive(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < inf:
            raise mistake(f"{name} of {type(owner).__name__} is a positive number, not {value!r}", ExpressionError)


@dataclass(frozen=True)
class Schedule(ABC):
    """A step size as a function of the step."""

    @abstractmethod
    def __call__(self, step: Any) -> Expr:
        """The step size, an expression of the scalar `step` (0, 1, ...)."""


@dataclass(frozen=True)
class Constant(Schedule):
    """The same at every step."""

    rate: float

    def __post_init__(self) -> None:
        _positive(self, "rate")

    def __call__(self, step: Any) -> Expr:
        return as_expr(float(self.rate))


@dataclass(frozen=True)
class Given(Schedule):
    """A scalar expression that is given, such as a data leaf whose value the caller changes between chunks of steps."""

    value: Expr

    def __post_init__(self) -> None:
        if self.value.ndim:
            raise mistake(f"a step size is a scalar; the expression {self.value!r} has {self.value.ndim} axes", ExpressionError)

    def __call__(self, step: Any) -> Expr:
        return self.value


@dataclass(frozen=True)
class RobbinsMonro(Schedule):
    """rate (1 + step / offset)^-power: sums to infinity, its squares do not, for power in (1/2, 1].

    Robbins & Monro, Ann. Math. Stat. 22, 1951. A large `offset` (in steps) delays the decay. With averaging of iterates a power near 1/2 is
    best (Polyak & Juditsky, SIAM J. Control 30, 1992).
    """

    rate: float
    offset: float = 1.0
    power: float = 0.75

    def __post_init__(self) -> None:
        _positive(self, "rate", "offset")
        if not 0.5 < self.power <= 1:
            raise mistake(f"power of RobbinsMonro lies in (0.5, 1], not {self.power!r}", ExpressionError)

    def __call__(self, step: Any) -> Expr:
        return self.rate * power(1.0 + as_expr(step) / float(self.offset), -float(self.power))


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """rate factor^(step / every)."""

    rate: float
    factor: float = 0.5
    every: float = 1000.0

    def __post_init__(self) -> None:
        _positive(self, "rate", "factor", "every")

    def __call__(self, step: Any) -> Expr:
        return self.rate * power(float(self.factor), as_expr(step) / float(self.every))


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a period of a cosine from `rate` to `last` over `steps` steps, then `last` (Loshchilov & Hutter, ICLR 2017; no restarts)."""

    rate: float
    steps: float
    last: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, "rate", "steps")
        if not 0 <= self.last <= self.rate:
            raise mistake(f"last of CosineDecay lies in [0, rate], not {self.last!r}", ExpressionError)

    def __call__(self, step: Any) -> Expr:
        done = minimum(as_expr(step) / float(self.steps), 1.0)
        return self.last + (0.5 * (self.rate - self.last)) * (1.0 + cos(pi * done))


@dataclass(frozen=True)
class Piecewise(Schedule):
    """rates[0] before step boundaries[0], rates[1] before boundaries[1], ..., the last rate from the last boundary on."""

    rates: tuple[float, ...]
    boundaries: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple(self.rates))
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        if len(self.rates) != len(self.boundaries) + 1:
            message = f"Piecewise takes one rate more than boundaries, not {len(self.rates)} rates and {len(self.boundaries)} boundaries"
            raise mistake(message, ExpressionError)
        if any(not 0 <= rate < inf for rate in self.rates):
            raise mistake(f"rates of Piecewise are not negative, not {self.rates!r}", ExpressionError)
        if any(not a < b for a, b in zip((0, *self.boundaries), self.boundaries)):
            raise mistake(f"boundaries of Piecewise increase from above 0, not {self.boundaries!r}", ExpressionError)

    def __call__(self, step: Any) -> Expr:
        rate = as_expr(float(self.rates[-1]))
        for earlier, boundary in zip(reversed(self.rates[:-1]), reversed(self.boundaries)):
            rate = where(as_expr(step) < boundary, float(earlier), rate)
        return rate


@dataclass(frozen=True)
class Halving(Schedule):
    """rate, halved after every `every` steps."""

    rate: float
    every: float = 1000.0

    def __post_init__(self) -> None:
        _positive(self, "rate", "every")

    def __call__(self, step: Any) -> Expr:
        return self.rate * power(0.5, floor(as_expr(step) / float(self.every)))


@dataclass(frozen=True)
class Warmup(Schedule):
    """Another schedule times min(1, (step + 1) / steps): a linear rise during the first `steps` steps."""

    schedule: Schedule | float
    steps: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedule", as_schedule(self.schedule))
        _positive(self, "steps")

    def __call__(self, step: Any) -> Expr:
        return minimum((as_expr(step) + 1.0) / float(self.steps), 1.0) * self.schedule(step)


def as_schedule(rate: Any) -> Schedule:
    """A schedule from a schedule, a positive number, or a scalar expression."""
    if isinstance(rate, Schedule):
        return rate
    if isinstance(rate, Expr):
        return Given(rate)
    if isinstance(rate, (int, float)) and not isinstance(rate, bool) and isfinite(rate) and rate > 0:
        return Constant(float(rate))
    raise mistake(f"a rate is a positive number, a schedule or a scalar expression, not {rate!r}", ExpressionError)
