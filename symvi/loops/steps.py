"""What a region computes, as steps: one term each, over its loop labels. The rest is written inline where it is used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Contract, Delta, Node, Read, Reduce, Sum, Surrogate, Tensor, Term, postorder
from symvi.plan.light import is_cheap, is_trivial, scatter_labels
from symvi.plan.matrix_products import Arranged, MatrixProduct, arrange, default_axes, plain_read
from symvi.plan.program import Buffer, Plan, Region

__all__ = ["Step", "RegionTerms", "total_operation"]

LONGEST_EXPRESSION = 24  # nodes; beyond it a subterm gets a line of its own
OPERATIONS = {"max": "max", "min": "min", "prod": "*", "any": "or", "all": "and"}


def total_operation(term: Term, plate: Label) -> str:
    """By which operation the parts of a total over a plate become the whole."""
    assert plate in getattr(term, "bound", ()), "what a pass stores without its plate is a total over it"
    return "+" if isinstance(term, Contract) else OPERATIONS[term.operation]


@dataclass(eq=False)
class Step:
    """A statement before it has loops: computes `term`, over `loops`; `stores` are buffers that want the value."""

    term: Term
    loops: frozenset[Label]
    stores: list[Buffer] = field(default_factory=list)
    define: bool = True  # False: only stores a value that is written inline or has a place already
    nest: object = None

    @property
    def reduces(self) -> bool:
        return self.define and (isinstance(self.term, Reduce) or (isinstance(self.term, Contract) and bool(self.term.bound)))

    @property
    def operation(self) -> str:
        return "+" if isinstance(self.term, Contract) else OPERATIONS[self.term.operation]


class RegionTerms:
    """The terms that a region computes, who uses them, and which of them get a step."""

    def __init__(self, region: Region, plan: Plan):
        self.region, self.plan, self.plate = region, plan, region.plate
        self.stores: dict[Term, list[Buffer]] = {}
        for buffer, term in region.stores:
            self.stores.setdefault(term, []).append(buffer)
        self.products: dict[Term, Arranged | None] = {}
        self.operands: set[Term] = set()  # of products, not yet arrays
        roots = [term for _, term in region.stores]
        self.local = [node for node in postorder(roots, self.inner_children) if node.is_term]
        self.viewed = {node.array.term for node in self.local if self.is_view(node)}
        inside = set(self.local)
        self.consumers: dict[Term, list] = {node: [] for node in self.local}
        for node in self.local:
            for child in dict.fromkeys(self.children(node)):
                if child in inside:
                    self.consumers[child].append(node)
        self.filled = {buffer for buffer, _ in region.stores}
        self.defined: dict[Term, Step] = {}
        self.steps = self._steps()
        self._needs: dict[Step, set] = {}

    # -- terms of other regions ----------------------------------------------------------------------------------
    def external(self, term: Term) -> Buffer | None:
        """The buffer from which this region reads a term that another region stores."""
        stored = self.plan.of_term.get(term)
        if stored is not None and not self.plan.computed_in(term, self.region) and not is_cheap(term):
            return stored
        return None

    def inner_children(self, node: Node) -> Iterable[Node]:
        """The operands that this region computes itself."""
        for child in self.children(node):
            if child.is_term and self.external(child) is None:
                yield child

    def children(self, node: Node) -> tuple[Node, ...]:
        """The operands of a node: of a matrix product the two matrices."""
        if self.is_view(node):
            return (node.array.term, *node.children[1:])
        product = self.product(node) if node.is_term else None
        return node.children if product is None else (product.left, product.right)

    def is_view(self, node: Node) -> bool:
        """Does a read see, under other labels, a term that this region computes?"""
        return isinstance(node, Read) and isinstance(node.array, Tensor) and node.array not in self.plan.of_array

    # -- products of matrices ----------------------------------------------------------------------------------------
    def product(self, term: Term) -> Arranged | None:
        """The contraction as a product of matrices, where it is one that pays."""
        if term not in self.products:
            found = self.plan.products.get(term)
            arranged = self._arranged(term, found) if found is not None else None
            self.products[term] = arranged
            if arranged is not None:
                self.operands |= {side for side in (arranged.left, arranged.right) if not self._is_array(side)}
        return self.products[term]

    def _arranged(self, term: Term, product: MatrixProduct) -> Arranged | None:
        stores = self._direct_stores(term)
        out = stores[0].axes if stores else default_axes(term.labels, self.plate)
        arranged = arrange(product, frozenset(term.bound), out, self.place_axes)
        if arranged is None:
            return None
        groups = (arranged.stack, arranged.rows, arranged.columns, arranged.inner)
        crowded = any(self.plate in group and len(group) > 1 for group in groups)
        return None if crowded or self.plate in arranged.stack else arranged

    def _direct_stores(self, term: Term) -> list[Buffer]:
        stores = sorted(self.stores.get(term, ()), key=lambda buffer: buffer.scale != 1)
        return [buffer for buffer in stores if frozenset(buffer.axes) == term.labels]

    def _is_array(self, term: Term) -> bool:
        """Is an operand in an array as it is?"""
        return plain_read(term) or self.external(term) is not None

    def place_axes(self, term: Term) -> tuple[Label, ...]:
        """The axes of the array that holds a term, or will."""
        if self.is_view(term):
            image = dict(zip(term.array.axes, term.indices, strict=True))
            return tuple(image[axis] for axis in self.place_axes(term.array.term))
        if plain_read(term):
            return self.plan.indices(term)
        stored = self.external(term)
        if stored is not None:
            return stored.axes
        stores = self._direct_stores(term)
        return stores[0].axes if stores else default_axes(term.labels, self.plate)

    def labels(self) -> set[Label]:
        """Every label that the region loops over."""
        found = {label for node in self.local for label in (*node.labels, *getattr(node, "bound", ()))}
        return found | {axis for buffer, _ in self.region.stores for axis in buffer.axes}

    def loops_of(self, term: Term) -> frozenset[Label]:
        bound = term.bound if isinstance(term, (Contract, Reduce)) else ()
        return frozenset((term.labels | set(bound)) - set(scatter_labels(term)))

    def over_plate(self, term: Term) -> bool:
        """Is the value complete only after the last block?"""
        if self.plate is None:
            return False
        bound = term.bound if isinstance(term, (Contract, Reduce)) else ()
        return self.plate in bound

    # -- which terms get a step ------------------------------------------------------------------------------------
    def _steps(self) -> list[Step]:
        steps: list[Step] = []
        sizes: dict[Term, int] = {}
        for node in self.local:
            sizes[node] = 1 + sum(sizes.get(child, 1) for child in node.children if child not in self.defined)
            direct = self._direct_stores(node)
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
        if node in self.operands or node in self.viewed:
            return True
        if is_trivial(node):
            return False
        if isinstance(node, Reduce) or (isinstance(node, Contract) and (node.bound or self.loops_of(node) != node.labels)):
            return True
        users = self.consumers[node]
        if self._is_light(node) or (node.kind == "i" and users and all(isinstance(user, (Read, Delta)) for user in users)):
            return False
        if len(users) + len(self.stores.get(node, ())) != 1 or size > LONGEST_EXPRESSION:
            return True
        return bool(users) and self.loops_of(users[0]) != node.labels

    def _is_light(self, node: Term) -> bool:
        """A sum or product of at most two values that are in memory anyway: written again, it needs no memory of its own."""
        if isinstance(node, Surrogate):  # a value that the plan holds
            return False
        product = isinstance(node, Contract) and not node.bound and all(exponent > 0 for _, exponent in node.factors)
        return (isinstance(node, Sum) or product) and len(node.children) <= 2 and all(map(self._in_memory, node.children))

    def _in_memory(self, node: Term) -> bool:
        return is_trivial(node) or is_cheap(node) or self.external(node) is not None

    # -- what a step reads -----------------------------------------------------------------------------------------
    def needs(self, step: Step) -> set:
        """The terms with a place, and the buffers filled by this region, that a step reads."""
        if step not in self._needs:
            needed: set = set()
            seen: set[Term] = set()
            stack = [step.term] if not step.define else list(self.inner_children(step.term))
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
                stack.extend(self.inner_children(node))
            self._needs[step] = needed
        return self._needs[step]

    def has_function(self, term: Term) -> bool:
        """Does the summand of a contraction call a scalar function that is more than arithmetic?"""
        stack = list(self.inner_children(term))
        while stack:
            node = stack.pop()
            if node in self.defined:
                continue
            if isinstance(node, Apply) and node.function.cost > 2:
                return True
            stack.extend(self.inner_children(node))
        return False
