"""Whole-array operations between the functions of a kernel: factors, solves, draws. Compiled once per machine, not per model.

Each is a C function `f(n0, n1, d)`; `d` describes the operation: [itemsize, batch, n, k, flag, address, address, ...].
Large matrices are worked on in tiles, which the threads of a pool share. The operations are written once and compiled for the precision
that a kernel asks for: there `reals` stands for reals64 or reals32.
"""
import ctypes
from types import FunctionType

from llvmlite import ir
from numba import cfunc, njit
from numba.core import types
from numba.extending import intrinsic

from symvi.codegen_templates.accurate_factors import (
    PANEL,
    PLAIN_CHOLESKY,
    eliminated_lower_factor,
    eliminated_slogdet,
    eliminated_solve,
    factor_definite,
    factor_general,
    is_accurate_enough,
)
from symvi.codegen_templates.linear_algebra import (
    bad_pivot,
    cholesky,
    cholesky_inverse,
    cholesky_logdet,
    cholesky_solve,
    copy_lower,
    copy_matrix,
    set_identity,
    solve_lower,
    solve_lower_transposed,
)
from symvi.codegen_templates.random_numbers import draw_exponential, draw_normal, draw_rademacher, draw_uniform
from symvi.codegen_templates.scalar_math import exp
from symvi.codegen_templates.tables import KERNEL, booleans, integers, integers32, reals32, reals64
from symvi.codegen_templates.threads import load_word, share
from symvi.codegen_templates.tiled_factors import (
    TILE_STATUS,
    TILED_FROM,
    cholesky_task,
    gram_task,
    lower_inverse_task,
    reset_tiles,
    solve_task,
    task_count,
    tile_count,
)

OPERATOR = dict(error_model="numpy", nogil=True)
OPERATOR_FUNCTION = dict(error_model="numpy", cache=True)
ITEMSIZE, BATCH, ORDER, COLUMNS, FLAG, FIRST, SECOND, THIRD, FOURTH, FIFTH = range(10)
ELIMINATION = 11  # the slot with the address of the operation `elimination`, of operations on factors
FACTOR_DEFINITE, FACTOR_GENERAL, FACTORED_INVERSE, FACTORED_SOLVE, FACTORED_LOGDET, LOWER_FACTOR = range(6)  # its tasks
# Slots of operations that may work in tiles: the address of the pool (0: alone), that of `tiles` (0: the matrices are too small), and what
# it finds in them: the job, the number of the matrix.
POOL, TILES, JOB, MATRIX = 12, 13, 14, 15
OPERATOR_WORDS = 16
(TILED_CHOLESKY, TILED_FACTOR_INVERSE, TILED_GRAM, TILED_LOWER_INVERSE, TILED_SOLVE, TILED_SOLVE_LOWER,
 TILED_SOLVE_TRANSPOSED) = range(7)  # jobs
TILED_OPERATORS = ("cholesky", "factored_inverse", "factored_solve", "solve_lower", "solve_lower_transposed", "lower_inverse")
TILED_COLUMNS = 16  # a solve with fewer right sides is not worth tiles
reals = reals64


@njit(**OPERATOR)
def matrices(d):
    """The shape of a stack of square matrices."""
    return d[BATCH], d[ORDER], d[ORDER]


@njit(**OPERATOR)
def extended(d):
    """The shape of the low parts of their factors."""
    return d[BATCH], d[ORDER] + 2 * PANEL, d[ORDER]


@njit(**OPERATOR)
def noted(d):
    """The shape of the notes on their factors."""
    return d[BATCH], 3 * d[ORDER] + 1


@intrinsic
def eliminate(typing_context, description, matrix, task):
    """Calls the operation `elimination`, whose address stands in the description."""
    signature = types.int64(description, types.int64, types.int64)

    def emit(context, builder, signature, arguments):
        word = ir.IntType(64)
        address = builder.load(builder.gep(arguments[0], [word(ELIMINATION)]))
        function = builder.inttoptr(address, ir.FunctionType(word, [word, word, word.as_pointer()]).as_pointer())
        return builder.call(function, [arguments[1], arguments[2], arguments[0]])

    return signature, emit


