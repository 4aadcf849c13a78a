"""How often a program goes over its plate, and what it stores at the size of the plate."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

import symvi as sv
from symvi.array.expression import array_of, as_expr
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, lower_request
from symvi.plan.program import Region

ROOT = Path(__file__).resolve().parents[2]
N, D = sv.dims("N D")
X, y = sv.data("X", N, D), sv.data("y", N)


def planned(bound, parameters, batched=()):
    """The plan of value and gradient."""
    request = Request([output_of("value", as_expr(bound))], batched=tuple(batched))
    request.gradients = [array_of(parameter) for parameter in parameters]
    return lower_request(request)[1]


def passes(plan, dim=N) -> int:
    return sum(isinstance(step, Region) and step.plate is not None and step.plate.dim == dim for step in plan.steps)


def plate_sized(plan, dim=N) -> list[str]:
    """Arrays with the plate among their axes that are neither inputs nor results."""
    drawn = {buffer for buffer, _ in plan.block_draws.values()}
    return [str(b.node) for b in plan.buffers if dim in b.dims and b.role in ("temporary", "draw") and b not in drawn]


def one_pass(bound, parameters) -> bool:
    plan = planned(bound, parameters)
    return passes(plan) == 1 and not plate_sized(plan)


def test_logistic_regression_is_one_pass():
    w = sv.param("w", D)
    p = 1 / (1 + sv.exp(-X @ w))
    assert one_pass(sv.sum(y * sv.log(p) + (1 - y) * sv.log(1 - p)) - sv.sum(w**2), [w])


def test_particles_are_one_pass():
    m, rho = sv.param("m", D), sv.param("rho", D)
    eta = (m + sv.exp(rho) * sv.noise("e", sv.dim("S"), D)) @ X.T
    assert one_pass(sv.mean(sv.sum(y * eta - sv.softplus(eta), axis=1)) + sv.sum(rho), [m, rho])


def test_a_mixture_is_one_pass():
    K = sv.dim("K")
    mu, logits = sv.param("mu", K, D, init=np.zeros((1, 1))), sv.param("logits", K)
    joint = sv.log_softmax(logits) - sv.sum((X[:, None, :] - mu) ** 2, axis=2)
    assert one_pass(sv.sum(sv.logsumexp(joint, axis=1)), [mu, logits])


def test_local_latents_are_one_pass_and_their_noise_is_not_stored():
    m, rho, tau = sv.param("m", N), sv.param("rho", N), sv.param("tau")
    z = m + sv.exp(rho) * sv.noise("e", N)
    bound = sv.sum(-(z**2) * sv.exp(-2 * tau) / 2 - tau + y * z - sv.exp(z) + rho)
    plan = planned(bound, [m, rho, tau])
    assert passes(plan) == 1 and not plate_sized(plan) and len(plan.block_draws) == 1


def test_groups_are_one_pass():
    J = sv.dim("J")
    g = sv.data("g", N, dtype=sv.index(J))
    a, b = sv.param("a", J), sv.param("b", D)
    assert one_pass(-sv.sum((y - a[g] - X @ b) ** 2) - sv.sum(a**2), [a, b])


def test_a_network_is_one_pass():
    H = sv.dim("H")
    V, b = sv.param("V", D, H, init=np.zeros((1, 1))), sv.param("b", H)
    assert one_pass(sv.sum((sv.tanh(X @ V) @ b - y) ** 2), [V, b])


def test_a_deep_kernel_needs_its_matrix_twice():
    """The features, the matrix with its solves, the adjoint of the matrix, the adjoint of the features."""
    H = sv.dim("H")
    W, s = sv.param("W", D, H, init=np.zeros((1, 1))), sv.param("s")
    phi = sv.tanh(X @ W)
    K = sv.exp(-sv.sum((phi[:, None, :] - phi[None, :, :]) ** 2, axis=2)) + sv.exp(s) * sv.eye(N)
    plan = planned(-(y @ sv.linalg.inv(K) @ y + sv.log(sv.linalg.det(K))) / 2, [W, s])
    assert passes(plan) <= 4


def test_softmax_over_the_plate_streams():
    """The maximum first, then the sum of exponentials; nothing of the plate's size is kept."""
    w = sv.param("w", D)
    plan = planned(sv.logsumexp(X @ w), [])
    assert passes(plan) == 2 and not plate_sized(plan)


def test_a_scaled_sum_is_stored_without_scratch():
    w = sv.param("w", D)
    plan = planned(-0.5 * sv.sum((y - X @ w) ** 2), [w])
    assert one_pass(-0.5 * sv.sum((y - X @ w) ** 2), [w])
    assert [step.plate is not None for step in plan.steps] == [True], "no code after the pass"


def test_plan_and_loops_know_no_target():
    """They import neither Numba nor LLVM, nor what comes after them."""
    for folder in ("plan", "loops"):
        for path in sorted((ROOT / "symvi" / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for name in names:
                    assert name.split(".")[0] not in ("numba", "llvmlite", "numpy"), f"{path.name} imports {name}"
                    assert not name.startswith(("symvi.targets", "symvi.runtime", "symvi.fit")), f"{path.name} imports {name}"
