"""Orthogonal matrices: the transpose is the inverse."""

from __future__ import annotations

from symvi.atoms.array_atom import axes_of
from symvi.atoms.linear_algebra import inverse, logdet, solve, transpose
from symvi.expr.build import constant, contract, delta, read, read_own, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.facts import assert_fact, matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Contract, Operator, Read, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import fresh_labels

M, K = dim("M"), dim("K")
i, j, k = Label(M, 0), Label(M, 1), Label(M, 2)


def _reflection() -> Array:
    """I - 2 v v' / v'v."""
    v = example.term("v", M)
    array = tensor(delta(i, j) - 2 * v * rename(v, {i: j}) / contract([i], [(v, 2)]), (i, j))
    assert_fact(array, "orthogonal")
    return array


def _rotation() -> Array:
    """(I + S)^-1 (I - S) for S = A - A'."""
    A = example.matrix("A", M, M)
    skew = read_own(A) - rename(read_own(A), {i: j, j: i})
    array = solve(tensor(delta(i, j) + skew, (i, j)), tensor(delta(i, j) - skew, (i, j)), attributes=(False, False))
    assert_fact(array, "orthogonal")
    return array


def _is_orthogonal(array: Array) -> bool:
    return "orthogonal" in matrix_facts(array)


@rule.procedure(
    head="inverse()", stage="stable", kind="stabilise", example=lambda: inverse(_reflection()),
    counterexample=lambda: inverse(example.matrix("A", M, M)),
)  # fmt: skip
def inverse_of_orthogonal(node: Operator) -> Array | None:
    """Q^-1 = Q'."""
    return transpose(node.children[0]) if _is_orthogonal(node.children[0]) else None


def _solves(matrix: Array) -> list[Array]:
    return [
        solve(matrix, example.array("b", M), attributes=(False, True)),
        solve(matrix, example.array("B", M, K), attributes=(True, False)),
    ]


@rule.procedure(
    head="solve()", stage=("stable", "simple"), kind="stabilise", example=lambda: _solves(_reflection()),
    counterexample=lambda: _solves(example.matrix("A", M, M)),
)  # fmt: skip
def solve_of_orthogonal(node: Operator) -> Array | None:
    """Q^-1 b = Q' b."""
    (matrix, right), (transposed, vector) = node.children, node.attributes
    if not _is_orthogonal(matrix):
        return None
    axes = axes_of(right)
    row, batch = axes[-1] if vector else axes[-2], axes[: len(matrix.shape) - 2]
    inner = fresh_labels([row], axes)[row]
    indices = (row, inner) if transposed else (inner, row)
    return tensor(contract([inner], [(read(matrix, (*batch, *indices)), 1), (rename(read_own(right), {row: inner}), 1)]), axes)


@rule.procedure(
    head="read logdet()", stage="stable", kind="stabilise", example=lambda: read_own(logdet(_reflection())),
    counterexample=lambda: read_own(logdet(example.matrix("A", M, M))),
)  # fmt: skip
def logdet_of_orthogonal(node: Read) -> Term | None:
    """log|det Q| = 0."""
    return constant(0.0) if _is_orthogonal(node.array.children[0]) else None


def _squares(matrix: Array) -> list[Term]:
    y = example.array("y", M)
    return [
        contract([k], [(read(matrix, (i, k)), 1), (read(matrix, (j, k)), 1)]),
        contract([i, k], [(read(matrix, (k, i)), 1), (read(matrix, (k, j)), 1), (read(y, (i,)), 1)]),
    ]


@rule.procedure(
    head="product", stage=("stable", "simple"), kind="stabilise", priority=8,
    example=lambda: _squares(_rotation()), counterexample=lambda: _squares(example.matrix("A", M, M)),
)  # fmt: skip
def orthogonal_times_transpose(node: Contract) -> Term | None:
    """Q Q' = Q' Q = I."""
    reads = [f for f, e in node.factors if e == 1 and isinstance(f, Read) and len(f.indices) >= 2 and _is_orthogonal(f.array)]
    for summed in node.bound if len(reads) > 1 else ():
        pair = [f for f in reads if f.indices.count(summed) == 1 and summed in f.indices[-2:]]
        carriers = [f for f in node.children if summed in f.labels]
        if len(pair) != 2 or len(carriers) != 2:
            continue
        first, second = pair
        place = -1 if first.indices[-1] == summed else -2
        if first.array is not second.array or second.indices[place] != summed or first.indices[:-2] != second.indices[:-2]:
            continue
        others = [f.indices[-3 - place] for f in pair]
        rest = [(f, e) for f, e in node.factors if f is not first and f is not second]
        return contract([label for label in node.bound if label != summed], [*rest, (delta(*others), 1)])
    return None
