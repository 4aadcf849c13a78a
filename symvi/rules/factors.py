"""What is written with a Cholesky factor, by the matrix itself: its derivatives go through the operator, never through the factor.

A user who types `L = cholesky(K)` and solves with it gets what `inv(K)` and `log(det(K))` get; the factor is differentiated only where it
is an operand itself, as in `L @ e`. A factor that is a parameter (a lower triangular leaf) is left alone.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from symvi.atoms.elementwise import log
from symvi.atoms.linear_algebra import cholesky, is_spd, logdet, solve, solve_triangular, transpose
from symvi.expr.build import add, contract, read, read_own, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Contract, Node, Operator, Read, Sum, Tensor, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import arguments_of, common_coefficient

M, B, K = dim("M"), dim("B"), dim("K")
i, j, b, c = Label(M, 0), Label(M, 1), Label(B, 0), Label(K, 0)
HALF = Fraction(1, 2)
Factors = tuple[tuple[Term, int], ...]


class FactorSolve(NamedTuple):
    """chol(A)^-1 B, or chol(A)^-T B."""

    matrix: Array
    right: Array
    transposed: bool
    vector: bool


def _is_cholesky(array: Node) -> bool:
    """A Cholesky factor of what is known to be positive definite: else the matrix itself would be factorised by LU."""
    return isinstance(array, Operator) and array.name == "cholesky" and is_spd(array.children[0])


def _factor_solve(array: Node) -> FactorSolve | None:
    if not isinstance(array, Operator) or array.name not in ("solve", "solve_triangular") or not _is_cholesky(array.children[0]):
        return None
    return FactorSolve(array.children[0].children[0], array.children[1], *array.attributes)


def _spd(name: str = "A", *batch) -> Array:
    return example.matrix(name, *batch, M, M, facts=("spd",))


def _two_solves():
    L, y, W = cholesky(_spd()), example.array("y", M), example.array("W", M, K)
    batched, Y = cholesky(_spd("S", B)), example.array("Y", B, M, K)
    return [
        solve_triangular(L, solve_triangular(L, y, attributes=(False, True)), attributes=(True, True)),
        solve_triangular(L, solve_triangular(L, W, attributes=(False, False)), attributes=(True, False)),
        solve(transpose(L), solve(L, y, attributes=(False, True)), attributes=(False, True)),
        solve_triangular(batched, solve(batched, Y, attributes=(False, False)), attributes=(True, False)),
    ]


def _other_solves():
    L, low, y = cholesky(_spd()), example.matrix("L", M, M, facts=("lower",)), example.array("y", M)
    return [
        solve_triangular(L, solve_triangular(L, y, attributes=(True, True)), attributes=(False, True)),
        solve_triangular(L, solve_triangular(L, y, attributes=(False, True)), attributes=(False, True)),
        solve_triangular(low, solve_triangular(low, y, attributes=(False, True)), attributes=(True, True)),
    ]


@rule.procedure(
    head=("solve_triangular()", "solve()"), stage=("stable", "simple"), kind="exact", example=_two_solves, counterexample=_other_solves,
    priority=9,
)  # fmt: skip
def solve_by_both_factors(node: Operator) -> Array | None:
    """chol(A)^-T (chol(A)^-1 b) = solve(A, b)."""
    outer = _factor_solve(node)
    inner = _factor_solve(outer.right) if outer is not None and outer.transposed else None
    if inner is None or inner.transposed or inner.matrix is not outer.matrix or inner.vector != outer.vector:
        return None
    return solve(inner.matrix, inner.right, attributes=(False, inner.vector))


def _scaled_sums():
    A, x, y, Y = example.matrix("A", M, M), example.term("x", M), example.term("y", M), example.term("Y", M, K)
    return [
        solve(A, tensor(HALF * x - HALF * y, (i,)), attributes=(False, True)),
        solve(A, tensor(-3 * x - 3 * Y, (i, c)), attributes=(True, False)),
    ]


def _plain_sums():
    A, x, y = example.matrix("A", M, M), example.term("x", M), example.term("y", M)
    first, second = sorted((x, y), key=lambda term: (x + y).children.index(term))
    return [
        solve(A, tensor(first - second, (i,)), attributes=(False, True)),
        solve(A, tensor(2 * x + 3 * y, (i,)), attributes=(False, True)),
    ]


@rule.procedure(head="solve()", stage=("stable", "simple"), kind="exact", example=_scaled_sums, counterexample=_plain_sums)
def solve_of_scaled_sum(node: Operator) -> Array | None:
    """solve(A, c (x ± y)) = c solve(A, x ± y): proportional right sides share one solve."""
    matrix, right = node.children
    coefficient = common_coefficient(right.term) if isinstance(right, Tensor) else 1
    if coefficient == 1:
        return None
    inner = tensor(right.term * (1 / coefficient), right.axes)
    return tensor(coefficient * read(solve(matrix, inner, attributes=node.attributes), right.axes), right.axes)


# ------------------------------------------------------------------------------------------------------- contractions
def _reads_factor(term: Term) -> bool:
    """A first look: does a factor of a contraction read a solve with a Cholesky factor, or the logarithm of an entry of one?"""
    if isinstance(term, Read):
        return _factor_solve(term.array) is not None or isinstance(term.array, Tensor) and _log_of_entry(term) is not None
    return _log_of_entry(term) is not None


def _log_of_entry(term: Term) -> Read | None:
    """chol(A)[..., i, i] of its logarithm."""
    arguments = arguments_of(term, "log")
    entry = arguments[0] if arguments else None
    if not isinstance(entry, Read) or entry.indices[-1:] != entry.indices[-2:-1]:
        return None
    return entry if _is_cholesky(entry.array) else None


def _log_diagonal(bound: tuple[Label, ...], factors: Factors) -> Term | None:
    for factor, exponent in factors:
        entry = _log_of_entry(factor) if exponent == 1 else None
        if entry is None:
            continue
        label, batch = entry.indices[-1], entry.indices[:-2]
        rest = [(f, e) for f, e in factors if f is not factor]
        if label not in bound or any(label in f.labels for f, _ in rest) or any(label in t.labels for t in batch if isinstance(t, Term)):
            continue
        if label in batch:
            continue
        value = read(logdet(entry.array.children[0]), batch)
        return HALF * contract([other for other in bound if other != label], [*rest, (value, 1)])
    return None


def _quadratic_form(bound: tuple[Label, ...], factors: Factors) -> Term | None:
    solves = []
    for factor, exponent in factors:
        found = _factor_solve(factor.array) if isinstance(factor, Read) and exponent in (1, 2) else None
        if found is not None and not found.transposed:
            row = len(factor.indices) - (1 if found.vector else 2)
            solves += [(factor, found, row)] * exponent
    for position, (first, left, row) in enumerate(solves):
        for second, right, other in solves[position + 1 :]:
            label = first.indices[row]
            same = left.matrix is right.matrix and second.indices[other] == label and first.indices[:row] == second.indices[:other]
            if not same or label not in bound or first.indices.count(label) != 1 or second.indices.count(label) != 1:
                continue
            rest = _without(factors, (first, second))
            if any(label in f.labels for f, _ in rest):
                continue
            if right.vector and not left.vector:  # the solve is done for the fewer columns
                (first, left), (second, right) = (second, right), (first, left)
            solved = read(solve(left.matrix, left.right, attributes=(False, left.vector)), first.indices)
            return contract(bound, [*rest, (read(right.right, second.indices), 1), (solved, 1)])
    return None


def _without(factors: Factors, pair: tuple[Term, Term]) -> list[tuple[Term, int]]:
    left = dict(factors)
    for term in pair:
        left[term] -= 1
    return [(f, e) for f, e in left.items() if e]


def _by_matrix(bound: tuple[Label, ...], factors: Factors) -> Term | None:
    if not bound or not any(_reads_factor(f) for f, _ in factors):
        return None
    return _log_diagonal(bound, factors) or _quadratic_form(bound, factors)


def _forms():
    L, y, W, V = cholesky(_spd()), example.array("y", M), example.array("W", M, K), example.array("V", M, K)
    batched, Y, x = cholesky(_spd("S", B)), example.array("Y", B, M), example.term("x", B)
    z, Z, U = (solve_triangular(L, right, attributes=(False, right is y)) for right in (y, W, V))
    zs = solve_triangular(batched, Y, attributes=(False, True))
    d = Label(K, 1)
    return [
        contract([i], [(read(z, (i,)), 2)]),
        contract([i], [(read(Z, (i, c)), 1), (read(z, (i,)), 1)]),
        contract([i], [(read(Z, (i, c)), 1), (read(U, (i, d)), 1)]),
        contract([i, c], [(read(Z, (i, c)), 2)]),
        contract([b, i], [(read(zs, (b, i)), 2), (x, 1)]),
        contract([i], [(log(read(L, (i, i))), 1)]),
        contract([b, i], [(log(read(batched, (b, i, i))), 1), (x, 1)]),
    ]


def _no_forms():
    L, y, low = cholesky(_spd()), example.array("y", M), example.matrix("L", M, M, facts=("lower",))
    weight = example.term("x", M)
    back, own = solve_triangular(L, y, attributes=(True, True)), solve_triangular(low, y, attributes=(False, True))
    z = solve_triangular(L, y, attributes=(False, True))
    return [
        contract([i], [(read(back, (i,)), 2)]),
        contract([i], [(read(own, (i,)), 2)]),
        contract([i], [(read(z, (i,)), 2), (weight, 1)]),
        contract([i], [(log(read(L, (i, i))), 1), (weight, 1)]),
        contract([i], [(log(read(low, (i, i))), 1)]),
    ]


@rule.procedure(head="product", stage="stable", kind="reassociate", example=_forms, counterexample=_no_forms, priority=7)
def forms_of_factor(node: Contract) -> Term | None:
    """|chol(A)^-1 y|² = y' solve(A, y), Σ log chol(A)_ii = ½ logdet(A)."""
    return _by_matrix(node.bound, node.factors)


