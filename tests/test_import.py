"""`import symvi` is quick and brings in nothing that a user may never need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys, time
import numpy
start = time.process_time()
import symvi
seconds = time.process_time() - start
heavy = [name for name in ("sympy", "rich", "matplotlib", "numba", "llvmlite", "arviz", "mpmath", "IPython") if name in sys.modules]
print(round(seconds, 3), *heavy)
"""


def test_import_is_light_and_quick():
    runs = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT, check=True).stdout.split()
        for _ in range(3)
    ]
    assert runs[0][1:] == [], f"imported by `import symvi`: {runs[0][1:]}"
    assert min(float(run[0]) for run in runs) < 0.4, "seconds of processor time, NumPy's own import apart"
