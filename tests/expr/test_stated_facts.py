"""What `sv.assume` states holds under any labels, inside longer sums, and of what rewrites and substitutions put in its place."""

from __future__ import annotations

import gc

import pytest

import symvi as sv
from symvi.array.expression import array_of
from symvi.expr.facts import asserted, assertions, interval, is_nonnegative, is_positive, matrix_facts
from symvi.expr.nodes import Operator, postorder
from symvi.rules import simplify, stabilise

N, M = sv.dims("N M")


def fresh():
    return sv.data("x", N), sv.data("A", N, N)


def test_intervals_of_expressions():
    x, _ = fresh()
    a = sv.assume(sv.sin(x) + x, sv.interval(-1, 2))
    assert interval(a.term) == (-1, 2) and interval((2 * a + 1).term) == (-1, 5)
    assert interval(sv.assume(sv.cos(x) + x, sv.greater_than(3)).term)[0] == 3
    assert interval(sv.assume(sv.cos(x) - x, sv.less_than(3)).term)[1] == 3
    assert interval(sv.assume(sv.cos(x) * x, sv.unit_interval).term) == (0, 1)
    assert is_positive(sv.assume(sv.cos(x) * 2, sv.positive, sv.less_than(2)).term)


def test_a_stated_interval_holds_under_other_labels():
    x, _ = fresh()
    sv.assume(x, sv.positive)
    assert is_positive((x[:, None] * x[None, :]).term) and is_positive(x[3].term)
    d = sv.assume(x - sv.tanh(x), sv.nonnegative)
    assert is_nonnegative((d[:, None] + d[None, :]).term) and is_nonnegative(sv.sum(d).term)


def test_statements_meet():
    x, _ = fresh()
    sv.assume(x, sv.interval(-5, 2))
    sv.assume(x, sv.nonnegative)
    assert interval(x.term) == (0, 2)
    assert asserted(x.term.array) == {"in [0.0, 2.0]"}


def test_a_stated_part_of_a_longer_sum():
    """Sums are flat, so the stated part is no node of its own."""
    x, A = fresh()
    a = sv.assume(x - sv.tanh(x), sv.nonnegative)
    assert is_positive((a + 1).term) and is_positive((a + sv.exp(x)).term)
    B = sv.assume(A - A.T @ A, sv.psd)
    assert "psd" in matrix_facts(array_of(B))
    assert "spd" in matrix_facts(array_of(B + 0.1 * sv.eye(N)))
    assert "psd" in matrix_facts(array_of(B + A @ A.T)) and "psd" not in matrix_facts(array_of(B - A @ A.T))


@pytest.mark.parametrize(
    ("fact", "implied"),
    [
        (sv.spd, {"spd", "psd", "symmetric", "positive_diagonal"}),
        (sv.psd, {"psd", "symmetric"}),
        (sv.diagonal, {"diagonal", "symmetric", "lower", "upper"}),
        (sv.lower_cholesky, {"lower", "positive_diagonal"}),
        (sv.orthogonal, {"orthogonal"}),
        (sv.upper, {"upper"}),
    ],
)
def test_what_facts_of_matrices_imply(fact, implied):
    _, A = fresh()
    assert matrix_facts(array_of(sv.assume(A, fact))) == implied


def test_two_facts_make_a_third():
    _, A = fresh()
    assert "diagonal" in matrix_facts(array_of(sv.assume(A, sv.lower, sv.symmetric)))
    _, A = fresh()
    assert "spd" in matrix_facts(array_of(sv.assume(A, sv.diagonal, sv.lower_cholesky)))


def test_facts_of_transposes_and_inverses():
    _, A = fresh()
    sv.assume(A, sv.lower_cholesky)
    assert {"upper", "positive_diagonal"} <= matrix_facts(array_of(A.T))
    _, Q = fresh()
    sv.assume(Q, sv.orthogonal)
    assert "orthogonal" in matrix_facts(array_of(Q.T))


def test_a_rewritten_matrix_keeps_what_was_stated_of_it():
    """The logarithm of a sum of exponentials inside becomes logaddexp: the matrix is another node afterwards."""
    x, A = fresh()
    B = sv.assume(sv.log(sv.exp(A) + sv.exp(A.T)), sv.spd)
    (after,) = stabilise([sv.linalg.logdet(B).term])
    (logdet,) = [node for node in postorder([after]) if isinstance(node, Operator)]
    assert logdet.children[0] is not array_of(B), "the matrix was rewritten"
    assert "spd" in matrix_facts(logdet.children[0])


def test_a_substitution_keeps_what_was_stated():
    x, A = fresh()
    B = sv.assume(sv.sin(A) + 2 * sv.eye(N), sv.spd)
    other = (B + sv.eye(N)).subs({A: sv.data("C", N, N) ** 2})
    assert "spd" in matrix_facts(array_of(other))


def test_facts_choose_the_operation():
    """Positive definite by facts: Cholesky, and no LU."""
    X, A = sv.data("X", M, N), sv.data("A", M, M)
    s = sv.param("s", support=sv.positive)
    P = sv.assume(A + A.T, sv.psd)
    K = X.T @ P @ X + s**2 * sv.eye(N)
    gradient = sv.grad(sv.linalg.logdet(K), s)
    (term,) = simplify([gradient.term])
    inner = [node.children[0] for node in postorder([term]) if isinstance(node, Operator)]
    assert inner and all("spd" in matrix_facts(matrix) for matrix in inner if matrix.shape[-1] == N)


def test_numbers_that_are_stated_as_matrices():
    c = sv.data("c")
    assert is_positive(sv.assume(c[None, None] * sv.ones(1, 1), sv.spd).term)


def test_unknown_facts():
    x, A = fresh()
    with pytest.raises(sv.ExpressionError, match="interval.*'shiny'.*test_stated_facts"):
        sv.assume(A, "shiny")
    with pytest.raises(sv.ShapeError, match="upper is a fact of square matrices"):
        sv.assume(x, sv.upper)


def test_facts_are_dropped_with_their_expression():
    for _ in range(20):
        x, A = fresh()
        sv.assume(sv.sin(x) + x, sv.positive)
        sv.assume(A @ A - A, sv.psd)
    del x, A
    gc.collect()
    before = len(assertions._table)
    for _ in range(20):
        x, A = fresh()
        sv.assume(sv.sin(x) + x, sv.positive)
        sv.assume(A @ A - A, sv.psd)
    del x, A
    gc.collect()
    assert len(assertions._table) == before
