"""x[key]: integers, slices with symbolic bounds, None, Ellipsis and integer arrays, with NumPy's meaning.

A subscript is a renaming of labels: an integer or an integer array replaces the label of its axis by a term, a slice
replaces it by a shifted label of the slice's own dim. No values move.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from symvi.array.expression import Axis, Expr, as_expr, broadcast, from_term, mistake, on_axes, shape_text
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.printing import text

__all__ = ["getitem", "Fresh"]


class Fresh:
    """Labels that occur nowhere in an expression, for the axes of a result before they get their canonical numbers."""

    def __init__(self, x: Expr):
        self.next = 1 + max((label.number for label in x.term.labels), default=0) + x.ndim

    def label(self, dim: Dim) -> Label:
        self.next += 1
        return Label(dim, self.next)


class _Gather(NamedTuple):
    """An axis read at an integer expression; `at` is the place of its key."""

    at: int
    axis: Axis
    dim: Dim
    index: Expr


def getitem(x: Expr, key: Any) -> Expr:
    """x[key] with integers, slices, None, Ellipsis and integer arrays."""
    keys = _expand(x, key if isinstance(key, tuple) else (key,))
    arrays = any(not _is_basic(item) for item in keys)
    fresh = Fresh(x)
    mapping: dict[Label, Any] = {}
    axes: list[Axis] = []
    gathers: list[_Gather] = []
    place = None
    position = 0
    for at, item in enumerate(keys):
        if item is None:
            axes.append(None)
            continue
        axis, dim = x.axes[position], x.shape[position]
        position += 1
        if isinstance(item, slice):
            axes.append(_slice(x, axis, dim, item, mapping, fresh))
        elif _is_integer(item) and not arrays:
            _integer(x, axis, dim, int(item), mapping)
        else:
            index = as_expr(int(item)) if _is_integer(item) else _index_expr(x, item, dim)
            if _is_integer(item):
                _integer(x, axis, dim, int(item), mapping)
            place = len(axes) if place is None else place
            gathers.append(_Gather(at, None if _is_integer(item) else axis, dim, index))
    if gathers:
        together = gathers[-1].at - gathers[0].at + 1 == len(gathers)
        _gather(gathers, axes, place if together else 0, mapping, fresh)
    return from_term(build.rename(x.term, mapping), axes)


def _is_integer(item: Any) -> bool:
    return isinstance(item, (int, np.integer)) and not isinstance(item, bool)


def _is_basic(item: Any) -> bool:
    return item is None or item is Ellipsis or isinstance(item, slice) or _is_integer(item)


def _expand(x: Expr, keys: tuple) -> list:
    """The keys with Ellipsis written out, one per axis or new axis."""
    used = sum(1 for key in keys if key is not None and key is not Ellipsis)
    ellipses = sum(1 for key in keys if key is Ellipsis)
    if used > x.ndim:
        raise mistake(f"too many indices: {text(x)} with dims {shape_text(x.shape)} has {x.ndim} axes, {used} are indexed")
    if ellipses > 1:
        raise mistake("an index holds at most one ellipsis (...)", ExpressionError)
    if not ellipses:
        keys = (*keys, Ellipsis)
    result: list = []
    for key in keys:
        if key is Ellipsis:
            result.extend([slice(None)] * (x.ndim - used))
        else:
            result.append(key)
    return result


def _integer(x: Expr, axis: Axis, dim: Dim, item: int, mapping: dict) -> None:
    if dim.value is not None and not -dim.value <= item < dim.value:
        raise mistake(f"the index {item} lies outside the axis of size {dim} of {text(x)} with dims {shape_text(x.shape)}")
    if axis is not None:
        mapping[axis] = build.constant(item) if item >= 0 else build.size(dim + item)


# --------------------------------------------------------------------------------------------------------------- slices
def _slice(x: Expr, axis: Axis, dim: Dim, item: slice, mapping: dict, fresh: Fresh) -> Axis:
    if item == slice(None):
        return axis
    start, extent, step = _range(x, dim, item)
    if axis is None:  # an axis of extent 1: kept, or emptied
        return None if extent == 1 else fresh.label(extent)
    if extent == dim and start == 0 and step == 1:
        return axis
    if extent == 1:
        mapping[axis] = build.size(start)
        return None
    label = fresh.label(extent)
    mapping[axis] = build.iota(label) * build.constant(step) + build.size(start)
    return label


def _range(x: Expr, dim: Dim, item: slice) -> tuple[Dim, Dim, int]:
    """(start, extent, step) of a slice."""
    bounds = [_bound(item.start), _bound(item.stop)]
    step = 1 if item.step is None else _bound(item.step)
    if isinstance(step, Dim) or step == 0:
        raise mistake(f"the step of a slice is an integer other than 0, not {item.step}", ExpressionError)
    if dim.value is not None and not any(isinstance(bound, Dim) for bound in bounds):
        positions = range(*slice(*bounds, step).indices(dim.value))
        return Dim(positions.start), Dim(len(positions)), step
    if step == -1 and bounds == [None, None]:
        return dim - 1, dim, -1
    start, stop = (_symbolic(bound, dim, default) for bound, default in zip(bounds, (Dim(0), dim), strict=True))
    extent = stop - start
    if step != 1 and (step < 1 or extent.value is None):
        raise mistake(
            f"the extent of a slice of {dim} with step {step} is not a polynomial of sizes; it needs a size that is known, dim(name, size)"
        )
    if extent.value is not None:
        extent = Dim(max(-(-extent.value // step), 0))
    return start, extent, step


def _bound(value: Any) -> int | Dim | None:
    if value is None or isinstance(value, Dim):
        return value.value if isinstance(value, Dim) and value.value is not None else value
    if isinstance(value, Expr) or isinstance(value, bool) or not hasattr(value, "__index__"):
        raise mistake(f"the bounds of a slice are integers and dims, not {value!r}", ExpressionError)
    return int(value)


def _symbolic(bound: int | Dim | None, dim: Dim, default: Dim) -> Dim:
    if bound is None:
        return default
    if isinstance(bound, Dim):
        return bound
    return Dim(bound) if bound >= 0 else dim + bound


# ------------------------------------------------------------------------------------------------------- integer arrays
def _index_expr(x: Expr, item: Any, dim: Dim) -> Expr:
    if isinstance(item, (list, tuple)):
        item = np.asarray(item, dtype=None if len(item) else int)
    if not isinstance(item, (Expr, Dim)) and hasattr(item, "__array__"):
        item = _known_index(x, item, dim)
    if isinstance(item, str):
        raise mistake(f"an index of {text(x)} is an integer, a slice or an integer expression, not {item!r}", ExpressionError)
    index = as_expr(item)
    if index.kind == "b":
        raise mistake(
            f"the shape of {text(x)}[mask] would depend on the values of the mask {text(index)}; write sv.where(mask, a, b), "
            "or index with integers: np.flatnonzero(mask)",
            ExpressionError,
        )
    if index.kind != "i":
        raise mistake(
            f"an index is an integer expression, {text(index)} in {text(x)}[...] is not; "
            f"declare it with dtype=int or dtype=sv.index({dim})",
            ExpressionError,
        )
    return index


def _known_index(x: Expr, item: Any, dim: Dim) -> Any:
    """An integer array whose values are known now: negative ones count from the end, those outside are an error."""
    array = np.asarray(item)
    if array.dtype.kind not in "iu" or not array.size:
        return item
    low, high = int(array.min()), int(array.max())
    if dim.value is not None:
        if high >= dim.value or low < -dim.value:
            outside = high if high >= dim.value else low
            raise mistake(f"the index {outside} lies outside the axis of size {dim} of {text(x)} with dims {shape_text(x.shape)}")
        return np.where(array < 0, array + dim.value, array) if low < 0 else item
    return as_expr(array) + as_expr((array < 0).astype(np.int64)) * dim if low < 0 else item


def _gather(gathers: list[_Gather], axes: list[Axis], place: int, mapping: dict, fresh: Fresh) -> None:
    """Integer arrays index together and broadcast; their axes stand where they stood, or first if a slice parts them."""
    shape, _, _ = broadcast(*(gather.index for gather in gathers), operation="integer indexing")
    labels = [None if dim == 1 else fresh.label(dim) for dim in shape]
    for _, axis, dim, index in gathers:
        if index.leaf is not None:
            declared = index.leaf.index_of
            if declared is not None and declared != dim:
                raise mistake(f"{text(index)} is an index of {declared}, but it indexes an axis of dim {dim}")
        if axis is not None:
            mapping[axis] = on_axes(index, labels[len(labels) - index.ndim :])
    axes[place:place] = labels


Expr.__getitem__ = getitem
