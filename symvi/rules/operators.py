"""Determinants and factors of structured matrices."""

from fractions import Fraction

from symvi.atoms.array_atom import axes_of
from symvi.atoms.elementwise import absolute, log
from symvi.atoms.linear_algebra import cholesky, det, diagonal, inverse, is_spd, logdet, solve
from symvi.expr.build import add, constant, contract, delta, multiply, read, read_own, reduce, rename, size, split_coefficient, tensor
from symvi.expr.dims import dim
from symvi.expr.facts import is_nonnegative, is_positive, matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Contract, Operator, Read, Tensor, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.variables import Matrix
from symvi.rewrite.views import opened_sum, operator_read

M, B = dim("M"), dim("B")


@rule(stage="stable", kind="stabilise")
def log_absolute_det(A: Matrix):
    """log|det A| = logdet(A): the determinant over- and underflows."""
    return log(absolute(read(det(A), ()))), read(logdet(A), ())


@rule(stage="stable", kind="stabilise", when=is_spd)
def log_det(A: Matrix):
    """log(det A) = logdet(A) for a positive definite A: the determinant over- and underflows."""
    return log(read(det(A), ())), read(logdet(A), ())


@rule(stage="stable", kind="stabilise")
def logdet_of_inverse(A: Matrix):
    """logdet(A^-1) = -logdet(A)."""
    return read(logdet(inverse(A)), ()), -read(logdet(A), ())


@rule(stage="stable", kind="stabilise")
def det_of_inverse(A: Matrix):
    """det(A^-1) = 1 / det(A)."""
    return read(det(inverse(A)), ()), 1 / read(det(A), ())


def _on_batch(term: Term, array: Array, batch: tuple) -> Term:
    """A term on the canonical batch axes of `array`, at the indices `batch`."""
    return rename(term, dict(zip(axes_of(array)[:-2], batch, strict=True)))


def _triangular(name):
    def build():
        low = example.matrix("L", M, M, facts=("lower",))
        batched = example.matrix("D", B, M, M, facts=("diagonal",))
        factor = cholesky(example.matrix("A", M, M, facts=("spd",)))
        return [read_own(name(low)), read_own(name(batched)), read_own(name(factor))]

    return build


def _dense(name):
    def build():
        return [read_own(name(example.matrix("A", M, M))), read_own(name(example.matrix("S", M, M, facts=("spd",))))]

    return build


@rule.procedure(head="read logdet()", stage="stable", kind="stabilise", example=_triangular(logdet), counterexample=_dense(logdet))
def logdet_of_triangular(node: Read) -> Term | None:
    """logdet(L) = Σ log|L_ii| for a triangular or diagonal L."""
    matrix = node.array.children[0]
    if "lower" not in matrix_facts(matrix):
        return None
    entries = diagonal(matrix)
    index = axes_of(matrix)[-2]
    if isinstance(matrix, Operator) and matrix.name == "cholesky":  # its diagonal is positive
        positive = True
    else:
        positive = is_positive(entries)
    return _on_batch(contract([index], [(log(entries if positive else absolute(entries)), 1)]), matrix, node.indices)


@rule.procedure(head="read det()", stage="stable", kind="stabilise", example=_triangular(det), counterexample=_dense(det))
def det_of_triangular(node: Read) -> Term | None:
    """det(L) = Π L_ii for a triangular or diagonal L."""
    matrix = node.array.children[0]
    if "lower" not in matrix_facts(matrix):
        return None
    return _on_batch(reduce("prod", [axes_of(matrix)[-2]], diagonal(matrix)), matrix, node.indices)


def _scaled(name):
    def build():
        c, A = example.term("c", stated=example.POSITIVE), example.matrix("A", M, M)
        S = example.matrix("S", B, M, M)
        batch_weight = example.term("w", B)
        return [
            read_own(name(tensor(c * read_own(A), axes_of(A)))),
            read_own(name(tensor(-3 * read_own(A), axes_of(A)))),
            read_own(name(tensor(batch_weight**-2 * read_own(S), axes_of(S)))),
        ]

    return build


def _weighted_rows(name):
    def build():
        A, d = example.matrix("A", M, M), example.term("d", M)
        return [read_own(name(tensor(d * read_own(A), axes_of(A)))), read_own(name(tensor(2 + read_own(A), axes_of(A))))]

    return build


@rule.procedure(head="read logdet()", stage="stable", kind="reassociate", example=_scaled(logdet), counterexample=_weighted_rows(logdet))
def logdet_of_scaled(node: Read) -> Term | None:
    """logdet(c A) = n log|c| + logdet(A), for a scalar c."""
    matrix = node.array.children[0]
    if not isinstance(matrix, Tensor):
        return None
    i, j = matrix.axes[-2:]
    coefficient, operand = split_coefficient(matrix.term)
    factors = operand.factors if isinstance(operand, Contract) and not operand.bound else ((operand, 1),)
    scalars = [(f, e) for f, e in factors if not f.labels & {i, j}]
    kept = [(f, e) for f, e in factors if f.labels & {i, j}]
    if not kept or not (scalars or coefficient != 1):
        return None
    logs = [(Fraction(e), log(f if is_nonnegative(f) else absolute(f))) for f, e in scalars]
    if abs(coefficient) != 1:
        logs.append((Fraction(1), log(constant(abs(coefficient)))))
    rest = logdet(tensor(multiply(kept), matrix.axes))
    batch = _on_batch(size(i.dim) * add(logs), matrix, node.indices)
    return batch + read(rest, node.indices)


def _products(name):
    def build():
        A, C = example.matrix("A", M, M), example.matrix("C", M, M)
        return read_own(name(tensor(_product_term(A, C), axes_of(A))))

    return build


def _product_term(A: Array, C: Array) -> Term:
    i, j = axes_of(A)
    k = Label(i.dim, 2)
    return contract([k], [(read(A, (i, k)), 1), (read(C, (k, j)), 1)])


def _rectangular(name):
    def build():
        U, V = example.matrix("U", M, B), example.matrix("V", B, M)
        i, k, j = Label(M, 0), Label(B, 0), Label(M, 1)
        return read_own(name(tensor(contract([k], [(read(U, (i, k)), 1), (read(V, (k, j)), 1)]), (i, j))))

    return build


@rule.procedure(head="read logdet()", stage="stable", kind="reassociate", example=_products(logdet), counterexample=_rectangular(logdet))
def logdet_of_product(node: Read) -> Term | None:
    """logdet(A B) = logdet(A) + logdet(B), for square A and B."""
    matrix = node.array.children[0]
    found = opened_sum(matrix.term, matrix.axes) if isinstance(matrix, Tensor) else None
    if found is None or len(found[0]) != 1 or len(found[1]) != 2:
        return None
    i, j = matrix.axes[-2:]
    ((k,), factors) = found
    left = [f for f, e in factors if e == 1 and {i, k} <= f.labels and j not in f.labels]
    right = [f for f, e in factors if e == 1 and {k, j} <= f.labels and i not in f.labels]
    if k.dim != i.dim:
        return None
    if len(left) != 1 or len(right) != 1:
        return None
    batch = matrix.axes[:-2]
    parts = [logdet(tensor(left[0], (*batch, i, k))), logdet(tensor(right[0], (*batch, k, j)))]
    return add([(Fraction(1), read(part, node.indices)) for part in parts])


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
