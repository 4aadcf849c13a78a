"""An optimiser as a compiled kernel of its own: its update expressions over one flat vector of parameters.

The kernel knows nothing of the model, so it is compiled once per optimiser and machine.
"""

from __future__ import annotations

import numpy as np

from symvi.array.leaves import data
from symvi.expr import provenance
from symvi.expr.dims import dim
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, compile_request
from symvi.optim.optimizer import Optimizer
from symvi.runtime.binding import Binding

__all__ = ["UpdateKernel", "BoundUpdate"]


class UpdateKernel:
    """The compiled updates of an optimiser."""

    def __init__(self, optimizer: Optimizer):
        with provenance.within(None):  # no line of the user made these expressions
            size = dim("P")
            self.optimizer = optimizer
            names = list(optimizer.slots)
            theta, gradient, visits, step = data("theta", size), data("gradient", size), data("visits", size), data("step")
            slots = {name: data(name, size) for name in names}
            updates = optimizer.updates(theta, gradient, slots, visits, step)
            self.targets = list(updates)
            outputs = [output_of(f"new_{name}", value + 0.0 * theta) for name, value in updates.items()]
        self.request = Request(outputs, name=f"update_{type(optimizer).__name__.lower()}")
        self.result = compile_request(self.request)

    def slots(self, size: int) -> dict[str, np.ndarray]:
        """Slot arrays at their initial values."""
        return {name: np.full(size, float(value)) for name, value in self.optimizer.slots.items()}


class BoundUpdate:
    """The updates on the arrays of one segment. New values are computed aside and then copied: all right sides see old values."""

    def __init__(
        self,
        kernel: UpdateKernel,
        theta: np.ndarray,
        gradient: np.ndarray,
        visits: np.ndarray,
        step: np.ndarray,
        slots: dict[str, np.ndarray],
        rate: np.ndarray,
    ):
        arrays = {"theta": theta, "gradient": gradient, "visits": visits, "step": step.reshape(()), "rate": rate, **slots}
        compiled = kernel.result.compiled
        size = theta.size
        inputs = {entry["name"]: arrays[entry["name"]].reshape(() if not entry["dims"] else (size,)) for entry in compiled.inputs.values()}
        self.binding = Binding(compiled, {"P": size}, inputs)
        self.arrays = arrays
        helpers = self.binding.helpers
        self.copies = np.zeros((len(kernel.targets), 12), dtype=np.int64)
        rows = [self.binding.program]
        for row, name in zip(self.copies, kernel.targets, strict=True):
            target = arrays[name]
            source = self.binding.outputs[f"new_{name}"]
            row[:7] = (8, 1, size, size, 0, source.ctypes.data, target.ctypes.data)
            rows.append(np.array([[helpers.operator_address("concatenate"), row.ctypes.data, -1]], dtype=np.int64))
        self.program = np.ascontiguousarray(np.vstack(rows))
        self.entry_table = np.array(
            [self.program.ctypes.data, *self.program.shape, self.binding.table.ctypes.data, self.binding.table.size], dtype=np.int64
        )

    def extent_slot(self) -> int:
        """The slot of P in the kernel's table: a segment's size may change from step to step."""
        return next(slot for size, slot, _ in self.binding.compiled.manifest["sizes"] if size == "P")
