"""Binding: a compiled module meets its data. Allocates scratch, fills the argument table, lists the program's steps.

Everything here happens once per fit or call; a step of a bound kernel is one call of the driver.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from symvi.errors import CompileError
from symvi.runtime.blas_threads import one_thread
from symvi.runtime.helpers import helper_module
from symvi.runtime.sealed_file import UNWRITABLE, discard_compiled
from symvi.runtime.shards import SHARD_POOL, ShardedPass, shard_count
from symvi.runtime.threads import helping

__all__ = ["Compiled", "Binding", "extent", "guards_hold", "threads_for"]

KINDS = {"i": np.int64, "b": np.bool_, "pivot": np.int32}
ITEMSIZE = {"float64": 8, "float32": 4}
DRAW_WORK = 12  # operations that a random number is worth
DRAW_OUT = 5  # where the description of a draw has the address of its array


def extent(entry: list, sizes: Mapping[str, int]) -> int:
    """The size of a dim from the manifest's polynomial."""
    total = 0
    for coefficient, names in entry:
        product = coefficient
        for name in names:
            product *= sizes[name]
        total += product
    return total


def guards_hold(manifest: Mapping[str, Any], sizes: Mapping[str, int]) -> bool:
    """Are these the sizes that a module was made for? A guard with a size that is missing is left open."""
    return all(
        extent(smaller, sizes) < extent(larger, sizes)
        for smaller, larger, _ in manifest["guards"]
        if all(name in sizes for entry in (smaller, larger) for _, names in entry for name in names)
    )


class Compiled:
    """An imported kernel module with its manifest: what can be bound to data, again and again."""

    def __init__(self, module: ModuleType, manifest: dict, source: str, path: str):
        self.module, self.manifest, self.source, self.path = module, manifest, source, path
        self.dtype = np.dtype(manifest["dtype"])
        self.buffers = {entry["name"]: entry for entry in manifest["buffers"]}
        self.inputs = {entry["leaf"]: entry for entry in manifest["buffers"] if "leaf" in entry}

    def suits(self, sizes: Mapping[str, int]) -> bool:
        """Do the guards of the module hold at these sizes?"""
        return guards_hold(self.manifest, sizes)

    def address(self, function: str) -> int:
        return getattr(self.module, function).address

    def numpy_type(self, kind: str) -> np.dtype:
        return self.dtype if kind == "f" else np.dtype(KINDS[kind])


