"""The training loop, compiled once per machine: draws, value, gradient, update, running averages; a model adds only its own functions.

A kernel is `entry(table) -> status`, an update of parameters `update(table) -> status`; both are first-class functions of an int64 table of
addresses and sizes that Python prepares, status 0 means success. What the loop itself must know is in these arrays:

    segments   int64, a row per segment of parameters, SEGMENT_... below: addresses of float64 arrays of `size` numbers each (one number
               where it says so), 0 where there is none. Segment 0 holds the global parameters; under minibatching each local parameter is
               a segment on its batch buffers.
    tables     int64, a row per segment: the table that `update` gets for it.
    key        int64 [seed, stream, step], read by the kernel's draws; the loop writes the step.
    averaging  float64 [first step, eta]: iterates are averaged with weight (1 + eta) / (n + eta) for the n-th one (Shamir & Zhang, ICML
               2013; eta = 0 is the plain mean), each coordinate counting its own. Only iterates at which the bound was finite enter.
               First step inf: no averages.
    state      int64, STATE_... below: why a run ended, and whether something can be put back.

A step evaluates the bound at the present parameters. If the status is bad, or the value or a gradient is not finite, the parameters go
back to what they were before the last update, the last at which the bound was finite, and the loop ends. If an update gives a parameter
that is not finite, it is taken back. Sums that the kernel and the update leave tell whether all of a long vector is finite; where
there is none, or it has overflown, the loop looks at every number.
"""
import math

from numba import njit
from numba.core import types

from symvi.codegen_templates.minibatch import choose_rows, gather_batch, keep_batch, scatter_batch, undo_batch, write_extents
from symvi.codegen_templates.support import real64_at

LOOP = dict(error_model="numpy", nogil=True, fastmath={"reassoc", "nsz", "contract"})

SEGMENT_THETA = 0  # parameters
SEGMENT_GRADIENT = 1
SEGMENT_VISITS = 2  # how often each coordinate was updated
SEGMENT_MEAN = 3  # running mean of the iterates
SEGMENT_VARIANCE = 4  # running variance of the iterates, of the same weights
SEGMENT_AVERAGED = 5  # how many iterates each coordinate's mean holds
SEGMENT_KEPT = 6  # where the state before an update is kept, 0 for local segments (their rows are kept by `keep_batch`)
SEGMENT_PROTECTED = 7  # how many numbers from SEGMENT_THETA on are kept: size, or more if slots and visits follow in the same block
SEGMENT_TOTAL = 8  # one number, the sum of the new parameters: an update that writes it also keeps the old ones; 0 for one that does not
SEGMENT_GRADIENT_TOTAL = 9  # one number, the sum of the gradient, from a kernel that writes it; else 0
SEGMENT_TOGETHER = 10  # 1 if one number each of visits and averaged counts for all coordinates
SEGMENT_SIZE = 11  # an int64 that `extents` may point to
SEGMENT_FIELDS = 12

STATE_CODE = 0  # 0, the status of the kernel, or one of the codes below
STATE_SEGMENT = 1
STATE_ELEMENT = 2
STATE_KEPT = 3  # 1 if there is a kept state
STATE_FIELDS = 4

VALUE_NOT_FINITE = 101
GRADIENT_NOT_FINITE = 102
PARAMETER_NOT_FINITE = 103
UPDATE_FAILED = 104


