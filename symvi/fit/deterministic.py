"""Deterministic bounds: SciPy's L-BFGS and Newton-CG on the compiled value and gradient."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from symvi.errors import NonFiniteError
from symvi.fit.trainer import Trainer

__all__ = ["Scipy", "maximize_deterministic"]


@dataclass(frozen=True)
class Scipy:
    """A method of scipy.optimize by name."""

    name: str
    METHODS = {"lbfgs": "L-BFGS-B", "newton": "Newton-CG"}


class _Stopped(Exception):
    """The time is up."""


def maximize_deterministic(trainer: Trainer, method: Scipy, steps: int, callbacks: Sequence[Callable] = (), max_seconds: float | None = None, sign: int = 1):
    """Maximise the bound of a trainer from where it stands; the trainer ends at the best point. Returns SciPy's result.

    A point at which the bound is not finite counts as infinitely bad, so the line search turns back from it.
    """
    from scipy.optimize import minimize

    start = time.perf_counter()
    best = [-np.inf, trainer.theta.copy()]
    values: list[float] = []

    def negative(theta: np.ndarray) -> tuple[float, np.ndarray]:
        if max_seconds is not None and time.perf_counter() - start > max_seconds:
            raise _Stopped
        try:
            value, gradient = trainer.value_and_gradient(theta)
        except NonFiniteError:
            if not np.isfinite(best[0]):
                raise
            return np.inf, np.zeros_like(theta)
        if value > best[0]:
            best[0], best[1] = value, theta.copy()
        return -value, -gradient

    def after(theta: np.ndarray) -> None:
        values.append(best[0])
        for callback in callbacks:
            callback(len(values), sign * best[0])

    result = None
    try:
        options = {"maxiter": steps}
        if method.name == "lbfgs":
            options |= {"maxcor": 20, "ftol": 1e-14, "gtol": 1e-8, "maxfun": 20 * steps}
        else:
            options |= {"xtol": 1e-10}
        extra = {} if method.name == "lbfgs" else {"hessp": _hessian_product(trainer)}
        result = minimize(negative, trainer.theta.copy(), jac=True, method=Scipy.METHODS[method.name], callback=after, options=options, **extra)
    except (_Stopped, KeyboardInterrupt):
        pass
    trainer.theta[:] = best[1]
    trainer.history = np.concatenate([trainer.history, values])
    trainer.step += len(values)
    return result


def _hessian_product(trainer: Trainer):
    """Hessian products by central differences of the exact gradient."""

    def product(theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        norm = np.linalg.norm(direction)
        if norm == 0:
            return np.zeros_like(theta)
        h = 6e-6 * max(1.0, np.linalg.norm(theta)) / norm
        forward = trainer.value_and_gradient(theta + h * direction)[1]
        backward = trainer.value_and_gradient(theta - h * direction)[1]
        return -(forward - backward) / (2 * h)

    return product
