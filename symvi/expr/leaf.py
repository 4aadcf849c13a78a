"""Leaves: data, parameters, noise, shared state, random variables. New at every constructor call; names are labels."""

from __future__ import annotations

import itertools
from typing import Any

from symvi.expr import provenance
from symvi.expr.dims import Dim

__all__ = ["Leaf"]

_serial = itertools.count()


class Leaf:
    """What a name in an expression stands for. Identity is identity of the object; `text` enters digests instead.

    `role` is data, param, noise, shared, latent or anonymous. `shape` is as the user wrote it (literal 1 allowed);
    `array_shape` is without axes of extent 1, which exist only in the front. `attributes` holds what the role needs:
    support, init, index_of, noise kind, value, distribution.
    """

    __slots__ = ("role", "name", "shape", "array_shape", "kind", "attributes", "site", "serial", "__weakref__")

    def __init__(self, role: str, name: str, shape: tuple[Dim, ...], kind: str, **attributes: Any):
        self.role = role
        self.name = name
        self.shape = tuple(shape)
        self.array_shape = tuple(dim for dim in self.shape if dim != 1)
        self.kind = kind
        self.attributes = attributes
        self.site = provenance.here()
        self.serial = next(_serial)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.attributes[name]
        except KeyError:
            return None

    @property
    def text(self) -> str:
        """What identifies the leaf in digests and cache keys: everything but its value and its identity."""
        told = {key: self.attributes.get(key) for key in ("support", "noise_kind", "index_of")}
        extra = ",".join(f"{key}={value}" for key, value in told.items() if value is not None)
        return f"{self.role}:{self.name}:{'x'.join(map(repr, self.shape))}:{self.kind}:{extra}"

    def __repr__(self) -> str:
        return f"<{self.role} {self.name}>"
