"""Passes beside a kernel of the training loop: casts of its parameters and results where it computes in float32, sums of its gradient.

All global parameters are one flat vector, and so are their gradients: one pass each, in shards where they are long. The sum of a
gradient tells the loop in one number whether all of it is finite.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from symvi.fit import loop_layout as layout
from symvi.runtime.binding import Binding
from symvi.runtime.shards import ShardedPass, shard_count

__all__ = ["FloatCopies", "FlatPasses"]

MOVE_WORK = 10  # operations that a number moved through memory is worth


class FloatCopies:
    """float32 copies of float64 arrays; views of one of the `flat` vectors get views of one copy. `pairs`: (float64, float32)."""

    def __init__(self, flat: Iterable[np.ndarray]):
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._copies = {id(vector): self._copy(vector) for vector in flat}

    def of(self, array: np.ndarray) -> np.ndarray:
        """The copy of an array, in its shape."""
        whole = self._copies.get(id(array.base))
        if whole is None:
            return self._copy(array)
        start = (array.ctypes.data - array.base.ctypes.data) // array.itemsize
        return whole[start : start + array.size].reshape(array.shape)

    def _copy(self, array: np.ndarray) -> np.ndarray:
        self.pairs.append((array, array.astype(np.float32)))
        return self.pairs[-1][1]


class FlatPasses:
    """Collects passes as steps of the program of a bound kernel, those over the flat vectors in shards."""

    def __init__(self, binding: Binding, size: int):
        self.binding, self.size = binding, size
        self.shards = shard_count(MOVE_WORK * size, size, 0)
        self.extent = binding.table.size - 1  # a spare slot: the steps of the program use at most one each
        binding.table[self.extent] = size
        self.alive: list[object] = []

    def step(self, operator: str, source: np.ndarray, target: np.ndarray | None = None, total: np.ndarray | None = None) -> list[int]:
        """The step that runs an operation of codegen_templates/casting.py."""
        total = np.zeros(1) if total is None else total
        description = np.zeros(layout.CAST_FIELDS, dtype=np.int64)
        description[layout.CAST_SIZE], description[layout.CAST_SOURCE] = source.size, source.ctypes.data
        description[layout.CAST_TARGET] = 0 if target is None else target.ctypes.data
        description[layout.CAST_TOTAL] = total.ctypes.data
        self.alive += [description, source, target, total]
        address = self.binding.helpers.operator_address
        if self.shards == 1 or source.size != self.size:
            return [address(operator), description.ctypes.data, -1]
        sums = [(layout.CAST_TOTAL, total, "+")]
        made = ShardedPass(address(operator), description, self.shards, self.binding.helpers.BLOCK, self.size, sums, {}, {}, address)
        self.binding.sharded.append(made)
        return [address("run_shards"), made.row.ctypes.data, self.extent]
