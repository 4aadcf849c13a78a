"""Nodes at which a rule fires: its own examples, or its left side with fresh leaves for the pattern variables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import inf

from symvi.expr.build import read
from symvi.expr.dims import dim
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.nodes import Node, postorder
from symvi.rewrite import example
from symvi.rewrite.binding import EMPTY, Binding, Captured, Stack
from symvi.rewrite.instantiate import instantiate
from symvi.rewrite.rule import Rule, leaf_of
from symvi.rewrite.variables import Indexed
from symvi.rewrite.views import head_of

__all__ = ["examples_of", "counterexamples_of"]

POINTS, BATCH, ROWS = dim("P"), dim("B"), dim("M")
STATED = (
    example.REAL, example.Stated((0.0, inf)), example.POSITIVE, example.Stated((-inf, 0.0)), example.Stated((-inf, -5e-324)),
    example.Stated((-1.0, inf)), example.Stated((-1.0, 1.0)), example.SMALL, example.UNIT, example.Stated((1.0, inf)),
)  # fmt: skip
FACTS = ((), ("symmetric",), ("spd",), ("lower",), ("diagonal",))
_STRONGER = {"symmetric": {"spd", "diagonal"}, "lower": {"diagonal"}}
MAX_VARIABLES = 2  # with more of them all are given the same support: the number of combinations explodes

Support = example.Stated


def examples_of(rule: Rule) -> list[Node]:
    """At least one node at which the rule applies: under each of the widest supports of its variables for which it does."""
    if rule.examples is not None:
        return [_anchored(rule, node) for node in rule.examples()]
    firing: list[tuple[tuple[Support, ...], Node]] = []
    for supports, node in _instances(rule):
        if not any(_covers(wider, supports) for wider, _ in firing) and rule.apply(node) is not None:
            firing.append((supports, node))
    return [node for supports, node in firing if not any(w is not supports and _covers(w, supports) for w, _ in firing)]


def _covers(wide: tuple[Support, ...], narrow: tuple[Support, ...]) -> bool:
    """Is each variable of the second instance at most as free as in the first?"""
    return all(_includes(a, b) for a, b in zip(wide, narrow, strict=True))


def _includes(wide: Support, narrow: Support) -> bool:
    if wide.interval is None or narrow.interval is None:
        facts = set(wide.matrix_facts)
        return facts <= set(narrow.matrix_facts) or all(_STRONGER.get(fact, set()) & set(narrow.matrix_facts) for fact in facts)
    return wide.interval[0] <= narrow.interval[0] and narrow.interval[1] <= wide.interval[1]


def _anchored(rule: Rule, node: Node) -> Node:
    """The part of an example at which the rule is tried: an example may be a view, or have a coefficient."""
    below = [part for part in postorder((node,)) if head_of(part) in rule.heads]
    return next((part for part in reversed(below) if rule.apply(part) is not None), node)


def counterexamples_of(rule: Rule) -> list[Node]:
    """Nodes of the same form that fail the condition of the rule."""
    if rule.counterexamples is not None:
        return [part for node in rule.counterexamples() for part in postorder((node,)) if head_of(part) in rule.heads]
    return [node for _, node in _instances(rule) if rule.apply(node) is None] if rule.when is not None else []


def _instances(rule: Rule) -> Iterator[tuple[tuple[Support, ...], Node]]:
    """The left side with leaves of several supports in the place of its variables, wide supports first."""
    leaves = {name: leaf_of(variable) for name, variable in rule.variables.items()}
    choices = [FACTS if leaf.sort == "matrix" else STATED for leaf in leaves.values() if leaf is not None]
    if len(choices) > MAX_VARIABLES:
        combinations = ([choice[k % len(choice)] for choice in choices] for k in range(max(map(len, choices), default=1)))
    else:
        combinations = product(*choices)
    for chosen in combinations:
        supports = tuple(entry if isinstance(entry, Support) else Support(None, entry) for entry in chosen)
        following = iter(supports)
        binding = EMPTY
        batch = BATCH if FACTS in choices else POINTS
        for name, variable in rule.variables.items():
            support = next(following) if leaves[name] is not None else example.REAL
            binding = _bind(binding, name, variable, support, Label(batch, 0))
        yield supports, instantiate(rule.left, binding)


def _bind(binding: Binding, name: str, variable, stated: Support, point: Label) -> Binding:
    """A fresh leaf over `point` for a variable, with the axes of its own that it has besides."""
    if isinstance(variable, Label):
        return binding.with_label(variable, (Label(dim(f"{str(variable.dim)[1:].upper()}_"), variable.number),))
    if isinstance(variable, Indexed):
        for size in variable.array.shape:  # the dims of an index, of a matrix, or its own
            binding = binding.with_dims(size, binding.dims.get(size, (dim(f"{size.names[0].name[1:].upper()}_"),)))
        indices = canonical_axes(part for size in variable.array.shape for part in binding.dims[size])
        term = read(example.array(name, point.dim, *(index.dim for index in indices), stated=stated), (point, *indices))
        return binding.with_value(leaf_of(variable), Captured(term, tuple(indices)))
    leaf = leaf_of(variable)
    if leaf.sort == "matrix":
        array = example.matrix(name, point.dim, ROWS, ROWS, facts=stated.matrix_facts)
        return binding.with_value(leaf, Stack(array, (point,))).with_dims(leaf.shape[0], (ROWS,))
    return binding.with_value(leaf, read(example.array(name, point.dim, stated=stated), (point,)))
