"""Supports: where the values of a variable or a parameter lie, each one declaration.

A support knows its interval and matrix facts (used by `symvi.expr.facts`), checks arrays, and maps an unconstrained
array onto itself: `forward(raw)`, its inverse on NumPy arrays, and log |d forward / d raw|, summed over the event axes.
The transforms are those of Stan and TFP in their smooth, one-to-one forms:

- positive by `exp`: the posterior of a scale is closer to log-normal than to any soft-plus-normal, the log-determinant
  is linear (its expectation under a Gaussian is exact), and the gradient neither saturates nor changes its scale with
  the unit of the value. `softplus` is gentler for values far above 1, but pulls in the unit.
- unit_interval and interval by `sigmoid`; simplex by a softmax with the last entry fixed to 0 (the additive log-ratio:
  K - 1 unconstrained values, no products of stick lengths); ordered by a first value and exponential steps;
  lower_cholesky by `exp` on the diagonal; spd as L L'.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from symvi.array.creation import arange
from symvi.array.expression import Expr, as_expr, mistake
from symvi.array.functions import equal, exp, greater, log, log_sigmoid, logical_and, sigmoid, where
from symvi.array.indexing import concatenate, diagonal
from symvi.array.reductions import cumsum, log_softmax
from symvi.errors import DataError, SupportError
from symvi.expr.dims import Dim, as_dim
from symvi.expr.facts import TINY
from symvi.expr.facts import interval as interval_of

__all__ = [
    "Support", "real", "positive", "nonnegative", "unit_interval", "interval", "greater_than", "less_than", "simplex", "ordered",
    "lower_cholesky", "spd", "nonnegative_integer", "boolean", "category",
]  # fmt: skip


class Support:
    """The base of supports: all real numbers, and the identity as transform. Subclasses change what differs.

    `kind` is the dtype kind of values that a random variable on it carries; `discrete` supports have no transform.
    `event_rank` counts the last axes that belong to one value. `fact_name` is what `sv.assume` states.
    `linear_log_det` says that the log-determinant is linear in the unconstrained value.
    """

    name = "real"
    interval: tuple[float, float] = (-inf, inf)
    matrix_facts: tuple[str, ...] = ()
    event_rank = 0
    kind = "f"
    discrete = False
    has_default = False
    default: Any = 0.0
    fact_name: str | None = None
    is_identity = False
    linear_log_det = False
    redundant = False  # the unconstrained array has entries that are not used
    requirement = "finite"

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def bounds(self) -> tuple[Any, Any]:
        """The lower and upper bound as numbers or expressions, None where there is none."""
        lower, upper = self.interval
        return (None if lower == -inf else 0.0 if lower == TINY else lower), (None if upper == inf else upper)

    def holds(self, other: Support) -> bool:
        """Does every value of `other`, but for a set of measure 0, lie in this support?"""
        return self == other or (isinstance(self, _Positive) and isinstance(other, _Positive)) or self.is_identity

    def with_bounds(self, change: Callable[[Expr], Expr]) -> Support:
        """The same support with bounds that are expressions replaced by `change(bound)`."""
        return self

    # -- checks on arrays ---------------------------------------------------------------------------------------
    def inside(self, values: np.ndarray) -> np.ndarray:
        """True where a value lies in the support: an array over the batch axes."""
        return np.isfinite(values)

    def contains(self, values: Any) -> bool:
        """Do all values lie in the support?"""
        return self.first_violation(values) is None

    def first_violation(self, values: Any) -> tuple[int, ...] | None:
        """The index of the first value (of the first event) outside the support, or None."""
        with np.errstate(all="ignore"):
            inside = np.asarray(self.inside(np.asarray(values)))
        if inside.all():
            return None
        return tuple(int(i) for i in np.unravel_index(int(np.argmin(inside)), inside.shape))

    def check(self, name: str, values: np.ndarray, site: object = None) -> None:
        """Raise SupportError naming the variable, the value and its index; DataError for labels that are not integers."""
        where_ = f"  [{site}]" if site else ""
        if self.kind == "i" and values.dtype.kind not in "iub":
            raise DataError(f"{name} takes integers, the array given has dtype {values.dtype}; convert it with .astype(int){where_}")
        index = self.first_violation(values)
        if index is not None:
            value = values[index]
            shown = f"{value!s}" if np.ndim(value) == 0 else np.array2string(np.asarray(value), threshold=6, precision=4).replace("\n", ",")
            place = f"[{', '.join(map(str, index))}]" if index else ""
            raise SupportError(f"{name}{place} = {shown} lies outside its support: {self.requirement}{where_}")

    # -- the transform ------------------------------------------------------------------------------------------
    def unconstrained_shape(self, shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """The shape of the unconstrained array for values of `shape`."""
        return tuple(shape)

    def forward(self, raw: Any) -> Expr:
        """Values in the support from unconstrained ones."""
        return as_expr(raw)

    def inverse(self, values: Any, evaluate: Any = None) -> np.ndarray:
        """Unconstrained values, on NumPy arrays. `evaluate` gives the numbers of bounds that are expressions."""
        return np.asarray(values, dtype=float)

    def log_abs_det(self, raw: Any) -> Expr:
        """log |d forward / d raw|, summed over the event axes: an expression over the batch axes (0 for the identity)."""
        return as_expr(raw) * 0.0

    def condition(self, value: Expr) -> Expr | None:
        """A boolean expression that holds inside the support, or None where it holds by what is known of `value`."""
        lower, upper = self.interval
        known = interval_of(value.term)
        parts = []
        if lower > known[0]:
            parts.append(greater(value, 0) if lower == TINY else value >= lower)
        if upper < known[1]:
            parts.append(value <= upper)
        return logical_and(*parts) if len(parts) == 2 else parts[0] if parts else None


class _Real(Support):
    is_identity = True
    linear_log_det = True


class _Positive(Support):
    name = "positive"
    interval = (TINY, inf)
    default = 1.0
    fact_name = "positive"
    linear_log_det = True
    requirement = "positive numbers"

    def inside(self, values):
        return np.isfinite(values) & (values > 0)

    def forward(self, raw):
        return exp(raw)

    def inverse(self, values, evaluate=None):
        return np.log(np.asarray(values, dtype=float))

    def log_abs_det(self, raw):
        return as_expr(raw)


class _Nonnegative(_Positive):
    """As positive, with 0 allowed in data; the transform reaches every value but 0."""

    name = "nonnegative"
    interval = (0.0, inf)
    fact_name = "nonnegative"
    requirement = "numbers that are not negative"

    def inside(self, values):
        return np.isfinite(values) & (values >= 0)


class _UnitInterval(Support):
    name = "unit_interval"
    interval = (0.0, 1.0)
    default = 0.5
    requirement = "numbers from 0 to 1"

    def inside(self, values):
        return (values >= 0) & (values <= 1)

    def forward(self, raw):
        return sigmoid(raw)

    def inverse(self, values, evaluate=None):
        values = np.asarray(values, dtype=float)
        return np.log(values) - np.log1p(-values)

    def log_abs_det(self, raw):
        return log_sigmoid(raw) + log_sigmoid(-as_expr(raw))


def _number(bound: Any) -> float | None:
    """The value of a bound that is a plain number."""
    if isinstance(bound, Expr):
        low, high = interval_of(bound.term)
        return low if low == high else None
    return float(bound)


class _Interval(Support):
    """Numbers between two bounds; a bound is a number or an expression that broadcasts against the values."""

    def __init__(self, lower: Any, upper: Any):
        self.lower, self.upper = as_expr(lower), as_expr(upper)
        self.low, self.high = _number(self.lower), _number(self.upper)
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise mistake(f"the interval from {self.low:g} to {self.high:g} is empty", SupportError)
        self.interval = (interval_of(self.lower.term)[0], interval_of(self.upper.term)[1])
        self.default = 0.5 * (self.low + self.high) if self.low is not None and self.high is not None else None
        self.name = f"interval({self.lower}, {self.upper})"
        self.requirement = f"numbers from {self.lower} to {self.upper}"

    @property
    def bounds(self):
        return self.lower, self.upper

    def with_bounds(self, change):
        return _Interval(change(self.lower), change(self.upper))

    def inside(self, values):
        low = -inf if self.low is None else self.low
        high = inf if self.high is None else self.high
        return np.isfinite(values) & (values >= low) & (values <= high)

    def forward(self, raw):
        return self.lower + (self.upper - self.lower) * sigmoid(raw)

    def inverse(self, values, evaluate=None):
        low, high = (_bound_value(b, evaluate) for b in (self.lower, self.upper))
        share = (np.asarray(values, dtype=float) - low) / (high - low)
        return np.log(share) - np.log1p(-share)

    def log_abs_det(self, raw):
        return log(self.upper - self.lower) + log_sigmoid(raw) + log_sigmoid(-as_expr(raw))

    def condition(self, value):
        return logical_and(value >= self.lower, value <= self.upper)


class _GreaterThan(Support):
    """Numbers above a bound (a number or an expression)."""

    linear_log_det = True

    def __init__(self, lower: Any):
        self.lower = as_expr(lower)
        self.low = _number(self.lower)
        self.interval = (interval_of(self.lower.term)[0], inf)
        self.default = self.low + 1.0 if self.low is not None else None
        self.name = f"greater_than({self.lower})"
        self.requirement = f"numbers above {self.lower}"

    @property
    def bounds(self):
        return self.lower, None

    def with_bounds(self, change):
        return _GreaterThan(change(self.lower))

    def inside(self, values):
        return np.isfinite(values) & (values > (-inf if self.low is None else self.low))

    def forward(self, raw):
        return self.lower + exp(raw)

    def inverse(self, values, evaluate=None):
        return np.log(np.asarray(values, dtype=float) - _bound_value(self.lower, evaluate))

    def log_abs_det(self, raw):
        return as_expr(raw)

    def condition(self, value):
        return value > self.lower


class _LessThan(Support):
    """Numbers below a bound (a number or an expression)."""

    linear_log_det = True

    def __init__(self, upper: Any):
        self.upper = as_expr(upper)
        self.high = _number(self.upper)
        self.interval = (-inf, interval_of(self.upper.term)[1])
        self.default = self.high - 1.0 if self.high is not None else None
        self.name = f"less_than({self.upper})"
        self.requirement = f"numbers below {self.upper}"

    @property
    def bounds(self):
        return None, self.upper

    def with_bounds(self, change):
        return _LessThan(change(self.upper))

    def inside(self, values):
        return np.isfinite(values) & (values < (inf if self.high is None else self.high))

    def forward(self, raw):
        return self.upper - exp(raw)

    def inverse(self, values, evaluate=None):
        return np.log(_bound_value(self.upper, evaluate) - np.asarray(values, dtype=float))

    def log_abs_det(self, raw):
        return as_expr(raw)

    def condition(self, value):
        return value < self.upper


def _bound_value(bound: Expr, evaluate: Any) -> Any:
    number = _number(bound)
    if number is not None:
        return number
    if evaluate is None:
        raise SupportError(f"the bound {bound} has no value yet; pass evaluate=")
    return evaluate(bound)


class _Simplex(Support):
    name = "simplex"
    interval = (0.0, 1.0)
    event_rank = 1
    requirement = "non-negative entries that sum to 1 along the last axis"
    has_default = True

    @staticmethod
    def default(shape, rng=None):
        """Equal shares: an initialiser, called with the shape as integers."""
        return np.full(shape, 1.0 / shape[-1])

    def inside(self, values):
        return (values >= 0).all(axis=-1) & (np.abs(values.sum(axis=-1) - 1) < 1e-6)

    def unconstrained_shape(self, shape):
        return (*shape[:-1], shape[-1] - 1)

    def _logs(self, raw):
        raw = as_expr(raw)
        zero = raw[..., :1] * 0.0 if raw.shape[-1] != 1 else raw * 0.0
        return log_softmax(concatenate([raw, zero], axis=-1))

    def forward(self, raw):
        return exp(self._logs(raw))

    def inverse(self, values, evaluate=None):
        logs = np.log(np.asarray(values, dtype=float))
        return logs[..., :-1] - logs[..., -1:]

    def log_abs_det(self, raw):
        return self._logs(raw).sum(axis=-1)

    def condition(self, value):
        return None


class _Ordered(Support):
    name = "ordered"
    event_rank = 1
    requirement = "values that increase along the last axis"
    has_default = True
    linear_log_det = True

    @staticmethod
    def default(shape, rng=None):
        """0, 1, 2, ...: an initialiser, called with the shape as integers."""
        return np.broadcast_to(np.arange(float(shape[-1])), shape)

    def inside(self, values):
        return np.isfinite(values).all(axis=-1) & (np.diff(values, axis=-1) > 0).all(axis=-1)

    def forward(self, raw):
        raw = as_expr(raw)
        return cumsum(where(arange(raw.shape[-1]) > 0, exp(raw), raw), axis=-1)

    def inverse(self, values, evaluate=None):
        values = np.asarray(values, dtype=float)
        return np.concatenate([values[..., :1], np.log(np.diff(values, axis=-1))], axis=-1)

    def log_abs_det(self, raw):
        raw = as_expr(raw)
        return where(arange(raw.shape[-1]) > 0, raw, 0.0).sum(axis=-1)


class _LowerCholesky(Support):
    """Lower triangular matrices with a positive diagonal. The unconstrained array is square; its upper part is unused."""

    name = "lower_cholesky"
    matrix_facts = ("lower", "positive_diagonal")
    event_rank = 2
    redundant = True
    fact_name = "lower"
    has_default = True
    requirement = "lower triangular matrices with a positive diagonal"

    @staticmethod
    def default(shape, rng=None):
        """The identity: an initialiser, called with the shape as integers."""
        return np.broadcast_to(np.eye(shape[-1]), shape)

    def inside(self, values):
        diagonal_ = np.diagonal(values, axis1=-2, axis2=-1)
        return np.isfinite(values).all(axis=(-2, -1)) & (np.triu(values, 1) == 0).all(axis=(-2, -1)) & (diagonal_ > 0).all(axis=-1)

    def forward(self, raw):
        raw = as_expr(raw)
        size = raw.shape[-1]
        row, column = arange(size)[:, None], arange(size)
        on_diagonal = exp(diagonal(raw))[..., :, None]  # an exponential per row, not per entry
        return where(equal(row, column), on_diagonal, where(row > column, raw, 0.0))

    def inverse(self, values, evaluate=None):
        values = np.array(values, dtype=float)
        n = values.shape[-1]
        values[..., range(n), range(n)] = np.log(np.diagonal(values, axis1=-2, axis2=-1))
        return values

    def log_abs_det(self, raw):
        return diagonal(as_expr(raw)).sum(axis=-1)

    def condition(self, value):
        return None


class _Spd(_LowerCholesky):
    """Symmetric positive definite matrices, as L L'. Also the fact `sv.assume(K, sv.spd)`."""

    name = "spd"
    matrix_facts = ("spd",)
    fact_name = "spd"
    requirement = "symmetric positive definite matrices"

    def inside(self, values):
        values = np.asarray(values, dtype=float)
        scale = np.abs(values).max(axis=(-2, -1), initial=0.0)
        symmetric = (np.abs(values - np.swapaxes(values, -1, -2)).max(axis=(-2, -1), initial=0.0)) <= 1e-8 * scale
        finite = np.isfinite(values).all(axis=(-2, -1))
        safe = np.where(finite[..., None, None], values, np.eye(values.shape[-1]))
        return finite & symmetric & (np.linalg.eigvalsh(safe).min(axis=-1, initial=inf) > 0)

    def forward(self, raw):
        factor = super().forward(raw)
        return factor @ factor.mT

    def inverse(self, values, evaluate=None):
        return super().inverse(np.linalg.cholesky(np.asarray(values, dtype=float)))

    def log_abs_det(self, raw):
        raw = as_expr(raw)
        size = raw.shape[-1]
        return ((as_expr(size) + 1 - arange(size)) * diagonal(raw)).sum(axis=-1) + as_expr(size) * log(as_expr(2.0))


