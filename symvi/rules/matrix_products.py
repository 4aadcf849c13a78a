"""Determinants, inverses, solves and factors of products: each factor is treated by itself, the product is never formed."""

from __future__ import annotations

from symvi.atoms.array_atom import axes_of
from symvi.atoms.elementwise import sqrt
from symvi.atoms.linear_algebra import cholesky, det, det_sign, inverse, logdet, solve
from symvi.expr.build import contract, multiply, one, read, read_own, rename, size, split_coefficient, tensor
from symvi.expr.dims import dim
from symvi.expr.facts import is_positive
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Contract, Operator, Read, Tensor, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import fresh_labels
from symvi.rules.factored import DETERMINANTS, determinant, is_named, scalings, square_product

M, B, K = dim("M"), dim("B"), dim("K")
i, j, k = Label(M, 0), Label(M, 1), Label(M, 2)
b = Label(B, 0)


def _of_each(*arrays: Array) -> list[Term]:
    return [read_own(name(array)) for name in (logdet, det, det_sign) for array in arrays]


# -------------------------------------------------------------------------------------------------------------- scalings
def _scaled() -> list[Array]:
    c, d, A = example.term("c", stated=example.POSITIVE), example.term("d", M), example.matrix("A", M, M)
    S, w = example.matrix("S", B, M, M), example.term("w", B)
    return [
        tensor(c * read_own(A), axes_of(A)),
        tensor(-3 * read_own(A), axes_of(A)),
        tensor(w**-2 * read_own(S), axes_of(S)),
        tensor(d * read_own(A) * rename(d, {i: j}), axes_of(A)),
    ]


def _not_scaled() -> list[Array]:
    A = example.matrix("A", M, M)
    return [tensor(2 + read_own(A), axes_of(A))]


@rule.procedure(
    head=DETERMINANTS, stage="stable", kind="reassociate",
    example=lambda: _of_each(*_scaled()), counterexample=lambda: _of_each(*_not_scaled()),
)  # fmt: skip
def determinant_of_scaled(node: Read) -> Term | None:
    """|c diag(r) A diag(s)| = c^n Π r Π s |A|, and so for its logarithm and sign."""
    matrix = node.array.children[0]
    found = scalings(matrix)
    if found is None:
        return None
    row, column = matrix.axes[-2:]
    order = size(row.dim)
    scalars = [(base, e, order) for base, e in found.scalars]
    if found.coefficient != 1:
        scalars.append((found.coefficient * one, 1, order))
    diagonals = [(base, e, row) for base, e in (*found.rows, *((rename(base, {column: row}), e) for base, e in found.columns))]
    return determinant(node, [(found.core, 1, one)], scalars, diagonals)


@rule.procedure(
    head="inverse()", stage="stable", kind="reassociate",
    example=lambda: [inverse(array) for array in _scaled()], counterexample=lambda: [inverse(array) for array in _not_scaled()],
)  # fmt: skip
def inverse_of_scaled(node: Operator) -> Array | None:
    """(c diag(r) A diag(s))^-1 = diag(1/s) A^-1 diag(1/r) / c."""
    found = scalings(node.children[0])
    if found is None:
        return None
    axes = axes_of(node)
    swap = {axes[-2]: axes[-1], axes[-1]: axes[-2]}
    sides = rename(multiply([*found.rows, *found.columns]), swap)
    return tensor(read_own(inverse(found.core)) / (found.scalar * sides), axes)


def _solves(arrays: list[Array]) -> list[Array]:
    right = {M: example.array("b", M), B: example.array("b", B, M)}
    return [solve(array, right[array.shape[0]], attributes=(turned, True)) for array in arrays for turned in (False, True)]


@rule.procedure(
    head="solve()", stage="stable", kind="reassociate",
    example=lambda: _solves(_scaled()), counterexample=lambda: _solves(_not_scaled()),
)  # fmt: skip
def solve_of_scaled(node: Operator) -> Array | None:
    """(c diag(r) A diag(s))^-1 b = A^-1 (b / r) / (c s)."""
    (matrix, right), (transposed, vector) = node.children, node.attributes
    found = scalings(matrix)
    if found is None:
        return None
    axes = axes_of(right)
    row = axes[-1] if vector else axes[-2]
    i, j = matrix.axes[-2:]
    moved = dict(zip(matrix.axes[:-2], axes[: len(matrix.axes) - 2], strict=True))
    rows, columns = (rename(multiply(side), {**moved, label: row}) for side, label in ((found.rows, i), (found.columns, j)))
    if transposed:
        rows, columns = columns, rows
    solved = solve(found.core, tensor(read_own(right) / rows, axes), attributes=(transposed, vector))
    return tensor(read_own(solved) / (rename(found.scalar, moved) * columns), axes)


def _scaled_rights() -> list[Array]:
    A, c = example.matrix("A", M, M), example.term("c")
    y, Y, w = example.term("y", M), example.term("Y", M, K), example.term("w", K)
    column = Label(K, 0)
    return [
        solve(A, tensor(c * y, (i,)), attributes=(False, True)),
        solve(A, tensor(-2 * Y, (i, column)), attributes=(True, False)),
        solve(A, tensor(Y / w, (i, column)), attributes=(False, False)),
        solve(A, tensor(y * w, (i, column)), attributes=(False, False)),
    ]


def _other_rights() -> list[Array]:
    A, y, z = example.matrix("A", M, M), example.term("y", M), example.term("z", M)
    return [solve(A, tensor(y * z, (i,)), attributes=(False, True)), solve(A, tensor(y, (i,)), attributes=(False, True))]


