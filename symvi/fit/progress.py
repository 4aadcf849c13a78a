"""Chunks of compiled steps: a progress bar on a terminal, callbacks, a time limit, Ctrl-C that keeps the fit so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from symvi.fit.trainer import Trainer

__all__ = ["run_chunks", "open_bar", "CHUNK_SECONDS"]

CHUNK_SECONDS = 0.1


def run_chunks(trainer: Trainer, steps: int, callbacks: Sequence[Callable], progress: bool, max_seconds: float | None, sign: int = 1) -> bool:
    """Take `steps` steps; True if the run was interrupted from the keyboard."""
    start = time.perf_counter()
    chunk, left = min(8, steps), steps
    bar = open_bar(steps) if progress and sys.stderr.isatty() else None
    try:
        while left > 0:
            begin = time.perf_counter()
            history = trainer.run(min(chunk, left))
            left -= len(history)
            seconds = time.perf_counter() - begin
            for callback in callbacks:
                callback(trainer.step, sign * float(history[-1]))
            if bar is not None:
                bar.update(bar.task_ids[0], completed=steps - left, bound=f"{sign * history.mean():.4g}")
            if max_seconds is not None and time.perf_counter() - start > max_seconds:
                break
            chunk = max(1, min(int(chunk * min(4.0, CHUNK_SECONDS / max(seconds, 1e-9))), 1_000_000))
    except KeyboardInterrupt:
        return True
    finally:
        if bar is not None:
            bar.stop()
    return False


def open_bar(steps: int | None):
    """A running progress bar on stderr; `steps` None where the end is not known."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = [TextColumn("fitting"), BarColumn(), TextColumn("step {task.completed:,}" if steps is None else "{task.completed:,}/{task.total:,}"), TextColumn("bound {task.fields[bound]}"), TimeElapsedColumn() if steps is None else TimeRemainingColumn()]
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task("fitting", total=steps, bound="…")
    bar.start()
    return bar
