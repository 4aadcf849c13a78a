"""Dense linear algebra of emitted kernels: BLAS and LAPACK by symbol from SciPy, own loops where matrices are small.

Matrices are row-major: the elements of a row are adjacent, rows may be apart by any stride (a block of columns of a wider array will do for
the products; functions that factorise or solve want whole C arrays). To LAPACK, which stores columns, a row-major matrix is its transpose,
and lower is upper. float64 and float32, one kind per call. Every function returns an int64 status, 0 if all is well, unless its docstring
says otherwise. A factorisation that fails gives a positive number, LAPACK's `info` where there is one, and the results become NaN; nothing
raises. Empty matrices are fine. Nothing allocates except `eigh`. Symbols are registered at import, before cached code can run.
"""
import ctypes
import math

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic
from scipy.linalg import cython_blas, cython_lapack

DENSE = dict(error_model="numpy", nogil=True, fastmath={"contract"})
SUMS = dict(error_model="numpy", nogil=True, fastmath={"reassoc", "nsz", "contract"})

LOG_2, LOG_2_REST = 0.693147180369123816490, 1.90821492927058770002e-10  # the first has bits to spare: times an exponent it is exact
SMALL = 16  # matrices up to this order are factorised by the loops below
UPPER, LOWER, RIGHT, PLAIN, TRANSPOSED, VECTORS = (np.int8(ord(letter)) for letter in "ULRNTV")
UNIT_DIAGONAL, ANY_DIAGONAL = np.int8(ord("U")), np.int8(ord("N"))


# ---------------------------------------------------------------- routines by symbol
def register_routine(module, name):
    """Makes a routine of scipy.linalg.cython_blas or cython_lapack known to the JIT as symvi_<name>."""
    capsule = module.__pyx_capi__[name]
    get_name, get_pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    llvm.add_symbol("symvi_" + name, get_pointer(capsule, get_name(capsule)))


def routine(module, name, gives_info):
    """An intrinsic of one tuple, the arguments of a BLAS or LAPACK routine: numbers go by reference (int64 as int32), arrays as addresses.

    The first array decides between the float32 and the float64 routine. `info` is added for LAPACK and returned; BLAS returns 0.
    """
    for prefix in "sd":
        register_routine(module, prefix + name)

    @intrinsic
    def call(typing_context, arguments):
        kinds = [kind.dtype for kind in arguments if isinstance(kind, types.Array) and kind.dtype is not types.int32]
        if not kinds or kinds[0] not in (types.float32, types.float64) or any(kind is not kinds[0] for kind in kinds):
            raise TypingError(f"{name} wants arrays of one floating type, not {kinds}")
        symbol = "symvi_" + ("s" if kinds[0] is types.float32 else "d") + name

        def emit(context, builder, signature, values):
            integer = ir.IntType(32)

            def by_reference(value):
                place = cgutils.alloca_once(builder, value.type)
                builder.store(value, place)
                return place

            addresses = []
            for position, kind in enumerate(arguments):
                value = builder.extract_value(values[0], position)
                if isinstance(kind, types.Array):
                    addresses.append(context.make_array(kind)(context, builder, value).data)
                elif kind is types.int8:
                    addresses.append(by_reference(value))
                elif isinstance(kind, types.Integer):
                    addresses.append(by_reference(context.cast(builder, value, kind, types.int32)))
                else:
                    addresses.append(by_reference(context.cast(builder, value, kind, kinds[0])))
            info = cgutils.alloca_once_value(builder, integer(0))
            builder.store(integer(0), info)
            if gives_info:
                addresses.append(info)
            function_type = ir.FunctionType(ir.VoidType(), [address.type for address in addresses])
            function = cgutils.get_or_insert_function(builder.module, function_type, symbol)
            if function.function_type != function_type:
                function = builder.bitcast(function, function_type.as_pointer())
            builder.call(function, addresses)
            return builder.sext(builder.load(info), ir.IntType(64))

        return types.int64(arguments), emit

    return call


blas_gemm, blas_syrk, blas_trsm, blas_trsv = (routine(cython_blas, name, False) for name in ("gemm", "syrk", "trsm", "trsv"))
lapack_potrf, lapack_potri, lapack_getrf, lapack_syevd = (
    routine(cython_lapack, name, True) for name in ("potrf", "potri", "getrf", "syevd"))


