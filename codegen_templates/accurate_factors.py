"""Factors that remember how they were made: Cholesky or LU where that is accurate, elimination in twice the precision where it is not.

A factor is three arrays: F of the shape of the matrix A, `low` with 2 PANEL more rows for scratch, and int32 `notes`: n pivots, how the
factor was made, n exponents of rows, n of columns. PLAIN_CHOLESKY and PLAIN_LU are what `cholesky` and `lu` give. In the accurate forms
P R A C = L U with powers of two R and C, the unit lower L and the upper U in F + low, an unevaluated sum of two numbers per entry (Dekker
1971; Hida, Li and Bailey 2001). They are taken where an estimate of the condition exceeds a limit; `low` is scratch otherwise.
Above the diagonal of a Cholesky factor may stand anything.
"""
import math

import numpy as np
from numba import njit
from numba.extending import intrinsic

from symvi.codegen_templates.linear_algebra import (
    DENSE,
    SUMS,
    cholesky,
    fill_with_nan,
    log_with_power,
    lu,
    lu_slogdet,
    lu_solve,
    swap_rows,
)

ROUNDED = dict(error_model="numpy", nogil=True)  # no fastmath at all: every operation is rounded as written
PLAIN_CHOLESKY, PLAIN_LU, ACCURATE_DEFINITE, ACCURATE = 0, 1, 2, 3
SMALL_FACTOR, MIDDLE_FACTOR = 16, 64
PANEL = 8  # columns that are solved together in twice the precision


@intrinsic
def fused(typing_context, a, b, c):
    """a * b + c, rounded once."""
    signature = a(a, a, a)

    def emit(context, builder, signature, values):
        return builder.fma(*values)

    return signature, emit


# ---------------------------------------------------------------- twice the precision
@njit(**ROUNDED)
def subtract_multiple(high, low, other_high, other_low, factor_high, factor_low, first):
    """(high + low)[j] -= (factor_high + factor_low) * (other_high + other_low)[j] from j = first on."""
    for j in range(first, high.size):
        a = high[j]
        b = other_high[j]
        product = factor_high * b
        rest = fused(factor_high, b, -product) + (factor_high * other_low[j] + factor_low * b)
        difference = a - product
        back = difference - a
        error = ((a - (difference - back)) - (product + back)) + (low[j] - rest)
        total = difference + error
        high[j] = total
        low[j] = error - (total - difference)


@njit(**ROUNDED)
def divide(high, low, divisor_high, divisor_low):
    """(high + low) / (divisor_high + divisor_low), as two numbers."""
    quotient = high / divisor_high
    product = quotient * divisor_high
    rest = ((high - product) - (fused(quotient, divisor_high, -product) + quotient * divisor_low)) + low
    correction = rest / divisor_high
    total = quotient + correction
    return total, correction - (total - quotient)


@njit(**ROUNDED)
def accurate_lu(F, low, notes, pivoting):
    """P A = L U in place of A = F + low. Without pivoting A is symmetric, and every pivot must be positive; U is then D L'.

    The status is 1 + k where pivot k will not do.
    """
    n = F.shape[0]
    for k in range(n):
        best = k
        if pivoting:
            for i in range(k + 1, n):
                if abs(F[i, k]) > abs(F[best, k]):
                    best = i
            if best != k:
                for j in range(n):
                    F[k, j], F[best, j] = F[best, j], F[k, j]
                    low[k, j], low[best, j] = low[best, j], low[k, j]
        notes[k] = best + 1
        pivot, pivot_low = F[k, k], low[k, k]
        if not 0.0 < (abs(pivot) if pivoting else pivot) < math.inf:
            return k + 1
        for i in range(k + 1, n):
            row, column, first = (i, k, k + 1) if pivoting else (k, i, i)  # of a symmetric remainder the upper triangle will do
            factor, factor_low = divide(F[row, column], low[row, column], pivot, pivot_low)
            F[i, k], low[i, k] = factor, factor_low
            if factor != 0.0:
                subtract_multiple(F[i], low[i], F[k], low[k], factor, factor_low, first)
    return 0


@njit(**ROUNDED)
def substitute_accurately(F, low, X, rest, upper, transposed):
    """One triangle of an accurate factor, or its transpose, solved in place for X + rest: the unit lower one or the upper one."""
    n = F.shape[0]
    forward = upper == transposed
    for step in range(n):
        i = step if forward else n - 1 - step
        for other in range(step):
            k = other if forward else n - 1 - other
            row, column = (k, i) if transposed else (i, k)
            subtract_multiple(X[i], rest[i], X[k], rest[k], F[row, column], low[row, column], 0)
        if upper:
            for c in range(X.shape[1]):
                X[i, c], rest[i, c] = divide(X[i, c], rest[i, c], F[i, i], low[i, i])


