"""Facts that the user states: a side table, with everything that was concluded without them forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import permutations
from math import inf
from typing import NamedTuple
from weakref import WeakKeyDictionary

from symvi.expr import provenance
from symvi.expr.build import add, read, tensor
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.nodes import Array, Iota, Node, Sum, Tensor, Term, live_nodes, postorder

__all__ = [
    "MATRIX_FACTS", "TINY", "Interval", "assert_fact", "assert_interval", "asserted", "inherit", "keep", "stated_interval", "stated_below",
    "stated_site", "stated_matrices", "stated_parts",
]  # fmt: skip

Interval = tuple[float, float]
TINY = 5e-324  # as a lower bound: positive
MATRIX_FACTS = ("symmetric", "psd", "spd", "lower", "upper", "diagonal", "orthogonal", "positive_diagonal")
_NAMED: dict[str, Interval] = {"positive": (TINY, inf), "nonnegative": (0.0, inf)}
_CONCLUSIONS = ("interval", "matrix_facts")


@dataclass
class Statement:
    """What is stated of an array, and the user's line that states it."""

    facts: set[str] = field(default_factory=set)
    bounds: Interval | None = None
    site: provenance.Site | None = None


# By the term of a closed array and its axes (a table of closed arrays would keep them alive), by the node for other arrays.
_table: WeakKeyDictionary[Node, dict[tuple[Label, ...], Statement]] = WeakKeyDictionary()
_signatures: set[tuple] = set()  # of the terms that were ever closed for a statement


def _key(array: Array) -> tuple[Node, tuple[Label, ...]]:
    return (array.term, array.axes) if isinstance(array, Tensor) else (array, ())


def _closed(node: Node) -> Array:
    """A term closed over its own labels: one node, however the labels are called."""
    return tensor(node, node.sorted_labels()) if isinstance(node, Term) else node


def _signature(term: Term) -> tuple:
    """What renaming labels leaves as it is."""
    below = sorted((child.rank, "" if isinstance(child, Iota) else child.name, len(child.children)) for child in term.children)
    return type(term), "" if isinstance(term, Iota) else term.name, tuple(below)


def _of_node(node: Node) -> Statement | None:
    """The statement of an array, or of a term under any labels."""
    if not _table or (isinstance(node, Term) and _signature(node) not in _signatures):
        return None
    return _statement(_closed(node))


def _statement(array: Array) -> Statement | None:
    owner, axes = _key(array)
    return _table[owner].get(axes) if owner in _table else None


def _state(array: Array) -> Statement:
    """The statement of an array, made where there is none."""
    owner, axes = _key(array)
    _signatures.add(_signature(read(array, canonical_axes(array.shape))))
    return _table.setdefault(owner, {}).setdefault(axes, Statement())


def assert_fact(node: Node, fact: str) -> None:
    """Record a matrix fact of an array, or `positive` / `nonnegative` of a term or array."""
    if fact in _NAMED:
        assert_interval(node, _NAMED[fact])
        return
    statement = _state(node)
    statement.facts.add(fact)
    statement.site = provenance.here()
    _forget()


def assert_interval(node: Node, bounds: Interval) -> None:
    """Record that the values of a term, or the entries of an array, lie in a closed interval."""
    array = _closed(node)
    statement = _state(array)
    statement.bounds = _meet(statement.bounds, bounds)
    statement.site = provenance.here()
    keep(node, array)
    _forget()


def keep(node: Node, array: Array) -> None:
    """What is stated of an array lives as long as the node that it was made from."""
    owner, _ = _key(array)
    if owner is not node:
        node.memo.setdefault("stated", set()).add(owner)


def _meet(a: Interval | None, b: Interval | None) -> Interval | None:
    return a or b if a is None or b is None else (max(a[0], b[0]), min(a[1], b[1]))


def _forget() -> None:
    """Drop what was concluded without the fact: facts, and results of stages (their keys are tuples)."""
    for node in live_nodes():
        for key in [key for key in node.memo if key in _CONCLUSIONS or isinstance(key, tuple)]:
            del node.memo[key]


# ------------------------------------------------------------------------------------------------------------ what is stated
def stated_interval(node: Node) -> Interval | None:
    """The interval that was stated of a term under any labels, or of an array."""
    statement = _of_node(node)
    return statement.bounds if statement is not None else None