def operator_elimination(b, task, d):
    """What the operations on factors do where there is no Cholesky factor, for matrix b of the stack; the description is theirs."""
    making = task == FACTOR_DEFINITE or task == FACTOR_GENERAL
    F = reals(d, SECOND if making else FIRST, matrices(d))[b]
    low = reals(d, THIRD if making else SECOND, extended(d))[b]
    notes = integers32(d, FOURTH if making else THIRD, noted(d))[b]
    if making:
        A = reals(d, FIRST, matrices(d))[b]
        return factor_definite(A, F, low, notes) if task == FACTOR_DEFINITE else factor_general(A, F, low, notes)
    if task == FACTORED_LOGDET:
        out = reals(d, FOURTH, (d[BATCH],))
        sign, logabsdet = eliminated_slogdet(F, low, notes)
        out[b] = logabsdet if d[FLAG] == 0 else sign if d[FLAG] == 2 else sign * exp(logabsdet)
        return 0
    if task == LOWER_FACTOR:
        return eliminated_lower_factor(F, notes, reals(d, FOURTH, matrices(d))[b])
    X = reals(d, FIFTH if task == FACTORED_SOLVE else FOURTH, (d[BATCH], d[ORDER], d[COLUMNS] if task == FACTORED_SOLVE else d[ORDER]))[b]
    if task == FACTORED_SOLVE:
        copy_matrix(reals(d, FOURTH, (d[BATCH], d[ORDER], d[COLUMNS]))[b], X)
    else:
        set_identity(X)
    return eliminated_solve(F, low, notes, X, task == FACTORED_SOLVE and d[FLAG] != 0)


@intrinsic
def own_address(typing_context, description):
    """The address of a description."""

    def emit(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], ir.IntType(64))

    return types.int64(description), emit


@njit(**OPERATOR)
def share_tiles(d, b, job, tasks):
    """Does a job on matrix b of the stack, its tasks shared by the threads of the pool."""
    d[JOB], d[MATRIX] = job, b
    share(d[POOL], d[TILES], tasks, own_address(d))


@njit(**OPERATOR)
def counters_of_tiles(d, b):
    """The address of the words that tasks share while they make a factor: in the scratch below its low part."""
    n = d[ORDER]
    address = d[THIRD] + d[ITEMSIZE] * n * (b * (n + 2 * PANEL) + n)
    return (address + 7) // 8 * 8


@njit(**OPERATOR)
def solved_in_tiles(d, L):
    """Is a solve with this triangle worth tiles, and possible?"""
    return d[TILES] != 0 and d[COLUMNS] >= TILED_COLUMNS and bad_pivot(L) == 0


def operator_tiles(task, unused, d):
    """One task of a job on large matrices; d describes the operation whose job it is."""
    job, b, n = d[JOB], d[MATRIX], d[ORDER]
    if job == TILED_CHOLESKY:
        cholesky_task(reals(d, FIRST, matrices(d))[b], reals(d, SECOND, matrices(d))[b], counters_of_tiles(d, b), task)
    elif job == TILED_LOWER_INVERSE or job == TILED_FACTOR_INVERSE:
        out = reals(d, SECOND, matrices(d) if job == TILED_LOWER_INVERSE else extended(d))
        lower_inverse_task(reals(d, FIRST, matrices(d))[b], out[b, :n], task)
    elif job == TILED_GRAM:
        gram_task(reals(d, SECOND, extended(d))[b, :n], reals(d, FOURTH, matrices(d))[b], task)
    else:
        right = (d[BATCH], n, d[COLUMNS])
        B = reals(d, FOURTH if job == TILED_SOLVE else SECOND, right)[b]
        X = reals(d, FIFTH if job == TILED_SOLVE else THIRD, right)[b]
        solve_task(reals(d, FIRST, matrices(d))[b], B, X, task, job != TILED_SOLVE_TRANSPOSED, job != TILED_SOLVE_LOWER)
    return 0


