"""Expressions as text: index notation in Unicode for messages and comments, LaTeX for notebooks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from symvi.expr.labels import Label, sort_labels
from symvi.expr.nodes import (
    Apply,
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
    postorder,
)

__all__ = ["text", "latex", "pprint", "label_names", "number_text"]

SUM, PRODUCT, UNARY, ATOM = 1, 2, 3, 4
_SYMBOLS = {"greater_equal": "≥", "less_equal": "≤", "not_equal": "≠", "equal": "=", "less": "<", "greater": ">", "logical_and": "∧", "logical_or": "∨"}


def label_names(nodes) -> dict[Label, str]:
    """Letters for labels: the dim's name in lower case; further labels of a dim get primes."""
    names: dict[Label, str] = {}
    taken: set[str] = set()
    labels = sort_labels({label for root in nodes for node in postorder((root,)) for label in _labels(node)})
    for label in labels:
        base = str(label.dim).lower() if label.dim.is_name else f"i{len(taken)}" if label.dim.value is not None else str(label.dim).lower().replace(" ", "")
        if not base.isidentifier():
            base = f"i{len(taken)}"
        name = base + "'" * label.number
        while name in taken:
            name += "'"
        taken.add(name)
        names[label] = name
    return names


def _labels(node: Node):
    if isinstance(node, (Contract, Reduce)):
        return (*node.labels, *node.bound)
    return node.labels if node.is_term else getattr(node, "axes", ())


def number_text(value: Fraction | float) -> str:
    """A number as short as it can be said."""
    if isinstance(value, float):
        return str(value).replace("inf", "∞")
    if value.denominator == 1:
        return str(value.numerator) if abs(value.numerator) < 10**6 else repr(float(value))
    if value.denominator <= 1000 and float(value).is_integer() is False and len(repr(float(value))) > 8:
        return f"{value.numerator}/{value.denominator}"
    return repr(float(value))


