"""Python's operators on expressions: arithmetic (`@` stands with the products), comparisons, and logic of booleans."""

from __future__ import annotations

import numbers
from typing import Any

from symvi.array.expression import Expr, elementwise, mistake
from symvi.atoms import elementwise as scalar
from symvi.errors import ExpressionError
from symvi.expr.dims import Dim
from symvi.expr.nodes import Term
from symvi.expr.printing import text

__all__ = ["power"]


def _operator(name, function):
    function.__name__ = name

    def forward(self, other):
        return elementwise(function, self, other) if _is_operand(other) else NotImplemented

    def backward(self, other):
        return elementwise(function, other, self) if _is_operand(other) else NotImplemented

    return forward, backward


def _is_operand(value: Any) -> bool:
    return isinstance(value, (Expr, Dim, numbers.Number, list, tuple)) or hasattr(value, "__array__")


def power(base: Term, exponent: Term) -> Term:
    """base ** exponent; integer exponents are exact powers."""
    return scalar.power(base, exponent)


def _of_booleans(symbol: str, function):
    """NumPy's & | ^ ~ work on the bits of integers; here they are logical, so they take booleans only."""

    def checked(*terms: Term) -> Term:
        if any(term.kind != "b" for term in terms):
            shown = f" {symbol} ".join(map(text, terms)) if len(terms) > 1 else f"{symbol}{text(terms[0])}"
            raise mistake(f"`{shown}` takes boolean expressions, such as x > 0", ExpressionError)
        return function(*terms)

    return checked


for _name, _symbol, _function in [
    ("add", "+", lambda a, b: a + b),
    ("sub", "-", lambda a, b: a - b),
    ("mul", "*", lambda a, b: a * b),
    ("truediv", "/", lambda a, b: scalar.as_float(a) / b if a.kind != "f" and b.kind != "f" else a / b),
    ("pow", "**", power),
    ("floordiv", "//", scalar.floor_divide),
    ("mod", "%", scalar.remainder),
    ("and", "&", _of_booleans("&", scalar.logical_and)),
    ("or", "|", _of_booleans("|", scalar.logical_or)),
    ("xor", "^", _of_booleans("^", scalar.not_equal)),
]:
    _wrapped = (lambda f: lambda a, b: f(a, b))(_function)
    _forward, _backward = _operator(_symbol, _wrapped)
    setattr(Expr, f"__{_name}__", _forward)
    setattr(Expr, f"__r{_name}__", _backward)

for _name, _function in [("lt", scalar.less), ("le", scalar.less_equal), ("gt", scalar.greater), ("ge", scalar.greater_equal)]:
    setattr(Expr, f"__{_name}__", _operator(_function.name, (lambda f: lambda a, b: f(a, b))(_function))[0])

Expr.__neg__ = lambda self: Expr(-self.term, self.axes, self.shape)
Expr.__pos__ = lambda self: self
Expr.__abs__ = lambda self: elementwise(scalar.absolute, self)
Expr.__invert__ = lambda self: elementwise(_of_booleans("~", scalar.logical_not), self)
