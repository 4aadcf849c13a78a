"""Block diagonal matrices: what is done to the whole is done to each block."""

from __future__ import annotations

from symvi.atoms.array_atom import axes_of
from symvi.atoms.joining import concatenate
from symvi.atoms.linear_algebra import cholesky, det, det_sign, inverse, logdet, solve
from symvi.atoms.structured import block_diagonal, offsets
from symvi.expr.build import contract, iota, one, read, read_own, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label, sort_labels
from symvi.expr.nodes import Array, Contract, Operator, Read, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import fresh_labels
from symvi.rules.factored import DETERMINANTS, determinant, is_named
from symvi.rules.summed_reads import SummedRead, summed_read

M, N, K, B = dim("M"), dim("N"), dim("K"), dim("B")


def _blocks() -> list[Array]:
    A, C, T = example.matrix("A", M, M), example.matrix("C", N, N), example.matrix("T", M, M)
    return [block_diagonal(A, C, T), block_diagonal(example.matrix("S", B, M, M), example.matrix("U", B, N, N))]


def _definite() -> list[Array]:
    return [block_diagonal(example.matrix("S", M, M, facts=("spd",)), example.matrix("U", N, N, facts=("spd",)))]


def _dense() -> Array:
    return example.matrix("A", M, M)


def _determinants(arrays: list[Array]) -> list[Term]:
    return [read_own(name(array)) for name in (logdet, det, det_sign) for array in arrays]


@rule.procedure(
    head=DETERMINANTS, stage="stable", kind="reassociate",
    example=lambda: _determinants(_blocks()), counterexample=lambda: _determinants([_dense()]),
)  # fmt: skip
def determinant_of_blocks(node: Read) -> Term | None:
    """|diag(A, B)| = |A| |B|, and so for its logarithm and sign."""
    matrix = node.array.children[0]
    if not is_named(matrix, "block_diagonal"):
        return None
    return determinant(node, [(block, 1, one) for block in matrix.children])


@rule.procedure(
    head=("inverse()", "cholesky()"), stage="stable", kind="reassociate",
    example=lambda: [*map(inverse, _blocks()), *map(cholesky, _definite())], counterexample=lambda: [inverse(_dense()), cholesky(_dense())],
)  # fmt: skip
def operation_on_blocks(node: Operator) -> Array | None:
    """diag(A, B)^-1 = diag(A^-1, B^-1), chol diag(A, B) = diag(chol A, chol B)."""
    matrix = node.children[0]
    return block_diagonal(*map(node.atom, matrix.children)) if is_named(matrix, "block_diagonal") else None


def _block_solves() -> list[Array]:
    plain, batched = _blocks()
    return [
        solve(plain, example.array("b", plain.shape[-1]), attributes=(False, True)),
        solve(plain, example.array("b", plain.shape[-1], K), attributes=(True, False)),
        solve(batched, example.array("b", B, batched.shape[-1]), attributes=(False, True)),
    ]


@rule.procedure(
    head="solve()", stage="stable", kind="reassociate", example=_block_solves,
    counterexample=lambda: solve(_dense(), example.array("b", M), attributes=(False, True)),
)  # fmt: skip
def solve_of_blocks(node: Operator) -> Array | None:
    """diag(A, B)^-1 (b, c) = (A^-1 b, B^-1 c)."""
    matrix, right = node.children
    if not is_named(matrix, "block_diagonal"):
        return None
    axes, place, parts = axes_of(right), len(matrix.shape) - 2, []
    for block, offset in offsets(matrix):
        row = _unused(block, axes)
        indices = (*axes[:place], row, *axes[place + 1 :])
        rows = read(right, (*axes[:place], iota(row) + offset, *axes[place + 1 :]))
        parts.append(solve(block, tensor(rows, indices), attributes=node.attributes))
    return concatenate(*parts, attributes=(place,))


def _unused(block: Array, used) -> Label:
    bare = Label(block.shape[-1], 0)
    return fresh_labels([bare], (*used, bare))[bare]


# ----------------------------------------------------------------------------------------------------------- contractions
def _block_products() -> list[Term]:
    plain, batched = _blocks()
    order = plain.shape[-1]
    i, j, k = Label(order, 0), Label(order, 1), Label(order, 2)
    p, q, b, c = Label(batched.shape[-1], 0), Label(batched.shape[-1], 1), Label(B, 0), Label(K, 0)
    v, u, V, H = example.array("v", order), example.array("u", order), example.array("V", order, K), example.array("H", order, order)
    y = example.array("y", batched.shape[-1])
    other = block_diagonal(example.matrix("D", M, M), example.matrix("E", N, N), example.matrix("F", M, M))
    return [
        contract([j], [(read(plain, (i, j)), 1), (read(v, (j,)), 1)]),
        contract([j], [(read(plain, (i, j)), 1), (read(V, (j, c)), 1)]),
        contract([i], [(read(plain, (i, j)), 1), (read(u, (i,)), 1)]),
        contract([i, j], [(read(plain, (i, j)), 1), (read(u, (i,)), 1), (read(v, (j,)), 1)]),
        contract([i], [(read(plain, (i, i)), 1)]),
        contract([i, j], [(read(plain, (i, j)), 1), (read(H, (j, i)), 1)]),
        contract([j], [(read(plain, (i, j)), 1), (read(other, (j, k)), 1)]),
        contract([q], [(read(batched, (b, p, q)), 1), (read(y, (q,)), 1)]),
    ]


def _elementwise() -> list[Term]:
    plain = _blocks()[0]
    order = plain.shape[-1]
    i, j = Label(order, 0), Label(order, 1)
    return [read(plain, (i, j)) * read(example.array("H", order, order), (i, j))]


@rule.procedure(head="product", stage="stable", kind="reassociate", example=_block_products, counterexample=_elementwise, priority=7)
def blocks_in_a_product(node: Contract) -> Term | None:
    """diag(A, B) (b, c) = (A b, B c), and so for forms and traces: sums over the rows of each block."""
    found = summed_read(node, "block_diagonal") if node.bound else None
    if found is None:
        return None
    used = {*node.labels, *node.bound, *(label for f, _ in node.factors for label in f.labels)}
    pieces = [_piece(found, block, offset, used) for block, offset in offsets(found.matrix)]
    if found.row_summed:
        return contract(found.bound, [(sum((term for _, term in pieces[1:]), pieces[0][1]), 1), *found.rest])
    others = sort_labels({label for row, term in pieces for label in term.labels - {row}})
    joined = concatenate(*(tensor(term, (row, *others)) for row, term in pieces), attributes=(0,))
    return contract(found.bound, [(read(joined, (found.row, *others)), 1), *found.rest])


def _piece(found: SummedRead, block: Array, offset: Term, used) -> tuple[Label, Term]:
    """What one block contributes, on the label of its own rows where these are not summed."""
    column = _unused(block, used)
    row = column if found.one_index else _unused(block, {*used, column})
    here = {found.column: iota(column) + offset}
    if found.row_summed:
        here[found.row] = iota(row) + offset
    entry = read(block, (*found.batch, column, row) if found.flipped else (*found.batch, row, column))
    right, left, both = ([(rename(f, here), e) for f, e in part] for part in (found.right, found.left, found.both))
    if found.one_index or found.both:
        return row, contract({row, column, *found.inner}, [(entry, 1), *both, *right, *left])
    value = contract([column], [(entry, 1), (contract(found.inner, right), 1)])
    return row, contract([row], [(value, 1), *left]) if found.row_summed else value

