"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

from symvi.array.expression import Expr, as_expr, axes_for, from_term, mistake, shape_text
from symvi.array.subscripts import getitem
from symvi.atoms import elementwise as scalar
from symvi.expr import build

__all__ = ["diag", "diagonal", "tril", "triu"]


def diag(x: Any, k: int = 0) -> Expr:
    """The diagonal of a matrix (the k-th above the main one), or the matrix with a vector on its k-th diagonal."""
    x = as_expr(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise mistake(f"diag takes a vector or a matrix, not dims {shape_text(x.shape)}; the diagonals of a batch are sv.diagonal(x)")
    order = x.shape[0] + abs(k)
    axes = axes_for((order, order))
    if k == 0:
        delta = build.delta(*axes) if axes[0] is not None else build.one
        return Expr(x.term * delta, axes)
    row, column = (build.iota(axis) if axis is not None else build.zero for axis in axes)
    shift = row if k > 0 else column
    (axis,) = x.axes
    entry = build.rename(x.term, {axis: shift}) if axis is not None else x.term
    on_diagonal = scalar.equal(column - row, build.constant(k))
    return Expr(scalar.where(on_diagonal, entry, build.constant(0, x.kind)), axes)


def diagonal(x: Any, k: int = 0) -> Expr:
    """The diagonals of the last two axes."""
    x = as_expr(x)
    if k:
        x = getitem(x, (..., slice(max(-k, 0), None), slice(max(k, 0), None)))
        x = _square_part(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise mistake(f"diagonal takes square matrices, not dims {shape_text(x.shape)}")
    if x.axes[-1] is None:
        return from_term(x.term, x.axes[:-1])
    return from_term(build.rename(x.term, {x.axes[-1]: x.axes[-2]}), x.axes[:-1])


def _square_part(x: Expr) -> Expr:
    """The leading square block of matrices, one side of which is smaller by a number."""
    rows, columns = x.shape[-2:]
    difference = (rows - columns).value
    if difference is None:
        raise mistake(f"diagonal: which of the dims {rows} and {columns} is smaller is not known")
    order = columns if difference > 0 else rows
    return getitem(x, (..., slice(None, order), slice(None, order)))


def _triangle(name: str, x: Any, keep, k: int) -> Expr:
    x = as_expr(x)
    if x.ndim < 2:
        raise mistake(f"{name} takes matrices, not dims {shape_text(x.shape)}")
    i, j = (build.iota(axis) if axis is not None else build.constant(0) for axis in x.axes[-2:])
    return Expr(scalar.where(keep(i + k if k else i, j), x.term, build.constant(0, x.kind)), x.axes, x.shape)


def tril(x: Any, k: int = 0) -> Expr:
    """The lower triangle, zero elsewhere."""
    return _triangle("tril", x, scalar.greater_equal, k)


def triu(x: Any, k: int = 0) -> Expr:
    """The upper triangle, zero elsewhere."""
    return _triangle("triu", x, scalar.less_equal, k)


Expr.diagonal = diagonal
