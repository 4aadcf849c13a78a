"""Does a rule worsen floating error? Both sides on a grid of extremes, in float64 and in float32, against high precision.

`exact` and `stabilise`: error(right) <= max(4 ulp, error(left)). `reassociate`: also at most 10 condition numbers. An
infinity or nan that should be another value is infinitely wrong. What both sides round alike needs no truth. At a single
point the left side may be right by luck: its error is the largest at the point and at three inputs a few ulp beside it, and
the last rounding of either side, half an ulp, is not counted for or against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import mpmath
import numpy as np

from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Node
from symvi.oracle.matrix_rounding import matrix_rounding
from symvi.oracle.random_inputs import dims_of, leaves_of
from symvi.oracle.rule_sides import Sides, Values, has_array_work, interval_of, shown_inputs
from symvi.rewrite.rule import Rule

__all__ = ["rounding", "Precision", "PRECISIONS"]


class Precision(NamedTuple):
    """A float type: its unit in the last place, its smallest number, the magnitudes of its grid."""

    dtype: str
    eps: float
    smallest: float
    magnitudes: tuple[float, ...]

    def grid(self, lo: float, hi: float) -> np.ndarray:
        """The points of the grid in an interval, and points just below a finite upper end."""
        points = np.array([0.0, np.inf, -np.inf, *self.magnitudes, *(-m for m in self.magnitudes)])
        points = points[(points >= lo) & (points <= hi)]
        if np.isfinite(hi):
            points = np.concatenate([points, [p for p in hi - np.array([self.eps / 2, 5e6 * self.eps, 0.3]) if p >= lo]])
        return points


FLOAT64 = Precision("float64", 2.0**-52, 5e-324, (5e-324, 1e-310, 1e-300, 1e-17, 1e-8, 1e-3, 0.3, 1.0, 4.0, 30.0, 700.0, 745.0, 1e4))
FLOAT32 = Precision("float32", 2.0**-23, 1.4e-45, (1.4e-45, 1e-40, 1e-38, 1e-9, 1e-4, 1e-2, 0.3, 1.0, 4.0, 15.0, 88.0, 104.0, 1e4))
PRECISIONS = (FLOAT64, FLOAT32)
ULPS, LAST_ROUNDINGS = 4.0, 1.0
CONDITIONS = 10.0
POINTS, ROUNDS = 64, 2
BESIDE = 8  # ulp
LOG_DOMAIN = 745.0  # a logarithm of a float64 number is at most that: what rounding it costs in units of its exponential
STEP_DIGITS, STEP = 380, 60


def rounding(rule: Rule, before: Node, after: Node, rng: np.random.Generator) -> Iterator[str]:
    """The right side errs no more than the left one."""
    if rule.kind == "approximate":
        return
    if has_array_work(before):
        yield from matrix_rounding(rule, before, after, rng)
        return
    sides = Sides(before, after)
    for precision in PRECISIONS:
        for round_ in range(ROUNDS):
            sizes = _sizes(sides)
            values = {leaf: _stress(leaf, sizes, rng, round_, precision) for leaf in leaves_of([before, after])}
            problem = _compare(rule, sides, values, sizes, precision)
            if problem:
                yield problem
                return


def _sizes(sides: Sides) -> dict[str, int]:
    free = {label.dim for label in sides.axes}
    extent = POINTS if sides.point is not None else round(POINTS ** (1 / max(len(free), 1)))
    sizes = {}
    for dim in dims_of([sides.before, sides.after]):
        wide = dim == sides.point.dim if sides.point is not None else dim in free
        sizes |= {name.name: extent if wide else 3 for name in dim.names}
    return sizes


def _stress(leaf: Leaf, sizes: Mapping[str, int], rng, round_: int, precision: Precision) -> np.ndarray:
    """Values of the grid inside the leaf's interval; after the first round each times a random mantissa in [1, 2)."""
    shape = tuple(d.size(sizes) for d in leaf.array_shape)
    lo, hi = interval_of(leaf)
    if leaf.kind == "i":
        return rng.choice([max(0, lo), 1, 2, 7, 1000], shape).astype(np.int64)
    if leaf.kind == "b":
        return rng.random(shape) < 0.5
    points = precision.grid(lo, hi)
    in_order = not round_ and len(shape) == 1
    chosen = points[np.arange(shape[0]) % len(points)] if in_order else rng.choice(points, shape)
    mantissas = rng.uniform(1, 2, shape) if round_ else np.ones(shape)
    value = np.clip(np.where(np.abs(chosen) < 1e4, chosen * mantissas, chosen), lo, hi)
    return value.astype(precision.dtype).astype(np.float64)