class Binding:
    """A compiled module with its arrays in place. `outputs` holds the results of the last run."""

    def __init__(
        self,
        compiled: Compiled,
        sizes: Mapping[str, int],
        inputs: Mapping[str, np.ndarray],
        full_sizes: Mapping[str, int] | None = None,
        outputs: Mapping[str, np.ndarray] | None = None,
        rows: Mapping[str, np.ndarray] | None = None,
    ):
        self.compiled = compiled
        self.sizes = dict(sizes)
        self.full_sizes = {**self.sizes, **(full_sizes or {})}
        self.rows = dict(rows or {})
        self.helpers = sys.modules.get(compiled.manifest.get("helpers")) or helper_module()  # a kernel brought its own
        self.key = np.zeros(3, dtype=np.int64)
        self.arrays: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}
        manifest = compiled.manifest
        self.extra_slots: list[int] = []
        self.table = np.zeros(manifest["table"] + 2 * len(manifest["steps"]) + 2, dtype=np.int64)
        for size, extent_slot, full_slot in manifest["sizes"]:
            self.table[extent_slot] = self.sizes[size]
            self.table[full_slot] = self.full_sizes[size]
        for entry in manifest["buffers"]:
            given = inputs.get(entry["name"]) if entry["role"] == "input" else (outputs or {}).get(entry["name"])
            self._place(entry, given)
        self.sharded: list[ShardedPass] = []
        self.long_draws: list[np.ndarray] = []
        self.program = self._program()

    # -- memory ------------------------------------------------------------------------------------------------
    def shape(self, entry: dict) -> tuple[int, ...]:
        block = self.helpers.BLOCK
        return tuple(block if k == entry["block"] else extent(dim, self.sizes) for k, dim in enumerate(entry["dims"]))

    def _place(self, entry: dict, given: np.ndarray | None) -> None:
        name, dtype, shape = entry["name"], self.compiled.numpy_type(entry["kind"]), self.shape(entry)
        if given is None:
            if entry["role"] == "input":
                raise CompileError(f"the kernel {self.compiled.manifest['name']} was bound without its input {name}")
            array = np.zeros(shape, dtype=dtype)
        else:
            array = np.ascontiguousarray(given.transpose(entry["order"])) if "order" in entry else given
            if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
                raise CompileError(f"{name}: expected a contiguous {dtype} array of shape {shape}, got {array.dtype} {array.shape}")
        self.arrays[name] = array
        self.table[entry["slot"]] = array.ctypes.data
        if entry["role"] == "output":
            self.outputs[name] = array

    def replace(self, name: str, array: np.ndarray) -> None:
        """Put another array of the same shape and type in place, also for the operations on whole arrays that read it."""
        self._place(self.compiled.buffers[name], array)
        for descriptor, step in self.described:
            if name in step["buffers"]:
                self._describe_operator(descriptor, step)

    @property
    def bytes(self) -> int:
        """Memory that the binding holds beyond its inputs."""
        return sum(self.arrays[e["name"]].nbytes for e in self.compiled.manifest["buffers"] if e["role"] != "input")

    # -- the program -------------------------------------------------------------------------------------------
    def _program(self) -> np.ndarray:
        manifest = self.compiled.manifest
        self._elimination = self._address_of_elimination()
        count = len(manifest["steps"]) + len(manifest["block_draws"]) + 1
        self.descriptors = np.zeros((count, self.helpers.OPERATOR_WORDS), dtype=np.int64)
        self.described: list[tuple[np.ndarray, dict]] = []
        used = 0
        for slot, name, kind, site, axis in manifest["block_draws"]:
            descriptor = self.descriptors[used]
            used += 1
            self._describe_draw(descriptor, name, site, axis)
            self.table[slot] = self._operator(f"draw_{kind}")
            self.table[slot + 1] = descriptor.ctypes.data
        rows = []
        spare = manifest["table"]
        for step in manifest["steps"]:
            if "function" in step:
                slot = -1
                if step["plate"] is not None:
                    slot = self._extent_slot(step["plate"], spare)
                    spare = max(spare, slot + 1)
                rows.append((*self._function(step), slot))
                continue
            descriptor = self.descriptors[used]
            used += 1
            if "draw" in step:
                count = self._describe_draw(descriptor, step["buffer"], step["site"], step["row_axis"])
                self.table[spare] = count
                rows.append((*self._whole_draw(step, descriptor, count), spare))
                spare += 1
            else:
                self._describe_operator(descriptor, step)
                self.described.append((descriptor, step))
                rows.append((self._operator(step["operator"]), descriptor.ctypes.data, -1))
        return np.array(rows, dtype=np.int64).reshape(len(rows), 3)

    def _function(self, step: dict) -> tuple[int, int]:
        """The address of a region's function and of its table: of its shards, where it is worth more than one."""
        function = self.compiled.address(step["function"])
        if step["plate"] is None:
            return function, self.table.ctypes.data
        buffers, rows = self.compiled.buffers, extent(step["plate"], self.sizes)
        totals = [(buffers[name]["slot"], self.arrays[name], operation) for name, operation in step["totals"]]
        shards = shard_count(extent(step["work"], self.sizes), rows, sum(array.nbytes for _, array, _ in totals))
        if shards == 1:
            return function, self.table.ctypes.data
        scratch = {buffers[name]["slot"]: self.arrays[name] for name in step["scratch"]}
        draws = {
            slot + 1: (self._description(slot + 1), DRAW_OUT, self.arrays[name])
            for slot, name, *_ in self.compiled.manifest["block_draws"]
            if name in step["scratch"]
        }
        made = ShardedPass(function, self.table, shards, self.helpers.BLOCK, rows, totals, scratch, draws, self._operator)
        self.sharded.append(made)
        return self._operator("run_shards"), made.row.ctypes.data

    def _whole_draw(self, step: dict, description: np.ndarray, rows: int) -> tuple[int, int]:
        """The address of a draw of a whole array and of its description: of its shards, where it is worth more than one."""
        address, array = self._operator(f"draw_{step['draw']}"), self.arrays[step["buffer"]]
        shards = shard_count(DRAW_WORK * array.size, rows, 0)
        if shards == 1:
            return address, description.ctypes.data
        itemsize, _, _, width = description[:4]
        self.long_draws.append(np.array([address, description.ctypes.data, description.size, itemsize * width], dtype=np.int64))
        made = ShardedPass(
            self._operator("draw_range"), self.long_draws[-1], shards, self.helpers.BLOCK, rows, [], {}, {}, self._operator
        )  # fmt: skip
        self.sharded.append(made)
        return self._operator("run_shards"), made.row.ctypes.data

    def _description(self, slot: int) -> np.ndarray:
        """The description of a draw whose address stands in a slot."""
        return next(row for row in self.descriptors if row.ctypes.data == self.table[slot])

    def _operator(self, name: str) -> int:
        """The address of an operation. If its machine code cannot be loaded, it is thrown away and compiled again."""
        try:
            return self.helpers.operator_address(name, self.compiled.dtype.itemsize)
        except Exception as reason:
            if isinstance(reason, OSError) and reason.errno in UNWRITABLE:
                raise
            discard_compiled(Path(self.helpers.__file__))
            return self.helpers.operator_address(name, self.compiled.dtype.itemsize)

    def _address_of_elimination(self) -> int:
        """Where operations on factors go on without a Cholesky factor: compiled now if that is sure to happen, else at its first use."""
        operators = {step.get("operator") for step in self.compiled.manifest["steps"]}
        if "lu" in operators:
            return self._operator("elimination")
        return self.helpers.late_address("elimination", self.compiled.dtype.itemsize) if "cholesky" in operators else 0

    def _extent_slot(self, plate: list, spare: int) -> int:
        if len(plate) == 1 and plate[0][0] == 1 and len(plate[0][1]) == 1:
            for size, slot, _ in self.compiled.manifest["sizes"]:
                if size == plate[0][1][0]:
                    return slot
        self.table[spare] = extent(plate, self.sizes)
        return spare

    def _describe_operator(self, descriptor: np.ndarray, step: dict) -> None:
        batch = 1
        for dim in step["batch"]:
            batch *= extent(dim, self.sizes)
        flag = step["flag"] if isinstance(step["flag"], int) else extent(step["flag"], self.sizes)
        first = self.arrays[step["buffers"][0]]
        descriptor[:5] = (first.dtype.itemsize, batch, extent(step["order"], self.sizes), extent(step["columns"], self.sizes), flag)
        for position, name in enumerate(step["buffers"]):
            descriptor[5 + position] = self.arrays[name].ctypes.data
        descriptor[self.helpers.ELIMINATION] = self._elimination
        if self.helpers.works_in_tiles(step["operator"], descriptor[self.helpers.ORDER]):
            descriptor[self.helpers.TILES] = self._operator("tiles")

    def _describe_draw(self, descriptor: np.ndarray, name: str, site: int, row_axis: int) -> int:
        """[itemsize, particles, rows, width, site, out, key, row numbers, count]; returns the number of rows."""
        entry = self.compiled.buffers[name]
        array = self.arrays[name]
        shape = array.shape or (1,)
        particles = int(np.prod(shape[:row_axis], dtype=np.int64))
        width = int(np.prod(shape[row_axis + 1 :], dtype=np.int64))
        dims = entry["dims"]
        owner = dims[row_axis][0][1][0] if dims and len(dims[row_axis]) == 1 and len(dims[row_axis][0][1]) == 1 else None
        numbers = self.rows.get(owner, _EMPTY)
        addresses = (array.ctypes.data, self.key.ctypes.data, numbers.ctypes.data)
        descriptor[:9] = (array.dtype.itemsize, particles, shape[row_axis], width, site, *addresses, numbers.size)
        return shape[row_axis]

    def pools(self) -> list[np.ndarray]:
        """The words that take the address of the pool: one of every sharded pass and of every operation that works in tiles."""
        pool, tiles = self.helpers.POOL, self.helpers.TILES
        passes = [each.row[SHARD_POOL : SHARD_POOL + 1] for each in self.sharded]
        return passes + [descriptor[pool : pool + 1] for descriptor, _ in self.described if descriptor[tiles]]

    # -- running -----------------------------------------------------------------------------------------------
    def run(self, seed: int = 0, stream: int = 0, step: int = 0) -> int:
        """Compute the outputs; 0, or the status of the step that failed."""
        self.key[:] = (seed, stream, step)
        with threads_for(self):
            return int(self.helpers.run_program(self.program, self.table))

    def failed_step(self, status: int) -> dict:
        """The program step behind a status of `run`."""
        return self.compiled.manifest["steps"][(status & 0xFFFFFFFF) - 1]

    def output(self, name: str) -> Any:
        """A copy of a result; a number for a scalar."""
        array = self.outputs[name]
        return array.item() if array.ndim == 0 else array.copy()


@contextmanager
def threads_for(*bindings: Binding, pools: Sequence[np.ndarray] = ()) -> Iterator[None]:
    """Inside, BLAS uses one thread, and what these bindings can share the pool of threads, unless another caller has it.

    `pools` are more words that take the address of the pool.
    """
    words = [word for binding in bindings for word in binding.pools()] + list(pools)
    with one_thread(), helping(bindings[0].helpers, bool(words)) as pool:
        for word in words:
            word[0] = pool
        yield


_EMPTY = np.zeros(0, dtype=np.int64)
