"""Dims: sizes as values. A dim is a polynomial with integer coefficients in named sizes (`N`, `T - 1`, `N + M`).

Two dims are equal when their polynomials are. A size that is known when the model is written belongs to its name
(`dim("K", 10)`), all others are bound from data, from `init` arrays or by `sizes={K: 10}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from symvi.errors import ExpressionError, ShapeError

__all__ = ["Dim", "SizeName", "dim", "dims", "as_dim"]


class SizeName(NamedTuple):
    """A named size, with its value where that is known now."""

    name: str
    known: int | None = None


Monomial = tuple[SizeName, ...]


def _name_key(name: SizeName) -> tuple[str, int]:
    return name.name, -1 if name.known is None else name.known


# Set by the array front: how a dim enters arithmetic with expressions (`x.sum() / N`).
_to_expression: Callable[[Dim], object] | None = None


def set_expression_hook(hook: Callable[[Dim], object]) -> None:
    """Tell dims how they become expressions; called once by `symvi.array`."""
    global _to_expression
    _to_expression = hook


class Dim:
    """An integer polynomial in named sizes."""

    __slots__ = ("terms", "_hash", "_text", "_key")

    def __init__(self, terms: Mapping[Monomial, int] | int = 0):
        if isinstance(terms, int):
            terms = {(): terms}
        kept = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient}
        self.terms = tuple(sorted(kept.items(), key=lambda item: (-len(item[0]), [name.name for name in item[0]])))
        self._hash = hash(self.terms[0][1] if self.terms else 0) if self._is_number else hash(self.terms)  # equal to the int it equals
        self._text = None
        self._key = None

    @property
    def _is_number(self) -> bool:
        return not self.terms or (len(self.terms) == 1 and not self.terms[0][0])

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, int):
            return self.terms == Dim(other).terms
        return isinstance(other, Dim) and self.terms == other.terms

    # -- arithmetic ---------------------------------------------------------------------------------------------
    def __add__(self, other):
        if isinstance(other, float):
            return self._expression() + other
        if not isinstance(other, (Dim, int)):
            return NotImplemented
        terms = dict(self.terms)
        for monomial, coefficient in as_dim(other).terms:
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return Dim(terms)

    __radd__ = __add__

    def __neg__(self):
        return Dim({monomial: -coefficient for monomial, coefficient in self.terms})

    def __sub__(self, other):
        if isinstance(other, float):
            return self._expression() - other
        return NotImplemented if not isinstance(other, (Dim, int)) else self + (-as_dim(other))

    def __rsub__(self, other):
        if isinstance(other, float):
            return other - self._expression()
        return NotImplemented if not isinstance(other, (Dim, int)) else as_dim(other) + (-self)

    def __mul__(self, other):
        if isinstance(other, float):
            return self._expression() * other
        if not isinstance(other, (Dim, int)):
            return NotImplemented
        terms: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in as_dim(other).terms:
                monomial = tuple(sorted(left + right, key=_name_key))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return Dim(terms)

    __rmul__ = __mul__

    def __truediv__(self, other):
        return self._expression() / other

    def __rtruediv__(self, other):
        return other / self._expression()

    def __pow__(self, other):
        return self._expression() ** other

    def __rpow__(self, other):
        return other ** self._expression()

    def _expression(self):
        if _to_expression is None:
            raise ExpressionError(f"the dim {self} cannot enter arithmetic before symvi is imported")
        return _to_expression(self)

    def __bool__(self) -> bool:
        if self.value is None:
            raise ExpressionError(f"the truth value of the dim {self} is not known before data are bound")
        return bool(self.value)

    # -- sizes --------------------------------------------------------------------------------------------------
    @property
    def value(self) -> int | None:
        """The size, where it is known now."""
        return self.size({}) if all(name.known is not None for name in self.names) else None

    @property
    def names(self) -> tuple[SizeName, ...]:
        """The named sizes that occur, sorted."""
        return tuple(sorted({name for monomial, _ in self.terms for name in monomial}, key=_name_key))

    @property
    def is_name(self) -> bool:
        """True for a plain named size such as `N`."""
        return len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1

    def size(self, sizes: Mapping[str, int]) -> int:
        """The size when the named sizes have the values `sizes`."""
        total = 0
        for monomial, coefficient in self.terms:
            product = coefficient
            for name in monomial:
                if name.known is not None:
                    product *= name.known
                elif name.name in sizes:
                    product *= sizes[name.name]
                else:
                    raise ShapeError(f"the size of the dim {name.name} is not known; give it by data or by sizes={{{name.name}: ...}}")
            total += product
        return total

    @property
    def sort_key(self) -> tuple:
        if self._key is None:
            self._key = (str(self), self.value if self.value is not None else -1)
        return self._key

    def __str__(self) -> str:
        if self._text is None:
            self._text = self._render()
        return self._text

    def __repr__(self) -> str:
        """As `str`, with sizes that are known: dims that differ have texts that differ."""
        return self._render(lambda name: name.name if name.known is None else f"{name.name}[{name.known}]")

    def _render(self, show: Callable[[SizeName], str] | None = None) -> str:
        text = ""
        for monomial, coefficient in self.terms:
            names = "*".join(name.name if show is None else show(name) for name in monomial)
            size = abs(coefficient)
            body = names if names and size == 1 else f"{size}*{names}" if names else str(size)
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} {body}" if text else (f"-{body}" if coefficient < 0 else body)
        return text or "0"


def as_dim(value: Dim | int) -> Dim:
    """A dim from a dim or a non-negative integer."""
    if isinstance(value, Dim):
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ShapeError(f"a dim is a symvi dim or an integer, not {value!r}")
    return Dim(int(value))


def dim(name: str, size: int | None = None) -> Dim:
    """A named dim, `N = sv.dim("N")`; with a size that is known now, `K = sv.dim("K", 10)`."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ShapeError(f"the name of a dim is an identifier, not {name!r}")
    if size is not None and size < 0:
        raise ShapeError(f"the dim {name} cannot have the negative size {size}")
    return Dim({(SizeName(name, size),): 1})


def dims(names: str) -> tuple[Dim, ...]:
    """Several named dims at once: `N, D = sv.dims("N D")`."""
    return tuple(dim(name) for name in names.replace(",", " ").split())