@rule.procedure(head="solve()", stage=("stable", "simple"), kind="reassociate", example=_scaled_rights, counterexample=_other_rights)
def solve_of_scaled_right(node: Operator) -> Array | None:
    """solve(A, c B diag(s)) = c solve(A, B) diag(s): proportional right sides share one solve."""
    (matrix, right), (transposed, vector) = node.children, node.attributes
    if not isinstance(right, Tensor):
        return None
    axes = right.axes
    row = axes[-1] if vector else axes[-2]
    coefficient, term = split_coefficient(right.term)
    factors = term.factors if isinstance(term, Contract) and not term.bound else ((term, 1),)
    kept = [(base, e) for base, e in factors if row in base.labels]
    taken = [(base, e) for base, e in factors if row not in base.labels]
    if not kept or (coefficient == 1 and not taken):
        return None
    inner = multiply(kept)
    if not vector and axes[-1] not in inner.labels:  # an outer product has one column
        axes, vector = axes[:-1], True
    solved = solve(matrix, tensor(inner, axes), attributes=(transposed, vector))
    return tensor(coefficient * multiply([(read(solved, axes), 1), *taken]), right.axes)


@rule.procedure(
    head="cholesky()", stage="stable", kind="reassociate",
    example=lambda: [cholesky(_congruent(example.POSITIVE))], counterexample=lambda: [cholesky(_congruent(example.REAL))],
)  # fmt: skip
def cholesky_of_scaled(node: Operator) -> Array | None:
    """chol(c diag(r) A diag(r)) = √c diag(r) chol(A) for positive c and r."""
    matrix = node.children[0]
    found = scalings(matrix)
    if found is None:
        return None
    row, column = matrix.axes[-2:]
    rows = multiply(found.rows)
    if rename(rows, {row: column}) is not multiply(found.columns) or not (is_positive(found.scalar) and is_positive(rows)):
        return None
    return tensor(sqrt(found.scalar) * rows * read_own(cholesky(found.core)), matrix.axes)


def _congruent(stated) -> Array:
    c, d, S = example.term("c", stated=stated), example.term("d", M, stated=stated), example.matrix("S", M, M, facts=("spd",))
    return tensor(c * d * rename(d, {i: j}) * read_own(S), axes_of(S))


# -------------------------------------------------------------------------------------------------------------- products
def _products() -> list[Array]:
    A, C, L = example.matrix("A", M, M), example.matrix("C", M, M), example.matrix("L", B, M, M, facts=("lower",))
    return [
        tensor(contract([k], [(read(A, (i, k)), 1), (read(C, (k, j)), 1)]), (i, j)),
        tensor(contract([k], [(read(A, (i, k)), 1), (read(A, (j, k)), 1)]), (i, j)),
        tensor(contract([k], [(read(L, (b, i, k)), 1), (read(L, (b, j, k)), 1)]), (b, i, j)),
    ]


def _rectangular() -> list[Array]:
    U, V, c = example.matrix("U", M, K), example.matrix("V", K, M), Label(K, 0)
    return [tensor(contract([c], [(read(U, (i, c)), 1), (read(V, (c, j)), 1)]), (i, j))]


@rule.procedure(
    head=DETERMINANTS, stage="stable", kind="reassociate",
    example=lambda: _of_each(*_products()), counterexample=lambda: _of_each(*_rectangular()),
)  # fmt: skip
def determinant_of_product(node: Read) -> Term | None:
    """|A B| = |A| |B| for square A and B, and so for its logarithm and sign."""
    found = square_product(node.array.children[0])
    return determinant(node, [(part, 1, one) for part in found]) if found is not None else None


@rule.procedure(
    head=DETERMINANTS, stage="stable", kind="reassociate",
    example=lambda: _of_each(solve(example.matrix("A", M, M), example.matrix("C", M, M), attributes=(False, False))),
    counterexample=lambda: _of_each(*_rectangular()),
)  # fmt: skip
def determinant_of_solve(node: Read) -> Term | None:
    """|A^-1 B| = |B| / |A|, and so for its logarithm and sign."""
    matrix = node.array.children[0]
    if not is_named(matrix, "solve"):
        return None
    operator, right = matrix.children
    return determinant(node, [(right, 1, one), (operator, 1 if node.array.name == "det_sign" else -1, one)])


@rule.procedure(
    head="inverse()", stage="simple", kind="reassociate",
    example=lambda: [inverse(array) for array in _products()], counterexample=lambda: [inverse(array) for array in _rectangular()],
)  # fmt: skip
def inverse_of_product(node: Operator) -> Array | None:
    """(A B)^-1 = B^-1 A^-1 for square A and B, each of which is less badly conditioned; after solves have taken what they can."""
    found = square_product(node.children[0])
    if found is None:
        return None
    left, right = found
    axes = axes_of(node)
    middle = fresh_labels([axes[-1]], axes)[axes[-1]]
    factors = [(read(inverse(right), (*axes[:-1], middle)), 1), (read(inverse(left), (*axes[:-2], middle, axes[-1])), 1)]
    return tensor(contract([middle], factors), axes)


@rule.procedure(
    head="solve()", stage="stable", kind="reassociate",
    example=lambda: _solves(_products()), counterexample=lambda: _solves(_rectangular()),
)  # fmt: skip
def solve_of_square_product(node: Operator) -> Array | None:
    """(A B)^-1 b = B^-1 (A^-1 b) for square A and B."""
    (matrix, right), attributes = node.children, node.attributes
    found = square_product(matrix)
    if found is None:
        return None
    first, second = found if not attributes[0] else reversed(found)
    return solve(second, solve(first, right, attributes=attributes), attributes=attributes)
