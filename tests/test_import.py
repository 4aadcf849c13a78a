"""`import symvi` brings in nothing that a user may never need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys
import symvi
heavy = ("sympy", "rich", "matplotlib", "numba", "llvmlite", "arviz", "mpmath", "IPython", "scipy")
print(*[name for name in heavy if name in sys.modules])
"""


def test_import_is_light():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
