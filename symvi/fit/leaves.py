"""The leaves of a bound in order, their unique names, and the sizes that data imply."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symvi.array.expression import Expr, shape_text
from symvi.errors import DataError, NameClashError, ShapeError
from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Input, Node, postorder

__all__ = ["collect_leaves", "unique_names", "Sizes", "as_values", "bind_array"]


def collect_leaves(roots: Iterable[Node]) -> list[Leaf]:
    """The leaves below `roots`, in the order of a deterministic walk. Two leaves of one name are an error."""
    leaves = [node.leaf for node in postorder(roots) if isinstance(node, Input)]
    named: dict[str, Leaf] = {}
    for leaf in leaves:
        if leaf.role == "anonymous":
            continue
        other = named.setdefault(leaf.name, leaf)
        if other is not leaf:
            raise NameClashError(
                f"two different leaves are called {leaf.name!r}: one from {other.site}, one from {leaf.site}. "
                "Give them different names, or sv.rename(block, prefix=...) for a copy of a block with weights of its own"
            )
    return leaves


def unique_names(leaves: Sequence[Leaf]) -> dict[Leaf, str]:
    """Names for emitted code: the user's own; anonymous arrays are array, array_2, ..."""
    taken = {leaf.name for leaf in leaves if leaf.role != "anonymous"}
    names: dict[Leaf, str] = {}
    for leaf in leaves:
        name, number = leaf.name, 1
        if leaf.role == "anonymous":
            while name in taken:
                number += 1
                name = f"array_{number}"
            taken.add(name)
        names[leaf] = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    return names


