"""Matrices seen as products: the decompositions that the rules on determinants, inverses and solves share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symvi.atoms.array_atom import ARRAY_ATOMS, axes_of
from symvi.atoms.elementwise import absolute, log, power, sign
from symvi.atoms.linear_algebra import is_spd, solve, transpose
from symvi.atoms.structured import joint, parts_of
from symvi.expr.build import add, constant, contract, multiply, one, read, reduce, rename, split_coefficient, tensor
from symvi.expr.dims import Dim
from symvi.expr.facts import asserted, is_nonnegative, is_positive
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Contract, Delta, Operator, Read, Tensor, Term
from symvi.rewrite.views import fresh_labels, opened_sum

__all__ = ["Scalings", "scalings", "square_product", "determinant", "solve_columns", "is_named", "DETERMINANTS"]

DETERMINANTS = ("read logdet()", "read det()", "read det_sign()")
Powers = tuple[tuple[Term, int], ...]


@dataclass
class Scalings:
    """c diag(r) A diag(s): scalar factors c, factors r of rows and s of columns, the matrix between."""

    coefficient: Fraction
    scalars: Powers
    rows: Powers
    columns: Powers
    core: Array

    @property
    def scalar(self) -> Term:
        return self.coefficient * multiply(self.scalars)


def scalings(array: Array) -> Scalings | None:
    """The factors of a matrix that carry at most one of its labels; None where there are none, or nothing is left."""
    if not isinstance(array, Tensor):
        return None
    i, j = array.axes[-2:]
    coefficient, term = split_coefficient(array.term)
    factors = term.factors if isinstance(term, Contract) and not term.bound else ((term, 1),)
    kinds: dict[frozenset, list[tuple[Term, int]]] = {}
    for base, exponent in factors:
        kinds.setdefault(base.labels & {i, j}, []).append((base, exponent))
    core = kinds.pop(frozenset({i, j}), [])
    if not core or (coefficient == 1 and not kinds) or any(isinstance(base, Delta) for base, _ in core):
        return None
    inner = tensor(multiply(core), array.axes)
    if is_spd(array) and not is_spd(inner):  # stated of the whole: the part would be taken for a general matrix
        return None
    scalars, rows, columns = (tuple(kinds.get(frozenset(labels), ())) for labels in ((), (i,), (j,)))
    return Scalings(coefficient, scalars, rows, columns, inner)


def square_product(array: Array) -> tuple[Array, Array] | None:
    """(A, B) with A B = `array`, both square; None where no sum over an inner index separates row and column.

    A product of which the user states more than its factors tell stays whole, unless it is A A'.
    """
    found = opened_sum(array.term, array.axes) if isinstance(array, Tensor) else None
    if found is None:
        return None
    bound, factors = found
    batch, (i, j) = array.axes[:-2], array.axes[-2:]
    for middle in bound:
        if middle.dim != i.dim:
            continue
        inner = [label for label in bound if label != middle]
        left = _reached(i, factors, inner)
        right = _reached(j, factors, inner)
        free = [item for item in factors if item not in left and item not in right]
        if any(item in right for item in left) or any(base.labels & set(inner) for base, _ in free):
            continue
        parts = ([*left, *free], right)
        if all(any(middle in base.labels for base, _ in part) for part in (left, right)):
            of_left = contract(_labels(inner, parts[0]), parts[0])
            of_right = contract(_labels(inner, parts[1]), parts[1])
            left, right = tensor(of_left, (*batch, i, middle)), tensor(of_right, (*batch, middle, j))
            return None if asserted(array) and transpose(right) is not left else (left, right)
    return None


def _labels(bound: Sequence[Label], factors) -> list[Label]:
    return [label for label in bound if any(label in base.labels for base, _ in factors)]


def _reached(start: Label, factors: Powers, through: Sequence[Label]) -> list[tuple[Term, int]]:
    """The factors joined to a label through the labels `through`."""
    reached, taken = {start}, []
    while True:
        more = [item for item in factors if item not in taken and item[0].labels & reached]
        if not more:
            return taken
        taken.extend(more)
        reached |= {label for base, _ in more for label in base.labels if label in through}


# ---------------------------------------------------------------------------------------------------------- determinants
def determinant(node: Read, parts: Sequence[tuple[Array, int, Term]], scalars: Sequence = (), diagonals: Sequence = ()) -> Term:
    """log|det|, det or its sign, as `node` asks, of a product.

    `parts` are (matrix, exponent, how often), `scalars` (factor, exponent, order of the matrix), `diagonals` (entries,
    exponent, label of the row). Matrices and terms have the batch axes of the matrix of `node`.
    """
    name, matrix = node.array.name, node.array.children[0]
    batch = dict(zip(axes_of(matrix)[:-2], node.indices, strict=True))
    atom = ARRAY_ATOMS[name]
    found: list[tuple[Term, int, Term]] = [(read(atom(part), node.indices), e, count) for part, e, count in parts]
    found += [(_entry(name, rename(factor, batch)), e, order) for factor, e, order in scalars]
    for entries, e, label in diagonals:
        if name == "logdet":
            value = contract([label], [(_entry(name, entries), 1)])
        else:
            value = reduce("prod", [label], _entry(name, entries))
        found.append((rename(value, batch), e, one))
    if name == "logdet":
        return add([(Fraction(e), count * value) for value, e, count in found])
    return multiply([(value if count is one else power(value, count), e) for value, e, count in found])


def _entry(name: str, factor: Term) -> Term:
    if name == "logdet":
        return log(factor if is_nonnegative(factor) else absolute(factor))
    if name == "det_sign":
        return constant(1.0) if is_positive(factor) else sign(factor)
    return factor


# ---------------------------------------------------------------------------------------------------------------- solves
def solve_columns(
    matrix: Array, right: Term, batch: tuple, row: Label, columns: tuple[Label, ...], transposed: bool = False, at: Label | None = None
) -> Term:
    """A^-1 applied along the label `row` of a term, read at the label `at`; several further labels become the columns of one right side."""
    at = row if at is None else at
    if len(columns) <= 1:
        axes = (*batch, row, *columns)
        solved = solve(matrix, tensor(right, axes), attributes=(transposed, not columns))
        return read(solved, (*batch, at, *columns))
    total = Dim(1)
    for label in columns:
        total = total * label.dim
    bare = Label(total, 0)
    together = fresh_labels([bare], {*right.labels, row, bare, *(index for index in batch if isinstance(index, Label))})[bare]
    apart, rest, position = {}, together, columns[0]
    for label in reversed(columns[1:]):
        rest, apart[label] = parts_of(rest, label.dim)
    apart[columns[0]] = rest
    for label in columns[1:]:
        position = joint(position, label, label.dim)
    axes = (*batch, row, together)
    solved = solve(matrix, tensor(rename(right, apart), axes), attributes=(transposed, False))
    return read(solved, (*batch, at, position))


def is_named(array: Array, name: str) -> bool:
    """Is the array the result of the array atom `name`?"""
    return isinstance(array, Operator) and array.name == name