class _NonnegativeInteger(Support):
    """Counts. Values are carried as floating point numbers: they meet logarithms and products only."""

    name = "nonnegative_integer"
    interval = (0.0, inf)
    discrete = True
    requirement = "0, 1, 2, ..."

    def inside(self, values):
        return np.isfinite(values) & (values >= 0) & (values == np.floor(values))


class _Boolean(Support):
    """0 or 1 (or False and True), carried as floating point numbers."""

    name = "boolean"
    interval = (0.0, 1.0)
    discrete = True
    requirement = "0 or 1"

    def inside(self, values):
        return (values == 0) | (values == 1)

    def condition(self, value):
        return None


class _Category(Support):
    """0, 1, ..., K - 1, carried as integers: they index."""

    kind = "i"
    discrete = True
    default = 0

    def __init__(self, classes: Dim | int):
        self.classes = as_dim(classes)
        self.name = f"category({self.classes})"
        self.interval = (0.0, inf if self.classes.value is None else float(self.classes.value - 1))
        self.requirement = f"integers from 0 to {self.classes} - 1"

    def inside(self, values):
        upper = inf if self.classes.value is None else self.classes.value
        return (values >= 0) & (values < upper)

    def sized(self, sizes: dict[str, int]) -> _Category:
        """The same support with the number of classes known, for checks of data."""
        return _Category(self.classes.size(sizes))

    def condition(self, value):
        return None


real = _Real()
positive = _Positive()
nonnegative = _Nonnegative()
unit_interval = _UnitInterval()
simplex = _Simplex()
ordered = _Ordered()
lower_cholesky = _LowerCholesky()
spd = _Spd()
nonnegative_integer = _NonnegativeInteger()
boolean = _Boolean()


def interval(lower: Any, upper: Any) -> Support:
    """Numbers from `lower` to `upper`; each a number or an expression."""
    return _Interval(lower, upper)


def greater_than(lower: Any) -> Support:
    """Numbers above `lower`, a number or an expression."""
    return _GreaterThan(lower)


def less_than(upper: Any) -> Support:
    """Numbers below `upper`, a number or an expression."""
    return _LessThan(upper)


def category(classes: Dim | int) -> Support:
    """0, 1, ..., classes - 1."""
    return _Category(classes)
