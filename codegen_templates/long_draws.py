"""Draws of whole arrays in shards: a number depends on its place alone, so a shard is the same draw from another row on."""
import numpy as np

from symvi.codegen_templates.operators import OPERATORS, OUT
from symvi.codegen_templates.support import int64_at
from symvi.codegen_templates.tables import call_address

# A long draw: the address of the operation, of its description (how many words), bytes of a row.
LONG_DRAW, LONG_DESCRIPTION, LONG_WORDS, LONG_ROW = range(4)
LONG_FIELDS = 4


def operator_draw_range(n0, n1, d):
    """Rows n0 to n1 of a draw to their places in the array."""
    words = d[LONG_WORDS]
    own = np.empty(words, np.int64)
    description = int64_at(d[LONG_DESCRIPTION], words)
    for k in range(words):
        own[k] = description[k]
    own[OUT] += n0 * d[LONG_ROW]
    return call_address(d[LONG_DRAW], n0, n1, own.ctypes.data)


OPERATORS["draw_range"] = operator_draw_range
