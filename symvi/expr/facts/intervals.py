"""Intervals of terms: closed, possibly infinite bounds, by interval arithmetic from the leaves up."""

from __future__ import annotations

from math import inf

import numpy as np

from symvi.expr.build import add
from symvi.expr.facts.assertions import TINY, Interval, stated_interval, stated_parts
from symvi.expr.facts.forms import sign_of_form
from symvi.expr.facts.questions import answers, interval, matrix_facts
from symvi.expr.nodes import (
    Apply,
    Array,
    Constant,
    Contract,
    Delta,
    Input,
    Iota,
    NamedConstant,
    Node,
    Operator,
    Read,
    Reduce,
    Size,
    Sum,
    Surrogate,
    Tensor,
    Term,
)

__all__ = ["EVERYTHING", "interval_of"]

EVERYTHING: Interval = (-inf, inf)
UNDERFLOWS_TO_ZERO = ("exp", "softplus", "sigmoid", "cosh", "erfc", "erfcx", "ndtr")  # positive, whatever float64 says


@answers("interval")
def interval_of(node: Node) -> Interval:
    """The bounds of a node from those of its children."""
    return _of_term(node) if node.is_term else _of_array(node)


# ------------------------------------------------------------------------------------------------------------ arithmetic
def _times(a: Interval, b: Interval) -> Interval:
    corners = [0.0 if 0.0 in (x, y) else x * y for x in a for y in b]
    lo, hi = min(corners), max(corners)
    if (a[0] > 0 and b[0] > 0) or (a[1] < 0 and b[1] < 0):  # a sign survives underflow
        lo = max(lo, TINY)
    elif (a[0] > 0 and b[1] < 0) or (a[1] < 0 and b[0] > 0):
        hi = min(hi, -TINY)
    return lo, hi


def _power(base: Interval, exponent: int) -> Interval:
    lo, hi = _power_bounds(base, exponent)
    if base[0] > 0 or (base[1] < 0 and exponent % 2 == 0):
        lo = max(lo, TINY)
    elif base[1] < 0:
        hi = min(hi, -TINY)
    return lo, hi


def _power_bounds(base: Interval, exponent: int) -> Interval:
    lo, hi = base
    if exponent < 0:
        lo, hi = _power(base, -exponent)
        if lo > 0 or hi < 0:
            return (1 / hi if hi else inf, 1 / lo if lo else inf) if lo > 0 else (1 / hi if hi else -inf, 1 / lo)
        return (0.0, inf) if lo >= 0 else EVERYTHING
    try:
        corners = [lo**exponent, hi**exponent]
    except OverflowError:
        return (0.0, inf) if exponent % 2 == 0 or lo >= 0 else EVERYTHING
    if exponent % 2 == 0 and lo < 0 < hi:
        return 0.0, max(corners)
    return min(corners), max(corners)


def _to_float(value) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


# ----------------------------------------------------------------------------------------------------------------- nodes
def _of_array(array: Array) -> Interval:
    if isinstance(array, Input):
        support = array.leaf.support
        if support is not None and getattr(support, "interval", None):
            return support.interval
        return (0.0, inf) if array.leaf.index_of is not None else (0.0, 1.0) if array.kind == "b" else EVERYTHING
    if isinstance(array, Tensor):
        return array.term.memo["interval"]
    if isinstance(array, Operator) and array.name == "det" and "spd" in matrix_facts(array.children[0]):
        return TINY, inf
    return array.atom.interval([child.memo["interval"] for child in array.children]) if isinstance(array, Operator) else EVERYTHING


def _of_term(term: Term) -> Interval:
    known = [child.memo.get("interval", EVERYTHING) for child in term.children if child.is_term]
    if isinstance(term, Constant):
        value = _to_float(term.value)
        return (value, value) if value == value else EVERYTHING
    if isinstance(term, NamedConstant):
        return 3.14, 3.15
    if isinstance(term, (Size, Iota, Delta)):
        return (0.0, 1.0) if isinstance(term, Delta) else (0.0, inf)
    if isinstance(term, Sum):
        return _of_sum(term, known)
    if isinstance(term, Contract):
        return _of_product(term, known)
    if isinstance(term, Reduce):
        return _of_reduction(term, known[0])
    if isinstance(term, Surrogate):
        return known[0]
    if isinstance(term, Read):
        return _of_read(term)
    if isinstance(term, Apply):
        return _of_function(term, known)
    return EVERYTHING


def _of_sum(term: Sum, known: list[Interval]) -> Interval:
    lo = hi = 0.0
    for (coefficient, _), bounds in zip(term.terms, known, strict=True):
        a, b = _times((_to_float(coefficient),) * 2, bounds)
        lo, hi = lo + a, hi + b
    lo, hi = (lo if lo == lo else -inf, hi if hi == hi else inf)
    for part in stated_parts(term):
        (a, b), (c, d) = _times((float(part.ratio),) * 2, stated_interval(part.array) or EVERYTHING), interval(part.rest)
        lo, hi = max(lo, a + c), min(hi, b + d)
    if len(term.children) == 2:  # x - max(x), x - logsumexp(x), min(x) - x
        for (coefficient, reduction), (other, body) in (term.terms, term.terms[::-1]):
            if isinstance(reduction, Reduce) and coefficient == -other and body is reduction.children[0]:
                above = reduction.operation in ("max", "logsumexp")
                if above or reduction.operation == "min":
                    return (lo, min(hi, 0.0)) if above == (other > 0) else (max(lo, 0.0), hi)
    return lo, hi


