"""Products that contractions would multiply again in every iteration, or one after the other, as values of their own.

A responsibility r = e / t in Σ_n r X[n,d], Σ_n r: with a place of its own it is divided once per row.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from math import prod

from symvi.calculus.rules import is_mask
from symvi.expr import provenance
from symvi.expr.build import contract, multiply, rebuild
from symvi.expr.labels import Label
from symvi.expr.nodes import Contract, Delta, Node, Surrogate, Term, order_key, postorder
from symvi.plan.light import scatter_labels
from symvi.plan.replacing import held
from symvi.plan.tree_search import STORING

__all__ = ["hold_products"]

Size = Callable[[Label], int]
Item = tuple[Term, int]  # a factor and its exponent
Pair = tuple[Item, Item]
DIVISION = 4  # operations that a division is worth


def hold_products(roots: Sequence[Term], size: Size) -> list[Term]:
    """The roots with products of two factors held, the most useful first, while that saves operations."""
    contents = {node: [item for item in node.factors if not isinstance(item[0], Delta)] for node in postorder(roots) if _is_product(node)}
    loops = {node: (node.labels | set(node.bound)) - scatter_labels(node).keys() for node in contents}
    products: set[Node] = set()
    changed: dict[Contract, None] = {}
    while pairs := _useful(contents, loops, size):
        for pair, readers in pairs:
            with provenance.within(provenance.site_of(readers[0])):
                product = multiply(pair)
                value = (held(product), 1)
            products.add(product)
            for node in readers:
                contents[node] = [item for item in contents[node] if item not in pair] + [value]
            changed.update(dict.fromkeys(readers))
    changes: dict[Node, Node] = {}
    for node in changed.keys() - products:
        deltas = [item for item in node.factors if isinstance(item[0], Delta)]
        with provenance.within(provenance.site_of(node)):
            changes[node] = contract(node.bound, [*contents[node], *deltas])
    return _with_held(changes, products, roots) if changes else list(roots)


def _with_held(changes: dict[Node, Node], products: set[Node], roots: Sequence[Term]) -> list[Term]:
    """The roots with contractions replaced, and every product that is held read where it is held."""
    done: dict[Node, Node] = {}
    for node in postorder(roots, lambda node: (changes[node],) if node in changes else node.children):
        with provenance.within(provenance.site_of(node)):
            if node in changes:
                done[node] = done[changes[node]]
            elif isinstance(node, Surrogate):
                done[node] = held(done[node.children[0]])
            else:
                made = rebuild(node, tuple(done[child] for child in node.children))
                done[node] = held(made) if node in products else made
        provenance.replaced(node, done[node])
    return [done[root] for root in roots]


def _is_product(node: Node) -> bool:
    return isinstance(node, Contract) and node.kind == "f" and len(node.children) > 1


def _useful(contents: dict[Contract, list[Item]], loops: dict[Contract, frozenset[Label]], size: Size) -> list[tuple[Pair, list[Contract]]]:
    """The pairs of factors that save most as values of their own, with the products they are in; no product twice.

    What a mask makes 0 stays 0: it is a factor of whatever is held, for a product without it could overflow.
    """
    readers: dict[Pair, list[Contract]] = {}
    for node, items in contents.items():
        masks = {item for item in items if is_mask(item[0])}
        for pair in itertools.combinations(sorted(items, key=lambda item: order_key(item[0])), 2):
            if not (pair[0][1] < 0 and pair[1][1] < 0) and all(base.labels for base, _ in pair) and masks.issubset(pair):
                readers.setdefault(pair, []).append(node)
    iterations = {node: prod(map(size, labels)) for node, labels in loops.items()}
    saved = {pair: _work(pair) * sum(iterations[node] for node in nodes) - _making(pair, size) for pair, nodes in readers.items()}
    taken: list[tuple[Pair, list[Contract]]] = []
    touched: set[Contract] = set()
    for pair in sorted((pair for pair in saved if saved[pair] > 0), key=saved.__getitem__, reverse=True):
        if touched.isdisjoint(readers[pair]):
            taken.append((pair, readers[pair]))
            touched.update(readers[pair])
    return taken


def _work(pair: Pair) -> int:
    """Operations of the product of two factors."""
    return sum(abs(exponent) - 1 for _, exponent in pair) + (DIVISION if any(exponent < 0 for _, exponent in pair) else 1)


def _making(pair: Pair, size: Size) -> int:
    return (_work(pair) + STORING) * prod(map(size, pair[0][0].labels | pair[1][0].labels))
