"""From terms to regions: which nodes are computed together, over which plate, in which order, and what is stored.

A **plate** is a dim that data run over; its label is (dim, 0). Every node has a **home**: the plate over whose rows it is
computed, or none (parameter-only code). A reduction over a plate, a scatter, a gather, a shifted read or an array atom
*leaves* the plate: what is read from outside comes from a buffer that an earlier region stored. The **stage** of a node
counts how often a path to it leaves a plate; nodes of one home and stage share a region, which becomes one function:
one pass over the data for value and gradient where that is possible (DESIGN section 7).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from symvi.atoms.linear_algebra import cholesky
from symvi.expr.dims import Dim
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import Label, canonical_axes, sort_labels
from symvi.expr.nodes import (
    Array,
    Constant,
    Contract,
    Delta,
    Input,
    Iota,
    NamedConstant,
    Node,
    Operator,
    Read,
    Reduce,
    Size,
    Sum,
    Surrogate,
    Tensor,
    Term,
    postorder,
)
from symvi.plan.operands import cast_operands

__all__ = ["Output", "Buffer", "Region", "OperatorCall", "DrawCall", "Plan", "plan", "scatter_labels", "is_trivial", "is_cheap"]

KNOWN_PLATE = 64  # a literal size from which the leading dim of data is worth a blocked pass
Stage = tuple[int, int]


@dataclass(frozen=True)
class Output:
    """A result: a term and the axes it is laid out on."""

    name: str
    term: Term
    axes: tuple[Label, ...]


@dataclass(eq=False)
class Buffer:
    """An array in memory. `axes` are the labels under which a term's value is stored."""

    name: str
    axes: tuple[Label, ...]
    role: str  # input, output, temporary, draw
    kind: str
    node: Node | None = None
    about: Node | None = None  # what a factor is of, for its name
    public: str = ""  # how binding calls it, where that is not a good variable

    @property
    def dims(self) -> tuple[Dim, ...]:
        return tuple(axis.dim for axis in self.axes)


@dataclass(eq=False)
class Region:
    """Statements that become one function: over blocks of a plate, or parameter-only."""

    plate: Label | None
    stage: Stage
    stores: list[tuple[Buffer, Term]] = field(default_factory=list)


@dataclass(eq=False)
class OperatorCall:
    """A call of a compiled helper on whole arrays: a factor, a solve, a part of a concatenation.

    The helper sees stacks: `batch` dims are multiplied together, then `order` (and `columns`) describe each matrix.
    """

    helper: str
    buffers: tuple[Buffer, ...]
    batch: tuple[Dim, ...]
    order: Dim
    columns: Dim
    flag: Dim | int
    stage: Stage
    node: Operator


@dataclass(eq=False)
class DrawCall:
    """Fresh noise for a whole array, before anything reads it."""

    buffer: Buffer
    site: int


@dataclass
class Plan:
    """The regions, helper calls and draws of a program in order, with its buffers."""

    outputs: list[Output]
    plates: tuple[Label, ...]
    steps: list[Region | OperatorCall | DrawCall]
    buffers: list[Buffer]
    of_array: dict[Array, Buffer]
    of_term: dict[Term, Buffer]
    block_draws: dict[Input, tuple[Buffer, int]]  # plate-sized noise, drawn block by block
    homes: dict[Term, Label | None]
    stages: dict[Node, Stage]

    def computed_in(self, term: Term, region: Region) -> bool:
        """Is the stored value of `term` made by this region?"""
        same = self.stages[term] == region.stage if region.plate is None else self.stages[term][0] == region.stage[0]
        return same and self.homes[term] == region.plate


def is_trivial(node: Term) -> bool:
    """Terms that cost nothing to write again: numbers, sizes, labels, reads of arrays in memory."""
    return isinstance(node, (Constant, NamedConstant, Size, Iota, Delta, Read))


