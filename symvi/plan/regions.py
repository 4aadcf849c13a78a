"""From terms to regions: which nodes are computed together, over which plate, in which order, and what is stored.

A **plate** is a dim that data run over; its label is (dim, 0). Every node has a **home**: the plate over whose rows it is
computed, or none (parameter-only code). A reduction over a plate, a scatter, a gather, a shifted read or an array atom
*leaves* the plate: what is read from outside comes from a buffer that an earlier region stored. The **stage** of a node
counts how often a path to it leaves a plate; nodes of one home and stage share a region, which becomes one function:
one pass over the data for value and gradient where that is possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symvi.expr.build import counting_rows, split_coefficient
from symvi.expr.dims import Dim
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import Label, canonical_axes, sort_labels
from symvi.expr.nodes import Array, Contract, Input, Node, Operator, Read, Reduce, Tensor, Term, postorder
from symvi.plan.layout import plate_last
from symvi.plan.light import is_cheap, is_trivial, scatter_labels
from symvi.plan.matrix_products import matrix_product
from symvi.plan.operands import cast_operands
from symvi.plan.operators import FACTORED, OperatorCalls
from symvi.plan.plate_solves import open_plate_solves
from symvi.plan.products import arrange_products
from symvi.plan.program import Buffer, DrawCall, OperatorCall, Output, Plan, Region, Stage
from symvi.plan.shared_exponentials import share_exponentials

__all__ = ["Output", "Plan", "plan"]

KNOWN_PLATE = 64  # a literal size from which the leading dim of data is worth a blocked pass


def choose_plates(inputs: Iterable[Input], batched: Sequence[Dim] = ()) -> tuple[Label, ...]:
    """The leading dims of data arrays: batched ones first, then those that lead arrays with most axes, then by name.

    Data are tables of rows: the dim of the rows leads the widest of them. Sizes that the model fixes below 64 stay loops.
    """
    dims = list(batched)
    candidates: dict[Dim, int] = {}
    for array in inputs:
        leaf = array.leaf
        if leaf.role in ("data", "anonymous") and array.shape and not leaf.attributes.get("parameter_only"):
            dim = array.shape[0]
            if dim.value is None or dim.value >= KNOWN_PLATE:
                candidates[dim] = max(candidates.get(dim, 0), len(array.shape))
    dims += sorted(candidates.keys() - set(dims), key=lambda dim: (-candidates[dim], dim.sort_key))
    return tuple(Label(dim, 0) for dim in dims)


class Planner:
    """One planning: homes and stages of all nodes, then a walk from the outputs that decides what is stored."""

    def __init__(self, outputs: Sequence[Output], batched: Sequence[Dim]):
        self.outputs = list(outputs)
        self.roots = [output.term for output in outputs]
        self.order = list(postorder(self.roots))
        inputs = [node for node in self.order if isinstance(node, Input)]
        self.plates = choose_plates(inputs, batched)
        self.rank = {label: position for position, label in enumerate(self.plates)}
        self.resident = [label for label in self.plates if label.dim not in batched]  # plates whose data stay where they are
        self.homes: dict[Term, Label | None] = {}
        self.leaves_plate: dict[Term, bool] = {}
        self.stages: dict[Node, Stage] = {}
        self.buffers: list[Buffer] = []
        self.of_array: dict[Array, Buffer] = {}
        self.of_term: dict[Term, Buffer] = {}
        self.block_draws: dict[Input, tuple[Buffer, int]] = {}
        self.regions: dict[tuple, Region] = {}
        self.draws: list[DrawCall] = []
        self.calls: list[OperatorCall] = []
        self.factors: dict[tuple[Array, bool], tuple[Buffer, ...]] = {}  # by operator, and whether it is positive definite
        for node in self.order:
            self._place(node)
        self.summed_along: dict[Term, list[Label]] = {}
        for node in self.order:
            if isinstance(node, Contract) and node.bound:
                for child in node.children:
                    self.summed_along.setdefault(child, []).extend(label for label in self.rows_along(node) if label in node.bound)

    # -- homes and stages --------------------------------------------------------------------------------------
    def _first_plate(self, labels: Iterable[Label]) -> Label | None:
        return min((label for label in labels if label in self.rank), key=self.rank.__getitem__, default=None)

    def _place(self, node: Node) -> None:
        if isinstance(node, Input):
            self.stages[node] = (0, 0)
        elif isinstance(node, Tensor):
            self.stages[node] = self._after(node.term) if self._home(node.term) is not None else self.stages[node.term]
        elif isinstance(node, Operator):
            s, k = max((self.stages[child] for child in node.children), default=(0, 0))
            self.stages[node] = (s, k + (2 if node.name in FACTORED else 1))
        else:
            self._place_term(node)

    def _home(self, term: Term) -> Label | None:
        return self.homes[term]

    def _after(self, term: Term) -> Stage:
        """The first stage at which what a plate region stores can be read elsewhere."""
        return (self.stages[term][0] + 1, 0)

    def _place_term(self, node: Term) -> None:
        bound = node.bound if isinstance(node, (Contract, Reduce)) else ()
        plate = self._first_plate(bound)
        scattered = [label for label in scatter_labels(node) if label in self.rank]
        if plate is not None:
            home, leaves = plate, True
        elif scattered:
            home, leaves = None, True
        else:
            home, leaves = self._first_plate(node.labels), False
        self.homes[node], self.leaves_plate[node] = home, leaves
        stage = (0, 0)
        for child in self.children(node):
            stage = max(stage, self._seen_from(home, child))
        self.stages[node] = (stage[0], 0) if home is not None else stage

    def children(self, node: Node) -> tuple[Node, ...]:
        """What a term is computed from: a view of rows of the plate, at their own row, from the term behind it."""
        if isinstance(node, Read) and isinstance(node.array, Tensor) and self._in_block(node):
            return (node.array.term, *node.children[1:])
        return node.children

    def _in_block(self, view: Read) -> bool:
        array = view.array
        home = self.homes[array.term]
        if home is None or self.leaves_plate[array.term] or home not in array.axes:
            return False
        return view.indices[array.axes.index(home)] == home

    def _seen_from(self, home: Label | None, child: Node) -> Stage:
        """The stage at which a region with this home can use `child`."""
        if not child.is_term:
            return self.stages[child]
        if is_trivial(child):  # written again here: what computes its indices must be seen from here as well
            return max((self.stages[child], *(self._seen_from(home, inner) for inner in self.children(child))))
        child_home = self.homes[child]
        if child_home is None or (child_home == home and not self.leaves_plate[child]):
            return self.stages[child]
        return self._after(child)

    @property
    def passes(self) -> int:
        """How many passes over plates there are."""
        return len({(self.stages[node][0], home) for node, home in self.homes.items() if home is not None and not is_trivial(node)})

    # -- what is stored ----------------------------------------------------------------------------------------
    def buffer(self, axes: Sequence[Label], role: str, kind: str, node: Node | None, name: str = "") -> Buffer:
        made = Buffer(name, tuple(axes), role, kind, node)
        self.buffers.append(made)
        return made

    def region_of(self, term: Term) -> Region:
        home, stage = self.homes[term], self.stages[term]
        key = (stage[0], home is not None, stage[1], self.rank.get(home, 0))
        if key not in self.regions:
            self.regions[key] = Region(home, stage)
        return self.regions[key]

    def store_term(self, term: Term) -> Buffer:
        """Make the region of a term store it, once."""
        if term not in self.of_term:
            made = self.buffer(self._layout(term), "temporary", term.kind, term)
            self.of_term[term] = made
            self.region_of(term).stores.append((made, term))
            self.pending.append(term)
        return self.of_term[term]

    def _layout(self, term: Term) -> tuple[Label, ...]:
        """The plate last, else the axis along which the rows of data lie that the term sums or is summed with: the innermost loop."""
        labels, home = sort_labels(term.labels), self.homes[term]
        if home in labels:
            return (*(label for label in labels if label != home), home)
        along = [label for label in (*self.rows_along(term), *self.summed_along.get(term, ())) if label in labels]
        return (*(label for label in labels if label not in along[:1]), *along[:1])

    def rows_along(self, term: Term) -> list[Label]:
        """The last labels of data that a term over a plate reads row by row."""
        home = self.homes[term]
        reads = [child for child in term.children if isinstance(child, Read) and isinstance(child.array, Input)]
        return [read.indices[-1] for read in reads if home is not None and home in read.indices[:-1]]

    def store_array(self, array: Array) -> Buffer:
        """The buffer of an array: an input, a stored tensor, the result of an atom."""
        if array in self.of_array:
            return self.of_array[array]
        if isinstance(array, Input):
            return self._input(array)
        if isinstance(array, Tensor):
            if array.term in self.of_term and self.of_term[array.term].axes == array.axes:
                made = self.of_term[array.term]
            else:
                made = self._scratch(array, array.axes)
                self.region_of(array.term).stores.append((made, array.term))
                if set(array.axes) == array.term.labels and not is_trivial(array.term):
                    self.of_term.setdefault(array.term, made)
                self.pending.append(array.term)
            self.of_array[array] = made
            return made
        made = self._scratch(array, canonical_axes(array.shape))
        self.of_array[array] = made
        OperatorCalls(self).call(array, made)
        return made

    def _scratch(self, array: Array, axes: tuple[Label, ...]) -> Buffer:
        """Memory for an array. A symmetric matrix is its own transpose: with the plate last, the rows of a block stand side by side."""
        turned = len(axes) == 2 and axes[0] in self.rank and "symmetric" in matrix_facts(array)
        made = self.buffer(axes[::-1] if turned else axes, "temporary", array.kind, array)
        made.order = (1, 0) if turned else None
        return made

    def _input(self, array: Input) -> Buffer:
        leaf = array.leaf
        role = "draw" if leaf.role == "noise" else "input"
        axes = canonical_axes(array.shape)
        order = (*range(1, len(axes)), 0) if array in self.plate_last else None
        made = self.buffer([axes[k] for k in order] if order else axes, role, array.kind, array, leaf.name)
        made.order = order
        self.of_array[array] = made
        return made

    def number_draws(self) -> None:
        """Noise gets its site numbers by name; noise that runs over a plate is drawn inside the passes."""
        noise = [array for array in self.of_array if isinstance(array, Input) and array.leaf.role == "noise"]
        noise.sort(key=lambda array: (array.leaf.name, array.leaf.serial))
        for site, array in enumerate(noise):
            made = self.of_array[array]
            if any(label in self.rank for label in made.axes) and self._only_read_in_place(array):
                self.block_draws[array] = (made, site)
            else:
                self.draws.append(DrawCall(made, site))

    def _only_read_in_place(self, array: Input) -> bool:
        """True when an array is read by regions of its own plate alone, at their own row."""
        axes = canonical_axes(array.shape)
        own = self._first_plate(axes)
        if self.readers.get(array, set()) != {own} or any(isinstance(node, Operator) and array in node.children for node in self.order):
            return False
        return all(node.indices[axes.index(own)] == own for node in self.order if isinstance(node, Read) and node.array is array)

    # -- the walk from the outputs -----------------------------------------------------------------------------
    def run(self) -> Plan:
        self.pending: list[Term] = []
        self.readers: dict[Array, set[Label | None]] = {}  # by which homes an array is read
        found = {node: matrix_product(node, self.plates) for node in self.order if isinstance(node, Contract) and not scatter_labels(node)}
        products = {node: product for node, product in found.items() if product is not None}
        self.plate_last = plate_last(self.order, self.resident, products)
        for output in self.outputs:
            made = self.buffer(output.axes, "output", "f" if output.term.kind == "f" else output.term.kind, output.term, output.name)
            term = self._without_coefficient(made, output.term)
            if made.scale == 1 and set(output.axes) == term.labels and not is_trivial(term):
                self.of_term.setdefault(term, made)
            self.region_of(term).stores.append((made, term))
            self.pending.append(term)
        done: set[tuple[Term, Label | None, Stage]] = set()
        while self.pending:
            term = self.pending.pop()
            self._close(term, self.homes[term], self.stages[term], done)
        self.number_draws()
        steps = self._steps()
        return Plan(
            self.outputs, self.plates, steps, self.buffers, self.of_array, self.of_term, self.block_draws, self.homes, self.stages, products
        )  # fmt: skip

    def _without_coefficient(self, result: Buffer, term: Term) -> Term:
        """For `c * (a sum over a plate)` the sum: the pass that makes it also scales it, and no scratch is needed."""
        coefficient, inner = split_coefficient(term)
        sums = isinstance(inner, Contract) and self.leaves_plate[inner] and self.homes[inner] is not None
        if coefficient == 1 or not sums or inner.kind != "f" or set(result.axes) != inner.labels:
            return term
        result.scale = coefficient
        return inner

    def _close(self, root: Term, home: Label | None, stage: Stage, done: set) -> None:
        """Visit what the region of `root` computes; store what it must read from elsewhere."""
        stack = [root]
        while stack:
            node = stack.pop()
            if (node, home, stage) in done:
                continue
            done.add((node, home, stage))
            if isinstance(node, Read):
                self.readers.setdefault(node.array, set()).add(home)
            if isinstance(node, Read) and node.array not in self.of_array and self._is_local_view(node, home, stage):
                stack.append(node.array.term)
                children = node.children[1:]
            else:
                children = node.children
            for child in children:
                if not child.is_term:
                    self.store_array(child)
                elif self.belongs(child, home, stage):
                    stack.append(child)
                else:
                    self.store_term(child)

    def _is_local_view(self, view: Read, home: Label | None, stage: Stage) -> bool:
        """Is the term behind a view computed in the region that reads it?"""
        return isinstance(view.array, Tensor) and self._in_block(view) and self.belongs(view.array.term, home, stage)

    def belongs(self, child: Term, home: Label | None, stage: Stage) -> bool:
        """Is `child` computed inside a region of this home and stage (perhaps again), or read from a buffer?"""
        if is_trivial(child) or is_cheap(child):
            return True
        if self.leaves_plate[child] and not (self.homes[child] == home and self.stages[child] == stage and home is None):
            return False
        if self.homes[child] != home:
            return False
        if home is None:
            return self.stages[child] == stage
        return child not in self.of_term or self.stages[child] == stage

    def _steps(self) -> list:
        steps: list = list(self.draws)
        events = [(key[0], key[1], key[2], 0, key[3], region) for key, region in self.regions.items()]
        events += [(call.stage[0], False, call.stage[1], 1, position, call) for position, call in enumerate(self._ordered_calls())]
        events.sort(key=lambda event: event[:5])
        return steps + [event[-1] for event in events]

    def _ordered_calls(self) -> list[OperatorCall]:
        return sorted(self.calls, key=lambda call: (call.stage, call.helper, call.node.digest))


def plan(outputs: Sequence[Output], batched: Sequence[Dim] = ()) -> Plan:
    """Regions, helper calls and draws that compute `outputs`, in order."""
    given = [output.term for output in outputs]
    plates = [label.dim for label in choose_plates((node for node in postorder(given) if isinstance(node, Input)), batched)]

    def with_terms(terms: Sequence[Term]) -> list[Output]:
        return [Output(output.name, term, output.axes) for output, term in zip(outputs, terms, strict=True)]

    given, solves = open_plate_solves(given, plates)
    with counting_rows(batched):
        arranged, reorderings = arrange_products(given, plates, lambda terms: Planner(with_terms(terms), batched).passes)
    made = Planner(with_terms(cast_operands(share_exponentials(arranged))), batched).run()
    made.reorderings, made.opened_solves = reorderings, solves
    return made
