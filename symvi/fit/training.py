"""Training a guide: to convergence by default, or with the optimiser and the number of steps that the caller chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symvi.fit.converge import Convergence, converge
from symvi.fit.deterministic import Scipy, maximize_deterministic
from symvi.fit.diagnostics import drift
from symvi.fit.progress import run_chunks
from symvi.fit.trainer import Trainer

__all__ = ["train_default", "train_steps"]

DETERMINISTIC_STEPS = 2000
SHORTEST = 40  # steps that a verdict needs


def train_default(trainer: Trainer, max_seconds: float | None, callbacks: Sequence[Callable], progress: bool, **scale: Any) -> Convergence:
    """No rate and no number of steps: SciPy's L-BFGS where the bound is deterministic, else stochastic steps until means are exact enough.

    `scale` says in which units the coordinates are: `measured` and `width` of `converge`.
    """
    if trainer.objective.is_stochastic or trainer.objective.batch_size:
        return converge(trainer, max_seconds=max_seconds, callbacks=callbacks, progress=progress, **scale)
    outcome = maximize_deterministic(trainer, Scipy("lbfgs"), DETERMINISTIC_STEPS, callbacks, max_seconds)
    return Convergence(outcome.converged, outcome.why, 0.0, trainer.step, outcome.interrupted)


def train_steps(trainer: Trainer, steps: int, max_seconds: float | None, callbacks: Sequence[Callable], progress: bool) -> Convergence:
    """A given number of steps; the iterates of the second half are averaged. Converged if the second half of the bound does not drift."""
    trainer.reset_averages()
    trainer.averaging[:] = (trainer.step + steps // 2, 0.0)
    ended = run_chunks(trainer, steps, callbacks, progress, max_seconds)
    history = trainer.history[-steps:]
    history = history[len(history) // 2 :]
    if ended or len(history) < SHORTEST:
        why = {"time": f"the time was up after {trainer.step:,} steps", "interrupted": f"interrupted after {trainer.step:,} steps"}
        return Convergence(
            False, why.get(ended, f"{trainer.step:,} steps are too few to judge"), steps=trainer.step, interrupted=ended == "interrupted"
        )
    trend = drift(history)
    steady = trend.stationary(tolerance=1e-8 * max(1.0, abs(float(history.mean()))))
    why = "" if steady else f"the bound still moved by {trend.change:.3g} over the last {len(history):,} steps"
    return Convergence(steady, why, steps=trainer.step)
