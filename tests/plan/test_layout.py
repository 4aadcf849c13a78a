"""Where data stand with the plate last, which contractions are products of matrices, and what stays inside a block."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv
from symvi.array.expression import array_of, leaf_expr
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, lower_request
from symvi.oracle.interpreter import evaluate
from symvi.plan.program import OperatorCall, Region

N, D, S, M = sv.dims("N D S M")
SIZES = {"N": 5_000, "D": 50, "S": 10, "M": 20}


def values(bound: sv.Expr, sizes: dict[str, int]) -> tuple[dict, dict]:
    """Random parameters and data."""
    rng = np.random.default_rng(0)
    request = Request([output_of("value", bound)])
    arrays = {leaf: rng.normal(size=[dim.size(sizes) for dim in leaf.shape]) for leaf in request.leaves}
    return {l: a for l, a in arrays.items() if l.role == "param"}, {l: a for l, a in arrays.items() if l.role == "data"}


def logistic(particles: bool) -> sv.Expr:
    X, y = sv.data("X", N, D), sv.data("y", N)
    w = sv.param("w", S, D, init=0.1) if particles else sv.param("w", D)
    eta = w @ X.mT if particles else X @ w
    return sv.sum(y * eta - sv.softplus(eta))


def planned(bound: sv.Expr, **sizes: int):
    request = Request([output_of("value", bound)])
    request.gradients = [array_of(leaf_expr(leaf)) for leaf in request.leaves if leaf.role == "param"]
    return lower_request(request, {**SIZES, **sizes})[1]


def stored(plan, name: str) -> tuple[int, ...] | None:
    return next(buffer.order for buffer in plan.buffers if buffer.name == name)


def test_wide_data_that_meet_a_vector_stay_as_they_are():
    plan = planned(logistic(particles=False))
    assert stored(plan, "X") is None and not plan.products


def test_wide_data_that_meet_a_matrix_have_the_plate_last():
    plan = planned(logistic(particles=True))
    assert stored(plan, "X") == (1, 0)
    assert len(plan.products) == 2


def test_narrow_data_have_the_plate_last():
    plan = planned(logistic(particles=False), D=10)
    assert stored(plan, "X") == (1, 0) and not plan.products
    assert "D < 17" in map(str, plan.guards)


def test_few_particles_are_loops():
    plan = planned(logistic(particles=True), S=2)
    assert not plan.products and "S < 8" in map(str, plan.guards)


def test_batched_data_stay_as_they_are():
    request = Request([output_of("value", logistic(particles=True))], batched=(N,))
    assert stored(lower_request(request, SIZES)[1], "X") is None


def test_data_given_as_columns_have_the_same_values():
    bound = logistic(particles=True)
    parameters, data = values(bound, SIZES)
    kernel = sv.compile(bound, name="layout_columns")
    value, gradient = kernel.value_and_grad(*({leaf_expr(leaf): a for leaf, a in part.items()} for part in (parameters, data)))
    X, y = (data[leaf] for leaf in sorted(data, key=lambda leaf: leaf.name))
    (w,) = parameters.values()
    eta = X @ w.T
    assert value == pytest.approx((y[:, None] * eta - np.logaddexp(0, eta)).sum(), rel=1e-12)
    np.testing.assert_allclose(next(iter(gradient.values())), (y[:, None] - 1 / (1 + np.exp(-eta))).T @ X, rtol=1e-10, atol=1e-9)
    assert "gemm" in kernel.result.compiled.source


def sparse_gaussian_process() -> sv.Expr:
    x, y, Z, u = sv.data("x", N), sv.data("y", N), sv.param("Z", M), sv.param("u", M)

    def k(a, b):
        return sv.exp(-0.5 * (a[:, None] - b) ** 2)

    A = k(x, Z) @ sv.linalg.inv(k(Z, Z) + 1e-3 * sv.eye(M))
    return -sv.sum((y - A @ u) ** 2) + sv.sum(sv.log(2 - sv.sum(A * k(x, Z), axis=1)))


def test_a_solve_for_every_row_is_part_of_the_pass():
    plan = planned(sparse_gaussian_process())
    passes = [step for step in plan.steps if isinstance(step, Region) and step.plate is not None]
    assert len(passes) == 1
    assert not [step for step in plan.steps if isinstance(step, OperatorCall) and "solve" in step.helper]
    large = [buffer.name for buffer in plan.buffers if buffer.role == "temporary" and any(axis.dim == N for axis in buffer.axes)]
    assert not large


def test_the_inverse_is_reported_and_relies_on_many_rows():
    plan = planned(sparse_gaussian_process())
    assert plan.opened_solves and "M < N + 1" in map(str, plan.guards)
    few = planned(sparse_gaussian_process(), N=10)
    assert not few.opened_solves and any("solve" in step.helper for step in few.steps if isinstance(step, OperatorCall))
    assert "products with the inverse" in sparse_gaussian_process().explain(as_text=True)


def test_a_solve_for_every_row_has_the_right_value_and_gradient():
    bound = sparse_gaussian_process()
    sizes = {"N": 300, "M": 5}
    parameters, data = values(bound, sizes)
    kernel = sv.compile(bound, name="layout_solve")
    value, gradient = kernel.value_and_grad(*({leaf_expr(leaf): a for leaf, a in part.items()} for part in (parameters, data)))
    leaves = list(parameters)
    expected = evaluate([bound.term, *map(array_of, sv.grad(bound, list(map(leaf_expr, leaves))))], {**parameters, **data}, sizes)
    assert value == pytest.approx(float(expected[0]), rel=1e-9)
    for leaf, array in zip(leaves, expected[1:], strict=True):
        np.testing.assert_allclose(gradient[leaf_expr(leaf)], array, rtol=1e-8, atol=1e-8)
