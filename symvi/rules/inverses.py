"""Inverses that are contracted with something: a solve instead, or nothing at all."""

from __future__ import annotations

from symvi.atoms.array_atom import axes_of
from symvi.atoms.linear_algebra import inverse, is_symmetric, solve
from symvi.expr import provenance
from symvi.expr.build import contract, delta, read, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label, sort_labels
from symvi.expr.nodes import Array, Contract, Operator, Read, Tensor, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import opened_sum, operator_read
from symvi.rules.factored import solve_columns

M, B, K = dim("M"), dim("B"), dim("K")
i, j, k = Label(M, 0), Label(M, 1), Label(M, 2)
b, c = Label(B, 0), Label(K, 0)


class Side:
    """One way to take an inverse out of a contraction: what stands on one side of it becomes a right-hand side."""

    def __init__(self, node: Contract, factor: Read, summed: Label, kept: Label, transposed: bool):
        operator = factor.array
        self.matrix, self.site = operator.children[0], provenance.site_of(operator)
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
        """Several columns are one right side, unless the other index of the inverse is among them."""
        labels = (*self.batch, self.summed)
        plain = all(isinstance(index, Label) for index in labels) and len(set(labels)) == len(labels)
        return plain and (len(self.columns) <= 1 or self.kept not in self.columns)

    def result(self) -> Term:
        with provenance.within(self.site):  # a singular matrix is named with the line of its inverse
            solved = solve_columns(self.matrix, self.right, self.batch, self.summed, self.columns, self.transposed, self.kept)
        return contract(self.bound, [(solved, 1), *self.rest])


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
    d, T = Label(K, 1), example.array("T", B, M, K)
    return [
        contract([j], [(read(inv, (i, j)), 1), (read(T, (b, j, c)), 1)]),
        contract([j], [(read(inv, (i, j)), 1), (read(W, (j, c)), 1)]),
        contract([i, j], [(read(inv, (i, j)), 1), (read(W, (i, c)), 1), (read(V, (j, d)), 1)]),
        contract([i, j], [(read(inv, (i, j)), 1), (read(other, (j, i)), 1)]),
        contract([i, j, c], [(read(inv, (i, j)), 1), (read(W, (i, c)), 1), (read(W, (j, c)), 1)]),
    ]


def _trace_of_stack():
    A, T = example.matrix("A", M, M), example.array("T", M, M, B)
    return contract([i, j], [(read(inverse(A), (i, j)), 1), (read(T, (j, i, b)), 1)])


@rule.procedure(
    head="product", stage=("stable", "simple"), kind="stabilise",
    example=_vectors, counterexample=_matrices, priority=6, needs=("read inverse()",),
)  # fmt: skip
def inverse_times_vector(node: Contract) -> Term | None:
    """A^-1 b = solve(A, b), y' A^-1 b = y' solve(A, b): half the work and the smaller residual."""
    for side in _sides(node):
        if not side.columns:
            return side.result()
    return None


@rule.procedure(
    head="product", stage="stable", kind="stabilise",
    example=_matrices, counterexample=_trace_of_stack, priority=5, needs=("read inverse()",),
)  # fmt: skip
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


@rule.procedure(
    head="product", stage=("stable", "simple"), kind="stabilise",
    example=_undone, counterexample=_not_undone, priority=8, needs=("read inverse()",),
)  # fmt: skip
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


def _products_of_solves():
    A, y, W = example.matrix("A", M, M), example.array("y", M), example.array("W", M, K)
    x, X, turned = (solve(A, right, attributes=how) for right, how in ((y, (False, True)), (W, (False, False)), (y, (True, True))))
    return [
        contract([j], [(read(A, (i, j)), 1), (read(x, (j,)), 1)]),
        contract([j], [(read(A, (i, j)), 1), (read(X, (j, c)), 1)]),
        contract([j], [(read(A, (j, i)), 1), (read(turned, (j,)), 1)]),
        contract([i, j], [(read(A, (i, j)), 1), (read(x, (j,)), 1), (read(y, (i,)), 1)]),
    ]


def _other_products():
    A, y = example.matrix("A", M, M), example.array("y", M)
    x = read(solve(A, y, attributes=(False, True)), (j,))
    return [contract([j], [(read(A, (j, i)), 1), (x, 1)]), contract([j], [(read(A, (i, j)), 1), (x, 1), (read(y, (j,)), 1)])]


@rule.procedure(
    head="product", stage=("stable", "simple"), kind="stabilise", example=_products_of_solves, counterexample=_other_products, priority=8
)
def matrix_times_solve(node: Contract) -> Term | None:
    """A solve(A, b) = b."""
    for factor, exponent in node.factors:
        found = operator_read(factor, "solve") if node.bound and exponent == 1 else None
        if found is None:
            continue
        (matrix, right), (transposed, _) = found[0].children, found[0].attributes
        place = len(matrix.shape) - 2
        batch, row, columns = found[1][:place], found[1][place], found[1][place + 1 :]
        carriers = [(f, e) for f, e in node.factors if isinstance(row, Label) and row in f.labels and f is not factor]
        if row not in node.bound or len(carriers) != 1 or carriers[0][1] != 1 or factor.indices.count(row) != 1:
            continue
        if any(row in index.labels for index in factor.indices if not isinstance(index, Label)):
            continue
        far = _partner(carriers[0][0], matrix, batch, row, first=transposed)
        if far is not None:
            rest = [(f, e) for f, e in node.factors if f is not factor and f is not carriers[0][0]]
            return contract([label for label in node.bound if label != row], [*rest, (read(right, (*batch, far, *columns)), 1)])
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


