"""`Expr`: what users hold. A term with its axes in order; NumPy semantics outside, index notation inside.

Axes of extent 1 exist only here (an axis without a label). Labels are numbered in axis order per dim, so the final
labels of every result are known before its node is built.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from symvi.array import late
from symvi.atoms import elementwise as scalar
from symvi.errors import ExpressionError, ShapeError
from symvi.expr import build, provenance
from symvi.expr.dims import Dim, as_dim, set_expression_hook
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Array, Input, Node, Read, Term, postorder
from symvi.expr.printing import text

__all__ = ["Expr", "as_expr", "axes_for", "broadcast", "from_term", "leaf_expr", "mistake", "shape_text", "set_stack_hook", "joint_dim"]

Axis = Label | None


def axes_for(shape: Iterable[Dim]) -> tuple[Axis, ...]:
    """The canonical axes of a shape; None for a literal 1."""
    seen: dict[Dim, int] = {}
    axes: list[Axis] = []
    for dim in shape:
        if dim == 1:
            axes.append(None)
        else:
            axes.append(Label(dim, seen.get(dim, 0)))
            seen[dim] = seen.get(dim, 0) + 1
    return tuple(axes)


def shape_text(shape: Iterable[Dim]) -> str:
    parts = [str(dim) for dim in shape]
    return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"


def mistake(message: str, error: type[Exception] = ShapeError) -> Exception:
    """An error that names the user's line."""
    site = provenance.here()
    return error(f"{message}  [{site}]" if site else message)


class Expr:
    """An expression with a shape. Build with NumPy's operators and functions; `==` is structural identity."""

    __slots__ = ("term", "axes", "shape", "__weakref__", "__dict__")
    __array_priority__ = 1000

    def __init__(self, term: Term, axes: Sequence[Axis], shape: Sequence[Dim] | None = None):
        self.term = term
        self.axes = tuple(axes)
        self.shape = tuple(shape) if shape is not None else tuple(Dim(1) if axis is None else axis.dim for axis in self.axes)

    # -- identity ----------------------------------------------------------------------------------------------
    def __hash__(self) -> int:
        return hash((self.term, self.axes))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Expr):
            return self.term is other.term and self.axes == other.axes
        if isinstance(other, (numbers.Number, np.ndarray, np.generic, Dim)) or hasattr(other, "__array__"):
            shown = f"{other}" if isinstance(other, (numbers.Number, Dim)) else "an array"
            raise mistake(
                f"`{text(self)} == {shown}`: == and != ask whether two expressions are the same expression; compare values with "
                "sv.equal(a, b) or sv.not_equal(a, b)",
                ExpressionError,
            )
        return NotImplemented

    def __bool__(self) -> bool:
        raise mistake(
            f"the truth value of the expression {text(self)} is not known while a model is being built; "
            "write sv.where(condition, a, b) instead of Python's if, and, or",
            ExpressionError,
        )

    # -- shape and kind ----------------------------------------------------------------------------------------
    @property
    def ndim(self) -> int:
        return len(self.axes)

    @property
    def size(self) -> Dim:
        total = Dim(1)
        for dim in self.shape:
            total = total * dim
        return total

    @property
    def kind(self) -> str:
        """The dtype kind: f, i or b."""
        return self.term.kind

    @property
    def dtype(self) -> type:
        return {"f": float, "i": int, "b": bool}[self.kind]

    def __len__(self) -> int:
        if not self.shape:
            raise mistake("len() of an expression without axes")
        if self.shape[0].value is None:
            raise mistake(f"the size of {self.shape[0]} is not known before data are bound; use the dim itself", ExpressionError)
        return self.shape[0].value

    def __iter__(self):
        if self.shape and self.shape[0].value is not None:
            return (self[i] for i in range(self.shape[0].value))
        raise mistake(f"cannot iterate over the axes {shape_text(self.shape)} of unknown size", ExpressionError)

    # -- the tree, in SymPy's words ----------------------------------------------------------------------------
    @property
    def leaf(self) -> Leaf | None:
        """The leaf that this expression is, if it is one."""
        term = self.term
        labels = tuple(axis for axis in self.axes if axis is not None)
        if isinstance(term, Read) and isinstance(term.array, Input) and term.indices == labels:
            return term.array.leaf
        return None

    @property
    def name(self) -> str | None:
        return self.leaf.name if self.leaf is not None else None

    @property
    def func(self) -> type:
        return type(self.term)

    @property
    def args(self) -> tuple[Expr, ...]:
        """The operands, each as an expression over its own labels."""
        return tuple(from_node(child) for child in self.term.children)

    @property
    def free_symbols(self) -> set[Expr]:
        """The leaves that occur."""
        return {leaf_expr(node.leaf) for node in postorder((self.term,)) if isinstance(node, Input)}

    def has(self, *patterns: Expr) -> bool:
        """Does any of the expressions occur below this one?"""
        wanted = {pattern.term for pattern in patterns} | {p.term.array for p in patterns if isinstance(p.term, Read)}
        return any(node in wanted for node in postorder((self.term,)))

    def xreplace(self, rule: dict) -> Expr:
        """Replace leaves (or whole subexpressions) by expressions of the same shape, all at once."""
        return late.substitute(self, rule)

    def subs(self, *arguments: Any) -> Expr:
        """`subs({old: new})` or `subs(old, new)`: as xreplace."""
        if len(arguments) == 2:
            return self.xreplace({arguments[0]: arguments[1]})
        if len(arguments) != 1:
            raise mistake(f"subs takes {{old: new}} or old, new, not {len(arguments)} arguments", ExpressionError)
        return self.xreplace(dict(arguments[0]))

    def diff(self, variable: Expr) -> Expr:
        """The gradient by `variable`."""
        return late.grad(self, variable)

    def eval(self, values: dict | None = None, **options: Any):
        """The value for the given leaves, by compiled code: `cost.eval({X: ..., y: ...})`."""
        return late.evaluate(self, values or {}, **options)

    def explain(self, wrt: Any = (), timing: bool = False, as_text: bool = False) -> str | None:
        """Print what the compiler makes of the expression: which rule changed what, in mathematics, with your line.

        `wrt`: also what becomes of the gradients by these leaves. `timing`: hits and time per rule. `as_text` gives the text
        instead of printing it.
        """
        return late.explain(self, wrt=wrt, timing=timing, as_text=as_text)

    def __repr__(self) -> str:
        return f"{text(self)}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {late.latex(self)}$"

    def __array__(self, *args, **kwargs):
        raise mistake(
            f"the expression {text(self)} is not an array of numbers; evaluate it with .eval({{...}}). NumPy's functions without a meaning "
            "for expressions convert their arguments, and so does a pandas object on the left of an operator: "
            "use sv's functions, and .to_numpy()",
            ExpressionError,
        )

    def __float__(self):
        raise mistake(f"the expression {text(self)} has no value yet; evaluate it with .eval({{...}})", ExpressionError)

    __int__ = __complex__ = __index__ = __round__ = __float__

    def __contains__(self, item: object):
        raise mistake(f"`in` has no meaning for the expression {text(self)}; .has(leaf) asks whether a leaf occurs in it", ExpressionError)

    def __setitem__(self, key: object, value: object):
        raise mistake(
            f"expressions are values: {text(self)} cannot be assigned to; build a new one with sv.where or sv.concatenate", ExpressionError
        )

    @property
    def real(self) -> Expr:
        return self

    def astype(self, dtype: Any) -> Expr:
        """The same values as float (from int or bool), or as int (from bool)."""
        kind = {float: "f", int: "i", bool: "b"}.get(dtype, getattr(np.dtype(dtype), "kind", None))
        if kind == self.kind:
            return self
        if kind == "f":
            return Expr(scalar.as_float(self.term), self.axes, self.shape)
        if kind == "i" and self.kind == "b":
            return Expr(as_integer(self.term), self.axes, self.shape)
        if kind == "b":
            return elementwise(scalar.not_equal, self, 0)
        raise mistake(f"{text(self)} is real-valued; round it with sv.floor, an expression has no conversion to {dtype!r}", ExpressionError)


