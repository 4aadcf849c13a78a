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
from numba import njit

from symvi.codegen_templates.random_numbers import fill_batch
from symvi.codegen_templates.support import bool_at, int64_at

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
COPY_FIELDS = 9

EXTENT_PLATE, EXTENT_ADDRESS, EXTENT_FACTOR = 0, 1, 2
EXTENT_FIELDS = 3

GATHER, SCATTER, UNDO = 0, 1, 2


@njit(**BATCHES)
def move_rows(full, part, outer, stride, width, rows, gather):
    """part[a, j] = full[a, rows[j]] for blocks of `width` elements, or the other way round; flat arrays, `stride` counts elements."""
    n = rows.size
    for a in range(outer):
        theirs = full[a * stride:(a + 1) * stride]
        ours = part[a * n * width:(a + 1) * n * width]
        for j in range(n):
            there = theirs[rows[j] * width:(rows[j] + 1) * width]
            here = ours[j * width:(j + 1) * width]
            source = there if gather else here
            target = here if gather else there
            for i in range(width):
                target[i] = source[i]


@njit(**BATCHES)
def move_numbers(full, part, outer, stride, rows, gather):
    """`move_rows` for rows of one element."""
    n = rows.size
    for a in range(outer):
        theirs = full[a * stride:(a + 1) * stride]
        ours = part[a * n:(a + 1) * n]
        if gather:
            for j in range(n):
                ours[j] = theirs[np.uint64(rows[j])]
        else:
            for j in range(n):
                theirs[np.uint64(rows[j])] = ours[j]


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
def move_batch(plates, copies, what):
    """Fills every batch buffer (GATHER), copies updated buffers back to their rows (SCATTER), or puts kept ones back to kept rows (UNDO).

    Back means the last copy first: an array with two batched axes is two copies.
    """
    last = copies.shape[0] - 1
    for c in range(last + 1):
        copy = copies[c if what == GATHER else last - c]
        plate = plates[copy[COPY_PLATE]]
        rows = int64_at(plate[PLATE_ROWS], plate[PLATE_COUNT])
        buffer = copy[COPY_BUFFER]
        outer = outer_of(copy, plates)
        if what == SCATTER and copy[COPY_SCATTER] == 0:
            continue
        if what == UNDO:
            if copy[COPY_KEPT] == 0:
                continue
            rows = int64_at(plate[PLATE_KEPT_ROWS], plate[PLATE_KEPT_COUNT])
            buffer = copy[COPY_KEPT]
            outer = copy[COPY_OUTER]  # a kept buffer belongs to a first copy, whose leading axes are whole
        row = copy[COPY_ROW]
        full = outer * copy[COPY_STRIDE]
        part = outer * rows.size * row
        if (copy[COPY_ARRAY] | buffer | row) & 7:
            move_rows(bool_at(copy[COPY_ARRAY], full), bool_at(buffer, part), outer, copy[COPY_STRIDE], row, rows, what == GATHER)
        else:
            words = int64_at(copy[COPY_ARRAY], full >> 3)
            ours = int64_at(buffer, part >> 3)
            if row == 8:
                move_numbers(words, ours, outer, copy[COPY_STRIDE] >> 3, rows, what == GATHER)
            else:
                move_rows(words, ours, outer, copy[COPY_STRIDE] >> 3, row >> 3, rows, what == GATHER)


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
