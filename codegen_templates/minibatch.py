"""Minibatches: rows of a keyed permutation are copied into batch buffers, and what was updated there is copied back.

A kernel reads only batch buffers, contiguous in C order, so it runs as on full data; the number of rows of a plate is an int64 behind
an address. Three int64 matrices, built in Python once, say what to do; they hold addresses, and the memory there must outlive the call:

    plates   a row per batched dim, parents first: see PLATE_... below. A dim is either sampled (PLATE_PARENT = -1: exactly B distinct
             rows of a permutation of each epoch) or taken with its parent: the rows that belong to the chosen elements of the parent,
             from a table (offsets, order); the position of a row's parent in the batch goes to the buffer of the index array.
    copies   a row per array that carries a batched dim, shape (outer, N, rest) in bytes: see COPY_... below.
    extents  rows (plate, address, factor): the int64 at the address becomes factor times the number of rows of the plate.

Before an update the scattered buffers and their row numbers can be kept, and later be put back: that undoes the last scatter exactly.
"""
import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from symvi.codegen_templates.operators import OPERATORS
from symvi.codegen_templates.random_numbers import fill_batch
from symvi.codegen_templates.support import bool_at, int64_at
from symvi.codegen_templates.threads import share

BATCHES = dict(error_model="numpy", nogil=True)

PLATE_SIZE = 0  # N, all rows
PLATE_BATCH = 1  # B, rows of a step; 0 if taken with the parent
PLATE_PARENT = 2  # the row of `plates` of the parent, or -1
PLATE_ROWS = 3  # address of int64[capacity]: the global rows of this step
PLATE_COUNT = 4  # how many there are, written here
PLATE_OFFSETS = 5  # address of int64[N of the parent + 1]
PLATE_ORDER = 6  # address of int64[N]: rows sorted by parent
PLATE_POSITIONS = 7  # address of int64[capacity], 0 if nobody reads it
PLATE_SALT = 8  # added to the seed: plates of one size need different permutations
PLATE_KEPT_ROWS = 9  # address of int64[capacity]: the rows of the kept step
PLATE_KEPT_COUNT = 10
PLATE_FIELDS = 11

COPY_ARRAY = 0  # address of the full array
COPY_BUFFER = 1  # address of the batch buffer, compact: (outer, rows of the step, rest)
COPY_OUTER = 2  # product of the extents before the batched axis ...
COPY_OUTER_PLATE = 3  # ... times the rows of this plate (an axis batched by an earlier copy), -1 for none
COPY_STRIDE = 4  # bytes from one outer index to the next in the full array: N times COPY_ROW
COPY_ROW = 5  # bytes of a row
COPY_PLATE = 6
COPY_SCATTER = 7  # 1 if the buffer is copied back after the update
COPY_KEPT = 8  # address of a second buffer for undoing, 0 for none
COPY_GATHER = 9  # address of what helps to gather a large buffer in parts, GATHER_... below; 0 for a small one
COPY_FIELDS = 10

# Gathering in parts: the address of `operator_gather_part`, of this copy, of `plates` (how many rows), how many parts, the pool of threads.
GATHER_FUNCTION, GATHER_COPY, GATHER_PLATES, GATHER_PLATE_COUNT, GATHER_PARTS, GATHER_POOL = range(6)
GATHER_FIELDS = 6

PREFETCH, LINE = "llvm.prefetch.p0", 64  # bytes of a cache line
ROWS_AHEAD, BYTES_AHEAD = 16, 8192  # of an array whose rows are read in no order

EXTENT_PLATE, EXTENT_ADDRESS, EXTENT_FACTOR = 0, 1, 2
EXTENT_FIELDS = 3


