"""log N(y | 0, K_nm K_mm^-1 K_mn + s² I) written densely, value and gradient: `python -m benchmarks.low_rank`.

Three tables: which form binding takes at which size and by how much it differs from the dense one; the planned cost; the time. Doubling N
may cost log2(t(2 N) / t(N)) < 1.2 in all of them. `--quick` leaves out sizes beyond N = 1,000 and the times.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from math import log2, pi

import numpy as np

import symvi as sv
from symvi.fit.compile import Kernel
from symvi.fit.function import bind, gather_inputs
from symvi.fit.leaves import Sizes, as_values
from symvi.fit.pipeline import Result, lower_request
from symvi.report.cost import Cost, cost_of
from symvi.runtime.binding import Binding

M, D = 50, 3
SPELLINGS = ("inv and log det", "solve and slogdet", "cholesky", "whitened", "MvNormal")
AGREEMENT, LIMIT = 1e-8, 1.2
RUNS, TIMED = 20, (16_000, 32_000)
N_, M_, D_ = sv.dims("N M D")


def log_density(spelling: str) -> sv.Expr:
    """The log-density of y, with an inducing-point covariance of order N, as it stands in a textbook."""
    X, y, Z = sv.data("X", N_, D_), sv.data("y", N_), sv.param("Z", M_, D_, init=sv.init.normal(1.0))
    length, s = sv.param("length", init=1.0, support=sv.positive), sv.param("s", init=0.3, support=sv.positive)

    def kernel(a, b):
        return sv.exp(-0.5 * ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=-1) / length**2)

    Kmm, Kmn = kernel(Z, Z) + 1e-6 * sv.eye(M_), kernel(Z, X)
    Knm, noise = Kmn.T, s**2 * sv.eye(N_)
    C = Knm @ sv.linalg.inv(Kmm) @ Kmn + noise
    if spelling == "MvNormal":
        return sv.MvNormal.dist(0.0 * y, covariance=C).logp(y)
    if spelling == "inv and log det":
        return -0.5 * (y @ sv.linalg.inv(C) @ y + sv.log(sv.linalg.det(C)) + N_ * np.log(2 * pi))
    if spelling == "solve and slogdet":
        C = Knm @ sv.linalg.solve(Kmm, Kmn) + noise
        return -0.5 * (y @ sv.linalg.solve(C, y) + sv.linalg.slogdet(C)[1] + N_ * np.log(2 * pi))
    if spelling == "whitened":
        A = sv.linalg.solve_triangular(sv.linalg.cholesky(Kmm), Kmn)
        C = A.T @ A + noise
        return -0.5 * (y @ sv.linalg.solve(C, y) + sv.linalg.logdet(C) + N_ * np.log(2 * pi))
    L = sv.linalg.cholesky(C)
    a = sv.linalg.solve_triangular(L, y)
    return -0.5 * (a @ a) - sv.log(sv.linalg.diagonal(L)).sum() - 0.5 * N_ * np.log(2 * pi)


def data(n: int, seed: int = 0) -> tuple[dict, dict]:
    """Parameters and data of n rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    y = np.sin(X.sum(axis=1)) + 0.3 * rng.normal(size=n)
    return {"Z": rng.normal(size=(M, D)), "length": 1.3, "s": 0.3}, {"X": X, "y": y}


def bound(kernel: Kernel, result: Result, n: int) -> Binding:
    """One variant of a kernel on data of n rows, whether or not its guards hold there."""
    parameters, arrays = data(n)
    given = {**as_values(parameters, kernel.leaves, "the parameters"), **as_values(arrays, kernel.leaves, "data")}
    sizes = Sizes()
    return bind(result, gather_inputs(kernel.leaves, given, sizes, kernel.dtype), sizes)


def outputs(binding: Binding) -> dict[str, np.ndarray]:
    status = binding.run()
    assert status == 0, status
    return {name: np.array(array) for name, array in binding.outputs.items()}


def difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """The largest difference of an output, relative to its largest entry."""
    return max(float(np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max()) for name in expected)


def growth(cost: Cost) -> dict[str, float]:
    """log2 of what doubling N does to each planned cost."""
    small, large = ({"N": n, "M": M, "D": D} for n in TIMED)
    return {name: log2(getattr(cost, name).at(large) / getattr(cost, name).at(small)) for name in ("flops", "moved", "kept")}


def median_seconds(binding: Binding) -> float:
    binding.run()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        binding.run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def form_of(result: Result) -> str:
    """The dense form has a matrix of N x N."""
    square = any(entry["dims"].count([[1, ["N"]]]) > 1 for entry in result.compiled.manifest["buffers"])
    return "dense" if square else "lemma"


def report_agreement(kernel: Kernel, sizes: tuple[int, ...]) -> bool:
    """Which form is taken at each size, and how far apart the two are there."""
    good = True
    dense, lemma = (kernel.variants.at({"N": n, "M": M, "D": D}) for n in (1, 1000 * M))
    assert (form_of(dense), form_of(lemma)) == ("dense", "lemma")
    for n in sizes:
        taken = kernel.variants.at({"N": n, "M": M, "D": D})
        error = difference(outputs(bound(kernel, lemma, n)), outputs(bound(kernel, dense, n)))
        form = form_of(taken)
        relies = ", ".join(text for _, _, text in taken.compiled.manifest["guards"])
        good &= error < AGREEMENT and form == ("dense" if n <= 4 * M else "lemma")
        print(f"  N = {n:>6,}  {form}  relies on {relies:<14}  lemma and dense form differ by {error:.1e}")
    return good


def report_cost(kernel: Kernel) -> bool:
    """The planned cost at N = 16,000, and how it grows."""
    _, plan = lower_request(kernel.variants.request, {"N": TIMED[0], "M": M, "D": D})
    cost = cost_of(plan)
    for name, value in growth(cost).items():
        print(f"  {name:<6} {getattr(cost, name)}\n{'':9}log2 of doubling N: {value:.3f}")
    return all(value < LIMIT for value in growth(cost).values())


def report_time(kernel: Kernel) -> bool:
    seconds = [median_seconds(bound(kernel, kernel.variants.at({"N": n, "M": M, "D": D}), n)) for n in TIMED]
    told = ", ".join(f"N = {n:,}: {1e3 * t:.1f} ms" for n, t in zip(TIMED, seconds, strict=True))
    print(f"  {told} (median of {RUNS}); log2 of doubling N: {log2(seconds[1] / seconds[0]):.3f}")
    return log2(seconds[1] / seconds[0]) < LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no sizes beyond N = 1,000, no times")
    parser.add_argument("--spelling", action="append", choices=SPELLINGS, help="only these (all by default)")
    options = parser.parse_args()
    good = True
    for spelling in options.spelling or SPELLINGS:
        kernel = Kernel(log_density(spelling), "low_rank")
        print(f"{spelling}, M = {M}")
        good &= report_agreement(kernel, (100, 1000) if options.quick else (100, 1000, 2000, 4000))
        good &= report_cost(kernel)
        good &= options.quick or report_time(kernel)
    print("all within their limits" if good else "NOT all within their limits")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