def scatter_labels(node: Node) -> dict[Label, Delta]:
    """For a contraction: free labels that a delta factor computes from an index (`g_a[j] += v[n]` at j = g[n])."""
    found: dict[Label, Delta] = {}
    if isinstance(node, Contract) and node.bound:
        for factor, _ in node.factors:
            if isinstance(factor, Delta):
                for label, other in ((factor.left, factor.right), (factor.right, factor.left)):
                    if isinstance(label, Label) and label in node.labels and label not in found:
                        other_labels = {other} if isinstance(other, Label) else other.labels
                        if not other_labels & found.keys():
                            found[label] = factor
                            break
    return found


def choose_plates(inputs: Iterable[Input], batched: Sequence[Dim] = ()) -> tuple[Label, ...]:
    """The leading dims of data arrays: batched ones first, then by name. Sizes that the model fixes below 64 stay loops."""
    dims = list(batched)
    candidates = set()
    for array in inputs:
        leaf = array.leaf
        if leaf.role in ("data", "anonymous") and array.shape and not leaf.attributes.get("parameter_only"):
            dim = array.shape[0]
            if dim.value is None or dim.value >= KNOWN_PLATE:
                candidates.add(dim)
    dims += sorted(candidates - set(dims), key=lambda dim: dim.sort_key)
    return tuple(Label(dim, 0) for dim in dims)


class _Planner:
    def __init__(self, outputs: Sequence[Output], batched: Sequence[Dim]):
        self.outputs = list(outputs)
        self.roots = [output.term for output in outputs]
        self.order = list(postorder(self.roots))
        inputs = [node for node in self.order if isinstance(node, Input)]
        self.plates = choose_plates(inputs, batched)
        self.rank = {label: position for position, label in enumerate(self.plates)}
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
        self.lu_factors: dict[Array, tuple[Buffer, Buffer]] = {}
        for node in self.order:
            self._place(node)

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
        for child in node.children:
            stage = max(stage, self._seen_from(home, child))
        self.stages[node] = (stage[0], 0) if home is not None else stage

    def _seen_from(self, home: Label | None, child: Node) -> Stage:
        """The stage at which a region with this home can use `child`."""
        if not child.is_term:
            return self.stages[child]
        if is_trivial(child):
            return self.stages[child]
        child_home = self.homes[child]
        if child_home is None or (child_home == home and not self.leaves_plate[child]):
            return self.stages[child]
        return self._after(child)

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
            labels = sort_labels(term.labels)
            home = self.homes[term]
            if home in labels:
                labels = (home, *(label for label in labels if label != home))
            made = self.buffer(labels, "temporary", term.kind, term)
            self.of_term[term] = made
            self.region_of(term).stores.append((made, term))
            self.pending.append(term)
        return self.of_term[term]

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
                made = self.buffer(array.axes, "temporary", array.kind, array)
                self.region_of(array.term).stores.append((made, array.term))
                if set(array.axes) == array.term.labels and not is_trivial(array.term):
                    self.of_term.setdefault(array.term, made)
                self.pending.append(array.term)
            self.of_array[array] = made
            return made
        made = self.buffer(canonical_axes(array.shape), "temporary", array.kind, array)
        self.of_array[array] = made
        OperatorCalls(self).call(array, made)
        return made

    def _input(self, array: Input) -> Buffer:
        leaf = array.leaf
        role = "draw" if leaf.role == "noise" else "input"
        made = self.buffer(canonical_axes(array.shape), role, array.kind, array, leaf.name)
        self.of_array[array] = made
        return made

    def number_draws(self) -> None:
        """Noise gets its site numbers by name; noise that runs over a plate is drawn inside the passes."""
        noise = sorted((a for a in self.of_array if isinstance(a, Input) and a.leaf.role == "noise"), key=lambda a: (a.leaf.name, a.leaf.serial))
        for site, array in enumerate(noise):
            made = self.of_array[array]
            if any(label in self.rank for label in made.axes) and self._only_read_in_place(array):
                self.block_draws[array] = (made, site)
            else:
                self.draws.append(DrawCall(made, site))

    def _only_read_in_place(self, array: Input) -> bool:
        """True when every read of a plate array is at its own row, in regions of that plate."""
        own = self._first_plate(canonical_axes(array.shape))
        position = canonical_axes(array.shape).index(own)
        for node in self.order:
            if isinstance(node, Read) and node.array is array and (node.indices[position] != own or self.homes[node] != own):
                return False
            if isinstance(node, Operator) and array in node.children:
                return False
        return self._first_plate([label for label in canonical_axes(array.shape)]) == own

    # -- the walk from the outputs -----------------------------------------------------------------------------
    def run(self) -> Plan:
        self.pending: list[Term] = []
        for output in self.outputs:
            made = self.buffer(output.axes, "output", "f" if output.term.kind == "f" else output.term.kind, output.term, output.name)
            if set(output.axes) == output.term.labels and not is_trivial(output.term):
                self.of_term.setdefault(output.term, made)
            self.region_of(output.term).stores.append((made, output.term))
            self.pending.append(output.term)
        done: set[tuple[Term, Label | None, Stage]] = set()
        while self.pending:
            term = self.pending.pop()
            self._close(term, self.homes[term], self.stages[term], done)
        self.number_draws()
        return Plan(self.outputs, self.plates, self._steps(), self.buffers, self.of_array, self.of_term, self.block_draws, self.homes, self.stages)

    def _close(self, root: Term, home: Label | None, stage: Stage, done: set) -> None:
        """Visit what the region of `root` computes; store what it must read from elsewhere."""
        stack = [root]
        while stack:
            node = stack.pop()
            if (node, home, stage) in done:
                continue
            done.add((node, home, stage))
            for child in node.children:
                if not child.is_term:
                    self.store_array(child)
                elif self.belongs(child, home, stage):
                    stack.append(child)
                else:
                    self.store_term(child)

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


