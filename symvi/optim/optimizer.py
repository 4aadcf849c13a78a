"""What an optimiser is: named slots with initial values, and one update expression for the parameters and for every slot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from symvi.array.expression import Expr, mistake
from symvi.errors import ExpressionError
from symvi.optim.schedules import Schedule, as_schedule

__all__ = ["Optimizer", "THETA", "check_range"]

THETA = "theta"
"""The key of the parameters themselves in the dictionary of updates."""


def check_range(owner: object, name: str, low: float, high: float, open_high: bool = True) -> None:
    """Raises unless low <= the field `name` < high (<= high if not `open_high`)."""
    value = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (low <= value < high or (value == high and not open_high)):
        bracket = ")" if open_high else "]"
        raise mistake(f"{name} of {type(owner).__name__} lies in [{low:g}, {high:g}{bracket}, not {value!r}", ExpressionError)


@dataclass(frozen=True)
class Optimizer(ABC):
    """Base of the optimisers. They ascend: `theta + rate * ...`; to minimise, negate the bound.

    `rate` is a number, a `Schedule`, or a scalar expression (for example `sv.data("rate")`, to change it without compiling again).
    """

    rate: float | Schedule | Expr = 1e-2

    def __post_init__(self) -> None:
        as_schedule(self.rate)

    @property
    def slots(self) -> dict[str, float]:
        """The names of the arrays that are kept for every coordinate besides the parameters, and their initial values."""
        return {}

    @abstractmethod
    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        """The new values, keyed "theta" and by the names of the slots; all right sides read old values.

        `theta`, `gradient`, every slot and `visits` have one shape (P,). `visits` says how often each coordinate was updated before: under
        minibatching a local parameter counts its own. `step` is a scalar, 0 at the first step; only schedules read it.
        """

    def rate_at(self, step: Expr) -> Any:
        """The rate as an expression of the step."""
        return as_schedule(self.rate)(step)
