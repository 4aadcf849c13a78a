"""The trainer: an objective, its data and an optimiser in memory, stepped by the compiled loop.

All parameters that no batch slices form one flat segment; a parameter over a batched plate is a segment of its own, whose
rows, slots and visit counts travel through batch buffers. Python is entered once per chunk of steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from symvi.errors import DataError, NonFiniteError
from symvi.expr.leaf import Leaf
from symvi.fit import loop_layout as layout
from symvi.fit.batch_plan import BatchPlan
from symvi.fit.function import raise_status
from symvi.fit.leaves import Sizes, bind_array, check_index
from symvi.fit.loop_layout import Segment
from symvi.fit.objective import Objective
from symvi.fit.updates import BoundUpdate, UpdateKernel
from symvi.optim.optimizer import Optimizer
from symvi.runtime.binding import Binding

__all__ = ["Trainer", "bind_data"]

STREAM_TRAIN = 0


def bind_data(objective: Objective, data: Mapping[Leaf, Any], sizes: Sizes, incomplete: Iterable[Leaf] = ()) -> dict[Leaf, np.ndarray]:
    """Data arrays by leaf, checked; sizes are learnt from them. Entries of `incomplete` leaves may be missing (NaN, or -1)."""
    incomplete = set(incomplete)
    arrays: dict[Leaf, np.ndarray] = {}
    own = set(objective.scales.values())
    for leaf in objective.leaves:
        if leaf.role not in ("data", "anonymous", "shared") or leaf in own:
            continue
        value = data.get(leaf, leaf.attributes.get("value"))
        if value is None:
            continue
        array = bind_array(leaf, value, objective.dtype, finite=leaf not in incomplete)
        sizes.learn(leaf, array)
        arrays[leaf] = array.reshape([n for n, dim in zip(array.shape, leaf.shape, strict=True) if dim != 1])
    for leaf, array in arrays.items():
        if leaf.index_of is not None:
            sizes.require([leaf.index_of])
            check_index(leaf, np.maximum(array, 0) if leaf in incomplete else array, leaf.index_of.size(sizes.values))
    return arrays


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
        average_eta: float = 0.0,
        rate: float | None = None,
        incomplete: Iterable[Leaf] = (),
    ):
        self.objective, self.optimizer, self.sizes, self.seed = objective, optimizer, sizes, seed
        self.rate = np.array(0.0 if rate is None else rate)  # read by an optimiser whose rate is the data leaf `rate`
        self.data = bind_data(objective, data, sizes, incomplete)
        missing = [leaf for leaf in objective.leaves if leaf.role in ("data", "anonymous") and leaf not in self.data and leaf not in objective.scales.values()]
        if missing:
            raise DataError(f"no data are given for {', '.join(leaf.name for leaf in missing)} (from {missing[0].site})")
        for leaf in objective.leaves:
            sizes.require(leaf.shape)
        self.result = objective.compile()
        raw = init if init is not None else objective.initial(sizes, seed)
        self.step = 0
        self.history = np.zeros(0)
        self.averaging = np.array([average_from, average_eta])
        self._lay_out(raw)
        self._bind()
        self._bind_updates()

    # -- memory ------------------------------------------------------------------------------------------------
    def _lay_out(self, raw: Mapping[Leaf, np.ndarray]) -> None:
        """Global parameters in one flat vector, parameters over batched plates apart."""
        self.batched = self.objective.batched_dims()
        self.locals = [leaf for leaf in raw if any(dim in self.batched for dim in self.objective.raw[leaf].array_shape)]
        self.globals = [leaf for leaf in raw if leaf not in self.locals]
        size = sum(raw[leaf].size for leaf in self.globals)
        self.theta = np.zeros(size)
        self.views: dict[Leaf, np.ndarray] = {}
        self.places: dict[Leaf, slice] = {}
        start = 0
        for leaf in self.globals:
            place = slice(start, start + raw[leaf].size)
            self.places[leaf] = place
            self.views[leaf] = self.theta[place].reshape(raw[leaf].shape)
            self.views[leaf][...] = raw[leaf]
            start = place.stop
        for leaf in self.locals:
            self.views[leaf] = raw[leaf].copy()

    def _bind(self) -> None:
        self.plan = self._batch_plan() if self.batched else None
        self.rows = {str(dim): self.plan.rows(str(dim)) for dim in self.batched} if self.plan else {}
        extents = dict(self.sizes.values)
        for dim in self.batched:
            extents[str(dim)] = self.plan.capacity(str(dim))
        objective, compiled = self.objective, self.result.compiled
        self.gradients: dict[Leaf, np.ndarray] = {}
        self.flat_gradient = np.zeros(self.theta.size)
        self.batch_views: dict[Leaf, np.ndarray] = {}
        inputs: dict[str, np.ndarray] = {}
        outputs: dict[str, np.ndarray] = {}
        raw_of = {objective.raw[leaf]: leaf for leaf in objective.parameters}
        self.single: list[tuple[np.ndarray, np.ndarray]] = []
        for number, entry in compiled.inputs.items():
            leaf = objective.leaves[number]
            if leaf.role == "param":
                inputs[entry["name"]] = self._parameter(raw_of[leaf])
            elif leaf.role != "noise":
                inputs[entry["name"]] = self._datum(leaf)
        for leaf in objective.parameters:
            name = f"g_{objective.names.get(objective.raw[leaf], '')}"
            if name in compiled.buffers:
                outputs[name] = self._gradient(leaf)
        self.value = np.zeros(1)
        outputs["value"] = self.value.reshape(())
        casts = self._casts(inputs, outputs)
        self.binding = Binding(compiled, extents, inputs, full_sizes=self.sizes.values, outputs=outputs, rows=self.rows)
        for dim in self.batched:
            for size, slot, _ in compiled.manifest["sizes"]:
                if size == str(dim):
                    self.plan.extent(self.binding.table, slot, str(dim))
        self._entry(casts)

    def _parameter(self, leaf: Leaf) -> np.ndarray:
        if leaf not in self.locals:
            return self.views[leaf]
        self.batch_views[leaf] = self._carry(self.objective.names[self.objective.raw[leaf]], self.objective.raw[leaf], self.views[leaf], scatter=True)
        return self.batch_views[leaf]

    def _gradient(self, leaf: Leaf) -> np.ndarray:
        if leaf in self.locals:
            self.gradients[leaf] = np.zeros(self.batch_views[leaf].shape)
        else:
            self.gradients[leaf] = self.flat_gradient[self.places[leaf]].reshape(self.views[leaf].shape)
        return self.gradients[leaf]

    def _datum(self, leaf: Leaf) -> np.ndarray:
        for dim, scale in self.objective.scales.items():
            if leaf is scale:
                return np.array(self.plan.scale(str(dim)), dtype=self.objective.dtype)
        array = self.data[leaf]
        if leaf.index_of in self.batched and any(dim in self.batched for dim in leaf.array_shape):
            return self.plan.positions(str(leaf.array_shape[0]))
        return self._carry(leaf.name, leaf, array)

    def _carry(self, name: str, leaf: Leaf, array: np.ndarray, scatter: bool = False) -> np.ndarray:
        axes = {k: str(dim) for k, dim in enumerate(leaf.array_shape) if dim in self.batched}
        return self.plan.carry(name, array, axes, scatter) if axes else array

    def _batch_plan(self) -> BatchPlan:
        plan = BatchPlan()
        for dim, size in self.objective.batch_size.items():
            plan.sample(str(dim), self.sizes.values[str(dim)] if dim.value is None else dim.value, int(size))
        waiting = [dim for dim, sampled in self.batched.items() if dim != sampled]
        for dim in waiting:
            leaf = next(leaf for leaf in self.data if leaf.index_of is not None and leaf.index_of in self.batched and leaf.array_shape == (dim,))
            plan.belonging(str(dim), str(leaf.index_of), self.data[leaf], leaf.name)
        return plan

    def _casts(self, inputs: dict, outputs: dict) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """float32 kernels read and write copies of the float64 parameters and gradients."""
        if self.objective.dtype == np.float64:
            return []
        casts = []
        for name, array in list(inputs.items()):
            if array.dtype == np.float64:
                inputs[name] = array.astype(np.float32)
                casts.append(("narrow", array, inputs[name]))
        for name, array in list(outputs.items()):
            outputs[name] = array.astype(np.float32)
            casts.append(("widen", outputs[name], array))
        return casts

    def _entry(self, casts) -> None:
        """The kernel's program, with casts around it, as an entry of the loop."""
        helpers = self.binding.helpers
        self.cast_tables = np.zeros((len(casts) + 1, 4), dtype=np.int64)
        ahead, behind = [], []
        for row, (direction, source, target) in zip(self.cast_tables, casts, strict=False):
            row[:3] = (source.size, source.ctypes.data, target.ctypes.data)
            step = [helpers.operator_address(direction), row.ctypes.data, -1]
            (ahead if direction == "narrow" else behind).append(step)
        self.cast_arrays = casts
        parts = [np.array(ahead, dtype=np.int64).reshape(-1, 3), self.binding.program, np.array(behind, dtype=np.int64).reshape(-1, 3)]
        self.program = np.ascontiguousarray(np.vstack(parts))
        self.steps_ahead = len(ahead)
        self.entry_table = np.array([self.program.ctypes.data, *self.program.shape, self.binding.table.ctypes.data, self.binding.table.size], dtype=np.int64)

    def _bind_updates(self) -> None:
        kernel = UpdateKernel(self.optimizer)
        self.step_value = np.zeros(1)
        self.segments: list[Segment] = []
        self.updates: list[BoundUpdate] = []
        self.slots: list[dict[str, np.ndarray]] = []
        self.averages: dict[Leaf, np.ndarray] = {}
        self.variances: dict[Leaf, np.ndarray] = {}
        self._segment(kernel, self.theta, self.flat_gradient, None)
        self.mean, self.variance = self.segments[0].mean, self.segments[0].variance
        for leaf in self.globals:
            self.averages[leaf] = self.mean[self.places[leaf]].reshape(self.views[leaf].shape)
            self.variances[leaf] = self.variance[self.places[leaf]].reshape(self.views[leaf].shape)
        for leaf in self.locals:
            self._segment(kernel, self.batch_views[leaf].reshape(-1), self.gradients[leaf].reshape(-1), leaf)
        self.segment_rows = np.array([segment.row() for segment in self.segments], dtype=np.int64)
        self.update_tables = np.array([update.entry_table for update in self.updates], dtype=np.int64)
        self.state = np.zeros(layout.STATE_FIELDS, dtype=np.int64)
        if self.plan is not None:
            for position, leaf in enumerate(self.locals, start=1):
                self._vary(position, leaf)
            self.plan_arrays = self.plan.arrays()
        else:
            self.plan_arrays = (None, None, None)

    def _segment(self, kernel: UpdateKernel, theta: np.ndarray, gradient: np.ndarray, leaf: Leaf | None) -> None:
        extra = {name: np.zeros(theta.size) for name in ("visits", "mean", "variance", "averaged")}
        slots = kernel.slots(theta.size)
        if leaf is not None:
            raw = self.objective.raw[leaf]
            full = self.views[leaf]
            stored = {name: np.zeros(full.shape) for name in extra} | {name: np.full(full.shape, array.flat[0] if array.size else 0.0) for name, array in slots.items()}
            carried = {name: self._carry(f"{name} of {leaf.name}", raw, array, scatter=True).reshape(-1) for name, array in stored.items()}
            extra = {name: carried[name] for name in extra}
            slots = {name: carried[name] for name in slots}
            self.averages[leaf], self.variances[leaf] = stored["mean"], stored["variance"]
            self.local_state = getattr(self, "local_state", {}) | {leaf: stored}
        segment = Segment(theta, gradient, extra["visits"], extra["mean"], extra["variance"], extra["averaged"], np.zeros(theta.size) if leaf is None else None)
        self.segments.append(segment)
        self.slots.append(slots)
        self.updates.append(BoundUpdate(kernel, theta, gradient, extra["visits"], self.step_value, slots, self.rate))

    def _vary(self, position: int, leaf: Leaf) -> None:
        """The size of a local segment follows the rows of the step."""
        shape = self.objective.raw[leaf].array_shape
        dim = next(dim for dim in shape if dim in self.batched)
        rows = self.batch_views[leaf].shape[shape.index(dim)]
        factor = self.batch_views[leaf].size // max(rows, 1)
        self.plan.extent(self.segment_rows[position], layout.SEGMENT_SIZE, str(dim), factor)
        update = self.updates[position]
        self.plan.extent(update.binding.table, update.extent_slot(), str(dim), factor)
        for row in update.copies:
            self.plan.extent(row, 2, str(dim), factor)
            self.plan.extent(row, 3, str(dim), factor)

    # -- stepping ----------------------------------------------------------------------------------------------
    def run(self, steps: int) -> np.ndarray:
        """Take steps; the bound at each of them. Raises NonFiniteError with parameters at the last finite state."""
        helpers = self.binding.helpers
        history = np.zeros(steps)
        self.binding.key[:] = (self.seed, STREAM_TRAIN, self.step)
        loop = helpers.training_loop(self.plan is not None)
        good = loop(
            helpers.program_entry, self.entry_table, helpers.program_entry, self.update_tables, self.segment_rows, self.binding.key, self.value,
            self.step_value, self.step, steps, history, self.averaging, self.state, *self.plan_arrays,
        )  # fmt: skip
        self.history = np.concatenate([self.history, history[:good]])
        self.step += int(good)
        if good < steps:
            self._raise()
        return history[:good]

    def _raise(self) -> None:
        code, segment, element = (int(v) for v in self.state[: layout.STATE_KEPT])
        where = f" at step {self.step}"
        if code < layout.VALUE_NOT_FINITE or code > layout.UPDATE_FAILED:
            step = (code & 0xFFFFFFFF) - self.steps_ahead
            raise_status(self.binding, (code >> 32 << 32) | step, where)
        if code == layout.VALUE_NOT_FINITE:
            raise NonFiniteError(f"the bound became {self.value[0]}{where}: {self._culprit()}. Parameters stay at the last finite state")
        name = self._coordinate(segment, element)
        what = {layout.GRADIENT_NOT_FINITE: "the gradient", layout.PARAMETER_NOT_FINITE: "the parameter"}.get(code, "the update")
        raise NonFiniteError(f"{what} of {name} is not finite{where}: {self._culprit()}. Parameters stay at the last finite state")

    def _culprit(self) -> str:
        from symvi.fit.blame import first_non_finite

        return first_non_finite(self)

    def _coordinate(self, segment: int, element: int) -> str:
        leaves = self.globals if segment == 0 else [self.locals[segment - 1]]
        for leaf in leaves:
            place = self.places.get(leaf, slice(0, self.views[leaf].size))
            if place.start <= element < place.stop:
                index = np.unravel_index(element - place.start, self.views[leaf].shape) if self.views[leaf].ndim else ()
                return leaf.name + (f"[{', '.join(map(str, index))}]" if index else "")
        return "a parameter"

    def evaluate(self, steps: int, stream: int = 1, first: int = 0) -> np.ndarray:
        """The bound at the present parameters for several draws (and batches)."""
        helpers = self.binding.helpers
        history = np.zeros(steps)
        self.binding.key[:] = (self.seed, stream, first)
        loop = helpers.evaluation_loop(self.plan is not None)
        good = loop(helpers.program_entry, self.entry_table, self.binding.key, self.value, first, steps, history, self.state, *self.plan_arrays)
        if good < steps:
            self._raise()
        return history

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The bound and its flat gradient at a vector of global parameters, with the draws of step 0: deterministic."""
        self.theta[:] = theta
        value = self.evaluate(1, STREAM_TRAIN, 0)[0]
        return float(value), self.flat_gradient.copy()

    def raw_parameters(self, averaged: bool = False) -> dict[Leaf, np.ndarray]:
        """Unconstrained parameters, or the averages of their iterates."""
        source = self.averages if averaged else self.views
        return {leaf: source[leaf].copy() for leaf in (*self.globals, *self.locals)}

    def set_parameters(self, raw: Mapping[Leaf, np.ndarray]) -> None:
        for leaf, array in raw.items():
            self.views[leaf][...] = np.asarray(array).reshape(self.views[leaf].shape)