def from_node(node: Node) -> Expr:
    """A node as an expression over its own labels or axes."""
    if node.is_term:
        return from_term(node, node.sorted_labels())
    axes = axes_for(node.shape)
    return Expr(build.read(node, [axis for axis in axes if axis is not None]), axes, node.shape)


def from_term(term: Term, axes: Sequence[Axis]) -> Expr:
    """An expression from a term whose axes carry any distinct labels: they are renamed to canonical ones."""
    shape = tuple(Dim(1) if axis is None else axis.dim for axis in axes)
    canonical = axes_for(shape)
    mapping = {old: new for old, new in zip(axes, canonical, strict=True) if old is not None and old != new}
    return Expr(build.rename(term, mapping), canonical, shape)


_leaf_exprs: WeakValueDictionary = WeakValueDictionary()


def leaf_expr(leaf: Leaf) -> Expr:
    """The expression of a leaf; one object per leaf while it lives."""
    found = _leaf_exprs.get(leaf)
    if found is None:
        axes = axes_for(leaf.shape)
        term = build.read(build.input_array(leaf), [axis for axis in axes if axis is not None])
        found = Expr(term, axes, leaf.shape)
        _leaf_exprs[leaf] = found
    return found


_anonymous: WeakValueDictionary = WeakValueDictionary()


