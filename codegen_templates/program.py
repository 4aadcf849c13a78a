"""The driver that runs a kernel: its functions, whole-array operations and draws, in order. Compiled once per machine."""
from numba import njit
from numba.core import types

from symvi.codegen_templates.tables import call_address

# A program has one row per step: [address of the function, address of its table, slot of the extent in the main table or -1].
PROGRAM_FUNCTION, PROGRAM_TABLE, PROGRAM_EXTENT = 0, 1, 2
PROGRAM_STEPS = types.Array(types.int64, 2, "C")
PROGRAM_ARGUMENTS = types.Array(types.int64, 1, "C")


@njit([types.int64(PROGRAM_STEPS, PROGRAM_ARGUMENTS)], cache=True, nogil=True, error_model="numpy")
def run_program(program, table):
    """0, or 1 + the step that failed in the low 32 bits and its status above them."""
    for step in range(program.shape[0]):
        slot = program[step, PROGRAM_EXTENT]
        rows = table[slot] if slot >= 0 else 0
        status = call_address(program[step, PROGRAM_FUNCTION], 0, rows, program[step, PROGRAM_TABLE])
        if status != 0:
            return (status << 32) | (step + 1)
    return 0
