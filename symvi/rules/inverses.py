"""Inverses that are contracted with something: a solve instead, or nothing at all."""

from __future__ import annotations

from symvi.atoms.array_atom import axes_of
from symvi.atoms.linear_algebra import inverse, is_symmetric, solve
from symvi.expr.build import contract, delta, read, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label, sort_labels
from symvi.expr.nodes import Array, Contract, Operator, Read, Tensor, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import opened_sum, operator_read

M, B, K = dim("M"), dim("B"), dim("K")
i, j, k = Label(M, 0), Label(M, 1), Label(M, 2)
b, c = Label(B, 0), Label(K, 0)


class Side:
    """One way to take an inverse out of a contraction: what stands on one side of it becomes a right-hand side."""

    def __init__(self, node: Contract, factor: Read, summed: Label, kept: Label, transposed: bool):
        operator = factor.array
        self.matrix = operator.children[0]
        self.batch, self.kept, self.summed = factor.indices[:-2], kept, summed
        self.transposed = transposed and not is_symmetric(self.matrix)
        others = [(f, e) for f, e in node.factors if f is not factor]
        taken = self._connected(node, others) or [(f, e) for f, e in others if summed in f.labels]
        self.rest = [(f, e) for f, e in others if (f, e) not in taken]
        outside = {label for f, _ in self.rest for label in f.labels} | {kept, *self.batch}
        inside = {label for f, _ in taken for label in f.labels}
        self.inner = [label for label in node.bound if label != summed and label in inside - outside]
        self.right = contract(self.inner, taken)
        self.columns = sort_labels(self.right.labels - {summed} - set(self.batch))
        self.bound = [label for label in node.bound if label != summed and label not in self.inner]

    def _connected(self, node: Contract, others):
        """The factors joined to the summed label through other sums, unless they reach across the inverse."""
        reached, taken = {self.summed}, []
        while True:
            more = [item for item in others if item not in taken and item[0].labels & reached]
            if not more:
                return taken
            taken.extend(more)
            reached |= {label for f, _ in more for label in f.labels if label in node.bound and label not in self.batch}
            if self.kept in {label for f, _ in taken for label in f.labels}:
                return None

    @property
    def possible(self) -> bool:
        labels = (*self.batch, self.summed)
        return all(isinstance(index, Label) for index in labels) and len(set(labels)) == len(labels) and len(self.columns) <= 1

    def result(self) -> Term:
        axes = (*self.batch, self.summed, *self.columns)
        solved = solve(self.matrix, tensor(self.right, axes), attributes=(self.transposed, not self.columns))
        value = read(solved, (*self.batch, self.kept, *self.columns))
        return contract(self.bound, [(value, 1), *self.rest])


def _sides(node: Contract) -> list[Side]:
    sides = []
    for factor, exponent in node.factors:
        found = operator_read(factor, "inverse")
        if found is None or exponent != 1:
            continue
        row, column = found[1][-2:]
        for summed, kept, transposed in ((column, row, False), (row, column, True)):
            if isinstance(kept, Label) and kept != summed and summed in node.bound and summed not in found[1][:-2]:
                sides.append(Side(node, factor, summed, kept, transposed))
    return [side for side in sides if side.possible]


def _vectors():
    A, S, y = example.matrix("A", M, M), example.matrix("S", B, M, M, facts=("spd",)), example.array("y", M)
    Y, W = example.array("Y", B, M), example.array("W", M, K)
    inv = inverse(A)
    return [
        contract([j], [(read(inv, (i, j)), 1), (read(y, (j,)), 1)]),
        contract([i], [(read(inv, (i, j)), 1), (read(y, (i,)), 1)]),
        contract([i, j], [(read(inv, (i, j)), 1), (read(y, (i,)), 1), (read(y, (j,)), 1)]),
        contract([i, j], [(read(inverse(S), (b, i, j)), 1), (read(Y, (b, i)), 1), (read(Y, (b, j)), 1)]),
        contract([j, k], [(read(inv, (i, j)), 1), (read(A, (k, j)), 1), (read(y, (k,)), 1)]),
        contract([i, j], [(read(inv, (i, j)), 1), (read(W, (i, c)), 1), (read(y, (j,)), 1)]),
    ]


def _matrices():
    A, W, V = example.matrix("A", M, M), example.array("W", M, K), example.array("V", M, K)
    inv, other = inverse(A), example.matrix("C", M, M)
    d = Label(K, 1)
    return [
        contract([j], [(read(inv, (i, j)), 1), (read(W, (j, c)), 1)]),
        contract([i, j], [(read(inv, (i, j)), 1), (read(W, (i, c)), 1), (read(V, (j, d)), 1)]),
        contract([i, j], [(read(inv, (i, j)), 1), (read(other, (j, i)), 1)]),
        contract([i, j, c], [(read(inv, (i, j)), 1), (read(W, (i, c)), 1), (read(W, (j, c)), 1)]),
    ]


def _two_columns():
    A, T = example.matrix("A", M, M), example.array("T", M, K, B)
    return contract([j], [(read(inverse(A), (i, j)), 1), (read(T, (j, c, b)), 1)])


