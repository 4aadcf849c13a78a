"""What the values are: the spelling as it was typed, evaluated with as many digits as it takes.

No rule is applied. Every intermediate result is disturbed in its last digits, twice; digits are added until both runs agree, and a
point at which they never do is left out and counted. So 1 + 5e-324 and 1 - 1 / (1 + e^-10000) come out right, and nothing is taken
for right that the digits do not carry. Values are compared with the same spelling on plain mpmath numbers, which passes through no
part of symvi, and derivatives, at some points, with its differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from benchmarks.spellings.spelled import Style
from symvi.atoms.scalar_function import TABLE
from symvi.expr.nodes import Apply, Contract, Node, Reduce, Sum, Term, postorder
from symvi.oracle.arithmetic import HighPrecision
from symvi.oracle.interpreter import _Interpreter

__all__ = ["Namespace", "Numbers", "Reference", "evaluate_exactly", "DIGITS"]

DIGITS = (60, 400, 1500, 5000, 9500)
LEVELS = {0.0: 3, 1e3: 5, 2e4: 2, np.inf: 1}  # how many of them, from which magnitude of an input on; beyond 2e4 none is enough for e^-x
AGREE = mpmath.mpf(10) ** -13
NOTHING, EVERYTHING = mpmath.mpf(10) ** -330, mpmath.mpf(10) ** 310
_KEPT = ("where", "maximum", "minimum", "absolute", "sign", "floor", "ceil", "as_float")  # no rounding happens in them


class Namespace:
    """Functions of NumPy arrays of mpmath numbers under symvi's names."""

    pi = property(lambda self: +mpmath.pi)

    def __getattr__(self, name: str) -> Callable:
        function = TABLE[name]
        return np.vectorize(lambda *arguments: _guarded(function.mpmath, arguments), otypes=[object if name not in _CONDITIONS else bool])

    @staticmethod
    def sum(x, axis=None, keepdims=False):
        return np.asarray(x).sum(axis=axis, keepdims=keepdims)

    @staticmethod
    def prod(x, axis=None, keepdims=False):
        return np.asarray(x).prod(axis=axis, keepdims=keepdims)

    @staticmethod
    def mean(x, axis=None, keepdims=False):
        x = np.asarray(x)
        count = x.size if axis is None else x.shape[axis]
        return x.sum(axis=axis, keepdims=keepdims) / mpmath.mpf(count)

    @staticmethod
    def max(x, axis=None, keepdims=False):
        return np.asarray(x).max(axis=axis, keepdims=keepdims)

    @staticmethod
    def logsumexp(x, axis=None, keepdims=False):
        exponential, logarithm = np.vectorize(mpmath.exp, otypes=[object]), np.vectorize(mpmath.log, otypes=[object])
        return logarithm(exponential(x).sum(axis=axis, keepdims=keepdims))

    @staticmethod
    def power(x, p):
        return np.vectorize(lambda a, b: _guarded(mpmath.power, (a, b)), otypes=[object])(x, p)


class Numbers(Style):
    """The operations on arrays of mpmath numbers, with infinity where something is divided by zero and nan where nothing is real."""

    def divide(self, f, a, b):
        return _divide(a, b)

    def power(self, f, a, n):
        return f.power(a, n)


_CONDITIONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan", "logical_and", "logical_or", "logical_not")


def _guarded(function: Callable, arguments: Sequence) -> Any:
    try:
        value = function(*arguments)
    except ZeroDivisionError:
        return mpmath.inf
    except (ValueError, OverflowError, MemoryError, mpmath.libmp.NoConvergence):
        return mpmath.nan
    return (value.real if value.imag == 0 else mpmath.nan) if isinstance(value, mpmath.mpc) else value


_divide = np.vectorize(lambda a, b: _guarded(lambda x, y: mpmath.mpf(x) / y if x or y else mpmath.nan, (a, b)), otypes=[object])


