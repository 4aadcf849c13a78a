"""Index notation: how a term is written, `Σ_d X[n,d] w[d]`, on one line of Unicode. LaTeX changes the style, not the grammar.

Every part is written with its precedence, and gets parentheses where the place it stands in binds tighter.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from symvi.expr.dims import Dim
from symvi.expr.labels import Label
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
    Read,
    Reduce,
    Size,
    Sum,
    Surrogate,
    Tensor,
    Term,
)

__all__ = ["Notation", "SUM", "SIGMA", "PRODUCT", "ATOM", "number_text", "plain_fraction"]

SUM, SIGMA, PRODUCT, ATOM = 1, 2, 3, 4  # SIGMA: ends in the body of a Σ, so nothing may follow it in a product
Written = tuple[str, int]

_COMPARISONS = {
    "greater_equal": "≥", "less_equal": "≤", "not_equal": "≠", "equal": "=", "less": "<", "greater": ">", "logical_and": "∧",
    "logical_or": "∨",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


LARGEST_FLOAT = Fraction(sys.float_info.max)


def number_text(value: Fraction | float) -> str:
    """A number as short as it can be said."""
    if isinstance(value, float):
        return str(value).replace("inf", "∞")
    if abs(value) > LARGEST_FLOAT:
        return f"{Decimal(value.numerator) / Decimal(value.denominator):.4g}"
    if value.denominator == 1:
        return str(value.numerator) if abs(value.numerator) < 10**6 else repr(float(value))
    if value.denominator <= 1000 and float(value).is_integer() is False and len(repr(float(value))) > 8:
        return f"{value.numerator}/{value.denominator}"
    return repr(float(value))


def plain_fraction(value: Fraction) -> bool:
    """Is a number written p / q rather than by its decimals: 1/3, 5/7?"""
    return value.denominator != 1 and "/" in number_text(value)


class Notation:
    """Writes terms and arrays. Parts deeper than `depth` are elided; nodes in `stop` are written as they are called there."""

    def __init__(self, names: Mapping[Label, str], depth: int = 12, stop: Mapping[Node, str] | None = None):
        self.names, self.depth, self.stop = dict(names), depth, {} if stop is None else stop

    # -- style: what LaTeX writes differently --------------------------------------------------------------------
    elided, product_sign, infinity = "…", " ", "∞"
    comparisons: Mapping[str, str] = _COMPARISONS
    joins_fractions = False  # a rational coefficient joins the fraction that it multiplies

    def leaf(self, name: str) -> str:
        return name

    def number(self, value: Fraction | float) -> str:
        return number_text(value)

    def group(self, inner: str) -> str:
        return f"({inner})"

    def indexed(self, base: str, indices: list[str]) -> str:
        return f"{base}[{','.join(indices)}]"

    def raised(self, base: str, exponent: str) -> str:
        digits = exponent.translate(_SUPERSCRIPTS)
        return base + (digits if exponent.lstrip("-").isdigit() else f"^{exponent}" if exponent.isalnum() else f"^({exponent})")

    def transposed(self, base: str) -> str:
        return f"{base}ᵀ"

    def inverted(self, base: str, transposed: bool = False) -> str:
        return f"{base}⁻ᵀ" if transposed else f"{base}⁻¹"

    def bars(self, inner: str) -> str:
        return f"|{inner}|"

    def quotient(self, upper: str, lower: list[str]) -> Written:
        return f"{upper} / {lower[0]}" if len(lower) == 1 else f"{upper} / ({' '.join(lower)})", PRODUCT

    def operation(self, sign: str, labels: list[str]) -> str:
        return f"{sign}_{','.join(labels)}"

    def call(self, name: str, arguments: list[str]) -> str:
        return f"{name}({', '.join(arguments)})"

    def function_name(self, function) -> str:
        return function.unicode or function.name

    def choice(self, condition: str, yes: str, no: str) -> Written:
        return f"({yes} if {condition} else {no})", ATOM

    def delta(self, left: str, right: str) -> str:
        return f"δ[{left},{right}]"

    def joined(self, parts: list[str]) -> str:
        return f"concatenate({', '.join(parts)})"

    def pi(self) -> str:
        return "π"

    def logarithm(self) -> str:
        return "log"

    sigma, product_of, identity = "Σ", "Π", "I"

    # -- terms -----------------------------------------------------------------------------------------------------
    def term(self, node: Term, depth: int = 0) -> Written:
        if node in self.stop:
            return self.stop[node], ATOM
        if depth > self.depth:
            return self.elided, ATOM
        return _WRITERS[type(node)](self, node, depth + 1)

    def at(self, node: Term, precedence: int, depth: int) -> str:
        string, own = self.term(node, depth)
        return string if own >= precedence else self.group(string)

    def label(self, label: Label) -> str:
        return self.names.get(label, str(label))

    def index(self, index: Label | Term, depth: int) -> str:
        if isinstance(index, Sum):  # t + 1, not 1 + t
            return self.signed(sorted(index.terms, key=lambda item: (item[0] < 0, isinstance(item[1], Constant))), depth)
        return self.label(index) if isinstance(index, Label) else self.term(index, depth)[0]

    def dim(self, dim: Dim) -> str:
        return str(dim).replace("*", self.product_sign)

    def constant(self, node: Constant, depth: int) -> Written:
        string = self.number(node.value) if node.kind != "b" else str(bool(node.value))
        return string, SUM if string.startswith("-") or "/" in string else ATOM

    def named_constant(self, node: NamedConstant, depth: int) -> Written:
        return self.pi(), ATOM

    def size(self, node: Size, depth: int) -> Written:
        return (f"rows({self.dim(node.dim)})" if node.rows else self.dim(node.dim)), ATOM

    def iota(self, node: Iota, depth: int) -> Written:
        return self.label(node.label), ATOM

    def delta_term(self, node: Delta, depth: int) -> Written:
        return self.delta(self.index(node.left, depth), self.index(node.right, depth)), ATOM

    def read(self, node: Read, depth: int) -> Written:
        labels = [index for index in node.indices if isinstance(index, Label)]
        if isinstance(node.array, Tensor) and len(labels) == len(node.indices):
            inner = dict(zip(node.array.axes, (self.label(label) for label in labels), strict=True))
            return self.renamed(inner).term(node.array.term, depth - 1)
        base, precedence = self.array(node.array, depth)
        if not node.indices:
            return base, precedence
        base = base if precedence == ATOM else self.group(base)
        return self.indexed(base, [self.index(index, depth) for index in node.indices]), ATOM

    def renamed(self, names: Mapping[Label, str]) -> Notation:
        return type(self)({**self.names, **names}, self.depth, self.stop)

    def under(self, node: Contract | Reduce) -> Notation:
        """The notation for the body of a sum: a bound label whose letter is taken by a free one gets more primes."""
        taken = {self.label(label) for label in node.labels}
        fresh: dict[Label, str] = {}
        for label in node.bound:
            name = self.label(label)
            while name in taken:
                name += "'"
            taken.add(name)
            if name != self.label(label):
                fresh[label] = name
        return self.renamed(fresh) if fresh else self

    def apply(self, node: Apply, depth: int) -> Written:
        function = node.function
        if function.name == "where":
            return self.choice(*(self.term(child, depth)[0] for child in node.children))
        if function.name in self.comparisons:
            left, right = (
                self.at(child, SUM if function.name not in ("logical_and", "logical_or") else PRODUCT, depth) for child in node.children
            )
            return f"{left} {self.comparisons[function.name]} {right}", SUM
        if function.name == "power":
            base, exponent = node.children
            return self.raised(self.at(base, ATOM, depth), self.term(exponent, depth)[0]), ATOM
        if function.name == "as_float":
            return self.term(node.children[0], depth)
        arguments = [self.term(child, depth)[0] for child in node.children]
        return (self.bars(arguments[0]) if function.name == "absolute" else self.function(node, arguments)), ATOM

    def function(self, node: Apply, arguments: list[str]) -> str:
        return self.call(self.function_name(node.function), arguments)

    def sum(self, node: Sum, depth: int) -> Written:
        pieces = sorted(node.terms, key=lambda item: item[0] < 0)
        if len(pieces) == 1 and pieces[0][0] > 0:
            return self.product(*pieces[0], depth)
        if len(pieces) == 1 and pieces[0][0] == -1 and _is_difference(pieces[0][1]):
            (inner,) = pieces[0][1].children  # -Σ (a - b) is Σ (b - a)
            return self.sigma_of(pieces[0][1], lambda notation: notation.group(notation.turned(inner, depth)))
        return self.signed(pieces, depth), SUM

    def turned(self, node: Sum, depth: int) -> str:
        return self.signed(sorted(((-c, t) for c, t in node.terms), key=lambda item: item[0] < 0), depth)

    def signed(self, pieces, depth: int) -> str:
        """Coefficients and terms as a sum with its signs."""
        string = ""
        for coefficient, term in pieces:
            body, precedence = self.product(abs(coefficient), term, depth)
            body = self.group(body) if precedence == SUM else body
            minus = coefficient < 0
            string += (" - " if minus else " + ") + body if string else ("-" if minus else "") + body
        return string

    def product(self, coefficient: Fraction, term: Term, depth: int) -> Written:
        """`coefficient * term`, the coefficient being positive."""
        if isinstance(term, Constant) and isinstance(term.value, Fraction):
            value = coefficient * term.value
            return self.number(value), SUM if value < 0 else PRODUCT
        if coefficient == 1 or term in self.stop or depth > self.depth:
            string, precedence = self.term(term, depth)
            return (string, precedence) if coefficient == 1 else (f"{self.number(coefficient)}{self.product_sign}{string}", PRODUCT)
        if isinstance(term, Contract) and not term.bound:
            return self.quotient_of(coefficient, term.factors, depth)
        return self.quotient_of(coefficient, ((term, 1),), depth)

    def contract(self, node: Contract, depth: int) -> Written:
        if not node.bound:
            return self.quotient_of(Fraction(1), node.factors, depth)
        from symvi.expr.matrix_notation import inner_product

        found = inner_product(self, node, depth)
        return found or self.sigma_of(node, lambda notation: _body(notation, notation.quotient_of(Fraction(1), node.factors, depth)))

    def sigma_of(self, node: Contract, body) -> Written:
        """Σ over the bound labels, of what `body` writes in the notation under it."""
        inner = self.under(node)
        return f"{self.operation(self.sigma, [inner.label(label) for label in node.bound])} {body(inner)}", SIGMA

    def quotient_of(self, coefficient: Fraction, factors, depth: int) -> Written:
        """A product of powers: short factors first, then functions, brackets, and a Σ last; negative powers below."""
        upper = [self.power(base, e, depth) for base, e in sorted(factors, key=_rank) if e > 0]
        lower = [self.power(base, -e, depth)[0:2] for base, e in factors if e < 0]
        below = [string if precedence >= ATOM else self.group(string) for string, precedence in lower]
        number = coefficient
        if number.denominator != 1 and (plain_fraction(number) or (lower and self.joins_fractions) or (lower and number.numerator == 1)):
            below.insert(0, self.number(Fraction(number.denominator)))
            number = Fraction(number.numerator)
        above = [(self.number(number), ATOM)] if number != 1 else []
        above += sorted(upper, key=lambda item: item[1] == SIGMA)
        if len(above) == 1 and not below:
            return above[0]
        return self.fraction(above, below)

    def fraction(self, above: list[Written], below: list[str]) -> Written:
        if not below:
            return self.times(above)
        string, precedence = self.times(above) if above else ("1", ATOM)
        return self.quotient(string if precedence >= PRODUCT else self.group(string), below)

    def times(self, factors: list[Written]) -> Written:
        """Factors side by side. Sums get parentheses; an open Σ may stand last only."""
        if len(factors) == 1:
            return factors[0]
        strings = [
            string if own >= PRODUCT or (own == SIGMA and k == len(factors) - 1) else self.group(string)
            for k, (string, own) in enumerate(factors)
        ]
        return self.product_sign.join(strings), SIGMA if factors[-1][1] == SIGMA else PRODUCT

    def power(self, base: Term, exponent: int, depth: int) -> Written:
        if exponent == 1:
            return self.term(base, depth)
        return self.raised(self.at(base, ATOM, depth), str(exponent)), ATOM

    def reduce(self, node: Reduce, depth: int) -> Written:
        inner = self.under(node)
        labels = [inner.label(label) for label in node.bound]
        if node.operation == "prod":
            return f"{self.operation(self.product_of, labels)} {inner.at(node.children[0], PRODUCT, depth)}", SIGMA
        return self.call(self.operation(self.reduction_name(node.operation), labels), [inner.term(node.children[0], depth)[0]]), ATOM

    def reduction_name(self, operation: str) -> str:
        return operation

    def surrogate(self, node: Surrogate, depth: int) -> Written:
        return self.term(node.children[0], depth)

    # -- arrays ------------------------------------------------------------------------------------------------------
    def array(self, node: Array, depth: int) -> Written:
        """An array without indices, as in matrix algebra where it has a form there."""
        from symvi.expr.matrix_notation import write_array

        return write_array(self, node, depth)


def _body(notation: Notation, written: Written) -> str:
    return written[0] if written[1] > SUM else notation.group(written[0])


def _is_difference(term: Term) -> bool:
    """A Σ over nothing but a sum in which something is subtracted."""
    if not isinstance(term, Contract) or not term.bound or term.payload[1] != (1,):
        return False
    (inner,) = term.children
    return isinstance(inner, Sum) and any(c < 0 for c, _ in inner.terms) and any(c > 0 for c, _ in inner.terms)


def _rank(factor: tuple[Term, int]) -> int:
    """Where a factor stands in a product: numbers and sizes, leaves, other arrays, brackets, functions."""
    base = factor[0]
    if isinstance(base, (Constant, NamedConstant, Size, Iota, Delta)):
        return 0
    if isinstance(base, Read):
        return 1 if isinstance(base.array, Input) else 2
    return 3 if isinstance(base, Sum) else 4


_WRITERS = {
    Constant: Notation.constant, NamedConstant: Notation.named_constant, Size: Notation.size, Iota: Notation.iota,
    Delta: Notation.delta_term,
    Read: Notation.read, Apply: Notation.apply, Sum: Notation.sum, Contract: Notation.contract, Reduce: Notation.reduce,
    Surrogate: Notation.surrogate,
}  # fmt: skip
