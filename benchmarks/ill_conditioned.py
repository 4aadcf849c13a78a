"""Linear algebra at the edge of its condition against LAPACK: `python -m benchmarks.ill_conditioned`.

Log-determinant, solve, quadratic form and their gradients in emitted kernels, beside what potrf/potrs/potri, getrf/getrs/getri and
sytrf/sytrs/sytri give through SciPy; errors are relative, by the norm of the array, against mpmath. A row is bad where our error is more
than twice the least of theirs and more than 4 ulp, or where we report a failure and one of them does not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mpmath
import numpy as np
from scipy.linalg import lapack

import symvi as sv
from symvi.errors import SymviError

FACTOR, ULPS = 2.0, 4 * 2.0**-52
DIGITS, MORE_DIGITS = 60, 700  # the latter where entries differ by hundreds of powers of ten
QUANTITIES = ("logdet", "solve", "quad", "g_logdet", "g_quad_K", "g_quad_b")


@dataclass(frozen=True)
class Case:
    """A matrix, and whether it is stated to be positive definite."""

    name: str
    matrix: np.ndarray
    definite: bool
    digits: int = DIGITS


def hilbert(n: int) -> np.ndarray:
    return 1.0 / (np.arange(n)[:, None] + np.arange(n) + 1.0)


def kahan(n: int, angle: float = 1.2) -> np.ndarray:
    """Kahan's upper triangular matrix: far from singular by its diagonal, close to it in fact."""
    unit = np.eye(n) - np.cos(angle) * np.triu(np.ones((n, n)), 1)
    return np.sin(angle) ** np.arange(n)[:, None] * unit


def duplicated(n: int, jitter: float = 2.3e-16) -> np.ndarray:
    """An RBF kernel matrix where every input comes twice: condition 1e16."""
    x = np.repeat(np.random.default_rng(n).normal(size=n), 2)
    return np.exp(-((x[:, None] - x) ** 2) / 2) + jitter * np.eye(2 * n)