def operator_cholesky(n0, n1, d):
    """The factor of positive definite matrices: A, the factor, its low part, its notes."""
    A, F = reals(d, FIRST, matrices(d)), reals(d, SECOND, matrices(d))
    low, notes = reals(d, THIRD, extended(d)), integers32(d, FOURTH, noted(d))
    for b in range(d[BATCH]):
        if d[TILES] != 0:
            shared = counters_of_tiles(d, b)
            reset_tiles(shared, d[ORDER])
            share_tiles(d, b, TILED_CHOLESKY, task_count(d[ORDER]))
            failed = load_word(shared, TILE_STATUS)
        else:
            failed = cholesky(A[b], F[b])
        if failed or not is_accurate_enough(A[b], F[b], notes[b], low[b, d[ORDER]]):
            status = eliminate(d, b, FACTOR_DEFINITE)
            if status != 0:
                return status
    return 0


def operator_lu(n0, n1, d):
    """The factor of general matrices, as above. A singular one is a status, except where only determinants are asked for (flag)."""
    for b in range(d[BATCH]):
        status = eliminate(d, b, FACTOR_GENERAL)
        if status != 0 and d[FLAG] == 0:
            return status
    return 0


def operator_factored_inverse(n0, n1, d):
    """A^-1; the factor, its low part, its notes, the result."""
    F, notes, out = reals(d, FIRST, matrices(d)), integers32(d, THIRD, noted(d)), reals(d, FOURTH, matrices(d))
    for b in range(d[BATCH]):
        if notes[b, d[ORDER]] != PLAIN_CHOLESKY:
            status = eliminate(d, b, FACTORED_INVERSE)
        elif d[TILES] != 0 and bad_pivot(F[b]) == 0:
            status = 0
            share_tiles(d, b, TILED_FACTOR_INVERSE, tile_count(d[ORDER], d[ORDER]))
            share_tiles(d, b, TILED_GRAM, task_count(d[ORDER]))
        else:
            status = cholesky_inverse(F[b], out[b])
        if status != 0:
            return status
    return 0


def operator_factored_solve(n0, n1, d):
    """A X = B, or A' X = B with the flag; the factor, its low part, its notes, B, X."""
    F, notes = reals(d, FIRST, matrices(d)), integers32(d, THIRD, noted(d))
    right = (d[BATCH], d[ORDER], d[COLUMNS])
    B, X = reals(d, FOURTH, right), reals(d, FIFTH, right)
    for b in range(d[BATCH]):
        if notes[b, d[ORDER]] != PLAIN_CHOLESKY:
            status = eliminate(d, b, FACTORED_SOLVE)
        elif solved_in_tiles(d, F[b]):
            status = 0
            share_tiles(d, b, TILED_SOLVE, tile_count(d[ORDER], d[COLUMNS]))
        else:
            status = cholesky_solve(F[b], B[b], X[b])
        if status != 0:
            return status
    return 0


def operator_factored_logdet(n0, n1, d):
    """log |det A|, with the flag 1 det A, with 2 its sign; the factor, its low part, its notes, the result."""
    F, notes, out = reals(d, FIRST, matrices(d)), integers32(d, THIRD, noted(d)), reals(d, FOURTH, (d[BATCH],))
    for b in range(d[BATCH]):
        if notes[b, d[ORDER]] != PLAIN_CHOLESKY:
            eliminate(d, b, FACTORED_LOGDET)
        else:
            logdet = cholesky_logdet(F[b])
            out[b] = logdet if d[FLAG] == 0 else 1.0 if d[FLAG] == 2 else exp(logdet)
    return 0


def operator_lower_factor(n0, n1, d):
    """The Cholesky factor as a lower triangular matrix; the factor, its low part, its notes, the result."""
    F, notes, out = reals(d, FIRST, matrices(d)), integers32(d, THIRD, noted(d)), reals(d, FOURTH, matrices(d))
    for b in range(d[BATCH]):
        if notes[b, d[ORDER]] == PLAIN_CHOLESKY:
            copy_lower(F[b], out[b])
        else:
            status = eliminate(d, b, LOWER_FACTOR)
            if status != 0:
                return status
    return 0


