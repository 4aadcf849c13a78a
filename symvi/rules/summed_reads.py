"""A structured matrix read inside a sum: which of its indices are summed, and what else carries them."""

from __future__ import annotations

from dataclasses import dataclass

from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Contract, Operator, Read, Term
from symvi.rewrite.views import operator_read

__all__ = ["SummedRead", "summed_read"]

Powers = list[tuple[Term, int]]


@dataclass
class SummedRead:
    """Σ S[batch, row, column] f(row) g(column) h(row, column) · rest.

    `summed` says of row and column whether the sum runs over them. `right` are the factors with the summed index that was
    chosen as the column alone, `left` those with the row alone, `both` those with both; `inner` are labels that only `right` carries.
    """

    matrix: Array
    batch: tuple
    row: Label | Term
    column: Label
    flipped: bool
    row_summed: bool
    right: Powers
    left: Powers
    both: Powers
    rest: Powers
    inner: list[Label]
    bound: list[Label]

    @property
    def one_index(self) -> bool:
        """Is it the diagonal that is read?"""
        return self.row == self.column


def summed_read(node: Contract, name: str) -> SummedRead | None:
    """The first factor of a contraction that reads the array atom `name` at a summed index."""
    for factor, exponent in node.factors:
        found = operator_read(factor, name)
        if found is None or exponent != 1:
            continue
        taken = _taken(node, factor, found[0], found[1])
        if taken is not None:
            return taken
    return None


def _taken(node: Contract, factor: Read, matrix: Operator, indices: tuple) -> SummedRead | None:
    batch, pair = indices[:-2], indices[-2:]
    used = {label for index in batch for label in ([index] if isinstance(index, Label) else index.labels)}
    sums = [isinstance(index, Label) and index in node.bound and index not in used for index in pair]
    if not any(sums):
        return None
    flipped = not sums[1]
    row, column = reversed(pair) if flipped else pair
    if row != column and not isinstance(row, Label) and column in row.labels:
        return None
    row_summed = all(sums)
    others = [(f, e) for f, e in node.factors if f is not factor]
    both = [(f, e) for f, e in others if row_summed and {row, column} <= f.labels]
    right = [(f, e) for f, e in others if column in f.labels and (f, e) not in both]
    left = [(f, e) for f, e in others if row_summed and row in f.labels and (f, e) not in both and (f, e) not in right]
    rest = [(f, e) for f, e in others if (f, e) not in both and (f, e) not in right and (f, e) not in left]
    if not row_summed and isinstance(row, Label) and any(row in f.labels for f, _ in right):
        return None  # an elementwise product with the matrix
    outside = {label for f, _ in (*both, *left, *rest) for label in f.labels} | used
    outside |= {row} if isinstance(row, Label) else set(row.labels)
    inside = {label for f, _ in right for label in f.labels}
    inner = [label for label in node.bound if label != column and label in inside - outside]
    bound = [label for label in node.bound if label not in (row, column, *inner)]
    if not row_summed and row in node.bound:
        bound.append(row)
    return SummedRead(matrix, batch, row, column, flipped, row_summed, right, left, both, rest, inner, bound)
