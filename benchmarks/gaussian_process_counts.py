"""Factorisations behind the log-density of a Gaussian process and its gradient: `python -m benchmarks.gaussian_process_counts`.

Every spelling is run once, value and gradient by all hyper-parameters of an RBF kernel with a lengthscale per input. Counted are the calls
of LAPACK and BLAS symbols, and of operations on factors, which at small orders are loops of our own; see symvi/oracle/called_routines.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np

import symvi as sv
from symvi.oracle.called_routines import KINDS, CalledRoutines, kinds_of
from symvi.runtime.helpers import helper_module

JITTER = 1e-6
SIZES = ((100, 2), (100, 3), (100, 5), (12, 4), (300, 3))  # rows and inputs; at 12 rows factors are loops of our own, at 300 tiles


class Process:
    """The expressions that a spelling is made of."""

    def __init__(self):
        N, D = sv.dims("N D")
        self.X, self.y, self.size = sv.data("X", N, D), sv.data("y", N), N
        self.variance, self.noise = sv.param("variance"), sv.param("noise")
        self.lengthscales = sv.param("lengthscales", D)
        scaled = self.X / sv.exp(self.lengthscales)
        distance = sv.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
        self.K = sv.exp(self.variance - distance / 2) + (sv.exp(self.noise) + JITTER) * sv.eye(N)
        self.constant = N / 2 * sv.log(2 * sv.pi)


def inverse_and_determinant(p: Process):
    return -0.5 * p.y @ sv.linalg.inv(p.K) @ p.y - 0.5 * sv.log(sv.linalg.det(p.K)) - p.constant


def solve_and_slogdet(p: Process):
    return -0.5 * p.y @ sv.linalg.solve(p.K, p.y) - 0.5 * sv.linalg.slogdet(p.K)[1] - p.constant


def cholesky_and_two_solves(p: Process):
    L = sv.linalg.cholesky(p.K)
    alpha = sv.linalg.solve_triangular(L, sv.linalg.solve_triangular(L, p.y), trans="T")
    return -0.5 * p.y @ alpha - sv.sum(sv.log(sv.linalg.diagonal(L))) - p.constant


def whitened(p: Process):
    L = sv.linalg.cholesky(p.K)
    z = sv.linalg.solve_triangular(L, p.y)
    return sv.sum(-0.5 * z**2 - sv.log(sv.linalg.diagonal(L)) - 0.5 * sv.log(2 * sv.pi))


def mv_normal(p: Process):
    return sv.MvNormal.dist(0, covariance=p.K).logp(p.y)


def two_matrices(p: Process):
    """A planted one, which must count two of everything: the determinant is of another matrix."""
    other = p.K + JITTER * sv.eye(p.size)
    return -0.5 * p.y @ sv.linalg.solve(p.K, p.y) - 0.5 * sv.linalg.logdet(other) + 0.5 * p.y @ sv.linalg.solve(other, p.y)


SPELLINGS: tuple[Callable, ...] = (inverse_and_determinant, solve_and_slogdet, cholesky_and_two_solves, whitened, mv_normal)
PLANTED: tuple[Callable, ...] = (two_matrices,)


def measure(spellings, sizes=SIZES) -> list[dict]:
    """One row per spelling and size: counted symbols, counted kinds, value and gradients."""
    counter = CalledRoutines(helper_module())
    rows = []
    for spelling in spellings:
        process = Process()
        kernel = sv.compile(spelling(process), name=spelling.__name__)
        for n, d in sizes:
            rng = np.random.default_rng(n + d)
            data = {"X": rng.normal(size=(n, d)), "y": rng.normal(size=n)}
            point = {process.variance: 0.3, process.noise: -2.0, process.lengthscales: np.linspace(-0.2, 0.2, d)}
            counter.clear()
            value, gradients = kernel.value_and_grad(point, data)
            row = {"spelling": spelling.__name__, "rows": n, "inputs": d, "symbols": dict(counter.symbols)}
            row |= {"kinds": dict(kinds_of(counter.operations)), "value": value}
            rows.append(row | {"gradients": {leaf.name: np.asarray(g).tolist() for leaf, g in gradients.items()}})
    return rows


def within(kinds: dict[str, int]) -> bool:
    """One Cholesky factor, no LU, at most one inverse, at most four triangular solves?"""
    return kinds.get("cholesky") == 1 and not kinds.get("lu") and kinds.get("inverse", 0) <= 1 and kinds.get("triangular solve", 0) <= 4


def main() -> int:
    """Print the table, or with `--json` the rows of the spellings that are named; 1 if a count is not what it should be."""
    if sys.argv[1:2] == ["--json"]:
        chosen = [spelling for spelling in (*SPELLINGS, *PLANTED) if spelling.__name__ in sys.argv[2:]]
        print(json.dumps(measure(chosen, ((40, 2), (8, 2)))))
        return 0
    print(f"{'spelling':26}{'N':>5}{'D':>3}  {'  '.join(KINDS)}    symbols")
    good, planted = True, [spelling.__name__ for spelling in PLANTED]
    for row in measure((*SPELLINGS, *PLANTED)):
        good &= within(row["kinds"]) != (row["spelling"] in planted)
        counts = "  ".join(f"{row['kinds'].get(kind, 0):>{len(kind)}}" for kind in KINDS)
        symbols = ", ".join(f"{count} {name}" for name, count in sorted(row["symbols"].items())) or "none: loops of our own"
        print(f"{row['spelling']:26}{row['rows']:>5}{row['inputs']:>3}  {counts}    {symbols}")
    print("as they should be" if good else "NOT as they should be")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
