"""The kernel of an objective bound to parameters, data and batch buffers, as an entry of the compiled loop."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symvi.expr.leaf import Leaf
from symvi.fit.batch_plan import BatchPlan
from symvi.fit.flat_passes import FlatPasses, FloatCopies
from symvi.fit.leaves import Sizes
from symvi.fit.objective import Objective
from symvi.fit.parameters import Parameters
from symvi.fit.pipeline import Result
from symvi.runtime.binding import Binding

__all__ = ["BoundKernel"]


class BoundKernel:
    """`value`, `gradients` by parameter and `entry_table` for the loop; `plan` says what a minibatch copies, None without one."""

    def __init__(self, objective: Objective, parameters: Parameters, data: Mapping[Leaf, np.ndarray], sizes: Sizes):
        self.objective, self.parameters, self.data, self.sizes = objective, parameters, data, sizes
        self.batched = objective.batched_dims()
        self.plan = self._batch_plan() if self.batched else None
        self.flat_gradient = np.zeros(parameters.theta.size)
        self.gradients: dict[Leaf, np.ndarray] = {}
        self.batch_views: dict[Leaf, np.ndarray] = {}
        self.value = np.zeros(1)
        extents = dict(sizes.values)
        rows = {}
        for dim in self.batched:
            extents[str(dim)] = self.plan.capacity(str(dim))
            rows[str(dim)] = self.plan.rows(str(dim))
        self.result = result = objective.compile(extents)
        inputs, outputs = self._arrays(result)
        casts = self._casts(inputs, outputs)
        self.binding = Binding(result.compiled, extents, inputs, full_sizes=sizes.values, outputs=outputs, rows=rows)
        for size, slot, _ in result.compiled.manifest["sizes"]:
            if size in rows:
                self.plan.extent(self.binding.table, slot, size)
        self._make_entry(*casts)

    # -- arrays ------------------------------------------------------------------------------------------------
    def _arrays(self, result: Result) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Inputs and outputs of the kernel by name."""
        objective, compiled = self.objective, result.compiled
        of_raw = {objective.raw[leaf]: leaf for leaf in objective.parameters}
        inputs, outputs = {}, {"value": self.value.reshape(())}
        for number, entry in compiled.inputs.items():
            leaf = objective.leaves[number]
            if leaf.role == "param":
                inputs[entry["name"]] = self._parameter(of_raw[leaf])
            elif leaf.role != "noise":
                inputs[entry["name"]] = self._datum(leaf)
        for leaf in objective.parameters:
            name = f"g_{objective.names.get(objective.raw[leaf], '')}"
            if name in compiled.buffers:
                outputs[name] = self._gradient(leaf)
        return inputs, outputs

    def _parameter(self, leaf: Leaf) -> np.ndarray:
        view, raw = self.parameters.views[leaf], self.objective.raw[leaf]
        if leaf in self.parameters.places:
            return view
        self.batch_views[leaf] = self.carry(self.objective.names[raw], raw, view, scatter=True)
        return self.batch_views[leaf]

    def _gradient(self, leaf: Leaf) -> np.ndarray:
        if leaf in self.parameters.places:
            self.gradients[leaf] = self.parameters.part(self.flat_gradient, leaf)
        else:
            self.gradients[leaf] = np.zeros(self.batch_views[leaf].shape)
        return self.gradients[leaf]

    def _datum(self, leaf: Leaf) -> np.ndarray:
        for dim, scale in self.objective.scales.items():
            if leaf is scale:
                return np.array(self.plan.scale(str(dim)), dtype=self.objective.dtype)
        if leaf.index_of in self.batched and any(dim in self.batched for dim in leaf.array_shape):
            return self.plan.positions(str(leaf.array_shape[0]))
        return self.carry(leaf.name, leaf, self.data[leaf])

    def carry(self, name: str, leaf: Leaf, array: np.ndarray, scatter: bool = False) -> np.ndarray:
        """The batch buffer of an array with the axes of `leaf`, or the array itself if none of them is batched."""
        axes = {k: str(dim) for k, dim in enumerate(leaf.array_shape) if dim in self.batched}
        return self.plan.carry(name, array, axes, scatter) if axes else array

    def _batch_plan(self) -> BatchPlan:
        plan = BatchPlan()
        for dim, rows in self.objective.batch_size.items():
            plan.sample(str(dim), dim.size(self.sizes.values), int(rows))
        for dim in [dim for dim, sampled in self.batched.items() if dim != sampled]:
            leaf = next(
                leaf for leaf in self.data if leaf.index_of is not None and leaf.index_of in self.batched and leaf.array_shape == (dim,)
            )
            plan.belonging(str(dim), str(leaf.index_of), self.data[leaf], leaf.name)
        return plan

    # -- the entry ---------------------------------------------------------------------------------------------
    def _casts(self, inputs: dict, outputs: dict) -> tuple[list, list]:
        """float32 kernels read and write copies of the float64 parameters and results: (float64, float32) of inputs, of outputs."""
        if self.objective.dtype == np.float64:
            return [], []
        read, written = FloatCopies([self.parameters.theta]), FloatCopies([self.flat_gradient])
        for copies, arrays in ((read, inputs), (written, outputs)):
            for name, array in arrays.items():
                if array.dtype == np.float64:
                    arrays[name] = copies.of(array)
        return read.pairs, written.pairs

    def _make_entry(self, read: list, written: list) -> None:
        """The kernel's program, with casts around it, as an entry of the loop."""
        self.passes = passes = FlatPasses(self.binding, self.flat_gradient.size)
        total = np.zeros(1)
        ahead = [passes.step("narrow", double, single) for double, single in read]
        behind = [passes.step("widen", single, double, total if double is self.flat_gradient else None) for double, single in written]
        if not written and passes.shards > 1:
            behind.append(passes.step("sum", self.flat_gradient, total=total))
        self.gradient_total = total if behind else None
        parts = [np.array(ahead, dtype=np.int64).reshape(-1, 3), self.binding.program, np.array(behind, dtype=np.int64).reshape(-1, 3)]
        self.program = np.ascontiguousarray(np.vstack(parts))
        self.steps_ahead = len(ahead)
        self.entry_table = np.array(
            [self.program.ctypes.data, *self.program.shape, self.binding.table.ctypes.data, self.binding.table.size], dtype=np.int64
        )