class _Printer:
    """Prints terms with precedence; long trees are cut at `limit` characters by eliding subterms."""

    def __init__(self, names: dict[Label, str], tex: bool = False, depth: int = 12, stop=()):
        self.names, self.tex, self.depth, self.stop = names, tex, depth, dict(stop)

    def term(self, node: Term, depth: int = 0) -> tuple[str, int]:
        if node in self.stop:
            return self.stop[node], ATOM
        if depth > self.depth:
            return "…", ATOM
        return getattr(self, "_" + type(node).__name__.lower())(node, depth + 1)

    def at(self, node: Term, precedence: int, depth: int) -> str:
        string, own = self.term(node, depth)
        if own >= precedence:
            return string
        return f"\\left({string}\\right)" if self.tex else f"({string})"

    def _constant(self, node: Constant, depth):
        string = number_text(node.value) if node.kind != "b" else str(bool(node.value))
        return string, ATOM if not string.startswith("-") and "/" not in string else SUM

    def _namedconstant(self, node: NamedConstant, depth):
        return ("\\pi" if self.tex else "π"), ATOM

    def _size(self, node: Size, depth):
        return str(node.dim), ATOM

    def _iota(self, node: Iota, depth):
        return self.names.get(node.label, str(node.label)), ATOM

    def _index(self, index, depth) -> str:
        return self.names.get(index, str(index)) if isinstance(index, Label) else self.term(index, depth)[0]

    def _delta(self, node: Delta, depth):
        left, right = self._index(node.left, depth), self._index(node.right, depth)
        return (f"\\delta_{{{left},{right}}}" if self.tex else f"δ[{left},{right}]"), ATOM

    def array(self, node, depth) -> str:
        if node in self.stop:
            return self.stop[node]
        if depth > self.depth:
            return "…"
        if isinstance(node, Input):
            return node.leaf.name
        if isinstance(node, Operator):
            arguments = ", ".join(self.array(child, depth + 1) for child in node.children)
            return f"{node.name}({arguments})"
        assert isinstance(node, Tensor)
        if isinstance(node.term, Read) and len(node.term.indices) == len(node.axes) and isinstance(node.term.array, Input):
            if tuple(reversed(node.term.indices)) == node.axes and len(node.axes) == 2:
                return node.term.array.name + ("^T" if self.tex else "ᵀ")
        inner = self.term(node.term, depth + 1)[0]
        return f"[{inner}]"

    def _read(self, node: Read, depth):
        if isinstance(node.array, Tensor):
            inverse = dict(zip(node.array.axes, node.indices, strict=True))
            if all(isinstance(index, Label) for index in node.indices):
                names = {**self.names, **{axis: self.names.get(index, str(index)) for axis, index in inverse.items()}}
                return _Printer(names, self.tex, self.depth, self.stop.items()).term(node.array.term, depth)
        base = self.array(node.array, depth)
        if not node.indices:
            return base, ATOM
        indices = ",".join(self._index(index, depth) for index in node.indices)
        return (f"{base}_{{{indices}}}" if self.tex else f"{base}[{indices}]"), ATOM

    def _apply(self, node: Apply, depth):
        function = node.function
        if function.name == "where":
            c, a, b = (self.term(child, depth)[0] for child in node.children)
            return (f"\\begin{{cases}}{a} & {c}\\\\ {b}\\end{{cases}}" if self.tex else f"({a} if {c} else {b})"), ATOM
        if function.name in _SYMBOLS:
            left, right = (self.at(child, SUM + 1, depth) for child in node.children)
            return f"{left} {_SYMBOLS[function.name]} {right}", SUM
        arguments = [self.term(child, depth)[0] for child in node.children]
        if function.name == "absolute":
            return f"|{arguments[0]}|", ATOM
        if self.tex and function.name == "sqrt":
            return f"\\sqrt{{{arguments[0]}}}", ATOM
        name = (function.latex if function.latex and "{" not in function.latex else f"\\mathrm{{{function.name}}}".replace("_", "\\_")) if self.tex else (function.unicode or function.name)
        opening, closing = ("\\left(", "\\right)") if self.tex else ("(", ")")
        return f"{name}{opening}{', '.join(arguments)}{closing}", ATOM

    def _sum(self, node: Sum, depth):
        pieces = sorted(node.terms, key=lambda item: item[0] < 0)
        string = ""
        for coefficient, term in pieces:
            size = abs(coefficient)
            body = self.at(term, PRODUCT, depth)
            if isinstance(term, Constant):
                body = number_text(size)
            elif size != 1:
                scale = number_text(size)
                body = f"{scale} {body}" if "/" not in scale else f"({scale}) {body}"
            if string:
                string += (" - " if coefficient < 0 else " + ") + body
            else:
                string = ("-" if coefficient < 0 else "") + body
        return string, SUM if len(pieces) > 1 or pieces[0][0] < 0 else PRODUCT

    def _power(self, base: Term, exponent: int, depth) -> str:
        if exponent == 1:
            return self.at(base, PRODUCT + 1 if not isinstance(base, (Sum,)) else PRODUCT, depth)
        string = self.at(base, ATOM, depth)
        if self.tex:
            return f"{string}^{{{exponent}}}"
        return string + str(exponent).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))

    def _contract(self, node: Contract, depth):
        upper = [self._power(base, e, depth) for base, e in node.factors if e > 0]
        lower = [self._power(base, -e, depth) for base, e in node.factors if e < 0]
        string = " ".join(upper) or "1"
        if lower:
            if self.tex:
                string = f"\\frac{{{string}}}{{{' '.join(lower)}}}"
            else:
                string = f"{string} / {lower[0]}" if len(lower) == 1 else f"{string} / ({' '.join(lower)})"
        if node.bound:
            labels = ",".join(self.names.get(label, str(label)) for label in node.bound)
            return (f"\\sum_{{{labels}}} {string}" if self.tex else f"Σ_{labels} {string}"), UNARY if len(node.factors) == 1 else PRODUCT
        return string, PRODUCT

    def _reduce(self, node: Reduce, depth):
        labels = ",".join(self.names.get(label, str(label)) for label in node.bound)
        inner = self.term(node.children[0], depth)[0]
        return (f"\\mathrm{{{node.operation}}}_{{{labels}}}\\left({inner}\\right)" if self.tex else f"{node.operation}_{labels}({inner})"), ATOM

    def _surrogate(self, node: Surrogate, depth):
        return self.term(node.children[0], depth)


def _term_of(expression: Any) -> Node:
    return getattr(expression, "term", expression)


def text(expression: Any, limit: int = 200, names: dict[Label, str] | None = None, stop=()) -> str:
    """One line of index notation: `Σ_n softplus(Σ_d X[n,d] w[d])`. Deep parts are elided beyond `limit` characters."""
    node = _term_of(expression)
    names = names or label_names((node,))
    for depth in (12, 8, 5, 3, 2, 1, 0):
        printer = _Printer(names, depth=depth, stop=stop)
        string = printer.term(node)[0] if node.is_term else printer.array(node, 0)
        if len(string) <= limit:
            return string
    return string[: limit - 1] + "…"


def latex(expression: Any) -> str:
    """LaTeX in index notation."""
    node = _term_of(expression)
    printer = _Printer(label_names((node,)), tex=True, depth=60)
    return printer.term(node)[0] if node.is_term else printer.array(node, 0)


def pprint(expression: Any) -> None:
    """Print an expression in index notation with its dims."""
    shape = getattr(expression, "shape", ())
    print(text(expression, limit=2000) + (f"    [{' × '.join(map(str, shape))}]" if shape else ""))
