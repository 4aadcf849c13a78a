"""Nodes at which a rule fires: its own examples, or its left side with fresh leaves for the pattern variables."""

from __future__ import annotations

from collections.abc import Iterator

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
STATED = (example.REAL, example.POSITIVE, example.UNIT, example.SMALL, example.Stated((-1.0, 1.0)))
FACTS = ((), ("spd",), ("lower",), ("diagonal",))


def examples_of(rule: Rule) -> list[Node]:
    """At least one node at which the rule applies."""
    if rule.examples is not None:
        return [_anchored(rule, node) for node in rule.examples()]
    return [node for node in _instances(rule) if rule.apply(node) is not None][:1]


def _anchored(rule: Rule, node: Node) -> Node:
    """The part of an example at which the rule is tried: an example may be a view, or have a coefficient."""
    below = [part for part in postorder((node,)) if head_of(part) in rule.heads]
    return next((part for part in reversed(below) if rule.apply(part) is not None), node)


def counterexamples_of(rule: Rule) -> list[Node]:
    """Nodes of the same form that fail the condition of the rule."""
    if rule.counterexamples is not None:
        return [part for node in rule.counterexamples() for part in postorder((node,)) if head_of(part) in rule.heads]
    return [node for node in _instances(rule) if rule.apply(node) is None] if rule.when is not None else []


def _instances(rule: Rule) -> Iterator[Node]:
    """The left side with leaves of several supports in the place of its variables."""
    for stated in STATED:
        for facts in FACTS:
            binding = EMPTY
            for name, variable in rule.variables.items():
                binding = _bind(binding, name, variable, stated, facts)
            yield instantiate(rule.left, binding)
            if all(leaf is None or leaf.sort != "matrix" for leaf in map(leaf_of, rule.variables.values())):
                break


def _bind(binding: Binding, name: str, variable, stated, facts) -> Binding:
    point = Label(POINTS, 0)
    if isinstance(variable, Label):
        return binding.with_label(variable, (Label(dim(f"{str(variable.dim)[1:].upper()}_"), variable.number),))
    if isinstance(variable, Indexed):
        indices = canonical_axes(dim(f"{part.name[1:].upper()}_") for size in variable.array.shape for part in size.names)
        term = read(example.array(name, POINTS, *(index.dim for index in indices), stated=stated), (point, *indices))
        return binding.with_value(leaf_of(variable), Captured(term, tuple(indices)))
    leaf = leaf_of(variable)
    if leaf.sort == "matrix":
        array = example.matrix(name, BATCH, ROWS, ROWS, facts=facts)
        return binding.with_value(leaf, Stack(array, (Label(BATCH, 0),))).with_dims(leaf.shape[0], (ROWS,))
    return binding.with_value(leaf, read(example.array(name, POINTS, stated=stated), (point,)))
