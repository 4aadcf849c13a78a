"""A pass over a plate in shards: each on a range of rows with sums of its own, which are then added in the order of the shards.

The number of shards follows from the extents alone, so results do not depend on how many threads there are.
"""
from numba import njit

from symvi.codegen_templates.operators import OPERATORS
from symvi.codegen_templates.support import bool_at, int64_at, real32_at, real64_at
from symvi.codegen_templates.tables import call_address
from symvi.codegen_templates.threads import share

SHARDED = dict(error_model="numpy", nogil=True)

# A sharded pass: the address of `operator_run_shard` and of this description, the function of the pass, the main table and its words,
# how many shards and what their rows are a multiple of; addresses of the shards' tables (bytes from one to the next), of the slots that
# differ between them (how many) and of their values, of the sums (how many); the address of the pool; the rows of this call, in all and
# of a shard.
(SHARD_RUN, SHARD_SELF, SHARD_FUNCTION, SHARD_MAIN, SHARD_WORDS, SHARD_COUNT, SHARD_MULTIPLE, SHARD_TABLES, SHARD_STRIDE, SHARD_SLOTS,
 SHARD_SLOT_COUNT, SHARD_VALUES, SHARD_SUMS, SHARD_SUM_COUNT, SHARD_POOL, SHARD_ROWS, SHARD_EACH) = range(17)
SHARD_FIELDS = 17
# A sum: where it belongs, the first shard's part, bytes from one part to the next, how many numbers, what they are and the operation.
SUM_TARGET, SUM_PARTS, SUM_STRIDE, SUM_SIZE, SUM_KIND, SUM_OPERATION = range(6)
SUM_FIELDS = 6
KIND_REAL64, KIND_REAL32, KIND_INTEGER, KIND_BOOLEAN = range(4)
OPERATION_ADD, OPERATION_MULTIPLY, OPERATION_MAX, OPERATION_MIN, OPERATION_OR, OPERATION_AND = range(6)


@njit(**SHARDED)
def rows_of_shard(d, shard):
    """The range of rows of one shard."""
    first = min(shard * d[SHARD_EACH], d[SHARD_ROWS])
    return first, min(first + d[SHARD_EACH], d[SHARD_ROWS])


def operator_run_shard(shard, unused, d):
    """One shard: its own copy of the table, with the addresses of its own scratch and sums."""
    words, count = d[SHARD_WORDS], d[SHARD_SLOT_COUNT]
    own = d[SHARD_TABLES] + d[SHARD_STRIDE] * shard
    table, main = int64_at(own, words), int64_at(d[SHARD_MAIN], words)
    for k in range(words):
        table[k] = main[k]
    slots = int64_at(d[SHARD_SLOTS], count)
    values = int64_at(d[SHARD_VALUES] + 8 * count * shard, count)
    for k in range(count):
        table[slots[k]] = values[k]
    first, last = rows_of_shard(d, shard)
    return call_address(d[SHARD_FUNCTION], first, last, own)


@njit(**SHARDED)
def joined(first, second, operation):
    """Two parts of a product, maximum or minimum; NaN stays NaN."""
    if operation == OPERATION_MULTIPLY:
        return first * second
    if first != first or second != second:
        return first + second
    return max(first, second) if operation == OPERATION_MAX else min(first, second)


@njit(**SHARDED)
def join_numbers(target, part, operation):
    """target = target and part, joined number by number. Sums are what is long; the rest is one plain loop, quickly compiled."""
    if operation == OPERATION_ADD:
        for k in range(target.size):
            target[k] += part[k]
    else:
        k = 0
        while k < target.size:
            target[k] = joined(target[k], part[k], operation)
            k += 1


@njit(**SHARDED)
def join_flags(flags, more, operation):
    """The same for booleans."""
    for k in range(flags.size):
        flags[k] = flags[k] | more[k] if operation == OPERATION_OR else flags[k] & more[k]


@njit(**SHARDED)
def copy_bytes(target, part):
    for k in range(target.size):
        target[k] = part[k]


@njit(**SHARDED)
def join_part(total, part, size, kind, operation):
    """One shard's part into the total."""
    if kind == KIND_REAL64:
        join_numbers(real64_at(total, size), real64_at(part, size), operation)
    elif kind == KIND_REAL32:
        join_numbers(real32_at(total, size), real32_at(part, size), operation)
    elif kind == KIND_INTEGER:
        join_numbers(int64_at(total, size), int64_at(part, size), operation)
    else:
        join_flags(bool_at(total, size), bool_at(part, size), operation)


def operator_run_shards(n0, n1, d):
    """A whole pass over rows n0 = 0 to n1; d describes it, SHARD_... above."""
    shards = d[SHARD_COUNT]
    each = (n1 + shards - 1) // shards
    multiple = d[SHARD_MULTIPLE]
    d[SHARD_ROWS], d[SHARD_EACH] = n1, (each + multiple - 1) // multiple * multiple
    status = share(d[SHARD_POOL], d[SHARD_RUN], shards, d[SHARD_SELF])
    if status != 0:
        return status
    for s in range(d[SHARD_SUM_COUNT]):
        row = int64_at(d[SHARD_SUMS] + 8 * SUM_FIELDS * s, SUM_FIELDS)
        target, size, kind = row[SUM_TARGET], row[SUM_SIZE], row[SUM_KIND]
        itemsize = 1 if kind == KIND_BOOLEAN else 4 if kind == KIND_REAL32 else 8
        copy_bytes(bool_at(target, size * itemsize), bool_at(row[SUM_PARTS], size * itemsize))
        for shard in range(1, shards):
            join_part(target, row[SUM_PARTS] + shard * row[SUM_STRIDE], size, kind, row[SUM_OPERATION])
    return 0


OPERATORS["run_shard"] = operator_run_shard
OPERATORS["run_shards"] = operator_run_shards
