"""Factors, inverses and solves of large matrices as tasks on a fixed grid of tiles, which threads may share.

The grid follows from the order alone and every tile is made by one task, its operations in a fixed order: the bits are the same for any
number of threads. A task waits until the tiles that it reads are made. Tasks are handed out in an order in which those come earlier, so
that whoever waits waits for somebody who works; alone, nobody waits. Products have the forms A B and A' B; those of
small tiles are pieces that OpenBLAS multiplies as they lie (up to a million multiplications), at the rate of large matrices.
"""
import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from symvi.codegen_templates.linear_algebra import (
    ANY_DIAGONAL,
    DENSE,
    PLAIN,
    RIGHT,
    TRANSPOSED,
    UPPER,
    bad_pivot,
    blas_trsm,
    copy_matrix,
    gemm,
    gemm_tn,
    lapack_potrf,
    mirror_lower,
    row_stride,
)
from symvi.codegen_templates.threads import SPINS, load_word, nap, pause, store_word

TILED = dict(DENSE, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by compiled code only
TILED_FROM = 128  # matrices of a larger order are worked on in tiles
SMALL_TILE, LARGE_TILE = 64, 256
SMALL_TILES_TO = 2048  # the largest order with small tiles
DEPTH = 3  # tiles that a product takes at a time; twice as many for half a tile
SQUARE = 8  # rows and columns that are transposed together
TILE_STATUS, FIRST_COUNTER, COUNTER_SPACING = 0, 8, 8  # words of the memory that tasks share: what different threads write stands apart


@njit(**TILED)
def tile_size(n):
    """Rows and columns of a tile of a matrix: small ones are multiplied as they lie, large ones spare memory traffic and jumps in it."""
    return SMALL_TILE if n <= SMALL_TILES_TO else LARGE_TILE


@njit(**TILED)
def tile_count(n, width):
    """How many columns of tiles some columns make beside a matrix of order n."""
    size = tile_size(n)
    return (width + size - 1) // size


@njit(**TILED)
def task_count(n):
    """Tiles on and below the diagonal."""
    tiles = tile_count(n, n)
    return tiles * (tiles + 1) // 2


def row_at(context, builder, array, kind, row, column):
    """A pointer to SQUARE numbers of a row of a matrix, from a column on."""
    view = context.make_array(kind)(context, builder, array)
    word, vector = ir.IntType(64), ir.VectorType(context.get_data_type(kind.dtype), SQUARE)
    begin = builder.add(builder.ptrtoint(view.data, word), builder.mul(row, builder.extract_value(view.strides, 0)))
    address = builder.add(begin, builder.mul(column, ir.Constant(word, kind.dtype.bitwidth // 8)))
    return builder.inttoptr(address, vector.as_pointer())


@intrinsic
def transpose_square(typing_context, source, i, j, target):
    """target[j + c, i + r] = source[i + r, j + c] for r and c below SQUARE, in registers. The numbers of a row are adjacent."""

    def emit(context, builder, signature, arguments):
        word, lanes = ir.IntType(64), range(SQUARE)
        source_array, i, j, target_array = arguments
        rows, align = [], source.dtype.bitwidth // 8
        for r in lanes:
            place = row_at(context, builder, source_array, source, builder.add(i, ir.Constant(word, r)), j)
            rows.append(builder.load(place, align=align))
        step = 1
        while step < SQUARE:  # exchanges the off-diagonal blocks of step x step in all blocks of twice the size
            low = ir.Constant(ir.VectorType(ir.IntType(32), SQUARE), [SQUARE + c - step if c & step else c for c in lanes])
            high = ir.Constant(ir.VectorType(ir.IntType(32), SQUARE), [SQUARE + c if c & step else c + step for c in lanes])
            for r in lanes:
                if not r & step:
                    first, second = rows[r], rows[r + step]
                    rows[r], rows[r + step] = builder.shuffle_vector(first, second, low), builder.shuffle_vector(first, second, high)
            step *= 2
        for c in lanes:
            place = row_at(context, builder, target_array, target, builder.add(j, ir.Constant(word, c)), i)
            builder.store(rows[c], place, align=align)
        return context.get_dummy_value()

    return types.none(source, types.int64, types.int64, target), emit


@njit(**TILED)
def transpose_into(source, target):
    """target = source', for matrices whose rows lie contiguously."""
    rows, columns = source.shape
    whole_rows, whole_columns = rows - rows % SQUARE, columns - columns % SQUARE
    for i in range(0, whole_rows, SQUARE):
        for j in range(0, whole_columns, SQUARE):
            transpose_square(source, i, j, target)
    for i in range(rows):
        for j in range(whole_columns if i < whole_rows else 0, columns):
            target[j, i] = source[i, j]


# ---------------------------------------------------------------- Cholesky factors
@njit(**TILED)
def wait_for_tiles(shared, row, count):
    """Returns when the first tiles of a row are made."""
    waited = 0
    while load_word(shared, FIRST_COUNTER + COUNTER_SPACING * row) < count:
        pause()
        waited += 1
        if waited > SPINS:  # the core of the thread that makes them is taken by somebody else
            nap(1)


@njit(**TILED)
def reset_tiles(shared, n):
    """No tile is made, nothing has failed."""
    store_word(shared, TILE_STATUS, 0)
    for row in range(tile_count(n, n)):
        store_word(shared, FIRST_COUNTER + COUNTER_SPACING * row, 0)


@njit(**TILED)
def tile_of_task(task, tiles):
    """(row, column) of a tile on or below the diagonal: column by column, but the next diagonal tile, needed by many, comes early."""
    if task == 0:
        return 0, 0
    task -= 1
    column = 0
    while task >= tiles - column:  # tiles below the diagonal and the next diagonal tile
        task -= tiles - column
        column += 1
    early = min(2, tiles - 1 - column)
    if task == early:
        return column + 1, column + 1
    return column + task + (1 if task < early else 0), column


@njit(**TILED)
def subtract_product(left, right, tile, symmetric):
    """tile -= left right; of a symmetric product on the diagonal the last columns of the first rows, above the diagonal, are left out."""
    half = tile.shape[0] // 2 if symmetric else 0
    gemm(left[:half], right[:, :half], tile[:half, :half], -1.0, 1.0)
    gemm(left[half:], right, tile[half:], -1.0, 1.0)


@njit(**TILED)
def factor_tile(tile):
    """The Cholesky factor in the lower triangle of a tile, in place. The status is the order of the leading minor that fails."""
    n = tile.shape[0]
    status = lapack_potrf((UPPER, n, tile, row_stride(tile)))
    return status if status else bad_pivot(tile)


@njit(**TILED)
def solve_tile(L, X, form):
    """L X = B (PLAIN) or L' X = B (TRANSPOSED) in place, for one tile of L."""
    blas_trsm((RIGHT, UPPER, form, ANY_DIAGONAL, X.shape[1], X.shape[0], 1.0, L, row_stride(L), X, row_stride(X)))


@njit(**TILED)
def cholesky_task(A, F, shared, task):
    """Makes one tile of the factor: F holds L on and below the diagonal and, while it is made, L' above; A gives its lower triangle.

    L'[j, i] = L[j, j]^-1 (A[i, j]' - L[j, :j] L'[:j, i]). A and F may be one array.
    """
    n = A.shape[0]
    size = tile_size(n)
    i, j = tile_of_task(task, tile_count(n, n))
    top, left = i * size, j * size
    bottom, right = min(top + size, n), min(left + size, n)
    tile = F[left:right, top:bottom]
    if i == j:
        for row in range(left, right):
            for column in range(left, row + 1):
                F[row, column] = A[row, column]
    else:
        transpose_into(A[top:bottom, left:right], tile)
    known = 0
    while known < left:
        upto = left if known == left - size else min(known + DEPTH * size, left - size)  # the last one may not be ready yet
        wait_for_tiles(shared, i, upto // size)
        wait_for_tiles(shared, j, upto // size)
        subtract_product(F[left:right, known:upto], F[known:upto, top:bottom], tile, i == j)
        known = upto
    if i == j:
        status = factor_tile(tile)
        if status != 0 and load_word(shared, TILE_STATUS) == 0:
            store_word(shared, TILE_STATUS, left + status)
    else:
        wait_for_tiles(shared, j, j + 1)
        solve_tile(F[left:right, left:right], tile, PLAIN)
        transpose_into(tile, F[top:bottom, left:right])
    store_word(shared, FIRST_COUNTER + COUNTER_SPACING * i, j + 1)


# ---------------------------------------------------------------- triangular systems and inverses
@njit(**TILED)
def solve_panel(L, X, start, form):
    """The same for all of L, a tile of rows at a time. B and X are 0 above row `start`, which begins a tile; TRANSPOSED, it is 0."""
    n = L.shape[0]
    size = tile_size(n)
    for step in range(start, n, size):
        top = step if form == PLAIN else (n - 1 - step) // size * size
        bottom = min(top + size, n)
        first, last = (start, top) if form == PLAIN else (bottom, n)
        for known in range(first, last, DEPTH * size):
            upto = min(known + DEPTH * size, last)
            if form == PLAIN:
                gemm(L[top:bottom, known:upto], X[known:upto], X[top:bottom], -1.0, 1.0)
            else:
                gemm_tn(L[known:upto, top:bottom], X[known:upto], X[top:bottom], -1.0, 1.0)
        solve_tile(L[top:bottom, top:bottom], X[top:bottom], form)


@njit(**TILED)
def solve_task(L, B, X, task, forward, backward):
    """Makes one column of tiles of X: L X = B if forward, L' X = B if backward, L L' X = B if both."""
    size = tile_size(L.shape[0])
    left = task * size
    right = min(left + size, X.shape[1])
    panel = X[:, left:right]
    copy_matrix(B[:, left:right], panel)
    if forward:
        solve_panel(L, panel, np.int64(0), PLAIN)
    if backward:
        solve_panel(L, panel, np.int64(0), TRANSPOSED)


@njit(**TILED)
def lower_inverse_task(L, M, task):
    """Makes one column of tiles of M = L^-1, zeros above the diagonal too. Longer columns come first."""
    n = L.shape[0]
    size = tile_size(n)
    left = task * size
    panel = M[:, left : min(left + size, n)]
    for i in range(n):
        for j in range(panel.shape[1]):
            panel[i, j] = 1.0 if i == left + j else 0.0
    solve_panel(L, panel, left, PLAIN)


@njit(**TILED)
def gram_task(M, out, task):
    """Makes one tile of M' M for lower triangular M, zeros above, and its mirror image. Longer sums come first."""
    n = M.shape[0]
    size = tile_size(n)
    half = size // 2
    i = 0
    while task > i:
        task -= i + 1
        i += 1
    left = task * size
    for top in range(i * size, min((i + 1) * size, n), half):
        bottom = min(top + half, n)
        right = min(left + size, bottom)
        for known in range(top, n, 2 * DEPTH * size):
            upto = min(known + 2 * DEPTH * size, n)
            gemm_tn(M[known:upto, top:bottom], M[known:upto, left:right], out[top:bottom, left:right], 1.0, 0.0 if known == top else 1.0)
        beside = min(right, top)
        if beside > left:
            transpose_into(out[top:bottom, left:beside], out[left:beside, top:bottom])
        if right > top:
            mirror_lower(out[top:bottom, top:bottom])
