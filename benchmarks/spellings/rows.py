"""What a row is: an expression written once for two kinds of numbers, the leaves it reads, and the points it is tried at.

    Row("log(1 + e^x)", lambda f, x: f.log(1 + f.exp(x)), {"x": REAL}, "softplus")

`build` takes a namespace of functions and the leaves. The namespace is `symvi` itself, or `reference.Namespace`, NumPy arrays of
mpmath numbers: so the mathematics that is meant does not pass through symvi. A leaf is a number at each point, or with an
`extent` a vector, whose axis is the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

__all__ = [
    "Row", "Leaf", "REAL", "POSITIVE", "NONNEGATIVE", "NEGATIVE", "UNIT", "ABOVE_ONE", "FINITE", "vector", "within", "points_of", "GRID",
]  # fmt: skip

MAGNITUDES = (5e-324, 1e-310, 1e-300, 1e-17, 1e-8, 1e-3, 0.3, 1.0, 4.0, 30.0, 700.0, 745.0, 1e4, 1e300, inf)
GRID = np.array([0.0, *(sign * m for m in MAGNITUDES for sign in (1, -1))])
# No two small points are each other's negative: there sums of functions vanish to first order, and their condition is 1e17.
# Nor are the large ones: a number times x + y is the flat sum c x + c y, of which the rounding is left where x = -y.
PAIRS = np.array([0.0, 5e-324, -1e-310, 1e-17, -3e-17, -1e-8, 1e-3, 0.3, -0.3, 1.0, -4.0, 30.0, -40.0, 744.0, -745.0, 1e300])
TRIPLES = np.array([0.0, 1e-17, 0.3, -1.0, 30.0, -40.0, -745.0])
MOST = 240  # points of a row


@dataclass(frozen=True)
class Leaf:
    """A variable: the closed interval of its values (5e-324 as lower end: positive), its extent, further points."""

    low: float = -inf
    high: float = inf
    extent: int | None = None
    extra: tuple[float, ...] = ()
    kind: str = "f"
    infinite: bool = True  # may be tried at ±inf
    largest: float = inf
    grid: tuple[float, ...] = ()  # in place of the common one

    def choose(self, grid: np.ndarray) -> np.ndarray:
        """The points of a grid inside the interval, with the points of its own."""
        points = np.concatenate([self.grid or grid, self.extra])
        kept = (points >= self.low) & (points <= self.high) & (np.abs(points) <= self.largest)
        return np.unique(points[kept & (np.isfinite(points) | self.infinite)])


REAL = Leaf()
FINITE = Leaf(infinite=False)
POSITIVE = Leaf(5e-324, inf)
NONNEGATIVE = Leaf(0.0, inf)
NEGATIVE = Leaf(-inf, -5e-324)
UNIT = Leaf(0.0, 1.0, extra=(1 - 1e-16, 1 - 1e-9, 0.75))
ABOVE_ONE = Leaf(1.0, inf, extra=(1 + 1e-15, 1.5))


def within(low: float, high: float, **options: Any) -> Leaf:
    """A leaf with another interval."""
    return Leaf(low, high, **options)


def vector(extent: int = 3, low: float = -inf, high: float = inf, **options: Any) -> Leaf:
    """A vector of finite numbers."""
    return Leaf(low, high, extent, infinite=False, **options)


@dataclass(frozen=True)
class Row:
    """One spelling. `pytensor` says what PyTensor 3.3.7 makes of it; `points` replaces the default points, one array per leaf.

    `skip(values)` gives for the values of the leaves at one point the reason why nothing is expected there, or None.
    """

    name: str
    build: Callable[..., Any]
    leaves: Mapping[str, Leaf]
    pytensor: str
    points: Mapping[str, Any] | None = None
    skip: Callable[..., str | None] | None = None
    gradient: bool = True

    @property
    def width(self) -> int:
        """The extent of its vectors."""
        return max((leaf.extent or 1 for leaf in self.leaves.values()), default=1)


def points_of(row: Row) -> dict[str, np.ndarray]:
    """The values of each leaf at all points: [P], or [P, extent] for a vector."""
    if row.points is not None:
        return {name: np.asarray(value, dtype=np.int64 if row.leaves[name].kind == "i" else float) for name, value in row.points.items()}
    count = sum(leaf.extent or 1 for leaf in row.leaves.values())
    grid = GRID if count == 1 else PAIRS if count == 2 else TRIPLES
    axes = [leaf.choose(grid) for leaf in row.leaves.values() for _ in range(leaf.extent or 1)]
    if count > 2:  # all combinations are too many: a fixed choice of them, the diagonal among them
        rng = np.random.default_rng(len(row.name))
        columns = [rng.choice(axis, MOST // 2) for axis in axes]
        equal = [np.resize(axis, len(max(axes, key=len))) for axis in axes]
        columns = [np.concatenate(pair) for pair in zip(equal, columns, strict=True)]
    else:
        columns = [column.ravel() for column in np.meshgrid(*axes, indexing="ij")]
    if len(columns[0]) > MOST:
        kept = np.linspace(0, len(columns[0]) - 1, MOST).round().astype(int)
        columns = [column[kept] for column in columns]
    result, used = {}, 0
    for name, leaf in row.leaves.items():
        width = leaf.extent or 1
        block = np.stack(columns[used : used + width], axis=-1)
        result[name] = block if leaf.extent else block[:, 0]
        used += width
    return {name: value.astype(np.int64) if row.leaves[name].kind == "i" else value for name, value in result.items()}
