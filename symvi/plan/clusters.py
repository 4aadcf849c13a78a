"""Contractions that may open one another, and what of them is computed: the cheapest choice at given sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from symvi.expr.dims import Dim, SizeName
from symvi.expr.labels import Label
from symvi.expr.nodes import Contract, Term
from symvi.plan.networks import Uses, behind, gather
from symvi.plan.tree_search import EXACT, Forest, Nest, Tree, TreeSearch, nest_of
from symvi.rewrite.guard import known_sizes

__all__ = ["Sizes", "Solution", "Cluster", "clusters_of", "node_width"]

PLATE, LOOP = 10_000, 32  # sizes taken for those that are not known
MOST_SHARED = 12  # values of one cluster for which having them is weighed against opening them in each reader


@dataclass
class Solution:
    """How the contractions of a cluster are computed: a tree for every value that has a place, and the nests of all."""

    trees: dict[Contract, tuple[TreeSearch, Tree]] = field(default_factory=dict)
    nests: dict[Term, Nest] = field(default_factory=dict)

    def cost(self, size: Callable[[Label], int]) -> int:
        return sum(nest.cost(size) for nest in self.nests.values())

    def flops(self) -> Dim:
        return sum((nest.flops() for nest in self.nests.values()), Dim(0))


class Sizes:
    """Sizes of labels: `skewed` ones, known ones, those of the first binding, else guesses."""

    def __init__(self, plates: Iterable[Dim], skewed: Mapping[SizeName, int] | None = None):
        self.names = known_sizes()
        self.plates = {name for dim in plates for name in dim.names}
        self.skewed = skewed or {}
        self.of_dim: dict[Dim, int] = {}

    def name(self, name: SizeName) -> int:
        if name.known is not None:
            return name.known
        if name in self.skewed:
            return self.skewed[name]
        return self.names.get(name.name, PLATE if name in self.plates else LOOP)

    def dim(self, dim: Dim) -> int:
        if dim not in self.of_dim:
            self.of_dim[dim] = max(dim.size({name.name: self.name(name) for name in dim.names}), 0)
        return self.of_dim[dim]

    def __call__(self, label: Label) -> int:
        return self.dim(label.dim)


class Cluster:
    """Contractions that may open one another, and the search for what of them is computed."""

    def __init__(self, members: Sequence[Contract], uses: Uses):
        self.members, self.uses = members, uses
        self.kept = [node for node in members if node in uses.needed or not uses.openers.get(node)]
        self.shared = [node for node in members if node not in uses.needed and len(uses.openers.get(node, ())) > 1]
        self.forests: dict[tuple, Forest] = {}

    @property
    def has_choice(self) -> bool:
        return any(node in self.uses.openers for node in self.members) or any(node_width(node) > 2 for node in self.members)

    def as_typed(self, at_hand: Mapping[Term, Term]) -> Solution:
        return Solution(nests={node: nest_of(node) for node in self.members if node not in at_hand})

    def solve(self, size: Callable[[Label], int], at_hand: Mapping[Term, Term]) -> Solution:
        """Shared values are kept, but for those, outermost first, that cost less where each of their readers opens them."""
        kept = frozenset(self.shared)
        best = self.with_kept(kept, size, at_hand)
        for node in self.shared[: -MOST_SHARED - 1 : -1]:
            tried = self._may_pay(node, size) and self._is_small(node, kept)
            found = self.with_kept(kept - {node}, size, at_hand) if tried else best
            if found.cost(size) < best.cost(size):
                kept, best = kept - {node}, found
        return best

    def _may_pay(self, node: Contract, size: Callable[[Label], int]) -> bool:
        """Opening a value may pay where making it is what costs most, or where it is larger than what it is made of."""
        largest = max(prod(map(size, child.labels)) for child in node.children)
        reading = sum(nest_of(opener).cost(size) for opener in self.uses.openers[node])
        return prod(map(size, node.labels)) > largest or nest_of(node).cost(size) > reading

    def _is_small(self, node: Contract, kept: frozenset) -> bool:
        """Can every reader open a value and still be searched exactly?"""
        opened = frozenset(self.members) - {*self.kept, *kept} | {node}
        places, readers, seen = {*self.kept, *kept} - {node}, [node], {node}
        while readers:
            for opener in self.uses.openers[readers.pop()]:
                if opener in places and len(self._forest(opener, opened).groups) > EXACT:
                    return False
                if opener not in places and opener not in seen:
                    seen.add(opener)
                    readers.append(opener)
        return True

    def with_kept(self, shared: frozenset, size: Callable[[Label], int], at_hand: Mapping[Term, Term]) -> Solution:
        """Every value that has a place by its best tree, smaller networks first: what they make is at hand for larger ones."""
        made: dict[Term, object] = dict(at_hand)
        solution = Solution()
        for node, forest in sorted(self._forests({*self.kept, *shared}), key=lambda item: len(item[1].groups)):
            search = TreeSearch(forest, size, made)
            tree = search.best()
            solution.trees[node] = (search, tree)
            for key, nest in tree.nests.items():
                if key not in made:
                    solution.nests[key] = nest
                    made[key] = node
        return solution

    def _forests(self, places: set[Contract]) -> list[tuple[Contract, Forest]]:
        """The networks of all values that have a place; where one grew too long to open another, that has a place, too."""
        opened = frozenset(self.members) - places
        waiting = [node for node in self.members if node in places]
        forests: dict[Contract, Forest] = {}
        while waiting:
            node = waiting.pop()
            if node not in forests:
                forests[node] = self._forest(node, opened)
                waiting.extend(forests[node].network.left)
        return list(forests.items())

    def _forest(self, node: Contract, opened: frozenset) -> Forest:
        below, stack = set(), [node]
        while stack:
            for child in stack.pop().children:
                inner = behind(child)
                if inner is not None and inner[0] in opened and inner[0] not in below:
                    below.add(inner[0])
                    stack.append(inner[0])
        key = (node, frozenset(below))
        if key not in self.forests:
            self.forests[key] = Forest(gather(node, below))
        return self.forests[key]


def node_width(node: Contract) -> int:
    """The operands of a contraction, those over the same labels as one."""
    return len({child.labels for child in node.children})


def clusters_of(uses: Uses) -> list[list[Contract]]:
    """Contractions tied by who may open whom, in the order of the expression."""
    leader = {node: node for node in uses.all}

    def find(node):
        while leader[node] is not node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for node, openers in uses.openers.items():
        for opener in openers:
            leader[find(opener)] = find(node)
    groups: dict[Contract, list[Contract]] = {}
    for node in uses.all:
        groups.setdefault(find(node), []).append(node)
    return list(groups.values())