def _of_product(term: Contract, known: list[Interval]) -> Interval:
    bounds = (1.0, 1.0)
    for (_, exponent), base in zip(term.factors, known, strict=True):
        bounds = _times(bounds, _power(base, exponent))
    if not term.bound:
        return bounds
    lo, hi = bounds
    sign = sign_of_form(term) if lo < 0 < hi else None
    if sign is not None:
        return (0.0, inf) if sign > 0 else (-inf, 0.0)
    return (0.0 if lo >= 0 else -inf, 0.0 if hi <= 0 else inf)


def _of_reduction(term: Reduce, known: Interval) -> Interval:
    if term.operation in ("max", "min"):
        return known
    if term.operation in ("any", "all"):
        return 0.0, 1.0
    if term.operation == "prod" and known[0] >= 0:
        return (TINY if known[0] > 0 else 0.0), (1.0 if known[1] <= 1 else inf)
    return EVERYTHING


def _of_read(term: Read) -> Interval:
    lo, hi = term.array.memo["interval"]
    if lo <= 0 and len(term.indices) >= 2 and term.indices[-1] == term.indices[-2] and not isinstance(term.array, Tensor):
        facts = matrix_facts(term.array)
        lo = TINY if "positive_diagonal" in facts else max(lo, 0.0) if "psd" in facts else lo
    return lo, hi


# ------------------------------------------------------------------------------------------------------------- functions
def _of_function(term: Apply, known: list[Interval]) -> Interval:
    function = term.function
    special = _SPECIAL.get(function.name)
    if special is not None:
        return special(term, *known)
    lo, hi = function.range
    if function.monotone and len(known) == 1:
        with np.errstate(all="ignore"):
            ends = [float(function.numpy(np.float64(min(max(end, function.domain[0]), function.domain[1])))) for end in known[0]]
        ends = sorted(end if end == end else bound for end, bound in zip(ends, (lo, hi)[:: function.monotone], strict=True))
        lo, hi = max(lo, ends[0]), min(hi, ends[1])
    if function.name in UNDERFLOWS_TO_ZERO:
        lo = max(lo, TINY)
    return lo, max(lo, hi)


def _absolute(term: Apply, x: Interval) -> Interval:
    lo = x[0] if x[0] > 0 else -x[1] if x[1] < 0 else 0.0
    return lo, max(abs(x[0]), abs(x[1]))


def _raised(term: Apply, base: Interval, exponent: Interval) -> Interval:
    if base[0] < 0:
        return EVERYTHING
    lo, hi = 0.0, inf
    if (base[0] >= 1 and exponent[0] >= 0) or (base[1] <= 1 and exponent[1] <= 0):
        lo = 1.0
    if (base[0] >= 1 and exponent[1] <= 0) or (base[1] <= 1 and exponent[0] >= 0):
        hi = 1.0
    return max(lo, TINY) if base[0] > 0 else lo, hi


def _larger(x: Interval) -> float:
    """The least value in float64: what is positive may have underflowed."""
    return 0.0 if x[0] == TINY else x[0]


def _smaller(x: Interval) -> float:
    return 0.0 if x[1] == -TINY else x[1]


def _sides(term: Apply, x: Interval, y: Interval) -> tuple[Interval, Interval]:
    """The intervals to be compared: those of x - y and 0 for integers, so that i - 1 is less than i."""
    left, right = term.children
    if left.kind == "f" or right.kind == "f":
        return x, y
    return interval(add([(1, left), (-1, right)])), (0.0, 0.0)


def _greater(x: Interval, y: Interval) -> Interval:
    """x > y: decided where the intervals lie apart. NaN is no value."""
    return (1.0, 1.0) if _larger(x) > _smaller(y) else (0.0, 0.0) if x[1] <= y[0] else (0.0, 1.0)


def _unequal(x: Interval, y: Interval) -> Interval:
    return (1.0, 1.0) if _larger(x) > _smaller(y) or _larger(y) > _smaller(x) else (0.0, 1.0)


def _not(x: Interval) -> Interval:
    return 1 - x[1], 1 - x[0]


def _sign_of_gap(term: Apply, x: Interval, y: Interval) -> Interval:
    """e^x - e^y has the sign of x - y."""
    lo, hi = interval(add([(1, term.children[0]), (-1, term.children[1])]))
    return (TINY if lo > 0 else 0.0 if lo >= 0 else -inf), (-TINY if hi < 0 else 0.0 if hi <= 0 else inf)


_SPECIAL = {
    "exp_difference": _sign_of_gap,
    "where": lambda term, c, x, y: x if c[0] == 1 else y if c[1] == 0 else (min(x[0], y[0]), max(x[1], y[1])),
    "maximum": lambda term, x, y: (max(x[0], y[0]), max(x[1], y[1])),
    "minimum": lambda term, x, y: (min(x[0], y[0]), min(x[1], y[1])),
    "logaddexp": lambda term, x, y: (max(x[0], y[0]), max(x[1], y[1]) + 0.6931471805599454),
    "absolute": _absolute,
    "power": _raised,
    "greater": lambda term, x, y: _greater(*_sides(term, x, y)),
    "greater_equal": lambda term, x, y: _not(_greater(*_sides(term, x, y)[::-1])),
    "less": lambda term, x, y: _greater(*_sides(term, x, y)[::-1]),
    "less_equal": lambda term, x, y: _not(_greater(*_sides(term, x, y))),
    "not_equal": lambda term, x, y: _unequal(*_sides(term, x, y)),
    "equal": lambda term, x, y: _not(_unequal(*_sides(term, x, y))),
    "logical_not": lambda term, x: _not(x),
    "logical_and": lambda term, x, y: (min(x[0], y[0]), min(x[1], y[1])),
    "logical_or": lambda term, x, y: (max(x[0], y[0]), max(x[1], y[1])),
}
