"""Kronecker products: what is done to A ⊗ B is done to A and to B, and the product is never filled."""

from __future__ import annotations

from symvi.atoms.array_atom import axes_of
from symvi.atoms.linear_algebra import cholesky, det, det_sign, inverse, is_spd, logdet, solve
from symvi.atoms.structured import joint, kron, kron_entry, parts_of
from symvi.expr.build import contract, read, read_own, rename, size, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.nodes import Array, Contract, Operator, Read, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import fresh_labels
from symvi.rules.factored import DETERMINANTS, determinant, is_named, solve_columns
from symvi.rules.summed_reads import SummedRead, summed_read

M, N, P, Q, B = dim("M"), dim("N"), dim("P"), dim("Q"), dim("B")


def _factors(node: Array) -> tuple[Array, Array] | None:
    """The square factors of a Kronecker product."""
    if not is_named(node, "kron") or any(part.shape[-1] != part.shape[-2] for part in node.children):
        return None
    return node.children


def _squares() -> list[Array]:
    batched = example.matrix("S", B, M, M), example.matrix("T", B, N, N)
    return [kron(example.matrix("A", M, M), example.matrix("C", N, N)), kron(*batched)]


def _definite() -> list[Array]:
    return [kron(example.matrix("S", M, M, facts=("spd",)), example.matrix("T", N, N, facts=("spd",)))]


def _rectangles() -> list[Array]:
    return [kron(example.matrix("A", M, N), example.matrix("C", N, M))]


def _determinants(arrays: list[Array]) -> list[Term]:
    return [read_own(name(array)) for name in (logdet, det, det_sign) for array in arrays]


@rule.procedure(
    head=DETERMINANTS, stage="stable", kind="reassociate",
    example=lambda: _determinants(_squares()), counterexample=lambda: _determinants(_rectangles()),
)  # fmt: skip
def determinant_of_kron(node: Read) -> Term | None:
    """|A ⊗ B| = |A|^n |B|^m, and so for its logarithm and sign."""
    found = _factors(node.array.children[0])
    if found is None:
        return None
    left, right = found
    return determinant(node, [(left, 1, size(right.shape[-1])), (right, 1, size(left.shape[-1]))])


@rule.procedure(
    head="inverse()", stage="stable", kind="reassociate",
    example=lambda: [inverse(array) for array in _squares()], counterexample=lambda: [inverse(array) for array in _rectangles()],
)  # fmt: skip
def inverse_of_kron(node: Operator) -> Array | None:
    """(A ⊗ B)^-1 = A^-1 ⊗ B^-1."""
    found = _factors(node.children[0])
    return kron(inverse(found[0]), inverse(found[1])) if found is not None else None


@rule.procedure(
    head="cholesky()", stage="stable", kind="reassociate",
    example=lambda: [cholesky(array) for array in _definite()], counterexample=lambda: [cholesky(array) for array in _squares()],
)  # fmt: skip
def cholesky_of_kron(node: Operator) -> Array | None:
    """chol(A ⊗ B) = chol(A) ⊗ chol(B) for positive definite A and B."""
    found = _factors(node.children[0])
    if found is None or not all(map(is_spd, found)):
        return None
    return kron(cholesky(found[0]), cholesky(found[1]))


def _kron_solves() -> list[Array]:
    plain, batched = _squares()
    return [
        solve(plain, example.array("b", M * N), attributes=(False, True)),
        solve(plain, example.array("b", M * N, P), attributes=(True, False)),
        solve(batched, example.array("b", B, M * N), attributes=(False, True)),
    ]


@rule.procedure(
    head="solve()", stage="stable", kind="reassociate", example=_kron_solves,
    counterexample=lambda: [solve(array, example.array("b", M * N), attributes=(False, True)) for array in _rectangles()],
)  # fmt: skip
def solve_of_kron(node: Operator) -> Array | None:
    """(A ⊗ B)^-1 vec(V) = vec(A^-1 V B^-T): two small solves."""
    (matrix, right), (transposed, _) = node.children, node.attributes
    found = _factors(matrix)
    if found is None:
        return None
    left, inner = found
    axes = axes_of(right)
    batch, row, columns = axes[: len(matrix.shape) - 2], axes[len(matrix.shape) - 2], axes[len(matrix.shape) - 1 :]
    i, k = _pair(left.shape[-1], inner.shape[-1], axes)
    term = read(right, (*batch, joint(i, k, k.dim), *columns))
    term = solve_columns(inner, term, batch, k, (i, *columns), transposed)
    term = solve_columns(left, term, batch, i, (k, *columns), transposed)
    outer, rest = parts_of(row, k.dim)
    return tensor(rename(term, {i: outer, k: rest}), axes)


