"""Matrices with structure: what is left after the rules, and that value and gradient are those of the expression as typed."""

import numpy as np
import pytest

import symvi as sv
from symvi.array.expression import array_of
from symvi.atoms.array_atom import axes_of
from symvi.calculus.reverse import gradients
from symvi.expr.build import tensor
from symvi.expr.facts import matrix_facts
from symvi.expr.nodes import Input, Operator, postorder
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import random_sizes, random_values
from symvi.rules import simplify, stabilise

inv, det, logdet, slogdet, cholesky, solve, kron, trace = (
    getattr(sv.linalg, name) for name in ("inv", "det", "logdet", "slogdet", "cholesky", "solve", "kron", "trace")
)
M, N, B = sv.dims("M N B")


def leaf(name, *dims, fact=None):
    made = sv.param(name, *dims, init=1.0)
    return sv.assume(made, fact) if fact is not None else made


A, C, E = (leaf(name, M, M) for name in "ACE")
G = leaf("G", N, N)
K, S, J = leaf("K", M, M, fact=sv.spd), leaf("S", M, M, fact=sv.spd), leaf("J", N, N, fact=sv.spd)
L, D = leaf("L", M, M, fact=sv.lower), leaf("D", B, M, M)
b, x, y, e = (leaf(name, M) for name in "bxye")
W, T = leaf("W", M, N), leaf("T", B, M, N)
v, u, V = leaf("v", M * N), leaf("u", M + N), leaf("V", M * N, B)
c, d, s = leaf("c"), sv.exp(leaf("r", M)), sv.exp(leaf("t"))

# name -> (expression, array atoms of the value, array atoms of the gradients alone)
CASES = {
    "transposed inverse": (inv(A.T) @ b, "solve", ""),
    "A solve(A, b)": (A @ solve(A, b), "", ""),
    "A' solve(A', W)": (A.T @ solve(A.T, W), "", ""),
    "inverse of a product times a vector": (inv(A @ C) @ b, "solve", ""),
    "inverse of a Gram matrix times a vector": (inv(A @ A.T) @ b, "solve", ""),
    "solve with a scaled matrix": (solve(c * A, b), "solve", ""),
    "solve with scaled rows and columns": (solve(sv.diag(d) @ A @ sv.diag(e), b), "solve", ""),
    "a product of three": (logdet(A @ C @ E), "logdet", "inverse"),
    "logdet of a product": (logdet(A @ C), "logdet", "inverse"),
    "logdet of scaled rows": (logdet(sv.diag(d) @ K @ sv.diag(d)), "logdet", "inverse"),
    "logdet of a solve": (logdet(inv(K) @ S), "logdet", "inverse"),
    "logdet of a triangle": (logdet(L @ L.T), "", ""),
    "logdet of an upper triangle": (logdet(sv.triu(A)), "", ""),
    "sign and logdet": (slogdet(K)[0] * slogdet(K)[1], "logdet", "inverse"),
    "sign of a product": (slogdet(A @ C)[0] * c, "det_sign", ""),
    "logdet of a Kronecker product": (logdet(kron(A, G)), "logdet", "inverse"),
    "log det of definite factors": (sv.log(det(kron(K, J))), "logdet", "inverse"),
    "det of a Kronecker product": (det(kron(A, G)), "det", "inverse"),
    "solve with a Kronecker product": (solve(kron(A, G), v), "solve", ""),
    "solve with a Kronecker product, columns": (solve(kron(K, J), V), "solve", ""),
    "inverse of a Kronecker product times a vector": (inv(kron(A, G)) @ v, "solve", ""),
    "Kronecker product times a vector": (kron(A, G) @ v, "", ""),
    "Kronecker product times a matrix": (kron(A, G) @ V, "", ""),
    "form with a Kronecker product": (v @ kron(A, G) @ v, "", ""),
    "trace of a Kronecker product": (trace(kron(A, G)), "", ""),
    "Cholesky factor of a Kronecker product": (cholesky(kron(K, J)), "cholesky", "solve_triangular"),
    "logdet of blocks": (logdet(sv.block_diag(A, G, C)), "logdet", "inverse"),
    "solve with blocks": (solve(sv.block_diag(A, G), u), "solve concatenate", ""),
    "inverse of blocks times a vector": (inv(sv.block_diag(A, G)) @ u, "solve concatenate", ""),
    "blocks times a vector": (sv.block_diag(A, G) @ u, "concatenate", ""),
    "form with blocks": (u @ sv.block_diag(A, G) @ u, "concatenate", ""),
    "trace of blocks": (trace(sv.block_diag(A, G)), "", ""),
    "Cholesky factor of blocks": (cholesky(sv.block_diag(K, J)), "block_diagonal cholesky", "solve_triangular"),
    "Cholesky factor of a triangle's Gram matrix": (cholesky(L @ L.T), "", ""),
    "Cholesky factor of a diagonal matrix": (cholesky(sv.diag(d)), "", ""),
    "Cholesky factor of a scaled matrix": (cholesky(s * K), "cholesky", "solve_triangular"),
    "a stack of right sides": (solve(K, T), "solve", ""),
    "an inverse times a stack": (inv(K) @ T, "solve", ""),
    "a stack of scaled matrices": (logdet(c * D), "logdet", "inverse"),
    "norm": (b @ A.T @ (A @ b), "", ""),
}


