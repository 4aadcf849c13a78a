"""An emitted module run as plain Python, line by line: the check of planning, lowering and printing without a compiler.

The text of the module is executed with other helpers: NumPy views in place of addresses, the reference values of the
scalar functions, operations of `numpy.linalg`. Blocks are small, so that a handful of rows makes several of them and a
rest. Scratch is filled with NaN, and an index outside an array, negative ones included, is an error.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symvi.atoms.scalar_function import TABLE
from symvi.errors import SymviError

__all__ = ["EmittedError", "run_emitted"]

KINDS = {"i": np.int64, "b": np.bool_, "pivot": np.int32}


class EmittedError(SymviError):
    """The emitted module does something that it must not: a bug of symvi."""


def run_emitted(
    source: str, manifest: dict, inputs: Mapping[str, np.ndarray], sizes: Mapping[str, int], block: int = 4
) -> dict[str, np.ndarray]:
    """The outputs of an emitted module. `inputs` maps names of buffers to arrays, noise included; `sizes` names to integers."""
    return _Machine(source, manifest, inputs, sizes, block).run()


class _Strict(np.ndarray):
    """An array that refuses indices outside of it, negative ones included, instead of counting from its end."""

    def _check(self, key: Any) -> None:
        for position, index in enumerate(key if isinstance(key, tuple) else (key,)):
            if not isinstance(index, slice) and not 0 <= index < self.shape[position]:
                raise EmittedError(f"index {index} outside the extent {self.shape[position]} of axis {position}")

    def __getitem__(self, key):
        self._check(key)
        return super().__getitem__(key)

    def __setitem__(self, key, value):
        self._check(key)
        super().__setitem__(key, value)


class _Table:
    """The argument table: extents by slot, and the arrays whose addresses would stand there."""

    def __init__(self):
        self.extents: dict[int, int] = {}
        self.arrays: dict[int, np.ndarray] = {}

    def __getitem__(self, slot: int) -> int:
        return self.extents[slot]


class _Machine:
    def __init__(self, source: str, manifest: dict, inputs: Mapping[str, np.ndarray], sizes: Mapping[str, int], block: int):
        self.manifest, self.sizes, self.block = manifest, dict(sizes), block
        self.real = np.dtype(manifest["dtype"]).type
        self.noise = {entry["name"]: np.asarray(inputs[entry["name"]]) for entry in manifest["buffers"] if entry["role"] == "draw"}
        self.table, self.arrays, self.draws = _Table(), {}, {}
        for size, extent_slot, full_slot in manifest["sizes"]:
            self.table.extents[extent_slot] = self.table.extents[full_slot] = self.sizes[size]
        for entry in manifest["buffers"]:
            self._place(entry, inputs)
        for slot, name, _, _, axis in manifest["block_draws"]:
            self.draws[slot] = (name, axis)
        self.module = self._execute(source)

    def extent(self, entry: list) -> int:
        return sum(coefficient * int(np.prod([self.sizes[name] for name in names], dtype=np.int64)) for coefficient, names in entry)

    def _place(self, entry: dict, inputs: Mapping[str, np.ndarray]) -> None:
        dtype = self.real if entry["kind"] == "f" else KINDS[entry["kind"]]
        shape = tuple(self.block if k == entry["block"] else self.extent(dim) for k, dim in enumerate(entry["dims"]))
        if entry["role"] == "input":
            array = np.array(inputs[entry["name"]], dtype=dtype, order="C")
            if "order" in entry:
                array = np.ascontiguousarray(array.transpose(entry["order"]))
            if array.shape != shape:
                raise EmittedError(f"{entry['name']} has the shape {array.shape}, the manifest says {shape}")
            array.flags.writeable = False
        else:
            array = np.full(shape, np.nan if entry["kind"] == "f" else 77, dtype=dtype)
        self.arrays[entry["name"]] = array
        self.table.arrays[entry["slot"]] = array

    # -- the text as Python ------------------------------------------------------------------------------------
    def _execute(self, source: str) -> dict[str, Any]:
        tree = ast.parse(source)
        names = {"cfunc": lambda signature, **options: lambda function: function}
        kept = []
        for statement in tree.body:
            if isinstance(statement, ast.ImportFrom):
                if (statement.module or "").startswith("symvi_helpers"):
                    names.update({alias.name: self._helper(alias.name) for alias in statement.names})
            else:
                kept.append(statement)
        tree.body = kept
        exec(compile(tree, "emitted", "exec"), names)  # noqa: S102 - the text was just made by symvi
        return names

    def _helper(self, name: str) -> Any:
        views = {"reals64": self.view, "reals32": self.view, "integers": self.view, "booleans": self.view}
        numbers = {"real64": self.number, "real32": self.number, "integer": self.number, "boolean": self.number}
        own = {"BLOCK": self.block, "KERNEL": None, "PASS": {}, "draw_rows": self.draw_rows}
        own |= {"rows_from": _rows_from, **_PRODUCTS}
        own |= {"smallest": np.iinfo(np.int64).min, "largest": np.iinfo(np.int64).max, **views, **numbers}
        return own[name] if name in own else _scalar(TABLE[name].numpy, self.real)

    def view(self, table: _Table, slot: int, shape: tuple[int, ...]) -> np.ndarray:
        array = table.arrays[slot]
        if shape != array.shape and not (array.shape == () and shape == (1,)):
            raise EmittedError(f"slot {slot} has the shape {array.shape}, the module sees {shape}")
        return array.reshape(shape).view(_Strict)

    def number(self, table: _Table, slot: int) -> Any:
        return table.arrays[slot][()]

    def draw_rows(self, table: _Table, slot: int, lo: int, hi: int) -> None:
        name, axis = self.draws[slot]
        target, source = np.moveaxis(self.arrays[name], axis, 0), np.moveaxis(self.noise[name], axis, 0)
        target[: hi - lo] = source[lo:hi]

    # -- the program -------------------------------------------------------------------------------------------
    def run(self) -> dict[str, np.ndarray]:
        with np.errstate(all="ignore"):
            for step in self.manifest["steps"]:
                if "function" in step:
                    rows = self.extent(step["plate"]) if step["plate"] is not None else 0
                    if self.module[step["function"]](0, rows, self.table) != 0:
                        raise EmittedError(f"{step['function']} reports a failure")
                elif "draw" in step:
                    self.arrays[step["buffer"]][...] = self.noise[step["buffer"]]
                else:
                    self._operator(step)
        return {entry["name"]: self.arrays[entry["name"]] for entry in self.manifest["buffers"] if entry["role"] == "output"}

    def _operator(self, step: dict) -> None:
        batch = int(np.prod([self.extent(dim) for dim in step["batch"]], dtype=np.int64))
        order, columns = self.extent(step["order"]), self.extent(step["columns"])
        flag = step["flag"] if isinstance(step["flag"], int) else self.extent(step["flag"])
        buffers = [self.arrays[name] for name in step["buffers"]]
        _OPERATORS[step["operator"]](buffers, batch, order, columns, flag)


def _scalar(function: Callable, real: type) -> Callable:
    """A reference function of numbers, rounded to the dtype of the module where it is a real number."""

    def call(*arguments):
        value = np.asarray(function(*arguments))
        return real(value) if value.dtype.kind == "f" else value[()]

    return call


# ---------------------------------------------------------------------------------------------------------- operations
def _stacked(operation: Callable) -> Callable:
    """An operation of single matrices over a stack; `columns` None for results that are not matrices."""

    def run(buffers, batch, order, columns, flag):
        first = buffers[0].reshape(batch, order, order)
        for position in range(batch):
            operation(first[position], [b.reshape(batch, -1)[position] for b in buffers[1:]], order, columns, flag)

    return run


def _fill(target: np.ndarray, value: np.ndarray) -> None:
    target[...] = np.reshape(value, target.shape)


def _cholesky(A, rest, order, columns, flag):
    symmetric = np.tril(A) + np.tril(A, -1).T
    np.linalg.cholesky(symmetric)  # is it positive definite?
    _fill(rest[0], symmetric)


def _solve(matrix: Callable) -> Callable:
    """A solve by a matrix made from the stored factor; operands are factor, right side, result."""

    def solve(L, rest, order, columns, flag):
        A = matrix(L)
        _fill(rest[1], np.linalg.solve(A.T if flag else A, rest[0].reshape(order, columns)))

    return solve


def _cumsum(buffers, batch, order, columns, flag):
    source, target = buffers[0].reshape(batch, order), buffers[1].reshape(batch, order)
    target[...] = np.flip(np.cumsum(np.flip(source, -1), -1), -1) if flag else np.cumsum(source, -1)


def _concatenate(buffers, batch, order, columns, flag):
    buffers[1].reshape(batch, columns)[:, flag : flag + order] = buffers[0].reshape(batch, order)


def _logdet(F, rest, order, columns, flag):
    sign, value = np.linalg.slogdet(F)
    rest[2][...] = (value, sign * np.exp(value), sign)[flag]


def _rows_from(array: np.ndarray, lo: int) -> np.ndarray:
    return array[(slice(None),) * (array.ndim - 1) + (slice(lo, None),)]


def _product(transpose_left: bool, transpose_right: bool) -> Callable:
    def gemm(A, B, C, alpha, beta):
        A, B = (np.asarray(M).T if flip else np.asarray(M) for M, flip in ((A, transpose_left), (B, transpose_right)))
        C[:] = alpha * (A @ B) + (beta * np.asarray(C) if beta else 0.0)

    return gemm


_PRODUCTS = {"gemm": _product(False, False), "gemm_tn": _product(True, False), "gemm_nt": _product(False, True)}
def _block_diagonal(buffers, batch, order, columns, flag):
    rows = buffers[1].reshape(batch, columns, columns)[:, flag : flag + order]
    rows[...] = 0.0
    rows[:, :, flag : flag + order] = buffers[0].reshape(batch, order, order)


_OPERATORS: dict[str, Callable] = {  # the "factor" of a matrix is here the matrix itself
    "cholesky": _stacked(_cholesky),
    "lu": _stacked(lambda A, rest, *_: _fill(rest[0], A)),
    "factored_inverse": _stacked(lambda F, rest, *_: _fill(rest[2], np.linalg.inv(F))),
    "factored_logdet": _stacked(_logdet),
    "factored_solve": _stacked(lambda F, rest, *others: _solve(lambda A: A)(F, rest[2:], *others)),
    "lower_factor": _stacked(lambda F, rest, *_: _fill(rest[2], np.linalg.cholesky(F))),
    "solve_lower": _stacked(_solve(np.tril)),
    "solve_lower_transposed": _stacked(_solve(lambda L: np.tril(L).T)),
    "lower_inverse": _stacked(lambda L, rest, *_: _fill(rest[0], np.linalg.inv(np.tril(L)))),
    "block_diagonal": _block_diagonal,
    "cumsum": _cumsum,
    "cumsum_integers": _cumsum,
    "concatenate": _concatenate,
    "concatenate_integers": _concatenate,
    "concatenate_booleans": _concatenate,
}
