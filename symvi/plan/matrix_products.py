"""Contractions that are products of matrices: Σ_k A[i,k] B[k,j], with groups of labels for i, j and k, and perhaps a stack of them.

A contraction of many factors is one if its factors fall into two operands that share nothing but the labels summed over (and those of
the stack). An operand that is more than one factor, or no array yet, is computed into one first.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from symvi.expr.build import multiply
from symvi.expr.dims import Dim
from symvi.expr.labels import Label, sort_labels
from symvi.expr.nodes import Contract, Read, Term
from symvi.rewrite.guard import Guard, ask

__all__ = ["MatrixProduct", "Arranged", "matrix_product", "arrange", "plain_read", "default_axes"]

LEAST_EXTENT = 8  # of the groups of labels of a matrix product
Axes = tuple[Label, ...]


@dataclass(frozen=True)
class MatrixProduct:
    """The two operands of a contraction, and the labels of the stack that all share."""

    left: Term
    right: Term
    stack: frozenset[Label]


@dataclass(frozen=True)
class Arranged:
    """How the arrays of a product lie in memory: out (rows, columns) = left (rows, inner) right (inner, columns).

    A transposed operand is stored the other way round.
    """

    left: Term
    right: Term
    stack: Axes
    rows: Axes
    columns: Axes
    inner: Axes
    left_transposed: bool
    right_transposed: bool


def matrix_product(term: Term, plates: Container[Label] = ()) -> MatrixProduct | None:
    """The operands of a contraction that is worth a matrix product: no group of labels is small."""
    if not isinstance(term, Contract) or not term.bound or term.kind != "f" or len(term.labels) < 2 or len(term.factors) < 2:
        return None
    bound = frozenset(term.bound)
    seed = max(term.factors, key=lambda item: (len(item[0].labels), item[1] == 1, isinstance(item[0], Read), item[0].digest))[0]
    left = [(f, e) for f, e in term.factors if f.labels >= bound and f.labels <= seed.labels and f.labels - bound]
    right = [item for item in term.factors if item not in left]
    own, inside = (frozenset().union(*(f.labels for f, _ in side)) for side in (left, right))
    if not bound <= own or not bound <= inside:
        return None
    stack = own & inside - bound
    rows, columns = own - inside, inside - own
    if not rows or not columns or not all(_is_large(group, plates) for group in (rows, columns, bound)):
        return None
    return MatrixProduct(multiply(left), multiply(right), stack)


def arrange(product: MatrixProduct, bound: frozenset[Label], out: Axes, axes_of: Callable[[Term], Axes | None]) -> Arranged | None:
    """The product as one call per element of the stack, if the arrays lie so that no element has to move."""
    operands = (product.left, product.right)
    places = [axes_of(operand) for operand in operands]
    stack = tuple(axis for axis in out if axis in product.stack)
    if any(place is None or len(set(place)) < len(place) or place[: len(stack)] != stack for place in (out, *places)):
        return None
    result = out[len(stack) :]
    for first, second in ((0, 1), (1, 0)):
        own = operands[first].labels - bound - product.stack
        rows, columns = result[: len(own)], result[len(own) :]
        if set(rows) != own:
            continue
        left = _split(places[first][len(stack) :], rows)
        right = _split(places[second][len(stack) :], columns)
        if left is None or right is None or left[0] != right[0]:
            return None
        inner, left_rows_first = left
        _, right_columns_first = right
        if not left_rows_first and right_columns_first:
            return None
        return Arranged(operands[first], operands[second], stack, rows, columns, inner, not left_rows_first, right_columns_first)
    return None


def _split(axes: Axes, own: Sequence[Label]) -> tuple[Axes, bool] | None:
    """(the other labels, do the own ones come first?) if the own ones stand together and in order."""
    own = tuple(own)
    if axes[: len(own)] == own:
        return axes[len(own) :], True
    if axes[len(axes) - len(own) :] == own:
        return axes[: len(axes) - len(own)], False
    return None


def plain_read(term: Term) -> bool:
    """A read of an array at labels that differ: the array itself will do as an operand."""
    if not isinstance(term, Read) or not all(isinstance(index, Label) for index in term.indices):
        return False
    return len(set(term.indices)) == len(term.indices)


def default_axes(labels: frozenset[Label], plate: Label | None) -> Axes:
    """How scratch lies in memory: the plate last."""
    axes = sort_labels(labels)
    return (*(label for label in axes if label != plate), plate) if plate in axes else axes


def _is_large(group: Iterable[Label], plates: Container[Label]) -> bool:
    """Are there enough elements along a group of labels for a matrix product? A guard says so where the size is not known yet."""
    extent = Dim(1)
    for label in group:
        if label in plates:
            return True
        extent = extent * label.dim
    return ask(Guard(Dim(LEAST_EXTENT - 1), extent))
