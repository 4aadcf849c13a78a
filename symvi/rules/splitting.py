"""A matrix as one that is cheap to solve with plus products through a short label: D + U V', D + U A^-1 U', D + U W U'.

Where a product is symmetric and positive it is whitened, with V = L^-1 U' for A = L L': then what has to be factorised,
I + V D^-1 V', has no eigenvalue below 1 (as in Titsias 2009; A + U' D^-1 U would square the condition of A).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symvi.atoms.elementwise import sqrt
from symvi.atoms.linear_algebra import cholesky, is_spd, solve_triangular
from symvi.expr.build import add, contract, delta, multiply, read, rename, tensor
from symvi.expr.dims import Dim
from symvi.expr.facts import is_positive, matrix_facts
from symvi.expr.labels import Label, sort_labels
from symvi.expr.nodes import Array, Contract, Operator, Read, Sum, Tensor, Term
from symvi.rewrite.views import fresh_labels, opened_sum
from symvi.rules.factored import solve_columns

__all__ = ["Diagonal", "Structured", "Updated", "Split", "split"]

CHEAP = ("kron", "block_diagonal")  # array atoms whose solves are solves with their parts
Factors = list[tuple[Term, int]]


@dataclass(frozen=True)
class Low:
    """Σ over `link` of left[i, link] right[link, j]; without a link an outer product of vectors."""

    left: Term
    right: Term
    link: Label | None

    @property
    def rank(self) -> Dim:
        return Dim(1) if self.link is None else self.link.dim


@dataclass(frozen=True)
class Place:
    """The labels of a matrix: of its batch, its rows and its columns."""

    batch: tuple[Label, ...]
    row: Label
    column: Label

    def flipped(self, term: Term) -> Term:
        return rename(term, {self.row: self.column, self.column: self.row})


# ----------------------------------------------------------------------------------------------- operators to solve with
class Diagonal:
    """diag(d), d on the batch labels and the row."""

    def __init__(self, entries: Term, place: Place):
        self.entries = entries
        self.matrices, self.scalars, self.diagonals = [], [], [(entries, 1, place.row)]

    def solve(self, right: Term, transposed: bool = False) -> Term:
        """The solution for a term along the row."""
        return right / self.entries


class Structured:
    """A matrix that is cheap to solve with, kept as it is."""

    def __init__(self, matrix: Array, place: Place):
        self.matrix, self.place = matrix, place
        self.matrices, self.scalars, self.diagonals = [matrix], [], []

    def solve(self, right: Term, transposed: bool = False) -> Term:
        batch, row = self.place.batch, self.place.row
        columns = sort_labels(right.labels - {row, *batch})
        return solve_columns(self.matrix, right, batch, row, columns, transposed)


class Updated:
    """base + left right: solved by the matrix inversion lemma, its determinant by the determinant lemma.

    Its determinant is the product of those of `matrices`, of `scalars` and of diagonal matrices.
    """

    def __init__(self, base, low: Low, place: Place, other: Label | None):
        self.base, self.place, self.link, self.other = base, place, low.link, other  # `other`: the column of the inner matrix
        self.left, self.right = low.left, rename(low.right, {place.column: place.row})
        self.inner = self._inner()
        self.core = None if self.link is None else tensor(self.inner, (*place.batch, self.link, self.other))
        self.matrices = [*base.matrices, *([] if self.link is None else [self.core])]
        self.scalars = [*base.scalars, *([self.inner] if self.link is None else [])]
        self.diagonals = base.diagonals

    def _inner(self) -> Term:
        """I + right base^-1 left."""
        reached = self.base.solve(self.left)
        if self.link is None:
            return 1 + contract([self.place.row], [(self.right, 1), (reached, 1)])
        reached = rename(reached, {self.link: self.other})
        return delta(self.link, self.other) + contract([self.place.row], [(self.right, 1), (reached, 1)])

    def solve(self, right: Term, transposed: bool = False) -> Term:
        """base^-1 b - base^-1 left (I + right base^-1 left)^-1 right base^-1 b; of the transpose with all of them transposed."""
        ahead, behind = (self.left, self.right) if transposed else (self.right, self.left)
        direct = self.base.solve(right, transposed)
        seen, back = contract([self.place.row], [(ahead, 1), (direct, 1)]), self.base.solve(behind, transposed)
        if self.link is None:
            return direct - back * seen / self.inner
        columns = sort_labels(seen.labels - {self.link, *self.place.batch})
        inside = solve_columns(self.core, seen, self.place.batch, self.link, columns, transposed)
        return direct - contract([self.link], [(back, 1), (inside, 1)])


# ------------------------------------------------------------------------------------------------------------- splitting
@dataclass(frozen=True)
class Split:
    """A matrix taken apart: the part that is cheap to solve with, and products of low rank."""

    place: Place
    base: Diagonal | Structured
    lows: tuple[Low, ...]

    @property
    def rank(self) -> Dim:
        return sum((low.rank for low in self.lows), Dim(0))

    def operator(self, avoid: Iterable[Label] = ()) -> Updated:
        """The matrix as something to solve with, for right sides with the labels `avoid`: every link has labels of its own."""
        result, used = self.base, {*avoid, *self.place.batch, self.place.row, self.place.column}
        used |= {label for low in self.lows for label in (*low.left.labels, *low.right.labels)}
        for low in self.lows:
            other = None
            if low.link is not None:
                link = fresh_labels([low.link], used)[low.link]
                other = fresh_labels([link], used | {link})[link]
                low = Low(rename(low.left, {low.link: link}), rename(low.right, {low.link: link}), link)
                used |= {link, other}
            result = Updated(result, low, self.place, other)
        return result


def split(matrix: Array) -> Split | None:
    """The parts of a sum of a cheap matrix and products of low rank; None for any other matrix."""
    if not isinstance(matrix, Tensor) or not isinstance(matrix.term, Sum) or len(matrix.term.children) < 2:
        return None
    *batch, row, column = matrix.axes
    place = Place(tuple(batch), row, column)
    lows = [_low(coefficient, term, place) for coefficient, term in matrix.term.terms]
    cheap = [part for part, low in zip(matrix.term.terms, lows, strict=True) if low is None]
    if len(cheap) in (0, len(lows)) or not all(_is_cheap(term, place) for _, term in cheap):
        return None
    base = _base(add(cheap), place)
    return None if base is None else Split(place, base, tuple(low for low in lows if low is not None))


def _is_cheap(term: Term, place: Place) -> bool:
    if isinstance(term, Read) and isinstance(term.array, Operator):
        return term.array.name in CHEAP and term.indices == (*place.batch, place.row, place.column)
    return {place.row, place.column} <= term.labels and "diagonal" in matrix_facts(tensor(term, (*place.batch, place.row, place.column)))


def _base(term: Term, place: Place) -> Diagonal | Structured | None:
    matrix = tensor(term, (*place.batch, place.row, place.column))
    if "diagonal" in matrix_facts(matrix):
        return Diagonal(rename(term, {place.column: place.row}), place)
    return Structured(matrix, place) if isinstance(term, Read) else None  # two structures, whose sum has none


def _low(coefficient: Fraction, term: Term, place: Place) -> Low | None:
    """A product that splits at one label, or at none, between what holds the row and what holds the column."""
    found = _spliced(term, place)
    if found is None:
        return None
    bound, factors = found
    ahead = [(f, e) for f, e in factors if place.row in f.labels]
    behind = [(f, e) for f, e in factors if place.column in f.labels]
    between = [(f, e) for f, e in factors if not {place.row, place.column} & f.labels]
    links = [[label for label in bound if any(label in f.labels for f, _ in side)] for side in (ahead, behind)]
    if links[0] and len(links[0]) == 1:
        (link,) = links[0]
        white = _whitened(coefficient, ahead, between, behind, link, bound, place)
        return white or Low(multiply(ahead), coefficient * contract(_without(bound, link), between + behind), link)
    if len(links[1]) == 1:
        (link,) = links[1]
        return Low(coefficient * contract(_without(bound, link), ahead + between), multiply(behind), link)
    if links[0] and links[1]:
        return None
    return Low(coefficient * contract(bound, ahead + between), multiply(behind), None)


def _without(bound: Sequence[Label], link: Label) -> list[Label]:
    return [label for label in bound if label != link]


def _spliced(term: Term, place: Place) -> tuple[list[Label], Factors] | None:
    """(bound labels, factors) of a term as one product, none of whose factors holds both the row and the column."""
    bound: list[Label] = []
    factors: Factors = []
    pending = list(term.factors) if isinstance(term, Contract) and not term.bound else [(term, 1)]
    while pending:
        factor, exponent = pending.pop()
        if not {place.row, place.column} <= factor.labels:
            factors.append((factor, exponent))
            continue
        avoid = {*bound, *place.batch, place.row, place.column, *(label for f, _ in (*factors, *pending) for label in f.labels)}
        inner = opened_sum(factor, avoid) if exponent == 1 else None
        if inner is None:
            return None
        bound += inner[0]
        pending += inner[1]
    return bound, factors


# ------------------------------------------------------------------------------------------------------------- whitening
def _whitened(
    coefficient: Fraction, ahead: Factors, between: Factors, behind: Factors, link: Label, bound: Sequence[Label], place: Place
) -> Low | None:
    """c V' V for a symmetric positive product: V = diag(√w) U', chol(A)^-1 U' or chol(W)' U'."""
    inner = _without(bound, link)
    scalar = coefficient * multiply([(f, e) for f, e in between if not f.labels & set(bound)])
    middle = [(f, e) for f, e in between if f.labels & set(bound)]
    if not middle:
        factor = _of_solve(ahead, behind, link, place)
    elif inner:
        factor, link = _of_middle(ahead, middle, behind, link, inner, place), inner[0]
    else:
        factor = _of_weights(ahead, multiply(middle), behind, place)
    return None if factor is None else Low(factor, scalar * rename(factor, {place.row: place.column}), link)


