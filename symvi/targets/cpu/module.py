"""A planned program as the text of one Numba module, with the manifest that binding needs.

The module holds C functions `f(n0, n1, table)`: one per region of the plan. Whole-array operations and draws between
them are steps of the program, run by the driver of the helper library.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symvi.expr.dims import Dim, SizeName
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Input, Size, Term, postorder
from symvi.expr.printing import text
from symvi.expr.provenance import site_of
from symvi.loops.ast import Expression, Extent, Function, Statement
from symvi.loops.lower import lower_region
from symvi.loops.naming import Names
from symvi.plan.regions import Buffer, DrawCall, OperatorCall, Plan, Region
from symvi.targets.cpu.printer import Printer

__all__ = ["Module", "emit"]

RESERVED = (
    "np", "cfunc", "table", "real", "BLOCK", "KERNEL", "PASS", "STEPS", "MANIFEST", "draw_rows", "log1p_of_exp", "smallest", "largest",
    "reals64", "reals32", "integers", "booleans", "real64", "real32", "integer", "boolean",
)  # fmt: skip


@dataclass
class Module:
    """The emitted text without its helper import, and what binding must know."""

    source: str
    manifest: dict
    functions: list[Function]


def emit(plan: Plan, name: str, title: str, leaf_names: dict[Leaf, str], leaf_numbers: dict[Leaf, int], dtype: str, helper_module: str) -> Module:
    """The module of a plan. `leaf_names` are the names of the inputs, `leaf_numbers` their places in the user's bound."""
    return _Emitter(plan, name, title, leaf_names, leaf_numbers, dtype, helper_module).run()


