"""An optimiser as a compiled kernel of its own: its update expressions over one flat vector of parameters.

The kernel knows nothing of the model, so it is compiled once per optimiser and machine. It writes parameters and slots in place, in one
pass over them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symvi.array.leaves import data
from symvi.array.reductions import sum as sum_of
from symvi.expr import provenance
from symvi.expr.dims import dim
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, compile_request
from symvi.optim.optimizer import THETA, Optimizer
from symvi.runtime.binding import Binding

__all__ = ["UpdateKernel", "BoundUpdate", "KEPT", "TOTAL"]

KEPT, TOTAL = "kept", "total"  # results beside the new values: the parameters as they were, the sum of the new ones


class UpdateKernel:
    """The compiled updates of an optimiser.

    With `together` all coordinates are updated equally often: `visits` is one number, and the kernel also stores the parameters as they
    were before (`kept`) and the sum of the new ones (`total`, not finite where one of them is not). Otherwise each has its own visits.
    """

    def __init__(self, optimizer: Optimizer, together: bool):
        with provenance.within(None):  # no line of the user made these expressions
            size = dim("P")
            self.optimizer, self.together = optimizer, together
            names = list(optimizer.slots)
            theta, gradient, step = data(THETA, size), data("gradient", size), data("step")
            visits = data("visits") if together else data("visits", size)
            slots = {name: data(name, size) for name in names}
            updates = optimizer.updates(theta, gradient, slots, visits, step)
            self.targets = list(updates)
            outputs = [output_of(f"new_{name}", value + 0.0 * theta) for name, value in updates.items()]
            if together:
                outputs += [output_of(KEPT, theta), output_of(TOTAL, sum_of(updates[THETA] + 0.0 * theta))]
        name = f"update_{type(optimizer).__name__.lower()}" + ("" if together else "_of_rows")
        self.request = Request(outputs, name=name, into={f"new_{name}": name for name in self.targets})
        self.result = compile_request(self.request)

    def slots(self, size: int) -> dict[str, np.ndarray]:
        """Slot arrays at their initial values."""
        return {name: np.full(size, float(value)) for name, value in self.optimizer.slots.items()}


class BoundUpdate:
    """The updates on the arrays of one segment. What the kernel cannot write in place it computes aside; that is then copied.

    `arrays` are those of the segment by name: theta, gradient, visits, kept and total where the kernel stores them.
    """

    def __init__(
        self, kernel: UpdateKernel, arrays: Mapping[str, np.ndarray], step: np.ndarray, slots: Mapping[str, np.ndarray], rate: np.ndarray
    ):
        self.arrays = {**arrays, "step": step.reshape(()), "rate": rate, **slots}
        compiled = kernel.result.compiled
        size = arrays[THETA].size
        entries = compiled.inputs.values()
        inputs = {entry["name"]: self.arrays[entry["name"]].reshape((size,) if entry["dims"] else ()) for entry in entries}
        outputs = {result: inputs[source] for result, source in compiled.manifest["in_place"].items()}
        if kernel.together:
            outputs |= {KEPT: arrays[KEPT], TOTAL: arrays[TOTAL].reshape(())}
        self.binding = Binding(compiled, {"P": size}, inputs, outputs=outputs)
        aside = [name for name in kernel.targets if f"new_{name}" not in outputs]
        self.copies = np.zeros((len(aside), 12), dtype=np.int64)
        rows = [self.binding.program]
        for row, name in zip(self.copies, aside, strict=True):
            source = self.binding.outputs[f"new_{name}"]
            row[:7] = (8, 1, size, size, 0, source.ctypes.data, self.arrays[name].ctypes.data)
            rows.append(np.array([[self.binding.helpers.operator_address("concatenate"), row.ctypes.data, -1]], dtype=np.int64))
        self.program = np.ascontiguousarray(np.vstack(rows))
        self.entry_table = np.array(
            [self.program.ctypes.data, *self.program.shape, self.binding.table.ctypes.data, self.binding.table.size], dtype=np.int64
        )

    def extent_slot(self) -> int:
        """The slot of P in the kernel's table: a segment's size may change from step to step."""
        return next(slot for size, slot, _ in self.binding.compiled.manifest["sizes"] if size == "P")
