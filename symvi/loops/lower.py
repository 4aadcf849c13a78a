"""One region to one function: every nest of steps becomes loops; values get registers, tiles or buffers.

Inside a pass over a plate the rows of a block are the innermost loop where that is contiguous. A value that is used only
in its own nest is a local; one that crosses nests is a tile (block-sized) or, in parameter-only code, a small array. A sum
over the plate goes on from block to block and is complete after the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from symvi.expr.labels import Label, label_key, sort_labels
from symvi.expr.nodes import Delta, Node, Read, Reduce, Sum, Term
from symvi.expr.printing import label_names, number_text, text
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
    Matrix,
    MatrixMultiply,
    Multiply,
    Name,
    Number,
    Statement,
    View,
)
from symvi.loops.expressions import as_real, product_expression, to_expression
from symvi.loops.naming import Names
from symvi.loops.nests import Nest, schedule
from symvi.loops.steps import RegionTerms, Step
from symvi.loops.work import work_of
from symvi.plan.light import scatter_labels
from symvi.plan.matrix_products import plain_read
from symvi.plan.program import Buffer, Plan, Region

__all__ = ["lower_region"]

COMMENT_WIDTH = 90
SHORT = 8  # an extent at which a loop does not fill the lanes of a vector
NEGATIVE_INFINITY, INFINITY = float("-inf"), float("inf")
NEUTRAL = {"+": Fraction(0), "*": Fraction(1), "max": NEGATIVE_INFINITY, "min": INFINITY, "or": False, "and": True}


@dataclass(frozen=True)
class Place:
    """Where a value lives: a local (axes None) or an array indexed by axes. An array may hold `scale` times the value."""

    name: str
    axes: tuple[Label, ...] | None
    kind: str
    whole: bool = False  # indexed by global rows rather than by rows of the block
    scale: Fraction = Fraction(1)


def lower_region(region: Region, plan: Plan, names: Names, name: str, new_tile: Callable[[Term, tuple[Label, ...]], Buffer]) -> Function:
    """The function of a region. `new_tile(term, axes)` makes block-sized or parameter-only scratch."""
    return _Lowering(region, plan, names, name, new_tile).run()


class _Lowering:
    def __init__(self, region: Region, plan: Plan, names: Names, name: str, new_tile):
        self.region, self.plan, self.names, self.name, self.new_tile = region, plan, names, name, new_tile
        self.plate = region.plate
        self.terms = RegionTerms(region, plan)
        self.views: dict[tuple[str, int], View] = {}
        self.draws: dict[str, DrawRows] = {}
        self.arrays: dict[str, Buffer] = {}
        self.scalars: dict[str, Buffer] = {}
        self.places: dict[Term, Place] = {}
        self.before: list[Statement] = []  # ahead of the block loop
        self.after: list[Statement] = []
        self.here: dict[Term, Place] = {}
        self.totals: dict[Term, str] = {}  # locals of scalar sums over the plate
        self.letters: dict[Label, str] = {}
        self.shown: dict[Node, str] | None = None

    def run(self) -> Function:
        self.loop_names = self.names.loop_names(sort_labels(self.terms.labels()), self.plate)
        late = [step for step in self.terms.steps if not step.define and self.terms.over_plate(step.term)]
        nests = schedule([step for step in self.terms.steps if step not in late], self.terms)
        self._assign_places(nests)
        body: list[Statement] = []
        for nest in nests:
            body.extend(self._emit(nest))
        for step in late:
            self.after.extend(self._copy(step.term, step.stores[0]))
        return self._function(body)

    # -- places ------------------------------------------------------------------------------------------------
    def _assign_places(self, nests: list[Nest]) -> None:
        readers: dict[Term, set[Nest]] = {}
        for nest in nests:
            for step in nest.steps:
                for term in self.terms.needs(step):
                    if isinstance(term, Buffer):
                        continue
                    readers.setdefault(term, set()).add(nest)
                if not step.define and step.term in self.terms.defined:
                    readers.setdefault(step.term, set()).add(nest)
        for nest in nests:
            for step in nest.steps:
                if step.define:
                    self.places[step.term] = self._place(step, readers.get(step.term, set()))

    def _place(self, step: Step, readers: set[Nest]) -> Place:
        term = step.term
        crosses = bool(readers - {step.nest}) or step.reduces or term in self.terms.viewed
        if (not term.labels and not self.terms.over_plate(term)) or not crosses:
            return Place(self._local_name(term), None, term.kind)
        if step.stores:
            buffer = step.stores[0]
            self.arrays[buffer.name] = buffer
            return Place(buffer.name, buffer.axes, term.kind, whole=True, scale=buffer.scale)
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

    # -- expressions -------------------------------------------------------------------------------------------
    def _row(self, label: Label, whole: bool) -> Expression:
        variable = Name(self.loop_names[label], "i")
        return Add(((1, Name("lo", "i")), (1, variable)), "i") if whole and label == self.plate else variable

    def _loop_index(self, label: Label) -> Expression:
        """The value of a label: for the plate, the row in the whole plate."""
        return self._row(label, whole=True)

    def _loop_variable(self, label: Label) -> Expression:
        return Name(self.loop_names[label], "i")

    def _element(self, buffer_name: str, axes: tuple, kind: str, index: Callable, block: bool) -> Load:
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
        if self.terms.is_view(term):
            image = dict(zip(array.axes, term.indices, strict=True))
            return self._at_place(self.places[array.term], lambda axis: index(image[axis]))
        if array in self.plan.block_draws:
            buffer, _ = self.plan.block_draws[array]
            self.arrays[buffer.name] = buffer
            self.draws.setdefault(buffer.name, DrawRows(buffer.name, buffer.name))
            return Load(buffer.name, tuple(Name(self.loop_names[a], "i") if a == self.plate else index(a) for a in term.indices), term.kind)
        buffer = self.plan.of_array[array]
        return self._from_buffer(buffer, self.plan.indices(term), term.kind, index)

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
        external = self.terms.external(term)
        if external is not None:
            return self._from_buffer(external, external.axes, term.kind, self._loop_index)
        return None

    def _at_place(self, place: Place, index: Callable | None = None) -> Expression:
        """The value of a place at the loop variables, or at what `index` gives for labels other than the plate."""
        if place.axes is None:
            return Name(place.name, place.kind)
        index = index or self._loop_index
        if place.whole:
            return self._element(place.name, place.axes, place.kind, index, block=True)
        indices = (Name(self.loop_names[a], "i") if a == self.plate else index(a) for a in place.axes)
        return Load(place.name, tuple(indices), place.kind)

    def _convert(self, term: Term) -> Expression:
        return to_expression(term, self._value_of, self._loop_index, self._load, self._is_constant)

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
        return product_expression(factors, term.kind, self._value_of, self._loop_index, self._load, self._is_constant)

    def _is_constant(self, term: Term) -> bool:
        """Is a value the same for all rows of a block?"""
        return self.plate is not None and self.plate not in term.labels

    # -- statements --------------------------------------------------------------------------------------------
    def _function(self, body: list[Statement]) -> Function:
        if self.plate is not None:
            views: list[Statement] = [*self.views.values(), *self.draws.values()]
            body = [*self.before, BlockLoop([*views, *body]), *self.after]
        else:
            body = [*self.before, *body, *self.after]
        arrays = list(self.arrays.values()) + [b for b in self.scalars.values() if b.name not in self.arrays]
        plate = self.plate.dim if self.plate is not None else None
        return Function(self.name, plate, self._mathematics(), arrays, body, work_of(self.terms))

    def _emit(self, nest: Nest) -> list[Statement]:
        if nest.key[0] == "product":
            return self._emit_product(nest.steps[0])
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
        others = [other for other in step.nest.steps if other is not step]
        return any(step.term in self.terms.needs(other) or (not other.define and other.term is step.term) for other in others)

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
        over_plate = self.terms.over_plate(term)
        place = self.places[term]
        if in_register:
            local = place.name if place.axes is None and not over_plate else self.names.unique(self._register_name(place, operation))
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
        sign = place.scale if abs(place.scale) == 1 else Fraction(1)
        if not scattered and order[-1] not in free:
            local = self.names.unique(self._register_name(place, operation))
            pre[len(order) - 1].append(Let(local, neutral, ""))
            inner.append(Accumulate(local, None, operation, value, comment))
            result = _scaled(Name(local, term.kind), sign)
            post[len(order) - 1].append(Accumulate(target.array, target.indices, operation, result))
        else:
            inner.append(Accumulate(target.array, target.indices, operation, _scaled(value, sign), comment))
        (self.before if over_plate else ahead).extend(self._fill(place, neutral))
        if place.scale != sign:
            element = tuple(self._row(axis, place.whole) for axis in place.axes)
            self.after.extend(self._loops(place.axes, [Accumulate(place.name, element, "*", Number(place.scale, "f"))]))
        for buffer in step.stores[1:]:
            (self.after if over_plate else post[0]).extend(self._copy(term, buffer))

    def _emit_product(self, step: Step) -> list[Statement]:
        """A contraction as one product of matrices for every element of its stack."""
        term, place, product = step.term, self.places[step.term], self.terms.product(step.term)
        over_plate = self.terms.over_plate(term)
        stack, rows, columns, inner = product.stack, product.rows, product.columns, product.inner
        left = self._matrix(product.left, stack, *((inner, rows) if product.left_transposed else (rows, inner)))
        right = self._matrix(product.right, stack, *((columns, inner) if product.right_transposed else (inner, columns)))
        out = self._matrix_at(place, stack, rows, columns)
        alpha = Number(place.scale, "f")
        multiply = MatrixMultiply(
            left, right, out, product.left_transposed, product.right_transposed, alpha, over_plate, self._comment(term)
        )  # fmt: skip
        body = self._loops(stack, [multiply])
        copies = [statement for buffer in step.stores[1:] for statement in self._copy(term, buffer)]
        if not over_plate:
            return [*body, *copies]
        self.before.extend(self._fill(place, Number(NEUTRAL["+"], term.kind)))
        self.after.extend(copies)
        return body

    def _matrix(self, term: Term, stack: tuple[Label, ...], first: tuple[Label, ...], second: tuple[Label, ...]) -> Matrix:
        place = self.places.get(term.array.term if self.terms.is_view(term) else term)
        if place is not None:
            if self.terms.is_view(term):
                back = dict(zip(term.indices, term.array.axes, strict=True))
                dims = [tuple(back[label] for label in group) for group in (first, second)]
                return self._matrix_at(place, stack, *dims)
            return self._matrix_at(place, stack, first, second)
        if isinstance(term, Read) and term.array in self.plan.block_draws:
            buffer, _ = self.plan.block_draws[term.array]
            self.draws.setdefault(buffer.name, DrawRows(buffer.name, buffer.name))
            whole = False
        else:
            buffer, whole = self.plan.of_array[term.array] if isinstance(term, Read) else self.terms.external(term), True
        self.arrays[buffer.name] = buffer
        return self._matrix_at(Place(buffer.name, (*stack, *first, *second), term.kind, whole), stack, first, second)

    def _matrix_at(self, place: Place, stack: tuple[Label, ...], first: tuple[Label, ...], second: tuple[Label, ...]) -> Matrix:
        name, block_axis = place.name, next((k for k, group in enumerate((first, second)) if self.plate in group), None)
        if self.plate is not None and block_axis is not None and place.whole:
            position = place.axes.index(self.plate)
            name = self._view(name, position, len(place.axes))
            block_axis = None if position == 0 else block_axis
        indices = tuple(self._loop_index(label) for label in stack)
        return Matrix(name, indices, (tuple(a.dim for a in first), tuple(a.dim for a in second)), block_axis)

    @staticmethod
    def _register_name(place: Place, operation: str) -> str:
        """The local in which a sum is gathered: for an element of an array, or for one block of rows."""
        if place.axes == ():
            return f"block_{place.name}"
        suffix = {"+": "sum", "*": "product"}.get(operation, operation)
        return f"{place.name}_{suffix if suffix not in place.name.split('_') else 'part'}"

    def _finish_over_plate(self, step: Step, place: Place, operation: str, result: Name, post: list[Statement]) -> None:
        """A sum over the plate goes on from block to block."""
        term = step.term
        neutral = Number(NEUTRAL[operation], term.kind)
        if place.axes:
            target = self._at_place(place)
            self.before.extend(self._fill(place, neutral))
            post.append(Accumulate(target.array, target.indices, operation, _scaled(result, place.scale)))
            for buffer in step.stores[1:]:
                self.after.extend(self._copy(term, buffer))
            return
        self.totals[term] = total = self.names.unique(f"total_{place.name}")
        self.before.append(Let(total, neutral))
        post.append(Accumulate(total, None, operation, result))
        for buffer in step.stores:
            self.after.extend(self._copy(term, buffer))

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

    def _copy(self, term: Term, buffer: Buffer) -> list[Statement]:
        """Store a value that is complete to one more buffer."""
        place = self.places[term]
        if term in self.totals:
            value = _scaled(Name(self.totals[term], term.kind), buffer.scale)
        else:
            value = Load(place.name, tuple(self._row(a, place.whole) for a in place.axes), place.kind)
            value = _scaled(value, buffer.scale / place.scale)
        value = as_real(value) if buffer.kind == "f" else value
        self.arrays[buffer.name] = buffer
        late = self.terms.over_plate(term)  # after the last block: rows of the whole plate
        index = self._loop_variable if late else self._loop_index
        element = tuple(index(a) for a in buffer.axes) or (Number(Fraction(0), "i"),)
        return self._loops(buffer.axes, [Assign(buffer.name, element, value)], blocks=not late)

    def _loops(self, axes, body: list[Statement], blocks: bool = True) -> list[Statement]:
        for label in reversed(axes):
            rows = blocks and label == self.plate
            body = [For(self.loop_names[label], Name("rows", "i") if rows else Extent(label.dim), body, rows=rows)]
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
        if _is_short(label):
            return -2 * len(nest.steps)  # no loop to run along, however its elements lie
        for step in nest.steps:
            if step.reduces and label not in step.term.labels and label in step.loops:
                score += 2  # the sum along it stays in a register
            reads = (axes for axes in self._reads(step) if self.plate in axes or self.plate not in nest.loops)  # parameters stay in cache
            for accessed in (*self._targets(step), *reads):
                axes = [axis for axis in accessed if not _is_short(axis)]
                if axes and axes[-1] == label:
                    score += 2
                elif label in axes:
                    score -= 2
        return score

    def _targets(self, step: Step) -> Iterable[tuple]:
        """The indices at which a step stores."""
        if step.define and self.places[step.term].axes is not None and not (step.reduces and not step.term.labels):
            yield self.places[step.term].axes
        for buffer in step.stores[:1]:
            if not step.define:
                yield buffer.axes

    def _reads(self, step: Step) -> Iterable[tuple]:
        """The index tuples of the arrays that a step reads."""
        stack = list(self.terms.inner_children(step.term)) if step.define else [step.term]
        for child in step.term.children if step.define else (step.term,):
            if child.is_term and (stored := self.terms.external(child)) is not None:
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
                yield self.terms.place_axes(node) if self.terms.is_view(node) and plain_read(node) else self.plan.indices(node)
            for child in node.children:
                if child.is_term:
                    stored = self.terms.external(child)
                    if stored is not None:
                        yield stored.axes
                    else:
                        stack.append(child)

    # -- comments ----------------------------------------------------------------------------------------------
    def _comment(self, term: Term) -> str:
        """The mathematics of a line, unless the docstring has it as a result, and the user's line."""
        site = site_of(term)
        is_result = any(stored is term and buffer.scale == 1 for buffer, stored in self.region.stores)
        formula = "" if is_result and not self.terms.over_plate(term) else self._formula(term)
        return "    ".join(part for part in (formula, str(site or "")) if part)

    def _formula(self, term: Term) -> str:
        """The mathematics of a term, with what has a name called by it."""
        if self.shown is None:
            self.shown = self._shown_names()
        own = self.shown.pop(term, None)
        formula = text(term, COMMENT_WIDTH, self.math_names(), self.shown)
        if own is not None:
            self.shown[term] = own
        return formula

    def _shown_names(self) -> dict[Node, str]:
        """What arrays, stored terms and values of this region are called in formulas."""
        names = self.math_names()

        def element(name: str, axes: Iterable[Label]) -> str:
            letters = [names.get(label, str(label)) for label in axes]
            return f"{name}[{','.join(letters)}]" if letters else name

        shown: dict[Node, str] = {array: buffer.name for array, buffer in self.plan.of_array.items()}
        for node in self.terms.local:
            for child in node.children:
                if child.is_term and (stored := self.terms.external(child)) is not None:
                    shown[child] = element(stored.name, stored.axes)
        for node, place in self.places.items():
            stored = next((buffer for buffer in self.terms.stores.get(node, ()) if buffer.scale == 1), None)
            if stored is not None:
                shown[node] = element(stored.name, stored.axes)
            elif place.scale == 1:
                shown[node] = element(place.name, sort_labels(node.labels))
        return shown

    def _mathematics(self) -> list[str]:
        """What the region computes, one formula per result."""
        names = self.math_names()
        lines = []
        for buffer, term in self.region.stores:
            letters = ",".join(names.get(label, str(label)) for label in buffer.axes)
            formula = self._formula(term)
            factor = {1: "", -1: "-"}.get(buffer.scale, f"{number_text(buffer.scale)} ")
            formula = f"{factor}{formula}" if not factor or not isinstance(term, Sum) else f"{factor}({formula})"
            lines.append(f"{buffer.name}{f'[{letters}]' if letters else ''} = {formula}")
        return lines

    def math_names(self) -> dict[Label, str]:
        """Letters for comments: the plate's own letter rather than the row of a block."""
        if not self.letters:
            self.letters = label_names([term for _, term in self.region.stores])
            for label, name in self.loop_names.items():
                self.letters[label] = str(label.dim).lower() if label == self.plate and label.dim.is_name else name
        return self.letters


def _is_short(axis) -> bool:
    """Is an axis known to have a few elements only?"""
    return isinstance(axis, Label) and axis.dim.value is not None and axis.dim.value <= SHORT


def _scaled(value: Expression, factor: Fraction) -> Expression:
    """factor * value."""
    if factor == 1:
        return value
    size = value if abs(factor) == 1 else Multiply((Number(abs(factor), "f"), value), (), "f")
    return size if factor > 0 else Add(((-1, size),), "f")