class _Emitter:
    def __init__(self, plan: Plan, name: str, title: str, leaf_names, leaf_numbers, dtype: str, helper_module: str):
        self.plan, self.name, self.title, self.dtype, self.helper_module = plan, name, title, dtype, helper_module
        self.leaf_names, self.leaf_numbers = leaf_names, leaf_numbers
        self.names = Names(RESERVED)
        self.size_names: dict[str, str] = {}
        self.tiles: dict[tuple[Term, tuple[Label, ...]], Buffer] = {}
        self._name_buffers()

    # -- names and slots ---------------------------------------------------------------------------------------
    def _name_buffers(self) -> None:
        """Results and the user's leaves first, then sizes, then the variables of the user's lines, then the rest."""
        results = {buffer.name for buffer in self.plan.buffers if buffer.role == "output"}
        for buffer in self.plan.buffers:
            if buffer.role == "output":
                buffer.public, buffer.name = buffer.name, self.names.unique(buffer.name)
        for buffer in self.plan.buffers:
            if isinstance(buffer.node, Input):
                wanted = self.leaf_names[buffer.node.leaf]
                buffer.name = self.names.unique(wanted)
                buffer.public = buffer.name if wanted in results else wanted
                self.names.of_node[buffer.node] = buffer.name
        for size in sorted({size.name for dim in self._dims() for size in dim.names if size.known is None}):
            self.size_names[size] = self.names.unique(size)
            self.names.taken.add(f"size_{self.size_names[size]}")
        self.names.learn_hints(postorder([output.term for output in self.plan.outputs]))
        for buffer in self.plan.buffers:
            if not buffer.name:
                buffer.name = self._scratch_name(buffer)

    def _scratch_name(self, buffer: Buffer) -> str:
        if buffer.node is None:
            prefix = "pivots" if buffer.kind == "pivot" else "lu"
            return self.names.unique(f"{prefix}_{self.names._nearest(buffer.about)}")
        if buffer.node in self.names.of_node:
            return self.names.unique(self.names.of_node[buffer.node])
        return self.names.for_node(buffer.node)

    def _sizes(self) -> list[str]:
        found: dict[str, None] = {}
        for buffer in self.all_buffers():
            for dim in buffer.dims:
                found.update({size.name: None for size in dim.names if size.known is None})
        for function in self.functions:
            for dim in _dims_in(function.body):
                found.update({size.name: None for size in dim.names if size.known is None})
        return sorted(found)

    def all_buffers(self) -> list[Buffer]:
        return [*self.plan.buffers, *self.tiles.values()]

    def _dims(self) -> Iterable[Dim]:
        """Every dim that the program may mention: of arrays, loops and sizes."""
        for node in postorder([output.term for output in self.plan.outputs]):
            yield from (axis.dim for axis in node.labels) if node.is_term else node.shape
            yield from (label.dim for label in getattr(node, "bound", ()))
            if isinstance(node, Size):
                yield node.dim
        for output in self.plan.outputs:
            yield from (axis.dim for axis in output.axes)

    def _new_tile(self, region: Region):
        """Scratch of one function. A value that several functions compute again has one tile."""

        def make(term: Term, axes: tuple[Label, ...]) -> Buffer:
            if (term, axes) not in self.tiles:
                name = self.names.for_node(term)
                if any(buffer.name == name for buffer in self.all_buffers()):
                    name = self.names.unique(name)
                self.tiles[term, axes] = Buffer(name, axes, "tile" if region.plate in axes else "temporary", term.kind, term)
            return self.tiles[term, axes]

        return make

    # -- functions ---------------------------------------------------------------------------------------------
    def run(self) -> Module:
        self.functions: list[Function] = []
        regions = [step for step in self.plan.steps if isinstance(step, Region)]
        self.function_of: dict[Region, Function] = {}
        passes: dict[Label, int] = {}
        for region in regions:
            passes[region.plate] = passes.get(region.plate, 0) + 1
        seen: dict[Label | None, int] = {}
        for region in regions:
            seen[region.plate] = seen.get(region.plate, 0) + 1
            name = self._function_name(region, seen[region.plate], passes[region.plate])
            function = lower_region(region, self.plan, self.names.scope(), name, self._new_tile(region))
            function.doc = self._doc(region, seen[region.plate], passes[region.plate])
            self.functions.append(function)
            self.function_of[region] = function
        self._layout()
        bodies = [self._function(function) for function in self.functions]
        source = self._header() + "\n\n" + "\n\n\n".join(bodies) + "\n\n\n" + self._program()
        return Module(source, self._manifest(), self.functions)

    def _function_name(self, region: Region, number: int, count: int) -> str:
        if region.plate is None:
            return self.names.unique(f"parameters_{number}" if count > 1 else "parameters")
        dim = str(region.plate.dim) if region.plate.dim.is_name else f"of_{region.plate.dim}"
        return self.names.unique(f"plate_{dim}" + (f"_{number}" if count > 1 else ""))

    def _doc(self, region: Region, number: int, count: int) -> list[str]:
        targets = ", ".join(dict.fromkeys(buffer.name for buffer, _ in region.stores))
        if region.plate is None:
            return [f"Parameter-only code, part {number} of {count}: {targets}."]
        return [f"Rows n0..n1 of plate {region.plate.dim}, pass {number} of {count}: {targets}."]

    def _layout(self) -> None:
        self.sizes = self._sizes()
        self.slots: dict[str, int] = {}
        slot = 1
        self.extent_slot, self.full_slot = {}, {}
        for size in self.sizes:
            self.extent_slot[size], self.full_slot[size] = slot, slot + 1
            slot += 2
        for buffer in self.all_buffers():
            self.slots[buffer.name] = slot
            slot += 1
        self.draw_slots: dict[str, int] = {}
        for buffer, _ in self.plan.block_draws.values():
            self.draw_slots[buffer.name] = slot
            slot += 2
        self.table_size = slot

    def _shape(self, buffer: Buffer, printer: Printer, block_axis: int) -> str:
        parts = ["BLOCK" if k == block_axis else printer.expression(Extent(dim)) for k, dim in enumerate(buffer.dims)]
        if buffer.role == "output" and not parts:
            parts = ["1"]
        return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"

    def block_axis(self, buffer: Buffer) -> int:
        if buffer.role == "tile":
            return len(buffer.axes) - 1
        for draw, _ in self.plan.block_draws.values():
            if draw is buffer:
                return next(k for k, axis in enumerate(buffer.axes) if axis in self.plan.plates)
        return -1

    def _function(self, function: Function) -> str:
        extents = {Dim({(SizeName(size),): 1}): self.size_names[size] for size in self.sizes}
        full = {Dim({(SizeName(size),): 1}): f"size_{self.size_names[size]}" for size in self.sizes}
        printer = Printer(self.dtype, extents, full, self.draw_slots)
        body = printer.statements(function.body, 1)
        header = [printer.line(0, "@cfunc(KERNEL, **PASS)"), f"def {function.name}(n0, n1, table):"]
        doc = textwrap.wrap(" ".join(function.doc), 120)
        header += [f'    """{doc[0]}' + ('"""' if len(doc) == 1 else "")] + [f"    {line}" for line in doc[1:]]
        if len(doc) > 1:
            header[-1] += '"""'
        views = []
        assigned = _assigned(function.body)
        for buffer in dict.fromkeys(function.arrays):
            views.append(self._view(buffer, printer, buffer.name in assigned))
        lines = []
        for size in self.sizes:
            name = self.size_names[size]
            if any(_mentions(line, name) for line in (*body, *views)):
                lines.append(f"    {name} = table[{self.extent_slot[size]}]")
            if any(_mentions(line, f"size_{name}") for line in body):
                lines.append(f"    size_{name} = table[{self.full_slot[size]}]")
        self.used_functions = getattr(self, "used_functions", set()) | printer.functions
        return "\n".join([*header, *lines, *views, *body, "    return 0"])

    def _view(self, buffer: Buffer, printer: Printer, assigned: bool) -> str:
        slot = self.slots[buffer.name]
        names = label_names_of(buffer.axes)
        what = f"{buffer.name}[{','.join(names)}]" if names else buffer.name
        role = {"input": "", "draw": "  noise", "output": "  result", "temporary": "  scratch", "tile": "  tile"}[buffer.role]
        real = "real64" if self.dtype == "float64" else "real32"
        if not buffer.axes and not assigned:
            view = {"f": real, "i": "integer", "b": "boolean"}[buffer.kind]
            return printer.line(1, f"{buffer.name} = {view}(table, {slot})", what + role)
        view = {"f": real.replace("real", "reals"), "i": "integers", "b": "booleans"}[buffer.kind]
        shape = self._shape(buffer, printer, self.block_axis(buffer)) if buffer.axes else "(1,)"
        return printer.line(1, f"{buffer.name} = {view}(table, {slot}, {shape})", what + role)

    # -- the module --------------------------------------------------------------------------------------------
    def _header(self) -> str:
        real = "real64" if self.dtype == "float64" else "real32"
        helpers = sorted({"BLOCK", "KERNEL", "PASS", real, real.replace("real", "reals")} | self._kind_views() | self.used_functions | ({"draw_rows"} if self.plan.block_draws else set()))
        imports = textwrap.fill(", ".join(helpers), 130, initial_indent="    ", subsequent_indent="    ")
        values = [f"{output.name} = {text(output.term, 110)}" for output in self.plan.outputs if not output.axes][:1]
        doc = [f'"""{self.title}', "", *textwrap.wrap("; ".join(values), 130), '"""']
        lines = [*doc, "", "import numpy as np", "from numba import cfunc", f"from {self.helper_module} import (", imports + ",", ")", ""]
        lines += [f"real = np.{self.dtype}", "inf, nan, pi = np.inf, np.nan, np.pi"]
        return "\n".join(lines) + "\n"

    def _kind_views(self) -> set[str]:
        kinds = {buffer.kind for buffer in self.all_buffers()}
        views = {"integers", "integer"} if "i" in kinds else set()
        return views | ({"booleans", "boolean"} if "b" in kinds else set())

    def _program(self) -> str:
        lines = ["# What the driver runs, in order: functions of this module (over the rows of a plate), operations on whole arrays, draws."]
        lines.append("STEPS = (")
        for step in self.plan.steps:
            if isinstance(step, Region):
                function = self.function_of[step]
                lines.append(f'    ("{function.name}",),' if step.plate is None else f'    ("{function.name}", "{step.plate.dim}"),')
            elif isinstance(step, OperatorCall):
                operands = ", ".join(f'"{buffer.name}"' for buffer in step.buffers)
                lines.append(f'    ("{step.helper}", {operands}),')
            else:
                lines.append(f'    ("draw_{step.buffer.node.leaf.noise_kind}", "{step.buffer.name}"),')
        return "\n".join([*lines, ")"])

    def _manifest(self) -> dict:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "table": self.table_size,
            "sizes": [[size, self.extent_slot[size], self.full_slot[size]] for size in self.sizes],
            "buffers": [self._buffer_entry(buffer) for buffer in self.all_buffers()],
            "steps": [self._step_entry(step) for step in self.plan.steps],
            "block_draws": [
                [self.draw_slots[buffer.name], buffer.public or buffer.name, buffer.node.leaf.noise_kind, site, self.block_axis(buffer)]
                for buffer, site in self.plan.block_draws.values()
            ],
            "plates": [_dim_entry(label.dim) for label in self.plan.plates],
        }

    def _buffer_entry(self, buffer: Buffer) -> dict:
        entry = {
            "name": buffer.public or buffer.name, "slot": self.slots[buffer.name], "role": buffer.role, "kind": buffer.kind,
            "dims": [_dim_entry(dim) for dim in buffer.dims], "block": self.block_axis(buffer),
        }  # fmt: skip
        if isinstance(buffer.node, Input):
            entry["leaf"] = self.leaf_numbers[buffer.node.leaf]
        return entry

    def _step_entry(self, step) -> dict:
        if isinstance(step, Region):
            return {"function": self.function_of[step].name, "plate": _dim_entry(step.plate.dim) if step.plate is not None else None}
        if isinstance(step, DrawCall):
            return {"draw": step.buffer.node.leaf.noise_kind, "buffer": step.buffer.public or step.buffer.name, "site": step.site, "row_axis": self._row_axis(step.buffer)}
        return {
            "operator": step.helper, "buffers": [buffer.public or buffer.name for buffer in step.buffers], "batch": [_dim_entry(dim) for dim in step.batch],
            "order": _dim_entry(step.order), "columns": _dim_entry(step.columns),
            "flag": _dim_entry(step.flag) if isinstance(step.flag, Dim) else int(step.flag),
            "about": text(step.node.children[0], 60), "site": str(site_of(step.node) or ""),
        }  # fmt: skip

    def _row_axis(self, buffer: Buffer) -> int:
        return next((k for k, axis in enumerate(buffer.axes) if axis in self.plan.plates), 0)


def label_names_of(axes: Sequence[Label]) -> list[str]:
    """The letters of a buffer's axes, for comments."""
    return [(str(label.dim).lower() if label.dim.is_name else str(label.dim).replace(" ", "")) + "'" * label.number for label in axes]


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


def _walk(items: Iterable) -> Iterable:
    stack = list(items)
    while stack:
        item = stack.pop()
        yield item
        for value in vars(item).values() if hasattr(item, "__dict__") else ():
            for inner in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(inner, (Expression, Statement)):
                    stack.append(inner)
                elif isinstance(inner, tuple):
                    stack.extend(part for part in inner if isinstance(part, Expression))


def _dims_in(body: list[Statement]) -> Iterable[Dim]:
    return (item.dim for item in _walk(body) if isinstance(item, Extent))


def _assigned(body: list[Statement]) -> set[str]:
    """Arrays whose elements the body stores or that it views."""
    found = set()
    for item in _walk(body):
        array = getattr(item, "array", None) if type(item).__name__ in ("Assign", "View", "Load") else None
        if array is not None:
            found.add(array)
        if type(item).__name__ == "Accumulate" and item.indices is not None:
            found.add(item.target)
    return found


def _mentions(line: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", line.split("  #")[0]) is not None

