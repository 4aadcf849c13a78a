"""Scalar terms as loop expressions: flat sums and products, casts where an integer meets a real number."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from symvi.expr.labels import Label
from symvi.expr.nodes import (
    Apply,
    Constant,
    Contract,
    Delta,
    Iota,
    NamedConstant,
    Read,
    Size,
    Sum,
    Surrogate,
    Term,
)
from symvi.loops.ast import Add, Call, Cast, Compare, Expression, Extent, Multiply, Number, Power, Select

__all__ = ["to_expression", "product_expression", "constant_value", "as_real"]

COMPARISONS = {"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}


def constant_value(term: Term) -> float | None:
    """The value of a term made of numbers alone: `log(2 pi) / 2` is one literal in the module."""
    if "constant_value" not in term.memo:
        term.memo["constant_value"] = _constant_value(term)
    return term.memo["constant_value"]


def _constant_value(term: Term) -> float | None:
    if isinstance(term, Constant):
        return float(term.value)
    if isinstance(term, NamedConstant):
        return math.pi
    if term.labels or not isinstance(term, (Sum, Contract, Apply)) or term.kind != "f":
        return None
    values = [constant_value(child) for child in term.children]
    if any(value is None for value in values):
        return None
    if isinstance(term, Sum):
        return math.fsum(float(c) * v for c, v in zip(term.payload[0], values, strict=True))
    if isinstance(term, Contract):
        return math.prod(v**e for v, e in zip(values, term.payload[1], strict=True)) if not term.bound else None
    return float(term.function.numpy(*values))


def as_real(expression: Expression) -> Expression:
    """The expression as an operand of real arithmetic."""
    if expression.kind == "f":
        return expression
    if isinstance(expression, Number):
        return Number(Fraction(int(expression.value)) if expression.kind == "b" else expression.value, "f")
    return Cast(expression)


def _never(term: Term) -> bool:
    return False


def product_expression(factors, kind: str, value_of, index, load, is_constant=_never) -> Expression:
    """A product of powers as an expression; 1 if there are none."""
    converter = object.__new__(to_expression)
    converter.value_of, converter.index, converter.load, converter.is_constant = value_of, index, load, is_constant
    return converter.product(factors, kind) if factors else Number(Fraction(1), kind)


class to_expression:  # noqa: N801 - used as a function
    """Converts a term; `value_of(term)` gives the expression of a term that has a place already, or None.

    Divisors for which `is_constant` holds do not change in the innermost loop: their reciprocal is a factor, which is computed outside it.
    """

    def __new__(
        cls,
        term: Term,
        value_of: Callable[[Term], Expression | None],
        index: Callable[[Label], Expression],
        load: Callable[[Read, Callable], Expression],
        is_constant: Callable[[Term], bool] = _never,
    ):
        converter = object.__new__(cls)
        converter.value_of, converter.index, converter.load, converter.is_constant = value_of, index, load, is_constant
        return converter.convert(term)

    def operand(self, term: Term) -> Expression:
        known = self.value_of(term)
        return known if known is not None else self.convert(term)

    def convert(self, term: Term) -> Expression:
        value = constant_value(term) if not isinstance(term, Constant) else None
        if value is not None:
            return Number(value, "f")
        return getattr(self, "_" + type(term).__name__.lower())(term)

    def _index(self, index) -> Expression:
        return self.index(index) if isinstance(index, Label) else self.operand(index)

    def _constant(self, term: Constant) -> Expression:
        return Number(bool(term.value) if term.kind == "b" else term.value, term.kind)

    def _size(self, term: Size) -> Expression:
        return Extent(term.dim, full=not term.rows)

    def _iota(self, term: Iota) -> Expression:
        return self.index(term.label)

    def _delta(self, term: Delta) -> Expression:
        return self._chosen(term, Number(Fraction(1), "i"))

    def _chosen(self, delta: Delta, number: Number) -> Expression:
        """A number where two indices are equal, else 0."""
        equal = Compare("==", self._index(delta.left), self._index(delta.right))
        return Select(equal, number, Number(Fraction(0), number.kind), number.kind)

    def _read(self, term: Read) -> Expression:
        return self.load(term, self._index)

    def _surrogate(self, term: Surrogate) -> Expression:
        return self.operand(term.children[0])

    def _apply(self, term: Apply) -> Expression:
        function = term.function
        arguments = [self.operand(child) for child in term.children]
        if function.name in COMPARISONS:
            left, right = arguments
            if "f" in (left.kind, right.kind):
                left, right = as_real(left), as_real(right)
            return Compare(COMPARISONS[function.name], left, right)
        if function.name == "where":
            yes, no = arguments[1:]
            if term.kind == "f":
                yes, no = as_real(yes), as_real(no)
            return Select(arguments[0], yes, no, term.kind)
        if function.name == "as_float":
            return as_real(arguments[0])
        if term.kind == "f":
            arguments = [as_real(argument) for argument in arguments]
        return Call(function.name, tuple(arguments), term.kind, function.text)

    def _sum(self, term: Sum) -> Expression:
        real = term.kind == "f"
        ordered = sorted(term.terms, key=lambda item: (item[0] < 0, isinstance(item[1], Constant)))
        operands = []
        for coefficient, operand in ordered:
            sign, size = (1, coefficient) if coefficient > 0 else (-1, -coefficient)
            operands.append((sign, self._scaled(size, operand, real)))
        if len(operands) == 1 and operands[0][0] == 1:
            return operands[0][1]
        return Add(tuple(operands), term.kind)

    def _scaled(self, size: Fraction, operand: Term, real: bool) -> Expression:
        number = Number(size, "f" if real else "i")
        if isinstance(operand, Constant) and operand.value == 1:
            return number
        if isinstance(operand, Delta):
            return self._chosen(operand, number)
        value = self.operand(operand)
        value = as_real(value) if real else value
        if size == 1:
            return value
        if isinstance(value, Number):
            return Number(float(size) * float(value.value), "f") if value.kind == "f" else Number(size * value.value, value.kind)
        if isinstance(value, Multiply):
            return Multiply((number, *value.numerators), value.denominators, value.kind)
        return Multiply((number, value), (), value.kind)

    def _contract(self, term: Contract) -> Expression:
        return self.product(term.factors, term.kind)

    def product(self, factors, kind: str) -> Expression:
        """A product of powers (the summand of a contraction)."""
        upper, lower, constant, masks = [], [], [], []
        changes = any(not self.is_constant(base) for base, _ in factors)
        for base, exponent in factors:
            if isinstance(base, Delta):
                masks.append(Compare("==", self._index(base.left), self._index(base.right)))
                continue
            value = self.operand(base)
            value = as_real(value) if kind == "f" else value
            size = abs(exponent)
            value = value if size == 1 else Power(value, size, value.kind)
            (upper if exponent > 0 else constant if changes and self.is_constant(base) else lower).append(value)
        if constant:
            upper.append(Multiply((Number(Fraction(1), kind),), tuple(constant), kind))
        if not upper and (lower or masks):
            upper.append(Number(Fraction(1), kind))
        result = upper[0] if len(upper) == 1 and not lower else Multiply(tuple(upper), tuple(lower), kind)
        for mask in masks:
            result = Select(mask, result, Number(Fraction(0), kind), kind)
        return result
