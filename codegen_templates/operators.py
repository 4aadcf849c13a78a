"""Whole-array operations between the functions of a kernel: factors, solves, draws. Compiled once per machine, not per model.

Each is a C function `f(n0, n1, d)`; `d` describes the operation: [itemsize, batch, n, k, flag, address, address, ...].
"""
from numba import cfunc, njit
from symvi.codegen_templates.random_numbers import draw_exponential, draw_normal, draw_rademacher, draw_uniform
from symvi.codegen_templates.linear_algebra import (
    cholesky, cholesky_inverse, cholesky_logdet, cholesky_solve, lu, lu_inverse, lu_slogdet, lu_solve, solve_lower, solve_lower_transposed,
)
from symvi.codegen_templates.scalar_math import exp
from symvi.codegen_templates.tables import KERNEL, integers, integers32, reals32, reals64

OPERATOR = dict(error_model="numpy", nogil=True)
OPERATOR_FUNCTION = dict(error_model="numpy", cache=True)
ITEMSIZE, BATCH, ORDER, COLUMNS, FLAG, FIRST, SECOND, THIRD, FOURTH = range(9)


@njit(**OPERATOR)
def cholesky_batch(A, L):
    for b in range(A.shape[0]):
        status = cholesky(A[b], L[b])
        if status != 0:
            return status
    return 0