def names(*nodes):
    return {node.name for node in postorder(nodes) if isinstance(node, Operator)}


def after_the_rules(expression):
    """The value and the gradients of its weighted sum by all leaves, as typed and as the rules leave them; the leaves."""
    cost = sv.sum(expression * sv.data("weights", *expression.shape)) if expression.shape else expression
    inputs = [node for node in postorder([expression.term]) if isinstance(node, Input)]
    axes = [[axis for axis in expression.axes if axis is not None], *map(axes_of, inputs)]
    value, stable_cost = stabilise([expression.term, cost.term])
    typed = [expression.term, *gradients(cost.term, inputs)]
    rewritten = simplify([value, *gradients(stable_cost, inputs)])
    return *([tensor(term, own) for term, own in zip(terms, axes, strict=True)] for terms in (typed, rewritten)), inputs


def structural(array, gradient):
    """The part of a gradient along matrices of the structure of its leaf."""
    facts = matrix_facts(array)
    if "lower" in facts:
        return np.tril(gradient)
    return (gradient + np.swapaxes(gradient, -1, -2)) / 2 if "symmetric" in facts else gradient


@pytest.mark.parametrize("name", CASES)
def test_what_is_left(name):
    expression, of_value, of_gradients = CASES[name]
    typed, rewritten, inputs = after_the_rules(expression)
    assert names(rewritten[0]) == set(of_value.split())
    assert names(*rewritten) == set(of_value.split()) | set(of_gradients.split())
    rng = np.random.default_rng(3)
    sizes = random_sizes([*typed, *rewritten], rng, (2, 3))
    values = random_values([*typed, *rewritten], sizes, rng)
    (value, *slopes), (wanted, *exact) = evaluate(rewritten, values, sizes), evaluate(typed, values, sizes)
    assert np.allclose(value, wanted, rtol=1e-9, atol=1e-11 * np.abs(wanted).max(initial=1.0))
    for array, slope, right in zip(inputs, slopes, exact, strict=True):
        right = structural(array, right)
        assert np.allclose(structural(array, slope), right, rtol=1e-8, atol=1e-9 * np.abs(right).max(initial=1.0))


def test_proportional_right_sides_share_a_solve():
    cost = x @ solve(K, b) + y @ solve(K, -2 * b) + c * solve(K, c * b).sum()
    (after,) = stabilise([cost.term])
    assert sum(isinstance(node, Operator) for node in postorder([after])) == 1


def test_one_product_is_shared_by_a_form_and_its_parts():
    form = x @ (A @ x) + sv.sum(A @ x)
    products = {node for node in postorder(stabilise([form.term])) if node.is_term and array_of(A) in map(read_array, node.children)}
    assert len(products) == 1


def read_array(node):
    return getattr(node, "array", None)


def test_a_stack_of_equal_matrices_is_factorised_once():
    repeated = sv.broadcast_to(K, (B, M, M))
    (after,) = stabilise([logdet(repeated).term])
    assert [node.children[0] for node in postorder([after]) if isinstance(node, Operator)] == [array_of(K)]


def test_a_factor_with_negative_entries_on_its_diagonal():
    values = np.array([[-1.0, 0.0], [0.5, 2.0]])
    found = evaluate(stabilise([tensor(cholesky(L @ L.T).term, axes_of(array_of(L)))]), {array_of(L): values})[0]
    assert np.allclose(found, np.linalg.cholesky(values @ values.T), rtol=1e-14)


def test_blocks_beside_other_terms_stay_definite():
    (after,) = simplify(stabilise([logdet(sv.block_diag(K, J) + s * sv.eye(M + N)).term]))
    (operator,) = [node for node in postorder([after]) if isinstance(node, Operator) and node.name == "logdet"]
    assert "spd" in matrix_facts(operator.children[0])


def test_a_kronecker_product_beside_other_terms_stays_definite():
    (after,) = simplify(stabilise([logdet(kron(K, J) + s * sv.eye(M * N)).term]))
    (operator,) = [node for node in postorder([after]) if isinstance(node, Operator) and node.name == "logdet"]
    assert "spd" in matrix_facts(operator.children[0])