def _array_expr(value: Any) -> Expr:
    """A NumPy, pandas or xarray array as an anonymous data argument."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise mistake(f"an array of dtype {array.dtype} cannot enter an expression; it needs numbers", ExpressionError)
    if array.ndim == 0:
        return as_expr(array.item())
    leaf = _anonymous.get(id(value))
    if leaf is None or leaf.attributes["source"] is not value:
        kind = {"u": "i"}.get(array.dtype.kind, array.dtype.kind)
        leaf = Leaf("anonymous", "array", tuple(Dim(n) for n in array.shape), kind, value=array, source=value)
        _anonymous[id(value)] = leaf
    return leaf_expr(leaf)


_stack = None


def set_stack_hook(stack: Any) -> None:
    """Tell how a list of expressions becomes one; called once by `symvi.array.joining`."""
    global _stack
    _stack = stack


def _holds_expressions(values: Any) -> bool:
    return any(isinstance(v, (Expr, Dim)) or (isinstance(v, (list, tuple)) and _holds_expressions(v)) for v in values)


def as_expr(value: Any) -> Expr:
    """An expression from an expression, a number, a dim, or an array."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, Dim):
        return Expr(build.size(value), ())
    if isinstance(value, (bool, int, float, Fraction)):
        return Expr(build.constant(value), ())
    if isinstance(value, np.generic):
        return as_expr(value.item())
    if isinstance(value, (list, tuple)):
        if _holds_expressions(value):
            return _stack(value)
        try:
            value = np.asarray(value)
        except ValueError:
            raise mistake("a nested list with rows of different lengths cannot enter an expression") from None
    if hasattr(value, "__array__"):
        return _array_expr(value)
    raise mistake(f"{value!r} of type {type(value).__name__} cannot enter an expression", ExpressionError)


set_expression_hook(as_expr)


def joint_dim(*dims: Dim) -> Dim | None:
    """The dim that dims have in common: equal ones, or a named size known to be the number that stands beside it. Else None."""
    if all(dim == dims[0] for dim in dims):
        return dims[0]
    if dims[0].value is None or any(dim.value != dims[0].value for dim in dims):
        return None
    named = [dim for dim in dims if dim.names]
    return named[0] if all(dim == named[0] for dim in named) else None


def broadcast(*operands: Expr, operation: str = "") -> tuple[tuple[Dim, ...], tuple[Axis, ...], list[Term]]:
    """NumPy's broadcasting: the joint shape, its axes, and each operand's term on those axes."""
    if all(operand.axes == operands[0].axes for operand in operands):
        return operands[0].shape, operands[0].axes, [operand.term for operand in operands]
    rank = max(operand.ndim for operand in operands)
    shape: list[Dim] = []
    for position in range(-rank, 0):
        extents = [operand.shape[position] for operand in operands if -position <= operand.ndim and operand.shape[position] != 1]
        joint = joint_dim(*extents) if extents else Dim(1)
        if joint is None:
            raise mistake(_mismatch(operands, extents, operation))
        shape.append(joint)
    axes = axes_for(shape)
    terms = [on_axes(operand, axes[rank - operand.ndim :]) for operand in operands]
    return tuple(shape), axes, terms


def _mismatch(operands: Sequence[Expr], extents: Sequence[Dim], operation: str) -> str:
    described = " and ".join(f"{text(operand)} with dims {shape_text(operand.shape)}" for operand in operands)
    clash = " and ".join(map(str, dict.fromkeys(extents)))
    named = [dim for dim in extents if dim.is_name and dim.value is None]
    number = [dim.value for dim in extents if dim.value is not None]
    mend = "give both the same dim, or a new axis with [:, None]"
    if named and number:
        mend = f'if the size of {named[0]} is known now, say so: sv.dim("{named[0]}", {number[0]}); '
        mend += f"else pass the array through sv.data(name, {named[0]})"
    return f"the dims {clash} do not fit together in `{operation or 'broadcast'}` of {described}; only a literal 1 broadcasts. Mend: {mend}"


def on_axes(operand: Expr, axes: Sequence[Axis]) -> Term:
    """The term of an expression on other labels, axis by axis."""
    mapping = {old: new for old, new in zip(operand.axes, axes, strict=True) if old is not None and old != new}
    return build.rename(operand.term, mapping) if mapping else operand.term


def elementwise(function, *operands: Any) -> Expr:
    """A scalar function of broadcast operands. `function` maps terms to a term."""
    expressions = [as_expr(operand) for operand in operands]
    if len(expressions) == 1:
        only = expressions[0]
        return Expr(function(only.term), only.axes, only.shape)
    shape, axes, terms = broadcast(*expressions, operation=getattr(function, "name", getattr(function, "__name__", "")))
    return Expr(function(*terms), axes, shape)


def array_of(expression: Expr, keep_ones: bool = False) -> Array:
    """The expression as an array node, in axis order; axes of extent 1 are dropped."""
    return build.tensor(expression.term, [axis for axis in expression.axes if axis is not None])


def truth(term: Term) -> Term:
    """A term as a condition: numbers hold where they are not 0."""
    return term if term.kind == "b" else scalar.not_equal(term, 0)


def as_integer(term: Term) -> Term:
    """A boolean term as 0 or 1; any other as it is."""
    return scalar.where(term, 1, 0) if term.kind == "b" else term


def dims_of(values: Sequence[Any]) -> tuple[Dim, ...]:
    """A shape from dims and integers, possibly one tuple of them."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = values[0]
    for value in values:
        if not isinstance(value, Dim) and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0):
            raise mistake(f"a dim is a symvi dim (sv.dim, sv.dims) or an integer that is not negative, not {value!r}")
    return tuple(as_dim(value) for value in values)
