"""The main job, cold and warm: `python benchmarks/main_job.py`.

Cold: an empty kernel cache, the helper module included. Warm: a new process with that cache, from its start to the first
value of the bound from compiled code, imports included. Each figure is a whole process or a clock inside it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"

COLD = """
import json, sys, time
start = time.perf_counter()
sys.path.insert(0, {examples!r})
import logistic_regression
fit = logistic_regression.main()
total = time.perf_counter() - start
print(json.dumps(dict(total=total, compiled=fit.compile_seconds, verdict=fit.verdict, elbo=fit.elbo(10_000))))
"""

WARM = """
import json, sys, time
sys.path.insert(0, {examples!r})
import symvi as sv, logistic_regression
import numpy as np
imported = time.time()
X_, y_, _ = logistic_regression.load()
N, D = sv.dims("N D")
X, w, y = sv.data("X", N, D), sv.param("w", D), sv.data("y", N)
m, L, e = sv.param("m", D), sv.param("L", D, D, support=sv.lower_cholesky), sv.noise("e", D)
eta = X @ (m + L @ e)
bound = (y * eta - sv.softplus(eta)).sum() - 0.5 * (m**2).sum() - 0.5 * (L**2).sum() + sv.log(sv.diag(L)).sum()
kernel = sv.compile(bound, name="logistic_bound")
value, gradients = kernel.value_and_grad(dict(m=np.zeros(31), L=np.eye(31)), dict(X=X_, y=y_))
print(json.dumps(dict(imported=imported, first=time.time(), hit=kernel.result.hit, value=value)))
"""

FIRST_STEPS = """
import json, sys, time
sys.path.insert(0, {examples!r})
import logistic_regression
from symvi.fit.trainer import Trainer

take, first = Trainer.take, []


def timed(self, *arguments):
    result = take(self, *arguments)
    first.append(time.time())
    return result


Trainer.take = timed
logistic_regression.main()
print(json.dumps(dict(first=first[0])))
"""


def run(code: str, cache: str) -> tuple[float, dict]:
    """Start of the process, and the last line that it prints."""
    environment = {**os.environ, "SYMVI_CACHE_DIR": cache}
    start = time.time()
    done = subprocess.run(
        [sys.executable, "-c", code.format(examples=str(EXAMPLES))], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return start, json.loads(done.stdout.strip().splitlines()[-1])


def main(repeats: int = 5) -> None:
    with tempfile.TemporaryDirectory() as cache:
        for label in ("cold", "again"):
            start, seen = run(COLD, cache)
            print(f"{label}: whole process {time.time() - start:.1f} s, of which building and compiling the model {seen['compiled']:.2f} s")
            print(f"    {seen['verdict']}, ELBO {seen['elbo']:.3f}")
        steps = [seen["first"] - start for start, seen in (run(FIRST_STEPS, cache) for _ in range(repeats))]
        print(f"again: process start to the first training steps {statistics.median(steps):.2f} s (max {max(steps):.2f})")
        run(WARM, cache)
        firsts, imports = [], []
        for _ in range(repeats):
            start, warm = run(WARM, cache)
            assert warm["hit"]
            firsts.append(warm["first"] - start)
            imports.append(warm["imported"] - start)
        spread = f"(min {min(firsts):.2f}, max {max(firsts):.2f})"
        print(f"warm: process start to the first value {statistics.median(firsts):.2f} s {spread}")
        print(f"    of which imports {statistics.median(imports):.2f} s")


if __name__ == "__main__":
    main()
