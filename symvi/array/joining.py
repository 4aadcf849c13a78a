"""Expressions joined: concatenate, stack and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symvi.array.axes import broadcast_to, expand_dims, one_axis
from symvi.array.expression import Expr, as_expr, axes_for, broadcast, mistake, set_stack_hook, shape_text
from symvi.atoms import joining
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.printing import text

__all__ = ["concatenate", "stack", "hstack", "vstack"]


def _parts(arrays: Any, operation: str) -> list[Expr]:
    parts = [as_expr(array) for array in arrays]
    if not parts:
        raise mistake(f"{operation} needs at least one expression", ExpressionError)
    return parts


def concatenate(arrays: Sequence[Any], axis: int = 0) -> Expr:
    """Expressions joined along an axis."""
    parts = _parts(arrays, "concatenate")
    rank = parts[0].ndim
    if not rank:
        raise mistake("concatenate joins expressions with axes; put numbers together with sv.stack", ExpressionError)
    axis = one_axis(parts[0], axis, "concatenate")
    for part in parts:
        if part.ndim != rank or any(a != b for k, (a, b) in enumerate(zip(part.shape, parts[0].shape, strict=True)) if k != axis):
            described = " and ".join(f"{text(p)} with dims {shape_text(p.shape)}" for p in parts)
            raise mistake(f"concatenate: {described} differ outside axis {axis}")
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
    parts = _parts(arrays, "stack")
    shape, _, _ = broadcast(*parts, operation="stack")
    return concatenate([expand_dims(broadcast_to(part, shape), axis) for part in parts], axis)


def hstack(arrays: Sequence[Any]) -> Expr:
    """Joined along the second axis (the first for vectors)."""
    parts = [expand_dims(p, 0) if not p.ndim else p for p in _parts(arrays, "hstack")]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1)


def vstack(arrays: Sequence[Any]) -> Expr:
    """Joined along the first axis; vectors become rows."""
    parts = [expand_dims(p, (0, 1)) if not p.ndim else expand_dims(p, 0) if p.ndim == 1 else p for p in _parts(arrays, "vstack")]
    return concatenate(parts, 0)


set_stack_hook(stack)