def _compare(rule: Rule, sides: Sides, values: Values, sizes: Mapping[str, int], precision: Precision) -> str | None:
    """What is wrong at the worst of these points."""
    left, right = sides.at(values, sizes, dtype=precision.dtype)
    rows = np.flatnonzero(_differ(left, right).any(axis=1))
    if len(rows) and precision is not FLOAT64:  # float64 is truth enough to see which points of float32 need a better one
        reference = sides.at(sides.choose(values, rows), sizes)[1]
        rows = rows[_worse(left[rows], right[rows], reference, precision).any(axis=1)]
    if not len(rows):
        return None
    chosen = sides.choose(values, rows)
    truth = sides.truth(chosen, sizes)
    worse = _worse(left[rows], right[rows], truth, precision)
    if worse.any():
        kept = np.flatnonzero(worse.any(axis=1))
        there, found = sides.choose(chosen, kept), _errors(right[rows][kept], truth[kept], precision)
        worse[kept] &= found > _errors_beside(sides, there, sizes, precision) + LAST_ROUNDINGS
        if rule.kind == "reassociate" and worse.any():
            worse[kept] &= found > _allowance(rule, sides, there, sizes, truth[kept])
    if not worse.any():
        return None
    row = int(np.flatnonzero(worse.any(axis=1))[0])
    column = int(np.flatnonzero(worse[row])[0])
    return _message(sides, values, int(rows[row]), column, (left[rows[row]], right[rows[row]], truth[row]), precision)


