"""Copies between precisions: float32 kernels train float64 parameters."""
from numba import njit

from symvi.codegen_templates.operators import OPERATORS
from symvi.codegen_templates.tables import reals32, reals64

CASTS = dict(error_model="numpy", nogil=True)


@njit(**CASTS)
def copy_cast(source, target):
    """target = source, in the precision of the target."""
    for i in range(source.size):
        target[i] = source[i]
    return 0


def operator_narrow(n0, n1, d):
    """float64 to float32; d is [size, source, target]."""
    return copy_cast(reals64(d, 1, (d[0],)), reals32(d, 2, (d[0],)))


def operator_widen(n0, n1, d):
    """float32 to float64; d is [size, source, target]."""
    return copy_cast(reals32(d, 1, (d[0],)), reals64(d, 2, (d[0],)))


OPERATORS["narrow"] = operator_narrow
OPERATORS["widen"] = operator_widen
