"""Labels: the index letters of terms. A label is a dim and a number; `K[i,j]` over M x M has the labels (M,0), (M,1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from symvi.expr.dims import Dim

__all__ = ["Label", "label_key", "sort_labels", "canonical_axes"]


class Label(NamedTuple):
    """One index over a dim."""

    dim: Dim
    number: int = 0

    def __str__(self) -> str:
        return f"{self.dim}{self.number or ''}"


def label_key(label: Label) -> tuple:
    """The order of labels: by dim, then number; never by creation."""
    return (label.dim.sort_key, label.number)


def sort_labels(labels: Iterable[Label]) -> tuple[Label, ...]:
    return tuple(sorted(labels, key=label_key))


def canonical_axes(shape: Iterable[Dim]) -> tuple[Label, ...]:
    """The labels of an array's axes: numbered 0, 1, ... per dim in axis order."""
    seen: dict[Dim, int] = {}
    axes = []
    for dim in shape:
        axes.append(Label(dim, seen.get(dim, 0)))
        seen[dim] = seen.get(dim, 0) + 1
    return tuple(axes)
