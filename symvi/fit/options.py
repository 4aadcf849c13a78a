"""What a caller of `sv.fit` may choose, checked before anything is built."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symvi.array.expression import mistake
from symvi.errors import ExpressionError, ModelError
from symvi.fit.compile import check_dtype
from symvi.optim import Optimizer

__all__ = ["Options", "check_batch_size", "check_optimizer", "check_steps", "check_target"]


@dataclass
class Options:
    """The arguments of `fit` beside the model and its data; see there."""

    guide: Any = "auto"
    objective: str = "elbo"
    optimizer: Optimizer | None = None
    steps: int | None = None
    batch_size: Mapping | None = None
    particles: int | str = "auto"
    estimator: str | None = None
    noise: str = "auto"
    init: Mapping | None = None
    restarts: int = 1
    missing: str = "error"
    sizes: Mapping | None = None
    coords: Mapping | None = None
    callbacks: Sequence[Callable] = ()
    check: bool = False
    max_seconds: float | None = None
    seed: int = 0
    target: str = "cpu"
    dtype: Any = "float64"
    progress: bool = True

    def checked(self) -> Options:
        """Itself; an error that names the caller's line if an option does not make sense."""
        check_target(self.target)
        self.dtype = check_dtype(self.dtype)
        _one_of("objective", self.objective, ("elbo",))
        _one_of("estimator", self.estimator, (None, "pathwise", "stick"))
        _one_of("noise", self.noise, ("auto",))
        if self.restarts != 1:
            raise mistake("restarts other than 1 are not available", ModelError)
        if self.particles != "auto":
            _positive("particles", self.particles, 'is "auto" or a positive number of draws')
        check_steps(self.steps)
        check_batch_size(self.batch_size)
        if self.optimizer is not None:
            check_optimizer(self.optimizer)
        return self

    @property
    def is_default(self) -> bool:
        """Is the fit to find its own rate and number of steps?"""
        return self.optimizer is None and self.steps is None


def check_target(target: str) -> None:
    _one_of("target", target, ("cpu",))


def check_steps(steps: int | None) -> None:
    if steps is not None:
        _positive("steps", steps, "is a positive number, or None")


def check_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise mistake(f"optimizer is one of sv.optim (such as sv.optim.Adam(rate=0.01)), not {optimizer!r}", ExpressionError)


def check_batch_size(batch_size: Any) -> None:
    """Is it a dictionary from dims to numbers of rows?"""
    if batch_size is None:
        return
    if not isinstance(batch_size, Mapping):
        raise mistake(f"batch_size says which plate is batched, as in {{N: 256}}; it is {batch_size!r}", ExpressionError)
    for dim, rows in batch_size.items():
        _positive(f"batch_size of {dim}", rows, "is a positive number of rows")


def _positive(name: str, value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise mistake(f"{name} {what}, not {value!r}", ExpressionError)


def _one_of(name: str, value: Any, allowed: tuple) -> None:
    if value in allowed:
        return
    near = difflib.get_close_matches(str(value), [str(a) for a in allowed], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise mistake(f"{name} is {' or '.join(repr(a) for a in allowed)}, not {value!r}{hint}", ExpressionError)
