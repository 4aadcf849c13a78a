"""Unconstrained parameters in memory: those that no batch slices in one flat vector, those over a batched plate apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from symvi.expr.leaf import Leaf

__all__ = ["Parameters"]


class Parameters:
    """`theta` holds the global parameters, `views` every parameter in its own shape, `places` where the global ones stand in `theta`."""

    def __init__(self, raw: Mapping[Leaf, np.ndarray], local: Iterable[Leaf]):
        local = set(local)
        self.locals = [leaf for leaf in raw if leaf in local]
        self.globals = [leaf for leaf in raw if leaf not in local]
        self.theta = np.zeros(sum(raw[leaf].size for leaf in self.globals))
        self.views: dict[Leaf, np.ndarray] = {}
        self.places: dict[Leaf, slice] = {}
        start = 0
        for leaf in self.globals:
            self.places[leaf] = slice(start, start + raw[leaf].size)
            self.views[leaf] = self.part(self.theta, leaf, raw[leaf].shape)
            self.views[leaf][...] = raw[leaf]
            start += raw[leaf].size
        for leaf in self.locals:
            self.views[leaf] = raw[leaf].copy()

    @property
    def leaves(self) -> list[Leaf]:
        return [*self.globals, *self.locals]

    def part(self, flat: np.ndarray, leaf: Leaf, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The piece of a flat vector that belongs to a global parameter, in its shape."""
        return flat[self.places[leaf]].reshape(self.views[leaf].shape if shape is None else shape)

    def coordinate(self, segment: int, element: int) -> str:
        """The name of an element of segment 0 (the global parameters) or of that of a local one."""
        for leaf in self.globals if segment == 0 else [self.locals[segment - 1]]:
            place = self.places.get(leaf, slice(0, self.views[leaf].size))
            if place.start <= element < place.stop:
                index = np.unravel_index(element - place.start, self.views[leaf].shape) if self.views[leaf].ndim else ()
                return leaf.name + (f"[{', '.join(map(str, index))}]" if index else "")
        return "a parameter"