@njit(**ROUNDED)
def accurate_solve(F, low, notes, X, transposed):
    """A X = B or A' X = B in place, from an accurate factor, a panel of columns at a time."""
    n = F.shape[0]
    pivots, rows, columns = notes[:n], notes[n + 1 : 2 * n + 1], notes[2 * n + 1 :]
    before, after = (columns, rows) if transposed else (rows, columns)
    panel, rest = low[n : n + PANEL].reshape((n, PANEL)), low[n + PANEL :].reshape((n, PANEL))
    for first in range(0, X.shape[1], PANEL):
        width = min(PANEL, X.shape[1] - first)
        for i in range(n):
            for c in range(PANEL):
                panel[i, c] = math.ldexp(X[i, first + c], before[i]) if c < width else 0.0
                rest[i, c] = 0.0
        if not transposed:
            swap_rows(panel, pivots, False)
        substitute_accurately(F, low, panel, rest, transposed, transposed)
        substitute_accurately(F, low, panel, rest, not transposed, transposed)
        if transposed:
            swap_rows(panel, pivots, True)
        for i in range(n):
            for c in range(width):
                X[i, first + c] = math.ldexp(panel[i, c], after[i])


@njit(**ROUNDED)
def product_of_diagonal(F, low):
    """F[0, 0] F[1, 1] ... as (high + rest) 2^power: a product in twice the precision, where the sum of logarithms would cancel."""
    power = np.int64(0)
    high, rest = F.dtype.type(1.0), F.dtype.type(0.0)
    for i in range(F.shape[0]):
        factor, shift = math.frexp(F[i, i])
        product = high * factor
        rest = fused(high, factor, -product) + rest * factor
        rest += high * math.ldexp(low[i, i], -shift)
        high, more = math.frexp(product)
        rest = math.ldexp(rest, -more)
        power += shift + more
    return high, rest, power


@njit(**ROUNDED)
def accurate_slogdet(F, low, notes):
    """(sign, log |det A|) from an accurate factor."""
    n = F.shape[0]
    one = F.dtype.type(1.0)
    high, rest, power = product_of_diagonal(F, low)
    sign_of_det = -one if high < 0.0 else one
    for i in range(n):
        power -= notes[n + 1 + i] + notes[2 * n + 1 + i]
        if notes[i] != i + 1:
            sign_of_det = -sign_of_det
    return sign_of_det, F.dtype.type(log_with_power(abs(np.float64(high)), power) + rest / high)


# ---------------------------------------------------------------- conditions
@njit(**ROUNDED)
def signs_times(x):
    """x with pseudo-random signs, in place."""
    state = np.int64(12345)
    for i in range(x.size):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        if state & 0x10000:
            x[i] = -x[i]


@njit(**SUMS)
def inverse_of_correlations(A, L, w):
    """An estimate of trace(C^-1) / n for the correlations C of A = L L': how much of each variance the others explain. w is scratch.

    |L^-1 D s|² with D² the diagonal of A and random signs s has this trace as its mean (Hutchinson 1990). Scales of rows do not count.
    """
    n = L.shape[0]
    for i in range(n):
        w[i] = math.sqrt(A[i, i])
    signs_times(w)
    estimate = L.dtype.type(0.0)
    most = L.dtype.type(0.0)
    for i in range(n):
        row = L[i]
        total = w[i]
        for k in range(i):
            total -= row[k] * w[k]
        total /= row[i]
        w[i] = total
        estimate += total * total
        ratio = A[i, i] / (row[i] * row[i])
        most = max(most, ratio)
    return max(estimate / n, most)


@njit(**DENSE)
def definite_limit(n, itemsize):
    """How much of the variances may be explained before a factor is made accurately: the larger the matrix, the dearer that is."""
    return 16.0 if n <= SMALL_FACTOR else 1e3 if n <= MIDDLE_FACTOR else 1e9 if itemsize == 8 else 1e5


@njit(**DENSE)
def general_limit(n, itemsize):
    """The same for | |A^-1| |A| | of general matrices."""
    return 8.0 * n if n <= MIDDLE_FACTOR else 1e9 if itemsize == 8 else 1e5


@njit(**SUMS)
def skeel_condition(A, LU, v):
    """A lower estimate of the largest row sum of |A^-1| |A| (Skeel 1979), from the factors of lu. v is scratch."""
    n = A.shape[0]
    for i in range(n):
        row = A[i]
        total = v.dtype.type(0.0)
        for j in range(n):
            total += abs(row[j])
        v[i] = total
    signs_times(v)
    for i in range(n):
        row = LU[i]
        total = v[i]
        for k in range(i):
            total -= row[k] * v[k]
        v[i] = total / row[i]
    most = v.dtype.type(0.0)
    for step in range(n):  # the order of the solution does not matter
        i = n - 1 - step
        row = LU[i]
        total = v[i]
        for k in range(i + 1, n):
            total -= row[k] * v[k]
        v[i] = total
        if not abs(total) <= most:  # also nan
            most = abs(total)
    return most


@njit(**DENSE)
def exponent_of(x):
    """The power of two just above |x|, 0 where there is none."""
    return math.frexp(x)[1] if 0.0 < abs(x) < math.inf else 0


