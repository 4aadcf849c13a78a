"""Sums, means, maxima and their kin along axes, with NumPy's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symvi.array.axes import moveaxis, one_axis
from symvi.array.expression import Expr, array_of, as_expr, as_integer, from_term, truth
from symvi.array.functions import exp, log, sqrt, where
from symvi.atoms import joining
from symvi.atoms.elementwise import as_float
from symvi.expr import build
from symvi.expr.dims import Dim

__all__ = [
    "sum",
    "mean",
    "max",
    "min",
    "amax",
    "amin",
    "prod",
    "var",
    "std",
    "any",
    "all",
    "logsumexp",
    "logmeanexp",
    "softmax",
    "log_softmax",
    "cumsum",
]

AxisArgument = int | Sequence[int] | None


def normal_axes(x: Expr, axis: AxisArgument, operation: str = "a reduction") -> tuple[int, ...]:
    """Non-negative axis positions, sorted."""
    if axis is None:
        return tuple(range(x.ndim))
    positions = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted({one_axis(x, position, operation) for position in positions}))


def _reduced(x: Expr, positions: tuple[int, ...], term, keepdims: bool) -> Expr:
    axes = [None if position in positions else axis for position, axis in enumerate(x.axes)]
    if not keepdims:
        axes = [axis for position, axis in enumerate(x.axes) if position not in positions]
    return from_term(term, axes)


def _bound(x: Expr, positions: tuple[int, ...]):
    return [x.axes[position] for position in positions if x.axes[position] is not None]


def sum(x: Any, axis: AxisArgument = None, keepdims: bool = False) -> Expr:  # noqa: A001 - NumPy's name
    """Sum over axes (all by default)."""
    x = as_expr(x)
    positions = normal_axes(x, axis, "sum")
    return _reduced(x, positions, build.contract(_bound(x, positions), [(as_integer(x.term), 1)]), keepdims)


def _count(x: Expr, positions: tuple[int, ...]) -> Dim:
    total = Dim(1)
    for position in positions:
        total = total * x.shape[position]
    return total


def mean(x: Any, axis: AxisArgument = None, keepdims: bool = False) -> Expr:
    """Arithmetic mean over axes. The size is the full size of the dim, also under minibatching."""
    x = as_expr(x)
    x = Expr(as_float(x.term), x.axes, x.shape)
    positions = normal_axes(x, axis)
    return sum(x, positions, keepdims) / as_expr(_count(x, positions))


def _reduction(operation: str, documentation: str, before=lambda term: term):
    def reduction(x: Any, axis: AxisArgument = None, keepdims: bool = False) -> Expr:
        x = as_expr(x)
        positions = normal_axes(x, axis, operation)
        return _reduced(x, positions, build.reduce(operation, _bound(x, positions), before(x.term)), keepdims)

    reduction.__name__ = reduction.__qualname__ = operation
    reduction.__doc__ = documentation
    return reduction


max = amax = _reduction("max", "Largest value over axes.")  # noqa: A001
min = amin = _reduction("min", "Smallest value over axes.")  # noqa: A001
prod = _reduction("prod", "Product over axes.", as_integer)
any = _reduction("any", "True where any value holds.", truth)  # noqa: A001
all = _reduction("all", "True where all values hold.", truth)  # noqa: A001
_logsumexp = _reduction("logsumexp", "log Σ e^x over axes, without overflow.")


def logsumexp(x: Any, axis: AxisArgument = None, b: Any = None, keepdims: bool = False) -> Expr:
    """log Σ b e^x over axes, without overflow; `b` are positive weights as in SciPy."""
    x = as_expr(x)
    if b is not None:
        x = x + where(as_expr(b) > 0, log(b), float("-inf"))
    return _logsumexp(x, axis, keepdims)


def logmeanexp(x: Any, axis: AxisArgument = None, keepdims: bool = False) -> Expr:
    """log of the mean of e^x over axes."""
    x = as_expr(x)
    return logsumexp(x, axis, keepdims=keepdims) - log(as_expr(_count(x, normal_axes(x, axis))))


def softmax(x: Any, axis: int = -1) -> Expr:
    """e^x / Σ e^x along an axis."""
    return exp(log_softmax(x, axis))


def log_softmax(x: Any, axis: int = -1) -> Expr:
    """x - log Σ e^x along an axis."""
    x = as_expr(x)
    return x - logsumexp(x, axis, keepdims=True)


def var(x: Any, axis: AxisArgument = None, ddof: int = 0, keepdims: bool = False) -> Expr:
    """Variance over axes, two passes."""
    x = as_expr(x)
    positions = normal_axes(x, axis)
    centred = x - mean(x, positions, keepdims=True)
    return sum(centred**2, positions, keepdims) / (as_expr(_count(x, positions)) - ddof)


def std(x: Any, axis: AxisArgument = None, ddof: int = 0, keepdims: bool = False) -> Expr:
    """Standard deviation over axes."""
    return sqrt(var(x, axis, ddof, keepdims))


def cumsum(x: Any, axis: int | None = None) -> Expr:
    """Cumulative sums along an axis; without one, of all entries in row-major order."""
    x = as_expr(x)
    if axis is None:
        from symvi.array.axes import ravel

        x, axis = ravel(x), 0
    x = Expr(as_integer(x.term), x.axes, x.shape)
    position = one_axis(x, axis, "cumsum")
    if x.axes[position] is None:
        return x
    last = moveaxis(x, position, -1)
    array = joining.cumsum(array_of(last), attributes=(False,))
    result = Expr(build.read(array, [a for a in last.axes if a is not None]), last.axes, last.shape)
    return moveaxis(result, -1, position)


for _name, _function in [
    ("sum", sum),
    ("mean", mean),
    ("max", max),
    ("min", min),
    ("prod", prod),
    ("var", var),
    ("std", std),
    ("any", any),
    ("all", all),
    ("cumsum", cumsum),
]:
    setattr(Expr, _name, _function)
