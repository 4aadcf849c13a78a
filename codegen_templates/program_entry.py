"""A program as an entry of the training loop: one compiled function for all kernels and updates, whose table says which program to run."""
from numba import njit
from numba.core import types

from symvi.codegen_templates.program import run_program
from symvi.codegen_templates.support import int64_at

# The table of an entry that is a program: addresses of the program (int64[rows, columns]) and of its main table (int64[size]).
ENTRY_PROGRAM, ENTRY_ROWS, ENTRY_COLUMNS, ENTRY_MAIN, ENTRY_MAIN_SIZE = 0, 1, 2, 3, 4
ENTRY_FIELDS = 5


@njit([types.int64(types.int64[::1])], cache=True, nogil=True, error_model="numpy")
def program_entry(table):
    """Runs the program; its status, 0 if all went well."""
    rows, columns = table[ENTRY_ROWS], table[ENTRY_COLUMNS]
    program = int64_at(table[ENTRY_PROGRAM], rows * columns).reshape(rows, columns)
    return run_program(program, int64_at(table[ENTRY_MAIN], table[ENTRY_MAIN_SIZE]))