class Sizes:
    """Named sizes and who said so."""

    def __init__(self, given: Mapping[Any, int] | None = None):
        self.values: dict[str, int] = {}
        self.source: dict[str, str] = {}
        for dim, value in (given or {}).items():
            self.set(str(dim), int(value), "sizes=")

    def set(self, name: str, value: int, source: str) -> None:
        known = self.values.get(name)
        if known is not None and known != value:
            raise ShapeError(f"the dim {name} is {known} by {self.source[name]}, but {value} by {source}")
        self.values[name] = value
        self.source.setdefault(name, source)

    def learn(self, leaf: Leaf, array: np.ndarray) -> None:
        """Sizes from the shape of an array; contradictions name both arrays."""
        shape = array.shape
        if len(shape) != len(leaf.shape):
            raise ShapeError(f"{leaf.name} has the dims {shape_text(leaf.shape)}, its array has the shape {shape}{_place(leaf)}")
        for dim, length in zip(leaf.shape, shape, strict=True):
            self._match(dim, length, leaf)

    def learn_from(self, leaf: Leaf, value: Any) -> None:
        """Sizes from a value: an array; numbers and initialisers tell none."""
        if isinstance(value, (list, tuple)) or hasattr(value, "shape"):
            try:
                array = np.asarray(value)
            except ValueError:  # rows of different lengths: said when the value is bound
                return
            if array.ndim or not leaf.shape:
                self.learn(leaf, array)

    def _match(self, dim: Dim, length: int, leaf: Leaf) -> None:
        unknown = [name for name in dim.names if name.known is None and name.name not in self.values]
        if not unknown:
            expected = dim.size(self.values)
            if expected != length:
                told = [name.name for name in dim.names if name.known is None]
                origin = " and ".join(f"{name} is {self.values[name]} by {self.source[name]}" for name in told)
                one = f". Only an extent of 1 that is declared broadcasts: sv.data({leaf.name!r}, ..., 1)" if length == 1 else ""
                raise ShapeError(
                    f"the array for {leaf.name} with dims {shape_text(leaf.shape)} has {length} entries along {dim}, "
                    f"but {origin or f'{dim} is {expected}'}{one}{_place(leaf)}"
                )
            return
        if len(unknown) == 1:
            zero = dim.size({**self.values, unknown[0].name: 0})
            slope = dim.size({**self.values, unknown[0].name: 1}) - zero
            linear = all(m.count(unknown[0]) <= 1 for m, _ in dim.terms)
            if linear and slope and (length - zero) % slope == 0 and (length - zero) // slope >= 0:
                self.set(unknown[0].name, (length - zero) // slope, f"the array for {leaf.name}")

    def require(self, dims: Iterable[Dim]) -> None:
        for dim in dims:
            for name in dim.names:
                if name.known is None and name.name not in self.values:
                    raise ShapeError(f"the size of the dim {name.name} is not known: no data have it; give sizes={{{name.name}: ...}}")


def as_values(values: Mapping[Any, Any], leaves: Sequence[Leaf], what: str = "data") -> dict[Leaf, np.ndarray]:
    """The user's dictionary (keys are leaves or names) as arrays by leaf. Unknown keys suggest the nearest name."""
    by_name = {leaf.name: leaf for leaf in leaves if leaf.role != "anonymous"}
    result: dict[Leaf, np.ndarray] = {}
    for key, value in values.items():
        if isinstance(key, Expr):
            if key.leaf is None:
                raise DataError(f"a key of {what} is a leaf or its name, not the expression {key!r}")
            leaf = key.leaf
            if leaf not in leaves:
                known = by_name.get(leaf.name)
                hint = f"; the {leaf.name!r} of the expression is another leaf, from {known.site}" if known is not None else ""
                raise DataError(f"{leaf.name} (from {leaf.site}) does not occur in the expression{hint}")
        elif isinstance(key, str):
            leaf = by_name.get(key)
            if leaf is None:
                near = difflib.get_close_matches(key, by_name, 1)
                hint = f"; did you mean {near[0]!r}?{_place(by_name[near[0]])}" if near else f" (names: {', '.join(sorted(by_name))})"
                raise DataError(f"{what} has the name {key!r}, which does not occur{hint}")
        else:
            raise DataError(f"a key of {what} is a leaf or its name, not {key!r}")
        result[leaf] = value
    return result


def bind_array(leaf: Leaf, value: Any, dtype: np.dtype, finite: bool = True, copy: bool = False) -> np.ndarray:
    """A value as the contiguous array that a kernel reads; shape as declared, values checked."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(f"the value of {leaf.name} is no array: its rows have different lengths{_place(leaf)}") from None
    if array.dtype.kind not in "fiub":
        raise DataError(f"{leaf.name} takes numbers, not {_kind_of_value(value, array)}{_place(leaf)}")
    if leaf.kind == "i" and array.dtype.kind == "f":
        _refuse(leaf, array, array != np.floor(array), "takes integers")
    if leaf.kind == "b" and array.dtype.kind != "b":
        _refuse(leaf, array, (array != 0) & (array != 1), "takes True and False (or 1 and 0)")
    if leaf.kind == "f" and finite and array.dtype.kind == "f":
        _refuse(leaf, array, ~np.isfinite(array), "takes finite numbers")
    target = dtype if leaf.kind == "f" else np.dtype({"i": np.int64, "b": np.bool_}[leaf.kind])
    array = np.array(array, dtype=target, order="C", copy=True) if copy else np.ascontiguousarray(array, dtype=target).reshape(array.shape)
    return array


def _kind_of_value(value: Any, array: np.ndarray) -> str:
    return "None" if value is None else f"an array of dtype {array.dtype}" if array.dtype.kind in "OcMmV" else f"{value!r}"[:60]


def _refuse(leaf: Leaf, array: np.ndarray, bad: np.ndarray, what: str) -> None:
    """An error that names the first bad value and its index."""
    if np.any(bad):
        index = tuple(np.argwhere(bad)[0])
        raise DataError(f"{leaf.name} {what}; the value {array[index]}{_index_text(index)} is not one{_place(leaf)}")


def check_index(leaf: Leaf, array: np.ndarray, size: int, dim: Dim | None = None) -> None:
    """Values of an index leaf lie in 0 .. size - 1."""
    bad = (array < 0) | (array >= size)
    if bad.any():
        index = tuple(np.argwhere(bad)[0])
        raise DataError(
            f"{leaf.name} indexes {leaf.index_of if dim is None else dim} of size {size}; "
            f"the value {array[index]}{_index_text(index)} lies outside 0..{size - 1}{_place(leaf)}"
        )


def _index_text(index: tuple) -> str:
    return f" at index {', '.join(map(str, index))}" if index else ""


def _place(leaf: Leaf) -> str:
    return f"  [{leaf.site}]" if leaf.site else ""
