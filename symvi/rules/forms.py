"""Quadratic forms: sums of squares, and products with a matrix that are shared."""

from __future__ import annotations

from symvi.expr.build import contract, read
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Contract, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import opened_sum

M, K, N, B = dim("M"), dim("K"), dim("N"), dim("B")
i, k, n, b = Label(M, 0), Label(K, 0), Label(N, 0), Label(B, 0)


def _norms() -> list[Term]:
    A, x, X = example.array("A", K, M), example.term("x", M), example.array("X", B, M)
    product = contract([i], [(read(A, (k, i)), 1), (x, 1)])
    back = contract([k], [(read(A, (k, i)), 1), (product, 1)])
    rows = contract([i], [(read(A, (k, i)), 1), (read(X, (b, i)), 1)])
    return [
        contract([i], [(back, 1), (x, 1)]),
        contract([i], [(contract([k], [(read(A, (k, i)), 1), (rows, 1)]), 1), (read(X, (b, i)), 1)]),
    ]


def _other_forms() -> list[Term]:
    A, x, y = example.array("A", K, M), example.term("x", M), example.term("y", M)
    product = contract([i], [(read(A, (k, i)), 1), (y, 1)])
    return [contract([i], [(contract([k], [(read(A, (k, i)), 1), (product, 1)]), 1), (x, 1)])]


@rule.procedure(head="product", stage="stable", kind="stabilise", example=_norms, counterexample=_other_forms, priority=6)
def form_as_sum_of_squares(node: Contract) -> Term | None:
    """x'A'(A x) = |A x|^2: one product with the matrix, and never negative."""
    if len(node.bound) != 1 or len(node.children) < 2:
        return None
    (summed,) = node.bound
    avoid = {label for factor in node.children for label in factor.labels}
    for factor, exponent in node.factors:
        found = opened_sum(factor, avoid) if exponent == 1 and summed in factor.labels else None
        if found is None or len(found[0]) != 1:
            continue
        (inner,), parts = found
        vector = [(f, e) for f, e in node.factors if f is not factor]
        outer = [(f, e) for f, e in parts if summed in f.labels]
        rest = [(f, e) for f, e in parts if summed not in f.labels]
        if len(rest) != 1 or rest[0][1] != 1 or not outer:
            continue
        if contract([summed], [*outer, *vector]) is rest[0][0]:
            return contract([inner], [(rest[0][0], 2)])
    return None
