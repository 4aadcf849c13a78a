"""The layout of what the compiled loop reads: the numbers of codegen_templates/minibatch.py and training.py, which say what each means.

They are repeated because the templates are not imported, but joined into the helper module; a test compares the two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

(PLATE_SIZE, PLATE_BATCH, PLATE_PARENT, PLATE_ROWS, PLATE_COUNT, PLATE_OFFSETS, PLATE_ORDER, PLATE_POSITIONS, PLATE_SALT,
 PLATE_KEPT_ROWS, PLATE_KEPT_COUNT, PLATE_FIELDS) = range(12)  # fmt: skip
(COPY_ARRAY, COPY_BUFFER, COPY_OUTER, COPY_OUTER_PLATE, COPY_STRIDE, COPY_ROW, COPY_PLATE, COPY_SCATTER, COPY_KEPT,
 COPY_GATHER, COPY_FIELDS) = range(11)  # fmt: skip
CAST_SIZE, CAST_SOURCE, CAST_TARGET, CAST_TOTAL, CAST_FIELDS = range(5)
GATHER_FUNCTION, GATHER_COPY, GATHER_PLATES, GATHER_PLATE_COUNT, GATHER_PARTS, GATHER_POOL, GATHER_FIELDS = range(7)
EXTENT_PLATE, EXTENT_ADDRESS, EXTENT_FACTOR, EXTENT_FIELDS = range(4)
(SEGMENT_THETA, SEGMENT_GRADIENT, SEGMENT_VISITS, SEGMENT_MEAN, SEGMENT_VARIANCE, SEGMENT_AVERAGED, SEGMENT_KEPT, SEGMENT_PROTECTED,
 SEGMENT_TOTAL, SEGMENT_GRADIENT_TOTAL, SEGMENT_TOGETHER, SEGMENT_SIZE, SEGMENT_FIELDS) = range(13)  # fmt: skip
STATE_CODE, STATE_SEGMENT, STATE_ELEMENT, STATE_KEPT, STATE_FIELDS = range(5)
VALUE_NOT_FINITE, GRADIENT_NOT_FINITE, PARAMETER_NOT_FINITE, UPDATE_FAILED = range(101, 105)


class Segment(NamedTuple):
    """The arrays of one segment of parameters, float64 and contiguous; None where there is none.

    `kept` is memory for the state before an update: as many numbers, from the first of `theta` on, as it has. If slots, visits and
    averages follow `theta` in one block and `kept` has the size of the block, a failed step is undone exactly; if it has the size of
    `theta`, only the parameters go back. With `total`, one number, the update itself fills `kept` and writes the sum of the new
    parameters there; with `gradient_total` the kernel writes that of the gradient. `visits` and `averaged` have as many numbers as
    `theta`, or one that counts for all.
    """

    theta: np.ndarray
    gradient: np.ndarray
    visits: np.ndarray
    mean: np.ndarray | None = None
    variance: np.ndarray | None = None
    averaged: np.ndarray | None = None
    kept: np.ndarray | None = None
    total: np.ndarray | None = None
    gradient_total: np.ndarray | None = None

    def row(self) -> np.ndarray:
        """The row of `segments`; its last entry is the number of parameters. The arrays must outlive it."""
        row = np.zeros(SEGMENT_FIELDS, np.int64)
        for field, array in zip((*range(SEGMENT_PROTECTED), SEGMENT_TOTAL, SEGMENT_GRADIENT_TOTAL), self, strict=True):
            row[field] = 0 if array is None else array.ctypes.data
        row[SEGMENT_TOGETHER] = int(self.visits.size == 1 != self.theta.size)
        row[SEGMENT_PROTECTED] = 0 if self.kept is None else self.kept.size
        row[SEGMENT_SIZE] = self.theta.size
        return row
