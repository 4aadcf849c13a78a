"""Determinants and factors of structured matrices."""

from symvi.atoms.array_atom import axes_of
from symvi.atoms.elementwise import absolute, greater_equal, log, sign, sqrt, where, xlogy
from symvi.atoms.linear_algebra import cholesky, det, det_sign, diagonal, inverse, is_spd, logdet, solve, transpose
from symvi.expr.build import constant, contract, delta, read, read_own, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Contract, Operator, Read, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.variables import Matrix
from symvi.rewrite.views import operator_read
from symvi.rules.factored import DETERMINANTS, determinant, is_named, square_product

M, B = dim("M"), dim("B")


@rule(stage="stable", kind="stabilise")
def log_absolute_det(A: Matrix):
    """log|det A| = logdet(A): the determinant over- and underflows."""
    return log(absolute(read(det(A), ()))), read(logdet(A), ())


@rule(stage="stable", kind="stabilise", when=is_spd)
def log_det(A: Matrix):
    """log(det A) = logdet(A) for a positive definite A: the determinant over- and underflows."""
    return log(read(det(A), ())), read(logdet(A), ())


@rule(stage="stable", kind="stabilise", when=lambda A: is_spd(A))
def multiple_of_log_det(A: Matrix, p):
    """xlogy(p, det A) = p logdet(A) for a positive definite A, also where a power of the determinant underflows."""
    return xlogy(p, read(det(A), ())), p * read(logdet(A), ())


@rule(stage="stable", kind="stabilise")
def logdet_of_inverse(A: Matrix):
    """logdet(A^-1) = -logdet(A)."""
    return read(logdet(inverse(A)), ()), -read(logdet(A), ())


@rule(stage="stable", kind="stabilise")
def det_of_inverse(A: Matrix):
    """det(A^-1) = 1 / det(A)."""
    return read(det(inverse(A)), ()), 1 / read(det(A), ())


@rule(stage="stable", kind="stabilise")
def det_sign_of_inverse(A: Matrix):
    """sign|A^-1| = sign|A|."""
    return read(det_sign(inverse(A)), ()), read(det_sign(A), ())


@rule(stage="stable", kind="stabilise", when=lambda A: "spd" in matrix_facts(A))
def det_sign_of_definite(A: Matrix):
    """sign|A| = 1 for a positive definite A."""
    return read(det_sign(A), ()), constant(1.0)


@rule(stage="stable", kind="stabilise")
def sign_of_det(A: Matrix):
    """sign(det A) = sign|A|: the determinant over- and underflows."""
    return sign(read(det(A), ())), read(det_sign(A), ())


def _triangular():
    low = example.matrix("L", M, M, facts=("lower",))
    batched = example.matrix("D", B, M, M, facts=("diagonal",))
    return [read_own(name(array)) for name in (logdet, det, det_sign) for array in (low, batched)]


def _dense():
    A, S = example.matrix("A", M, M), example.matrix("S", M, M, facts=("spd",))
    return [read_own(name(array)) for name in (logdet, det, det_sign) for array in (A, S)]


@rule.procedure(head=DETERMINANTS, stage="stable", kind="stabilise", example=_triangular, counterexample=_dense)
def determinant_of_triangular(node: Read) -> Term | None:
    """|L| = Π L_ii for a triangular or diagonal L, and so for its logarithm and sign."""
    matrix = node.array.children[0]
    if "lower" not in matrix_facts(matrix):
        return None
    if is_named(matrix, "cholesky") and is_spd(matrix.children[0]) and node.array.name == "logdet":
        return None  # half the determinant of that
    row, entries = axes_of(matrix)[-2], diagonal(matrix)
    return determinant(node, [], diagonals=[(entries, 1, row)])


@rule.procedure(
    head="inverse()", stage="stable", kind="exact",
    example=lambda: [inverse(example.matrix("D", M, M, facts=("diagonal",))), inverse(example.matrix("D", B, M, M, facts=("diagonal",)))],
    counterexample=lambda: inverse(example.matrix("A", M, M, facts=("spd",))),
)  # fmt: skip
def inverse_of_diagonal(node: Operator) -> Array | None:
    """diag(d)^-1 = diag(1 / d)."""
    matrix = node.children[0]
    if "diagonal" not in matrix_facts(matrix):
        return None
    i, j = axes_of(matrix)[-2:]
    return tensor(delta(i, j) / diagonal(matrix), axes_of(matrix))


def _diagonal_solves():
    D, b, C = example.matrix("D", M, M, facts=("diagonal",)), example.array("b", M), example.array("C", M, B)
    return [solve(D, b, attributes=(False, True)), solve(D, C, attributes=(True, False))]


