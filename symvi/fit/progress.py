"""Chunks of compiled steps: a progress bar on a terminal, callbacks, a time limit, Ctrl-C that keeps the fit so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from symvi.fit.trainer import Trainer

__all__ = ["run_chunks", "Bar"]

CHUNK_SECONDS = 0.1
LARGEST_CHUNK = 1_000_000


class Bar:
    """A progress bar on stderr; nothing where it is not a terminal. `steps` is None where the end is not known."""

    def __init__(self, wanted: bool, steps: int | None = None):
        self.bar = None
        if not wanted or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        known = steps is not None
        count = TextColumn("{task.completed:,}/{task.total:,}" if known else "step {task.completed:,}")
        clock = TimeRemainingColumn() if known else TimeElapsedColumn()
        columns = [TextColumn("fitting"), BarColumn(), count, TextColumn("bound {task.fields[bound]}"), clock]
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task("fitting", total=steps, bound="…")

    def __enter__(self) -> Bar:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def show(self, done: int, bound: float) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=done, bound=f"{bound:.5g}")


def run_chunks(
    trainer: Trainer, steps: int, callbacks: Sequence[Callable], progress: bool, max_seconds: float | None, sign: int = 1
) -> str:
    """Take `steps` steps. Returns "interrupted" (from the keyboard), "time", or "" after all steps."""
    start = time.perf_counter()
    chunk, left = min(8, steps), steps
    with Bar(progress, steps) as bar:
        try:
            while left > 0:
                if max_seconds is not None and time.perf_counter() - start >= max_seconds:
                    return "time"
                begin = time.perf_counter()
                history = trainer.run(min(chunk, left))
                left -= len(history)
                seconds = time.perf_counter() - begin
                for callback in callbacks:
                    callback(trainer.step, sign * float(history[-1]))
                bar.show(steps - left, sign * float(history.mean()))
                chunk = max(1, min(int(chunk * min(4.0, CHUNK_SECONDS / max(seconds, 1e-9))), LARGEST_CHUNK))
        except KeyboardInterrupt:
            return "interrupted"
    return ""