def _differ(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return ~((left == right) | (np.isnan(left.astype(float)) & np.isnan(right.astype(float))))


def _worse(left: np.ndarray, right: np.ndarray, truth: np.ndarray, precision: Precision) -> np.ndarray:
    return _errors(right, truth, precision) > np.maximum(ULPS, _errors(left, truth, precision) + LAST_ROUNDINGS)


def _errors(values: np.ndarray, truth: np.ndarray, precision: Precision) -> np.ndarray:
    """In units of the last place, one per entry."""
    found = [_error(float(v), t, precision) for v, t in zip(values.ravel(), truth.ravel(), strict=True)]
    return np.array(found, dtype=float).reshape(values.shape)


def _error(value: float, truth, precision: Precision) -> float:
    """An infinite or nan value that should be another counts as infinitely wrong; where there is no truth, nothing does."""
    if mpmath.isnan(truth):
        return 0.0
    with np.errstate(over="ignore"):
        expected = float(np.dtype(precision.dtype).type(float(truth)))
    if not np.isfinite(expected) or not np.isfinite(value):
        return 0.0 if value == expected else np.inf
    return float(abs(mpmath.mpf(value) - truth) / max(precision.eps * abs(expected), precision.smallest))


def _errors_beside(sides: Sides, values: Values, sizes: Mapping[str, int], precision: Precision) -> np.ndarray:
    """The largest error of the left side at inputs a few units in the last place away."""
    rng, worst = np.random.default_rng(0), np.zeros(1)
    for _ in range(3):
        moved = dict(values)
        for leaf, value in values.items():
            if leaf.kind == "f":
                value = value * (1 + precision.eps * rng.integers(-BESIDE, BESIDE + 1, np.shape(value)))
                moved[leaf] = np.clip(value, *interval_of(leaf)).astype(precision.dtype).astype(np.float64)
        left = sides.at(moved, sizes, dtype=precision.dtype, both=False)
        worst = np.maximum(worst, _errors(left, sides.truth(moved, sizes), precision))
    return worst


def _allowance(rule: Rule, sides: Sides, values: Values, sizes: Mapping[str, int], truth: np.ndarray) -> np.ndarray:
    """10 condition numbers; outside the magnitudes that the rule claims, what rounding a logarithm costs besides.

    That is a relative error of 745 units for an exponential, and an absolute one for a logarithm.
    """
    conditions = CONDITIONS * _condition(sides, values, sizes, truth)
    inside = _claimed(rule, values, sides, len(truth))[:, None]
    beyond = LOG_DOMAIN * np.maximum(conditions, 1.0)
    if rule.heads == ("log",):
        beyond = np.maximum(beyond, LOG_DOMAIN / np.maximum(np.abs(truth).astype(float), 5e-324))
    return np.where(inside, conditions, beyond)


def _inputs_at(sides: Sides, values: Values, count: int) -> np.ndarray:
    """All inputs as an array (points, inputs)."""
    columns = []
    for leaf, value in values.items():
        value = np.asarray(value, dtype=float)
        if sides.point is not None and sides.point.dim in leaf.array_shape:
            columns.append(np.moveaxis(value, leaf.array_shape.index(sides.point.dim), 0).reshape(count, -1))
        else:
            columns.append(np.broadcast_to(value.ravel(), (count, value.size)))
    return np.concatenate(columns, axis=1)


def _claimed(rule: Rule, values: Values, sides: Sides, count: int) -> np.ndarray:
    """The points at which the inputs lie within the magnitudes for which the rule claims its bound."""
    least, most = rule.bounded or (0.0, np.inf)
    sizes = np.abs(_inputs_at(sides, values, count))
    return ((sizes >= least) & (sizes <= most)).all(axis=1)


def _condition(sides: Sides, values: Values, sizes: Mapping[str, int], truth: np.ndarray) -> np.ndarray:
    """Σ |x ∂f/∂x| / |f| by relative steps of 1e-60 in high precision, one column of a leaf after the other."""
    step = mpmath.mpf(10) ** -STEP
    total = np.zeros(truth.shape)
    for leaf, value in values.items():
        if leaf.kind != "f":
            continue
        value = np.asarray(value, dtype=float)
        with mpmath.workdps(STEP_DIGITS):
            exact = np.array([mpmath.mpf(v) for v in value.ravel()], dtype=object).reshape(value.shape)
            moved = np.array([v * (1 + step) for v in exact.ravel()], dtype=object).reshape(value.shape)
        for column in range(1 if value.ndim < 2 else value.shape[-1]):
            one_moved = moved
            if value.ndim >= 2:
                one_moved = exact.copy()
                one_moved[..., column] = moved[..., column]
            pair = [sides.at({**values, leaf: part}, sizes, STEP_DIGITS, both=False) for part in (exact, one_moved)]
            with mpmath.workdps(STEP_DIGITS):
                total += [[_relative_change(a, b, step) for a, b in zip(*rows, strict=True)] for rows in zip(*pair, strict=True)]
    return total


def _relative_change(at, beside, step) -> float:
    if not (mpmath.isfinite(at) and mpmath.isfinite(beside)):
        return 0.0
    return float(abs(beside - at) / step / max(abs(at), mpmath.mpf(5e-324)))


def _message(sides: Sides, values: Values, row: int, column: int, found, precision: Precision) -> str:
    left, right, truth = (side[column] for side in found)
    errors = [_error(float(value), truth, precision) for value in (left, right)]
    return (
        f"rounds worse in {precision.dtype}: at {shown_inputs(sides, values, row)} the value is {mpmath.nstr(truth, 17)}, the left side "
        f"gives {float(left)!r} ({errors[0]:.3g} ulp), the right side {float(right)!r} ({errors[1]:.3g} ulp)"
    )