def asserted(node: Node) -> frozenset[str]:
    """The facts that the user stated of a node, as texts; they are part of what a kernel is compiled for."""
    statement = _of_node(node)
    if statement is None:
        return frozenset()
    facts = set(statement.facts)
    if statement.bounds is not None:
        names = [name for name, each in _NAMED.items() if each == statement.bounds]
        facts.add(names[0] if names else f"in [{statement.bounds[0]!r}, {statement.bounds[1]!r}]")
    return frozenset(facts)


def stated_site(array: Array) -> provenance.Site | None:
    """The user's line that states a fact of an array."""
    statement = _statement(array)
    return statement.site if statement is not None else None


def stated_below(roots: Iterable[Node]) -> list[Array]:
    """The arrays, and terms closed over their labels, below `roots` of which facts are stated, operands first."""
    found: dict[Array, None] = {}
    for node in postorder(roots) if _table else ():
        if asserted(node):
            found[_closed(node)] = None
        for part in _parts(node) if isinstance(node, Sum) else ():
            found[part.array] = None
    return list(found)


# ------------------------------------------------------------------------------------------------------------ parts of sums
class Part(NamedTuple):
    """A sum within another sum: `ratio * array[labels] + rest`."""

    array: Array
    labels: tuple[Label, ...]
    ratio: Fraction
    rest: Term


def stated_matrices(term: Sum, i: Label, j: Label) -> Iterator[Part]:
    """The parts of a sum that are matrices over i and j of which facts are stated."""
    return (part for part in _parts(term) if set(part.labels[-2:]) == {i, j} and _statement(part.array).facts)


def stated_parts(term: Sum) -> Iterator[Part]:
    """The parts of a sum whose interval is stated."""
    return (part for part in _parts(term) if _statement(part.array).bounds is not None)


def _parts(term: Sum) -> Iterator[Part]:
    """A sum is flat, so a sum within it is found again by its operands."""
    for owner, statements in list(_table.items()):
        if not isinstance(owner, Sum) or len(owner.children) > len(term.children):
            continue
        for axes in statements:
            for labels in permutations(term.sorted_labels(), len(axes)):
                if all(label.dim == axis.dim for label, axis in zip(labels, axes, strict=True)):
                    yield from _split(term, tensor(owner, axes), labels)


def _split(term: Sum, array: Array, labels: tuple[Label, ...]) -> Iterator[Part]:
    wanted = read(array, labels)
    if not isinstance(wanted, Sum) or wanted is term:
        return
    coefficients = {operand: c for c, operand in term.terms}
    ratios = {coefficients.get(operand, Fraction(0)) / c for c, operand in wanted.terms}
    for ratio in sorted(ratios) if 0 not in ratios else ():
        rest = add([(Fraction(1), term), (-ratio, wanted)])
        if not isinstance(rest, Sum) or len(rest.children) < len(term.children):
            yield Part(array, labels, ratio, rest)


# -------------------------------------------------------------------------------------------------------------- inheritance
def inherit(old: Node, new: Node, image: Mapping[Node, Node] | None = None) -> None:
    """What was stated of a node, or of a part of a sum, holds of what a rewrite or a substitution put in its place.

    `image` tells what the operands of the old node became.
    """
    if not _table:
        return
    if isinstance(old, Sum) and image is not None:
        for part in list(_parts(old)):
            operands = read(part.array, part.labels)
            changed = add([(c, image.get(operand, operand)) for c, operand in operands.terms])
            if changed.labels == operands.labels:
                _pass_on(part.array, tensor(changed, part.labels), new)
    if not isinstance(old, Term):
        _pass_on(old, new, new)
    elif isinstance(new, Term) and old.labels == new.labels and _of_node(old) is not None:
        labels = old.sorted_labels()
        _pass_on(tensor(old, labels), tensor(new, labels), new)


def _pass_on(old: Array, new: Array, owner: Node) -> None:
    """The statement about an array also for another, which lives as long as `owner`."""
    given = _statement(old)
    if given is None:
        return
    known = _state(new)
    known.facts |= given.facts
    known.bounds = _meet(known.bounds, given.bounds)
    known.site = known.site or given.site
    keep(owner, new)
    for node in (new, *new.children):  # others that contain the new node know no less than before
        for key in _CONCLUSIONS:
            node.memo.pop(key, None)
