"""Textbook linear algebra: what it becomes, its value and its gradient."""

import numpy as np
import pytest

from symvi.atoms.array_atom import axes_of
from symvi.atoms.elementwise import exp, log, sqrt
from symvi.atoms.linear_algebra import cholesky, det, inverse, logdet, solve
from symvi.calculus.reverse import gradients
from symvi.expr.build import constant, contract, delta, named_constant, read, read_own, size, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Operator, postorder
from symvi.oracle.interpreter import evaluate
from symvi.rewrite.example import array, matrix, term
from symvi.rules import simplify, stabilise

M, B, K = dim("M"), dim("B"), dim("K")
i, j, k = Label(M, 0), Label(M, 1), Label(M, 2)
rng = np.random.default_rng(0)


def stable(node):
    return stabilise([node])[0]


def atoms(*nodes):
    return sorted({n.name for n in postorder(nodes) if isinstance(n, Operator)})


def spd(n):
    a = rng.standard_normal((n, n))
    return a @ a.T + n * np.eye(n)


def normal_log_density(S, y):
    """As in a textbook: log of the density, with the inverse and the determinant."""
    quadratic = contract([i, j], [(read(y, (i,)), 1), (read(inverse(S), (i, j)), 1), (read(y, (j,)), 1)])
    two_pi = 2 * named_constant("pi")
    return log(exp(-quadratic / 2) / sqrt(power_of(two_pi) * read_own(det(S))))


def power_of(base):
    from symvi.atoms.elementwise import power

    return power(base, size(M))


def test_a_normal_density_as_typed():
    S, y = matrix("S", M, M, facts=("spd",)), array("y", M)
    node = normal_log_density(S, y)
    after = stable(node)
    assert atoms(after) == ["logdet", "solve"]
    n = 60
    value = spd(n) * 1e-9
    values = {S.leaf: value, y.leaf: rng.standard_normal(n) * 1e-4}
    found = float(evaluate([after], values)[0])
    _, logarithm = np.linalg.slogdet(value)
    v = values[y.leaf]
    wanted = -0.5 * (v @ np.linalg.solve(value, v) + logarithm + n * np.log(2 * np.pi))
    assert abs(found - wanted) < 1e-10 * abs(wanted)
    gradient_S, gradient_y = simplify(gradients(after, [S, y]))
    g_S, g_y = evaluate([tensor(gradient_S, axes_of(S)), tensor(gradient_y, axes_of(y))], values)
    x = np.linalg.solve(value, v)
    assert np.allclose(g_y, -x, rtol=1e-9)
    assert np.allclose(g_S, -0.5 * (np.linalg.inv(value) - np.outer(x, x)), rtol=1e-7)


def test_the_gradient_contracts_its_virtual_inverse_with_vectors():
    S, u = matrix("S", M, M, facts=("spd",)), term("u", M)
    (m,) = u.labels
    other = Label(M, 1 if m.number == 0 else 0)
    from symvi.expr.build import rename

    outer = u * rename(u, {m: other})
    inverse_read = read(inverse(S), (i, j))
    traced = contract([i, j], [(inverse_read, 1), (outer, 1)])
    assert atoms(*simplify([traced])) == ["solve"]


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_vector_chooses_the_side_without_columns(symmetric):
    A = matrix("A", M, M, facts=("spd",) if symmetric else ())
    W, y = array("W", M, K), array("y", M)
    c = Label(K, 0)
    node = contract([i, j], [(read(W, (i, c)), 1), (read(inverse(A), (i, j)), 1), (read(y, (j,)), 1)])
    after = stable(node)
    wanted = solve(A, y, attributes=(False, True))
    assert after is contract([i], [(read(W, (i, c)), 1), (read(wanted, (i,)), 1)])


def test_two_further_labels_are_the_columns_of_one_solve():
    A, T = matrix("A", M, M), array("T", M, K, B)
    node = contract([j], [(read(inverse(A), (i, j)), 1), (read(T, (j, Label(K, 0), Label(B, 0))), 1)])
    after = stable(node)
    assert atoms(after) == ["solve"]
    values = {A.leaf: spd(4), T.leaf: rng.standard_normal((4, 2, 3))}
    (found,) = evaluate([tensor(after, (i, Label(K, 0), Label(B, 0)))], values)
    assert np.allclose(found, np.einsum("ij,jcb->icb", np.linalg.inv(values[A.leaf]), values[T.leaf]), rtol=1e-12)


def test_a_trace_against_a_stack_keeps_the_inverse():
    A, T = matrix("A", M, M), array("T", M, M, B)
    node = contract([i, j], [(read(inverse(A), (i, j)), 1), (read(T, (j, i, Label(B, 0))), 1)])
    assert atoms(stable(node)) == ["inverse"]


def test_a_matrix_beside_its_inverse_disappears():
    A, y = matrix("A", M, M), array("y", M)
    node = contract([j, k], [(read(inverse(A), (i, j)), 1), (read(A, (j, k)), 1), (read(y, (k,)), 1)])
    assert stable(node) is read(y, (i,))
    assert stable(contract([j], [(read(inverse(A), (i, j)), 1), (read(A, (j, k)), 1)])) is delta(i, k)


def test_cholesky_times_its_transpose():
    S = matrix("S", B, M, M, facts=("spd",))
    L, b = cholesky(S), Label(B, 0)
    assert stable(contract([k], [(read(L, (b, i, k)), 1), (read(L, (b, j, k)), 1)])) is read(S, (b, i, j))


def test_the_determinant_of_a_factor():
    S = matrix("S", M, M, facts=("spd",))
    after = stable(2 * read_own(logdet(cholesky(S))))
    assert after is read_own(logdet(S))


def test_a_determinant_that_underflows():
    d = array("d", M)
    D = tensor(read(d, (i,)) ** 2 * delta(i, j), (i, j))
    after = stable(log(read_own(det(D))))
    value = float(evaluate([after], {d.leaf: np.full(300, 1e-3)})[0])
    assert abs(value - 300 * np.log(1e-6)) < 1e-9


def test_the_determinant_of_a_scaled_matrix():
    S = matrix("S", M, M, facts=("spd",))
    after = stable(log(read_own(det(tensor(constant(1e-9) * read_own(S), axes_of(S))))))
    value = np.eye(50)
    assert abs(float(evaluate([after], {S.leaf: value})[0]) - 50 * np.log(1e-9)) < 1e-9
    assert atoms(after) == ["logdet"]


def test_the_inverse_of_a_diagonal_matrix_that_the_user_built():
    d, y = array("d", M), array("y", M)
    D = tensor(read(d, (i,)) * delta(i, j), (i, j))
    node = contract([j], [(read(inverse(D), (i, j)), 1), (read(y, (j,)), 1)])
    assert stable(node) is read(y, (i,)) / read(d, (i,))
