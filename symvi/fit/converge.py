"""Stochastic steps until the Monte Carlo error of every mean is small: no rate and no step count are asked for.

At each rate the iterates run until their windows show no drift; then the rate is halved. At the last rate the iterates are
averaged (Polyak & Juditsky 1992) until the error of the average, from the spread of window means, is below the tolerance
for every coordinate. Coordinates are in units of posterior sd where the guide stands on a Laplace approximation; else they are
measured by the curvature of the bound, 1 / sqrt(-d²L/dθ²): for the location of a Gaussian that is its posterior sd.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from symvi.array.expression import Expr
from symvi.array.leaves import data
from symvi.errors import NonFiniteError
from symvi.expr.leaf import Leaf
from symvi.fit.diagnostics import average_drift
from symvi.fit.progress import Bar
from symvi.fit.trainer import Trainer
from symvi.optim import Adam
from symvi.optim.optimizer import THETA

__all__ = ["Convergence", "converge", "adaptive_optimizer"]

FIRST_RATE = 0.1  # for independent coordinates; a joint block of P values moves by sqrt(P) coordinates at once
HALVINGS = 3
WINDOW = 200
WINDOWS_PER_TEST = 5
TOLERANCE = 0.02  # posterior sd
LARGEST_STEPS = 400_000
PROBES = 200  # coordinates up to which the curvature is found one by one


class UnitAdam(Adam):
    """Adam whose steps along each coordinate are in units of the slot `unit`."""

    @property
    def slots(self) -> dict[str, float]:
        return {**super().slots, "unit": 1.0}

    def updates(self, theta: Expr, gradient: Expr, slots: dict[str, Expr], visits: Expr, step: Expr) -> dict[str, Expr]:
        result = super().updates(theta, gradient, slots, visits, step)
        return {**result, THETA: theta + slots["unit"] * (result[THETA] - theta)}


def adaptive_optimizer() -> Adam:
    """An optimiser whose rate and units are changed from outside without compiling again."""
    return UnitAdam(rate=data("rate"))


@dataclass
class Convergence:
    """How a run ended: `error` is the largest Monte Carlo error of an averaged coordinate, in its units."""

    converged: bool = False
    why: str = ""
    error: float = np.inf
    steps: int = 0
    interrupted: bool = False
    windows: list[np.ndarray] = field(default_factory=list)


class _TimeUp(Exception):
    """max_seconds has passed."""


def converge(
    trainer: Trainer,
    tolerance: float = TOLERANCE,
    max_seconds: float | None = None,
    largest: int = LARGEST_STEPS,
    callbacks: Sequence[Callable] = (),
    progress: bool = False,
    measured: bool = True,
    width: int = 1,
    unjudged: Collection[Leaf] = (),
) -> Convergence:
    """Train to convergence; averages are in the trainer afterwards, even if the run ends early.

    `measured`: the coordinates are in units of posterior sd; else their units are found from the curvature.
    `width` is the largest number of coordinates that act on one value (the size of a joint block): the first rate is
    0.5 / width, at most 0.1, so that the noise of the iterates stays below the scale of the guide. `unjudged` parameters are not
    determined one by one (the columns of a low-rank factor may rotate): the bound is judged in their place.
    """
    trainer.averaging[:] = (0.0, 0.0)
    deadline = None if max_seconds is None else time.perf_counter() + max_seconds
    with Bar(progress) as bar:
        run = _Run(trainer, tolerance, trainer.step + largest, deadline, callbacks, bar)
        run.judge(unjudged)
        result = run.result
        try:
            run.approach(measured, min(FIRST_RATE, max(0.5 / width, 2e-3)))
            run.average()
        except _TimeUp:
            result.why = f"the time was up after {trainer.step:,} steps"
        except KeyboardInterrupt:
            result.interrupted, result.why = True, f"interrupted after {trainer.step:,} steps"
        finally:
            _restore_average(trainer, result.windows)
            result.steps = trainer.step
    return result


class _Run:
    """One run to convergence."""

    def __init__(self, trainer: Trainer, tolerance: float, last: int, deadline: float | None, callbacks: Sequence[Callable], bar: Bar):
        self.trainer, self.tolerance, self.last, self.deadline = trainer, tolerance, last, deadline
        self.callbacks, self.bar, self.result = callbacks, bar, Convergence()
        self.length = WINDOW
        self.highest, self.kept = -np.inf, trainer.raw_parameters()
        self.unit = np.ones(sum(trainer.averages[leaf].size for leaf in trainer.leaves))

    def judge(self, unjudged: Collection[Leaf]) -> None:
        """Which coordinates have to be exact."""
        trainer = self.trainer
        parts = [np.full(trainer.averages[leaf].size, leaf not in unjudged) for leaf in trainer.leaves]
        self.judged = np.concatenate(parts) if parts else np.zeros(0, bool)

    def window(self) -> np.ndarray:
        """Mean of the iterates over a window, in units."""
        trainer = self.trainer
        trainer.reset_averages()
        done = 0
        while done < self.length:
            if self.deadline is not None and time.perf_counter() > self.deadline:
                raise _TimeUp
            part = min(self.length - done, WINDOW)
            history = trainer.run(part)
            done += part
            for callback in self.callbacks:
                callback(trainer.step, float(history[-1]))
            self.bar.show(trainer.step, float(history.mean()))
        return trainer.flat_averages()

    def approach(self, measured: bool, rate: float) -> None:
        """Halve the rate at each stationarity; the window length then suits the last rate."""
        for halving in range(HALVINGS + 1):
            self.trainer.rate[...] = rate / 2**halving
            self._until_stationary(rate / 2**halving)
            if not measured and halving < 2:  # at the first rate roughly, once more when they are nearly right
                self.unit = units(self.trainer, self.unit)
        self.length = max(self.length, 500)

    def _until_stationary(self, rate: float) -> None:
        """Windows without drift. A run that falls far below its best window goes back to where that ended."""
        means: list[np.ndarray] = []
        while self.trainer.step < self.last - LARGEST_STEPS // 2:
            means.append(self._coordinates(self.window()))
            if self._fell():
                self.trainer.set_parameters(self.kept)
                return
            if len(means) < WINDOWS_PER_TEST:
                continue
            if average_drift(np.array(means[-WINDOWS_PER_TEST:])).stationary(tolerance=0.25 * rate):
                return
            if len(means) % (4 * WINDOWS_PER_TEST) == 0:
                self.length = min(2 * self.length, 5000)
                means = []

    def _coordinates(self, average: np.ndarray) -> np.ndarray:
        """What may not drift, in units."""
        judged = (average / self.unit)[self.judged]
        return judged if self.judged.all() else np.append(judged, self.trainer.history[-self.length :].mean())

    def _fell(self) -> bool:
        """Is the bound of the last window far below the best? The best one's parameters are kept."""
        recent = self.trainer.history[-self.length :]
        level = float(recent.mean())
        if level < self.highest - max(5.0, 10.0 * float(recent.std())) or level < self.highest - 1e3:
            return True
        if level > self.highest:
            self.highest, self.kept = level, self.trainer.raw_parameters()
        return False

    def average(self) -> None:
        """Windows at the last rate until their mean is exact enough and does not drift."""
        windows, result = self.result.windows, self.result
        while True:
            windows.append(self.window())
            count = len(windows)
            if count >= 8 and count % 2 == 0:
                means = (np.array(windows) / self.unit)[:, self.judged]
                result.error = float(np.max(means.std(axis=0, ddof=1) / np.sqrt(count), initial=0.0))
                drifting = _drifting(means, self.tolerance)
                if result.error < self.tolerance and not drifting:
                    result.converged = True
                    return
                if drifting and count >= 16:
                    del windows[: count // 2]  # what came before the drift ended does not belong to the average
            if self.trainer.step >= self.last:
                result.why = f"after {self.trainer.step:,} steps the Monte Carlo error of a mean is still {result.error:.3f} posterior sd"
                return


def units(trainer: Trainer, before: np.ndarray) -> np.ndarray:
    """1 / sqrt(-d²L/dθ²) for every coordinate, from differences of the gradient at one set of draws; written into the optimiser's slots.

    Coordinates of batched parameters, and those along which the bound is not concave, keep what they had. Beyond `PROBES` coordinates
    the diagonal is estimated with random signs (Hutchinson).
    """
    result = before.copy()
    size = trainer.theta.size
    if size == 0:
        return result
    theta = trainer.theta.copy()
    probes = np.eye(size) if size <= PROBES else np.where(np.random.default_rng(0).random((PROBES, size)) < 0.5, -1.0, 1.0)
    diagonal = np.zeros(size)
    try:
        for probe in probes:
            step = 1e-3 * result[:size] * probe
            change = trainer.value_and_gradient(theta + step)[1] - trainer.value_and_gradient(theta - step)[1]
            diagonal -= probe * change / (2e-3 * result[:size]) / (1 if size <= PROBES else PROBES)
    except NonFiniteError:
        return result
    finally:
        trainer.theta[:] = theta
    good = diagonal > 0
    result[:size][good] = np.clip(1.0 / np.sqrt(diagonal[good]), 1e-3 * result[:size][good], 1e3 * result[:size][good])
    trainer.slots[0]["unit"][:] = result[:size]
    return result


def _restore_average(trainer: Trainer, windows: Sequence[np.ndarray]) -> None:
    """The average over all windows of the last rate, in place of that of the last window."""
    if windows:
        trainer.set_averages(np.mean(windows, axis=0))


def _drifting(means: np.ndarray, tolerance: float) -> bool:
    """Does the second half differ from the first by more than noise and more than the tolerance?"""
    half = len(means) // 2
    first, second = means[:half], means[-half:]
    difference = np.abs(second.mean(axis=0) - first.mean(axis=0))
    error = np.sqrt((first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / half)
    return bool(np.any((difference > 4.0 * error) & (difference > tolerance)))