@intrinsic
def prefetch(typing_context, address):
    """Asks for a cache line that will be read soon."""

    def emit(context, builder, signature, arguments):
        place, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place, word, word, word])
        function = builder.module.globals.get(PREFETCH) or ir.Function(builder.module, kind, PREFETCH)
        builder.call(function, [builder.inttoptr(arguments[0], place), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.none(types.int64), emit


@njit(**BATCHES)
def prefetch_row(address, size):
    """Asks for the cache lines of a row of `size` bytes."""
    for offset in range(0, size, LINE):
        prefetch(address + offset)
    prefetch(address + size - 1)


@njit(**BATCHES)
def gather_rows(full, part, outer, stride, width, rows, first, last, address, row):
    """part[a, j] = full[a, rows[j]] for j in first .. last - 1, blocks of `width` elements; flat arrays, `stride` counts elements.

    The array is at `address` and its rows have `row` bytes: while one is copied, the next ones are on their way from memory.
    """
    ahead = min(ROWS_AHEAD, BYTES_AHEAD // row) if width else 0
    for a in range(outer):
        place = address + a * stride // max(width, 1) * row
        theirs = full[a * stride:(a + 1) * stride]
        ours = part[a * rows.size * width:(a + 1) * rows.size * width]
        if width == 1:
            for j in range(first, last):
                ours[j] = theirs[np.uint64(rows[j])]
            continue
        for j in range(first, min(first + ahead, last)):
            prefetch_row(place + rows[j] * row, row)
        for j in range(first, last):
            if ahead and j + ahead < last:
                prefetch_row(place + rows[j + ahead] * row, row)
            source = theirs[rows[j] * width:(rows[j] + 1) * width]
            target = ours[j * width:(j + 1) * width]
            for i in range(width):
                target[i] = source[i]


@njit(**BATCHES)
def scatter_rows(full, part, outer, stride, width, rows):
    """full[a, rows[j]] = part[a, j]."""
    for a in range(outer):
        theirs = full[a * stride:(a + 1) * stride]
        ours = part[a * rows.size * width:(a + 1) * rows.size * width]
        if width == 1:
            for j in range(rows.size):
                theirs[np.uint64(rows[j])] = ours[j]
            continue
        for j in range(rows.size):
            source = ours[j * width:(j + 1) * width]
            target = theirs[rows[j] * width:(rows[j] + 1) * width]
            for i in range(width):
                target[i] = source[i]


@njit(**BATCHES)
def choose_rows(plates, seed, step):
    """Fills the row numbers of every plate for a step."""
    for k in range(plates.shape[0]):
        plate = plates[k]
        if plate[PLATE_PARENT] < 0:
            rows = int64_at(plate[PLATE_ROWS], plate[PLATE_BATCH])
            fill_batch(rows, plate[PLATE_SIZE], seed + plate[PLATE_SALT], step)
            plate[PLATE_COUNT] = plate[PLATE_BATCH]
        else:
            parent = plates[plate[PLATE_PARENT]]
            parents = int64_at(parent[PLATE_ROWS], parent[PLATE_COUNT])
            offsets = int64_at(plate[PLATE_OFFSETS], parent[PLATE_SIZE] + 1)
            order = int64_at(plate[PLATE_ORDER], plate[PLATE_SIZE])
            rows = int64_at(plate[PLATE_ROWS], plate[PLATE_SIZE])
            positions = int64_at(plate[PLATE_POSITIONS], plate[PLATE_SIZE])
            count = 0
            for p in range(parents.size):
                element = parents[p]
                for place in range(offsets[element], offsets[element + 1]):
                    rows[count] = order[place]
                    if plate[PLATE_POSITIONS] != 0:
                        positions[count] = p
                    count += 1
            plate[PLATE_COUNT] = count


@njit(**BATCHES)
def write_extents(plates, extents):
    """Writes the number of rows of a step wherever a table holds it."""
    for e in range(extents.shape[0]):
        place = int64_at(extents[e, EXTENT_ADDRESS], 1)
        place[0] = extents[e, EXTENT_FACTOR] * plates[extents[e, EXTENT_PLATE], PLATE_COUNT]


@njit(**BATCHES)
def outer_of(copy, plates):
    """How many blocks of rows an array has in this step."""
    plate = copy[COPY_OUTER_PLATE]
    return copy[COPY_OUTER] if plate < 0 else copy[COPY_OUTER] * plates[plate, PLATE_COUNT]


@njit(**BATCHES)
def gather_copy(copy, plates, first, last):
    """Rows first .. last - 1 of a batch buffer."""
    plate = plates[copy[COPY_PLATE]]
    rows = int64_at(plate[PLATE_ROWS], plate[PLATE_COUNT])
    array, buffer, stride, row = copy[COPY_ARRAY], copy[COPY_BUFFER], copy[COPY_STRIDE], copy[COPY_ROW]
    outer = outer_of(copy, plates)
    full, part = outer * stride, outer * rows.size * row
    if (array | buffer | row) & 7:
        gather_rows(bool_at(array, full), bool_at(buffer, part), outer, stride, row, rows, first, last, array, row)
    else:
        gather_rows(int64_at(array, full >> 3), int64_at(buffer, part >> 3), outer, stride >> 3, row >> 3, rows, first, last, array, row)


@njit(**BATCHES)
def range_of_part(rows, part, parts):
    """The rows of one of several equal parts."""
    each = (rows + parts - 1) // parts
    return min(part * each, rows), min((part + 1) * each, rows)


def operator_gather_part(part, unused, task):
    """One part of the rows of a batch buffer, by whichever thread takes it."""
    copy = int64_at(task[GATHER_COPY], COPY_FIELDS)
    plates = int64_at(task[GATHER_PLATES], task[GATHER_PLATE_COUNT] * PLATE_FIELDS).reshape(task[GATHER_PLATE_COUNT], PLATE_FIELDS)
    first, last = range_of_part(plates[copy[COPY_PLATE], PLATE_COUNT], part, task[GATHER_PARTS])
    gather_copy(copy, plates, first, last)
    return 0


OPERATORS["gather_part"] = operator_gather_part


@njit(**BATCHES)
def gather_batch(plates, copies):
    """Fills every batch buffer; large ones in parts, with the helpers of the pool where there are any."""
    for c in range(copies.shape[0]):
        copy = copies[c]
        if copy[COPY_GATHER]:
            task = int64_at(copy[COPY_GATHER], GATHER_FIELDS)
            share(task[GATHER_POOL], task[GATHER_FUNCTION], task[GATHER_PARTS], copy[COPY_GATHER])
        else:
            gather_copy(copy, plates, 0, plates[copy[COPY_PLATE], PLATE_COUNT])


@njit(**BATCHES)
def put_back(copy, rows, buffer, outer):
    """Copies a buffer back to the rows of its array."""
    row, stride = copy[COPY_ROW], copy[COPY_STRIDE]
    full, part = outer * stride, outer * rows.size * row
    if (copy[COPY_ARRAY] | buffer | row) & 7:
        scatter_rows(bool_at(copy[COPY_ARRAY], full), bool_at(buffer, part), outer, stride, row, rows)
    else:
        scatter_rows(int64_at(copy[COPY_ARRAY], full >> 3), int64_at(buffer, part >> 3), outer, stride >> 3, row >> 3, rows)


@njit(**BATCHES)
def scatter_batch(plates, copies):
    """Copies updated buffers back to their rows. The last copy first: an array with two batched axes is two copies."""
    last = copies.shape[0] - 1
    for c in range(last + 1):
        copy = copies[last - c]
        if copy[COPY_SCATTER]:
            plate = plates[copy[COPY_PLATE]]
            put_back(copy, int64_at(plate[PLATE_ROWS], plate[PLATE_COUNT]), copy[COPY_BUFFER], outer_of(copy, plates))


@njit(**BATCHES)
def undo_batch(plates, copies):
    """Puts kept buffers back to kept rows. A kept buffer belongs to a first copy, whose leading axes are whole."""
    for c in range(copies.shape[0]):
        copy = copies[c]
        if copy[COPY_KEPT]:
            plate = plates[copy[COPY_PLATE]]
            put_back(copy, int64_at(plate[PLATE_KEPT_ROWS], plate[PLATE_KEPT_COUNT]), copy[COPY_KEPT], copy[COPY_OUTER])


@njit(**BATCHES)
def keep_batch(plates, copies):
    """Keeps buffers and rows as they are before an update, so that the scatter after it can be undone."""
    for k in range(plates.shape[0]):
        rows = int64_at(plates[k, PLATE_ROWS], plates[k, PLATE_COUNT])
        kept = int64_at(plates[k, PLATE_KEPT_ROWS], rows.size)
        for j in range(rows.size):
            kept[j] = rows[j]
        plates[k, PLATE_KEPT_COUNT] = rows.size
    for c in range(copies.shape[0]):
        copy = copies[c]
        if copy[COPY_KEPT]:
            size = outer_of(copy, plates) * plates[copy[COPY_PLATE], PLATE_COUNT] * copy[COPY_ROW]
            source = bool_at(copy[COPY_BUFFER], size)
            target = bool_at(copy[COPY_KEPT], size)
            for i in range(size):
                target[i] = source[i]
