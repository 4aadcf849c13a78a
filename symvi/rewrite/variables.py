"""Pattern variables: what a rule is written in. They are ordinary leaves, so both sides of a rule are ordinary terms."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from symvi.errors import ExpressionError
from symvi.expr.build import input_array, read
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Array, Input, Node, Read, Term, postorder

__all__ = ["Index", "Indexed", "Matrix", "Vector", "variable_of", "variables_in", "make_variables"]


class Index:
    """A pattern index. Where a pattern sums over one index, it stands for one or several labels; elsewhere for one.

    `j: Index = "i"` is a second index over the dim of `i`.
    """


class Indexed:
    """A variable that is a function of the labels it is written with: `x[i]` and `x[k]` are one expression at two places."""

    def __init__(self, name: str):
        self.name = name
        self.array: Input | None = None

    def __getitem__(self, labels: Label | tuple[Label, ...]) -> Term:
        labels = labels if isinstance(labels, tuple) and not isinstance(labels, Label) else (labels,)
        if self.array is None:
            self.array = input_array(Leaf("pattern", self.name, tuple(label.dim for label in labels), "f", sort="indexed"))
        return read(self.array, labels)


class Vector:
    """A variable with one axis, for rules written with the front. `b: Vector = "A"` is a second one over the dim of `A`."""


class Matrix:
    """A stack of square matrices: an array whose last two axes are `A[i, j]`; leading axes ride along as batches."""


def _matrix(name: str) -> Array:
    rows = dim(f"_{name}")
    return input_array(Leaf("pattern", name, (rows, rows), "f", sort="matrix"))


def _vector(name: str, over: str) -> Indexed:
    """A function of one label whose pattern array is known before it is read."""
    vector = Indexed(name)
    vector.array = input_array(Leaf("pattern", name, (dim(f"_{over}"),), "f", sort="indexed"))
    return vector


def make_variables(function: Callable) -> dict[str, object]:
    """One variable per parameter of a rule; unannotated ones are scalar: they match any term, labels ride along."""
    variables: dict[str, object] = {}
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        sort, name = parameter.annotation, parameter.name
        if sort is inspect.Parameter.empty:
            variables[name] = read(input_array(Leaf("pattern", name, (), "f", sort="scalar")), ())
        elif sort is Index:
            over = parameter.default if isinstance(parameter.default, str) else name
            number = sum(isinstance(other, Label) and other.dim == dim(f"_{over}") for other in variables.values())
            variables[name] = Label(dim(f"_{over}"), number)
        elif sort is Indexed:
            variables[name] = Indexed(name)
        elif sort is Vector:
            variables[name] = _vector(name, parameter.default if isinstance(parameter.default, str) else name)
        elif sort is Matrix:
            variables[name] = _matrix(name)
        else:
            raise ExpressionError(f"a pattern variable is scalar, Index, Indexed, Vector or Matrix; {function.__name__} has {name}: {sort}")
    return variables


def variable_of(node: Node) -> Leaf | None:
    """The pattern variable that a term `x` or `x[i]`, or an array `A`, is; None for other nodes."""
    array = node.array if isinstance(node, Read) else node
    if isinstance(array, Input) and array.leaf.role == "pattern":
        return array.leaf
    return None


def variables_in(node: Node) -> frozenset[Leaf]:
    """The pattern variables below a node."""
    if "variables" not in node.memo:
        node.memo["variables"] = frozenset(n.leaf for n in postorder((node,)) if isinstance(n, Input) and n.leaf.role == "pattern")
    return node.memo["variables"]
