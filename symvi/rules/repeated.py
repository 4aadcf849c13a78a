"""Stacks of equal matrices: the operation is done once and its result repeated."""

from __future__ import annotations

from symvi.atoms.array_atom import axes_of
from symvi.atoms.linear_algebra import cholesky, inverse, logdet, solve
from symvi.expr.build import read_own, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Operator, Tensor
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rules.factored import solve_columns

M, B, K = dim("M"), dim("B"), dim("K")


def _repeated() -> Array:
    return tensor(read_own(example.matrix("S", M, M, facts=("spd",))), (Label(B, 0), Label(M, 0), Label(M, 1)))


def _once(matrix: Array) -> tuple[Array, tuple[Label, ...], tuple[Label, ...]] | None:
    """The matrix without the batch axes on which it does not depend, the labels of its own batch axes and of those."""
    if not isinstance(matrix, Tensor):
        return None
    batch, core = matrix.axes[:-2], matrix.axes[-2:]
    absent = tuple(label for label in batch if label not in matrix.term.labels)
    if not absent:
        return None
    own = tuple(label for label in batch if label not in absent)
    return tensor(matrix.term, (*own, *core)), own, absent


@rule.procedure(
    head=("inverse()", "cholesky()", "logdet()", "det()", "det_sign()"), stage=("stable", "simple"), kind="exact", priority=9,
    example=lambda: [inverse(_repeated()), cholesky(_repeated()), logdet(_repeated())],
    counterexample=lambda: inverse(example.matrix("S", B, M, M)),
)  # fmt: skip
def operation_on_equal_matrices(node: Operator) -> Array | None:
    """(A, A, ...)^-1 = (A^-1, A^-1, ...), and so for determinants and factors: once, however often the matrix is repeated."""
    matrix = node.children[0]
    found = _once(matrix)
    if found is None:
        return None
    once, own, _ = found
    result = node.atom(once)
    kept = (*own, *matrix.axes[-2:])[: len(result.shape)]
    return tensor(rename(read_own(result), dict(zip(axes_of(result), kept, strict=True))), matrix.axes[: len(node.shape)])


def _solves() -> list[Array]:
    y, Y = example.array("y", B, M), example.array("Y", B, M, K)
    return [solve(_repeated(), y, attributes=(False, True)), solve(_repeated(), Y, attributes=(False, False))]


@rule.procedure(
    head="solve()", stage=("stable", "simple"), kind="exact", priority=9, example=_solves,
    counterexample=lambda: solve(example.matrix("S", B, M, M), example.array("y", B, M), attributes=(False, True)),
)  # fmt: skip
def solve_with_equal_matrices(node: Operator) -> Array | None:
    """(A, A, ...)^-1 (b, c, ...) = A^-1 [b c ...]: one factor, and the right sides are columns."""
    (matrix, right), (transposed, _) = node.children, node.attributes
    found = _once(matrix)
    if found is None:
        return None
    once, own, absent = found
    axes, place = axes_of(right), len(matrix.shape) - 2
    names = dict(zip(matrix.axes[:-2], axes[:place], strict=True))
    term = read_own(right)
    batch = tuple(names[label] for label in own)
    columns = tuple(label for label in (*(names[label] for label in absent), *axes[place + 1 :]) if label in term.labels)
    return tensor(solve_columns(once, term, batch, axes[place], columns, transposed), axes)
