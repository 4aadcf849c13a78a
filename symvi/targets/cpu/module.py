"""A planned program as the text of one Numba module, with the manifest that binding needs.

The module holds C functions `f(n0, n1, table)`: one per region of the plan. Whole-array operations and draws between
them are steps of the program, run by the driver of the helper library.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from symvi.expr.dims import Dim, SizeName
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Input, Size, Term, postorder
from symvi.expr.printing import text
from symvi.loops.ast import Expression, Extent, Function, Statement
from symvi.loops.in_place import write_in_place
from symvi.loops.lower import lower_region
from symvi.loops.naming import Names
from symvi.plan.program import Buffer, OperatorCall, Plan, Region
from symvi.targets.cpu.manifest import manifest_of
from symvi.targets.cpu.printer import WIDTH, Printer

__all__ = ["Module", "emit"]

ROLES = ("input", "draw", "temporary", "tile", "output")

VIEWS = ("reals64", "reals32", "integers", "booleans", "real64", "real32", "integer", "boolean")
HELPERS = ("BLOCK", "KERNEL", "PASS", "draw_rows", *VIEWS)
RESERVED = ("np", "cfunc", "table", "float64", "float32", "STEPS", "MANIFEST", "smallest", "largest", *HELPERS)


@dataclass
class Module:
    """The emitted text without its helper import, and what binding must know."""

    source: str
    manifest: dict
    functions: list[Function]


def emit(
    plan: Plan,
    name: str,
    title: str,
    leaf_names: dict[Leaf, str],
    leaf_numbers: dict[Leaf, int],
    dtype: str,
    helper_module: str,
    originals: Sequence[Term] = (),
    into: Mapping[str, str] | None = None,
) -> Module:
    """The module of a plan.

    `leaf_names` are the names of the inputs, `leaf_numbers` their places in the user's bound; `originals` are the outputs as
    the user wrote them, whose variables give names. `into` {result: input} asks for results to be written over inputs, where
    that is safe; the manifest says for which it was.
    """
    return Emitter(plan, name, title, leaf_names, leaf_numbers, dtype, helper_module, originals, into or {}).run()


class Emitter:
    """One emission: names, functions, the layout of the table, the text."""

    def __init__(self, plan: Plan, name: str, title: str, leaf_names, leaf_numbers, dtype: str, helper_module: str, originals, into):
        self.plan, self.name, self.title, self.dtype, self.helper_module = plan, name, title, dtype, helper_module
        self.leaf_names, self.leaf_numbers, self.into = leaf_names, leaf_numbers, into
        self.originals = list(originals) or [output.term for output in plan.outputs]
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
        self.names.learn(postorder(self.originals), postorder([output.term for output in self.plan.outputs]))
        for buffer in self.plan.buffers:
            if not buffer.name:
                buffer.name = self._scratch_name(buffer)

    def _scratch_name(self, buffer: Buffer) -> str:
        if buffer.node is None:
            return self.names.unique(f"{buffer.prefix}_{self.names._nearest(buffer.about)}")
        value = getattr(buffer.node, "term", buffer.node)
        name = self.names.of_node.get(value)
        if name is not None:  # the user's variable, unless an array has that name already
            return name if all(other.name != name for other in self.plan.buffers) else self.names.unique(name)
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
            function.doc = [self._title_of(region, seen[region.plate], passes[region.plate]), *function.doc]
            self.functions.append(function)
            self.function_of[region] = function
        self.in_place = self._write_in_place()
        self._layout()
        bodies = [self._function(function) for function in self.functions]
        header = self._header([line for body in bodies for line in body.splitlines()])
        source = header + "\n\n" + "\n\n\n".join(bodies) + "\n\n\n" + self._program()
        return Module(source, manifest_of(self), self.functions)

    def _write_in_place(self) -> dict[str, str]:
        """The results that are written over an input of the same shape, {result: input} as binding calls them."""
        inputs = {buffer.public or buffer.name: buffer for buffer in self.plan.buffers if buffer.role == "input"}
        results = {buffer.public or buffer.name: buffer for buffer in self.plan.buffers if buffer.role == "output"}
        elsewhere = {buffer for step in self.plan.steps if isinstance(step, OperatorCall) for buffer in step.buffers}
        wanted = {}
        for result, source in ((results[a], inputs[b]) for a, b in self.into.items() if a in results and b in inputs):
            alike = result.dims == source.dims and result.kind == source.kind and source.order is None
            if alike and not {result, source} & elsewhere:
                wanted[result.name] = source.name
        granted = write_in_place(self.functions, wanted, self.names)
        public = {buffer.name: buffer.public or buffer.name for buffer in self.plan.buffers}
        return {public[result]: public[source] for result, source in granted.items()}

    def _function_name(self, region: Region, number: int, count: int) -> str:
        if region.plate is None:
            return self.names.unique(f"parameters_{number}" if count > 1 else "parameters")
        dim = str(region.plate.dim) if region.plate.dim.is_name else f"of_{region.plate.dim}"
        return self.names.unique(f"plate_{dim}" + (f"_{number}" if count > 1 else ""))

    def _title_of(self, region: Region, number: int, count: int) -> str:
        part = f", part {number} of {count}" if count > 1 else ""
        if region.plate is None:
            return f"What depends on no plate{part}."
        return f"Rows n0..n1 of plate {region.plate.dim}, pass {number} of {count}."

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
                return buffer.axes.index(min((axis for axis in buffer.axes if axis in self.plan.plates), key=self.plan.plates.index))
        return -1

    def _function(self, function: Function) -> str:
        extents = {Dim({(SizeName(size),): 1}): self.size_names[size] for size in self.sizes}
        full = {Dim({(SizeName(size),): 1}): f"size_{self.size_names[size]}" for size in self.sizes}
        printer = Printer(self.dtype, extents, full, self.draw_slots)
        body = printer.statements(function.body, 1)
        title, *formulas = function.doc
        header = ["@cfunc(KERNEL, **PASS)", f"def {function.name}(n0, n1, table):", f'    """{title}', ""]
        for line in formulas:
            header += ["    " + part for part in textwrap.wrap(line, 130, initial_indent="    ", subsequent_indent=" " * 8)]
        header.append('    """')
        views = []
        assigned = _assigned(function.body)
        mentioned = _identifiers(body)
        arrays = sorted(dict.fromkeys(function.arrays), key=lambda buffer: (ROLES.index(buffer.role), buffer.name))
        for buffer in arrays:
            if buffer.name in mentioned:
                views.extend(self._view(buffer, printer, buffer.name in assigned))
        lines = []
        with_views = mentioned | _identifiers(views)
        for size in self.sizes:
            name = self.size_names[size]
            if name in with_views:
                lines.append(f"    {name} = table[{self.extent_slot[size]}]")
            if f"size_{name}" in mentioned:
                lines.append(f"    size_{name} = table[{self.full_slot[size]}]")
        self.used_functions = getattr(self, "used_functions", set()) | printer.functions
        return "\n".join([*header, *lines, *views, *body, "    return 0"])

    def _view(self, buffer: Buffer, printer: Printer, assigned: bool) -> list[str]:
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
    def _header(self, code: list[str]) -> str:
        mentioned = _identifiers(code)
        used = sorted({*HELPERS, *self.used_functions} & mentioned)
        imports = f"from {self.helper_module} import {', '.join(used)}"
        if len(imports) > WIDTH:
            listed = textwrap.fill(", ".join(used), 130, initial_indent="    ", subsequent_indent="    ")
            imports = f"from {self.helper_module} import (\n{listed},\n)"
        what = f"{self.plan.outputs[0].name} = {text(self.originals[0], 240)}" if self.plan.outputs else ""
        doc = [f'"""{self.title}', "", *textwrap.wrap(what, 130, subsequent_indent="    ")]
        if self.plan.guards:
            relies = f"relies on {', '.join(map(str, self.plan.guards))}"
            doc += ["", *textwrap.wrap(relies, 130, subsequent_indent="    ")]
        doc.append('"""')
        lines = [*doc, "", "import numpy as np", "from numba import cfunc", imports, "", f"{self.dtype} = np.{self.dtype}"]
        if {"inf", "nan"} & mentioned:
            lines.append("inf, nan = np.inf, np.nan")
        return "\n".join(lines) + "\n"

    def _program(self) -> str:
        lines = ["# What the driver runs, in order: functions above, over the rows of a plate; operations on whole arrays; draws."]
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


def label_names_of(axes: Sequence[Label]) -> list[str]:
    """The letters of a buffer's axes, for comments."""
    return [(str(label.dim).lower() if label.dim.is_name else str(label.dim).replace(" ", "")) + "'" * label.number for label in axes]


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


def _identifiers(lines: Iterable[str]) -> set[str]:
    """The names that occur in the code of some lines, comments apart."""
    return {name for line in lines for name in re.findall(r"[A-Za-z_]\w*", line.split("  #")[0])}
