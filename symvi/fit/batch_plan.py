"""What a minibatch copies, as the arrays that the compiled loop reads (`plates`, `copies`, `extents` of codegen_templates/minibatch.py).

    plan = BatchPlan()
    plan.sample("J", size=85, batch=10)                      # 10 of the 85 groups at every step
    plan.belonging("N", parent="J", index=g)                 # with all rows n of these groups, g[n] in 0..84
    X_b = plan.carry("X", X, {0: "N"})                       # the kernel reads X_b; so for all that carries a batched dim
    m_b = plan.carry("m", m, {0: "J"}, scatter=True)         # and this one is updated and copied back
    table[3] = plan.rows("N").ctypes.data                    # global row numbers, for draws; plan.positions("N") replaces g
    plan.extent(table, 0, "N")                               # table[0] becomes the number of rows of N
    plan.extent(segments[1], 11, "J", factor=4)              # the number of parameters of a local segment, 4 for each of J
    plan.scale("N")                                          # J / |B_J| = 8.5, for the terms summed over N and over J alike
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from symvi.errors import DataError, PlateError
from symvi.fit import loop_layout as layout

__all__ = ["BatchPlan", "rows_by_group"]

SALT = 0x9E3779B97F4A7C15
CACHE_LINE = 64  # bytes: what a row of a single number costs
LEAST_BYTES, MOST_PARTS = 32_768, 16  # of a part of a buffer that several threads gather


def rows_by_group(name: str, index: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows sorted by group: `order[offsets[j]:offsets[j + 1]]` are the rows of group j, ascending. Index values are checked."""
    values = np.asarray(index)
    if values.ndim != 1:
        raise DataError(f"the index array {name} has {values.ndim} axes; rows that belong to groups need one")
    if values.dtype.kind not in "iu":
        raise DataError(f"the index array {name} holds integers, not {values.dtype}")
    outside = np.flatnonzero((values < 0) | (values >= groups))
    if outside.size:
        first = int(outside[0])
        raise DataError(f"the index array {name} holds {values[first]} at {first}; its values lie in 0..{groups - 1}")
    values = values.astype(np.int64)
    offsets = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(values, minlength=groups), out=offsets[1:])
    return offsets, np.argsort(values, kind="stable").astype(np.int64)


@dataclass(frozen=True)
class _Plate:
    number: int
    size: int
    capacity: int  # most rows of a step
    batch: int  # elements of the sampled dim at every step
    root: np.ndarray  # the element of the sampled dim that each row belongs to; for a sampled dim the row itself
    root_size: int
    rows: np.ndarray
    positions: np.ndarray | None