def _of_weights(ahead: Factors, weight: Term, behind: Factors, place: Place) -> Term | None:
    """U diag(√w) for U diag(w) U'; not where w may be 0, at which the root has no derivative."""
    left = multiply(ahead)
    return sqrt(weight) * left if is_positive(weight) and place.flipped(left) is multiply(behind) else None


def _of_solve(ahead: Factors, behind: Factors, link: Label, place: Place) -> Term | None:
    """U L^-T for U A^-1 U', where A = L L'; U' was the right side of a solve on either side."""
    for solved, other in ((behind, multiply(ahead)), (ahead, multiply(behind))):
        ((factor, exponent), *more) = solved
        if more or exponent != 1 or not isinstance(factor, Read) or not isinstance(factor.array, Operator) or factor.array.name != "solve":
            continue
        matrix, right = factor.array.children
        if factor.array.attributes[1] or not is_spd(matrix) or factor.indices[-2] != link:
            continue
        if read(right, factor.indices) is not place.flipped(other):
            continue
        white = read(solve_triangular(cholesky(matrix), right, attributes=(False, False)), factor.indices)
        return rename(white, {place.column: place.row}) if solved is behind else white
    return None


def _of_middle(ahead: Factors, middle: Factors, behind: Factors, link: Label, inner: Sequence[Label], place: Place) -> Term | None:
    """U chol(W) for U W U'."""
    left, (other, *more) = multiply(ahead), inner
    if more or other.dim != link.dim or rename(place.flipped(left), {link: other}) is not multiply(behind):
        return None
    matrix = tensor(multiply(middle), (*place.batch, link, other))
    if "spd" not in matrix_facts(matrix):
        return None
    return contract([link], [(read(cholesky(matrix), (*place.batch, link, other)), 1), (left, 1)])
