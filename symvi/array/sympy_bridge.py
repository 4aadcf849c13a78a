"""The border to SymPy: scalar SymPy expressions and matrices of them become expressions, and expressions become SymPy's.

SymPy is imported when one of the two functions is called. It carries formulas in and out; it never represents a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from symvi.array import functions
from symvi.array.expression import Expr, as_expr, mistake
from symvi.array.joining import stack
from symvi.array.sympy_matrices import MatrixReader
from symvi.errors import ExpressionError
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.nodes import (
    Apply,
    Constant,
    Contract,
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
    postorder,
)
from symvi.expr.printing import label_names, text

__all__ = ["from_sympy", "to_sympy"]

# SymPy's name and ours, where a call is a call; what differs in its arguments stands in the functions below
_SAME = {
    "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "atan2": "arctan2",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh", "atanh": "arctanh", "Abs": "absolute", "sign": "sign", "erf": "erf",
    "erfc": "erfc", "loggamma": "gammaln", "digamma": "digamma", "trigamma": "trigamma", "floor": "floor", "ceiling": "ceil",
    "Not": "logical_not",
    "Equality": "equal", "Unequality": "not_equal", "StrictLessThan": "less", "LessThan": "less_equal", "StrictGreaterThan": "greater",
    "GreaterThan": "greater_equal",
}  # fmt: skip
_FOLDED = {
    "Max": functions.maximum,
    "Min": functions.minimum,
    "And": functions.logical_and,
    "Or": functions.logical_or,
    "Xor": functions.logical_xor,
}


# ------------------------------------------------------------------------------------------------------------ from SymPy
def from_sympy(expression: Any, symbols: Mapping[Any, Any] | None = None) -> Expr:
    """A SymPy expression, matrix of them, or matrix expression, with its symbols replaced: `from_sympy(sp.sin(t)**2, {t: x})`.

    Keys of `symbols` are SymPy symbols, matrix symbols or their names, values anything that enters an expression; a scalar formula
    of arrays is applied entry by entry. Functions of your own (`sympy.Function`) are opened by their `doit` or `rewrite`.
    """
    import sympy

    expression = sympy.sympify(expression)
    known = {str(key): value if isinstance(value, Dim) else as_expr(value) for key, value in (symbols or {}).items()}
    if isinstance(expression, sympy.MatrixBase):
        rows = [[_from(sympy, entry, known) for entry in row] for row in expression.tolist()]
        if not rows or not rows[0]:
            raise mistake(f"from_sympy: the matrix {expression} has no entries", ExpressionError)
        return stack([stack(row, -1) for row in rows], -2)
    return _from(sympy, expression, known)


def _from(sympy: Any, root: Any, known: Mapping[str, Expr]) -> Expr:
    """Iterative and memoised: shared parts are converted once."""
    matrices = MatrixReader(sympy, root, known, lambda inner, more: _from(sympy, inner, {**known, **more}))
    known = {**matrices.sizes, **known}
    done: dict[Any, Expr] = {}
    pending = [root]
    while pending:
        node = pending[-1]
        if node in done:
            pending.pop()
            continue
        opened = _open(sympy, node)
        reads = matrices.reads(node)
        children = matrices.operands(node) if reads else [opened] if opened is not node else _arguments(sympy, node)
        waiting = [child for child in children if child not in done]
        if waiting:
            pending.extend(waiting)
            continue
        values = [done[child] for child in children]
        if reads:
            done[node] = matrices.read(node, values)
        else:
            done[node] = values[0] if opened is not node else _node(sympy, node, values, known)
        pending.pop()
    return done[root]


def _arguments(sympy: Any, node: Any) -> list:
    if isinstance(node, sympy.Piecewise):
        return [part for pair in node.args for part in (pair.expr, pair.cond)]
    return [] if node.is_Atom else list(node.args)


_opened: dict[Any, Any] = {}


def _open(sympy: Any, node: Any) -> Any:
    """A user's own function written out by its definition; cached, because definitions may be slow."""
    if not isinstance(node, sympy.core.function.Function) or str(type(node).__module__).partition(".")[0] == "sympy":
        return node
    if node not in _opened:
        found = node.doit(deep=False)
        for target in (sympy.exp, sympy.Piecewise, sympy.log):
            found = found if found != node else node.rewrite(target)
        if found == node:
            raise mistake(
                f"from_sympy: the function {type(node).__name__} has no definition in functions that are known; give it a method doit or "
                "_eval_rewrite_as_exp that writes it out",
                ExpressionError,
            )
        _opened[node] = found
    return _opened[node]