class _Disturbed(_Interpreter):
    """Every rounded result is off by a random amount beyond its last digit, the other way for the other sign."""

    def __init__(self, leaves, sizes, numbers, sign: int):
        super().__init__(leaves, sizes, numbers)
        self.random, self.sign = np.random.default_rng(1), sign

    def run(self, roots: Sequence[Node]) -> list[np.ndarray]:
        from symvi.oracle.interpreter import _MEANING

        unit = self.sign * mpmath.mpf(10) ** (5 - mpmath.mp.dps)
        for node in postorder(roots):
            value = np.asarray(_MEANING[type(node)](self, node))
            if isinstance(node, Term):
                value = np.broadcast_to(value, self.extents(node.sorted_labels()))
            if _is_rounded(node) and value.dtype == object:
                noise = self.random.uniform(-1, 1, value.shape)
                value = value * (1 + np.vectorize(mpmath.mpf, otypes=[object])(noise) * unit) if value.size else value
            self.values[node] = value
        return [self.values[root] for root in roots]


def _is_rounded(node: Node) -> bool:
    if isinstance(node, Apply):
        return node.kind == "f" and node.function.name not in _KEPT
    if isinstance(node, Contract):
        return bool(node.bound) or any(e != 1 for _, e in node.factors)
    return (isinstance(node, Sum) and node.kind == "f") or (isinstance(node, Reduce) and node.operation in ("logsumexp", "prod"))


@dataclass
class Reference:
    """Values of all roots at all points, nan where none was found, with the digits that it took (0: none were enough)."""

    values: list[np.ndarray]
    digits: np.ndarray


def evaluate_exactly(
    roots: Sequence[Term], leaves: Mapping, points: Mapping, sizes: Mapping[str, int], rows: str, fixed: Mapping | None = None
) -> Reference:
    """Terms whose first label is of the dim `rows`, at points of the named leaves (along axis 0), for fixed values of others."""
    count = len(next(iter(points.values())))
    values: list[np.ndarray | None] = [None] * len(roots)
    digits = np.zeros(count, dtype=int)
    open_points = np.arange(count)
    for level, precision in enumerate(DIGITS):
        if not len(open_points):
            break
        chosen = {**(fixed or {}), **{leaves[name]: array[open_points] for name, array in points.items()}}
        known = {**sizes, rows: len(open_points)}
        with mpmath.workdps(precision):
            runs = [_Disturbed(chosen, known, HighPrecision(), sign).run(roots) for sign in (1, -1)]
            settled = np.ones(len(open_points), dtype=bool)
            for position, (a, b) in enumerate(zip(*runs, strict=True)):
                a, b = _with_rows(roots[position], a, rows, len(open_points)), _with_rows(roots[position], b, rows, len(open_points))
                if values[position] is None:
                    values[position] = np.full((count, *a.shape[1:]), mpmath.nan, dtype=object)
                agree = np.frompyfunc(_same, 2, 1)(a, b).astype(bool)
                values[position][open_points] = np.where(agree, a, mpmath.nan)
                settled &= agree.reshape(len(a), -1).all(axis=1)
        digits[open_points[settled]] = precision
        hopeless = np.array([level + 1 >= _levels(points, k) for k in open_points], dtype=bool)
        open_points = open_points[~settled & ~hopeless]
    return Reference([v for v in values if v is not None], digits)


def _with_rows(root: Term, value: np.ndarray, rows: str, count: int) -> np.ndarray:
    """Points along axis 0 also where a term does not depend on them."""
    carried = any(str(label.dim) == rows for label in root.labels)
    value = np.asarray(value, dtype=object)
    return value if carried else np.broadcast_to(value, (count, *value.shape))


def _levels(points: Mapping, k: int) -> int:
    largest = max(np.abs(array[k]).max(initial=0.0) for array in points.values())
    return [levels for least, levels in LEVELS.items() if largest >= least][-1]


def _same(a, b) -> bool:
    """Do two runs agree, as far as a float64 can tell?"""
    a, b = mpmath.mpf(a), mpmath.mpf(b)
    if mpmath.isnan(a) or mpmath.isnan(b):
        return False
    if mpmath.isinf(a) or mpmath.isinf(b):
        return a == b
    outside = max(abs(a), abs(b)) < NOTHING or (a * b > 0 and min(abs(a), abs(b)) > EVERYTHING)
    if outside and (not a or not b or abs(mpmath.mag(a) - mpmath.mag(b)) <= 2 + abs(mpmath.mag(a)) // 100):
        return True  # 0 or infinite for certain
    return abs(a - b) <= AGREE * abs(a)
