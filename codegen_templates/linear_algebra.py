"""Dense linear algebra of emitted kernels: BLAS and LAPACK by symbol from SciPy, own loops where matrices are small.

Matrices are row-major: the elements of a row are adjacent, rows may be apart by any stride (a block of columns of a wider array will do for the products;
functions that factorise or solve want whole C arrays). To LAPACK, which stores columns, a row-major matrix is its transpose, and lower is upper.
float64 and float32, one kind per call. Every function returns an int64 status, 0 if all is well, unless its docstring says otherwise. A factorisation that
fails gives the positive number LAPACK gives and fills its result with NaN; nothing raises. Empty matrices are fine. Only `eigh` and `cholesky_inverse`'s
callers need care about memory: nothing here allocates except `eigh`. Symbols are registered when the module is imported, before cached code can run.
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

SMALL = 16  # matrices up to this order are factorised by the loops below
UPPER, LOWER, LEFT, RIGHT = np.int8(ord("U")), np.int8(ord("L")), np.int8(ord("L")), np.int8(ord("R"))
PLAIN, TRANSPOSED, UNIT_DIAGONAL, ANY_DIAGONAL, VECTORS = np.int8(ord("N")), np.int8(ord("T")), np.int8(ord("U")), np.int8(ord("N")), np.int8(ord("V"))


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


blas_gemm, blas_gemv, blas_syrk, blas_trsm, blas_trsv = (routine(cython_blas, name, False) for name in ("gemm", "gemv", "syrk", "trsm", "trsv"))
lapack_potrf, lapack_potri, lapack_getrf, lapack_syevd = (routine(cython_lapack, name, True) for name in ("potrf", "potri", "getrf", "syevd"))


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
        blas_gemm((PLAIN, PLAIN, C.shape[1], C.shape[0], A.shape[1], np.float64(alpha), B, row_stride(B), A, row_stride(A), np.float64(beta), C, row_stride(C)))
    return 0


@njit(**DENSE)
def gemm_nt(A, B, C, alpha, beta):
    """C = alpha A B' + beta C; C is not read if beta is 0."""
    if A.shape[1] == 0:
        scale_matrix(C, beta)
    elif C.shape[0] and C.shape[1]:
        blas_gemm((TRANSPOSED, PLAIN, C.shape[1], C.shape[0], A.shape[1], np.float64(alpha), B, row_stride(B), A, row_stride(A), np.float64(beta), C, row_stride(C)))
    return 0


@njit(**DENSE)
def gemm_tn(A, B, C, alpha, beta):
    """C = alpha A' B + beta C; C is not read if beta is 0."""
    if A.shape[0] == 0:
        scale_matrix(C, beta)
    elif C.shape[0] and C.shape[1]:
        blas_gemm((PLAIN, TRANSPOSED, C.shape[1], C.shape[0], A.shape[0], np.float64(alpha), B, row_stride(B), A, row_stride(A), np.float64(beta), C, row_stride(C)))
    return 0
