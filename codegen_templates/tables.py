"""The argument table of a kernel: one int64 per extent and per array address, so that one compiled driver serves all models.

A kernel function is `f(n0, n1, table)`, compiled as a C function; it returns 0, or a status code. The first lines of
an emitted function name what it reads from the table.
"""
import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

KERNEL = types.int64(types.int64, types.int64, types.CPointer(types.int64))
TABLE_VIEWS = dict(error_model="numpy", cache=True)
PASS = dict(fastmath={"reassoc", "nsz", "contract"}, error_model="numpy", cache=True)  # sums; NaN and inf keep their meaning
smallest, largest = np.iinfo(np.int64).min, np.iinfo(np.int64).max  # where a maximum or minimum of integers starts
BLOCK = 128  # rows of a plate that are worked on together


def address_in(builder, context, arguments, signature):
    """The address that stands in a slot of the table, as LLVM sees it."""
    slot = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.load(builder.gep(arguments[0], [slot]))


def view_of(dtype):
    """An intrinsic (table, slot, shape): the array in C order whose address stands in a slot. It owns nothing."""

    @intrinsic
    def view(typing_context, table, slot, shape):
        kind = types.Array(dtype, len(shape), "C")

        def emit(context, builder, signature, arguments):
            extents = [context.cast(builder, builder.extract_value(arguments[2], k), shape[k], types.intp) for k in range(len(shape))]
            array = context.make_array(kind)(context, builder)
            itemsize = context.get_abi_sizeof(context.get_data_type(dtype))
            strides, step = [], context.get_constant(types.intp, itemsize)
            for extent in reversed(extents):
                strides.insert(0, step)
                step = builder.mul(step, extent)
            data = builder.inttoptr(address_in(builder, context, arguments, signature), context.get_data_type(dtype).as_pointer())
            populate_array(array, data=data, shape=extents, strides=strides, itemsize=itemsize, meminfo=None)
            return array._getvalue()

        return kind(table, slot, shape), emit

    return view


def number_of(dtype):
    """An intrinsic (table, slot): the number whose address stands in a slot."""

    @intrinsic
    def number(typing_context, table, slot):
        def emit(context, builder, signature, arguments):
            pointer = builder.inttoptr(address_in(builder, context, arguments, signature), context.get_data_type(dtype).as_pointer())
            return context.unpack_value(builder, dtype, pointer)

        return dtype(table, slot), emit

    return number


reals64, reals32 = view_of(types.float64), view_of(types.float32)
integers, integers32 = view_of(types.int64), view_of(types.int32)
booleans = view_of(types.boolean)
real64, real32 = number_of(types.float64), number_of(types.float32)
integer, boolean = number_of(types.int64), number_of(types.boolean)


@intrinsic
def rows_from(typing_context, array, first):
    """The same array seen from element `first` of its last axis on: index i is element first + i. The strides stay, the end moves out."""

    def emit(context, builder, signature, arguments):
        view = context.make_array(signature.return_type)(context, builder, arguments[0])
        offset = context.cast(builder, arguments[1], signature.args[1], types.intp)
        moved = context.make_array(signature.return_type)(context, builder)
        populate_array(moved, data=builder.gep(view.data, [offset]), shape=view.shape, strides=view.strides, itemsize=view.itemsize,
                       meminfo=None)
        return moved._getvalue()

    return array(array, first), emit


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