def _node(sympy: Any, node: Any, arguments: list[Expr], known: Mapping[str, Expr]) -> Expr:
    name = type(node).__name__
    if isinstance(node, sympy.Symbol):
        if str(node) not in known:
            raise mistake(f"from_sympy: nothing is given for the symbol {node}; pass symbols={{{node}: ...}}", ExpressionError)
        return as_expr(known[str(node)])
    if node.is_Number or isinstance(node, (sympy.logic.boolalg.BooleanAtom, sympy.NumberSymbol)):
        return _number(sympy, node)
    if isinstance(node, sympy.Add):
        return reduce(lambda a, b: a + b, arguments)
    if isinstance(node, sympy.Mul):
        return reduce(lambda a, b: a * b, arguments)
    if isinstance(node, sympy.Pow):
        base, exponent = arguments
        if node.base is sympy.E:
            return functions.exp(exponent)
        return base ** int(node.exp) if node.exp.is_Integer else base**exponent
    if isinstance(node, sympy.Piecewise):
        result = as_expr(float("nan"))
        for value, condition in reversed(list(zip(arguments[::2], arguments[1::2], strict=True))):
            result = functions.where(condition, value, result)
        return result
    if name in _FOLDED:
        return reduce(_FOLDED[name], arguments)
    if name in _SAME and (name != "log" or len(arguments) == 1):
        return getattr(functions, _SAME[name])(*arguments)
    if name == "ITE":
        return functions.where(*arguments)
    if name == "Heaviside":
        x, middle = arguments
        return functions.where(x > 0, 1.0, functions.where(x < 0, 0.0, middle))
    if name == "polygamma" and node.args[0] in (0, 1):
        return (functions.digamma if node.args[0] == 0 else functions.trigamma)(arguments[1])
    if name == "gamma":
        return functions.exp(functions.gammaln(arguments[0]))  # for positive arguments
    if name == "Mod":
        return arguments[0] % arguments[1]
    raise mistake(f"from_sympy: {name} in {node} has no counterpart", ExpressionError)


def _number(sympy: Any, node: Any) -> Expr:
    if node is sympy.pi:
        return functions.pi
    if node in (sympy.true, sympy.false):
        return as_expr(bool(node))
    if node.is_Integer:
        return as_expr(int(node))
    if node.is_Rational:
        return as_expr(int(node.p)) / int(node.q)
    return as_expr(float(node))  # infinities, nan, E, floats


# -------------------------------------------------------------------------------------------------------------- to SymPy
def to_sympy(expression: Any) -> Any:
    """An expression as a SymPy expression: numbers as symbols, arrays as `IndexedBase`, sums over dims as `Sum`.

    An expression with axes comes out as its entry at the indices of its axes.
    """
    import sympy

    expression = as_expr(expression)
    names = label_names((expression.term,))
    writer = _ToSymPy(sympy, {label: sympy.Symbol(name, integer=True) for label, name in names.items()})
    return writer.term(expression.term)


