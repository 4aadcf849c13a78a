"""What the machine can do: read bandwidth, the rate of a matrix product, the rate of a vector exponential.

`python -m benchmarks.speed.limits float64` prints them as JSON; the environment says how many threads BLAS and Numba use.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

__all__ = ["Limits", "measure"]

REPEATS = 7


@dataclass(frozen=True)
class Limits:
    """Bytes, floating point operations and exponentials per second."""

    bandwidth: float
    gemm: float
    exp: float

    def seconds(self, counts) -> float:
        """The least time of a step with these counts: the largest of the three parts."""
        return max(counts.bytes / self.bandwidth, counts.flops / self.gemm, counts.calls / self.exp)


def _best(function, work: float) -> float:
    function()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return work / min(seconds)


def measure(dtype: str) -> Limits:
    """The three rates: sums and exponentials in compiled parallel loops, the product in BLAS."""
    import numba

    from symvi.runtime.helpers import helper_module

    exp, threads = helper_module().exp, numba.config.NUMBA_NUM_THREADS

    @numba.njit(parallel=True, fastmath={"reassoc", "nsz", "contract"}, error_model="numpy")
    def total(x):
        parts = np.zeros((x.shape[0], 16))
        for k in numba.prange(x.shape[0]):
            row = x[k]
            part = row.dtype.type(0)
            for i in range(row.size):
                part += row[i]
            parts[k, 0] = part
        return parts.sum()

    @numba.njit(parallel=True, fastmath={"contract"}, error_model="numpy")
    def exponentials(x, out, rounds):
        for k in numba.prange(x.shape[0]):
            row, result = x[k], out[k]
            for _ in range(rounds):
                for i in range(row.size):
                    result[i] = exp(row[i])

    wide = np.ones((threads, 32_000_000 // threads), dtype=dtype)
    small = np.linspace(-5, 5, 4096 * threads).reshape(threads, -1).astype(dtype)
    out, a = np.empty_like(small), np.random.default_rng(0).normal(size=(1536, 1536)).astype(dtype)
    gemm = _best(lambda: a @ a, 2 * a.shape[0] ** 3)
    return Limits(_best(lambda: total(wide), wide.nbytes), gemm, _best(lambda: exponentials(small, out, 500), 500 * small.size))


if __name__ == "__main__":
    print(json.dumps(asdict(measure(*sys.argv[1:]))))
