"""Leaves for the examples of rules: what a procedural rule is shown at work on, with stated intervals and matrix facts."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from symvi.expr.build import input_array, read_own
from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Array, Term

__all__ = ["Stated", "array", "term", "matrix", "REAL", "POSITIVE", "UNIT", "SMALL"]


class Stated(NamedTuple):
    """The support of an example's leaf."""

    interval: tuple[float, float] | None = None
    matrix_facts: tuple[str, ...] = ()


REAL = Stated((-inf, inf))
POSITIVE = Stated((5e-324, inf))
UNIT = Stated((5e-324, 1.0))
SMALL = Stated((0.0, 1.0))


def array(name: str, *shape: Dim, stated: Stated = REAL, kind: str = "f") -> Array:
    """A fresh input array."""
    return input_array(Leaf("param" if kind == "f" else "data", name, shape, kind, support=stated))


def term(name: str, *shape: Dim, stated: Stated = REAL, kind: str = "f") -> Term:
    """A fresh input read at its own axes."""
    return read_own(array(name, *shape, stated=stated, kind=kind))


def matrix(name: str, *shape: Dim, facts: tuple[str, ...] = ()) -> Array:
    """A fresh stack of matrices with facts."""
    return array(name, *shape, stated=Stated(None, facts))


