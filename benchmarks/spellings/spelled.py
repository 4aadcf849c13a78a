"""Other spellings of a row by itself: values that write every operation down in another way.

A `Spelled` value stands for an expression, or for an array of mpmath numbers, and hands each operation to a style: what to write
for `a + b`, `a / b`, `exp(a)`. The row is written once; the style is what a variant changes.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Style", "Spelled", "SpelledNamespace", "Swapped", "plain", "spell"]


class Style:
    """The operations as they are. Subclasses override those that they write differently; operands are plain values."""

    def add(self, f, a, b):
        return a + b

    def subtract(self, f, a, b):
        return a - b

    def multiply(self, f, a, b):
        return a * b

    def divide(self, f, a, b):
        return a / b

    def power(self, f, a, n):
        return a**n

    def call(self, f, name: str, arguments: tuple, options: dict) -> Any:
        return getattr(f, name)(*arguments, **options)


class Swapped(Style):
    """Operands in the other order: b + a, b * a, -b + a, (1 / b) * a."""

    def add(self, f, a, b):
        return b + a

    def subtract(self, f, a, b):
        return -b + a

    def multiply(self, f, a, b):
        return b * a

    def divide(self, f, a, b):
        return (1 / b) * a

    def call(self, f, name, arguments, options):
        if name in ("logaddexp", "maximum", "minimum") and len(arguments) == 2:
            arguments = arguments[::-1]
        return super().call(f, name, arguments, options)


def plain(value: Any) -> Any:
    """What a spelled value stands for."""
    return value.value if isinstance(value, Spelled) else value


class Spelled:
    """A value whose operations go through a style."""

    __array_ufunc__ = None

    def __init__(self, value: Any, f: Any, style: Style):
        self.value, self.f, self.style = value, f, style

    def _new(self, value: Any) -> Spelled:
        return Spelled(value, self.f, self.style)

    def __add__(self, other):
        return self._new(self.style.add(self.f, self.value, plain(other)))

    def __radd__(self, other):
        return self._new(self.style.add(self.f, plain(other), self.value))

    def __sub__(self, other):
        return self._new(self.style.subtract(self.f, self.value, plain(other)))

    def __rsub__(self, other):
        return self._new(self.style.subtract(self.f, plain(other), self.value))

    def __mul__(self, other):
        return self._new(self.style.multiply(self.f, self.value, plain(other)))

    def __rmul__(self, other):
        return self._new(self.style.multiply(self.f, plain(other), self.value))

    def __truediv__(self, other):
        return self._new(self.style.divide(self.f, self.value, plain(other)))

    def __rtruediv__(self, other):
        return self._new(self.style.divide(self.f, plain(other), self.value))

    def __pow__(self, other):
        return self._new(self.style.power(self.f, self.value, plain(other)))

    def __neg__(self):
        return self._new(-self.value)

    def __getitem__(self, key):
        return self._new(self.value[key])

    def sum(self, *arguments, **options):
        return self._new(self.value.sum(*arguments, **options))

    def __gt__(self, other):
        return self._new(self.value > plain(other))

    def __lt__(self, other):
        return self._new(self.value < plain(other))


class SpelledNamespace:
    """A namespace whose functions take and give `Spelled` values."""

    def __init__(self, f: Any, style: Style):
        self.f, self.style = f, style

    def __getattr__(self, name: str) -> Any:
        if name == "pi":
            return self.f.pi

        def function(*arguments, **options):
            return Spelled(self.style.call(self.f, name, tuple(map(plain, arguments)), options), self.f, self.style)

        return function


def spell(build, style_of, f: Any, leaves: dict) -> Any:
    """A row's expression in a style: `style_of()` makes a fresh one, so that both namespaces spell alike."""
    style = style_of()
    return plain(build(SpelledNamespace(f, style), **{name: Spelled(value, f, style) for name, value in leaves.items()}))
