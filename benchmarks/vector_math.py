"""Vector mathematics beside libm: nanoseconds per element of one thread, their ratio, and the largest error found, in ulp.

    python -m benchmarks.vector_math [name ...]

Both sides are loops over the same arrays, compiled by Numba and timed in turn (processor time, minimum of many rounds). The other side
calls libm element by element, or a formula of libm's functions; for digamma SciPy's scalar function. Errors are against mpmath.
"""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable

import mpmath
import numpy as np
from numba import njit
from numba.extending import get_cython_function_address

from symvi.runtime.helpers import helper_module

SIZE = 4096
TERMS = 8  # of a logsumexp
ROUNDS, REPEATS = 40, 20


def scalar(function: Callable) -> Callable:
    return njit(error_model="numpy")(function)


def scipy_scalar(name: str) -> Callable:
    address = get_cython_function_address("scipy.special.cython_special", name)
    return ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(address)


def exact_log_ndtr(x: mpmath.mpf) -> mpmath.mpf:
    tail = mpmath.erfc(abs(x) / mpmath.sqrt(2)) / 2
    return mpmath.log(tail) if x < 0 else mpmath.log1p(-tail)


@scalar
def libm_sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


@scalar
def libm_softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@scalar
def libm_log_ndtr(x):
    return math.log(0.5 * math.erfc(-0.7071067811865476 * x)) if x < 0.0 else math.log1p(-0.5 * math.erfc(0.7071067811865476 * x))


# name: (the other side, judge, where arguments lie)
REAL, POSITIVE, WIDE, SHAPES = (0.0, 3.0), "lognormal", (0.0, 100.0), "gamma"
FUNCTIONS = {
    "exp": (math.exp, mpmath.exp, WIDE), "log": (math.log, mpmath.log, POSITIVE), "log1p": (math.log1p, mpmath.log1p, POSITIVE),
    "expm1": (math.expm1, mpmath.expm1, REAL), "tanh": (math.tanh, mpmath.tanh, REAL), "sinh": (math.sinh, mpmath.sinh, REAL),
    "cosh": (math.cosh, mpmath.cosh, REAL), "log10": (math.log10, mpmath.log10, POSITIVE),
    "sigmoid": (libm_sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), REAL),
    "softplus": (libm_softplus, lambda x: mpmath.log1p(mpmath.exp(x)), REAL),
    "erf": (math.erf, mpmath.erf, REAL), "erfc": (math.erfc, mpmath.erfc, REAL),
    "log_ndtr": (libm_log_ndtr, exact_log_ndtr, REAL),
    "sin": (math.sin, mpmath.sin, WIDE), "cos": (math.cos, mpmath.cos, WIDE), "tan": (math.tan, mpmath.tan, WIDE),
    "gammaln": (math.lgamma, mpmath.loggamma, SHAPES),
    "digamma": (scipy_scalar("__pyx_fuse_1psi"), mpmath.digamma, SHAPES),
}  # fmt: skip
ABSOLUTE_BELOW_ONE = ("gammaln", "digamma")  # near their roots


def arguments(place: object, kind: type, rng: np.random.Generator) -> np.ndarray:
    """An array of `SIZE` arguments."""
    if place == SHAPES:
        return rng.gamma(2.0, 5.0, SIZE).astype(kind)
    if place == POSITIVE:
        return np.exp(rng.normal(0.0, 5.0, SIZE)).astype(kind)
    return np.clip(rng.normal(*place, SIZE), -600.0 if kind is np.float64 else -80.0, 600.0 if kind is np.float64 else 80.0).astype(kind)


def loop_over(function: Callable) -> Callable:
    """out[i] = function(x[i])"""

    @njit(error_model="numpy", fastmath={"contract"})
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def logsumexp_with(exp: Callable, log: Callable) -> Callable:
    """out[i] = log(sum_k exp(x[k, i])) in sweeps over rows, as kernels have it."""

    @njit(error_model="numpy", fastmath={"contract"})
    def loop(x, out):
        n = out.size
        top, total = np.empty_like(out), np.zeros_like(out)
        top[:] = x[:n]
        for k in range(1, x.size // n):
            row = x[k * n : (k + 1) * n]
            for i in range(n):
                top[i] = row[i] if row[i] > top[i] else top[i]
        for k in range(x.size // n):
            row = x[k * n : (k + 1) * n]
            for i in range(n):
                total[i] += exp(row[i] - top[i])
        for i in range(n):
            out[i] = top[i] + log(total[i])

    return loop


def nanoseconds(loops: tuple[Callable, ...], x: np.ndarray, out: np.ndarray) -> list[float]:
    """Nanoseconds of each loop per element of x, the least of many rounds in turn."""
    best = [math.inf] * len(loops)
    for loop in loops:
        loop(x, out)
    for _ in range(ROUNDS):
        for j, loop in enumerate(loops):
            start = time.thread_time_ns()
            for _ in range(REPEATS):
                loop(x, out)
            best[j] = min(best[j], (time.thread_time_ns() - start) / REPEATS / x.size)
    return best


def worst_error(name: str, x: np.ndarray, found: np.ndarray) -> float:
    """The largest error in units of the last place of the exact value."""
    limits = np.finfo(x.dtype)
    judge, floor = FUNCTIONS[name][1], 1.0 if name in ABSOLUTE_BELOW_ONE else float(limits.tiny)
    worst = 0.0
    with mpmath.workdps(40):
        for argument, value in zip(x.tolist(), found.tolist(), strict=True):
            exact = judge(mpmath.mpf(argument))
            ulp = mpmath.ldexp(float(limits.eps), int(mpmath.floor(mpmath.log(max(abs(exact), floor), 2))))
            worst = max(worst, float(abs(value - exact) / ulp))
    return worst


def main(names: list[str]) -> None:
    helpers = helper_module()
    rng = np.random.default_rng(0)
    print(f"{'function':<12}{'type':<9}{'ns':>8}{'libm':>9}{'ratio':>8}{'ulp':>7}")
    for kind in (np.float64, np.float32):
        for name in names or [*FUNCTIONS, "logsumexp"]:
            if name == "logsumexp":
                x, out = rng.normal(size=SIZE).astype(kind), np.empty(SIZE // TERMS, kind)
                loops = logsumexp_with(helpers.exp, helpers.log), logsumexp_with(math.exp, math.log)
                error = math.nan
            else:
                other, _, place = FUNCTIONS[name]
                x, out = arguments(place, kind, rng), np.empty(SIZE, kind)
                loops = loop_over(getattr(helpers, name)), loop_over(other)
                loops[0](x, out)
                error = worst_error(name, x, out)
            own, libm = nanoseconds(loops, x, out)
            print(f"{name:<12}{np.dtype(kind).name:<9}{own:8.2f}{libm:9.2f}{libm / own:8.1f}{error:7.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
