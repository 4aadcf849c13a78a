"""One region to one function: statements are gathered into loop nests, values get registers, tiles or buffers.

A statement computes one term over its loop labels. Statements with the same labels share a nest; inside a pass over a
plate the rows of a block are the innermost loop where that is contiguous. A value that is used only in its own nest is a
local; one that crosses nests is a tile (block-sized) or, in parameter-only code, a small array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from symvi.expr.labels import Label, label_key, sort_labels
from symvi.expr.nodes import Contract, Delta, Node, Read, Reduce, Term, postorder
from symvi.expr.printing import label_names, text
from symvi.expr.provenance import site_of
from symvi.loops.ast import (
    Accumulate,
    Add,
    Assign,
    BlockLoop,
    DrawRows,
    Expression,
    Extent,
    For,
    Function,
    Let,
    Load,
    Name,
    Number,
    Statement,
    View,
)
from symvi.loops.expressions import as_real, to_expression
from symvi.loops.naming import Names
from symvi.plan.regions import Buffer, Plan, Region, is_cheap, is_trivial, scatter_labels

__all__ = ["lower_region"]

LONGEST_EXPRESSION = 24  # nodes; beyond it a subterm gets a line of its own
NEGATIVE_INFINITY, INFINITY = float("-inf"), float("inf")
NEUTRAL = {"+": Fraction(0), "*": Fraction(1), "max": NEGATIVE_INFINITY, "min": INFINITY, "or": False, "and": True}
OPERATIONS = {"max": "max", "min": "min", "prod": "*", "any": "or", "all": "and"}


@dataclass(eq=False)
class Step:
    """A statement before it has loops: computes `term`, over `loops`; `stores` are buffers that want the value."""

    term: Term
    loops: frozenset[Label]
    stores: list[Buffer] = field(default_factory=list)
    define: bool = True  # False: only stores a value that is written inline or has a place already
    nest: Nest | None = None

    @property
    def reduces(self) -> bool:
        return self.define and (isinstance(self.term, Reduce) or (isinstance(self.term, Contract) and bool(self.term.bound)))

    @property
    def operation(self) -> str:
        return "+" if isinstance(self.term, Contract) else OPERATIONS[self.term.operation]


@dataclass(eq=False)
class Nest:
    """Steps that share loops."""

    key: tuple
    loops: frozenset[Label]
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a value lives: a local (axes None) or an array indexed by axes."""

    name: str
    axes: tuple[Label, ...] | None
    kind: str
    whole: bool = False  # indexed by global rows rather than by rows of the block


def lower_region(region: Region, plan: Plan, names: Names, name: str, new_tile: Callable[[Term, tuple[Label, ...]], Buffer]) -> Function:
    """The function of a region. `new_tile(term, axes)` makes block-sized or parameter-only scratch."""
    return _Lowering(region, plan, names, name, new_tile).run()


