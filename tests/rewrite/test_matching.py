"""Patterns find their operands modulo commutativity, inside longer sums and products, under any labels."""

import numpy as np
import pytest

from symvi.atoms.elementwise import exp, log, log1p, logaddexp, ndtr, sigmoid, softplus
from symvi.atoms.linear_algebra import det, inverse, logdet
from symvi.errors import ExpressionError
from symvi.expr.build import constant, contract, delta, iota, read, read_own, reduce, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Operator
from symvi.oracle.interpreter import evaluate
from symvi.rewrite import Guard, Index, Indexed, Matrix
from symvi.rewrite.engine import STAGES, declare_stage, run_stage
from symvi.rewrite.example import POSITIVE, array, matrix, term
from symvi.rewrite.rule import RULES, rule
from symvi.rules import stabilise

N, K, M = dim("N"), dim("K"), dim("M")


def stable(node):
    return stabilise([node])[0]


def test_a_scalar_variable_takes_any_term_with_its_labels():
    x, w = term("x", N, K), term("w", K)
    assert stable(log(1 + exp(x * w + 3))) is softplus(x * w + 3)


def test_operands_are_found_inside_a_longer_product_and_a_contraction():
    x, y = term("x", N), term("y", N)
    assert stable(3 * y / (1 + exp(-x))) is 3 * y * sigmoid(x)
    summed = contract(x.labels, [(y, 2), (1 + exp(-x), -1)])
    assert stable(summed) is contract(x.labels, [(y, 2), (sigmoid(x), 1)])


def test_powers_are_taken_as_often_as_they_occur():
    x = term("x", N)
    assert stable((1 + exp(-x)) ** -3) is sigmoid(x) ** 3
    assert stable(exp(x) / (1 + exp(x)) ** 2) is sigmoid(x) * sigmoid(-x)
    assert stable(exp(x) ** 2 / (1 + exp(x)) ** 2) is sigmoid(x) ** 2


def test_a_sum_is_matched_up_to_a_factor():
    x = term("x", N)
    assert stable(3 - 3 * sigmoid(x)) is 3 * sigmoid(-x)
    assert stable(sigmoid(x) - 1) is -sigmoid(-x)


def test_a_sum_that_must_be_matched_whole_is_left_alone_in_a_longer_one():
    x, y = term("x", N), term("y", N)
    assert stable(exp(x) - 1 + y) is exp(x) - 1 + y


def test_a_rest_is_kept_in_a_longer_sum():
    @rule(stage="stable")
    def pair(x):
        """softplus(x) + ndtr(x) = x, which is wrong, but short."""
        return softplus(x) + ndtr(x), x

    a, b = term("a", N), term("b", N)
    assert RULES["pair"].apply(2 * softplus(a) + 2 * ndtr(a) - b) is 2 * a - b
    assert RULES["pair"].apply(2 * softplus(a) + ndtr(a) - b) is None
    assert RULES["pair"].apply(softplus(a) + ndtr(b)) is None


def test_commutative_functions_match_in_either_order():
    @rule(stage="stable")
    def one_side(x, y):
        """logaddexp(log(x), sigmoid(y)) = x y, which is wrong, but short."""
        return logaddexp(log(x), sigmoid(y)), x * y

    a, b = term("a", N), term("b", N)
    assert RULES["one_side"].apply(logaddexp(sigmoid(a), log(b))) is a * b
    assert RULES["one_side"].apply(logaddexp(log(b), sigmoid(a))) is a * b


def test_heavy_terms_are_seen_through_views():
    x = term("x", N)
    (n,) = x.labels
    other = Label(N, 1)
    assert stable(log(exp(x) + exp(rename(x, {n: other})))) is logaddexp(x, rename(x, {n: other}))
    assert stable(log(1 + rename(exp(x), {n: other}))) is rename(softplus(x), {n: other})


def test_a_gather_moves_inside():
    x, group = term("x", K), term("g", N, kind="i")
    (k,) = x.labels
    assert stable(log(1 + rename(exp(x), {k: group}))) is softplus(rename(x, {k: group}))


def test_one_index_of_a_pattern_stands_for_several_labels():
    x = term("x", N, K)
    labels = x.labels
    assert stable(log(contract(labels, [(exp(x), 1)]))) is reduce("logsumexp", labels, x)
    (n,) = [label for label in labels if label.dim == N]
    assert stable(log(contract([n], [(exp(x), 1)]))) is reduce("logsumexp", [n], x)


def test_a_variable_outside_a_sum_must_not_hold_its_labels():
    @rule(stage="stable")
    def outside(x: Indexed, y, k: Index):
        """log Σ e^x ndtr(y) = y, which is wrong, but short."""
        return log(contract([k], [(exp(x[k]), 1), (ndtr(y), 1)])), y

    x, y = term("x", N, K), term("y", K)
    (k,) = y.labels
    assert RULES["outside"].apply(log(contract([k], [(exp(x), 1), (ndtr(y), 1)]))) is None


