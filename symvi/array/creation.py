"""Expressions without leaves: eye, zeros, ones, full, arange."""

from __future__ import annotations

from typing import Any

from symvi.array.expression import Expr, as_expr, axes_for, dims_of
from symvi.array.indexing import broadcast_to
from symvi.expr import build
from symvi.expr.dims import Dim, as_dim
from symvi.expr.labels import Label

__all__ = ["eye", "zeros", "ones", "full", "arange", "zeros_like", "ones_like", "full_like", "identity"]


def full(shape: Any, value: Any) -> Expr:
    """A constant array; `shape` is a dim, an integer or a tuple of them."""
    shape = shape if isinstance(shape, (tuple, list)) else (shape,)
    return broadcast_to(as_expr(value), dims_of([tuple(shape)]))


def zeros(*shape: Any) -> Expr:
    """Zeros."""
    return full(dims_of(shape), 0.0)


def ones(*shape: Any) -> Expr:
    """Ones."""
    return full(dims_of(shape), 1.0)


def zeros_like(x: Any) -> Expr:
    """Zeros of the shape of x."""
    return full(as_expr(x).shape, 0.0)


def ones_like(x: Any) -> Expr:
    """Ones of the shape of x."""
    return full(as_expr(x).shape, 1.0)


def full_like(x: Any, value: Any) -> Expr:
    """A constant of the shape of x."""
    return full(as_expr(x).shape, value)


def eye(rows: Dim | int, columns: Dim | int | None = None) -> Expr:
    """The identity matrix; never materialised where it meets a product."""
    shape = (as_dim(rows), as_dim(rows if columns is None else columns))
    axes = axes_for(shape)
    if shape[0] == shape[1] and None not in axes:
        return Expr(build.delta(*axes), axes)
    row, column = (build.iota(axis) if axis is not None else build.zero for axis in axes)
    return Expr(build.delta(row, column), axes)


identity = eye


def arange(start: Any, stop: Any = None) -> Expr:
    """0, 1, ..., n - 1 over a dim; or start, ..., stop - 1."""
    if stop is None:
        start, stop = 0, start
    extent = as_dim(stop) - as_dim(start)
    if extent == 1:
        return Expr(build.size(as_dim(start)), (None,))
    label = Label(extent, 0)
    return Expr(build.iota(label) + build.size(as_dim(start)), (label,))
