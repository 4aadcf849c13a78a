"""Building, differentiating and emitting an expression of 500 distinct nodes: `python benchmarks/build.py`.

The expression has at least 100 transcendental functions, 50 contractions and 10 array atoms, and 20 parameters. Nothing is compiled
by Numba and nothing comes from the cache.
"""

from __future__ import annotations

import statistics
import time

import symvi as sv
from symvi.array.expression import array_of
from symvi.expr.nodes import Apply, Contract, Node, Operator, postorder
from symvi.fit.function import output_of
from symvi.fit.leaves import unique_names
from symvi.fit.pipeline import Request, lower_request
from symvi.runtime import helpers
from symvi.targets.cpu.module import emit


def build() -> tuple[sv.Expr, list[sv.Expr]]:
    """A chain of 10 blocks: a Gaussian process term, a few layers and scalar functions in each, two parameters per block."""
    N, D, M = sv.dims("N D M")
    X, y = sv.data("X", N, D), sv.data("y", N)
    total, parameters = sv.Expr(sv.zeros().term, ()), []
    for k in range(10):
        W, z = sv.param(f"W{k}", D, M, init=0.1), sv.param(f"z{k}", M)
        parameters += [W, z]
        h = sv.tanh(X @ W + k)
        for j in range(4):
            h = sv.sigmoid(h * (j + 2 + k)) + sv.exp(-(h**2) * (k + j + 1))
        f = h @ sv.sin(z + k)
        total = total - ((y - f) ** 2).sum() / (k + 1)
        distance = (z[:, None] - z[None, :]) ** 2
        K = sv.exp(-0.5 * distance * (k + 1)) + (0.1 + k) * sv.eye(M)
        v = sv.cos(z * (k + 2)) * sv.log1p(z**2 + k)
        total = total - 0.5 * v @ sv.linalg.inv(K) @ v - 0.5 * sv.log(sv.linalg.det(K))
    return total, parameters


def count(root: Node) -> dict[str, int]:
    nodes = list(postorder([root]))
    functions = sum(isinstance(n, Apply) and n.function.cost > 2 for n in nodes)
    contractions = sum(isinstance(n, Contract) and bool(n.bound) for n in nodes)
    return {
        "nodes": len(nodes),
        "transcendentals": functions,
        "contractions": contractions,
        "array atoms": sum(isinstance(n, Operator) for n in nodes),
    }


def main(repeats: int = 5) -> None:
    helpers.helper_source()
    rows = []
    for _ in range(repeats):
        start = time.perf_counter()
        bound, parameters = build()
        built = time.perf_counter()
        request = Request([output_of("value", bound)], gradients=[array_of(p) for p in parameters], name="large")
        outputs, plan = lower_request(request)
        planned = time.perf_counter()
        numbers = {leaf: number for number, leaf in enumerate(request.leaves)}
        module = emit(plan, "large", "large", unique_names(request.leaves), numbers, "float64", "helpers")
        done = time.perf_counter()
        rows.append((built - start, planned - built, done - planned, done - start))
    print(count(bound.term), f"{len(parameters)} parameters, {len(module.source.splitlines())} lines emitted")
    for name, values in zip(("build", "differentiate and plan", "emit", "all"), zip(*rows, strict=True), strict=True):
        print(f"{name:24} {statistics.median(values):.3f} s  (first {values[0]:.3f})")


if __name__ == "__main__":
    main()
