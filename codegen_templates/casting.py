"""Passes over flat vectors of parameters and gradients beside the kernel: copies between precisions, sums that tell what is not finite.

Each does elements n0 to n1 of what d describes, [size, source, target, total]; all of them where n1 is 0. Float32 kernels train
float64 parameters.
"""
from numba import njit

from symvi.codegen_templates.operators import OPERATORS
from symvi.codegen_templates.tables import reals32, reals64

CASTS = dict(error_model="numpy", nogil=True, fastmath={"reassoc", "nsz", "contract"})
CAST_SIZE, CAST_SOURCE, CAST_TARGET, CAST_TOTAL = range(4)
CAST_FIELDS = 4


@njit(**CASTS)
def end_of_range(n1, d):
    return n1 if n1 else d[CAST_SIZE]


@njit(**CASTS)
def copy_cast(source, target):
    """target = source, in the precision of the target."""
    for i in range(source.size):
        target[i] = source[i]
    return 0


@njit(**CASTS)
def sum_in_double(source):
    """The sum of all elements; not finite where one of them is not."""
    total = 0.0
    for i in range(source.size):
        total += source[i]
    return total


def operator_narrow(n0, n1, d):
    """float64 to float32."""
    last = end_of_range(n1, d)
    return copy_cast(reals64(d, CAST_SOURCE, (last,))[n0:], reals32(d, CAST_TARGET, (last,))[n0:])


def operator_widen(n0, n1, d):
    """float32 to float64, with the sum."""
    last = end_of_range(n1, d)
    source = reals32(d, CAST_SOURCE, (last,))[n0:]
    reals64(d, CAST_TOTAL, (1,))[0] = sum_in_double(source)
    return copy_cast(source, reals64(d, CAST_TARGET, (last,))[n0:])


def operator_sum(n0, n1, d):
    """The sum of float64 numbers."""
    reals64(d, CAST_TOTAL, (1,))[0] = sum_in_double(reals64(d, CAST_SOURCE, (end_of_range(n1, d),))[n0:])
    return 0


OPERATORS["narrow"] = operator_narrow
OPERATORS["widen"] = operator_widen
OPERATORS["sum"] = operator_sum
