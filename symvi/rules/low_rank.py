"""A cheap matrix plus one of low rank: the determinant lemma and the matrix inversion lemma, where the sizes make them pay.

With C = D + U V' of order n and rank r the dense form takes n³/3 operations and n² numbers, the lemmas n r² and n r.
They are used for 4 r < n. Woodbury (1950); Sherman and Morrison for rank 1.
"""

from __future__ import annotations

from symvi.atoms.array_atom import axes_of
from symvi.atoms.linear_algebra import inverse, logdet, solve
from symvi.expr.build import contract, delta, one, read, read_own, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Operator, Read, Term
from symvi.rewrite import example
from symvi.rewrite.guard import Guard, ask
from symvi.rewrite.rule import rule
from symvi.rewrite.views import fresh_labels
from symvi.rules.factored import DETERMINANTS, determinant
from symvi.rules.splitting import Split, split

__all__: list[str] = []

PAYS = 4  # the order, in ranks, from which the lemmas take less time
N, M, B, K = dim("N"), dim("M"), dim("B"), dim("K")
i, j, m = Label(N, 0), Label(N, 1), Label(M, 0)


def _worthwhile(matrix: Array) -> Split | None:
    """The parts of a matrix for which the lemmas pay at the sizes at hand."""
    found = split(matrix)
    return found if found is not None and ask(Guard(PAYS * found.rank, matrix.shape[-1])) else None


# -------------------------------------------------------------------------------------------------------------- examples
def _diagonal(name: str = "d") -> Term:
    return example.term(name, N, stated=example.POSITIVE) * delta(i, j)


def _through(left: Term, right: Term, *between: Term) -> Term:
    """Σ over everything but the row and the column."""
    labels = {label for part in (left, right, *between) for label in part.labels} - {i, j}
    return contract(labels, [(part, 1) for part in (left, right, *between)])


def _matrices() -> list[Array]:
    """One matrix of each form that is taken apart."""
    U, V, s = example.array("U", N, M), example.array("V", N, M), example.term("s", stated=example.POSITIVE)
    A, W, R = example.matrix("A", M, M, facts=("spd",)), example.matrix("W", M, M), example.array("R", M, N)
    u, w, other = example.term("u", N), example.term("w", M, stated=example.POSITIVE), Label(M, 1)
    at, flipped = (lambda array, label, inner=m: read(array, (label, inner))), read(W, (m, other))
    solved = read(solve(A, R, attributes=(False, False)), (m, i))
    terms = [
        _diagonal() + _through(at(U, i), at(U, j)),
        s**2 * delta(i, j) + _through(read(R, (m, j)), solved),
        _diagonal() + _through(at(U, i), at(U, j), w),
        _diagonal() + _through(at(U, i), at(U, j, other), read(A, (m, other))),
        _diagonal() + _through(at(U, i), at(V, j, other), flipped),
        _diagonal() - 2 * _through(at(U, i), at(V, j)),
        _diagonal() + u * rename(u, {i: j}),
        _diagonal() + s + _through(at(U, i), at(U, j)),
    ]
    return [tensor(term, (i, j)) for term in terms]


def _batched() -> Array:
    U, d = example.array("U", B, N, M), example.term("d", B, N, stated=example.POSITIVE)
    b = Label(B, 0)
    product = contract([m], [(read(U, (b, i, m)), 1), (read(U, (b, j, m)), 1)])
    return tensor(d * delta(i, j) + product, (b, i, j))


def _others() -> list[Array]:
    """Matrices of which no part is cheap, or one is not of low rank."""
    U, A, S = example.array("U", N, M), example.matrix("A", N, N), example.matrix("S", N, N, facts=("spd",))
    gram = _through(read(U, (i, m)), read(U, (j, m)))
    return [tensor(term, (i, j)) for term in (read(A, (i, j)) + gram, _diagonal() + read(S, (i, j)), gram + read(S, (i, j)))]


# ----------------------------------------------------------------------------------------------------------------- rules
@rule.procedure(
    head=DETERMINANTS, stage="structure", kind="reassociate", guarded=True,
    example=lambda: [read_own(logdet(matrix)) for matrix in (*_matrices(), _batched())],
    counterexample=lambda: [read_own(logdet(matrix)) for matrix in _others()],
)  # fmt: skip
def determinant_lemma(node: Read) -> Term | None:
    """|D + U V'| = |D| |I + V' D^-1 U|, and so for its logarithm and sign."""
    matrix = node.array.children[0]
    found = _worthwhile(matrix)
    if found is None:
        return None
    whole = found.operator()
    return determinant(node, [(part, 1, one) for part in whole.matrices], [(part, 1, one) for part in whole.scalars], whole.diagonals)


def _solves() -> list[Array]:
    b, Y = example.array("b", N), example.array("Y", N, K)
    first, *others = _matrices()
    solves = [solve(matrix, b, attributes=(False, True)) for matrix in (first, *others)]
    transposed = [solve(others[3], b, attributes=(True, True)), solve(others[4], Y, attributes=(True, False))]
    batched = solve(_batched(), example.array("b", B, N), attributes=(False, True))
    return [*solves, *transposed, solve(first, Y, attributes=(False, False)), batched]


@rule.procedure(
    head="solve()", stage="structure", kind="reassociate", guarded=True, example=_solves,
    counterexample=lambda: [solve(matrix, example.array("b", N), attributes=(False, True)) for matrix in _others()],
)  # fmt: skip
def matrix_inversion_lemma(node: Operator) -> Array | None:
    """(D + U V')^-1 b = D^-1 b - D^-1 U (I + V' D^-1 U)^-1 V' D^-1 b."""
    matrix, right = node.children
    found = _worthwhile(matrix)
    if found is None:
        return None
    transposed, vector = node.attributes
    axes, place = axes_of(right), found.place
    there = (*place.batch, place.row, *([] if vector else fresh_labels(axes[-1:], matrix.axes).values()))
    return tensor(found.operator(there).solve(read(right, there), transposed), there)


@rule.procedure(
    head="inverse()", stage="structure", kind="reassociate", guarded=True,
    example=lambda: [inverse(matrix) for matrix in (*_matrices(), _batched())],
    counterexample=lambda: [inverse(matrix) for matrix in _others()],
)  # fmt: skip
def inverse_of_low_rank(node: Operator) -> Array | None:
    """(D + U V')^-1 = D^-1 - D^-1 U (I + V' D^-1 U)^-1 V' D^-1."""
    found = _worthwhile(node.children[0])
    if found is None:
        return None
    place = found.place
    return tensor(found.operator().solve(delta(place.row, place.column)), (*place.batch, place.row, place.column))
