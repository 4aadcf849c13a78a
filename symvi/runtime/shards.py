"""A pass over a plate, described so that its shards can run side by side: `SHARD_...` of codegen_templates/shards.py.

How many shards there are follows from the extents: enough that a shard is worth handing out, few enough that the sums of all of them
stay small. A pass that is not worth two shards is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

__all__ = ["ShardedPass", "shard_count", "SHARD_POOL"]

(SHARD_RUN, SHARD_SELF, SHARD_FUNCTION, SHARD_MAIN, SHARD_WORDS, SHARD_COUNT, SHARD_MULTIPLE, SHARD_TABLES, SHARD_STRIDE, SHARD_SLOTS,
 SHARD_SLOT_COUNT, SHARD_VALUES, SHARD_SUMS, SHARD_SUM_COUNT, SHARD_POOL, SHARD_ROWS, SHARD_EACH, SHARD_FIELDS) = range(18)  # fmt: skip
SUM_TARGET, SUM_PARTS, SUM_STRIDE, SUM_SIZE, SUM_KIND, SUM_OPERATION, SUM_FIELDS = range(7)
KINDS = {"float64": 0, "float32": 1, "int64": 2, "bool": 3}
OPERATIONS = ("+", "*", "max", "min", "or", "and")

MOST = 16  # shards
LEAST_WORK = 1_000_000  # operations of a shard: some 100 microseconds; what is less fits the cache and runs as it is
LEAST_ROWS = 8
MOST_BYTES = 8_000_000  # of the sums of all shards
PADDING = 128  # bytes between what two threads write


def shard_count(work: int, rows: int, bytes_of_totals: int) -> int:
    """The number of shards of a pass, from extents alone."""
    by_memory = MOST_BYTES // max(bytes_of_totals, 1)
    return max(1, min(MOST, work // LEAST_WORK, rows // LEAST_ROWS, by_memory))


class ShardedPass:
    """The memory of the shards of one pass and its description.

    `totals` are the arrays of its sums with their operations, `scratch` those that every shard needs for itself, by slot of the table;
    `draws` are the slots of descriptions of draws into scratch. `address(name)` is the address of an operation of the helpers.
    """

    def __init__(
        self,
        function: int,
        table: np.ndarray,
        shards: int,
        block: int,
        rows: int,
        totals: Sequence[tuple[int, np.ndarray, str]],
        scratch: Mapping[int, np.ndarray],
        draws: Mapping[int, tuple[np.ndarray, int, np.ndarray]],
        address: Callable[[str], int],
    ):
        self.kept: list[np.ndarray] = []
        slots: list[int] = []
        values: list[list[int]] = []
        sums = np.zeros((len(totals), SUM_FIELDS), dtype=np.int64)
        for row, (slot, array, operation) in zip(sums, totals, strict=True):
            parts, stride = self._parts(array, shards)
            row[:] = (array.ctypes.data, parts, stride, array.size, KINDS[array.dtype.name], OPERATIONS.index(operation))
            slots.append(slot)
            values.append([parts + shard * stride for shard in range(shards)])
        own: dict[int, list[int]] = {}
        for slot, array in scratch.items():
            parts, stride = self._parts(array, shards)
            own[array.ctypes.data] = [parts + shard * stride for shard in range(shards)]
            slots.append(slot)
            values.append(own[array.ctypes.data])
        for slot, (description, field, array) in draws.items():
            copies = np.tile(description, (shards, 1))
            copies[:, field] = own[array.ctypes.data]
            slots.append(slot)
            values.append([copies[shard].ctypes.data for shard in range(shards)])
            self.kept.append(copies)
        self.slots = np.array(slots, dtype=np.int64)
        self.values = np.ascontiguousarray(np.array(values, dtype=np.int64).reshape(len(slots), shards).T)
        self.sums = sums
        words = -(-table.size * 8 // PADDING) * PADDING // 8
        self.tables = np.zeros((shards, words), dtype=np.int64)
        self.row = np.zeros(SHARD_FIELDS, dtype=np.int64)
        multiple = block if rows >= block * shards else LEAST_ROWS
        self.row[:SHARD_POOL] = (
            address("run_shard"), self.row.ctypes.data, function, table.ctypes.data, table.size, shards, multiple, self.tables.ctypes.data,
            8 * words, self.slots.ctypes.data, len(slots), self.values.ctypes.data, sums.ctypes.data, len(sums),
        )  # fmt: skip

    def _parts(self, array: np.ndarray, shards: int) -> tuple[int, int]:
        """Memory of an array's size for every shard: the address of the first part, bytes from one to the next."""
        stride = -(-max(array.nbytes, 1) // PADDING) * PADDING
        memory = np.zeros(stride * shards + PADDING, dtype=np.uint8)
        self.kept.append(memory)
        return memory.ctypes.data + (-memory.ctypes.data) % PADDING, stride

    @property
    def bytes(self) -> int:
        """Memory that the shards hold."""
        return sum(array.nbytes for array in self.kept) + self.tables.nbytes
