"""Threads inside compiled code: one caller hands out shards of work, helpers that wait in `serve` take their part.

A pool is an int64 array, POOL_... and TASK_... below; its address is all that the two sides share. The caller publishes a task, takes
shards like everybody else and goes on when all are done. Which thread runs a shard makes no difference to its result. An idle helper
spins for a while, so that the next task starts within a microsecond, then sleeps in short naps as long as a caller is inside compiled
code.

A ticket is (number of the task) * 2^32 + shard. It counts only below the limit of the same task, so a helper that comes late to an old
task never touches a new one.
"""
import platform

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from symvi.codegen_templates.tables import call_address

THREADED = dict(error_model="numpy", nogil=True, cache=True)

# Words that different threads write stand 128 bytes apart.
POOL_TICKET, POOL_LIMIT, POOL_DONE, POOL_CALLERS = 0, 16, 32, 64
TASK_FUNCTION, TASK_TABLE, TASK_STATUS, TASK_NUMBER = 48, 49, 50, 51
POOL_WORDS = 80
SPINS, NAP = 20_000, 50  # looks at the pool before a nap; microseconds
TASK_BITS = 32
SLEEP = "usleep" if llvm.address_of_symbol("usleep") else ""  # of the C library; without it a helper that waits spins
PAUSE = "llvm.x86.sse2.pause" if platform.machine() in ("x86_64", "AMD64") else ""


def word_at(builder, address, index):
    """A pointer to word `index` of the int64 array at an address."""
    word = ir.IntType(64)
    return builder.gep(builder.inttoptr(address, word.as_pointer()), [index])


@intrinsic
def fetch_add(typing_context, address, index, value):
    """Adds to a word in one step; returns what was there."""

    def emit(context, builder, signature, arguments):
        return builder.atomic_rmw("add", word_at(builder, arguments[0], arguments[1]), arguments[2], "acq_rel")

    return types.int64(types.int64, types.int64, types.int64), emit


@intrinsic
def load_word(typing_context, address, index):
    """A word as the latest writer left it."""

    def emit(context, builder, signature, arguments):
        return builder.load_atomic(word_at(builder, arguments[0], arguments[1]), "acquire", 8)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def store_word(typing_context, address, index, value):
    """Writes a word after everything that was written before."""

    def emit(context, builder, signature, arguments):
        builder.store_atomic(arguments[2], word_at(builder, arguments[0], arguments[1]), "release", 8)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), emit


@intrinsic
def pause(typing_context):
    """Tells the core that this is a loop that waits."""

    def emit(context, builder, signature, arguments):
        if PAUSE:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.globals.get(PAUSE) or ir.Function(builder.module, kind, PAUSE), [])
        return context.get_dummy_value()

    return types.none(), emit


@intrinsic
def nap(typing_context, microseconds):
    """Gives the core away for a while."""

    def emit(context, builder, signature, arguments):
        if SLEEP:
            kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)])
            function = builder.module.globals.get(SLEEP) or ir.Function(builder.module, kind, SLEEP)
            builder.call(function, [builder.trunc(arguments[0], ir.IntType(32))])
        return context.get_dummy_value()

    return types.none(types.int64), emit


@njit(**THREADED)
def take_shards(pool):
    """Runs shards of the present task until none is left to be taken; how many it ran."""
    taken = 0
    while True:
        limit = load_word(pool, POOL_LIMIT)
        ticket = load_word(pool, POOL_TICKET)
        if ticket >= limit or ticket >> TASK_BITS != limit >> TASK_BITS:
            return taken
        ticket = fetch_add(pool, POOL_TICKET, 1)
        limit = load_word(pool, POOL_LIMIT)
        if ticket >= limit or ticket >> TASK_BITS != limit >> TASK_BITS:
            return taken
        shard = ticket & ((1 << TASK_BITS) - 1)
        status = call_address(load_word(pool, TASK_FUNCTION), shard, 0, load_word(pool, TASK_TABLE))
        if status != 0:
            store_word(pool, TASK_STATUS, status)
        fetch_add(pool, POOL_DONE, 1)
        taken += 1


@njit([types.int64(types.int64, types.int64, types.int64, types.int64)], **THREADED)
def share(pool, function, shards, table):
    """Runs function(shard, 0, table) for all shards, with whoever helps; a status of one that failed, else 0. Without a pool in order."""
    status = 0
    if pool == 0:
        for shard in range(shards):
            failed = call_address(function, shard, 0, table)
            if failed != 0:
                status = failed
        return status
    task = load_word(pool, TASK_NUMBER) + 1
    store_word(pool, TASK_NUMBER, task)
    store_word(pool, TASK_FUNCTION, function)
    store_word(pool, TASK_TABLE, table)
    store_word(pool, TASK_STATUS, 0)
    store_word(pool, POOL_DONE, 0)
    store_word(pool, POOL_LIMIT, (task << TASK_BITS) + shards)
    store_word(pool, POOL_TICKET, task << TASK_BITS)
    take_shards(pool)
    waited = 0
    while load_word(pool, POOL_DONE) < shards:
        pause()
        waited += 1
        if waited > SPINS:  # the core of a helper is taken by somebody else
            nap(1)
    return load_word(pool, TASK_STATUS)


@njit([types.int64(types.int64)], **THREADED)
def serve(pool):
    """A helper's life: takes shards as long as a caller is inside compiled code, and a little longer; how many it ran."""
    taken = 0
    idle = 0
    while idle <= SPINS or load_word(pool, POOL_CALLERS) > 0:
        ran = take_shards(pool)
        taken += ran
        idle = 0 if ran else idle + 1
        if idle > SPINS:
            nap(NAP)
        else:
            pause()
    return taken
