"""Deterministic bounds: SciPy's L-BFGS and Newton-CG on the compiled value and gradient."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symvi.errors import NonFiniteError
from symvi.fit.trainer import Trainer

__all__ = ["Outcome", "Scipy", "maximize_deterministic"]


@dataclass(frozen=True)
class Scipy:
    """A method of scipy.optimize by name."""

    name: str
    METHODS: ClassVar[dict[str, str]] = {"lbfgs": "L-BFGS-B", "newton": "Newton-CG"}

    def options(self, steps: int) -> dict:
        if self.name == "lbfgs":
            return {"maxiter": steps, "maxcor": 20, "ftol": 1e-14, "gtol": 1e-8, "maxfun": 20 * steps}
        return {"maxiter": steps, "xtol": 1e-10}


@dataclass
class Outcome:
    """How a deterministic run ended."""

    converged: bool = False
    why: str = ""
    interrupted: bool = False


class _Stopped(Exception):
    """The time is up."""


def maximize_deterministic(
    trainer: Trainer, method: Scipy, steps: int, callbacks: Sequence[Callable] = (), max_seconds: float | None = None, sign: int = 1
) -> Outcome:
    """Maximise the bound of a trainer from where it stands; the trainer ends at the best point.

    A point at which the bound is not finite counts as infinitely bad, so the line search turns back from it.
    """
    from scipy import optimize  # late: it takes a while to import

    run = _Run(trainer, callbacks, None if max_seconds is None else time.perf_counter() + max_seconds, sign)
    extra = {"hessp": run.hessian_product} if method.name == "newton" else {}
    extra |= {"method": Scipy.METHODS[method.name], "options": method.options(steps), "callback": run.after}
    outcome = Outcome()
    try:
        result = optimize.minimize(run.negative, trainer.theta.copy(), jac=True, **extra)
        gradient = float(np.abs(result.jac).max(initial=0.0))
        # a line search that finds nothing better at a small gradient has met rounding, not a failure
        outcome.converged = bool(result.success) or gradient < 1e-5 * max(1.0, abs(float(result.fun)))
        outcome.why = "" if outcome.converged else f"{str(result.message).lower().rstrip('.')} (gradient {gradient:.1e})"
    except _Stopped:
        outcome.why = f"the time was up after {len(run.values):,} steps"
    except KeyboardInterrupt:
        outcome.why, outcome.interrupted = f"interrupted after {len(run.values):,} steps", True
    trainer.theta[:] = run.best
    trainer.history = np.concatenate([trainer.history, run.values])
    trainer.step += len(run.values)
    return outcome


class _Run:
    """One run: the best point so far, the bound after every step."""

    def __init__(self, trainer: Trainer, callbacks: Sequence[Callable], deadline: float | None, sign: int):
        self.trainer, self.callbacks, self.deadline, self.sign = trainer, callbacks, deadline, sign
        self.highest, self.best = -np.inf, trainer.theta.copy()
        self.values: list[float] = []

    def negative(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        if self.deadline is not None and time.perf_counter() > self.deadline:
            raise _Stopped
        try:
            value, gradient = self.trainer.value_and_gradient(theta)
        except NonFiniteError:
            if not np.isfinite(self.highest):
                raise
            return np.inf, np.zeros_like(theta)
        if value > self.highest:
            self.highest, self.best = value, theta.copy()
        return -value, -gradient

    def after(self, theta: np.ndarray) -> None:
        self.values.append(self.highest)
        for callback in self.callbacks:
            callback(len(self.values), self.sign * self.highest)

    def hessian_product(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Central differences of the exact gradient."""
        norm = np.linalg.norm(direction)
        if norm == 0:
            return np.zeros_like(theta)
        h = 6e-6 * max(1.0, np.linalg.norm(theta)) / norm
        forward = self.trainer.value_and_gradient(theta + h * direction)[1]
        backward = self.trainer.value_and_gradient(theta - h * direction)[1]
        return -(forward - backward) / (2 * h)
