"""Views of memory behind addresses, codes of the status word, and copies of rows.

A kernel gets its arrays through a table of int64 (addresses and sizes), so that one compiled driver serves all models.
"""
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

VIEWS = dict(error_model="numpy", nogil=True)

# The status of a kernel is an int64 array: code, site (path into the bound), step, element (row).
STATUS_CODE, STATUS_SITE, STATUS_STEP, STATUS_ELEMENT = 0, 1, 2, 3
STATUS_SIZE = 4
STATUS_OK = 0
STATUS_NOT_FINITE = 1
STATUS_NOT_POSITIVE_DEFINITE = 2
STATUS_SINGULAR = 3
STATUS_NO_CONVERGENCE = 4
STATUS_OUTSIDE_SUPPORT = 5
STATUS_INDEX_OUT_OF_RANGE = 6
STATUS_STOPPED = 7


def view_at(dtype):
    """An intrinsic (address, n) -> one-dimensional array of n numbers that owns nothing; the memory must outlive it."""

    @intrinsic
    def address_as_array(typing_context, address, n):
        kind = types.Array(dtype, 1, "C")

        def emit(context, builder, signature, arguments):
            place = context.cast(builder, arguments[0], signature.args[0], types.intp)
            count = context.cast(builder, arguments[1], signature.args[1], types.intp)
            array = context.make_array(kind)(context, builder)
            size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(dtype)))
            populate_array(array, data=builder.inttoptr(place, array.data.type), shape=cgutils.pack_array(builder, [count]),
                           strides=cgutils.pack_array(builder, [size]), itemsize=size, meminfo=None)
            return array._getvalue()

        return kind(address, n), emit

    return address_as_array


real64_at = view_at(types.float64)
real32_at = view_at(types.float32)
int64_at = view_at(types.int64)
bool_at = view_at(types.uint8)  # NumPy's bool, one byte, read as 0 or 1


@njit(**VIEWS)
def set_status(status, code, site, step, element):
    """Records a failure unless an earlier one stands; returns the code that stands."""
    if status[STATUS_CODE] == STATUS_OK:
        status[STATUS_CODE] = code
        status[STATUS_SITE] = site
        status[STATUS_STEP] = step
        status[STATUS_ELEMENT] = element
    return status[STATUS_CODE]


@njit(**VIEWS)
def copy_rows(src, rows, dst):
    """dst[i] = src[rows[i]] for arrays of one or two dimensions; rows must lie inside src."""
    if src.ndim == 1:
        for i in range(rows.size):
            dst[i] = src[rows[i]]
    else:
        for i in range(rows.size):
            source = src[rows[i]]
            target = dst[i]
            for j in range(target.size):
                target[j] = source[j]
