"""Contractions that feed one another, as networks of operands: what the order of summation is chosen for.

A contraction is **open** to the one that reads it, alone or as a view, once: together they are one sum over all their bound labels of
the product of all their operands. Sums with deltas (scatters), of integers, or of values that may be infinite stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from symvi.expr.build import contract, rename
from symvi.expr.labels import Label
from symvi.expr.nodes import Contract, Delta, Node, Read, Tensor, Term

__all__ = ["Group", "Network", "Uses", "behind", "gather", "is_orderable", "open_diagonals"]

FRESH = 1000  # numbers of bound labels inside a network, beyond those of any canonical node
LONGEST = 16  # operands of one network


@dataclass(frozen=True)
class Group:
    """Operands over the same labels: they are multiplied where the first of them is read."""

    factors: tuple[tuple[Term, int], ...]
    labels: frozenset[Label]


@dataclass(frozen=True)
class Network:
    """Σ over all labels but `free` of the product of all groups. `typed`: the groups (as bits) that each opened contraction sums over."""

    root: Contract
    opened: frozenset[Contract]
    left: frozenset[Contract]  # what was to be opened, but for the number of operands
    groups: tuple[Group, ...]
    free: frozenset[Label]
    typed: dict[int, tuple[int, ...]]


def is_orderable(node: Node) -> bool:
    """A contraction of real, finite values without a scatter."""
    if not isinstance(node, Contract) or not node.bound or node.kind != "f" or node.extended:
        return False
    return not any(isinstance(child, Delta) for child in node.children)


def _is_view(node: Node) -> bool:
    """A tensor read at labels over its whole axes."""
    if not isinstance(node, Read) or not isinstance(node.array, Tensor):
        return False
    return all(isinstance(i, Label) and i.dim == dim for i, dim in zip(node.indices, node.array.shape, strict=True))


def behind(node: Node) -> tuple[Contract, Mapping[Label, Label]] | None:
    """The orderable contraction that a factor is or views, with the labels at which it is read."""
    if is_orderable(node):
        return node, {label: label for label in node.labels}
    if _is_view(node) and is_orderable(node.array.term):
        return node.array.term, dict(zip(node.array.axes, node.indices, strict=True))
    return None


class Uses:
    """For every orderable contraction: is its value needed as such, and which contractions could open it?"""

    def __init__(self, roots: Sequence[Node], order: Iterable[Node]):
        self.openers: dict[Contract, list[Contract]] = {}
        self.needed: set[Contract] = set()
        self.all: list[Contract] = []
        for root in roots:
            self._need(root)
        for node in order:
            if is_orderable(node):
                self.all.append(node)
                for child, exponent in node.factors:
                    inner = behind(child)
                    if inner is not None and exponent == 1:
                        self.openers.setdefault(inner[0], []).append(node)
                    else:
                        self._need(child)
            elif not isinstance(node, Tensor) and not _is_view(node):
                for child in node.children:
                    self._need(child)

    def _need(self, node: Node) -> None:
        inner = behind(node)
        if inner is not None:
            self.needed.add(inner[0])
        elif isinstance(node, Tensor) and is_orderable(node.term):
            self.needed.add(node.term)


def gather(root: Contract, opened: Set[Contract]) -> Network:
    """The network of a contraction with those of its operands in `opened` opened, and so on downwards."""
    fresh = FRESH
    operands: list[tuple[Term, int]] = []
    above: list[list[int]] = []  # for every operand the contractions it stands in, by number
    count = 0
    stack = [(root, {label: label for label in root.labels}, [])]
    seen, left = {root}, set()
    while stack:
        node, outer, inside = stack.pop()
        seen.add(node)
        number, count = count, count + 1
        numbering = dict(outer)
        for label in node.bound:
            numbering[label], fresh = Label(label.dim, fresh), fresh + 1
        for base, exponent in node.factors:
            inner = behind(base) if exponent == 1 else None
            fits = inner is not None and len(operands) + len(stack) + len(inner[0].children) <= LONGEST
            if inner is not None and inner[0] in opened and not fits:
                left.add(inner[0])
            if inner is not None and inner[0] in opened and fits:
                view = {own: numbering.get(label, label) for own, label in inner[1].items()}
                stack.append((inner[0], view, [*inside, number]))
            else:
                operands.append((rename(base, numbering), exponent))
                above.append([*inside, number])
    groups, typed = _grouped(operands, above)
    return Network(root, frozenset(seen - {root}), frozenset(left), groups, root.labels, typed)


def _grouped(operands: list[tuple[Term, int]], above: list[list[int]]) -> tuple[tuple[Group, ...], dict[int, tuple[int, ...]]]:
    """Operands with equal labels as one, and which of them each contraction sums over as typed."""
    members: dict[frozenset[Label], list[int]] = {}
    for position, (term, _) in enumerate(operands):
        members.setdefault(term.labels, []).append(position)
    groups = tuple(Group(tuple(operands[p] for p in positions), labels) for labels, positions in members.items())
    bit = {position: 1 << k for k, positions in enumerate(members.values()) for position in positions}
    contents: dict[int, int] = {}  # contraction: its operands
    for position, numbers in enumerate(above):
        for number in numbers:
            contents[number] = contents.get(number, 0) | bit[position]
    parents = {numbers[k + 1]: numbers[k] for numbers in above for k in range(len(numbers) - 1)}
    typed: dict[int, tuple[int, ...]] = {}
    for number, mask in contents.items():
        inner = [contents[child] for child, parent in parents.items() if parent == number]
        own = [bit[p] for p, numbers in enumerate(above) if numbers[-1] == number]
        parts = tuple(dict.fromkeys((*inner, *own)))
        if sum(parts) == mask:
            typed[mask] = parts
    return groups, typed


def open_diagonals(order: Iterable[Node]) -> dict[Node, Term]:
    """Contractions that are read along diagonals alone, `diag(A @ B)`: each such view as the sum it is."""
    views: dict[Contract, list[Read]] = {}
    whole: set[Contract] = set()
    for node in order:
        if _is_view(node) and is_orderable(node.array.term) and len(set(node.indices)) < len(node.indices):
            views.setdefault(node.array.term, []).append(node)
        elif not isinstance(node, Tensor):
            for child in node.children:
                term = child.term if isinstance(child, Tensor) else child
                if is_orderable(term):
                    whole.add(term)
    opened: dict[Node, Term] = {}
    for term, nodes in views.items():
        for node in nodes if term not in whole else ():
            numbering: dict[Label, Label] = dict(zip(node.array.axes, node.indices, strict=True))
            bound = [Label(label.dim, FRESH + k) for k, label in enumerate(term.bound)]
            numbering.update(zip(term.bound, bound, strict=True))
            opened[node] = contract(bound, [(rename(base, numbering), e) for base, e in term.factors])
    return opened


