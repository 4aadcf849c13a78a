"""What an expression reads, checked against the sizes when data are bound: no slice, integer or index may leave its axis.

The front knows only names of sizes: `x[:5]` and `x[2:]` of an axis T are right when T is at least 5 and 2. A kernel
reads without looking, so the inequalities are collected from the user's expression and hold before it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from symvi.errors import ShapeError
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Constant, Contract, Input, Iota, Node, Read, Size, Sum, Term, postorder
from symvi.expr.printing import text
from symvi.expr.provenance import site_of
from symvi.fit.leaves import Sizes, check_index

__all__ = ["ReadBounds"]

Range = tuple[Dim, Dim]  # the least and the greatest value of an index


class _Read(NamedTuple):
    """An axis of the size `dim` is read at first..last, by a label over `domain` (nothing is read where that is empty)."""

    first: Dim
    last: Dim
    dim: Dim
    node: Read
    domain: tuple[Dim, ...]


class ReadBounds:
    """The conditions under which an expression reads inside its arrays."""

    def __init__(self, roots: Iterable[Node]):
        self.reads: list[_Read] = []
        self.gathers: list[tuple[Leaf, Dim]] = []
        self.dims: dict[Dim, Node] = {}
        for node in postorder(roots):
            if isinstance(node, Term):
                for label in node.labels:
                    if not isinstance(node, Iota) and isinstance(self.dims.get(label.dim, node), Iota):
                        self.dims[label.dim] = node  # a better witness than the bare index
                    self.dims.setdefault(label.dim, node)
            if isinstance(node, Size):
                self.dims.setdefault(node.dim, node)
            if isinstance(node, Read):
                self._collect(node)

    def _collect(self, node: Read) -> None:
        for index, dim in zip(node.indices, node.array.shape, strict=True):
            if isinstance(index, Label) and index.dim == dim:
                continue
            if isinstance(index, Read) and isinstance(index.array, Input):
                self.gathers.append((index.array.leaf, dim))
                continue
            known = _range(index)
            if known is not None:
                domain = (index.dim,) if isinstance(index, Label) else tuple(label.dim for label in index.labels)
                self.reads.append(_Read(*known, dim, node, domain))

    def check(self, sizes: Sizes, leaves: list[Leaf], arrays: Mapping[int, np.ndarray]) -> None:
        """Raise where an extent is negative, or a read leaves its axis."""
        sizes.require(self.dims)
        for dim, node in self.dims.items():
            if dim.size(sizes.values) < 0:
                raise ShapeError(f"the dim {dim} of {text(node)} is {dim.size(sizes.values)}{_sizes(dim, sizes)}{_place(node)}")
        for first, last, dim, node, domain in self.reads:
            extent = dim.size(sizes.values)
            low, high = first.size(sizes.values), last.size(sizes.values)
            if (low < 0 or high >= extent) and all(d.size(sizes.values) for d in domain):
                entries = f"entry {first}" if first == last else f"entries {first} to {last}"
                raise ShapeError(f"{text(node)} reads {entries} of an axis {dim}, which has only {extent}{_place(node)}")
        for leaf, dim in self.gathers:
            if leaf in leaves and leaves.index(leaf) in arrays:
                check_index(leaf, arrays[leaves.index(leaf)], dim.size(sizes.values), dim)


def _sizes(dim: Dim, sizes: Sizes) -> str:
    known = ", ".join(f"{name.name} = {sizes.values[name.name]}" for name in dim.names if name.known is None)
    return f" ({known})" if known else ""


def _place(node: Node) -> str:
    site = site_of(node)
    return f"  [{site}]" if site else ""


def _range(index: Label | Term) -> Range | None:
    """The values of an affine index of labels and sizes."""
    if isinstance(index, Label):
        return Dim(0), index.dim - 1
    if isinstance(index, Iota):
        return Dim(0), index.label.dim - 1
    if isinstance(index, Constant):
        return (Dim(int(index.value)),) * 2
    if isinstance(index, Size):
        return index.dim, index.dim
    if isinstance(index, Contract) and not index.bound and all(isinstance(base, Size) and e > 0 for base, e in index.factors):
        product = Dim(1)
        for base, exponent in index.factors:
            for _ in range(exponent):
                product = product * base.dim
        return product, product
    if isinstance(index, Sum) and all(coefficient.denominator == 1 for coefficient, _ in index.terms):
        first = last = Dim(0)
        for coefficient, term in index.terms:
            inner = _range(term)
            if inner is None:
                return None
            low, high = inner if coefficient > 0 else inner[::-1]
            first, last = first + low * int(coefficient), last + high * int(coefficient)
        return first, last
    return None