def operator_solve_lower(n0, n1, d):
    """L X = B; L, B, X."""
    right = (d[BATCH], d[ORDER], d[COLUMNS])
    L, B, X = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), reals(d, SECOND, right), reals(d, THIRD, right)
    for b in range(d[BATCH]):
        if solved_in_tiles(d, L[b]):
            status = 0
            share_tiles(d, b, TILED_SOLVE_LOWER, tile_count(d[ORDER], d[COLUMNS]))
        else:
            status = solve_lower(L[b], B[b], X[b])
        if status != 0:
            return status
    return 0


def operator_solve_lower_transposed(n0, n1, d):
    """L' X = B; L, B, X."""
    right = (d[BATCH], d[ORDER], d[COLUMNS])
    L, B, X = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), reals(d, SECOND, right), reals(d, THIRD, right)
    for b in range(d[BATCH]):
        if solved_in_tiles(d, L[b]):
            status = 0
            share_tiles(d, b, TILED_SOLVE_TRANSPOSED, tile_count(d[ORDER], d[COLUMNS]))
        else:
            status = solve_lower_transposed(L[b], B[b], X[b])
        if status != 0:
            return status
    return 0


def operator_lower_inverse(n0, n1, d):
    """L^-1 for lower triangular L; L, the result."""
    shape = (d[BATCH], d[ORDER], d[ORDER])
    L, out = reals(d, FIRST, shape), reals(d, SECOND, shape)
    for b in range(d[BATCH]):
        if d[TILES] != 0 and bad_pivot(L[b]) == 0:
            status = 0
            share_tiles(d, b, TILED_LOWER_INVERSE, tile_count(d[ORDER], d[ORDER]))
        else:
            set_identity(out[b])
            status = solve_lower(L[b], out[b], out[b])
        if status != 0:
            return status
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


@njit(**OPERATOR)
def fill_block_rows(block, target, offset):
    """The rows of a block diagonal matrix that hold one block: zeros beside it."""
    for i in range(block.shape[0]):
        row = target[offset + i]
        for j in range(row.shape[0]):
            row[j] = 0.0
        for j in range(block.shape[1]):
            row[offset + j] = block[i, j]


def operator_block_diagonal(n0, n1, d):
    """One block of matrices of order `columns`, from row and column `flag` on; the block, the whole."""
    blocks, whole = reals(d, FIRST, (d[BATCH], d[ORDER], d[ORDER])), reals(d, SECOND, (d[BATCH], d[COLUMNS], d[COLUMNS]))
    for b in range(d[BATCH]):
        fill_block_rows(blocks[b], whole[b], d[FLAG])
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
    "cholesky": operator_cholesky, "lu": operator_lu, "elimination": operator_elimination, "tiles": operator_tiles,
    "factored_inverse": operator_factored_inverse, "factored_solve": operator_factored_solve,
    "factored_logdet": operator_factored_logdet, "lower_factor": operator_lower_factor,
    "solve_lower": operator_solve_lower, "solve_lower_transposed": operator_solve_lower_transposed,
    "lower_inverse": operator_lower_inverse, "block_diagonal": operator_block_diagonal,
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


def works_in_tiles(name, order):
    """Does an operation on matrices of this order need the address of `tiles`?"""
    return name in TILED_OPERATORS and order > TILED_FROM


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
FIRST_CALLS = {}


def late_address(name, itemsize=8):
    """The address of an operation that is rarely needed: what stands there compiles it at its first call. A failure there is status 1."""
    if (name, itemsize) in COMPILED_OPERATORS:
        return operator_address(name, itemsize)
    if (name, itemsize) not in FIRST_CALLS:

        def first_call(n0, n1, d):
            try:
                return CALLBACK(operator_address(name, itemsize))(n0, n1, d)
            except Exception:
                return 1

        FIRST_CALLS[name, itemsize] = CALLBACK(first_call)
    return ctypes.cast(FIRST_CALLS[name, itemsize], ctypes.c_void_p).value
