"""The manifest of an emitted module: what binding needs to know, as JSON.

    sizes        [name, slot of the extent, slot of the full size]
    buffers      name, slot in the table, role, kind, dims, the axis that is a block of rows (or -1), the leaf's number if it is one,
                 the order of the leaf's axes where it is not its own
    steps        {function, plate, work, totals, scratch}, {operator, buffers, batch, order, columns, flag}
                 or {draw, buffer, site, row_axis}
    block_draws  [slot, buffer, kind, site, row axis]: noise drawn inside a pass, block by block
    in_place     {result: input}: results that the functions write over an input; binding gives both the same array
    guards       [smaller dim, larger dim, text]: inequalities between sizes for which this module was made, checked at binding

The function of a plate does `work` operations; its `totals` [buffer, operation] are sums over the plate that it stores, its `scratch`
are arrays that belong to the thread that runs it.

A dim is [[coefficient, [names of sizes]], ...], a sum of products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symvi.expr.dims import Dim
from symvi.expr.nodes import Input
from symvi.expr.printing import text
from symvi.expr.provenance import site_of
from symvi.loops.steps import total_operation
from symvi.plan.program import Buffer, DrawCall, Region

if TYPE_CHECKING:
    from symvi.targets.cpu.module import Emitter

__all__ = ["manifest_of"]


def manifest_of(emitter: Emitter) -> dict:
    """The manifest of a module whose functions have been emitted."""
    plan = emitter.plan
    return {
        "name": emitter.name,
        "dtype": emitter.dtype,
        "table": emitter.table_size,
        "sizes": [[size, emitter.extent_slot[size], emitter.full_slot[size]] for size in emitter.sizes],
        "buffers": [_buffer_entry(emitter, buffer) for buffer in emitter.all_buffers()],
        "steps": [_step_entry(emitter, step) for step in plan.steps],
        "block_draws": [
            [emitter.draw_slots[buffer.name], _name(buffer), buffer.node.leaf.noise_kind, site, emitter.block_axis(buffer)]
            for buffer, site in plan.block_draws.values()
        ],
        "in_place": emitter.in_place,
        "plates": [_dim_entry(label.dim) for label in plan.plates],
        "guards": [[_dim_entry(guard.smaller), _dim_entry(guard.larger), str(guard)] for guard in plan.guards],
    }


def _name(buffer: Buffer) -> str:
    return buffer.public or buffer.name


def _buffer_entry(emitter: Emitter, buffer: Buffer) -> dict:
    entry = {
        "name": _name(buffer), "slot": emitter.slots[buffer.name], "role": buffer.role, "kind": buffer.kind,
        "dims": [_dim_entry(dim) for dim in buffer.dims], "block": emitter.block_axis(buffer),
    }  # fmt: skip
    if isinstance(buffer.node, Input):
        entry["leaf"] = emitter.leaf_numbers[buffer.node.leaf]
        if buffer.order is not None:
            entry["order"] = list(buffer.order)
    return entry


def _step_entry(emitter: Emitter, step) -> dict:
    if isinstance(step, Region):
        return _region_entry(emitter, step)
    if isinstance(step, DrawCall):
        row_axis = next((k for k, axis in enumerate(step.buffer.axes) if axis in emitter.plan.plates), 0)
        return {"draw": step.buffer.node.leaf.noise_kind, "buffer": _name(step.buffer), "site": step.site, "row_axis": row_axis}
    return {
        "operator": step.helper, "buffers": [_name(buffer) for buffer in step.buffers], "batch": [_dim_entry(dim) for dim in step.batch],
        "order": _dim_entry(step.order), "columns": _dim_entry(step.columns),
        "flag": _dim_entry(step.flag) if isinstance(step.flag, Dim) else int(step.flag),
        "about": text(step.node.children[0], 60), "site": str(site_of(step.node) or ""),
    }  # fmt: skip


def _region_entry(emitter: Emitter, region: Region) -> dict:
    function = emitter.function_of[region]
    if region.plate is None:
        return {"function": function.name, "plate": None}
    totals = {buffer: total_operation(term, region.plate) for buffer, term in region.stores if region.plate not in buffer.axes}
    draws = [buffer for buffer, _ in emitter.plan.block_draws.values()]
    written = emitter.tiles.values()
    scratch = [buffer for buffer in function.arrays if buffer in draws or (buffer in written and buffer not in totals)]
    return {
        "function": function.name, "plate": _dim_entry(region.plate.dim), "work": _dim_entry(function.work),
        "totals": [[_name(buffer), operation] for buffer, operation in totals.items()],
        "scratch": [_name(buffer) for buffer in dict.fromkeys(scratch)],
    }  # fmt: skip


def _dim_entry(dim: Dim) -> list:
    """A dim as JSON: [[coefficient, [size names]], ...], known sizes multiplied out."""
    entry = []
    for monomial, coefficient in dim.terms:
        names = []
        for name in monomial:
            if name.known is None:
                names.append(name.name)
            else:
                coefficient *= name.known
        entry.append([coefficient, names])
    return entry
