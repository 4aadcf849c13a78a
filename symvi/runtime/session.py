"""What the command line and a running file tell each other.

`symvi inspect` sets `inspect_only`: fits compile, record their kernels here and take no steps. Kernels are recorded at any time, so that
a file that ends in an error can still be inspected up to there. Read the flag as `session.inspect_only`, never by importing the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Inspectable", "inspect_only", "inspecting", "kernels", "record", "recording"]


class Inspectable(Protocol):
    """A compiled kernel, as far as the command line knows it."""

    def inspect(self, what: str, timing: bool = False) -> str: ...


inspect_only: bool = False
"""True while a file is run to look at its kernels: compile, but take no steps."""

recording: bool = False
"""True while somebody wants to know about kernels; otherwise none is kept alive by this list."""

kernels: list[tuple[str, Inspectable]] = []
"""(name, kernel) in the order of compilation, while `recording`."""


def record(name: str, kernel: Inspectable) -> None:
    """Called by whoever compiles a kernel. `name` is the one in its file name."""
    if recording:
        kernels.append((name, kernel))


@contextmanager
def inspecting() -> Iterator[list[tuple[str, Inspectable]]]:
    """Within it, `inspect_only` holds and kernels are recorded into the list that it gives."""
    global inspect_only, recording
    before, kept = (inspect_only, recording), kernels[:]
    kernels.clear()
    inspect_only = recording = True
    try:
        yield kernels
    finally:
        inspect_only, recording = before
        kernels[:] = kept
