"""Matrices of low rank plus something cheap: which are taken apart, at which sizes, and what comes of it."""

import numpy as np
import pytest

import symvi as sv
from symvi.array.expression import array_of, leaf_expr
from symvi.atoms.linear_algebra import inverse, logdet, solve
from symvi.atoms.structured import block_diagonal, kron
from symvi.calculus.reverse import gradients
from symvi.expr.build import contract, delta, read, read_own, rename, tensor
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Input, Operator, postorder
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, lower_request
from symvi.oracle.interpreter import evaluate
from symvi.oracle.pass_check import PassError, check_pass
from symvi.oracle.random_inputs import random_values
from symvi.plan.program import OperatorCall
from symvi.report.cost import cost_of
from symvi.rewrite.example import POSITIVE, array, matrix, term
from symvi.rewrite.guard import Decisions, deciding
from symvi.rules import restructure, stabilise
from symvi.rules.splitting import Updated

N, M, D = sv.dims("N M D")
LARGE, SMALL = {"N": 1000, "M": 50, "D": 3}, {"N": 100, "M": 50, "D": 3}
i, j, m = Label(N, 0), Label(N, 1), Label(M, 0)


def orders(nodes):
    """The orders of the matrices under array atoms."""
    return {str(n.children[0].shape[-1]) for n in postorder(nodes) if isinstance(n, Operator)}


def restructured(nodes, sizes=None):
    with deciding(Decisions(sizes=sizes)) as decisions:
        return restructure(stabilise(nodes)), [str(guard) for guard in decisions.taken]


def agree(before, after, sizes):
    """The same values, by the interpreter."""
    values = random_values(before, sizes, np.random.default_rng(1))
    sides = [evaluate([tensor(node, node.sorted_labels()) for node in nodes], values) for nodes in (before, after)]
    for dense, lemma in zip(*sides, strict=True):
        np.testing.assert_allclose(lemma, dense, rtol=1e-9, atol=1e-9 * np.abs(dense).max())


def factorisations(plan):
    calls = [call for call in plan.steps if isinstance(call, OperatorCall) and call.helper in ("cholesky", "lu")]
    return sorted((call.helper, str(call.order)) for call in calls)


# ---------------------------------------------------------------------------------------- an inducing-point covariance
def density(spelling):
    """log N(y | 0, K_nm K_mm^-1 K_mn + s² I) as people write it."""
    X, y, Z = sv.data("X", N, D), sv.data("y", N), sv.param("Z", M, D, init=sv.init.normal(1.0))
    length, s = sv.param("length", init=1.0, support=sv.positive), sv.param("s", init=0.3, support=sv.positive)

    def kernel(a, b):
        return sv.exp(-0.5 * ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=-1) / length**2)

    Kmm, Kmn, noise = kernel(Z, Z) + 0.01 * sv.eye(M), kernel(Z, X), s**2 * sv.eye(N)
    C = Kmn.T @ sv.linalg.inv(Kmm) @ Kmn + noise
    if spelling == "MvNormal":
        return sv.MvNormal.dist(0.0 * y, covariance=C).logp(y)
    if spelling == "inv":
        return -0.5 * y @ sv.linalg.inv(C) @ y - 0.5 * sv.log(sv.linalg.det(C))
    if spelling == "cholesky":
        L = sv.linalg.cholesky(C)
        return -0.5 * (sv.linalg.solve_triangular(L, y) ** 2).sum() - sv.log(sv.linalg.diagonal(L)).sum()
    if spelling == "whitened":
        A = sv.linalg.solve_triangular(sv.linalg.cholesky(Kmm), Kmn)
        C = noise + A.T @ A
    if spelling == "solve":
        C = noise + sv.linalg.solve(Kmm, Kmn).T @ Kmn
    return -0.5 * y @ sv.linalg.solve(C, y) - 0.5 * sv.linalg.slogdet(C)[1]


SPELLINGS = ("inv", "solve", "cholesky", "whitened", "MvNormal")


def planned(bound, sizes):
    request = Request([output_of("value", bound)])
    request.gradients = [array_of(leaf_expr(leaf)) for leaf in request.leaves if leaf.role == "param"]
    return lower_request(request, sizes)[1]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_large_data_take_the_lemmas_and_no_array_of_order_n_squared(spelling):
    plan = planned(density(spelling), LARGE)
    assert [str(guard) for guard in plan.guards if guard.larger == N] == ["4*M < N"]
    assert all(sum("N" in str(d) for d in buffer.dims) < 2 for buffer in plan.buffers)
    assert factorisations(plan) == [("cholesky", "M")] * 2, "one of K_mm, one of I + V V' / s²"
    cost = cost_of(plan)
    assert all(part.degree("N") == 1 for part in (cost.flops, cost.moved, cost.kept))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_small_data_take_the_dense_form(spelling):
    plan = planned(density(spelling), SMALL)
    assert "N < 4*M + 1" in [str(guard) for guard in plan.guards]
    assert factorisations(plan) == [("cholesky", "M"), ("cholesky", "N")]
    assert cost_of(plan).flops.degree("N") == 3


def test_value_and_gradient_of_the_lemmas_equal_those_of_what_was_typed():
    bound, sizes = density("inv").term, {"N": 40, "M": 4, "D": 2}
    (after,), guards = restructured([bound], sizes)
    assert guards == ["4*M < N"] and orders([after]) == {"M"}
    leaves = [node for node in postorder([bound]) if isinstance(node, Input)]
    agree([bound, *gradients(bound, leaves)], [after, *gradients(after, leaves)], sizes)


