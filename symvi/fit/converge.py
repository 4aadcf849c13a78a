"""Stochastic steps until the Monte Carlo error of every mean is small: no rate and no step count are asked for.

At each rate the iterates run until their windows show no drift; then the rate is halved. At the last rate the iterates are
averaged (Polyak & Juditsky 1992) until the error of the average, from the spread of window means, is below the tolerance
for every coordinate. Coordinates are in units of posterior sd where the guide stands on a Laplace approximation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from symvi.array.leaves import data
from symvi.fit.diagnostics import average_drift
from symvi.fit.progress import open_bar
from symvi.fit.trainer import Trainer
from symvi.optim import Adam

__all__ = ["Convergence", "converge", "adaptive_optimizer"]

FIRST_RATE = 0.1  # for independent coordinates; a joint block of P values moves by sqrt(P) coordinates at once
HALVINGS = 3
WINDOW = 200
WINDOWS_PER_TEST = 5
TOLERANCE = 0.02  # posterior sd
LARGEST_STEPS = 400_000


def adaptive_optimizer() -> Adam:
    """Adam whose rate is changed from outside without compiling again."""
    return Adam(rate=data("rate"))


@dataclass
class Convergence:
    """How a run ended: `error` is the largest Monte Carlo error of an averaged coordinate, in its units."""

    converged: bool = False
    why: str = ""
    error: float = np.inf
    steps: int = 0
    interrupted: bool = False
    windows: list[np.ndarray] = field(default_factory=list)


def converge(
    trainer: Trainer,
    tolerance: float = TOLERANCE,
    max_seconds: float | None = None,
    largest: int = LARGEST_STEPS,
    callbacks: Sequence[Callable] = (),
    progress: bool = False,
    width: int = 1,
) -> Convergence:
    """Train to convergence; averages are in the trainer afterwards, even if the run ends early.

    `width` is the largest number of coordinates that act on one value (the size of a joint block): the first rate is
    0.5 / width, at most 0.1, so that the noise of the iterates stays below the scale of the guide.
    """
    start = time.perf_counter()
    result = Convergence()
    bar = open_bar(None) if progress and sys.stderr.isatty() else None
    trainer.averaging[:] = (0.0, 0.0)

    def window(length: int) -> np.ndarray:
        """Mean of the iterates over `length` steps."""
        reset_averages(trainer)
        done = 0
        while done < length:
            if max_seconds is not None and time.perf_counter() - start > max_seconds:
                raise _TimeUp
            part = min(length - done, WINDOW)
            history = trainer.run(part)
            done += part
            for callback in callbacks:
                callback(trainer.step, float(history[-1]))
            if bar is not None:
                bar.update(bar.task_ids[0], completed=trainer.step, bound=f"{history.mean():.5g}")
        return np.concatenate([trainer.averages[leaf].ravel() for leaf in (*trainer.globals, *trainer.locals)])

    try:
        length = _approach(trainer, window, largest, min(FIRST_RATE, max(0.5 / width, 2e-3)))
        _average(trainer, window, length, tolerance, largest, result)
    except _TimeUp:
        result.why = f"the time was up after {trainer.step:,} steps"
    except KeyboardInterrupt:
        result.interrupted, result.why = True, f"interrupted after {trainer.step:,} steps"
    finally:
        if bar is not None:
            bar.stop()
        _restore_average(trainer, result.windows)
        result.steps = trainer.step
    return result


class _TimeUp(Exception):
    """max_seconds has passed."""


def reset_averages(trainer: Trainer) -> None:
    """Start the running averages anew."""
    for segment in trainer.segments[:1]:
        segment.mean[:] = 0.0
        segment.variance[:] = 0.0
        segment.averaged[:] = 0.0
    for stored in getattr(trainer, "local_state", {}).values():
        for name in ("mean", "variance", "averaged"):
            stored[name][...] = 0.0


def _restore_average(trainer: Trainer, windows: Sequence[np.ndarray]) -> None:
    """The average over all windows of the last rate, in place of that of the last window."""
    if not windows:
        return
    mean = np.mean(windows, axis=0)
    start = 0
    for leaf in (*trainer.globals, *trainer.locals):
        size = trainer.averages[leaf].size
        trainer.averages[leaf][...] = mean[start : start + size].reshape(trainer.averages[leaf].shape)
        start += size


def _approach(trainer: Trainer, window: Callable, largest: int, rate: float) -> int:
    """Halve the rate at each stationarity; returns the window length that suits the last rate.

    A run that falls far below its best window goes back to where that ended, at half the rate.
    """
    length, halvings = WINDOW, 0
    best, kept = -np.inf, trainer.raw_parameters()
    while halvings <= HALVINGS and trainer.step < largest // 2:
        trainer.rate[...] = rate
        means: list[np.ndarray] = []
        while trainer.step < largest // 2:
            means.append(window(length))
            recent = trainer.history[-length:]
            level = float(recent.mean())
            if level < best - max(5.0, 10.0 * float(recent.std())) or level < best - 1e3:
                trainer.set_parameters(kept)
                break
            if level > best:
                best, kept = level, trainer.raw_parameters()
            if len(means) >= WINDOWS_PER_TEST:
                if average_drift(np.array(means[-WINDOWS_PER_TEST:])).stationary(tolerance=0.25 * rate):
                    break
                if len(means) % (4 * WINDOWS_PER_TEST) == 0:
                    length = min(2 * length, 5000)
                    means = []
        rate, halvings = rate / 2, halvings + 1
    return max(length, 500)


def _average(trainer: Trainer, window: Callable, length: int, tolerance: float, largest: int, result: Convergence) -> None:
    while True:
        result.windows.append(window(length))
        count = len(result.windows)
        if count >= 8 and count % 2 == 0:
            means = np.array(result.windows)
            result.error = float(np.max(means.std(axis=0, ddof=1) / np.sqrt(count), initial=0.0))
            drifting = _drifting(means, tolerance)
            if result.error < tolerance and not drifting:
                result.converged = True
                return
            if drifting and count >= 16:
                del result.windows[: count // 2]  # what came before the drift ended does not belong to the average
        if trainer.step >= largest:
            result.why = f"after {trainer.step:,} steps the Monte Carlo error of a mean is still {result.error:.3f} posterior sd"
            return


def _drifting(means: np.ndarray, tolerance: float) -> bool:
    """Does the second half differ from the first by more than noise and more than the tolerance?"""
    half = len(means) // 2
    first, second = means[:half], means[-half:]
    difference = np.abs(second.mean(axis=0) - first.mean(axis=0))
    error = np.sqrt((first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / half)
    return bool(np.any((difference > 4.0 * error) & (difference > tolerance)))
