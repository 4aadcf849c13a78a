"""Whole-array operations between the functions of a kernel: factors, solves, draws. Compiled once per machine, not per model.

Each is a C function `f(n0, n1, d)`; `d` describes the operation: [itemsize, batch, n, k, flag, address, address, ...].
They are written once and compiled for the precision that a kernel asks for: there `reals` stands for reals64 or reals32.
"""
from types import FunctionType

from numba import cfunc, njit

from symvi.codegen_templates.linear_algebra import (
    cholesky,
    cholesky_inverse,
    cholesky_logdet,
    cholesky_solve,
    lu,
    lu_inverse,
    lu_slogdet,
    lu_solve,
    solve_lower,
    solve_lower_transposed,
)
from symvi.codegen_templates.random_numbers import draw_exponential, draw_normal, draw_rademacher, draw_uniform
from symvi.codegen_templates.scalar_math import exp
from symvi.codegen_templates.tables import KERNEL, booleans, integers, integers32, reals32, reals64

OPERATOR = dict(error_model="numpy", nogil=True)
OPERATOR_FUNCTION = dict(error_model="numpy", cache=True)
ITEMSIZE, BATCH, ORDER, COLUMNS, FLAG, FIRST, SECOND, THIRD, FOURTH = range(9)
reals = reals64


def operator_cholesky(n0, n1, d):
    """L L' = A; A first, L second."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    A, L = reals(d, FIRST, shape), reals(d, SECOND, shape)
    for b in range(d[BATCH]):
        status = cholesky(A[b], L[b])
        if status != 0:
            return status
    return 0


def operator_cholesky_inverse(n0, n1, d):
    """(L L')^-1; L first, the result second."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    L, out = reals(d, FIRST, shape), reals(d, SECOND, shape)
    for b in range(d[BATCH]):
        status = cholesky_inverse(L[b], out[b])
        if status != 0:
            return status
    return 0


def operator_cholesky_logdet(n0, n1, d):
    """log det L L'; L first, the result second."""
    L, out = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), reals(d, SECOND, (d[BATCH],))
    for b in range(d[BATCH]):
        out[b] = cholesky_logdet(L[b])
    return 0


def operator_cholesky_solve(n0, n1, d):
    """L L' X = B; L, B, X."""
    right = (d[BATCH], d[ORDER], d[COLUMNS])
    L, B, X = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), reals(d, SECOND, right), reals(d, THIRD, right)
    for b in range(d[BATCH]):
        status = cholesky_solve(L[b], B[b], X[b])
        if status != 0:
            return status
    return 0


def operator_solve_lower(n0, n1, d):
    """L X = B; L, B, X."""
    right = (d[BATCH], d[ORDER], d[COLUMNS])
    L, B, X = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), reals(d, SECOND, right), reals(d, THIRD, right)
    for b in range(d[BATCH]):
        status = solve_lower(L[b], B[b], X[b])
        if status != 0:
            return status
    return 0


def operator_solve_lower_transposed(n0, n1, d):
    """L' X = B; L, B, X."""
    right = (d[BATCH], d[ORDER], d[COLUMNS])
    L, B, X = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), reals(d, SECOND, right), reals(d, THIRD, right)
    for b in range(d[BATCH]):
        status = solve_lower_transposed(L[b], B[b], X[b])
        if status != 0:
            return status
    return 0


def operator_lu(n0, n1, d):
    """P L U = A; A, LU, pivots. A zero pivot is a status, except where only a determinant is asked for (flag)."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    A, LU, pivots = reals(d, FIRST, shape), reals(d, SECOND, shape), integers32(d, THIRD, (d[BATCH], d[ORDER]))
    for b in range(d[BATCH]):
        status = lu(A[b], LU[b], pivots[b])
        if status != 0 and d[FLAG] == 0:
            return status
    return 0


def operator_lu_inverse(n0, n1, d):
    """A^-1 from LU; LU, the result, pivots."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    LU, out, pivots = reals(d, FIRST, shape), reals(d, SECOND, shape), integers32(d, THIRD, (d[BATCH], d[ORDER]))
    for b in range(d[BATCH]):
        status = lu_inverse(LU[b], pivots[b], out[b])
        if status != 0:
            return status
    return 0


def operator_lu_solve(n0, n1, d):
    """A X = B, or A' X = B with the flag; LU, B, X, pivots."""
    LU, right = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), (d[BATCH], d[ORDER], d[COLUMNS])
    B, X, pivots = reals(d, SECOND, right), reals(d, THIRD, right), integers32(d, FOURTH, (d[BATCH], d[ORDER]))
    for b in range(d[BATCH]):
        status = lu_solve(LU[b], pivots[b], B[b], X[b], d[FLAG] != 0)
        if status != 0:
            return status
    return 0


def operator_lu_logdet(n0, n1, d):
    """log |det A|, or det A with the flag; LU, the result, pivots."""
    LU, out = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), reals(d, SECOND, (d[BATCH],))
    pivots = integers32(d, THIRD, (d[BATCH], d[ORDER]))
    for b in range(d[BATCH]):
        sign, logabsdet = lu_slogdet(LU[b], pivots[b])
        out[b] = sign * exp(logabsdet) if d[FLAG] != 0 else logabsdet
    return 0


@njit(**OPERATOR)
def cumulative_sums(A, out, reverse):
    """out[r, k] = A[r, 0] + ... + A[r, k], or from the end."""
    for r in range(A.shape[0]):
        total = out.dtype.type(0)
        for j in range(A.shape[1]):
            k = A.shape[1] - 1 - j if reverse else j
            total += A[r, k]
            out[r, k] = total
    return 0