def test_one_variable_at_two_places():
    """The determinant lemma, with a guard: U is one expression read at two places, D takes what is left."""

    def large_factorisations(node):
        dense = isinstance(node, Operator) and node.name == "logdet" and "diagonal" not in matrix_facts(node.children[0])
        return (int(dense and node.children[0].shape[-1] == M),)

    declare_stage("lemmas", "low rank", large_factorisations)

    @rule(stage="lemmas", kind="reassociate", guard=lambda k, i: Guard(k, i))
    def lemma(D: Indexed, U: Indexed, i: Index, k: Index, j: Index = "i", l: Index = "k"):
        """log|D + U U'| = log|D| + log|I + U' D^-1 U|."""
        d = tensor(D[i, j], (i, j))
        inside = contract([i, j], [(U[i, k], 1), (read(inverse(d), (i, j)), 1), (U[j, l], 1)])
        left = read(logdet(tensor(D[i, j] + contract([k], [(U[i, k], 1), (U[j, k], 1)]), (i, j))), ())
        return left, read(logdet(d), ()) + read(logdet(tensor(delta(k, l) + inside, (k, l))), ())

    s, U, V = term("s", N, M, stated=POSITIVE), array("U", N, M, K), array("V", N, M, K)
    n, i, j, k = Label(N, 0), Label(M, 0), Label(M, 1), Label(K, 0)
    diagonal = delta(i, j) * s

    def covariance(right):
        return tensor(diagonal + contract([k], [(read(U, (n, i, k)), 1), (read(right, (n, j, k)), 1)]), (n, i, j))

    node = read_own(logdet(covariance(U)))
    after = RULES["lemma"].apply(node)
    values = {s.array.leaf: np.array([[1.0, 2.0, 3.0], [0.5, 1.5, 2.5]]), U.leaf: np.linspace(-1, 1, 12).reshape(2, 3, 2)}
    assert np.allclose(*evaluate([node, after], values))
    assert RULES["lemma"].apply(read_own(logdet(covariance(V)))) is None
    guards = []
    assert run_stage("lemmas", [node], guards) == [after]
    assert [str(guard) for guard in guards] == ["K < M"]
    del STAGES["lemmas"]


def test_matrix_variables_carry_batches():
    A = matrix("A", N, M, M, facts=("spd",))
    assert stable(log(read_own(det(A)))) is read_own(logdet(A))
    assert stable(read_own(logdet(inverse(A)))) is -read_own(logdet(A))


def test_a_contraction_is_found_inside_a_larger_one():
    @rule(stage="stable")
    def undone(A: Matrix, b: Indexed, i: Index, j: Index):
        """Σ_j A^-1[i,j] b[j] = Σ_j A[i,j] b[j], which is wrong, but short."""
        left = contract([j], [(read(inverse(A), (i, j)), 1), (b[j], 1)])
        return left, contract([j], [(read(A, (i, j)), 1), (b[j], 1)])

    A, y, w = matrix("A", M, M), array("y", M), array("w", M)
    i, j = Label(M, 0), Label(M, 1)
    node = contract([i, j], [(read(inverse(A), (i, j)), 1), (read(y, (j,)), 1), (read(w, (i,)), 1)])
    inner = contract([j], [(read(A, (i, j)), 1), (read(y, (j,)), 1)])
    wanted = contract([i], [(inner, 1), (read(w, (i,)), 1)])
    other = contract([j], [(read(A, (j, i)), 1), (read(w, (j,)), 1)])
    assert RULES["undone"].apply(node) in (wanted, contract([i], [(other, 1), (read(y, (i,)), 1)]))


def test_the_condition_sees_what_the_variables_stand_for():
    x, p = term("x", N), term("p", N, stated=POSITIVE)
    assert stable(exp(log(p))) is p
    assert stable(exp(log(x))) is exp(log(x))


def test_a_pattern_needs_a_head():
    with pytest.raises(ExpressionError, match="at least one head"):

        @rule(stage="stable")
        def nothing(x, y):
            """x y = x."""
            return x * y, x


def test_what_a_rule_must_have():
    with pytest.raises(ExpressionError, match="docstring"):

        @rule(stage="stable")
        def undocumented(x):
            return log(1 + x), log1p(x)

    with pytest.raises(ExpressionError, match="kind"):

        @rule(stage="stable", kind="fast")
        def of_no_kind(x):
            """log(1 + x) = log1p(x)."""
            return log(1 + x), log1p(x)

    with pytest.raises(ExpressionError, match="example"):

        @rule.procedure(head="log", stage="stable")
        def without_example(node):
            """log(x) = log(x)."""
            return None


def test_constants_are_exact():
    x = term("x", N)
    assert stable(log(2 + exp(x))) is not softplus(x)
    assert stable(log(constant(0.1) + x)) is log(constant(0.1) + x)


def test_a_label_value_is_an_ordinary_term():
    n = Label(N, 0)
    assert stable(1 / (1 + exp(-iota(n)))) is sigmoid(iota(n))


def test_arrays_are_rewritten_inside():
    x = term("x", N)
    closed = tensor(log(1 + exp(x)), tuple(x.labels))
    assert stable(closed) is tensor(softplus(x), tuple(x.labels))
