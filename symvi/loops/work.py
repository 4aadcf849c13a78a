"""The arithmetic of a function as a polynomial in the sizes: additions, multiplications, and calls at the cost of their function."""

from __future__ import annotations

from collections.abc import Iterable

from symvi.expr.dims import Dim
from symvi.loops.ast import (
    Accumulate,
    Add,
    BlockLoop,
    Call,
    DrawRows,
    Expression,
    Extent,
    For,
    Function,
    MatrixMultiply,
    Multiply,
    Statement,
)

__all__ = ["work_of"]

CALL = 10  # additions that take as long as a scalar function, or as a draw


def work_of(function: Function) -> Dim:
    """Operations of one call over all rows of its plate."""
    rows = function.plate if function.plate is not None else Dim(1)
    drawn = {buffer.name: buffer.dims for buffer in function.arrays if buffer.role == "draw"}
    return _statements(function.body, rows, drawn)


def _statements(body: Iterable[Statement], rows: Dim, drawn: dict[str, tuple[Dim, ...]]) -> Dim:
    total = Dim(0)
    for statement in body:
        if isinstance(statement, BlockLoop):
            total = total + _statements(statement.body, rows, drawn)
        elif isinstance(statement, For):
            extent = rows if statement.rows else statement.extent.dim if isinstance(statement.extent, Extent) else Dim(1)
            total = total + extent * _statements(statement.body, rows, drawn)
        elif isinstance(statement, MatrixMultiply):
            total = total + _product(statement)
        elif isinstance(statement, DrawRows):
            numbers = Dim(CALL)
            for dim in drawn[statement.slot]:
                numbers = numbers * dim
            total = total + numbers
        else:
            total = total + Dim(_operations(statement))
    return total


def _product(statement: MatrixMultiply) -> Dim:
    """Multiplications and additions of a product of matrices; along a block all its rows count."""
    inner = statement.left.shape[0 if statement.left_transposed else 1]
    numbers = Dim(2)
    for group in (*statement.out.shape, inner):
        for dim in group:
            numbers = numbers * dim
    return numbers


def _operations(item: Statement | Expression) -> int:
    """Operations of a statement or an expression and everything in it."""
    count = int(isinstance(item, Accumulate))
    if isinstance(item, Add):
        count += len(item.terms) - 1
    elif isinstance(item, Multiply):
        count += len(item.numerators) + len(item.denominators) - 1
    elif isinstance(item, Call):
        count += CALL
    for value in vars(item).values():
        for inner in _expressions(value):
            count += _operations(inner)
    return count


def _expressions(value) -> Iterable[Expression]:
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _expressions(inner)
