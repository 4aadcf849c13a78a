"""The argument table of a kernel: one int64 per extent and per array address, so that one compiled driver serves all models.

A kernel function is `f(n0, n1, table)`, compiled as a C function; it returns 0, or a status code. The first lines of
an emitted function name what it reads from the table.
"""
import numba
import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

KERNEL = types.int64(types.int64, types.int64, types.CPointer(types.int64))
TABLE_VIEWS = dict(error_model="numpy", cache=True)
PASS = dict(fastmath={"reassoc", "nsz", "contract"}, error_model="numpy", cache=True)  # sums; NaN and inf keep their meaning
smallest, largest = np.iinfo(np.int64).min, np.iinfo(np.int64).max  # where a maximum or minimum of integers starts
BLOCK = 128  # rows of a plate that are worked on together


def pointer_to(dtype):
    """An intrinsic: an address as a pointer to `dtype`."""

    @intrinsic
    def as_pointer(typing_context, address):
        kind = types.CPointer(dtype)

        def emit(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.int64), emit

    return as_pointer


pointer_to_real64 = pointer_to(types.float64)
pointer_to_real32 = pointer_to(types.float32)
pointer_to_integer = pointer_to(types.int64)
pointer_to_integer32 = pointer_to(types.int32)
pointer_to_boolean = pointer_to(types.boolean)


@njit(**TABLE_VIEWS)
def reals64(table, slot, shape):
    """The float64 array whose address stands in a slot."""
    return numba.carray(pointer_to_real64(table[slot]), shape)


@njit(**TABLE_VIEWS)
def reals32(table, slot, shape):
    """The float32 array whose address stands in a slot."""
    return numba.carray(pointer_to_real32(table[slot]), shape)


@njit(**TABLE_VIEWS)
def integers(table, slot, shape):
    """The int64 array whose address stands in a slot."""
    return numba.carray(pointer_to_integer(table[slot]), shape)


@njit(**TABLE_VIEWS)
def integers32(table, slot, shape):
    """The int32 array whose address stands in a slot: LAPACK's pivots."""
    return numba.carray(pointer_to_integer32(table[slot]), shape)


@njit(**TABLE_VIEWS)
def booleans(table, slot, shape):
    """The boolean array whose address stands in a slot."""
    return numba.carray(pointer_to_boolean(table[slot]), shape)


@njit(**TABLE_VIEWS)
def real64(table, slot):
    """The float64 number whose address stands in a slot."""
    return pointer_to_real64(table[slot])[0]


@njit(**TABLE_VIEWS)
def real32(table, slot):
    """The float32 number whose address stands in a slot."""
    return pointer_to_real32(table[slot])[0]


@njit(**TABLE_VIEWS)
def integer(table, slot):
    """The int64 number whose address stands in a slot."""
    return pointer_to_integer(table[slot])[0]


@njit(**TABLE_VIEWS)
def boolean(table, slot):
    """The boolean whose address stands in a slot."""
    return pointer_to_boolean(table[slot])[0]


@intrinsic
def call_address(typing_context, address, n0, n1, table_address):
    """Calls the C function at an address: f(n0, n1, table)."""
    signature = types.int64(types.int64, types.int64, types.int64, types.int64)

    def emit(context, builder, sig, arguments):
        word = ir.IntType(64)
        function_type = ir.FunctionType(word, [word, word, word.as_pointer()])
        function = builder.inttoptr(arguments[0], function_type.as_pointer())
        table = builder.inttoptr(arguments[3], word.as_pointer())
        return builder.call(function, [arguments[1], arguments[2], table])

    return signature, emit


@njit(**TABLE_VIEWS)
def draw_rows(table, slot, n0, n1):
    """Fresh noise for rows n0 to n1 of a plate: the slot holds the address of a draw, the next one its description."""
    return call_address(table[slot], n0, n1, table[slot + 1])
