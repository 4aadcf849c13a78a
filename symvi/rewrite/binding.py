"""What a match has found: the values of pattern variables, the labels that pattern labels stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Array, Term

__all__ = ["Binding", "Captured", "Stack", "EMPTY"]


class Captured(NamedTuple):
    """The value of an `Indexed` variable: a term as a function of `labels`."""

    term: Term
    labels: tuple[Label, ...]


class Stack(NamedTuple):
    """The value of a `Matrix` variable: an array whose leading axes are read at the indices `batch`."""

    array: Array
    batch: tuple


class Binding(NamedTuple):
    """An immutable state of a match. `summed` are the labels that a sum of the pattern binds."""

    values: Mapping[Leaf, Term | Captured | Stack]
    labels: Mapping[Label, tuple[Label, ...]]
    dims: Mapping[Dim, tuple[Dim, ...]]
    avoid: frozenset[Label]
    summed: frozenset[Label]

    def with_value(self, leaf: Leaf, value) -> Binding:
        return self._replace(values={**self.values, leaf: value})

    def with_label(self, label: Label, images: tuple[Label, ...], summed: bool = False) -> Binding | None:
        """The pattern label stands for `images`; None where that contradicts what is known."""
        if label in self.labels:
            return self if self.labels[label] == images else None
        dims = tuple(image.dim for image in images)
        if self.dims.get(label.dim, dims) != dims:
            return None
        return self._replace(
            labels={**self.labels, label: images},
            dims={**self.dims, label.dim: dims},
            avoid=self.avoid | set(images),
            summed=self.summed | set(images) if summed else self.summed,
        )

    def with_dims(self, pattern: Dim, dims: tuple[Dim, ...]) -> Binding | None:
        if self.dims.get(pattern, dims) != dims:
            return None
        return self._replace(dims={**self.dims, pattern: dims})


EMPTY = Binding({}, {}, {}, frozenset(), frozenset())
