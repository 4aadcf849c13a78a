"""Reading parts of expressions: slices with symbolic bounds, new axes, integer arrays, and the moves of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symvi.array.expression import Axis, Expr, as_expr, axes_for, broadcast, dims_of, from_term, mistake, on_axes, shape_text
from symvi.atoms import elementwise as scalar
from symvi.atoms import joining
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.dims import Dim, as_dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Term
from symvi.expr.printing import text

__all__ = [
    "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze", "reshape", "ravel", "broadcast_to", "take", "diag", "diagonal", "tril", "triu",
    "concatenate", "stack", "hstack", "vstack", "flip",
]  # fmt: skip


def getitem(x: Expr, key: Any) -> Expr:
    """x[key] with integers, slices, None, Ellipsis and integer arrays."""
    keys = _expand(x, key if isinstance(key, tuple) else (key,))
    fresh = _Fresh(x)
    mapping: dict[Label, Any] = {}
    axes: list[Axis] = []
    gathers: list[tuple[int, Axis, Dim, Expr]] = []
    position = 0
    for item in keys:
        if item is None:
            axes.append(None)
            continue
        axis, dim = x.axes[position], x.shape[position]
        position += 1
        if isinstance(item, slice):
            axes.append(_slice(x, axis, dim, item, mapping, fresh))
        elif _is_integer(item):
            if axis is not None:
                mapping[axis] = build.constant(int(item)) if item >= 0 else build.size(dim) + build.constant(int(item))
        else:
            gathers.append((len(axes), axis, dim, _index_expr(x, item)))
    if gathers:
        _gather(gathers, axes, mapping, fresh)
    return from_term(build.rename(x.term, mapping), axes)


class _Fresh:
    """Labels that occur nowhere in an expression, for the axes of a result before they get their canonical numbers."""

    def __init__(self, x: Expr):
        self.next = 1 + max((label.number for label in x.term.labels), default=0) + x.ndim

    def label(self, dim: Dim) -> Label:
        self.next += 1
        return Label(dim, self.next)


def _is_integer(item: Any) -> bool:
    return isinstance(item, (int, np.integer)) and not isinstance(item, bool)


def _expand(x: Expr, keys: tuple) -> list:
    used = sum(1 for key in keys if key is not None and key is not Ellipsis)
    if used > x.ndim:
        raise mistake(f"too many indices: {text(x)} has {x.ndim} axes, {used} are indexed")
    if not any(key is Ellipsis for key in keys):
        keys = (*keys, Ellipsis)
    result: list = []
    for key in keys:
        if key is Ellipsis:
            result.extend([slice(None)] * (x.ndim - used))
            used = x.ndim
        else:
            result.append(key)
    return result


def _bound(value: Any, dim: Dim, default: Dim) -> Dim:
    if value is None:
        return default
    if isinstance(value, Dim):
        return value
    if not hasattr(value, "__index__"):
        raise mistake(f"a slice bound is an integer or a dim, not {value!r}", ExpressionError)
    value = int(value)
    if dim.value is not None:
        return Dim(min(value, dim.value) if value >= 0 else max(dim.value + value, 0))
    return Dim(value) if value >= 0 else dim + value


def _slice(x: Expr, axis: Axis, dim: Dim, item: slice, mapping: dict, fresh: _Fresh) -> Axis:
    if item == slice(None):
        return axis
    step = 1 if item.step is None else int(item.step)
    if axis is None:
        raise mistake(f"the axis of extent 1 of {text(x)} cannot be sliced")
    if step == -1 and item.start is None and item.stop is None:
        label = fresh.label(dim)
        mapping[axis] = build.size(dim) - 1 - build.iota(label)
        return label
    start, stop = _bound(item.start, dim, Dim(0)), _bound(item.stop, dim, dim)
    extent = stop - start
    if step != 1:
        if step < 1 or extent.value is None:
            raise mistake("a slice with a step needs a known size and a positive step")
        extent = Dim(-(-extent.value // step))
    if extent.value is not None and extent.value < 0:
        extent = Dim(0)
    if extent == dim and start == Dim(0) and step == 1:
        return axis
    if extent == 1:
        mapping[axis] = build.size(start)
        return None
    label = fresh.label(extent)
    mapping[axis] = build.iota(label) * build.constant(step) + build.size(start)
    return label


def _index_expr(x: Expr, item: Any) -> Expr:
    index = as_expr(np.asarray(item) if isinstance(item, (list, tuple)) else item)
    if index.kind == "b":
        raise mistake("boolean masks have no fixed shape; use sv.where(mask, a, b)", ExpressionError)
    if index.kind != "i":
        raise mistake(f"an index must be an integer expression, {text(index)} is not; declare it with dtype=int or dtype=sv.index(dim)", ExpressionError)
    return index


def _gather(gathers, axes: list[Axis], mapping: dict, fresh: _Fresh) -> None:
    """Integer arrays index together and broadcast, as in NumPy; they must stand next to each other."""
    places = [place for place, *_ in gathers]
    if len(set(places)) > 1:
        raise mistake("integer arrays separated by slices are not supported; index in two steps", ExpressionError)
    shape, _, _ = broadcast(*(index for *_, index in gathers), operation="integer indexing")
    labels = [None if dim == 1 else fresh.label(dim) for dim in shape]
    for _, axis, dim, index in gathers:
        declared = index.leaf.index_of if index.leaf is not None else None
        if declared is not None and declared != dim:
            raise mistake(f"{text(index)} is an index of {declared}, but it indexes an axis of dim {dim}")
        if axis is not None:
            mapping[axis] = on_axes(index, labels[len(labels) - index.ndim :])
    axes[places[0] : places[0]] = labels


Expr.__getitem__ = getitem


# -------------------------------------------------------------------------------------------------------- moves of axes
def transpose(x: Any, axes: Sequence[int] | None = None) -> Expr:
    """Axes in another order (reversed by default)."""
    x = as_expr(x)
    order = list(range(x.ndim))[::-1] if axes is None else [axis % x.ndim for axis in axes]
    if sorted(order) != list(range(x.ndim)):
        raise mistake(f"transpose: {axes} is not an order of the {x.ndim} axes")
    return from_term(x.term, [x.axes[position] for position in order])


def swapaxes(x: Any, first: int, second: int) -> Expr:
    """Two axes exchanged."""
    x = as_expr(x)
    order = list(range(x.ndim))
    order[first], order[second] = order[second], order[first]
    return transpose(x, order)


def moveaxis(x: Any, source: int, destination: int) -> Expr:
    """One axis moved to another place."""
    x = as_expr(x)
    order = list(range(x.ndim))
    moved = order.pop(source % x.ndim)
    order.insert(destination % x.ndim, moved)
    return transpose(x, order)


def expand_dims(x: Any, axis: int) -> Expr:
    """A new axis of extent 1."""
    x = as_expr(x)
    axes = list(x.axes)
    axes.insert(axis % (x.ndim + 1), None)
    return from_term(x.term, axes)


def squeeze(x: Any, axis: int | None = None) -> Expr:
    """Drop axes of extent 1."""
    x = as_expr(x)
    if axis is not None and x.axes[axis] is not None:
        raise mistake(f"squeeze: axis {axis} of {text(x)} has the dim {x.shape[axis]}, not 1")
    return from_term(x.term, [a for position, a in enumerate(x.axes) if a is not None or (axis is not None and position != axis % x.ndim)])


def broadcast_to(x: Any, shape: Sequence[Dim | int]) -> Expr:
    """x repeated to a shape."""
    x = as_expr(x)
    target = dims_of([shape])
    axes = axes_for(target)
    tail = axes[len(axes) - x.ndim :] if x.ndim else ()
    for own, dim in zip(x.shape, target[len(target) - x.ndim :] if x.ndim else (), strict=True):
        if own != 1 and own != dim:
            raise mistake(f"{text(x)} with dims {shape_text(x.shape)} does not broadcast to {shape_text(target)}")
    return Expr(on_axes(x, tail), axes, target)


def reshape(x: Any, *shape: Any) -> Expr:
    """The entries in row-major order under another shape with the same number of entries."""
    x = as_expr(x)
    values = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else list(shape)
    known = Dim(1)
    for value in values:
        if not (isinstance(value, int) and value == -1):
            known = known * as_dim(value)
    if any(isinstance(value, int) and value == -1 for value in values):
        values = [_quotient(x.size, known) if isinstance(v, int) and v == -1 else v for v in values]
    target = dims_of([tuple(values)])
    total = Dim(1)
    for dim in target:
        total = total * dim
    if total != x.size:
        raise mistake(f"reshape: {text(x)} with dims {shape_text(x.shape)} has {x.size} entries, {shape_text(target)} has {total}")
    if [d for d in target if d != 1] == [d for d in x.shape if d != 1]:
        labels = iter([axis for axis in x.axes if axis is not None])
        return from_term(x.term, [None if d == 1 else next(labels) for d in target])
    fresh = _Fresh(x)
    axes = [None if d == 1 else fresh.label(d) for d in target]
    flat = build.constant(0)
    for axis, dim in zip(axes, target, strict=True):
        flat = flat * build.size(dim) + (build.iota(axis) if axis is not None else build.constant(0))
    mapping: dict[Label, Term] = {}
    rest = flat
    sources = [(axis, dim) for axis, dim in zip(x.axes, x.shape, strict=True) if axis is not None]
    for position, (axis, dim) in reversed(list(enumerate(sources))):
        mapping[axis] = scalar.remainder(rest, build.size(dim)) if position else rest
        rest = scalar.floor_divide(rest, build.size(dim)) if position else rest
    return from_term(build.rename(x.term, mapping), axes)


def _quotient(total: Dim, part: Dim) -> Dim:
    if part.value is not None and total.value is not None and part.value and total.value % part.value == 0:
        return Dim(total.value // part.value)
    for monomial, coefficient in total.terms:
        if len(part.terms) == 1 and len(total.terms) == 1:
            names = list(monomial)
            for name in part.terms[0][0]:
                if name not in names:
                    break
                names.remove(name)
            else:
                if coefficient % part.terms[0][1] == 0:
                    return Dim({tuple(names): coefficient // part.terms[0][1]})
    raise mistake(f"reshape: the size -1 of {total} entries by {part} cannot be decided; write the dim")


def ravel(x: Any) -> Expr:
    """All entries in row-major order."""
    x = as_expr(x)
    return reshape(x, x.size)


def flip(x: Any, axis: int = 0) -> Expr:
    """An axis in reverse order."""
    x = as_expr(x)
    return getitem(x, tuple(slice(None, None, -1) if position == axis % x.ndim else slice(None) for position in range(x.ndim)))


def take(x: Any, indices: Any, axis: int | None = None) -> Expr:
    """Entries at integer indices along an axis."""
    x = as_expr(x)
    if axis is None:
        return getitem(ravel(x), indices)
    return getitem(x, tuple([slice(None)] * (axis % x.ndim) + [indices]))


# ------------------------------------------------------------------------------------------------------------- matrices
def diag(x: Any) -> Expr:
    """The diagonal of a matrix, or the diagonal matrix of a vector."""
    x = as_expr(x)
    if x.ndim == 1:
        if x.axes[0] is None:
            return Expr(x.term, (None, None))
        axes = axes_for((x.shape[0], x.shape[0]))
        return Expr(x.term * build.delta(*axes), axes)
    return diagonal(x)


def diagonal(x: Any) -> Expr:
    """The diagonals of the last two axes."""
    x = as_expr(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise mistake(f"diagonal takes square matrices, not dims {shape_text(x.shape)}")
    if x.axes[-1] is None:
        return from_term(x.term, x.axes[:-1])
    return from_term(build.rename(x.term, {x.axes[-1]: x.axes[-2]}), x.axes[:-1])


def _triangle(x: Any, keep, k: int) -> Expr:
    x = as_expr(x)
    i, j = (build.iota(axis) if axis is not None else build.constant(0) for axis in x.axes[-2:])
    return Expr(scalar.where(keep(i + k if k else i, j), x.term, build.constant(0, x.kind)), x.axes, x.shape)


def tril(x: Any, k: int = 0) -> Expr:
    """The lower triangle, zero elsewhere."""
    return _triangle(x, scalar.greater_equal, k)


def triu(x: Any, k: int = 0) -> Expr:
    """The upper triangle, zero elsewhere."""
    return _triangle(x, scalar.less_equal, k)


# -------------------------------------------------------------------------------------------------------------- joining
def concatenate(arrays: Sequence[Any], axis: int = 0) -> Expr:
    """Expressions joined along an axis."""
    parts = [as_expr(array) for array in arrays]
    rank = parts[0].ndim
    axis = axis % rank if rank else 0
    for part in parts:
        if part.ndim != rank or any(a != b for k, (a, b) in enumerate(zip(part.shape, parts[0].shape, strict=True)) if k != axis):
            raise mistake(f"concatenate: {' and '.join(shape_text(p.shape) for p in parts)} differ outside axis {axis}")
    joined, position = [], sum(1 for a in parts[0].axes[:axis] if a is not None)
    for part in parts:
        labels = list(part.axes)
        if labels[axis] is None:
            labels[axis] = Label(Dim(1), 0)
        joined.append(build.tensor(part.term, [label for label in labels if label is not None]))
    array = joining.concatenate(*joined, attributes=(position,))
    total = sum((part.shape[axis] for part in parts[1:]), parts[0].shape[axis])
    shape = (*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :])
    axes = axes_for(shape)
    return Expr(build.read(array, [a for a in axes if a is not None]), axes, shape)


def stack(arrays: Sequence[Any], axis: int = 0) -> Expr:
    """Expressions of one shape along a new axis."""
    parts = [as_expr(array) for array in arrays]
    shape, _, _ = broadcast(*parts, operation="stack")
    return concatenate([expand_dims(broadcast_to(part, shape), axis) for part in parts], axis)


def hstack(arrays: Sequence[Any]) -> Expr:
    """Joined along the second axis (the first for vectors)."""
    parts = [as_expr(array) for array in arrays]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1)


def vstack(arrays: Sequence[Any]) -> Expr:
    """Joined along the first axis; vectors become rows."""
    return concatenate([expand_dims(p, 0) if p.ndim == 1 else p for p in map(as_expr, arrays)], 0)


Expr.T = property(transpose)
Expr.mT = property(lambda self: swapaxes(self, -1, -2))
Expr.transpose = lambda self, *axes: transpose(self, axes or None)
Expr.reshape = reshape
Expr.ravel = ravel
Expr.flatten = ravel
Expr.take = take
Expr.diagonal = diagonal
Expr.squeeze = squeeze
Expr.swapaxes = swapaxes
