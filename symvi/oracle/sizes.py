"""Sizes from arrays: the named sizes that make the dims of the leaves equal to the extents of their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from symvi.errors import DataError, ShapeError
from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf

__all__ = ["infer_sizes", "without_unit_axes"]


def without_unit_axes(leaf: Leaf, value) -> np.ndarray:
    """A value in the user's shape (literal 1 allowed) or the leaf's array shape, in the latter."""
    value = np.asarray(value)
    if value.ndim == len(leaf.array_shape):
        return value
    if value.ndim == len(leaf.shape):
        return value.reshape([extent for extent, dim in zip(value.shape, leaf.shape, strict=True) if dim != 1])
    raise DataError(f"{leaf.name} has {len(leaf.array_shape)} axes, its value has {value.ndim}")


def infer_sizes(pairs: Iterable[tuple[Leaf, np.ndarray]], sizes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Named sizes from (leaf, value) pairs, started from `sizes`; dims linear in one unknown name are solved for it."""
    known = dict(sizes or {})
    pending = [(leaf, dim, extent) for leaf, value in pairs for dim, extent in zip(leaf.array_shape, value.shape, strict=True)]
    while pending:
        waiting = []
        for leaf, dim, extent in pending:
            unknown = [name.name for name in dim.names if name.known is None and name.name not in known]
            if not unknown:
                if dim.size(known) != extent:
                    raise ShapeError(f"an axis of {leaf.name} has the dim {dim} = {dim.size(known)}, its value has {extent}")
            elif len(unknown) == 1 and (solution := _solve(dim, unknown[0], extent, known)) is not None:
                known[unknown[0]] = solution
            else:
                waiting.append((leaf, dim, extent))
        if len(waiting) == len(pending):
            break
        pending = waiting
    return known


def _solve(dim: Dim, name: str, extent: int, known: Mapping[str, int]) -> int | None:
    """The size of `name` for which `dim` is `extent`, where the dim is linear in it and the answer is whole."""
    at = [dim.size({**known, name: value}) for value in (0, 1, 2)]
    slope = at[1] - at[0]
    if slope == 0 or at[2] - at[1] != slope or (extent - at[0]) % slope:
        return None
    return (extent - at[0]) // slope