def graded(matrix: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """S A S with S = diag(10^powers): symmetric if A is."""
    lower = np.tril(matrix * 10.0 ** powers[:, None] * 10.0**powers)
    return lower + np.tril(lower, -1).T


def cases(largest: int = 40) -> Iterator[Case]:
    """All cases, each as a general matrix and, if it is symmetric, also as a positive definite one."""
    for name, matrix, digits in _matrices(largest):
        if (matrix == matrix.T).all():
            yield Case(name, matrix, True, digits)
        yield Case(name, matrix, False, digits)


def _matrices(largest: int) -> Iterator[tuple[str, np.ndarray, int]]:
    yield "empty", np.zeros((0, 0)), DIGITS
    for value in (3.0, 1e-150, 1e150):
        yield f"1 x 1: {value:g}", np.array([[value]]), DIGITS
    for n in (n for n in (2, 3, 5, 8, 10, 12, 13, 14, 20) if n <= largest):
        yield f"Hilbert {n}", hilbert(n), DIGITS
    for n in (n for n in (5, 10, 20, 40) if n <= largest):
        yield f"Kahan {n}", kahan(n), DIGITS
        yield f"Kahan {n}, Gram", kahan(n).T @ kahan(n), DIGITS
    for n in (n for n in (3, 6, 12, 20) if 2 * n <= largest):
        yield f"duplicated {2 * n}", duplicated(n), DIGITS
    for scale in (1e150, 1e-150):
        yield f"Hilbert 6 times {scale:g}", scale * hilbert(6), MORE_DIGITS
        yield f"duplicated 8 times {scale:g}", scale * duplicated(4), MORE_DIGITS
    for power in (75, 150):
        yield f"Hilbert 6, rows and columns 1e±{power}", graded(hilbert(6), np.linspace(-power, power, 6)), MORE_DIGITS
    if largest >= 8:
        rows = 10.0 ** np.linspace(-150, 150, 8)[:, None]
        yield "general 8, rows 1e±150", rows * np.random.default_rng(8).normal(size=(8, 8)), MORE_DIGITS


def right_side(n: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=n)


# ------------------------------------------------------------------------------------------------------------- by kernels
def kernels() -> dict[bool, Callable]:
    """Functions of a matrix and a vector that give all quantities: for general matrices and for positive definite ones."""
    made = {}
    for definite in (False, True):
        n = sv.dim("n")
        K, b = sv.param("K", n, n, init=np.eye(2)), sv.param("b", n)
        A = sv.assume(K, sv.spd) if definite else K
        logdet, x = sv.linalg.logdet(A), sv.linalg.solve(A, b)
        quad = b @ x
        gradients = [*sv.grad(logdet, [K]), *sv.grad(quad, [K, b])]
        made[definite] = sv.function([K, b], [logdet, x, quad, *gradients], name="definite" if definite else "general")
    return made


# ------------------------------------------------------------------------------------------------------------- by LAPACK
def _quantities(logdet: float, inverse: np.ndarray, x: np.ndarray, back: np.ndarray, b: np.ndarray) -> tuple:
    """All quantities from those that a factor gives; `back` solves with the transpose."""
    return logdet, x, b @ x, inverse.T, -np.outer(back, x), x + back


def _symmetric(lower: np.ndarray) -> np.ndarray:
    return np.tril(lower) + np.tril(lower, -1).T


def by_lapack(A: np.ndarray, b: np.ndarray) -> dict[str, tuple]:
    """The quantities by each of the three factorisations that does not fail."""
    found: dict[str, tuple] = {}
    if not len(A):
        return {"empty": _quantities(0.0, A, b, b, b)}
    if (A == A.T).all():
        found |= _by_potrf(A, b) | _by_sytrf(A, b)
    factor, pivots, info = lapack.dgetrf(A)
    if info == 0:
        x, back = (lapack.dgetrs(factor, pivots, b, trans=trans)[0].ravel() for trans in (0, 1))
        found["getrf"] = _quantities(np.log(np.abs(np.diag(factor))).sum(), lapack.dgetri(factor, pivots)[0], x, back, b)
    return found


def _by_potrf(A, b) -> dict[str, tuple]:
    factor, info = lapack.dpotrf(A, lower=1)
    if info:
        return {}
    x = lapack.dpotrs(factor, b, lower=1)[0].ravel()
    return {"potrf": _quantities(2 * np.log(np.diag(factor)).sum(), _symmetric(lapack.dpotri(factor, lower=1)[0]), x, x, b)}


def _by_sytrf(A, b) -> dict[str, tuple]:
    factor, pivots, info = lapack.dsytrf(A, lower=1)
    if info:
        return {}
    x = lapack.dsytrs(factor, pivots, b, lower=1)[0].ravel()
    logdet, k = 0.0, 0
    while k < len(A):
        if pivots[k] > 0:
            logdet, k = logdet + np.log(abs(factor[k, k])), k + 1
        else:  # a block of order two
            block = factor[k : k + 2, k : k + 2]
            logdet, k = logdet + np.log(abs(block[0, 0] * block[1, 1] - block[1, 0] ** 2)), k + 2
    return {"sytrf": _quantities(logdet, _symmetric(lapack.dsytri(factor, pivots, lower=1)[0]), x, x, b)}


# ------------------------------------------------------------------------------------------------------------- the truth
def exact(A: np.ndarray, b: np.ndarray, digits: int) -> tuple:
    """The quantities of the float64 inputs, as object arrays of mpmath numbers."""
    n = len(A)
    with mpmath.workdps(digits):
        if not n:
            return _quantities(mpmath.mpf(0), A, b, b, b)
        matrix = mpmath.matrix(A.tolist())
        inverse = np.array((matrix**-1).tolist(), dtype=object).reshape(n, n)
        right = np.array([mpmath.mpf(v) for v in b], dtype=object)
        return _quantities(mpmath.log(abs(mpmath.det(matrix))), inverse, inverse @ right, inverse.T @ right, right)


def error(value, truth, digits: int) -> float:
    """|value - truth| / |truth| by the Euclidean norm; infinite for results that are not finite."""
    value, truth = np.ravel(value), np.ravel(truth)
    if not np.isfinite(value.astype(float)).all():
        return np.inf
    with mpmath.workdps(digits):
        distance = mpmath.sqrt(sum((mpmath.mpf(float(v)) - t) ** 2 for v, t in zip(value, truth, strict=True)))
        size = mpmath.sqrt(sum(t**2 for t in truth))
        return float(distance / size) if size else float(distance)


@dataclass(frozen=True)
class Row:
    """One quantity of one case: our error, None where we report a failure, and those of LAPACK by name."""

    case: str
    definite: bool
    quantity: str
    ours: float | None
    theirs: dict[str, float]

    @property
    def good(self) -> bool:
        least = min(self.theirs.values(), default=np.inf)
        return not self.theirs if self.ours is None else self.ours <= max(FACTOR * least, ULPS)


def measure(chosen: Iterator[Case]) -> Iterator[Row]:
    """A row per quantity of the cases."""
    functions = kernels()
    for case in chosen:
        b = right_side(len(case.matrix))
        with np.errstate(all="ignore"):
            theirs = by_lapack(case.matrix, b)
        truth = exact(case.matrix, b, case.digits)
        try:
            ours = functions[case.definite](case.matrix, b)
        except SymviError:
            ours = None
        for position, quantity in enumerate(QUANTITIES):
            errors = {name: error(values[position], truth[position], case.digits) for name, values in theirs.items()}
            own = None if ours is None else error(ours[position], truth[position], case.digits)
            yield Row(case.name, case.definite, quantity, own, errors)


def main() -> int:
    bad = 0
    for row in measure(cases()):
        bad += not row.good
        kind = "definite" if row.definite else "general"
        ours = "fails" if row.ours is None else f"{row.ours:.1e}"
        theirs = "  ".join(f"{name} {value:.1e}" for name, value in row.theirs.items()) or "all fail"
        print(f"{row.case:40} {kind:9} {row.quantity:9} {ours:>8}   {theirs}{'' if row.good else '   <- bad'}")
    print(f"{bad} bad rows")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
