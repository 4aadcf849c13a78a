"""How data lie in memory: as given, row after row, or with the plate last, one column after the other.

A pass works on a block of rows at a time, and its scalar work runs along them: there, and where a table meets a matrix, the rows of a
column must stand side by side. Where a wide table meets one vector, its rows do best as they are. The copy is made once, when data are
bound.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Contract, Input, Node, Operator, Read
from symvi.plan.matrix_products import plain_read
from symvi.rewrite.guard import Guard, ask

__all__ = ["plate_last", "NARROW"]

NARROW = 16  # columns


def plate_last(order: Sequence[Node], plates: Iterable[Label], products: Container[Node]) -> set[Input]:
    """The data arrays that are stored with their plate as the last axis. `products` are the contractions that are products of matrices."""
    plates = set(plates)
    tables = {node for node in order if isinstance(node, Input) and _is_table(node, plates)}
    for node in order:
        if isinstance(node, Operator):
            tables -= set(node.children)
        elif isinstance(node, Read) and node.array in tables and not plain_read(node):
            tables.discard(node.array)
    multiplied, dotted = _contracted(order, products)
    return {table for table in tables if table in multiplied or table not in dotted or _is_narrow(table)}


def _is_table(array: Input, plates: set[Label]) -> bool:
    is_data = array.leaf.role in ("data", "anonymous") and not array.leaf.attributes.get("parameter_only")
    return is_data and len(array.shape) > 1 and Label(array.shape[0], 0) in plates


def _is_narrow(array: Input) -> bool:
    columns = Dim(1)
    for dim in array.shape[1:]:
        columns = columns * dim
    return ask(Guard(columns, Dim(NARROW + 1)))


def _contracted(order: Sequence[Node], products: Container[Node]) -> tuple[set[Input], set[Input]]:
    """Arrays that are operands of products of matrices; those in other sums of products, as of a matrix and a vector."""
    multiplied: set[Input] = set()
    dotted: set[Input] = set()
    for node in order:
        if isinstance(node, Contract) and node.bound:
            found = {factor.array for factor, _ in node.factors if isinstance(factor, Read)}
            (multiplied if node in products else dotted).update(found)
    return multiplied, dotted