def _sums():
    L, y, x = cholesky(_spd()), example.array("y", M), example.term("x", M)
    z = read(solve_triangular(L, y, attributes=(False, True)), (i,))
    diagonal = log(read(L, (i, i)))
    return [
        contract([i], [(-HALF * z**2 - diagonal - 2, 1)]),
        contract([i], [(x * x + 3 * diagonal, 1)]),
    ]


def _no_sums():
    L, x = cholesky(_spd()), example.term("x", M)
    return contract([i], [(x * x + rename(x, {i: j}) * log(1 + read(L, (i, i)) ** 2), 1)])


@rule.procedure(head="product", stage="stable", kind="reassociate", example=_sums, counterexample=_no_sums, priority=7)
def forms_of_factor_in_sum(node: Contract) -> Term | None:
    """Σ_i (f_i + log chol(A)_ii) = Σ_i f_i + ½ logdet(A), and the same for (chol(A)^-1 y)_i²."""
    sums = [f for f, e in node.factors if isinstance(f, Sum) and e == 1] if node.bound else []
    for total in sums:
        others = [(f, e) for f, e in node.factors if f is not total]
        taken, kept = [], []
        for coefficient, part in total.terms:
            factors = part.factors if isinstance(part, Contract) and not part.bound else ((part, 1),)
            found = _by_matrix(node.bound, (*others, *factors)) if _apart(others, factors) else None
            if found is None:
                kept.append((coefficient, part))
            else:
                taken.append((coefficient, found))
        if taken:
            rest = contract(node.bound, [(add(kept), 1), *others]) if kept else None
            return add(taken + ([(Fraction(1), rest)] if rest is not None else []))
    return None


def _apart(others, factors) -> bool:
    return not {f for f, _ in others} & {f for f, _ in factors}


@rule.procedure(
    head="read logdet()", stage="stable", kind="exact", priority=9,
    example=lambda: [read_own(logdet(cholesky(_spd()))), read_own(logdet(cholesky(_spd("S", B))))],
    counterexample=lambda: read_own(logdet(example.matrix("L", M, M, facts=("lower",)))),
)  # fmt: skip
def logdet_of_factor(node: Read) -> Term | None:
    """logdet(chol(A)) = ½ logdet(A)."""
    matrix = node.array.children[0]
    return HALF * read(logdet(matrix.children[0]), node.indices) if _is_cholesky(matrix) else None
