"""Moves of axes: transposes, new axes, reshapes, flips. Only labels move, never values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symvi.array.expression import Expr, as_expr, axes_for, dims_of, from_term, joint_dim, mistake, on_axes, shape_text
from symvi.array.subscripts import Fresh, getitem
from symvi.atoms import elementwise as scalar
from symvi.expr import build
from symvi.expr.dims import Dim, as_dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Term
from symvi.expr.printing import text

__all__ = ["transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze", "reshape", "ravel", "broadcast_to", "take", "flip", "one_axis"]


def one_axis(x: Expr, axis: Any, operation: str) -> int:
    """A non-negative axis position."""
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise mistake(f"{operation}: an axis is an integer, not {axis!r}")
    axis = int(axis)
    if not -x.ndim <= axis < x.ndim:
        raise mistake(f"{operation}: axis {axis} is out of range for {text(x)} with dims {shape_text(x.shape)}")
    return axis % x.ndim


def _many(axis: Any) -> tuple:
    return tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Expr:
    """Axes in another order (reversed by default)."""
    x = as_expr(x)
    order = list(range(x.ndim))[::-1] if axes is None else [one_axis(x, axis, "transpose") for axis in axes]
    if sorted(order) != list(range(x.ndim)):
        raise mistake(f"transpose: {axes} is not an order of the {x.ndim} axes")
    return from_term(x.term, [x.axes[position] for position in order])


def swapaxes(x: Any, first: int, second: int) -> Expr:
    """Two axes exchanged."""
    x = as_expr(x)
    order = list(range(x.ndim))
    first, second = one_axis(x, first, "swapaxes"), one_axis(x, second, "swapaxes")
    order[first], order[second] = order[second], order[first]
    return transpose(x, order)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Expr:
    """Axes moved to other places; the others keep their order."""
    x = as_expr(x)
    sources = [one_axis(x, axis, "moveaxis") for axis in _many(source)]
    places = [one_axis(x, axis, "moveaxis") for axis in _many(destination)]
    if len(set(sources)) != len(sources) or len(set(places)) != len(places) or len(sources) != len(places):
        raise mistake(f"moveaxis: {source} and {destination} are not as many different axes")
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return transpose(x, order)


def expand_dims(x: Any, axis: int | Sequence[int]) -> Expr:
    """New axes of extent 1, at their places in the result."""
    x = as_expr(x)
    added = _many(axis)
    rank = x.ndim + len(added)
    if any(not -rank <= place < rank for place in added) or len({place % rank for place in added}) != len(added):
        raise mistake(f"expand_dims: {axis} are no different axes of a result with {rank} axes")
    axes = list(x.axes)
    for place in sorted(place % rank for place in added):
        axes.insert(place, None)
    return from_term(x.term, axes)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Expr:
    """Drop axes of extent 1."""
    x = as_expr(x)
    dropped = {one_axis(x, a, "squeeze") for a in _many(axis)} if axis is not None else {k for k, a in enumerate(x.axes) if a is None}
    for position in dropped:
        if x.axes[position] is not None:
            raise mistake(f"squeeze: axis {position} of {text(x)} has the dim {x.shape[position]}, not 1")
    return from_term(x.term, [a for position, a in enumerate(x.axes) if position not in dropped])


def broadcast_to(x: Any, shape: Sequence[Dim | int] | Dim | int) -> Expr:
    """x repeated to a shape."""
    x = as_expr(x)
    target = dims_of([shape])
    if len(target) < x.ndim or any(own != 1 and joint_dim(own, dim) is None for own, dim in zip(x.shape, target[len(target) - x.ndim :])):
        raise mistake(f"broadcast_to: {text(x)} with dims {shape_text(x.shape)} does not broadcast to {shape_text(target)}")
    axes = axes_for(target)
    return Expr(on_axes(x, axes[len(axes) - x.ndim :]), axes, target)


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
    own = [(axis, dim) for axis, dim in zip(x.axes, x.shape, strict=True) if axis is not None]
    wanted = [dim for dim in target if dim != 1]
    head = _common([dim for _, dim in own], wanted)
    last = _common([dim for _, dim in own[head:]][::-1], wanted[head:][::-1])
    fresh = Fresh(x)
    kept = [axis for axis, _ in own]
    labels = kept[:head] + [fresh.label(dim) for dim in wanted[head : len(wanted) - last]] + kept[len(kept) - last :]
    middle = own[head : len(own) - last]
    mapping = _row_major(labels[head : len(wanted) - last], middle) if middle else {}
    supply = iter(labels)
    return from_term(build.rename(x.term, mapping), [None if dim == 1 else next(supply) for dim in target])


def _common(left: list[Dim], right: list[Dim]) -> int:
    """How many leading dims are the same: those axes stay, so that a plate stays a plate."""
    count = 0
    for a, b in zip(left, right):
        if a != b:
            break
        count += 1
    return count


def _row_major(labels: list[Label], sources: list[tuple[Label, Dim]]) -> dict[Label, Term]:
    """The index of every source axis from the row-major position over `labels`."""
    rest = build.zero
    for label in labels:
        rest = rest * build.size(label.dim) + build.iota(label)
    mapping: dict[Label, Term] = {}
    for position, (axis, dim) in reversed(list(enumerate(sources))):
        mapping[axis] = scalar.remainder(rest, build.size(dim)) if position else rest
        rest = scalar.floor_divide(rest, build.size(dim)) if position else rest
    return mapping


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


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Expr:
    """Axes (all by default) in reverse order."""
    x = as_expr(x)
    turned = set(range(x.ndim)) if axis is None else {one_axis(x, a, "flip") for a in _many(axis)}
    return getitem(x, tuple(slice(None, None, -1) if position in turned else slice(None) for position in range(x.ndim)))


def take(x: Any, indices: Any, axis: int | None = None) -> Expr:
    """Entries at integer indices along an axis (of all entries in row-major order by default)."""
    x = as_expr(x)
    if axis is None:
        return getitem(ravel(x), indices)
    return getitem(x, (*[slice(None)] * one_axis(x, axis, "take"), indices))


Expr.T = property(transpose)
Expr.mT = property(lambda self: swapaxes(self, -1, -2))
Expr.transpose = lambda self, *axes: transpose(self, (axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes) or None)
Expr.reshape = reshape
Expr.ravel = ravel
Expr.flatten = ravel
Expr.take = take
Expr.squeeze = squeeze
Expr.swapaxes = swapaxes