OF_KIND = {"f": "", "i": "_integers", "b": "_booleans"}
FACTORED = ("inverse", "solve", "logdet", "det")  # atoms that work from a factor of their operator


class OperatorCalls:
    """Array atoms as helper calls: one factor per operator, shared by everything that needs it."""

    def __init__(self, planner: _Planner):
        self.planner = planner

    def call(self, node: Operator, result: Buffer) -> None:
        getattr(self, "_" + node.name)(node, result)

    def _add(self, helper: str, node: Operator, buffers: Sequence[Buffer], stage: Stage, flag: Dim | int = 0, columns: Dim | None = None) -> None:
        shape = node.children[0].shape
        call = OperatorCall(helper, tuple(buffers), shape[:-2], shape[-1], Dim(1) if columns is None else columns, flag, stage, node)
        self.planner.calls.append(call)

    def _stage(self, node: Operator) -> Stage:
        s, k = self.planner.stages[node]
        return (s, k - 1)

    def _factor(self, node: Operator) -> tuple[Buffer, ...]:
        """The Cholesky factor of a positive definite operator, else LU with its pivots."""
        planner, operand = self.planner, node.children[0]
        s, k = planner.stages[operand]
        if "psd" in matrix_facts(operand):
            factor = cholesky(operand)
            planner.stages.setdefault(factor, (s, k + 1))
            return (planner.store_array(factor),)
        if operand not in planner.lu_factors:
            axes = canonical_axes(operand.shape)
            factor = planner.buffer(axes, "temporary", "f", None, "")
            pivots = planner.buffer(axes[:-1], "temporary", "pivot", None, "")
            factor.about = pivots.about = operand
            planner.lu_factors[operand] = (factor, pivots)
            only_determinants = node.name in ("logdet", "det")
            self._add("lu", node, (planner.store_array(operand), factor, pivots), (s, k), int(only_determinants))
        elif node.name not in ("logdet", "det"):
            for call in planner.calls:
                if call.helper == "lu" and call.buffers[1] is planner.lu_factors[operand][0]:
                    call.flag = 0
        return planner.lu_factors[operand]

    def _cholesky(self, node: Operator, result: Buffer) -> None:
        self._add("cholesky", node, (self.planner.store_array(node.children[0]), result), self._stage(node))

    def _inverse(self, node: Operator, result: Buffer) -> None:
        factor = self._factor(node)
        if len(factor) == 1:
            self._add("cholesky_inverse", node, (*factor, result), self._stage(node))
        else:
            self._add("lu_inverse", node, (factor[0], result, factor[1]), self._stage(node))

    def _solve(self, node: Operator, result: Buffer) -> None:
        right = self.planner.store_array(node.children[1])
        transposed, vector = node.attributes
        columns = Dim(1) if vector else node.shape[-1]
        if "lower" in matrix_facts(node.children[0]):
            left = self.planner.store_array(node.children[0])
            self._add(_triangular_solve(transposed), node, (left, right, result), self._stage(node), 0, columns)
            return
        factor = self._factor(node)
        if len(factor) == 1:
            self._add("cholesky_solve", node, (*factor, right, result), self._stage(node), 0, columns)
        else:
            self._add("lu_solve", node, (factor[0], right, result, factor[1]), self._stage(node), int(transposed), columns)

    def _solve_triangular(self, node: Operator, result: Buffer) -> None:
        left, right = (self.planner.store_array(child) for child in node.children)
        transposed, vector = node.attributes
        self._add(_triangular_solve(transposed), node, (left, right, result), self._stage(node), 0, Dim(1) if vector else node.shape[-1])

    def _logdet(self, node: Operator, result: Buffer) -> None:
        factor = self._factor(node)
        if len(factor) == 1:
            self._add("cholesky_logdet", node, (*factor, result), self._stage(node))
        else:
            self._add("lu_logdet", node, (factor[0], result, factor[1]), self._stage(node))

    def _det(self, node: Operator, result: Buffer) -> None:
        operand = node.children[0]
        factor = self.planner.lu_factors.get(operand) or self._lu_of(node)
        self._add("lu_logdet", node, (factor[0], result, factor[1]), self._stage(node), 1)

    def _lu_of(self, node: Operator) -> tuple[Buffer, Buffer]:
        planner, operand = self.planner, node.children[0]
        axes = canonical_axes(operand.shape)
        factor, pivots = planner.buffer(axes, "temporary", "f", None, ""), planner.buffer(axes[:-1], "temporary", "pivot", None, "")
        factor.about = pivots.about = operand
        planner.lu_factors[operand] = (factor, pivots)
        self._add("lu", node, (planner.store_array(operand), factor, pivots), planner.stages[operand], 1)
        return factor, pivots

    def _cumsum(self, node: Operator, result: Buffer) -> None:
        source = self.planner.store_array(node.children[0])
        call = OperatorCall("cumsum" + OF_KIND[node.kind], (source, result), node.shape[:-1], node.shape[-1], Dim(1), int(node.attributes[0]), self._stage(node), node)
        self.planner.calls.append(call)

    def _concatenate(self, node: Operator, result: Buffer) -> None:
        (axis,) = node.attributes
        inner = Dim(1)
        for dim in node.shape[axis + 1 :]:
            inner = inner * dim
        offset = Dim(0)
        for child in node.children:
            part = child.shape[axis]
            buffers = (self.planner.store_array(child), result)
            self.planner.calls.append(OperatorCall("concatenate" + OF_KIND[node.kind], buffers, node.shape[:axis], part * inner, node.shape[axis] * inner, offset * inner, self._stage(node), node))
            offset = offset + part


def _triangular_solve(transposed: bool) -> str:
    return "solve_lower_transposed" if transposed else "solve_lower"


def is_cheap(term: Term) -> bool:
    """A sum or product of a few trivial terms: writing it again costs less than a place in memory."""
    if isinstance(term, Surrogate):
        return is_trivial(term.children[0])
    if isinstance(term, Sum) or (isinstance(term, Contract) and not term.bound and all(e > 0 for _, e in term.factors)):
        return len(term.children) <= 2 and all(is_trivial(child) for child in term.children)
    return False


def plan(outputs: Sequence[Output], batched: Sequence[Dim] = ()) -> Plan:
    """Regions, helper calls and draws that compute `outputs`, in order."""
    terms = cast_operands([output.term for output in outputs])
    return _Planner([Output(output.name, term, output.axes) for output, term in zip(outputs, terms, strict=True)], batched).run()