@njit(**DENSE)
def prepare_definite(A, F, low, notes):
    """F = R A R with its diagonal near 1, from the lower triangle of A; low = 0."""
    n = A.shape[0]
    for i in range(n):
        notes[n + 1 + i] = notes[2 * n + 1 + i] = -(exponent_of(A[i, i]) // 2)
        for j in range(i + 1):
            F[i, j] = math.ldexp(A[i, j], notes[n + 1 + i] + notes[n + 1 + j])
            F[j, i] = F[i, j]
            low[i, j] = low[j, i] = 0.0


@njit(**DENSE)
def prepare_general(A, F, low, notes):
    """F = R A C with the largest entries of rows and columns near 1; low = 0."""
    n = A.shape[0]
    for i in range(n):
        most = F.dtype.type(0.0)
        for j in range(n):
            most = max(most, abs(A[i, j]))
        notes[n + 1 + i] = -exponent_of(most)
    for j in range(n):
        most = F.dtype.type(0.0)
        for i in range(n):
            F[i, j] = math.ldexp(A[i, j], notes[n + 1 + i])
            most = max(most, abs(F[i, j]))
        notes[2 * n + 1 + j] = -exponent_of(most)
        for i in range(n):
            F[i, j] = math.ldexp(A[i, j], notes[n + 1 + i] + notes[2 * n + 1 + j])
            low[i, j] = 0.0


@njit(**DENSE)
def semidefinite_but_for_rounding(A, scratch):
    """Is A + 8 n eps diag(A) positive definite?"""
    n = A.shape[0]
    for i in range(n):
        for j in range(i + 1):
            scratch[i, j] = A[i, j]
        scratch[i, i] += 8 * n * (2.0**-52 if A.itemsize == 8 else 2.0**-23) * A[i, i]
    return cholesky(scratch, scratch) == 0


# ---------------------------------------------------------------- factors
@njit(**DENSE)
def is_accurate_enough(A, L, notes, scratch):
    """May the Cholesky factor L of A be used as it is? Notes that it was made.

    The determinant q of the correlations settles it where they are weak: the mean diagonal of their inverse is at most e / q.
    """
    n = A.shape[0]
    notes[n] = PLAIN_CHOLESKY
    limit = definite_limit(n, A.itemsize)
    determinant = L.dtype.type(1.0)
    for i in range(n):
        determinant *= L[i, i] * L[i, i] / A[i, i]
    return limit * determinant >= 2.72 or inverse_of_correlations(A, L, scratch) <= limit


@njit(**DENSE)
def factor_definite(A, F, low, notes):
    """The accurate factor of a positive definite matrix, from its lower triangle, where a Cholesky factor fails or is not good enough.

    A matrix that is definite but for the rounding of its entries is taken as it is, by elimination with pivots. The status of any other
    is the order of the leading minor that fails, and F is NaN.
    """
    n = A.shape[0]
    failed = 1
    for made in (ACCURATE_DEFINITE, ACCURATE):
        if made == ACCURATE_DEFINITE or (failed and semidefinite_but_for_rounding(A, low[:n])):
            notes[n] = made
            prepare_definite(A, F, low, notes)
            failed = accurate_lu(F, low, notes, made == ACCURATE)
    if failed:
        notes[n] = PLAIN_CHOLESKY
        return cholesky(A, F)
    return 0


@njit(**DENSE)
def factor_general(A, F, low, notes):
    """The factor of a general matrix. Positive status if it is singular. Small matrices are always factorised accurately."""
    n = A.shape[0]
    status = 0
    for attempt in range(3):
        if attempt == 1:
            notes[n] = ACCURATE
            prepare_general(A, F, low, notes)
            if accurate_lu(F, low, notes, True) == 0:
                return 0
        elif attempt == 2 or n > SMALL_FACTOR:
            notes[n] = PLAIN_LU
            status = lu(A, F, notes)
            if status == 0 and skeel_condition(A, F, low[n]) <= general_limit(n, A.itemsize):
                return 0
    return status


@njit(**DENSE)
def eliminated_solve(F, low, notes, X, transposed):
    """A X = B or A' X = B in place, from any factor but Cholesky's."""
    if notes[F.shape[0]] == PLAIN_LU:
        lu_solve(F, notes, X, transposed)
    else:
        accurate_solve(F, low, notes, X, transposed)
    return 0


@njit(**DENSE)
def eliminated_slogdet(F, low, notes):
    """(sign, log |det A|) from any factor but Cholesky's, (0, -inf) if A is singular."""
    if notes[F.shape[0]] == PLAIN_LU:
        return lu_slogdet(F, notes)
    return accurate_slogdet(F, low, notes)


@njit(**DENSE)
def eliminated_lower_factor(F, notes, L):
    """L = the Cholesky factor, zeros above. Positive status, and NaN, if there is none: the matrix is definite only but for rounding."""
    n = F.shape[0]
    if notes[n] != ACCURATE_DEFINITE:
        fill_with_nan(L)
        return n
    for j in range(n):  # R A R = L' D L'' with L' and D in F
        scale = math.sqrt(F[j, j])
        for i in range(n):
            entry = scale if i == j else F[i, j] * scale
            L[i, j] = math.ldexp(entry, -notes[n + 1 + i]) if i >= j else 0.0
    return 0