def _pair(first, second, avoid) -> tuple[Label, Label]:
    """Two new labels."""
    labels = canonical_axes((first, second))
    moved = fresh_labels(labels, (*avoid, *labels))
    return moved[labels[0]], moved[labels[1]]


# ----------------------------------------------------------------------------------------------------------- contractions
def _kron_products() -> list[Term]:
    K, batched = kron(example.matrix("A", M, P), example.matrix("C", N, Q)), _squares()[1]
    square, other = _squares()[0], kron(example.matrix("E", M, M), example.matrix("F", N, N))
    v, V = example.array("v", P * Q), example.array("V", P * Q, B)
    I, J, c, b = Label(M * N, 0), Label(P * Q, 0), Label(B, 0), Label(B, 0)
    y, Y, H = Label(M * N, 1), Label(M * N, 2), example.array("H", M * N, M * N)
    u = example.array("u", M * N)
    return [
        contract([J], [(read(K, (I, J)), 1), (read(v, (J,)), 1)]),
        contract([J], [(read(K, (I, J)), 1), (read(V, (J, c)), 1)]),
        contract([I], [(read(K, (I, J)), 1), (read(u, (I,)), 1)]),
        contract([I, J], [(read(K, (I, J)), 1), (read(u, (I,)), 1), (read(v, (J,)), 1)]),
        contract([I], [(read(square, (I, I)), 1)]),
        contract([I, y], [(read(square, (I, y)), 1), (read(H, (y, I)), 1)]),
        contract([y], [(read(square, (I, y)), 1), (read(other, (y, Y)), 1)]),
        contract([y], [(read(batched, (b, I, y)), 1), (read(u, (y,)), 1)]),
    ]


def _elementwise() -> list[Term]:
    K, H = _squares()[0], example.array("H", M * N, M * N)
    I, J = Label(M * N, 0), Label(M * N, 1)
    return [read(K, (I, J)) * read(H, (I, J)), contract([J], [(read(K, (I, J)), 1), (read(H, (I, J)), 1)])]


@rule.procedure(head="product", stage="stable", kind="reassociate", example=_kron_products, counterexample=_elementwise, priority=7)
def kron_in_a_product(node: Contract) -> Term | None:
    """(A ⊗ B) vec(V) = vec(A V B'), and so for forms and traces: sums over the indices of A and of B, one after the other."""
    found = summed_read(node, "kron") if node.bound else None
    if found is None:
        return None
    left, right = found.matrix.children
    used = {*node.labels, *node.bound, *(label for f, _ in node.factors for label in f.labels)}
    j, l = _pair(*(part.shape[-2 if found.flipped else -1] for part in (left, right)), used)
    i, k = (j, l) if found.one_index else _pair(*(part.shape[-1 if found.flipped else -2] for part in (left, right)), {*used, j, l})
    value = _split(found, _read(left, found, i, j), _read(right, found, k, l), (i, k), (j, l))
    if not found.row_summed:
        outer, rest = parts_of(found.row, k.dim)
        value = rename(value, {i: outer, k: rest})
    return contract(found.bound, [(value, 1), *found.rest])


def _read(part: Array, found: SummedRead, row: Label, column: Label) -> Term:
    return read(part, (*found.batch, column, row) if found.flipped else (*found.batch, row, column))


def _split(found: SummedRead, of_left: Term, of_right: Term, rows: tuple, columns: tuple) -> Term:
    """The sum over the summed indices, each taken apart."""
    (i, k), (j, l) = rows, columns
    apart = {found.column: joint(j, l, l.dim)}
    if found.row_summed:
        apart[found.row] = joint(i, k, k.dim)
    right, left, both = ([(rename(f, apart), e) for f, e in part] for part in (found.right, found.left, found.both))
    if found.one_index:
        return contract([j, *found.inner], [(of_left, 1), (contract([l], [(of_right, 1), *right]), 1)])
    right = [(contract(found.inner, right), 1)] if right else []
    if both:
        return contract([i, j], [(of_left, 1), (contract([k, l], [(of_right, 1), *both, *right, *left]), 1)])
    value = contract([j], [(of_left, 1), (contract([l], [(of_right, 1), *right]), 1)])
    return contract(rows, [(value, 1), *left]) if found.row_summed else value


@rule.procedure(
    head="kron()", stage="simple", kind="exact", example=lambda: [*_squares(), *_rectangles()],
    counterexample=lambda: example.matrix("A", M, M),
)  # fmt: skip
def kron_opened(node: Operator) -> Array:
    """(A ⊗ B)[I, J] = A[I // n, J // q] B[I mod n, J mod q], where nothing else is left to do."""
    axes = axes_of(node)
    return tensor(kron_entry(node, axes), axes)