@rule.procedure(
    head="solve()", stage=("stable", "simple"), kind="exact", example=_diagonal_solves,
    counterexample=lambda: solve(example.matrix("A", M, M, facts=("spd",)), example.array("b", M), attributes=(False, True)),
)  # fmt: skip
def solve_of_diagonal(node: Operator) -> Array | None:
    """diag(d)^-1 b = b / d."""
    matrix, right = node.children
    if "diagonal" not in matrix_facts(matrix):
        return None
    _, vector = node.attributes
    axes = axes_of(right)
    row = axes[-1] if vector else axes[-2]
    entries = rename(diagonal(matrix), dict(zip(axes_of(matrix)[:-1], (*axes[: len(matrix.shape) - 2], row), strict=True)))
    return tensor(read_own(right) / entries, axes)


def _gram():
    L = cholesky(example.matrix("A", M, M, facts=("spd",)))
    i, j, k = Label(M, 0), Label(M, 1), Label(M, 2)
    x = example.term("x", M)
    return [
        contract([k], [(read(L, (i, k)), 1), (read(L, (j, k)), 1)]),
        contract([j], [(read(L, (i, j)), 2)]),
        contract([k, j], [(read(L, (i, k)), 1), (read(L, (j, k)), 1), (rename(x, {i: j}), 1)]),
    ]


def _no_gram():
    L = cholesky(example.matrix("A", M, M, facts=("spd",)))
    i, j, k = Label(M, 0), Label(M, 1), Label(M, 2)
    x = example.term("x", M)
    return [
        contract([k], [(read(L, (k, i)), 1), (read(L, (k, j)), 1)]),
        contract([k], [(read(L, (i, k)), 1), (read(L, (j, k)), 1), (rename(x, {i: k}), 1)]),
    ]


@rule.procedure(head="product", stage="stable", kind="stabilise", example=_gram, counterexample=_no_gram)
def cholesky_gram(node: Contract) -> Term | None:
    """chol(A) chol(A)' = A."""
    reads = [(f, e, operator_read(f, "cholesky")) for f, e in node.factors]
    reads = [(f, e, found) for f, e, found in reads if found is not None and e in (1, 2)]
    for label in node.bound:
        carriers = [(f, e) for f, e in node.factors if label in f.labels]
        pair = [(f, found) for f, e, found in reads for _ in range(e) if found[1][-1] == label and found[1][-2] != label]
        if len(pair) != 2 or sum(e for _, e in carriers) != 2 or len({f for f, _ in carriers} - {f for f, _ in pair}):
            continue
        (_, (left, first)), (_, (right, second)) = pair
        if left is not right or first[:-2] != second[:-2]:
            continue
        rest = [(f, e) for f, e in node.factors if label not in f.labels]
        joined = read(left.children[0], (*first[:-2], first[-2], second[-2]))
        return contract([b for b in node.bound if b != label], [*rest, (joined, 1)])
    return None


def _grams_of_triangles():
    low, batched = example.matrix("L", M, M, facts=("lower",)), example.matrix("L", B, M, M, facts=("lower",))
    i, j, k, b = Label(M, 0), Label(M, 1), Label(M, 2), Label(B, 0)
    return [
        cholesky(tensor(contract([k], [(read(low, (i, k)), 1), (read(low, (j, k)), 1)]), (i, j))),
        cholesky(tensor(contract([k], [(read(batched, (b, i, k)), 1), (read(batched, (b, j, k)), 1)]), (b, i, j))),
    ]


def _gram_of_dense():
    A, i, j, k = example.matrix("A", M, M), Label(M, 0), Label(M, 1), Label(M, 2)
    return cholesky(tensor(contract([k], [(read(A, (i, k)), 1), (read(A, (j, k)), 1)]), (i, j)))


@rule.procedure(head="cholesky()", stage="stable", kind="stabilise", example=_grams_of_triangles, counterexample=_gram_of_dense)
def cholesky_of_triangular_gram(node: Operator) -> Array | None:
    """chol(L L') = L with the signs of its columns turned so that the diagonal is positive."""
    found = square_product(node.children[0])
    if found is None or "lower" not in matrix_facts(found[0]) or transpose(found[1]) is not found[0]:
        return None
    factor, axes = found[0], axes_of(node)
    if "positive_diagonal" in matrix_facts(factor):
        return factor
    entries = rename(diagonal(factor), {axes[-2]: axes[-1]})
    return tensor(read_own(factor) * where(greater_equal(entries, 0), 1, -1), axes)


def _positive_diagonals():
    i, j, D = Label(M, 0), Label(M, 1), example.matrix("D", M, M, facts=("diagonal", "spd"))
    d = example.term("d", M, stated=example.POSITIVE)
    return [cholesky(tensor(d * delta(i, j), (i, j))), cholesky(D)]


@rule.procedure(
    head="cholesky()", stage="stable", kind="exact", example=_positive_diagonals,
    counterexample=lambda: cholesky(example.matrix("D", M, M, facts=("diagonal",))),
)  # fmt: skip
def cholesky_of_diagonal(node: Operator) -> Array | None:
    """chol(diag(d)) = diag(√d)."""
    matrix = node.children[0]
    facts = matrix_facts(matrix)
    if not {"diagonal", "psd"} <= facts:
        return None
    axes = axes_of(matrix)
    return tensor(delta(*axes[-2:]) * sqrt(diagonal(matrix)), axes)
