"""Both sides of a rule at the same inputs: in float64, in float32, with many digits; at some of the points only.

A value of a side is an array (points, rest): the points are the extents of one free label that every leaf is read at
and that nothing sums over; without such a label there is one point.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import mpmath
import numpy as np

from symvi.expr.build import read_own
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Node, Operator, Read, Tensor, Term, postorder
from symvi.oracle.interpreter import evaluate

__all__ = ["Sides", "as_term", "agree", "has_array_work", "interval_of", "shown_inputs"]

DIGITS = (380, 500, 1200)  # enough for 1 + 5e-324; a few more; more again
TRUE_DIGITS = mpmath.mpf(10) ** -28

Values = Mapping[Leaf, np.ndarray]


def as_term(node: Node) -> Term:
    return node if node.is_term else read_own(node)


def has_array_work(node: Node) -> bool:
    return any(isinstance(n, Operator) for n in postorder((node,)))


def interval_of(leaf: Leaf) -> tuple[float, float]:
    return getattr(leaf.support, "interval", None) or (-np.inf, np.inf)


def agree(a, b, relative, absolute=0) -> bool:
    """Are two high-precision numbers the same outcome? They are taken as they are: a conversion would round them."""
    if mpmath.isnan(a) or mpmath.isnan(b):
        return bool(mpmath.isnan(a) == mpmath.isnan(b))
    if mpmath.isinf(a) or mpmath.isinf(b):
        return a == b
    return abs(a - b) <= max(relative * abs(a), absolute)


class Sides:
    """The left and the right side of one application of a rule, as functions of the values of leaves."""

    def __init__(self, before: Node, after: Node):
        self.before, self.after = before, after
        self.left, self.right = as_term(before), as_term(after)
        self.axes = self.left.sorted_labels()
        self.point = self._point_label()

    def _point_label(self) -> Label | None:
        """The free label whose dim is met nowhere else: the values of leaves along it are independent points."""
        nodes = list(postorder((self.left, self.right)))
        for label in self.axes:
            reads = [n for n in nodes if isinstance(n, Read)]
            walked = [index for n in reads for index in n.indices if isinstance(index, Label) and index.dim == label.dim]
            closed = any(label.dim in n.shape for n in nodes if isinstance(n, (Tensor, Operator)))
            by_position = any(not isinstance(index, Label) for n in reads for index in n.indices)
            bound = any(isinstance(part, Label) and part.dim == label.dim for n in nodes for part in getattr(n, "bound", ()))
            if set(walked) == {label} and not closed and not by_position and not bound:
                return label
        return None

    def choose(self, values: Values, rows: np.ndarray) -> dict[Leaf, np.ndarray]:
        """The values at some of the points."""
        if self.point is None:
            return dict(values)
        chosen = {}
        for leaf, value in values.items():
            value = np.asarray(value)
            for axis, dim in enumerate(leaf.array_shape):
                value = np.take(value, rows, axis=axis) if dim == self.point.dim else value
            chosen[leaf] = value
        return chosen

    def at(self, values: Values, sizes: Mapping[str, int], precision: int | None = None, dtype: str = "float64", both: bool = True):
        """(left, right), each an array (points, rest); the left one alone with `both=False`."""
        sizes = {name: n for name, n in sizes.items() if self.point is None or name not in {part.name for part in self.point.dim.names}}
        sides = [self.left, self.right] if both else [self.left]
        with np.errstate(all="ignore"):
            found = evaluate(sides, values, sizes, precision, dtype)
        shape = found[0].shape
        out = [self._on_points(self._broadcast(side, value, shape), precision) for side, value in zip(sides, found, strict=True)]
        return tuple(out) if both else out[0]

    def _broadcast(self, side: Term, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        own = side.sorted_labels()
        value = value.reshape([value.shape[own.index(label)] if label in own else 1 for label in self.axes])
        return np.broadcast_to(value, shape)

    def _on_points(self, value: np.ndarray, precision: int | None) -> np.ndarray:
        if precision is not None and value.dtype != object:
            value = np.array([mpmath.mpf(float(v)) for v in value.ravel()], dtype=object).reshape(value.shape)
        if self.point is None:
            return value.reshape(1, -1)
        points = np.moveaxis(value, self.axes.index(self.point), 0)
        return points.reshape(len(points), prod(points.shape[1:]))

    def truth(self, values: Values, sizes: Mapping[str, int]) -> np.ndarray:
        """The left side in high precision, at each point with as many digits as both sides need to agree.

        Where the left side has lost its value to cancellation with all these digits (it is 0 or infinite for inputs that are
        neither), the right side is the truth, if more digits do not change it.
        """
        left, right = self.at(values, sizes, DIGITS[0])
        lost = _pairwise(lambda a, b: not agree(a, b, TRUE_DIGITS), left, right)
        rows = np.flatnonzero(lost.any(axis=1))
        if not len(rows):
            return left
        chosen = self.choose(values, rows)
        ordinary = np.array([self._ordinary(chosen, row) for row in range(len(rows))])[:, None]
        again = self.at(chosen, sizes, DIGITS[1])[1]
        known = _pairwise(lambda a, b: agree(a, b, TRUE_DIGITS), right[rows], again) & ordinary
        known &= _pairwise(lambda a, b: not mpmath.isfinite(a) or a == 0, left[rows], right[rows])
        found = left.copy()
        found[rows] = np.where(known & lost[rows], again, left[rows])
        open_ = rows[(lost[rows] & ~known).any(axis=1)]
        if len(open_):
            most = self.at(self.choose(values, open_), sizes, DIGITS[2], both=False)
            found[open_] = np.where(known[np.isin(rows, open_)] | ~lost[open_], found[open_], most)
        return found

    def _ordinary(self, values: Values, row: int) -> bool:
        """Are all inputs at a point finite and not 0?"""
        chosen = self.choose(values, np.array([row])).items()
        return all((np.isfinite(v := np.asarray(value, dtype=float)) & (v != 0)).all() for leaf, value in chosen if leaf.kind == "f")


def _pairwise(test, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    pairs = zip(left.ravel(), right.ravel(), strict=True)
    return np.array([test(a, b) for a, b in pairs], dtype=bool).reshape(left.shape)


def shown_inputs(sides: Sides, values: Values, row: int) -> str:
    """The inputs at one point, for messages."""
    parts = []
    for leaf, value in sides.choose(values, np.array([row])).items():
        entries = np.asarray(value).ravel()
        listed = [entry.item() if isinstance(entry, np.generic) else float(entry) for entry in entries[:4]]
        shown = ", ".join(f"{entry:.17g}" if isinstance(entry, float) else str(entry) for entry in listed)
        shown = f"[{shown}{', ...' if len(entries) > 4 else ''}]" if len(entries) != 1 else shown
        parts.append(f"{leaf.name} = {shown}")
    return ", ".join(parts)