def operator_cholesky(n0, n1, d):
    """L L' = A; A first, L second."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    if d[ITEMSIZE] == 8:
        return cholesky_batch(reals64(d, FIRST, shape), reals64(d, SECOND, shape))
    return cholesky_batch(reals32(d, FIRST, shape), reals32(d, SECOND, shape))


@njit(**OPERATOR)
def cholesky_inverse_batch(L, out):
    for b in range(L.shape[0]):
        status = cholesky_inverse(L[b], out[b])
        if status != 0:
            return status
    return 0


def operator_cholesky_inverse(n0, n1, d):
    """(L L')^-1; L first, the result second."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    if d[ITEMSIZE] == 8:
        return cholesky_inverse_batch(reals64(d, FIRST, shape), reals64(d, SECOND, shape))
    return cholesky_inverse_batch(reals32(d, FIRST, shape), reals32(d, SECOND, shape))


@njit(**OPERATOR)
def cholesky_logdet_batch(L, out):
    for b in range(L.shape[0]):
        out[b] = cholesky_logdet(L[b])
    return 0


def operator_cholesky_logdet(n0, n1, d):
    """log det L L'; L first, the result second."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    if d[ITEMSIZE] == 8:
        return cholesky_logdet_batch(reals64(d, FIRST, shape), reals64(d, SECOND, (d[BATCH],)))
    return cholesky_logdet_batch(reals32(d, FIRST, shape), reals32(d, SECOND, (d[BATCH],)))


@njit(**OPERATOR)
def cholesky_solve_batch(L, B, X):
    for b in range(L.shape[0]):
        status = cholesky_solve(L[b], B[b], X[b])
        if status != 0:
            return status
    return 0


def operator_cholesky_solve(n0, n1, d):
    """L L' X = B; L, B, X."""
    square, right = (d[BATCH], d[ORDER], d[ORDER]), (d[BATCH], d[ORDER], d[COLUMNS])
    if d[ITEMSIZE] == 8:
        return cholesky_solve_batch(reals64(d, FIRST, square), reals64(d, SECOND, right), reals64(d, THIRD, right))
    return cholesky_solve_batch(reals32(d, FIRST, square), reals32(d, SECOND, right), reals32(d, THIRD, right))


@njit(**OPERATOR)
def solve_triangular_batch(L, B, X, transposed):
    for b in range(L.shape[0]):
        status = solve_lower_transposed(L[b], B[b], X[b]) if transposed else solve_lower(L[b], B[b], X[b])
        if status != 0:
            return status
    return 0


def operator_solve_triangular(n0, n1, d):
    """L X = B, or L' X = B with the flag; L, B, X."""
    square, right = (d[BATCH], d[ORDER], d[ORDER]), (d[BATCH], d[ORDER], d[COLUMNS])
    if d[ITEMSIZE] == 8:
        return solve_triangular_batch(reals64(d, FIRST, square), reals64(d, SECOND, right), reals64(d, THIRD, right), d[FLAG] != 0)
    return solve_triangular_batch(reals32(d, FIRST, square), reals32(d, SECOND, right), reals32(d, THIRD, right), d[FLAG] != 0)


@njit(**OPERATOR)
def lu_batch(A, LU, pivots):
    for b in range(A.shape[0]):
        status = lu(A[b], LU[b], pivots[b])
        if status != 0:
            return status
    return 0


def operator_lu(n0, n1, d):
    """P L U = A; A, LU, pivots. A zero pivot is a status, except where only a determinant is asked for (flag)."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    pivots = integers32(d, THIRD, (d[BATCH], d[ORDER]))
    if d[ITEMSIZE] == 8:
        status = lu_batch(reals64(d, FIRST, shape), reals64(d, SECOND, shape), pivots)
    else:
        status = lu_batch(reals32(d, FIRST, shape), reals32(d, SECOND, shape), pivots)
    return 0 if d[FLAG] != 0 else status


@njit(**OPERATOR)
def lu_inverse_batch(LU, pivots, out):
    for b in range(LU.shape[0]):
        status = lu_inverse(LU[b], pivots[b], out[b])
        if status != 0:
            return status
    return 0


def operator_lu_inverse(n0, n1, d):
    """A^-1 from LU; LU, the result, pivots."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    pivots = integers32(d, THIRD, (d[BATCH], d[ORDER]))
    if d[ITEMSIZE] == 8:
        return lu_inverse_batch(reals64(d, FIRST, shape), pivots, reals64(d, SECOND, shape))
    return lu_inverse_batch(reals32(d, FIRST, shape), pivots, reals32(d, SECOND, shape))


@njit(**OPERATOR)
def lu_solve_batch(LU, pivots, B, X, transposed):
    for b in range(LU.shape[0]):
        status = lu_solve(LU[b], pivots[b], B[b], X[b], transposed)
        if status != 0:
            return status
    return 0


def operator_lu_solve(n0, n1, d):
    """A X = B, or A' X = B with the flag; LU, B, X, pivots."""
    square, right = (d[BATCH], d[ORDER], d[ORDER]), (d[BATCH], d[ORDER], d[COLUMNS])
    pivots = integers32(d, FOURTH, (d[BATCH], d[ORDER]))
    if d[ITEMSIZE] == 8:
        return lu_solve_batch(reals64(d, FIRST, square), pivots, reals64(d, SECOND, right), reals64(d, THIRD, right), d[FLAG] != 0)
    return lu_solve_batch(reals32(d, FIRST, square), pivots, reals32(d, SECOND, right), reals32(d, THIRD, right), d[FLAG] != 0)


@njit(**OPERATOR)
def lu_logdet_batch(LU, pivots, out, signed):
    for b in range(LU.shape[0]):
        sign, logabsdet = lu_slogdet(LU[b], pivots[b])
        out[b] = sign * exp(logabsdet) if signed else logabsdet
    return 0


def operator_lu_logdet(n0, n1, d):
    """log |det A|, or det A with the flag; LU, the result, pivots."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    pivots = integers32(d, THIRD, (d[BATCH], d[ORDER]))
    if d[ITEMSIZE] == 8:
        return lu_logdet_batch(reals64(d, FIRST, shape), pivots, reals64(d, SECOND, (d[BATCH],)), d[FLAG] != 0)
    return lu_logdet_batch(reals32(d, FIRST, shape), pivots, reals32(d, SECOND, (d[BATCH],)), d[FLAG] != 0)


@njit(**OPERATOR)
def cumulative_sums(A, out, reverse):
    for r in range(A.shape[0]):
        total = A[r, 0] * 0 if A.shape[1] else out.dtype.type(0)
        for j in range(A.shape[1]):
            k = A.shape[1] - 1 - j if reverse else j
            total += A[r, k]
            out[r, k] = total
    return 0


def operator_cumsum(n0, n1, d):
    """Cumulative sums along the last axis (from its end with the flag); the array, the result."""
    shape = (d[BATCH], d[ORDER])
    if d[ITEMSIZE] == 8:
        return cumulative_sums(reals64(d, FIRST, shape), reals64(d, SECOND, shape), d[FLAG] != 0)
    return cumulative_sums(reals32(d, FIRST, shape), reals32(d, SECOND, shape), d[FLAG] != 0)


@njit(**OPERATOR)
def copy_part(source, target, offset):
    for r in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[r, offset + j] = source[r, j]
    return 0


def operator_concatenate(n0, n1, d):
    """One part of a concatenation; batch rows of `order` entries go to rows of `columns` entries from entry `flag` on."""
    source, target = (d[BATCH], d[ORDER]), (d[BATCH], d[COLUMNS])
    if d[ITEMSIZE] == 8:
        return copy_part(reals64(d, FIRST, source), reals64(d, SECOND, target), d[FLAG])
    return copy_part(reals32(d, FIRST, source), reals32(d, SECOND, target), d[FLAG])


# A draw is described by [itemsize, particles, rows, columns, site, out, key, row numbers, how many of them].
# Rows n0 to n1 of the plate go to the first rows of `out`, which has `rows` rows per particle.
PARTICLES, ROWS, WIDTH, SITE, OUT, KEY, ROW_NUMBERS, ROW_COUNT = range(1, 9)


@njit(**OPERATOR)
def draw_normal_rows(out, key, site, n0, n1, rows):
    for p in range(out.shape[0]):
        draw_normal(out[p, : n1 - n0], key, site, p, n0, rows)
    return 0


def operator_draw_normal(n0, n1, d):
    """Standard normals."""
    shape, key, rows = (d[PARTICLES], d[ROWS], d[WIDTH]), integers(d, KEY, (3,)), integers(d, ROW_NUMBERS, (d[ROW_COUNT],))
    if d[ITEMSIZE] == 8:
        return draw_normal_rows(reals64(d, OUT, shape), key, d[SITE], n0, n1, rows)
    return draw_normal_rows(reals32(d, OUT, shape), key, d[SITE], n0, n1, rows)


@njit(**OPERATOR)
def draw_uniform_rows(out, key, site, n0, n1, rows):
    for p in range(out.shape[0]):
        draw_uniform(out[p, : n1 - n0], key, site, p, n0, rows)
    return 0


def operator_draw_uniform(n0, n1, d):
    """Uniform numbers in (0, 1)."""
    shape, key, rows = (d[PARTICLES], d[ROWS], d[WIDTH]), integers(d, KEY, (3,)), integers(d, ROW_NUMBERS, (d[ROW_COUNT],))
    if d[ITEMSIZE] == 8:
        return draw_uniform_rows(reals64(d, OUT, shape), key, d[SITE], n0, n1, rows)
    return draw_uniform_rows(reals32(d, OUT, shape), key, d[SITE], n0, n1, rows)


@njit(**OPERATOR)
def draw_exponential_rows(out, key, site, n0, n1, rows):
    for p in range(out.shape[0]):
        draw_exponential(out[p, : n1 - n0], key, site, p, n0, rows)
    return 0


def operator_draw_exponential(n0, n1, d):
    """Standard exponentials."""
    shape, key, rows = (d[PARTICLES], d[ROWS], d[WIDTH]), integers(d, KEY, (3,)), integers(d, ROW_NUMBERS, (d[ROW_COUNT],))
    if d[ITEMSIZE] == 8:
        return draw_exponential_rows(reals64(d, OUT, shape), key, d[SITE], n0, n1, rows)
    return draw_exponential_rows(reals32(d, OUT, shape), key, d[SITE], n0, n1, rows)


@njit(**OPERATOR)
def draw_rademacher_rows(out, key, site, n0, n1, rows):
    for p in range(out.shape[0]):
        draw_rademacher(out[p, : n1 - n0], key, site, p, n0, rows)
    return 0


def operator_draw_rademacher(n0, n1, d):
    """Signs: -1 or 1."""
    shape, key, rows = (d[PARTICLES], d[ROWS], d[WIDTH]), integers(d, KEY, (3,)), integers(d, ROW_NUMBERS, (d[ROW_COUNT],))
    if d[ITEMSIZE] == 8:
        return draw_rademacher_rows(reals64(d, OUT, shape), key, d[SITE], n0, n1, rows)
    return draw_rademacher_rows(reals32(d, OUT, shape), key, d[SITE], n0, n1, rows)


OPERATORS = {
    "cholesky": operator_cholesky, "cholesky_inverse": operator_cholesky_inverse, "cholesky_logdet": operator_cholesky_logdet,
    "cholesky_solve": operator_cholesky_solve, "solve_triangular": operator_solve_triangular, "lu": operator_lu, "lu_inverse": operator_lu_inverse,
    "lu_solve": operator_lu_solve, "lu_logdet": operator_lu_logdet, "cumsum": operator_cumsum, "concatenate": operator_concatenate,
    "draw_normal": operator_draw_normal, "draw_uniform": operator_draw_uniform, "draw_exponential": operator_draw_exponential,
    "draw_rademacher": operator_draw_rademacher,
}
COMPILED_OPERATORS = {}


def operator_address(name):
    """The address of an operation, compiled at its first use (or loaded from the cache)."""
    if name not in COMPILED_OPERATORS:
        COMPILED_OPERATORS[name] = cfunc(KERNEL, **OPERATOR_FUNCTION)(OPERATORS[name])
    return COMPILED_OPERATORS[name].address