class _ToSymPy:
    def __init__(self, sympy: Any, indices: Mapping[Label, Any]):
        self.sympy, self.indices = sympy, indices
        self.ours = {ours: theirs for theirs, ours in _SAME.items()}

    def term(self, root: Term) -> Any:
        done: dict[Node, Any] = {}
        for node in postorder((root,), _operands):
            done[node] = self._node(node, [done[child] for child in _operands(node)])
        return done[root]

    def size(self, dim: Dim) -> Any:
        total = self.sympy.Integer(0)
        for monomial, coefficient in dim.terms:
            product = self.sympy.Integer(coefficient)
            for name in monomial:
                product *= name.known if name.known is not None else self.sympy.Symbol(name.name, integer=True, positive=True)
            total += product
        return total

    def _ranges(self, bound: tuple[Label, ...]) -> list:
        return [(self.indices[label], 0, self.size(label.dim) - 1) for label in bound]

    def _node(self, node: Node, arguments: list) -> Any:
        sympy = self.sympy
        if isinstance(node, Constant):
            if node.kind == "b":
                return sympy.true if node.value else sympy.false
            if isinstance(node.value, float):
                return sympy.Float(node.value) if node.value != node.value else sympy.oo * (1 if node.value > 0 else -1)
            return sympy.Rational(node.value.numerator, node.value.denominator)
        if isinstance(node, NamedConstant):
            return sympy.pi
        if isinstance(node, Size):
            return self.size(node.dim)
        if isinstance(node, Iota):
            return self.indices[node.label]
        if isinstance(node, Sum):
            return sympy.Add(*(sympy.Rational(c.numerator, c.denominator) * a for (c, _), a in zip(node.terms, arguments, strict=True)))
        if isinstance(node, Contract):
            product = sympy.Mul(*(a**e for (_, e), a in zip(node.factors, arguments, strict=True)))
            return sympy.Sum(product, *self._ranges(node.bound)) if node.bound else product
        if isinstance(node, Surrogate):
            return arguments[0]
        if isinstance(node, Reduce) and node.operation == "logsumexp":
            return sympy.log(sympy.Sum(sympy.exp(arguments[0]), *self._ranges(node.bound)))
        if isinstance(node, Reduce) and node.operation == "prod":
            return sympy.Product(arguments[0], *self._ranges(node.bound))
        if isinstance(node, Read) and isinstance(node.array, Input):
            indices = [self.indices[index] if isinstance(index, Label) else None for index in node.indices]
            rest = iter(arguments)
            indices = [next(rest) if index is None else index for index in indices]
            return sympy.IndexedBase(node.array.name)[tuple(indices)] if indices else sympy.Symbol(node.array.name, real=True)
        if isinstance(node, Read) and isinstance(node.array, Tensor) and all(isinstance(index, Label) for index in node.indices):
            inner = self.term(node.array.term)
            return inner.subs(
                {self.indices[a]: self.indices[b] for a, b in zip(node.array.axes, node.indices, strict=True)}, simultaneous=True
            )
        if isinstance(node, Apply):
            return self._apply(node.function.name, arguments)
        raise mistake(f"to_sympy: {text(node)} has no counterpart in SymPy", ExpressionError)

    def _apply(self, name: str, arguments: list) -> Any:
        sympy = self.sympy
        special: dict[str, Callable] = {
            "sqrt": sympy.sqrt, "power": sympy.Pow, "where": lambda c, a, b: sympy.Piecewise((a, c), (b, True)), "as_float": lambda x: x,
            "log1p": lambda x: sympy.log(1 + x), "expm1": lambda x: sympy.exp(x) - 1, "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
            "softplus": lambda x: sympy.log(1 + sympy.exp(x)), "logit": lambda x: sympy.log(x / (1 - x)),
            "log1mexp": lambda x: sympy.log(1 - sympy.exp(x)),
            "log2": lambda x: sympy.log(x, 2), "log10": lambda x: sympy.log(x, 10), "logaddexp": lambda x,
            y: sympy.log(sympy.exp(x) + sympy.exp(y)),
            "ndtr": lambda x: sympy.erfc(-x / sympy.sqrt(2)) / 2, "log_ndtr": lambda x: sympy.log(sympy.erfc(-x / sympy.sqrt(2)) / 2),
            "xlogy": lambda x, y: x * sympy.log(y), "xlog1py": lambda x, y: x * sympy.log(1 + y), "maximum": sympy.Max,
            "minimum": sympy.Min,
            "logical_and": sympy.And, "logical_or": sympy.Or, "floor_divide": lambda x, y: sympy.floor(x / y), "remainder": sympy.Mod,
        }  # fmt: skip
        if name in special:
            return special[name](*arguments)
        if name in self.ours:
            return getattr(sympy, self.ours[name])(*arguments)
        raise mistake(f"to_sympy: {name} has no counterpart in SymPy", ExpressionError)


def _operands(node: Node) -> tuple[Node, ...]:
    return node.children[1:] if isinstance(node, Read) else node.children