class _Lowering:
    def __init__(self, region: Region, plan: Plan, names: Names, name: str, new_tile):
        self.region, self.plan, self.names, self.name, self.new_tile = region, plan, names, name, new_tile
        self.plate = region.plate
        self.views: dict[tuple[str, int], View] = {}
        self.draws: dict[str, DrawRows] = {}
        self.arrays: dict[str, Buffer] = {}
        self.scalars: dict[str, Buffer] = {}
        self.places: dict[Term, Place] = {}
        self.before: list[Statement] = []  # ahead of the block loop
        self.after: list[Statement] = []
        self.here = {}
        self.letters: dict[Label, str] = {}
        self._collect()

    # -- what is computed here ---------------------------------------------------------------------------------
    def _external(self, term: Term) -> Buffer | None:
        """The buffer from which this region reads a term that another region stores."""
        stored = self.plan.of_term.get(term)
        if stored is not None and not self.plan.computed_in(term, self.region) and not is_cheap(term):
            return stored
        return None

    def _inner_children(self, node: Node) -> Iterable[Node]:
        for child in node.children:
            if child.is_term and self._external(child) is None:
                yield child

    def _collect(self) -> None:
        roots = [term for _, term in self.region.stores]
        self.local = [node for node in postorder(roots, self._inner_children) if node.is_term]
        inside = set(self.local)
        self.consumers: dict[Term, list] = {node: [] for node in self.local}
        for node in self.local:
            for child in dict.fromkeys(node.children):
                if child in inside:
                    self.consumers[child].append(node)
        self.needs: dict[Step, set] = {}
        self.filled = {buffer for buffer, _ in self.region.stores}
        self.stores: dict[Term, list[Buffer]] = {}
        for buffer, term in self.region.stores:
            self.stores.setdefault(term, []).append(buffer)

    def loops_of(self, term: Term) -> frozenset[Label]:
        bound = term.bound if isinstance(term, (Contract, Reduce)) else ()
        return frozenset((term.labels | set(bound)) - set(scatter_labels(term)))

    # -- which terms get a statement ---------------------------------------------------------------------------
    def _steps(self) -> list[Step]:
        steps: list[Step] = []
        sizes: dict[Term, int] = {}
        self.defined: dict[Term, Step] = {}
        for node in self.local:
            sizes[node] = 1 + sum(sizes.get(child, 1) for child in node.children if child not in self.defined)
            direct = [b for b in self.stores.get(node, ()) if frozenset(b.axes) == node.labels]
            others = [b for b in self.stores.get(node, ()) if b not in direct]
            if self._needs_place(node, sizes[node]):
                step = Step(node, self.loops_of(node), direct)
                self.defined[node] = step
                steps.append(step)
                steps.extend(Step(node, frozenset(b.axes), [b], define=False) for b in others)
            else:
                steps.extend(Step(node, frozenset(b.axes), [b], define=False) for b in (*direct, *others))
        return steps

    def _needs_place(self, node: Term, size: int) -> bool:
        if is_trivial(node):
            return False
        if isinstance(node, (Contract, Reduce)) and self.loops_of(node) != node.labels or isinstance(node, Reduce):
            return True
        if isinstance(node, Contract) and node.bound:
            return True
        users = self.consumers[node]
        if is_cheap(node) or (node.kind == "i" and all(isinstance(user, (Read, Delta)) for user in users) and users):
            return False
        stores = len(self.stores.get(node, ()))
        if len(users) + stores != 1 or size > LONGEST_EXPRESSION:
            return True
        if users:
            return self.loops_of(users[0]) != node.labels
        return False

    # -- nests -------------------------------------------------------------------------------------------------
    def _needs(self, step: Step) -> set:
        """The terms with a place, and the buffers filled by this region, that a step reads."""
        if step not in self.needs:
            needed: set = set()
            seen: set[Term] = set()
            stack = [step.term] if not step.define else list(self._inner_children(step.term))
            while stack:
                node = stack.pop()
                if node in seen:
                    continue
                seen.add(node)
                if node in self.defined and not (step.define and node is step.term):
                    needed.add(node)
                    continue
                if isinstance(node, Read) and self.plan.of_array.get(node.array) in self.filled:
                    needed.add(self.plan.of_array[node.array])
                stack.extend(self._inner_children(node))
            self.needs[step] = needed
        return self.needs[step]

    def _key(self, step: Step) -> tuple:
        """Contractions have nests of their own unless they sum over exactly the loops of pointwise work."""
        if step.reduces and len(step.loops) > 1 and not self._has_function(step.term):
            return ("contract", step.loops)
        return ("point", step.loops)

    def _has_function(self, term: Term) -> bool:
        stack = list(self._inner_children(term))
        while stack:
            node = stack.pop()
            if node in self.defined:
                continue
            if type(node).__name__ == "Apply" and node.function.cost > 2:
                return True
            stack.extend(self._inner_children(node))
        return False

    def _schedule(self, steps: list[Step]) -> list[Nest]:
        """Greedy: close a nest only when nothing that is ready fits it; prefer nests that nobody still waits to join."""
        needs = {step: self._needs(step) for step in steps}
        keys = {step: self._key(step) for step in steps}
        waiting = list(steps)
        done: set = set()
        nests: list[Nest] = []
        while waiting:
            ready = [step for step in waiting if needs[step] <= done]
            blocked = {keys[step] for step in waiting if not needs[step] <= done and not self._joins(step, keys, needs, ready, done)}
            chosen = next((step for step in ready if keys[step] not in blocked), ready[0])
            nest = Nest(keys[chosen], chosen.loops)
            here: set[Term] = set()
            progress = True
            while progress:
                progress = False
                for step in list(waiting):
                    if keys[step] == nest.key and all(t in done or t in here for t in needs[step]):
                        nest.steps.append(step)
                        step.nest = nest
                        waiting.remove(step)
                        if step.define and not step.reduces:
                            here.add(step.term)
                        progress = True
            done |= here | {step.term for step in nest.steps if step.define} | {buffer for step in nest.steps for buffer in step.stores}
            nests.append(nest)
        return nests

    def _joins(self, step: Step, keys, needs, ready, done) -> bool:
        """Will `step` become ready inside the nest of a ready step with its key?"""
        makers = {other.term for other in ready if keys[other] == keys[step] and other.define and not other.reduces}
        return needs[step] <= done | makers

    # -- places ------------------------------------------------------------------------------------------------
    def _assign_places(self, nests: list[Nest]) -> None:
        readers: dict[Term, set[Nest]] = {}
        for nest in nests:
            for step in nest.steps:
                for term in self._needs(step):
                    if isinstance(term, Buffer):
                        continue
                    readers.setdefault(term, set()).add(nest)
                if not step.define and step.term in self.defined:
                    readers.setdefault(step.term, set()).add(nest)
        for nest in nests:
            for step in nest.steps:
                if step.define:
                    self.places[step.term] = self._place(step, readers.get(step.term, set()))

    def _place(self, step: Step, readers: set[Nest]) -> Place:
        term = step.term
        crosses = bool(readers - {step.nest}) or step.reduces
        if (not term.labels and not self._over_plate(step)) or not crosses:
            return Place(self._local_name(term), None, term.kind)
        if step.stores:
            buffer = step.stores[0]
            self.arrays[buffer.name] = buffer
            return Place(buffer.name, buffer.axes, term.kind, whole=True)
        axes = sort_labels(term.labels)
        if self.plate in axes:
            axes = (*(label for label in axes if label != self.plate), self.plate)
        buffer = self.new_tile(term, axes)
        self.arrays[buffer.name] = buffer
        return Place(buffer.name, axes, term.kind)

    def _local_name(self, term: Term) -> str:
        """A name for a local; the name of an array that holds the same value is not free."""
        name = self.names.for_node(term)
        taken = any(buffer.name == name for buffer in self.plan.buffers)
        return self.names.unique(f"{name}_i" if term.labels else f"{name}_value") if taken else name

    def _over_plate(self, step: Step) -> bool:
        return self.plate is not None and step.reduces and self.plate in step.term.bound

    # -- expressions -------------------------------------------------------------------------------------------
    def _row(self, label: Label, whole: bool) -> Expression:
        variable = Name(self.loop_names[label], "i")
        return Add(((1, Name("lo", "i")), (1, variable)), "i") if whole and label == self.plate else variable

    def _loop_index(self, label: Label) -> Expression:
        """The value of a label: for the plate, the row in the whole plate."""
        return self._row(label, whole=True)

    def _element(self, buffer_name: str, axes: tuple, kind: str, index: Callable, block: bool, rank_axes: tuple[Label, ...] | None = None) -> Load:
        """Element of an array at `axes` (labels or index terms). Blocks of rows are viewed, whole arrays are not."""
        positions = [k for k, axis in enumerate(axes) if axis == self.plate and self.plate is not None]
        if block and len(positions) == 1:
            name = self._view(buffer_name, positions[0], len(axes))
            return Load(name, tuple(Name(self.loop_names[a], "i") if k == positions[0] else index(a) for k, a in enumerate(axes)), kind)
        return Load(buffer_name, tuple(index(axis) for axis in axes), kind)

    def _view(self, array: str, axis: int, rank: int) -> str:
        if (array, axis) not in self.views:
            self.views[array, axis] = View(self.names.unique(f"{array}_b"), array, axis, rank)
        return self.views[array, axis].name

    def _load(self, term: Read, index: Callable) -> Expression:
        array = term.array
        if array in self.plan.block_draws:
            buffer, _ = self.plan.block_draws[array]
            self.arrays[buffer.name] = buffer
            self.draws.setdefault(buffer.name, DrawRows(buffer.name, buffer.name))
            return Load(buffer.name, tuple(Name(self.loop_names[a], "i") if a == self.plate else index(a) for a in term.indices), term.kind)
        buffer = self.plan.of_array[array]
        return self._from_buffer(buffer, term.indices, term.kind, index)

    def _from_buffer(self, buffer: Buffer, indices: tuple, kind: str, index: Callable) -> Expression:
        if not buffer.axes:
            self.scalars[buffer.name] = buffer
            return Name(buffer.name, kind)
        self.arrays[buffer.name] = buffer
        return self._element(buffer.name, indices, kind, index, block=True)

    def _value_of(self, term: Term) -> Expression | None:
        place = self.here.get(term) or self.places.get(term)
        if place is not None:
            return self._at_place(place)
        external = self._external(term)
        if external is not None:
            return self._from_buffer(external, external.axes, term.kind, self._loop_index)
        return None

    def _at_place(self, place: Place) -> Expression:
        if place.axes is None:
            return Name(place.name, place.kind)
        if place.whole:
            return self._element(place.name, place.axes, place.kind, self._loop_index, block=True)
        return Load(place.name, tuple(Name(self.loop_names[a], "i") for a in place.axes), place.kind)

    def _convert(self, term: Term) -> Expression:
        return to_expression(term, self._value_of, self._loop_index, self._load)

    def _operand(self, term: Term) -> Expression:
        known = self._value_of(term)
        return known if known is not None else self._convert(term)

    def _summand(self, step: Step) -> Expression:
        """What a reducing step accumulates."""
        term = step.term
        if isinstance(term, Reduce):
            value = self._operand(term.children[0])
            return as_real(value) if term.kind == "f" else value
        scattered = set(scatter_labels(term).values())
        factors = [(base, e) for base, e in term.factors if base not in scattered]
        converter = object.__new__(to_expression)
        converter.value_of, converter.index, converter.load = self._value_of, self._loop_index, self._load
        return converter.product(factors, term.kind) if factors else Number(Fraction(1), term.kind)

    # -- statements --------------------------------------------------------------------------------------------
    def run(self) -> Function:
        labels = sort_labels({label for node in self.local for label in (*node.labels, *getattr(node, "bound", ()))} | {a for b, _ in self.region.stores for a in b.axes})
        self.loop_names = self.names.loop_names(labels, self.plate)
        steps = self._steps()
        nests = self._schedule(steps)
        self._assign_places(nests)
        body: list[Statement] = []
        for nest in nests:
            body.extend(self._emit(nest))
        return self._function(body)

    def _function(self, body: list[Statement]) -> Function:
        if self.plate is not None:
            views: list[Statement] = [*self.views.values(), *self.draws.values()]
            body = [*self.before, BlockLoop([*views, *body]), *self.after]
        else:
            body = [*self.before, *body, *self.after]
        arrays = list(self.arrays.values()) + [b for b in self.scalars.values() if b.name not in self.arrays]
        doc = []
        return Function(self.name, self.plate.dim if self.plate is not None else None, doc, arrays, [], [], body)

    def _emit(self, nest: Nest) -> list[Statement]:
        order = self._order(nest)
        self.here: dict[Term, Place] = {}  # values of this nest that are also in an array
        ahead: list[Statement] = []
        pre: list[list[Statement]] = [[] for _ in range(len(order) + 1)]
        post: list[list[Statement]] = [[] for _ in range(len(order) + 1)]
        inner: list[Statement] = []
        for step in nest.steps:
            if step.reduces:
                self._emit_reduction(step, order, ahead, pre, post, inner)
            else:
                self._emit_pointwise(step, inner)
        body = inner
        for depth in reversed(range(len(order))):
            label = order[depth]
            extent = Name("rows", "i") if label == self.plate else Extent(label.dim)
            loop = For(self.loop_names[label], extent, body, rows=label == self.plate)
            body = [*pre[depth], loop, *post[depth]]
        self.here = {}
        return [*ahead, *body]

    def _emit_pointwise(self, step: Step, inner: list[Statement]) -> None:
        term = step.term
        comment = self._comment(term)
        if not step.define:
            value = self._operand(term)
            for buffer in step.stores:
                inner.append(self._store(buffer, buffer.axes, value, comment))
            return
        place = self.places.pop(term)
        value = self._convert(term)
        self.places[term] = place
        others = step.stores[1:] if place.axes is not None and place.whole else step.stores
        if place.axes is None or others or self._read_here(step):
            local = place.name if place.axes is None else self.names.unique(f"{place.name}_i")
            inner.append(Let(local, value, comment))
            value, comment = Name(local, term.kind), ""
            if place.axes is not None:
                self.here[term] = Place(local, None, term.kind)
        if place.axes is not None:
            target = self._at_place(place)
            inner.append(Assign(target.array, target.indices, value, comment))
        for buffer in others:
            inner.append(self._store(buffer, buffer.axes, value, ""))

    def _read_here(self, step: Step) -> bool:
        """Does another statement of the nest read the value that this one stores to an array?"""
        return any(step.term in self._needs(other) or (not other.define and other.term is step.term) for other in step.nest.steps if other is not step)

    def _store(self, buffer: Buffer, axes, value: Expression, comment: str) -> Statement:
        self.arrays[buffer.name] = buffer
        value = as_real(value) if buffer.kind == "f" else value
        if not axes:
            return Assign(buffer.name, (Number(Fraction(0), "i"),), value, comment)
        element = self._element(buffer.name, tuple(axes), buffer.kind, self._loop_index, block=True)
        return Assign(element.array, element.indices, value, comment)

    def _emit_reduction(self, step: Step, order, ahead, pre, post, inner) -> None:
        term, operation = step.term, step.operation
        comment = self._comment(term)
        scattered = scatter_labels(term)
        free = term.labels - scattered.keys()
        value = self._summand(step)
        neutral = Number(NEUTRAL[operation], term.kind)
        depth = len(free)
        in_register = not scattered and set(order[:depth]) == set(free)
        over_plate = self._over_plate(step)
        place = self.places[term]
        if in_register:
            if place.axes is None and not over_plate:
                local = place.name
            else:
                local = self.names.unique(f"{place.name}_sum" if operation == "+" else f"{place.name}_{operation if operation.isalpha() else 'product'}")
            pre[depth].append(Let(local, neutral, ""))
            inner.append(Accumulate(local, None, operation, value, comment))
            result = Name(local, term.kind)
            if over_plate:
                self._finish_over_plate(step, place, operation, result, post[depth])
            elif place.axes is not None:
                target = self._at_place(place)
                post[depth].append(Assign(target.array, target.indices, result))
            for buffer in step.stores if place.axes is None and not over_plate else step.stores[1:] if not over_plate else ():
                post[depth].append(self._store(buffer, buffer.axes, result, ""))
            return
        target = self._scatter_target(place, scattered) if scattered else self._at_place(place)
        inner.append(Accumulate(target.array, target.indices, operation, value, comment))
        (self.before if over_plate else ahead).extend(self._fill(place, neutral))
        for buffer in step.stores[1:]:
            (self.after if over_plate else post[0]).extend(self._copy(place, buffer))

    def _finish_over_plate(self, step: Step, place: Place, operation: str, result: Name, post: list[Statement]) -> None:
        """A sum over the plate goes on from block to block."""
        term = step.term
        neutral = Number(NEUTRAL[operation], term.kind)
        if place.axes:
            target = self._at_place(place)
            self.before.extend(self._fill(place, neutral))
            post.append(Accumulate(target.array, target.indices, operation, result))
            for buffer in step.stores[1:]:
                self.after.extend(self._copy(place, buffer))
            return
        total = self.names.unique(f"total_{place.name}")
        self.before.append(Let(total, neutral))
        post.append(Accumulate(total, None, operation, result))
        buffers = step.stores
        for buffer in buffers:
            self.after.append(self._store(buffer, (), Name(total, term.kind), ""))

    def _scatter_target(self, place: Place, scattered: dict[Label, Delta]) -> Load:
        indices = []
        for axis in place.axes:
            delta = scattered.get(axis)
            if delta is None:
                indices.append(self._row(axis, place.whole))
            else:
                other = delta.right if delta.left == axis else delta.left
                indices.append(self._loop_index(other) if isinstance(other, Label) else self._operand(other))
        return Load(place.name, tuple(indices), place.kind)

    def _fill(self, place: Place, value: Expression) -> list[Statement]:
        """Set a whole place to a value."""
        return self._loops(place.axes, [Assign(place.name, tuple(self._row(a, place.whole) for a in place.axes), value)])

    def _copy(self, place: Place, buffer: Buffer) -> list[Statement]:
        source = Load(place.name, tuple(self._row(a, place.whole) for a in place.axes), place.kind)
        self.arrays[buffer.name] = buffer
        return self._loops(buffer.axes, [Assign(buffer.name, tuple(self._row(a, True) for a in buffer.axes), source)])

    def _loops(self, axes, body: list[Statement]) -> list[Statement]:
        for label in reversed(axes):
            extent = Name("rows", "i") if label == self.plate else Extent(label.dim)
            body = [For(self.loop_names[label], extent, body, rows=label == self.plate)]
        return body

    # -- loop order --------------------------------------------------------------------------------------------
    def _order(self, nest: Nest) -> list[Label]:
        """Loops from outside in. The innermost label is the one along which most operands lie contiguously."""
        labels = sort_labels(nest.loops)
        if not labels:
            return []
        free: list[Label] = []
        for step in nest.steps:
            axes = step.stores[0].axes if step.stores else sort_labels(step.term.labels)
            free.extend(a for a in axes if a in nest.loops and a not in free)
        bound = [label for label in labels if label not in free]
        if nest.key[0] == "point" and self.plate in nest.loops:
            inner = self.plate
        else:
            scores = {label: self._contiguity(nest, label) for label in labels}
            inner = max(labels, key=lambda label: (scores[label], label in bound, label_key(label)))
        rest = [label for label in (*free, *bound) if label != inner]
        if self.plate in rest:
            rest.remove(self.plate)
            rest.insert(0, self.plate)
        return [*rest, inner]

    def _contiguity(self, nest: Nest, label: Label) -> int:
        score = 0
        for step in nest.steps:
            for axes in self._accesses(step):
                if axes and axes[-1] == label:
                    score += 2
                elif label in axes:
                    score -= 2
        return score

    def _accesses(self, step: Step) -> Iterable[tuple]:
        """The index tuples of the arrays that a step touches."""
        if step.define and self.places[step.term].axes is not None and not (step.reduces and not step.term.labels):
            yield self.places[step.term].axes
        for buffer in step.stores[:1]:
            if not step.define:
                yield buffer.axes
        stack = list(self._inner_children(step.term)) if step.define else [step.term]
        for child in step.term.children if step.define else (step.term,):
            if child.is_term and (stored := self._external(child)) is not None:
                yield stored.axes
        seen: set[Term] = set()
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in self.places and node is not step.term:
                yield self.places[node].axes or ()
                continue
            if isinstance(node, Read):
                yield node.indices
            for child in node.children:
                if child.is_term:
                    stored = self._external(child)
                    if stored is not None:
                        yield stored.axes
                    else:
                        stack.append(child)

    # -- comments ----------------------------------------------------------------------------------------------
    def _comment(self, term: Term) -> str:
        """The mathematics of a line, and the user's line."""
        names = self.math_names()
        stop = {}
        for node, place in self.places.items():
            if node is not term:
                labels = sort_labels(node.labels)
                stop[node] = place.name.removesuffix("_b") + (f"[{','.join(names.get(label, str(label)) for label in labels)}]" if labels else "")
        site = site_of(term)
        return f"{text(term, 76, names, stop)}" + (f"    {site}" if site else "")

    def math_names(self) -> dict[Label, str]:
        """Letters for comments: the plate's own letter rather than the row of a block."""
        if not self.letters:
            self.letters = label_names([term for _, term in self.region.stores])
            for label, name in self.loop_names.items():
                self.letters[label] = str(label.dim).lower() if label == self.plate and label.dim.is_name else name
        return self.letters
