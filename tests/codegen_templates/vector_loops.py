"""Loops over the vector functions of a helper file. Run as a program it serves a process in which Numba has another CPU to compile for.

    vector_loops.py values <helper file> <points.npz> <results.npz>    results[name] = function(points[name]), element by element
    vector_loops.py llvm <helper file> <folder>                        <folder>/<name>.ll, in float64, as it is before optimisation
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
from numba import njit, types

RARE = ("sin", "cos", "tan", "gammaln", "digamma", "trigamma", "polygamma2")  # functions with a slow path for rare arguments
BRANCH_FREE = ("exp", "log", "log1p", "expm1", "sigmoid", "softplus", "log_sigmoid", "tanh", "sinh", "cosh", "log2", "log10", "ndtr",
               "log_ndtr", "erf", "erfc")  # fmt: skip
PACKED = BRANCH_FREE + RARE
TYPICAL = ("exp", "expm1", "log", "log1p", "erf", "log_ndtr", "sin", "gammaln", "digamma")  # one of every shape


def load(path):
    """The module of a helper file."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def loop_over(function, kind=types.float64):
    """out[i] = function(x[i]), compiled for arrays of one type."""

    @njit(types.void(kind[::1], kind[::1]), error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def values(helpers, points, results):
    """Write the value of every function at its points; a key is `<name> <dtype>`."""
    found = {}
    with np.load(points) as table:
        for key, x in table.items():
            found[key] = np.empty_like(x)
            loop_over(getattr(helpers, key.split()[0]), getattr(types, str(x.dtype)))(x, found[key])
    np.savez(results, **found)


def llvm(helpers, folder):
    """Write the LLVM of the loop over typical functions."""
    for name in TYPICAL:
        loop = loop_over(getattr(helpers, name))
        Path(folder, f"{name}.ll").write_text(loop.inspect_llvm(loop.signatures[0]), encoding="utf-8")


if __name__ == "__main__":
    action, helper_path, *rest = sys.argv[1:]
    {"values": values, "llvm": llvm}[action](load(helper_path), *rest)