@njit(**DENSE)
def row_stride(A):
    """Elements from one row of a matrix to the next, as BLAS wants it: at least the number of columns and 1."""
    return max(A.strides[0] // A.itemsize, A.shape[1], 1)


@njit(**DENSE)
def copy_matrix(A, out):
    """out = A; they may be one array."""
    for i in range(A.shape[0]):
        source = A[i]
        target = out[i]
        for j in range(target.size):
            target[j] = source[j]


@njit(**DENSE)
def copy_lower(A, out):
    """out = the lower triangle of A, zeros above."""
    for i in range(A.shape[0]):
        source, target = A[i], out[i]
        for j in range(i + 1):
            target[j] = source[j]
        for j in range(i + 1, target.size):
            target[j] = 0.0


@njit(**DENSE)
def copy_or_fill(B, X, good):
    """X = B for vectors or matrices if `good`, else NaN."""
    if B.ndim == 1:
        for i in range(X.size):
            X[i] = B[i] if good else math.nan
    elif good:
        copy_matrix(B, X)
    else:
        fill_with_nan(X)


@njit(**DENSE)
def set_identity(A):
    """A = I."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] = 1.0 if i == j else 0.0


@njit(**DENSE)
def fill_with_nan(A):
    """Every element of a matrix becomes NaN."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] = math.nan


@njit(**DENSE)
def mirror_lower(A):
    """The upper triangle becomes the transpose of the lower one."""
    for i in range(A.shape[0]):
        row = A[i]
        for j in range(i):
            A[j, i] = row[j]


@njit(**DENSE)
def bad_pivot(L):
    """0 if every diagonal element is finite and not 0, else 1 + the index of the first that is not."""
    for i in range(L.shape[0]):
        if not 0.0 < abs(L[i, i]) < math.inf:
            return i + 1
    return 0


# ---------------------------------------------------------------- products
@njit(**DENSE)
def scale_matrix(C, beta):
    """C *= beta, 0 where beta is 0."""
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[i, j] = C.dtype.type(0.0) if beta == 0.0 else C[i, j] * C.dtype.type(beta)


@njit(**DENSE)
def gemm(A, B, C, alpha, beta):
    """C = alpha A B + beta C; C is not read if beta is 0."""
    if A.shape[1] == 0:
        scale_matrix(C, beta)
    elif C.shape[0] and C.shape[1]:
        blas_gemm((PLAIN, PLAIN, C.shape[1], C.shape[0], A.shape[1], np.float64(alpha), B, row_stride(B),
                   A, row_stride(A), np.float64(beta), C, row_stride(C)))
    return 0


@njit(**DENSE)
def gemm_nt(A, B, C, alpha, beta):
    """C = alpha A B' + beta C; C is not read if beta is 0."""
    if A.shape[1] == 0:
        scale_matrix(C, beta)
    elif C.shape[0] and C.shape[1]:
        blas_gemm((TRANSPOSED, PLAIN, C.shape[1], C.shape[0], A.shape[1], np.float64(alpha), B, row_stride(B),
                   A, row_stride(A), np.float64(beta), C, row_stride(C)))
    return 0


@njit(**DENSE)
def gemm_tn(A, B, C, alpha, beta):
    """C = alpha A' B + beta C; C is not read if beta is 0."""
    if A.shape[0] == 0:
        scale_matrix(C, beta)
    elif C.shape[0] and C.shape[1]:
        blas_gemm((PLAIN, TRANSPOSED, C.shape[1], C.shape[0], A.shape[0], np.float64(alpha), B, row_stride(B),
                   A, row_stride(A), np.float64(beta), C, row_stride(C)))
    return 0


@njit(**SUMS)
def gemv(A, x, y):
    """y = A x, rows in dot form, four at a time (faster here than BLAS, and the same bits on any number of threads)."""
    rows, columns = A.shape
    zero = y.dtype.type(0.0)
    whole = rows & ~3
    for i in range(0, whole, 4):
        a, b, c, d = A[i], A[i + 1], A[i + 2], A[i + 3]
        s = t = u = v = zero
        for j in range(columns):
            s += a[j] * x[j]
            t += b[j] * x[j]
            u += c[j] * x[j]
            v += d[j] * x[j]
        y[i], y[i + 1], y[i + 2], y[i + 3] = s, t, u, v
    for i in range(whole, rows):
        a = A[i]
        s = zero
        for j in range(columns):
            s += a[j] * x[j]
        y[i] = s
    return 0


@njit(**SUMS)
def gemv_t(A, x, y):
    """y += A' x, four rows at a time."""
    rows, columns = A.shape
    whole = rows & ~3
    for i in range(0, whole, 4):
        a, b, c, d = A[i], A[i + 1], A[i + 2], A[i + 3]
        s, t, u, v = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(columns):
            y[j] += (a[j] * s + b[j] * t) + (c[j] * u + d[j] * v)
    for i in range(whole, rows):
        a = A[i]
        s = x[i]
        for j in range(columns):
            y[j] += a[j] * s
    return 0


@njit(**DENSE)
def syrk(A, C):
    """C = A A', both triangles."""
    if A.shape[1] == 0:
        scale_matrix(C, 0.0)
    elif C.shape[0]:
        blas_syrk((UPPER, TRANSPOSED, C.shape[0], A.shape[1], 1.0, A, row_stride(A), 0.0, C, row_stride(C)))
        mirror_lower(C)
    return 0


@njit(**DENSE)
def syrk_t(A, C):
    """C += A' A, both triangles; C symmetric before."""
    if A.shape[0] and C.shape[0]:
        blas_syrk((UPPER, PLAIN, C.shape[0], A.shape[0], 1.0, A, row_stride(A), 1.0, C, row_stride(C)))
        mirror_lower(C)
    return 0


# ---------------------------------------------------------------- triangular matrices
@njit(**DENSE)
def as_columns(X):
    """A vector as a matrix of one column; a matrix as it is."""
    if X.ndim == 1:
        return X.reshape((X.size, 1))
    else:
        return X


@njit(**DENSE)
def substitute(T, X, lower, transposed):
    """Small triangular solve in place, row operations on X: T X = B or T' X = B with T the lower or upper triangle."""
    n = T.shape[0]
    forward = lower != transposed
    for step in range(n):
        i = step if forward else n - 1 - step
        row = X[i]
        for other in range(step):
            j = other if forward else n - 1 - other
            factor = T[j if transposed else i, i if transposed else j]
            known = X[j]
            for c in range(row.size):
                row[c] -= factor * known[c]
        pivot = T[i, i]
        for c in range(row.size):
            row[c] /= pivot


@njit(**DENSE)
def solve_triangle(T, X, lower, transposed):
    """T X = B or T' X = B in place; X a matrix. To BLAS the stored triangle is the other one and X is transposed."""
    n, columns = X.shape
    if n == 0 or columns == 0:
        return
    triangle = UPPER if lower else LOWER
    if n <= SMALL:
        substitute(T, X, lower, transposed)
    elif columns == 1:
        blas_trsv((triangle, PLAIN if transposed else TRANSPOSED, ANY_DIAGONAL, n, T, row_stride(T), X, row_stride(X)))
    else:
        form = TRANSPOSED if transposed else PLAIN
        blas_trsm((RIGHT, triangle, form, ANY_DIAGONAL, columns, n, 1.0, T, row_stride(T), X, row_stride(X)))


@njit(**DENSE)
def solve_lower(L, B, X):
    """L X = B with L lower triangular; B and X matrices or vectors, perhaps one array."""
    status = bad_pivot(L)
    copy_or_fill(B, X, status == 0)
    if status == 0:
        solve_triangle(L, as_columns(X), True, False)
    return status


@njit(**DENSE)
def solve_lower_transposed(L, B, X):
    """L' X = B with L lower triangular; B and X matrices or vectors, perhaps one array."""
    status = bad_pivot(L)
    copy_or_fill(B, X, status == 0)
    if status == 0:
        solve_triangle(L, as_columns(X), True, True)
    return status


# ---------------------------------------------------------------- Cholesky factors
@njit(**DENSE)
def cholesky(A, L):
    """L L' = A, L lower with zeros above, from the lower triangle of A; A and L may be one array.

    Not positive definite: the status is the order of the first leading minor that fails, and L is NaN.
    """
    n = A.shape[0]
    copy_lower(A, L)
    status = 0
    if n <= SMALL:
        for i in range(n):
            row = L[i]
            for j in range(i):
                other = L[j]
                total = row[j]
                for k in range(j):
                    total -= row[k] * other[k]
                row[j] = total / other[j]
            total = row[i]
            for k in range(i):
                total -= row[k] * row[k]
            if not 0.0 < total < math.inf:
                status = i + 1
                break
            row[i] = math.sqrt(total)
    else:
        status = lapack_potrf((UPPER, n, L, n))
        if status == 0:
            status = bad_pivot(L)
    if status:
        fill_with_nan(L)
    return status


@njit(**DENSE)
def cholesky_solve(L, B, X):
    """L L' X = B; B and X matrices or vectors, perhaps one array."""
    status = bad_pivot(L)
    copy_or_fill(B, X, status == 0)
    if status == 0:
        columns = as_columns(X)
        for transposed in (False, True):
            solve_triangle(L, columns, True, transposed)
    return status


@njit(**DENSE)
def cholesky_inverse(L, out):
    """out = (L L')^-1, both triangles; L and out may be one array."""
    n = L.shape[0]
    status = bad_pivot(L)
    if status:
        fill_with_nan(out)
        return status
    copy_matrix(L, out)
    if n <= SMALL:
        for j in range(n):  # the inverse factor, column by column: M[i, j] = -sum_k L[i, k] M[k, j] / L[i, i]
            out[j, j] = 1.0 / out[j, j]
        for i in range(n):
            for j in range(i):
                total = out[i, j] * out[j, j]
                for k in range(j + 1, i):
                    total += out[i, k] * out[k, j]
                out[i, j] = total  # still to be multiplied by -1 / L[i, i], when nothing reads row i of L any more
            for j in range(i):
                out[i, j] *= -out[i, i]
        for i in range(n):  # M' M, columns from the left: column i of the product needs columns >= i of M, rows >= j
            for j in range(i, n):
                total = out[j, i] * out[j, j]
                for k in range(j + 1, n):
                    total += out[k, i] * out[k, j]
                out[j, i] = total
    elif n:
        status = lapack_potri((UPPER, n, out, n))
    mirror_lower(out)
    return status


@njit(**DENSE)
def log_with_power(x, power):
    """log(x 2^power) as a number, x near 1."""
    return power * LOG_2 + (power * LOG_2_REST + math.log(x))


@njit(**DENSE)
def cholesky_logdet(L):
    """log det L L' = 2 log(L[0, 0] L[1, 1] ...), as a number: the product with its exponent apart, as large logarithms would cancel."""
    power = np.int64(0)
    product = L.dtype.type(1.0)
    for i in range(L.shape[0]):
        product, shift = math.frexp(product * L[i, i])
        power += shift
    return L.dtype.type(2.0 * log_with_power(np.float64(product), power))


# ---------------------------------------------------------------- general matrices
@njit(**DENSE)
def lu(A, LU, pivots):
    """A = lower(LU) unit_upper(LU) P' with int32 pivots: what getrf makes of A', for the functions below. Positive status if singular."""
    n = A.shape[0]
    copy_matrix(A, LU)
    if n == 0:
        return 0
    status = lapack_getrf((n, n, LU, n, pivots))
    return status if status else bad_pivot(LU)


@njit(**DENSE)
def swap_rows(X, pivots, backwards):
    """The row interchanges of LAPACK pivots (counted from 1), first to last or last to first."""
    n = X.shape[0]
    for step in range(n):
        i = n - 1 - step if backwards else step
        p = np.int64(pivots[i]) - 1
        if p != i:
            for c in range(X.shape[1]):
                X[i, c], X[p, c] = X[p, c], X[i, c]


@njit(**DENSE)
def lu_solve(LU, pivots, X, transposed):
    """A X = B or A' X = B in place, X a matrix, from the factors of lu (whose last pivots may be followed by other numbers)."""
    n, columns = X.shape
    if n == 0 or columns == 0:
        return
    form = TRANSPOSED if transposed == (columns > 1) else PLAIN
    if transposed:
        swap_rows(X, pivots, False)
    for step in range(2):
        lower = (step == 0) != transposed  # the unit upper triangle comes first if transposed
        triangle, diagonal = (UPPER, ANY_DIAGONAL) if lower else (LOWER, UNIT_DIAGONAL)  # to BLAS the stored triangle is the other one
        if columns == 1:
            blas_trsv((triangle, form, diagonal, n, LU, n, X, 1))
        else:
            blas_trsm((RIGHT, triangle, form, diagonal, columns, n, 1.0, LU, n, X, columns))
    if not transposed:
        swap_rows(X, pivots, True)


@njit(**DENSE)
def lu_slogdet(LU, pivots):
    """(sign, log |det A|) from the factors of lu, (0, -inf) if A is singular."""
    one = LU.dtype.type(1.0)
    sign_of_det = one
    total = LU.dtype.type(0.0)
    for i in range(LU.shape[0]):
        pivot = LU[i, i]
        if pivots[i] != i + 1:
            sign_of_det = -sign_of_det
        if pivot == 0.0:
            return one - one, LU.dtype.type(-math.inf)
        if pivot < 0.0:
            sign_of_det = -sign_of_det
        total += math.log(abs(pivot))
    return sign_of_det, total


@njit(**DENSE)
def eigh(A, w, V):
    """A = V diag(w) V', w ascending, from the lower triangle of a symmetric A; allocates its workspace. A and V may be one array."""
    n = A.shape[0]
    copy_matrix(A, V)
    status = 0
    for i in range(n):
        for j in range(i + 1):
            if not abs(V[i, j]) < math.inf:
                status = i + 1
    if n and status == 0:
        work = np.empty(1 + 6 * n + 2 * n * n, A.dtype)
        integers = np.empty(3 + 5 * n, np.int32)
        status = lapack_syevd((VECTORS, UPPER, n, V, n, w, work, work.size, integers, integers.size))
    if status:
        fill_with_nan(V)
        for i in range(n):
            w[i] = math.nan
        return status
    for i in range(n):  # LAPACK leaves one eigenvector in each row
        for j in range(i):
            V[i, j], V[j, i] = V[j, i], V[i, j]
    return status
