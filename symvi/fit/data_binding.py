"""The data of an objective as arrays by leaf: checked, sizes learnt from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from symvi.errors import DataError
from symvi.expr.leaf import Leaf
from symvi.fit.bounds import ReadBounds
from symvi.fit.leaves import Sizes, bind_array, check_index
from symvi.fit.objective import Objective

__all__ = ["bind_data", "require_data"]


def bind_data(objective: Objective, data: Mapping[Leaf, Any], sizes: Sizes, incomplete: Iterable[Leaf] = ()) -> dict[Leaf, np.ndarray]:
    """Arrays by leaf, checked; sizes are learnt from them. Entries of `incomplete` leaves may be missing (NaN, or -1)."""
    incomplete = set(incomplete)
    arrays: dict[Leaf, np.ndarray] = {}
    own = set(objective.scales.values())
    for leaf in objective.leaves:
        if leaf.role not in ("data", "anonymous", "shared") or leaf in own:
            continue
        value = data.get(leaf, leaf.attributes.get("value"))
        if value is None:
            continue
        array = bind_array(leaf, value, objective.dtype, finite=leaf not in incomplete)
        if array.ndim != len(leaf.shape) and array.ndim == len(leaf.array_shape):  # bound before: without its axes of extent 1
            array = array.reshape(_extended(array.shape, leaf))
        sizes.learn(leaf, array)
        arrays[leaf] = array.reshape([n for n, dim in zip(array.shape, leaf.shape, strict=True) if dim != 1])
    for leaf, array in arrays.items():
        if leaf.index_of is not None:
            sizes.require([leaf.index_of])
            check_index(leaf, np.maximum(array, 0) if leaf in incomplete else array, leaf.index_of.size(sizes.values))
    return arrays


def _extended(shape: tuple[int, ...], leaf: Leaf) -> list[int]:
    """A shape with the axes of extent 1 of a leaf put back."""
    rest = iter(shape)
    return [1 if dim == 1 else next(rest) for dim in leaf.shape]


def require_data(objective: Objective, arrays: Mapping[Leaf, np.ndarray], sizes: Sizes, incomplete: Iterable[Leaf] = ()) -> None:
    """Raise where data are missing, where a size is not known, or where a read would leave its array."""
    own = set(objective.scales.values())
    for leaf in objective.leaves:
        if leaf.role in ("data", "anonymous") and leaf not in arrays and leaf not in own:
            place = f"  [{leaf.site}]" if leaf.site else ""
            raise DataError(f"no data are given for {leaf.name}{place}")
        sizes.require(leaf.shape)
    incomplete = set(incomplete)
    numbered = {k: arrays[leaf] for k, leaf in enumerate(objective.user_leaves) if leaf in arrays and leaf not in incomplete}
    ReadBounds([objective.bound.term]).check(sizes, objective.user_leaves, numbered)