class BatchPlan:
    """Collects batched dims, arrays that carry them, and the places that hold their sizes. Keeps everything alive that addresses point to.

    Under the number of rows of a step a buffer is compact: it holds (outer, rows, rest) in C order, also where its capacity is larger.
    """

    def __init__(self) -> None:
        self._plates: dict[str, _Plate] = {}
        self._fields: list[list[int]] = []
        self._copies: list[list[int]] = []
        self._extents: list[list[int]] = []
        self._alive: list[np.ndarray] = []
        self.pools: list[np.ndarray] = []  # where the pool of threads that gathers large buffers in parts is told

    # ------------------------------------------------------------------------------------------------------------ dims
    def sample(self, dim: str, size: int, batch: int) -> None:
        """Exactly min(batch, size) distinct elements of `dim` at every step."""
        if batch < 1:
            raise DataError(f"the batch size of {dim} is at least 1, not {batch}")
        size, chosen = int(size), min(int(batch), int(size))
        salt = (len(self._plates) * SALT + 2**63) % 2**64 - 2**63
        fields = {layout.PLATE_BATCH: chosen, layout.PLATE_PARENT: -1, layout.PLATE_SALT: salt}
        self._add(dim, size, chosen, chosen, np.arange(size), size, None, fields)

    def belonging(self, dim: str, parent: str, index: np.ndarray, name: str | None = None) -> None:
        """All elements of `dim` whose `index` is among the chosen elements of `parent`, which was declared before.

        `name` is what errors call the index array.
        """
        above = self._plate(parent)
        offsets, order = rows_by_group(name or f"of {dim}", index, above.size)
        root = above.root[np.asarray(index, np.int64)]
        counts = np.bincount(root, minlength=above.root_size)
        capacity = int(np.sort(counts)[::-1][: above.batch].sum())
        positions = np.zeros(capacity, np.int64)
        fields = {
            layout.PLATE_PARENT: above.number, layout.PLATE_OFFSETS: self._address(offsets),
            layout.PLATE_ORDER: self._address(order), layout.PLATE_POSITIONS: self._address(positions),
        }  # fmt: skip
        self._add(dim, order.size, capacity, above.batch, root, above.root_size, positions, fields)

    def _add(self, dim, size, capacity, batch, root, root_size, positions, fields) -> None:
        if dim in self._plates:
            raise PlateError(f"the dim {dim} is batched twice")
        rows, kept = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
        fields = {layout.PLATE_SIZE: size, layout.PLATE_ROWS: self._address(rows), layout.PLATE_KEPT_ROWS: self._address(kept)} | fields
        self._fields.append([fields.get(field, 0) for field in range(layout.PLATE_FIELDS)])
        self._plates[dim] = _Plate(len(self._plates), size, capacity, batch, root, root_size, rows, positions)

    def _plate(self, dim: str) -> _Plate:
        if dim not in self._plates:
            raise PlateError(f"the dim {dim} is not batched")
        return self._plates[dim]

    def _address(self, array: np.ndarray) -> int:
        self._alive.append(array)
        return array.ctypes.data

    def rows(self, dim: str) -> np.ndarray:
        """int64[capacity]: the global rows of the present step, what draws take for row numbers."""
        return self._plate(dim).rows

    def positions(self, dim: str) -> np.ndarray:
        """int64[capacity]: the place in the batch of the parent of every row; the batch buffer of the index array."""
        positions = self._plate(dim).positions
        if positions is None:
            raise PlateError(f"the rows of {dim} are sampled, they belong to no batched dim")
        return positions

    def capacity(self, dim: str) -> int:
        """The most rows a step can have."""
        return self._plate(dim).capacity

    def scale(self, dim: str) -> float:
        """The factor of the terms summed over `dim`: size over batch size of the dim that is sampled."""
        plate = self._plate(dim)
        return plate.root_size / plate.batch if plate.batch else 1.0

    # ---------------------------------------------------------------------------------------------------------- arrays
    def carry(self, name: str, array: np.ndarray, axes: Mapping[int, str], scatter: bool = False) -> np.ndarray:
        """A batch buffer for an array, filled at every step; `axes` maps positions of axes to batched dims.

        At most one axis whose number of rows varies may stand before another batched axis. With `scatter` the buffer is copied back after
        the update, and a failed step can be undone. The shape is that of a step with most rows.
        """
        if not array.flags.c_contiguous:
            raise DataError(f"{name} is not contiguous in C order")
        if scatter and not array.flags.writeable:
            raise DataError(f"{name} is read-only and cannot be updated")
        self._alive.append(array)
        source, varying = array, []  # varying: batched axes before this one whose number of rows changes from step to step
        for axis, dim in sorted(axes.items()):
            plate = self._plate(dim)
            if source.shape[axis] != plate.size:
                raise DataError(f"axis {axis} of {name} has {source.shape[axis]} rows, the dim {dim} {plate.size}")
            buffer = np.zeros((*source.shape[:axis], plate.capacity, *source.shape[axis + 1 :]), array.dtype)
            row = int(np.prod(source.shape[axis + 1 :], dtype=np.int64)) * array.itemsize
            outer = int(np.prod(source.shape[:axis], dtype=np.int64))
            copy = [0] * layout.COPY_FIELDS
            copy[layout.COPY_ARRAY], copy[layout.COPY_BUFFER] = self._address(source), self._address(buffer)
            copy[layout.COPY_OUTER], copy[layout.COPY_OUTER_PLATE] = outer, -1
            copy[layout.COPY_STRIDE], copy[layout.COPY_ROW] = plate.size * row, row
            copy[layout.COPY_PLATE], copy[layout.COPY_SCATTER] = plate.number, int(scatter)
            if varying:
                if len(varying) > 1:
                    raise PlateError(f"{name} has three batched axes, two of them with rows that belong to groups")
                copy[layout.COPY_OUTER] = outer // max(varying[0].capacity, 1)
                copy[layout.COPY_OUTER_PLATE] = varying[0].number
            if scatter and source is array:
                copy[layout.COPY_KEPT] = self._address(np.zeros_like(buffer))
            self._copies.append(copy)
            source = buffer
            if plate.positions is not None:
                varying.append(plate)
        return source

    def extent(self, table: np.ndarray, position: int, dim: str, factor: int = 1) -> None:
        """table[position] becomes `factor` times the number of rows of `dim` at every step; `table` is int64, contiguous."""
        if table.dtype != np.int64 or table.ndim != 1 or not table.flags.c_contiguous or not 0 <= position < table.size:
            raise DataError(f"the place {position} of the number of rows of {dim} is not in a table of int64")
        plate = self._plate(dim)
        self._alive.append(table)
        table[position] = factor * plate.capacity
        self._extents.append([plate.number, table.ctypes.data + 8 * position, factor])

    # ---------------------------------------------------------------------------------------------------------- result
    def arrays(self, address: Callable[[str], int] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """plates, copies, extents: the last arguments of the compiled loop. Use the same arrays throughout: they hold the present step.

        With `address`, of an operation of the helpers, large buffers are gathered in parts, by the threads of a pool if `pools` name one.
        """
        matrices = ((self._fields, layout.PLATE_FIELDS), (self._copies, layout.COPY_FIELDS), (self._extents, layout.EXTENT_FIELDS))
        result = tuple(np.array(rows, np.int64).reshape(len(rows), width) for rows, width in matrices)
        self._alive.extend(result)
        if address is not None:
            self._gather_in_parts(result[0], result[1], address)
        return result

    def _gather_in_parts(self, plates: np.ndarray, copies: np.ndarray, address: Callable[[str], int]) -> None:
        capacity = [plate.capacity for plate in self._plates.values()]
        for copy in copies:
            outer = copy[layout.COPY_OUTER] * (capacity[copy[layout.COPY_OUTER_PLATE]] if copy[layout.COPY_OUTER_PLATE] >= 0 else 1)
            moved = outer * capacity[copy[layout.COPY_PLATE]] * max(copy[layout.COPY_ROW], CACHE_LINE)
            parts = min(MOST_PARTS, moved // LEAST_BYTES)
            if parts > 1:
                gather = np.zeros(layout.GATHER_FIELDS, np.int64)
                gather[: layout.GATHER_POOL] = (address("gather_part"), copy.ctypes.data, plates.ctypes.data, len(plates), parts)
                copy[layout.COPY_GATHER] = gather.ctypes.data
                self._alive.append(gather)
                self.pools.append(gather[layout.GATHER_POOL : layout.GATHER_POOL + 1])