def operator_cumsum(n0, n1, d):
    """Cumulative sums along the last axis (from its end with the flag); the array, the result."""
    shape = (d[BATCH], d[ORDER])
    return cumulative_sums(reals(d, FIRST, shape), reals(d, SECOND, shape), d[FLAG] != 0)


def operator_cumsum_integers(n0, n1, d):
    """The same for integers."""
    shape = (d[BATCH], d[ORDER])
    return cumulative_sums(integers(d, FIRST, shape), integers(d, SECOND, shape), d[FLAG] != 0)


@njit(**OPERATOR)
def copy_part(source, target, offset):
    """target[r, offset + j] = source[r, j]."""
    for r in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[r, offset + j] = source[r, j]
    return 0


def operator_concatenate(n0, n1, d):
    """One part of a concatenation; batch rows of `order` entries go to rows of `columns` entries from entry `flag` on."""
    return copy_part(reals(d, FIRST, (d[BATCH], d[ORDER])), reals(d, SECOND, (d[BATCH], d[COLUMNS])), d[FLAG])


def operator_concatenate_integers(n0, n1, d):
    """The same for integers."""
    return copy_part(integers(d, FIRST, (d[BATCH], d[ORDER])), integers(d, SECOND, (d[BATCH], d[COLUMNS])), d[FLAG])


def operator_concatenate_booleans(n0, n1, d):
    """The same for booleans."""
    return copy_part(booleans(d, FIRST, (d[BATCH], d[ORDER])), booleans(d, SECOND, (d[BATCH], d[COLUMNS])), d[FLAG])


# A draw is described by [itemsize, particles, rows, columns, site, out, key, row numbers, how many of them].
# Rows n0 to n1 of the plate go to the first rows of `out`, which has `rows` rows per particle.
PARTICLES, ROWS, WIDTH, SITE, OUT, KEY, ROW_NUMBERS, ROW_COUNT = range(1, 9)


def operator_draw_normal(n0, n1, d):
    """Standard normals."""
    out = reals(d, OUT, (d[PARTICLES], d[ROWS], d[WIDTH]))
    key, rows = integers(d, KEY, (3,)), integers(d, ROW_NUMBERS, (d[ROW_COUNT],))
    for p in range(d[PARTICLES]):
        draw_normal(out[p, : n1 - n0], key, d[SITE], p, n0, rows)
    return 0


def operator_draw_uniform(n0, n1, d):
    """Uniform numbers in (0, 1)."""
    out = reals(d, OUT, (d[PARTICLES], d[ROWS], d[WIDTH]))
    key, rows = integers(d, KEY, (3,)), integers(d, ROW_NUMBERS, (d[ROW_COUNT],))
    for p in range(d[PARTICLES]):
        draw_uniform(out[p, : n1 - n0], key, d[SITE], p, n0, rows)
    return 0


def operator_draw_exponential(n0, n1, d):
    """Standard exponentials."""
    out = reals(d, OUT, (d[PARTICLES], d[ROWS], d[WIDTH]))
    key, rows = integers(d, KEY, (3,)), integers(d, ROW_NUMBERS, (d[ROW_COUNT],))
    for p in range(d[PARTICLES]):
        draw_exponential(out[p, : n1 - n0], key, d[SITE], p, n0, rows)
    return 0


def operator_draw_rademacher(n0, n1, d):
    """Signs: -1 or 1."""
    out = reals(d, OUT, (d[PARTICLES], d[ROWS], d[WIDTH]))
    key, rows = integers(d, KEY, (3,)), integers(d, ROW_NUMBERS, (d[ROW_COUNT],))
    for p in range(d[PARTICLES]):
        draw_rademacher(out[p, : n1 - n0], key, d[SITE], p, n0, rows)
    return 0


OPERATORS = {
    "cholesky": operator_cholesky, "cholesky_inverse": operator_cholesky_inverse, "cholesky_logdet": operator_cholesky_logdet,
    "cholesky_solve": operator_cholesky_solve, "solve_lower": operator_solve_lower,
    "solve_lower_transposed": operator_solve_lower_transposed, "lu": operator_lu, "lu_inverse": operator_lu_inverse,
    "lu_solve": operator_lu_solve, "lu_logdet": operator_lu_logdet,
    "cumsum": operator_cumsum, "cumsum_integers": operator_cumsum_integers, "concatenate": operator_concatenate,
    "concatenate_integers": operator_concatenate_integers, "concatenate_booleans": operator_concatenate_booleans,
    "draw_normal": operator_draw_normal, "draw_uniform": operator_draw_uniform, "draw_exponential": operator_draw_exponential,
    "draw_rademacher": operator_draw_rademacher,
}
COMPILED_OPERATORS = {}


def in_precision(operator, itemsize):
    """The operation on float64 (8) or float32 (4) arrays, under a name of its own: by it Numba finds its compiled code again."""
    chosen = FunctionType(operator.__code__, {**operator.__globals__, "reals": reals64 if itemsize == 8 else reals32})
    chosen.__name__ = chosen.__qualname__ = f"{operator.__name__}_{8 * itemsize}"
    return chosen


def operator_address(name, itemsize=8):
    """The address of an operation, compiled at its first use (or loaded from the cache)."""
    if (name, itemsize) not in COMPILED_OPERATORS:
        COMPILED_OPERATORS[name, itemsize] = cfunc(KERNEL, **OPERATOR_FUNCTION)(in_precision(OPERATORS[name], itemsize))
    return COMPILED_OPERATORS[name, itemsize].address