# ----------------------------------------------------------------------------------------------------------- other forms
def low(left, right=None):
    return contract([m], [(read(left, (i, m)), 1), (read(right or left, (j, m)), 1)])


def forms():
    U, V, d = array("U", N, M), array("V", N, M), term("d", N, stated=POSITIVE)
    other, rank_one = array("W", N, M), term("u", N)
    return {
        "two products": delta(i, j) * d + low(U) + low(other),
        "a product and a vector": delta(i, j) * d + rank_one * rename(rank_one, {i: j}) + low(U),
        "not symmetric": delta(i, j) * d + low(U, V) - low(V, other),
        "all ones": delta(i, j) * d + 0.5,
        "two diagonals": read_own(matrix("E", N, N, facts=("diagonal",))) + delta(i, j) * d + low(U),
    }


@pytest.mark.parametrize("name", list(forms()))
def test_forms(name):
    C, b, Y = tensor(forms()[name], (i, j)), array("b", N), array("Y", N, M)
    solves = [solve(C, b, attributes=(False, True)), solve(C, b, attributes=(True, True)), solve(C, Y, attributes=(False, False))]
    nodes = [read_own(node) for node in (logdet(C), *solves, inverse(C))]
    sizes = {"N": 30, "M": 2}
    after, guards = restructured(nodes, sizes)
    assert "N" not in orders(after) and len(guards) == 1
    agree(nodes, after, sizes)


@pytest.mark.parametrize("structure", [kron, block_diagonal])
def test_a_structured_base(structure):
    A, B = matrix("A", M, M, facts=("spd",)), matrix("B", D, D, facts=("spd",))
    base = structure(A, B)
    order = base.shape[-1]
    row, column = Label(order, 0), Label(order, 1)
    u, b = term("u", order), array("b", order)
    C = tensor(read_own(base) + u * rename(u, {row: column}), (row, column))
    nodes = [read_own(logdet(C)), read_own(solve(C, b, attributes=(False, True)))]
    sizes = {"M": 4, "D": 3}
    after, _ = restructured(nodes, sizes)
    assert orders(after) <= {"M", "D"}
    agree(nodes, after, sizes)


def covariances():
    """Covariances of order N as models have them, each with a noise of its own."""
    U, X, Z = sv.data("U", N, M), sv.data("X", N, D), sv.param("Z", M, D, init=sv.init.normal(1.0))
    a, s = sv.param("a", init=1.0, support=sv.positive), sv.param("s", init=1.0, support=sv.positive)
    w, W = sv.param("w", M, init=1.0, support=sv.positive), sv.param("W", M, M, init=1.0, support=sv.spd)

    def kernel(left, right):
        return sv.exp(-0.5 * ((left[:, None, :] - right[None, :, :]) ** 2).sum(axis=-1))

    Kmn, eye = kernel(Z, X), sv.eye(N)
    Q = Kmn.T @ sv.linalg.inv(kernel(Z, Z) + 0.01 * sv.eye(M)) @ Kmn
    return {
        "factor analysis": U @ U.T + sv.linalg.diag(sv.exp(X[:, 0])),
        "Bayesian linear regression": a * U @ U.T + s * eye,
        "scaled": (eye + a * U @ U.T) * s,
        "relevance of each feature": U @ sv.linalg.diag(w) @ U.T + s * eye,
        "random effects": U @ W @ U.T + s * eye,
        "compound symmetry": s * eye + a * sv.ones(N, N),
        "fully independent conditionals": Q + sv.linalg.diag(1 - sv.linalg.diagonal(Q)) + s * eye,
        "a product and an intercept": U @ U.T + a + s * eye,
    }


@pytest.mark.parametrize("name", list(covariances()))
def test_covariances_of_models(name):
    C, y, sizes = covariances()[name], sv.data("y", N), {"N": 30, "M": 3, "D": 2}
    bound = -0.5 * y @ sv.linalg.inv(C) @ y - 0.5 * sv.linalg.logdet(C)
    (after,), _ = restructured([bound.term], sizes)
    assert "N" not in orders([after])
    agree([bound.term], [after], sizes)
    check_pass([bound.term], [after], trials=8)
    plan = planned(bound, sizes)
    assert all(sum("N" in str(d) for d in buffer.dims) < 2 for buffer in plan.buffers)


def test_a_fault_in_the_lemma_is_seen(monkeypatch):
    C, inner = tensor(forms()["all ones"], (i, j)), Updated._inner
    monkeypatch.setattr(Updated, "_inner", lambda self: inner(self) + 1)
    node = read_own(logdet(C))
    after, _ = restructured([node], {"N": 30})
    with pytest.raises(PassError, match="changed a value"):
        check_pass([node], after)


def test_what_has_no_cheap_part_is_left_alone():
    A, U = matrix("A", N, N, facts=("spd",)), array("U", N, M)
    for C in (tensor(read(A, (i, j)) + low(U), (i, j)), tensor(low(U), (i, j)), A):
        node = read_own(logdet(C))
        after, guards = restructured([node], LARGE)
        assert after == [node] and guards == []


def test_a_size_fixed_in_the_model_needs_no_guard():
    small, fixed = dim("N", 100), dim("M", 5)
    row, column, k = Label(small, 0), Label(small, 1), Label(fixed, 0)
    U, d = array("U", small, fixed), term("d", small, stated=POSITIVE)
    product = contract([k], [(read(U, (row, k)), 1), (read(U, (column, k)), 1)])
    (after,), guards = restructured([read_own(logdet(tensor(delta(row, column) * d + product, (row, column))))])
    assert orders([after]) == {"M"} and guards == []
