"""The reference interpreter: what a node means, said with NumPy, SciPy and mpmath alone.

It shares no code with rules, calculus and lowering; the values of scalar functions and array atoms are the reference
values that stand with each atom. Every term becomes an array with one axis per free label, in the order of
`sorted_labels()`. Slow, iterative, and silent about division by zero: infinities and nan are values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from math import prod
from typing import Any

import numpy as np

from symvi.errors import DataError
from symvi.expr.labels import Label, sort_labels
from symvi.expr.leaf import Leaf
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
from symvi.oracle.arithmetic import Floats, HighPrecision
from symvi.oracle.sizes import infer_sizes, without_unit_axes

__all__ = ["evaluate", "evaluate_one"]

Values = Mapping[Leaf | Input, Any]
Sizes = Mapping[str, int]


def evaluate(
    roots: Iterable[Node], values: Values, sizes: Sizes | None = None, precision: int | None = None, dtype: str = "float64"
) -> list[np.ndarray]:
    """The values of nodes: a term on the axes of its sorted labels, an array on its own.

    `values` maps leaves (or their input arrays) to arrays of float, complex, int or bool. `sizes` maps names of sizes to
    integers, where leaves do not tell them. With `precision`, a number of decimal digits, floats are mpmath numbers; without it
    every step is rounded to `dtype`.
    """
    roots = list(roots)
    leaves = {key.leaf if isinstance(key, Input) else key: value for key, value in values.items()}
    leaves = {leaf: without_unit_axes(leaf, value) for leaf, value in leaves.items()}
    known = infer_sizes(leaves.items(), sizes)
    with np.errstate(all="ignore"), _working_precision(precision):
        machine = _Interpreter(leaves, known, HighPrecision() if precision else Floats(dtype))
        return machine.run(roots)


def evaluate_one(root: Node, values: Values, sizes: Sizes | None = None, precision: int | None = None) -> np.ndarray:
    """The value of one node."""
    return evaluate([root], values, sizes, precision)[0]


def _working_precision(precision: int | None):
    if precision is None:
        return nullcontext()
    import mpmath

    return mpmath.workdps(precision)


class _Interpreter:
    """One evaluation: the values of leaves, the sizes, the numbers in use, and the values of nodes so far."""

    def __init__(self, leaves: Mapping[Leaf, np.ndarray], sizes: Mapping[str, int], numbers: Floats | HighPrecision):
        self.leaves, self.sizes, self.numbers = leaves, sizes, numbers
        self.values: dict[Node, np.ndarray] = {}

    def run(self, roots: Sequence[Node]) -> list[np.ndarray]:
        for node in postorder(roots):
            value = np.asarray(_MEANING[type(node)](self, node))
            if isinstance(node, Term):
                value = np.broadcast_to(value, self.extents(node.sorted_labels()))
            self.values[node] = value
        return [self.values[root] for root in roots]

    # -- labels as axes -------------------------------------------------------------------------------------------
    def extents(self, labels: Iterable[Label]) -> tuple[int, ...]:
        return tuple(label.dim.size(self.sizes) for label in labels)

    def on(self, term: Term, labels: Sequence[Label]) -> np.ndarray:
        """The value of a term with one axis per label of `labels` (in any order), of extent 1 where the term lacks it."""
        own = term.sorted_labels()
        carried = [label for label in labels if label in term.labels]
        value = np.transpose(self.values[term], [own.index(label) for label in carried])
        return value.reshape([self.extents([label])[0] if label in term.labels else 1 for label in labels])

    def index_on(self, index: Label | Term, labels: Sequence[Label]) -> np.ndarray:
        """An index, a label or an integer term, as integers on the axes of `labels`."""
        if isinstance(index, Label):
            (extent,) = self.extents([index])
            return np.arange(extent).reshape([extent if label == index else 1 for label in labels])
        return self.on(index, labels)

    def operand(self, node: Apply, child: Term, value: np.ndarray) -> np.ndarray:
        """An argument of a function, of the kind of its result: exp(True) is e. What is compared or tested stays as it is."""
        is_condition = node.function.name == "where" and child is node.children[0]
        return value if is_condition or node.kind == "b" else self.number(node, value)

    def number(self, term: Term, value: np.ndarray) -> np.ndarray:
        """A value as operand of a sum or product of the kind of `term`: booleans count, integers become real."""
        if term.kind == "f":
            return self.numbers.real(value) if value.dtype != object else value
        return value.astype(np.int64) if value.dtype == bool else value

    # -- what each kind of node means -------------------------------------------------------------------------------
    def constant(self, node: Constant):
        if node.kind == "f":
            return self.numbers.real(self.numbers.constant(node.value))
        return np.asarray(bool(node.value) if node.kind == "b" else int(node.value))

    def named_constant(self, node: NamedConstant):
        return self.numbers.real(getattr(self.numbers, node.name))

    def size(self, node: Size):
        return np.asarray(node.dim.size(self.sizes))

    def iota(self, node: Iota):
        return np.arange(self.extents([node.label])[0])

    def delta(self, node: Delta):
        labels = node.sorted_labels()
        return (self.index_on(node.left, labels) == self.index_on(node.right, labels)).astype(np.int64)

    def read(self, node: Read):
        """Entries at indices; an index outside (a shifted read whose value is masked) reads nan."""
        array, labels = self.values[node.array], node.sorted_labels()
        indices = [np.broadcast_to(self.index_on(index, labels), self.extents(labels)) for index in node.indices]
        inside = np.ones(self.extents(labels), dtype=bool)
        for index, extent in zip(indices, array.shape, strict=True):
            inside &= (index >= 0) & (index < extent)
        fill = {"b": False, "i": 0}.get(node.kind, self.numbers.nan)
        if array.size == 0:
            return np.full(inside.shape, fill, dtype=array.dtype)
        clipped = tuple(np.clip(index, 0, extent - 1) for index, extent in zip(indices, array.shape, strict=True))
        return np.where(inside, array[clipped], np.asarray(fill, dtype=array.dtype))

    def apply(self, node: Apply):
        labels = node.sorted_labels()
        arguments = np.broadcast_arrays(*(self.operand(node, child, self.on(child, labels)) for child in node.children))
        value = self.numbers.apply(node.function, node.kind, arguments)
        return self.numbers.real(value) if node.kind == "f" and value.dtype != object else value

    def sum(self, node: Sum):
        labels = node.sorted_labels()
        total = self.number(node, np.asarray(0))
        for coefficient, child in node.terms:
            value = self.number(node, self.on(child, labels))
            factor = self.numbers.constant(coefficient) if node.kind == "f" else int(coefficient)
            total = np.add(total, value if coefficient == 1 else np.multiply(value, factor))  # mpmath would read an array as a number
        return total

    def contract(self, node: Contract):
        """The product on the free labels, then the bound ones, and its sum over the latter."""
        free, bound = node.sorted_labels(), sort_labels(node.bound)
        product = self.number(node, np.asarray(1))
        for child, exponent in sorted(node.factors, key=lambda item: item[1] < 0):
            value = self.number(node, self.on(child, (*free, *bound)))
            product = self.numbers.times_power(product, value, exponent)
        if not bound:
            return product
        count = prod(self.extents(bound))
        product = np.broadcast_to(product, self.extents((*free, *bound))).reshape((*self.extents(free), count))
        if count == 0:
            return self.number(node, np.zeros(self.extents(free), dtype=np.int64))
        return product.sum(axis=-1)

    def reduce(self, node: Reduce):
        (child,) = node.children
        free, bound = node.sorted_labels(), sort_labels(node.bound)
        shape = self.extents((*free, *bound))
        count = prod(self.extents(bound))
        value = np.broadcast_to(self.on(child, (*free, *bound)), shape).reshape((*self.extents(free), count))
        if node.operation in ("any", "all"):
            return getattr(value.astype(bool), node.operation)(axis=-1)
        value = self.number(node, value)
        if node.operation == "prod":
            return value.prod(axis=-1) if count else self.number(node, np.ones(self.extents(free), dtype=np.int64))
        if node.operation in ("max", "min"):
            return self._extremum(node, value)
        return self._logsumexp(value)

    def _extremum(self, node: Reduce, value: np.ndarray) -> np.ndarray:
        sign = 1 if node.operation == "max" else -1
        if value.shape[-1] == 0:
            if node.kind == "i":
                return np.full(value.shape[:-1], np.iinfo(np.int64).min if sign > 0 else np.iinfo(np.int64).max)
            return self.numbers.real(np.full(value.shape[:-1], -sign * np.inf))
        position = (sign * self.numbers.real_part(value)).argmax(axis=-1)
        return np.take_along_axis(value, position[..., None], axis=-1)[..., 0]

    def _logsumexp(self, value: np.ndarray) -> np.ndarray:
        if value.shape[-1] == 0:
            return self.numbers.real(np.full(value.shape[:-1], -np.inf))
        position = self.numbers.real_part(value).argmax(axis=-1)[..., None]
        largest = np.take_along_axis(value, position, axis=-1)
        infinite = (largest == self.numbers.infinity) | (largest == -self.numbers.infinity)
        shift = np.where(infinite, self.numbers.real(0), largest)  # all -inf is -inf, and not nan
        others = self.numbers.exp(value - shift)
        np.put_along_axis(others, position, self.numbers.real(0), axis=-1)  # the largest is exactly 1: log1p keeps the others' digits
        return np.where(infinite, largest, shift + self.numbers.log1p(others.sum(axis=-1, keepdims=True)))[..., 0]

    def surrogate(self, node: Surrogate):
        return self.on(node.children[0], node.sorted_labels())

    def input(self, node: Input):
        leaf = node.leaf
        if leaf not in self.leaves:
            raise DataError(f"no value is given for the {leaf.role} {leaf.name}")
        value = self.leaves[leaf]
        if node.kind == "f":
            return self.numbers.real(value)
        return value.astype(bool if node.kind == "b" else np.int64)

    def tensor(self, node: Tensor):
        return np.broadcast_to(self.on(node.term, node.axes), self.extents(node.axes))

    def operator(self, node: Operator):
        arguments = [self.values[child] for child in node.children]
        shape = tuple(dim.size(self.sizes) for dim in node.shape)
        return self.numbers.operator(node.atom, node.attributes, arguments, shape)


_MEANING = {
    Constant: _Interpreter.constant,
    NamedConstant: _Interpreter.named_constant,
    Size: _Interpreter.size,
    Iota: _Interpreter.iota,
    Delta: _Interpreter.delta,
    Read: _Interpreter.read,
    Apply: _Interpreter.apply,
    Sum: _Interpreter.sum,
    Contract: _Interpreter.contract,
    Reduce: _Interpreter.reduce,
    Surrogate: _Interpreter.surrogate,
    Input: _Interpreter.input,
    Tensor: _Interpreter.tensor,
    Operator: _Interpreter.operator,
}
