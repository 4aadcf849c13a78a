"""The cheapest order of summation of one network: exact over all trees for up to eight operands.

A tree is a partition of the operands into parts, each an operand or a smaller sum with a tree of its own; the last nest of loops
multiplies the parts and sums what no part has summed. A nest costs an operation per iteration and part, and two per element of its
result for a place in memory. Parts that are one value (hash-consing tells) are paid once, values at hand are free.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

from symvi.expr.build import contract, split_coefficient
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Contract, Read, Term
from symvi.plan.networks import Network

__all__ = ["EXACT", "Nest", "Tree", "Forest", "TreeSearch", "nest_of"]

EXACT = 8
MOST_SETS = 60  # sums of one number of operands that are compared in networks of more than eight
STORING = 2  # operations that writing and reading an element again is worth

Part = tuple[int, bool]  # a set of operands as bits; is it summed before?
Parts = tuple[Part, ...]


@dataclass(frozen=True)
class Nest:
    """One nest of loops: its labels, its operations per iteration, and the labels of its result."""

    loops: frozenset[Label]
    weight: int
    result: frozenset[Label]

    def cost(self, size: Callable[[Label], int]) -> int:
        return self.weight * prod(map(size, self.loops)) + STORING * prod(map(size, self.result))

    def flops(self) -> Dim:
        """Operations as a polynomial in the dims."""
        total = Dim(self.weight)
        for label in self.loops:
            total = total * label.dim
        return total


def nest_of(node: Contract) -> Nest:
    """The nest of a contraction as it stands."""
    groups = {child.labels for child in node.children}
    return Nest(frozenset().union(*groups), len(groups), node.labels)


@dataclass(frozen=True)
class Tree:
    """A way to compute a set of operands: its parts, the nests by the value that they make, their cost."""

    parts: Parts
    nests: Mapping[Term, Nest]
    cost: int


class Forest:
    """All trees of one network, whatever the sizes. Sets of operands are masks; a set is **tight** if its labels tie it into one sum."""

    def __init__(self, network: Network):
        self.network, self.groups = network, network.groups
        self.whole = (1 << len(self.groups)) - 1
        self._labels: dict[int, frozenset[Label]] = {}
        self._inner: dict[int, frozenset[Label]] = {}
        self._tight: dict[int, bool] = {}
        root = network.root
        self._keys: dict[int, tuple[Term, tuple[Label, ...]]] = {} if network.opened else {self.whole: (root, root.sorted_labels())}
        self._options: dict[int, list[tuple[Parts, Nest]]] = {}

    def members(self, mask: int) -> list[int]:
        return [k for k in range(len(self.groups)) if mask >> k & 1]

    def labels(self, mask: int) -> frozenset[Label]:
        if mask not in self._labels:
            self._labels[mask] = frozenset().union(*(self.groups[k].labels for k in self.members(mask)))
        return self._labels[mask]

    def inner(self, mask: int) -> frozenset[Label]:
        """The labels that only these operands carry: those that their sum runs over."""
        if mask not in self._inner:
            self._inner[mask] = self.labels(mask) - self.labels(self.whole & ~mask) - self.network.free
        return self._inner[mask]

    def result(self, mask: int) -> frozenset[Label]:
        return self.labels(mask) - self.inner(mask)

    def tight(self, mask: int) -> bool:
        if mask not in self._tight:
            self._tight[mask] = self._reaches_all(mask)
        return self._tight[mask]

    def _reaches_all(self, mask: int) -> bool:
        inner, members = self.inner(mask), self.members(mask)
        reached, waiting = {members[0]}, [members[0]]
        while waiting:
            here = self.groups[waiting.pop()].labels & inner
            for k in members:
                if k not in reached and self.groups[k].labels & here:
                    reached.add(k)
                    waiting.append(k)
        return bool(inner) and len(reached) == len(members)

    def key(self, mask: int) -> tuple[Term, tuple[Label, ...]]:
        """The value of a tight set: its canonical node, as one sum, and the labels at which the network reads it."""
        if mask not in self._keys:
            factors = [factor for k in self.members(mask) for factor in self.groups[k].factors]
            _, term = split_coefficient(contract(self.inner(mask), factors))
            view = isinstance(term, Read)
            self._keys[mask] = (term.array.term, term.indices) if view else (term, term.sorted_labels())
        return self._keys[mask]

    def nest(self, parts: Parts) -> Nest:
        loops = frozenset().union(*(self.result(part) if summed else self.labels(part) for part, summed in parts))
        return Nest(loops, len(parts), self.result(sum(part for part, _ in parts)))

    def typed(self, mask: int) -> Parts:
        typed = self.network.typed
        return tuple((part, part != mask and part in typed) for part in typed[mask])

    def options(self, mask: int) -> list[tuple[Parts, Nest]]:
        """Every last nest of a tight set; what was typed comes first, so that it wins a tie."""
        if mask not in self._options:
            parts = [self.typed(mask)] if mask in self.network.typed else []
            parts += self._partitions(mask, mask, ())
            self._options[mask] = [(each, self.nest(each)) for each in parts]
        return self._options[mask]

    def _partitions(self, mask: int, rest: int, parts: Parts) -> Iterator[Parts]:
        if not rest:
            yield parts
            return
        lowest = rest & -rest
        others = rest & ~lowest
        yield from self._partitions(mask, others, (*parts, (lowest, False)))
        if lowest != mask and self.inner(lowest):
            yield from self._partitions(mask, others, (*parts, (lowest, True)))
        subset = others
        while subset:
            part = lowest | subset
            if part != mask and self.tight(part):
                yield from self._partitions(mask, rest & ~part, (*parts, (part, True)))
            subset = (subset - 1) & others


class TreeSearch:
    """The search in one forest, at given sizes of labels, with values that are `at_hand`."""

    def __init__(self, forest: Forest, size: Callable[[Label], int], at_hand: Iterable[Term] = ()):
        self.forest, self.size, self.at_hand = forest, size, set(at_hand)
        self.trees: dict[int, Tree] = {}

    def best(self) -> Tree:
        """The cheapest tree of the whole network, or, of more than eight operands, the best of a few good ones."""
        if len(self.forest.groups) <= EXACT:
            return self.tree(self.forest.whole)
        found = []
        for way in (self._as_typed, self._by_pairs, self._greedily):
            self.trees = {}
            way()
            if self.forest.whole in self.trees:
                found.append(self.trees)
        self.trees = min(found, key=lambda trees: trees[self.forest.whole].cost)
        return self.trees[self.forest.whole]

    def tree(self, mask: int) -> Tree:
        """The cheapest tree of a tight set of operands."""
        if mask not in self.trees:
            best: Tree | None = None
            for parts, nest in self.forest.options(mask):
                cost = nest.cost(self.size)
                if best is None or cost < best.cost:
                    found = self._with(mask, parts, nest, cost)
                    best = found if best is None or found.cost < best.cost else best
            self.trees[mask] = best
        return self.trees[mask]

    def _with(self, mask: int, parts: Parts, nest: Nest, cost: int) -> Tree:
        below = [self.tree(part) for part, summed in parts if summed and self.forest.key(part)[0] not in self.at_hand]
        nests: dict[Term, Nest] = {}
        for tree in below:
            nests.update(tree.nests)
        apart = len(nests) == sum(len(tree.nests) for tree in below)
        cost += sum(tree.cost for tree in below) if apart else sum(each.cost(self.size) for each in nests.values())
        nests[self.forest.key(mask)[0]] = nest
        return Tree(parts, nests, cost)

    def _as_typed(self) -> None:
        for mask in sorted(self.forest.network.typed, key=int.bit_count):
            self._fix(mask, self.forest.typed(mask))

    def _by_pairs(self) -> None:
        """The cheapest tree of nests with two parts each, where there are few such: in a chain there are."""
        forest = self.forest
        of_size: list[list[int]] = [[], [1 << k for k in range(len(forest.groups))]]
        for size in range(2, len(forest.groups) + 1):
            found: dict[int, Tree] = {}
            for smaller in range(1, size // 2 + 1):
                for a, b in itertools.product(of_size[smaller], of_size[size - smaller]):
                    if not a & b and forest.tight(a | b):
                        tree = self._fix(a | b, ((a, smaller > 1), (b, size - smaller > 1)))
                        found[a | b] = min(found.get(a | b, tree), tree, key=lambda each: each.cost)
            self.trees.update(found)
            of_size.append(list(found))
            if len(found) > MOST_SETS:
                return

    def _greedily(self) -> None:
        """Again and again the tight pair of parts that shrinks most what is in memory."""
        forest = self.forest
        parts: list[Part] = [(1 << k, False) for k in range(len(forest.groups))]
        while len(parts) > 2:
            pairs = [(a, b) for i, a in enumerate(parts) for b in parts[i + 1 :] if forest.tight(a[0] | b[0])]
            if not pairs:
                break
            a, b = min(pairs, key=self._growth)
            self._fix(a[0] | b[0], (a, b))
            parts = [part for part in parts if part not in (a, b)] + [(a[0] | b[0], True)]
        self._fix(forest.whole, tuple(parts))

    def _fix(self, mask: int, parts: Parts) -> Tree:
        nest = self.forest.nest(parts)
        self.trees[mask] = self._with(mask, parts, nest, nest.cost(self.size))
        return self.trees[mask]

    def _growth(self, pair: Parts) -> tuple[int, int]:
        nest = self.forest.nest(pair)
        before = sum(prod(map(self.size, self.forest.result(m) if summed else self.forest.labels(m))) for m, summed in pair)
        return prod(map(self.size, nest.result)) - before, prod(map(self.size, nest.loops))
