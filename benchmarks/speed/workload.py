"""What a workload is: one model with its data in several systems, its bar, and its operations counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

__all__ = ["Counts", "Data", "System", "Workload"]

Data = dict[str, np.ndarray]


class System(Protocol):
    """One implementation of a workload on its data."""

    def agree(self, parameters: Data, draws: Data) -> tuple[float, Data]:
        """The value and the gradient by every parameter, with these draws."""

    def run(self, steps: int) -> None:
        """Take steps (or evaluate value and gradient as often); returns when the last result is there."""


@dataclass(frozen=True)
class Counts:
    """Least work of a step, from the model's mathematics: bytes if every array travels once, flops of products, calls of exp, log, ..."""

    bytes: float
    flops: float
    calls: float


@dataclass(frozen=True)
class Workload:
    """A row of the table.

    `ours` and `peers` build a `System` from the data; a peer's name is the system's, with what is special about it after a comma
    ("jax, expanded squares"). `bars` are the ratios to reach by peer; `tolerance` is that of the agreement.
    """

    name: str
    title: str
    data: Callable[[], Data]
    point: Callable[[Data], tuple[Data, Data]]
    ours: Callable[[Data], System]
    peers: Mapping[str, Callable[[Data], System]]
    counts: Callable[[Data], Counts]
    bars: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = 1e-8
    dtype: str = "float64"
