"""Spellings that no table holds: random variants of rows, each operation written down in another way, leaves replaced by expressions.

Everything is drawn from one seed. A variant is a row of its own: its reference is what it says, not what its row says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.spellings.check import Outcome, check_rows
from benchmarks.spellings.kernels import FORMS
from benchmarks.spellings.rows import Leaf, Row
from benchmarks.spellings.spelled import Spelled, SpelledNamespace, Style, plain

__all__ = ["SEED", "variant", "variants_of", "check_variants"]

SEED = 20240229
POINTS = 24
MODERATE = np.array([0.0, 1e-300, 1e-17, -3e-17, 1e-8, -1e-3, 0.3, -1.0, 4.0, 30.0, -40.0, 300.0, -340.0])


class Respelled(Style):
    """Each operation, with some probability, in another way that means the same."""

    def __init__(self, seed: int, base: Style):
        self.random, self.base = np.random.default_rng(seed), base

    def _chance(self, probability: float = 0.4) -> bool:
        return bool(self.random.random() < probability)

    def _operands(self, f, *values):
        return [value if isinstance(value, (int, float)) else Spelled(value, f, self.base) for value in values]

    def add(self, f, a, b):
        return b + a if self._chance() else a + b

    def subtract(self, f, a, b):
        return -(b - a) if self._chance() else -b + a if self._chance() else a - b

    def multiply(self, f, a, b):
        a, b = self._operands(f, a, b)
        return plain(b * a if self._chance() else a / (1 / b) if self._chance(0.1) and _is_number(b) else a * b)

    def divide(self, f, a, b):
        a, b = self._operands(f, a, b)
        return plain(a * (1 / b) if self._chance() else 1 / (b / a) if self._chance(0.1) and _is_number(a) else a / b)

    def power(self, f, a, n):
        if isinstance(n, int) and n in (2, 3) and self._chance():
            return a * a if n == 2 else a * a * a
        return self.base.power(f, a, n)

    def call(self, f, name, arguments, options):
        respell = _CALLS.get(name)
        if respell is None or not self._chance():
            return self.base.call(f, name, arguments, options)
        spellings = respell(SpelledNamespace(f, self.base), *self._operands(f, *arguments))
        return plain(spellings[self.random.integers(len(spellings))])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and value != 0


_CALLS: dict[str, Callable] = {
    "exp": lambda f, x: (1 / f.exp(-x), f.exp(x / 2) * f.exp(x / 2)),
    "log": lambda f, x: (-f.log(1 / x), f.log(3 * x) - f.log(3)),
    "log1p": lambda f, x: (f.log(1 + x),),
    "expm1": lambda f, x: (f.exp(x) - 1,),
    "sqrt": lambda f, x: (x**0.5,),
    "sigmoid": lambda f, x: (1 / (1 + f.exp(-x)), f.exp(x) / (1 + f.exp(x)), 1 / (f.exp(-x) + 1)),
    "softplus": lambda f, x: (f.log(1 + f.exp(x)), f.log1p(f.exp(x))),
    "tanh": lambda f, x: ((f.exp(x) - f.exp(-x)) / (f.exp(x) + f.exp(-x)), f.sinh(x) / f.cosh(x)),
    "sinh": lambda f, x: ((f.exp(x) - f.exp(-x)) / 2,),
    "cosh": lambda f, x: ((f.exp(x) + f.exp(-x)) / 2,),
    "ndtr": lambda f, x: (f.erfc(-x / f.sqrt(2)) / 2,),
    "erfc": lambda f, x: (1 - f.erf(x),),
}

REAL_LINE: tuple[Callable, ...] = (
    lambda z: -z,
    lambda z: 2 * z,
    lambda z: z / 3,
    lambda z: z + 0.5,
    lambda z: 1 - z,
)


def variant(row: Row, seed: int) -> Row:
    """One variant: operations respelled, a real leaf replaced by a line in it, the whole as it is, negated, halved or inverted."""
    random = np.random.default_rng(seed)
    lines: dict[str, Callable] = {}
    for name, leaf in row.leaves.items():
        if leaf.low == -np.inf and leaf.high == np.inf and random.random() < 0.6:
            lines[name] = REAL_LINE[random.integers(len(REAL_LINE))]
    outer = random.integers(4)

    def build(f: SpelledNamespace, **leaves: Spelled) -> Any:
        given = {name: lines[name](value) if name in lines else value for name, value in leaves.items()}
        style = Respelled(seed, f.style)
        result = row.build(SpelledNamespace(f.f, style), **{name: Spelled(value.value, f.f, style) for name, value in given.items()})
        result = result.value
        return (result, -result, result / 2, 3 * result)[outer]

    skip = row.skip and (lambda *values: row.skip(*(lines.get(name, _itself)(v) for name, v in zip(row.leaves, values, strict=True))))
    leaves = {name: _moderate(leaf) if name in lines else leaf for name, leaf in row.leaves.items()}
    return Row(f"{row.name} #{seed}", build, leaves, row.pytensor, None if lines else row.points, skip, row.gradient)


def _itself(value: Any) -> Any:
    return value


def _moderate(leaf: Leaf) -> Leaf:
    return Leaf(extent=leaf.extent, infinite=False, grid=tuple(MODERATE))


def variants_of(rows: Sequence[Row], count: int, seed: int = SEED) -> list[Row]:
    """The first `count` variants: rows in turn, so that each has some."""
    return [variant(rows[k % len(rows)], seed + k) for k in range(count)] if rows else []


def check_variants(rows: Sequence[Row], count: int) -> list[Outcome]:
    """All variants, in the plain form, at some points each."""
    return check_rows(variants_of(rows, count), FORMS[:1], most=POINTS)
