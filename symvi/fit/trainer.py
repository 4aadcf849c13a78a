"""The trainer: an objective, its data and an optimiser in memory, stepped by the compiled loop.

All parameters that no batch slices form one flat segment; a parameter over a batched plate is a segment of its own, whose
rows, slots and visit counts travel through batch buffers. Python is entered once per chunk of steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from symvi.expr.leaf import Leaf
from symvi.fit import loop_layout as layout
from symvi.fit.bound_kernel import BoundKernel
from symvi.fit.data_binding import bind_data, require_data
from symvi.fit.failures import raise_failure
from symvi.fit.inspection import explain_result, inspect_result
from symvi.fit.leaves import Sizes
from symvi.fit.loop_layout import Segment
from symvi.fit.objective import Objective
from symvi.fit.parameters import Parameters
from symvi.fit.updates import KEPT, TOTAL, BoundUpdate, UpdateKernel
from symvi.optim.optimizer import Optimizer
from symvi.runtime.binding import threads_for

__all__ = ["Trainer"]

STREAM_TRAIN, STREAM_EVALUATE = 0, 1
AVERAGES = ("average", "average_variance", "averaged")  # no slot of an optimiser is called so


class Trainer:
    """State of a training run: parameters, slots, visits, averages, history."""

    def __init__(
        self,
        objective: Objective,
        data: Mapping[Leaf, Any],
        optimizer: Optimizer,
        sizes: Sizes,
        seed: int = 0,
        init: Mapping[Leaf, np.ndarray] | None = None,
        average_from: float = np.inf,
        rate: float = 0.0,
        incomplete: Iterable[Leaf] = (),
    ):
        self.objective, self.optimizer, self.sizes, self.seed = objective, optimizer, sizes, seed
        self.rate = np.array(rate)  # read by an optimiser whose rate is the data leaf `rate`
        self.data = bind_data(objective, data, sizes, incomplete)
        require_data(objective, self.data, sizes, incomplete)
        raw = init if init is not None else objective.initial(sizes, seed)
        batched = objective.batched_dims()
        local = [leaf for leaf in raw if any(dim in batched for dim in objective.raw[leaf].array_shape)]
        self.parameters = Parameters(raw, local)
        self.kernel = BoundKernel(objective, self.parameters, self.data, sizes)
        self.result = self.kernel.result
        self.step = 0
        self.history = np.zeros(0)
        self.averaging = np.array([average_from, 0.0])
        self.state = np.zeros(layout.STATE_FIELDS, dtype=np.int64)
        self.step_value = np.zeros(1)
        self._make_segments()
        self.plan_arrays = (None, None, None) if self.plan is None else self.plan.arrays(self.binding.helpers.operator_address)

    # -- what others read --------------------------------------------------------------------------------------
    @property
    def theta(self) -> np.ndarray:
        """The flat vector of global unconstrained parameters."""
        return self.parameters.theta

    @property
    def views(self) -> dict[Leaf, np.ndarray]:
        return self.parameters.views

    @property
    def leaves(self) -> list[Leaf]:
        """All parameters: global ones, then those over batched plates."""
        return self.parameters.leaves

    @property
    def locals(self) -> list[Leaf]:
        return self.parameters.locals

    @property
    def gradients(self) -> dict[Leaf, np.ndarray]:
        """The gradient of the last evaluation by parameter (of a local one: of the rows of the batch)."""
        return self.kernel.gradients

    @property
    def binding(self):
        return self.kernel.binding

    @property
    def value(self) -> np.ndarray:
        return self.kernel.value

    @property
    def particles(self) -> int:
        """Draws per step of a fit; 1 for a bound without an axis of draws."""
        return self.sizes.values.get("draws", 1)

    @property
    def _pools(self) -> list[np.ndarray]:
        return [] if self.plan is None else self.plan.pools

    @property
    def plan(self):
        """What a minibatch copies, None without minibatches."""
        return self.kernel.plan

    def inspect(self, what: str = "python", timing: bool = False) -> str:
        """The emitted code ("python", "llvm", "asm"), or what led to it ("math", "rules" with hits and times on request, "plan")."""
        return inspect_result(self.result, what, timing)

    def explain(self, timing: bool = False, as_text: bool = False) -> str | None:
        """Print which rule changed what, in mathematics, with your line; with hits and time per rule on request. Or give it as text."""
        return explain_result(self.result, timing, as_text)

    # -- segments ----------------------------------------------------------------------------------------------
    def _make_segments(self) -> None:
        self.segments: list[Segment] = []
        self.updates: list[BoundUpdate] = []
        self.slots: list[dict[str, np.ndarray]] = []  # of the global segment, then those of each local one, in full
        self.local_state: dict[Leaf, dict[str, np.ndarray]] = {}
        self._global_segment(UpdateKernel(self.optimizer, together=True))
        update = UpdateKernel(self.optimizer, together=False) if self.locals else None
        for leaf in self.locals:
            self._local_segment(update, leaf)
        self.segment_rows = np.array([segment.row() for segment in self.segments], dtype=np.int64)
        self.update_tables = np.array([bound.entry_table for bound in self.updates], dtype=np.int64)
        for position, leaf in enumerate(self.locals, start=1):
            self._vary(position, leaf)

    def _global_segment(self, update: UpdateKernel) -> None:
        """All of it is updated at every step: one number counts visits, one averaged iterates."""
        size = self.theta.size
        mean, variance, kept = (np.zeros(size) for _ in range(3))
        visits, averaged, total = (np.zeros(1) for _ in range(3))
        segment = Segment(self.theta, self.kernel.flat_gradient, visits, mean, variance, averaged, kept, total, self.kernel.gradient_total)
        self._add_segment(update, segment, update.slots(size))
        self.averages = {leaf: self.parameters.part(mean, leaf) for leaf in self.parameters.globals}
        self.variances = {leaf: self.parameters.part(variance, leaf) for leaf in self.parameters.globals}

    def _local_segment(self, update: UpdateKernel, leaf: Leaf) -> None:
        """A parameter over a batched plate: everything that goes with it is kept in full and travels through buffers."""
        raw, shape = self.objective.raw[leaf], self.views[leaf].shape
        stored = {name: np.zeros(shape) for name in ("visits", *AVERAGES)}
        stored |= {name: np.full(shape, float(value)) for name, value in self.optimizer.slots.items()}
        carried = {
            name: self.kernel.carry(f"{name} of {leaf.name}", raw, array, scatter=True).reshape(-1) for name, array in stored.items()
        }
        theta, gradient = self.kernel.batch_views[leaf].reshape(-1), self.gradients[leaf].reshape(-1)
        segment = Segment(theta, gradient, carried["visits"], *(carried[name] for name in AVERAGES))
        self._add_segment(update, segment, {name: carried[name] for name in self.optimizer.slots})
        self.local_state[leaf] = stored
        self.averages[leaf], self.variances[leaf] = stored["average"], stored["average_variance"]

    def _add_segment(self, update: UpdateKernel, segment: Segment, slots: dict[str, np.ndarray]) -> None:
        self.segments.append(segment)
        self.slots.append(slots)
        arrays = {"theta": segment.theta, "gradient": segment.gradient, "visits": segment.visits}
        if segment.total is not None:
            arrays |= {KEPT: segment.kept, TOTAL: segment.total}
        self.updates.append(BoundUpdate(update, arrays, self.step_value, slots, self.rate))

    def _vary(self, position: int, leaf: Leaf) -> None:
        """The size of a local segment follows the rows of the step."""
        shape = self.objective.raw[leaf].array_shape
        dim = next(dim for dim in shape if dim in self.kernel.batched)
        rows = self.kernel.batch_views[leaf].shape[shape.index(dim)]
        factor = self.kernel.batch_views[leaf].size // max(rows, 1)
        self.plan.extent(self.segment_rows[position], layout.SEGMENT_SIZE, str(dim), factor)
        update = self.updates[position]
        self.plan.extent(update.binding.table, update.extent_slot(), str(dim), factor)
        for row in update.copies:
            self.plan.extent(row, 2, str(dim), factor)
            self.plan.extent(row, 3, str(dim), factor)

    # -- stepping ----------------------------------------------------------------------------------------------
    def run(self, steps: int) -> np.ndarray:
        """Take steps; the bound at each of them. Raises NonFiniteError with parameters at the last finite state."""
        history = np.zeros(steps)
        good = self.take(self.step, steps, history)
        self.history = np.concatenate([self.history, history[:good]])
        self.step += good
        if good < steps:
            raise_failure(self, self.step)
        return history

    def take(self, first: int, steps: int, history: np.ndarray) -> int:
        """Steps from number `first` on, the bound at each into `history`; returns how many were good."""
        helpers = self.binding.helpers
        self.binding.key[:] = (self.seed, STREAM_TRAIN, first)
        loop = helpers.training_loop(self.plan is not None)
        kernel = (helpers.program_entry, self.kernel.entry_table, helpers.program_entry, self.update_tables, self.segment_rows)
        state = (self.binding.key, self.value, self.step_value, first, steps, history, self.averaging, self.state)
        with threads_for(self.binding, *(update.binding for update in self.updates), pools=self._pools):
            return int(loop(*kernel, *state, *self.plan_arrays))

    def evaluate(self, steps: int, stream: int = STREAM_EVALUATE, first: int = 0) -> np.ndarray:
        """The bound at the present parameters for several draws (and batches)."""
        helpers = self.binding.helpers
        history = np.zeros(steps)
        self.binding.key[:] = (self.seed, stream, first)
        loop = helpers.evaluation_loop(self.plan is not None)
        table = self.kernel.entry_table
        with threads_for(self.binding, pools=self._pools):
            good = loop(helpers.program_entry, table, self.binding.key, self.value, first, steps, history, self.state, *self.plan_arrays)
        if good < steps:
            raise_failure(self, first + int(good))
        return history

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The bound and its flat gradient at a vector of global parameters, with the draws of step 0: deterministic."""
        self.theta[:] = theta
        value = self.evaluate(1, STREAM_TRAIN, 0)[0]
        return float(value), self.kernel.flat_gradient.copy()

    # -- parameters --------------------------------------------------------------------------------------------
    def raw_parameters(self, averaged: bool = False) -> dict[Leaf, np.ndarray]:
        """Unconstrained parameters, or the averages of their iterates."""
        source = self.averages if averaged else self.views
        return {leaf: source[leaf].copy() for leaf in self.leaves}

    def set_parameters(self, raw: Mapping[Leaf, np.ndarray]) -> None:
        for leaf, array in raw.items():
            self.views[leaf][...] = np.asarray(array).reshape(self.views[leaf].shape)

    def flat_averages(self) -> np.ndarray:
        """The averages of all parameters in one vector."""
        return np.concatenate([self.averages[leaf].ravel() for leaf in self.leaves]) if self.leaves else np.zeros(0)

    def set_averages(self, flat: np.ndarray) -> None:
        start = 0
        for leaf in self.leaves:
            size = self.averages[leaf].size
            self.averages[leaf][...] = flat[start : start + size].reshape(self.averages[leaf].shape)
            start += size

    def reset_averages(self) -> None:
        """Start the running averages anew."""
        for array in (self.segments[0].mean, self.segments[0].variance, self.segments[0].averaged):
            array[:] = 0.0
        for stored in self.local_state.values():
            for name in AVERAGES:
                stored[name][...] = 0.0
