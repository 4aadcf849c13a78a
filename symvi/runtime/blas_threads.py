"""One thread for BLAS and LAPACK while a kernel runs: OpenBLAS changes bits with its thread count, and small calls only lose by it.

The setting concerns SciPy's own OpenBLAS, the library that kernels call, and is put back after each run. Where SciPy was built
with another library nothing is changed.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

__all__ = ["one_thread"]

_NAMES = ("scipy_openblas_{}_num_threads", "scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads")


@lru_cache(maxsize=1)
def _controls():
    """(get, set) of SciPy's OpenBLAS, or None."""
    scipy = sys.modules.get("scipy")
    if scipy is None:
        return None
    package = Path(scipy.__file__).parent
    for path in (*package.parent.glob("scipy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for name in _NAMES:
            getter, setter = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
            if getter is not None and setter is not None:
                getter.restype, setter.argtypes, setter.restype = ctypes.c_int, [ctypes.c_int], None
                return getter, setter
    return None


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the body with single-threaded BLAS."""
    controls = _controls() if "scipy.linalg" in sys.modules else None
    if controls is None:
        yield
        return
    getter, setter = controls
    before = getter()
    setter(1)
    try:
        yield
    finally:
        setter(before)
