"""Which routines a kernel calls while it runs: BLAS and LAPACK by symbol, operations on factors by name.

Stubs stand between the machine code and what it calls: they count, then call the real thing. Machine code that was loaded before keeps its
own addresses, so counting begins in a new process, before any kernel runs.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from types import ModuleType

import llvmlite.binding as llvm
from scipy.linalg import cython_blas, cython_lapack

__all__ = ["CalledRoutines", "KINDS", "kinds_of"]

ROUTINES = ((cython_blas, ("gemm", "syrk", "trsm", "trsv")), (cython_lapack, ("potrf", "potri", "getrf", "syevd")))
KINDS = ("cholesky", "lu", "inverse", "triangular solve")
OF_SYMBOL = {"potrf": "cholesky", "getrf": "lu", "potri": "inverse", "trsm": "triangular solve", "trsv": "triangular solve"}
OF_OPERATION = {  # per matrix; the estimate of the condition that goes with a Cholesky factor is one substitution
    "cholesky": {"cholesky": 1, "triangular solve": 1},
    "factor_definite": {"cholesky": 1},
    "factor_general": {"lu": 1},
    "factored_inverse": {"inverse": 1},
    "factored_solve": {"triangular solve": 2},
    "solve_lower": {"triangular solve": 1},
    "solve_lower_transposed": {"triangular solve": 1},
    "lower_inverse": {"inverse": 1},
}
KERNEL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64))


def kinds_of(operations: Counter) -> Counter:
    """Factorisations, inverses and triangular solves in counted operations, whether by LAPACK or by loops of our own."""
    total: Counter = Counter()
    for name, count in operations.items():
        for kind, each in OF_OPERATION.get(name, {}).items():
            total[kind] += each * count
    return total


class CalledRoutines:
    """Counts calls from now on: `symbols` of BLAS and LAPACK without their first letter, `operations` of the helper module per matrix."""

    def __init__(self, helpers: ModuleType):
        if helpers.COMPILED_OPERATORS:
            raise RuntimeError("operations are in use already: count in a new process")
        self.helpers = helpers
        self.symbols: Counter = Counter()
        self.operations: Counter = Counter()
        self._kept: list = []
        for module, names in ROUTINES:
            for name in names:
                for prefix in "sd":
                    self._count_symbol(module, prefix, name)
        self._operator_address = helpers.operator_address
        helpers.operator_address = self._address
        helpers.late_address = self._address

    def clear(self) -> None:
        """Begin again from zero."""
        self.symbols.clear()
        self.operations.clear()

    def _count_symbol(self, module, prefix: str, name: str) -> None:
        capsule = module.__pyx_capi__[prefix + name]
        get_name, get_pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
        get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
        get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        signature = get_name(capsule)
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (signature.count(b",") + 1))
        real = function(get_pointer(capsule, signature))

        def stub(*arguments):
            self.symbols[name] += 1
            real(*arguments)

        self._kept.append(function(stub))
        llvm.add_symbol(f"symvi_{prefix}{name}", ctypes.cast(self._kept[-1], ctypes.c_void_p).value)

    def _address(self, name: str, itemsize: int = 8) -> int:
        real = KERNEL(self._operator_address(name, itemsize))
        tasks = {self.helpers.FACTOR_DEFINITE: "factor_definite", self.helpers.FACTOR_GENERAL: "factor_general"}

        def stub(n0, n1, description):
            if name == "elimination":
                self.operations[tasks.get(n1, "elimination")] += 1
            elif name in OF_OPERATION:
                self.operations[name] += description[self.helpers.BATCH]
            return real(n0, n1, description)

        self._kept.append(KERNEL(stub))
        return ctypes.cast(self._kept[-1], ctypes.c_void_p).value