@rule.procedure(head="product", stage=("stable", "simple"), kind="stabilise", example=_vectors, counterexample=_matrices, priority=6)
def inverse_times_vector(node: Contract) -> Term | None:
    """A^-1 b = solve(A, b), y' A^-1 b = y' solve(A, b): half the work and the smaller residual."""
    for side in _sides(node):
        if not side.columns:
            return side.result()
    return None


@rule.procedure(head="product", stage="stable", kind="stabilise", example=_matrices, counterexample=_two_columns, priority=5)
def inverse_times_matrix(node: Contract) -> Term | None:
    """A^-1 B = solve(A, B), also inside B' A^-1 B and trace(A^-1 B)."""
    sides = _sides(node)
    return sides[0].result() if sides else None


def _undone():
    A, W = example.matrix("A", M, M), example.array("W", K, M)
    inv = inverse(A)
    return [
        contract([j], [(read(inv, (i, j)), 1), (read(A, (j, k)), 1)]),
        contract([j], [(read(A, (i, j)), 1), (read(inv, (j, k)), 1)]),
        contract([j, k], [(read(inv, (i, j)), 1), (read(A, (j, k)), 1), (read(W, (c, k)), 1)]),
    ]


def _not_undone():
    A, y = example.matrix("A", M, M), example.array("y", M)
    inv = inverse(A)
    return [
        contract([j], [(read(inv, (i, j)), 1), (read(A, (j, k)), 1), (read(y, (j,)), 1)]),
        contract([j], [(read(inv, (i, j)), 1), (read(A, (k, j)), 1)]),
    ]


@rule.procedure(head="product", stage=("stable", "simple"), kind="stabilise", example=_undone, counterexample=_not_undone, priority=8)
def inverse_times_itself(node: Contract) -> Term | None:
    """A^-1 A = A A^-1 = I."""
    for factor, exponent in node.factors:
        found = operator_read(factor, "inverse")
        if found is None or exponent != 1:
            continue
        batch, row, column = found[1][:-2], *found[1][-2:]
        matrix = found[0].children[0]
        for summed, kept in ((column, row), (row, column)):
            carriers = [(f, e) for f, e in node.factors if isinstance(summed, Label) and summed in f.labels and f is not factor]
            if summed not in node.bound or summed == kept or len(carriers) != 1 or carriers[0][1] != 1:
                continue
            far = _partner(carriers[0][0], matrix, batch, summed, first=summed == column)
            if far is not None and summed not in batch:
                rest = [(f, e) for f, e in node.factors if f is not factor and f is not carriers[0][0]]
                return contract([label for label in node.bound if label != summed], [*rest, (delta(kept, far), 1)])
    return None


def _partner(term: Term, matrix: Array, batch: tuple, summed: Label, first: bool):
    """The other index at which `term` reads `matrix`, if it reads it at `summed`."""
    for other in sort_labels(term.labels - {summed}):
        indices = (*batch, summed, other) if first else (*batch, other, summed)
        if read(matrix, indices) is term:
            return other
    return None


def _solved():
    A, y, W = example.matrix("A", M, M), example.array("y", M), example.array("W", M, K)
    return [
        solve(A, tensor(contract([j], [(read(A, (i, j)), 1), (read(y, (j,)), 1)]), (i,)), attributes=(False, True)),
        solve(A, tensor(contract([j], [(read(A, (i, j)), 1), (read(W, (j, c)), 1)]), (i, c)), attributes=(False, False)),
        solve(A, A, attributes=(False, False)),
    ]


def _not_solved():
    A, C, y = example.matrix("A", M, M), example.matrix("C", M, M), example.array("y", M)
    return [
        solve(A, tensor(contract([j], [(read(A, (j, i)), 1), (read(y, (j,)), 1)]), (i,)), attributes=(False, True)),
        solve(A, tensor(contract([j], [(read(C, (i, j)), 1), (read(y, (j,)), 1)]), (i,)), attributes=(False, True)),
        solve(A, A, attributes=(True, False)),
    ]


@rule.procedure(head="solve()", stage=("stable", "simple"), kind="stabilise", example=_solved, counterexample=_not_solved, priority=8)
def solve_of_product(node: Operator) -> Array | None:
    """solve(A, A b) = b."""
    matrix, right = node.children
    transposed, vector = node.attributes
    if transposed and not is_symmetric(matrix):
        return None
    axes = axes_of(right)
    if right is matrix and not vector:
        return tensor(delta(axes[-2], axes[-1]), axes)
    found = opened_sum(right.term, axes) if isinstance(right, Tensor) else None
    if found is None:
        return None
    bound, factors = found
    row = axes[-1] if vector else axes[-2]
    batch = axes[: len(matrix.shape) - 2]
    for factor, exponent in factors:
        for summed in bound:
            if exponent != 1 or read(matrix, (*batch, row, summed)) is not factor:
                continue
            rest = [(f, e) for f, e in factors if f is not factor]
            if any(row in f.labels for f, _ in rest):
                continue
            inner = contract([label for label in bound if label != summed], rest)
            return tensor(rename(inner, {summed: row}), axes)
    return None


