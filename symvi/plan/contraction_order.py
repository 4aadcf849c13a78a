"""Sums of products in the order that costs least: `(A @ B) @ b` as `A @ (B @ b)`, `b' A' A b` as `|A b|²`.

Which order pays is a question of sizes: it is answered at those of the first binding (where there are none, plates are taken for long and
other dims for 32), and what is relied on is asked as guards: the order taken costs at most twice what another one costs. An order that
was typed stays where no other is cheaper. Contractions that share operands or values are decided together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from symvi.expr import provenance
from symvi.expr.build import contract, read, tensor
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Contract, Node, Term, postorder
from symvi.plan.clusters import Cluster, Sizes, Solution, clusters_of, node_width
from symvi.plan.networks import Uses, behind, open_diagonals
from symvi.plan.replacing import with_replaced
from symvi.plan.tree_search import Tree, TreeSearch
from symvi.rewrite.guard import Guard, ask

__all__ = ["Reordering", "order_contractions"]

MOST_GUARDS = 2
WORTH = 0.95  # what was typed stays, unless that much of its cost is enough
PASS_WORTH = 4  # times cheaper, so that another pass over the data is worth it
SKEW = 1000  # a dim made so much longer shows the orders that other sizes favour


@dataclass(frozen=True)
class Reordering:
    """What was decided for one value, with the operations of everything decided together with it."""

    before: Term
    after: Term
    flops_before: Dim
    flops_after: Dim
    guards: tuple[Guard, ...]


class Builder:
    """Trees as nested contractions; a value is built once and read again."""

    def __init__(self, built: dict[Term, Term]):
        self.built = built

    def root(self, search: TreeSearch, tree: Tree) -> Term:
        """The value of a network by its tree."""
        forest = search.forest
        key, indices = forest.key(forest.whole)
        if key not in self.built:
            self.built[key] = _read_at(self._sum(search, forest.whole, tree), indices, key.sorted_labels())
        return _read_at(self.built[key], key.sorted_labels(), indices)

    def _part(self, search: TreeSearch, mask: int) -> Term:
        """A smaller sum, on the labels that the network gives it."""
        key, indices = search.forest.key(mask)
        if key not in self.built:
            self.built[key] = _read_at(self._sum(search, mask, search.tree(mask)), indices, key.sorted_labels())
        return _read_at(self.built[key], key.sorted_labels(), indices)

    def _sum(self, search: TreeSearch, mask: int, tree: Tree) -> Term:
        forest, factors = search.forest, []
        for part, summed in tree.parts:
            factors += [(self._part(search, part), 1)] if summed else forest.groups[part.bit_length() - 1].factors
        return contract(frozenset().union(*(base.labels for base, _ in factors)) - forest.result(mask), factors)


def _read_at(term: Term, axes: Sequence[Label], indices: Sequence[Label]) -> Term:
    return term if tuple(axes) == tuple(indices) else read(tensor(term, tuple(axes)), tuple(indices))


def order_contractions(
    roots: Sequence[Term], plates: Iterable[Dim] = (), passes: Callable[[Sequence[Term]], int] | None = None
) -> tuple[list[Term], list[Reordering]]:
    """The roots with their contractions in the cheapest order, and what was changed.

    `passes` counts the passes over plates: only what is far cheaper may add one.
    """
    roots = with_replaced(open_diagonals(list(postorder(roots))), roots)
    uses = Uses(roots, postorder(roots))
    sizes = Sizes(plates)
    at_hand: dict[Term, Term] = {node: node for node in uses.needed if node_width(node) <= 2 and not _opens(node)}
    decided: list[Decided] = []
    for members in sorted(clusters_of(uses), key=len):
        cluster = Cluster(members, uses)
        if cluster.has_choice:
            decided.append(_decide(cluster, sizes, at_hand))
    changes = {node: term for each in decided for node, term in each.changes.items()}
    if not changes:
        return roots, []
    after = with_replaced(changes, roots)
    if passes is not None and passes(after) > passes(roots):
        changes = _without_more_passes(roots, decided, passes)
        after = with_replaced(changes, roots)
    return after, [reordering for each in decided for reordering in each.reorderings if reordering.before in changes]


def _opens(node: Contract) -> bool:
    return any(behind(child) is not None for child in node.children)


@dataclass
class Decided:
    """The contractions of a cluster that change, with what they become; how many times cheaper all of them are."""

    changes: dict[Node, Term] = field(default_factory=dict)
    reorderings: list[Reordering] = field(default_factory=list)
    gain: float = 1.0


def _decide(cluster: Cluster, sizes: Sizes, at_hand: dict[Term, Term]) -> Decided:
    """What becomes of a cluster; `at_hand` learns the values that it makes."""
    own = {key: value for key, value in at_hand.items() if key not in cluster.members}
    typed = cluster.as_typed(own)
    best = cluster.solve(sizes, own)
    better = best.cost(sizes) < WORTH * typed.cost(sizes)
    guards = _guards(cluster, best if better else typed, sizes, own, [best, typed])
    if not better:
        at_hand.update({node: node for node in cluster.members})
        return Decided()
    builder = Builder(dict(own))
    changes: dict[Node, Term] = {}
    for node, (search, tree) in best.trees.items():
        with provenance.within(provenance.site_of(node)):
            term = builder.root(search, tree)
        if term is not node:
            changes[node] = term
    at_hand.update(builder.built)
    flops = (typed.flops(), best.flops())
    reorderings = [Reordering(node, term, *flops, guards) for node, term in changes.items()]
    return Decided(changes, reorderings, typed.cost(sizes) / max(best.cost(sizes), 1))


def _guards(cluster: Cluster, taken: Solution, sizes: Sizes, at_hand: Mapping[Term, Term], others: list[Solution]) -> tuple[Guard, ...]:
    """That the solution taken costs at most twice what each order costs that other sizes would favour; asked where sizes can break it."""
    names = sorted({name for nest in taken.nests.values() for label in nest.loops for name in label.dim.names if name.known is None})
    for name in names:
        for value in (1, SKEW * max(sizes.name(name), 1)):
            others.append(cluster.solve(Sizes((), {**{n: sizes.name(n) for n in names}, name: value}), at_hand))
    flops = taken.flops()
    bounds = {2 * solution.flops() + 1 for solution in others}
    guards = [Guard(flops, bound) for bound in bounds if not _always_less(flops, bound)]
    guards.sort(key=lambda guard: (sizes.dim(guard.larger) / max(sizes.dim(guard.smaller), 1), str(guard)))
    return tuple(guard for guard in guards[:MOST_GUARDS] if ask(guard))


def _always_less(smaller: Dim, larger: Dim) -> bool:
    """Is `smaller < larger` at all sizes from 2 on, as the coefficients of their difference at n = 2 + n' tell?

    For dims of one element no order is chosen: their products are scalings, and all orders are cheap.
    """
    shifted = Dim(0)
    for monomial, coefficient in (larger - smaller).terms:
        product = Dim(coefficient)
        for name in monomial:
            product = product * (Dim({(name,): 1}) + 2)
        shifted = shifted + product
    coefficients = dict(shifted.terms)
    return coefficients.get((), 0) > 0 and all(coefficient >= 0 for coefficient in coefficients.values())


def _without_more_passes(roots: Sequence[Term], decided: Sequence[Decided], passes: Callable[[Sequence[Term]], int]) -> dict[Node, Term]:
    """The changes, cluster by cluster, that add no pass or are worth one."""
    kept: dict[Node, Term] = {}
    fewest = passes(roots)
    for each in decided:
        trial = {**kept, **each.changes}
        count = passes(with_replaced(trial, roots)) if each.changes else fewest
        if count <= fewest or each.gain > PASS_WORTH:
            kept, fewest = trial, count
    return kept