@njit(**LOOP)
def all_finite(x):
    """Is every element finite? One pass without branches: x * 0 is NaN exactly where x is not finite."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * 0.0
    return total == 0.0


@njit(**LOOP)
def first_not_finite(x):
    """The index of the first element that is not finite, -1 if there is none."""
    for i in range(x.size):
        if not math.isfinite(x[i]):
            return i
    return -1


@njit(**LOOP)
def fail(state, code, segment, element):
    """Records why a run ended."""
    state[STATE_CODE] = code
    state[STATE_SEGMENT] = segment
    state[STATE_ELEMENT] = element


@njit(**LOOP)
def evaluated(entry, table, value, state):
    """Runs the kernel; True if status and value are good."""
    status = entry(table)
    if status != 0:
        fail(state, status, -1, -1)
        return False
    if not math.isfinite(value[0]):
        fail(state, VALUE_NOT_FINITE, -1, -1)
        return False
    return True


@njit(**LOOP)
def finite_sum(address):
    """Is there a sum, and is it finite? Then all that it adds up is. One that is not may have overflown."""
    return address != 0 and math.isfinite(real64_at(address, 1)[0])


@njit(**LOOP)
def gradients_finite(segments, state):
    """True if the gradients of all segments are finite."""
    for s in range(segments.shape[0]):
        gradient = real64_at(segments[s, SEGMENT_GRADIENT], segments[s, SEGMENT_SIZE])
        if not (finite_sum(segments[s, SEGMENT_GRADIENT_TOTAL]) or all_finite(gradient)):
            fail(state, GRADIENT_NOT_FINITE, s, first_not_finite(gradient))
            return False
    return True


@njit(**LOOP)
def average_together(theta, mean, variance, weight):
    """One iterate into running means and variances, with the same weight for all coordinates."""
    for i in range(theta.size):
        difference = theta[i] - mean[i]
        mean[i] += weight * difference
        variance[i] = (1.0 - weight) * (variance[i] + weight * difference * difference)


@njit(**LOOP)
def average_iterates(segments, eta):
    """Takes the present parameters into the running means and variances (weighted incremental moments, Finch 2009)."""
    for s in range(segments.shape[0]):
        if segments[s, SEGMENT_MEAN]:
            size = segments[s, SEGMENT_SIZE]
            theta = real64_at(segments[s, SEGMENT_THETA], size)
            mean = real64_at(segments[s, SEGMENT_MEAN], size)
            variance = real64_at(segments[s, SEGMENT_VARIANCE], size)
            averaged = real64_at(segments[s, SEGMENT_AVERAGED], size)
            if segments[s, SEGMENT_TOGETHER]:
                averaged[0] += 1.0
                average_together(theta, mean, variance, (1.0 + eta) / (averaged[0] + eta))
                continue
            for i in range(size):
                n = averaged[i] + 1.0
                weight = (1.0 + eta) / (n + eta)
                difference = theta[i] - mean[i]
                mean[i] += weight * difference
                variance[i] = (1.0 - weight) * (variance[i] + weight * difference * difference)
                averaged[i] = n


@njit(**LOOP)
def keep_segments(segments):
    """Keeps the state of the segments before an update, where the update does not do it."""
    for s in range(segments.shape[0]):
        if segments[s, SEGMENT_KEPT] and not segments[s, SEGMENT_TOTAL]:
            size = segments[s, SEGMENT_PROTECTED]
            theta = real64_at(segments[s, SEGMENT_THETA], size)
            kept = real64_at(segments[s, SEGMENT_KEPT], size)
            for i in range(size):
                kept[i] = theta[i]


@njit(**LOOP)
def restore_segments(segments):
    """Puts the kept state back."""
    for s in range(segments.shape[0]):
        if segments[s, SEGMENT_KEPT]:
            size = segments[s, SEGMENT_PROTECTED]
            theta = real64_at(segments[s, SEGMENT_THETA], size)
            kept = real64_at(segments[s, SEGMENT_KEPT], size)
            for i in range(size):
                theta[i] = kept[i]


@njit(**LOOP)
def updated(update, tables, segments, state):
    """Updates all segments and counts the visits; True if the parameters are finite."""
    for s in range(segments.shape[0]):
        size = segments[s, SEGMENT_SIZE]
        if size:
            status = update(tables[s])
            if status != 0:
                fail(state, UPDATE_FAILED, s, status)
                return False
            theta = real64_at(segments[s, SEGMENT_THETA], size)
            if not (finite_sum(segments[s, SEGMENT_TOTAL]) or all_finite(theta)):
                fail(state, PARAMETER_NOT_FINITE, s, first_not_finite(theta))
                return False
            visits = real64_at(segments[s, SEGMENT_VISITS], size)
            for i in range(1 if segments[s, SEGMENT_TOGETHER] else size):
                visits[i] += 1.0
    return True


def train_steps(entry, table, update, tables, segments, key, value, step_value, first_step, steps, history, averaging, state,
                plates, copies, extents):
    """Steps first_step .. first_step + steps - 1; returns how many were good, which is `steps` or the index of the bad one.

    history[t] is the bound at the parameters before the update of step t; step_value[0] the number of the step, for schedules.
    plates, copies and extents are those of `minibatch`, or None: then the branches that need them are not compiled.
    """
    state[STATE_CODE] = 0
    for t in range(steps):
        step = first_step + t
        key[2] = step
        step_value[0] = step
        if plates is not None:
            choose_rows(plates, key[0], step)
            write_extents(plates, extents)
            gather_batch(plates, copies)
        if not (evaluated(entry, table, value, state) and gradients_finite(segments, state)):
            if state[STATE_KEPT]:
                restore_segments(segments)
                if plates is not None:
                    undo_batch(plates, copies)
                state[STATE_KEPT] = 0
            return t
        history[t] = value[0]
        if step >= averaging[0]:
            average_iterates(segments, averaging[1])
        keep_segments(segments)
        if plates is not None:
            keep_batch(plates, copies)
        if not updated(update, tables, segments, state):
            restore_segments(segments)
            state[STATE_KEPT] = 0
            return t
        if plates is not None:
            scatter_batch(plates, copies)
        state[STATE_KEPT] = 1
    return steps


def evaluate_steps(entry, table, key, value, first_step, steps, history, state, plates, copies, extents):
    """The bound at fixed parameters in steps first_step .. first_step + steps - 1 into history; returns how many were good.

    Nothing is scattered: local parameters stay as they are.
    """
    state[STATE_CODE] = 0
    for t in range(steps):
        step = first_step + t
        key[2] = step
        if plates is not None:
            choose_rows(plates, key[0], step)
            write_extents(plates, extents)
            gather_batch(plates, copies)
        if not evaluated(entry, table, value, state):
            return t
        history[t] = value[0]
    return steps


LOOP_TABLE = types.int64[::1]
LOOP_TABLES = types.int64[:, ::1]
LOOP_REALS = types.float64[::1]
ENTRY = types.FunctionType(types.int64(LOOP_TABLE))
TRAIN_ARGUMENTS = (ENTRY, LOOP_TABLE, ENTRY, LOOP_TABLES, LOOP_TABLES, LOOP_TABLE, LOOP_REALS, LOOP_REALS,
                   types.int64, types.int64, LOOP_REALS, LOOP_REALS, LOOP_TABLE)
EVALUATE_ARGUMENTS = (ENTRY, LOOP_TABLE, LOOP_TABLE, LOOP_REALS, types.int64, types.int64, LOOP_REALS, LOOP_TABLE)

train = njit(cache=True, **LOOP)(train_steps)
evaluate = njit(cache=True, **LOOP)(evaluate_steps)


def compiled_loop(loop, arguments, batched):
    """`train` or `evaluate`, compiled (or read from the cache) on first use, with or without minibatches; never for another signature."""
    signature = types.int64(*arguments, *[LOOP_TABLES if batched else types.none] * 3)
    if signature.args not in loop.overloads:
        loop.disable_compile(False)
        loop.compile(signature)
        loop.disable_compile()
    return loop


def training_loop(batched):
    """`train`, ready to be called with minibatches or (plates, copies, extents all None) without."""
    return compiled_loop(train, TRAIN_ARGUMENTS, batched)


def evaluation_loop(batched):
    """`evaluate`, ready to be called with minibatches or without."""
    return compiled_loop(evaluate, EVALUATE_ARGUMENTS, batched)
