"""What operands of a sum have in common is written once.

    y/S - p/S = (y - p)/S,    and 1/S leaves the sum over the rows that reads it
    A @ B + A @ C = A @ (B + C)    where nothing else needs the two products
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from symvi.expr import provenance
from symvi.expr.build import add, contract, multiply, rebuild, rename, scale, split_coefficient
from symvi.expr.labels import Label
from symvi.expr.nodes import Constant, Contract, Delta, Node, Read, Sum, Term, postorder
from symvi.plan.networks import FRESH, behind
from symvi.plan.replacing import held, with_replaced
from symvi.plan.tree_search import STORING

__all__ = ["factor_sums", "join_contractions"]

Size = Callable[[Label], int]
Item = tuple[Term, int]  # a factor and its exponent
MOST_NUMBERINGS = 24
WORTH = 0.95


# ------------------------------------------------------------------------------------------------- factors of a whole sum
def factor_sums(roots: Sequence[Term]) -> list[Term]:
    """The roots with sums as products of what all their operands have in common and varies less than they do."""
    done: dict[Node, Node] = {}
    for node in postorder(roots):
        with provenance.within(provenance.site_of(node)):
            done[node] = _factored(rebuild(node, tuple(done[child] for child in node.children)))
        if done[node] is not node and provenance.primal_of(node) is not None:
            provenance.replaced(node, _varying(done[node]))  # an adjoint is called by its name without its scalar factors, too
        provenance.replaced(node, done[node])
    return [done[root] for root in roots]


def _varying(node: Node) -> Node:
    """The one factor of a product that has labels."""
    _, term = split_coefficient(node) if node.is_term else (1, node)
    factors = [base for base in _factors(term) if base.labels] if term.is_term else []
    return factors[0] if len(factors) == 1 else node


def _factored(node: Node) -> Node:
    if not isinstance(node, Sum) or len(node.children) < 2 or not node.labels or node.extended or node.kind != "f":
        return node
    common = _common(node)
    if not common:
        return node
    inverse = [(base, -exponent) for base, exponent in common.items()]
    rest = add([(c, multiply([(child, 1), *inverse])) for c, child in node.terms], node.kind)
    return multiply([*common.items(), (rest, 1)])


def _common(node: Sum) -> dict[Term, int]:
    """The factors of every operand that lack a label of the sum, with the powers that all have."""
    common: dict[Term, int] | None = None
    for child in node.children:
        own = {base: exponent for base, exponent in _factors(child).items() if base.labels < node.labels}
        common = own if common is None else {base: _shared(e, own.get(base, 0)) for base, e in common.items()}
        common = {base: exponent for base, exponent in common.items() if exponent}
        if not common:
            break
    return common or {}


def _factors(term: Term) -> dict[Term, int]:
    if isinstance(term, Contract) and not term.bound:
        return dict(term.factors)
    return {} if isinstance(term, (Constant, Delta)) else {term: 1}


def _shared(a: int, b: int) -> int:
    """The power that both contain."""
    return min(a, b) if a > 0 and b > 0 else max(a, b) if a < 0 and b < 0 else 0


# ------------------------------------------------------------------------------------------- contractions of one sum joined
@dataclass
class Piece:
    """An operand of a sum that is a contraction, with its coefficient and the factors outside of it."""

    coefficient: Fraction
    outer: frozenset[Item]
    bound: tuple[Label, ...]
    items: tuple[Item, ...]

    def numberings(self) -> Iterator[tuple[Item, ...]]:
        """The items under every numbering of the bound labels, dim by dim."""
        dims = list(dict.fromkeys(label.dim for label in self.bound))
        groups = [[label for label in self.bound if label.dim == dim] for dim in dims]
        for choice in itertools.islice(itertools.product(*(itertools.permutations(group) for group in groups)), MOST_NUMBERINGS):
            mapping = {old: new for group, images in zip(groups, choice, strict=True) for old, new in zip(group, images, strict=True)}
            yield tuple((rename(base, mapping), exponent) for base, exponent in self.items)


def join_contractions(roots: Sequence[Term], size: Size) -> list[Term]:
    """The roots with A @ B + A @ C as A @ (B + C) where nothing else needs the parts and it takes fewer operations."""
    order = list(postorder(roots))
    if not any(isinstance(node, Sum) and sum(_contraction_in(child) is not None for child in node.children) > 1 for node in order):
        return list(roots)
    readers: dict[Node, set[Node | None]] = {root: {None} for root in roots}
    for node in order:
        for child in node.children:
            readers.setdefault(child, set()).add(node)
    changes: dict[Node, Node] = {}
    for node in order:
        if isinstance(node, Sum) and len(node.children) > 1 and node.kind == "f":
            with provenance.within(provenance.site_of(node)):
                joined = _joined(node, readers, size)
            if joined is not None:
                changes[node] = joined
    return with_replaced(changes, roots)


def _contraction_in(child: Term) -> Term | None:
    """The one factor of an operand that is a contraction."""
    factors = _factors(child)
    found = [base for base, exponent in factors.items() if exponent == 1 and behind(base) is not None]
    return found[0] if len(found) == 1 else None


def _joined(node: Sum, readers: dict[Node, set], size: Size) -> Term | None:
    pieces: list[Piece] = []
    rest: list[tuple[Fraction, Term]] = []
    for coefficient, child in node.terms:
        piece = _piece(coefficient, child, node, readers)
        if piece is None:
            rest.append((coefficient, child))
            continue
        for position, other in enumerate(pieces):
            both = _join(other, piece, size)
            if both is not None:
                pieces[position] = both
                break
        else:
            pieces.append(piece)
    if len(pieces) + len(rest) == len(node.children):
        return None
    return add([*rest, *((p.coefficient, multiply([*p.outer, (contract(p.bound, p.items), 1)])) for p in pieces)], node.kind)


def _piece(coefficient: Fraction, child: Term, node: Sum, readers: dict[Node, set]) -> Piece | None:
    """The contraction in an operand, if nothing but this sum reads it."""
    base = _contraction_in(child)
    if base is None:
        return None
    chain: list[Node] = [child] if child is base else [child, base]
    while isinstance(chain[-1], Read):
        chain += [chain[-1].array, chain[-1].array.term]
    if any(readers[link] != {reader} for link, reader in zip(chain, [node, *chain], strict=False)):
        return None
    inner, view = behind(base)
    fresh = {label: Label(label.dim, FRESH + number) for number, label in enumerate(inner.bound)}
    items = tuple((rename(factor, {**view, **fresh}), exponent) for factor, exponent in inner.factors)
    return Piece(coefficient, frozenset(_factors(child).items()) - {(base, 1)}, tuple(fresh.values()), items)


def _join(left: Piece, right: Piece, size: Size) -> Piece | None:
    """Two pieces as one, where that takes fewer operations."""
    dims = [sorted(label.dim.sort_key for label in piece.bound) for piece in (left, right)]
    if left.outer != right.outer or dims[0] != dims[1]:
        return None
    number = {label: k for k, label in enumerate(sorted(left.bound, key=lambda label: label.dim.sort_key))}
    onto = dict(zip(sorted(right.bound, key=lambda label: label.dim.sort_key), number, strict=True))
    right = Piece(right.coefficient, right.outer, left.bound, tuple((rename(base, onto), e) for base, e in right.items))
    for items in right.numberings():
        common = [item for item in left.items if item in items]
        one, two = ([item for item in each if item not in common] for each in (left.items, items))
        if common and one and two and _pays(common, one, two, size):
            total = scale(left.coefficient, multiply(one)) + scale(right.coefficient, multiply(two))
            loops = frozenset().union(*(base.labels for base, _ in common))
            return Piece(Fraction(1), left.outer, left.bound, (*common, (total if loops <= total.labels else held(total), 1)))
    return None


def _pays(common: list[Item], one: list[Item], two: list[Item], size: Size) -> bool:
    def elements(*groups: list[Item]) -> int:
        return prod(map(size, frozenset().union(*(base.labels for group in groups for base, _ in group))))

    apart = elements(common, one) * len(common + one) + elements(common, two) * len(common + two)
    loops, sums = elements(common, one, two), elements(one, two)
    place = STORING * sums if sums < loops else 0
    return loops * (len(common) + 1) + sums * (len(one) + len(two) - 1) + place < WORTH * apart
