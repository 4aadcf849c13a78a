"""A side of a rule with its variables replaced by what a match has found, built by the ordinary constructors.

Labels ride along: an array that a pattern closes over its own labels is closed over the further labels of what it
contains as well, as leading batch axes, and read back at them.
"""

from __future__ import annotations

from symvi.errors import ExpressionError
from symvi.expr.build import (
    Index,
    add,
    apply,
    contract,
    delta,
    iota,
    multiply,
    operator,
    read,
    reduce,
    rename,
    size,
    surrogate,
    tensor,
)  # fmt: skip
from symvi.expr.labels import Label, canonical_axes, sort_labels
from symvi.expr.nodes import (
    Apply,
    Array,
    Constant,
    Contract,
    Delta,
    Iota,
    NamedConstant,
    Operator,
    Read,
    Reduce,
    Size,
    Sum,
    Surrogate,
    Tensor,
    Term,
)
from symvi.rewrite.binding import Binding, Captured, Stack
from symvi.rewrite.variables import variable_of
from symvi.rewrite.views import fresh_labels

__all__ = ["instantiate"]

Labels = dict[Label, tuple[Label, ...]]


def instantiate(pattern: Term, binding: Binding) -> Term:
    """The term that `pattern` stands for under `binding`."""
    return _term(pattern, binding, dict(binding.labels))


def _images(binding: Binding, labels: Labels, label: Label) -> tuple[Label, ...]:
    if label not in labels:
        if label.dim not in binding.dims:
            raise ExpressionError(f"the right side of a rule uses the index {label}, which its left side does not determine")
        wanted = [Label(dim, 0) for dim in binding.dims[label.dim]]
        taken = {*binding.avoid, *(image for images in labels.values() for image in images)}
        images = []
        for bare in wanted:
            images.append(fresh_labels([bare], taken)[bare])
            taken.add(images[-1])
        labels[label] = tuple(images)
    return labels[label]


def _index(index: Index, binding: Binding, labels: Labels) -> Index:
    if not isinstance(index, Label):
        return _term(index, binding, labels)
    (image,) = _images(binding, labels, index)
    return image


def _term(pattern: Term, binding: Binding, labels: Labels) -> Term:
    if isinstance(pattern, (Constant, NamedConstant)):
        return pattern
    variable = variable_of(pattern)
    if variable is not None and variable in binding.values:
        return _read_variable(pattern, binding.values[variable], binding, labels)
    if isinstance(pattern, Read):
        return _read_array(pattern, binding, labels)
    if isinstance(pattern, (Contract, Reduce)) and pattern.bound:
        bound = [image for label in pattern.bound for image in _images(binding, labels, label)]
        children = [_term(child, binding, labels) for child in pattern.children]
        if isinstance(pattern, Reduce):
            return reduce(pattern.operation, bound, children[0])
        return contract(bound, zip(children, pattern.payload[1], strict=True))
    if isinstance(pattern, Iota):
        (image,) = _images(binding, labels, pattern.label)
        return iota(image)
    if isinstance(pattern, Size):
        return multiply([(size(dim), 1) for dim in binding.dims[pattern.dim]])
    if isinstance(pattern, Delta):
        return delta(_index(pattern.left, binding, labels), _index(pattern.right, binding, labels))
    children = tuple(_term(child, binding, labels) for child in pattern.children)
    if isinstance(pattern, Sum):
        return add(zip(pattern.payload[0], children, strict=True))
    if isinstance(pattern, Contract):
        return multiply(zip(children, pattern.payload[1], strict=True))
    if isinstance(pattern, Apply):
        return apply(pattern.function, *children)
    if isinstance(pattern, Surrogate):
        return surrogate(*children)
    raise ExpressionError(f"a rule cannot be built with {type(pattern).__name__}")


def _read_variable(pattern: Read, value, binding: Binding, labels: Labels) -> Term:
    if isinstance(value, Stack):
        return read(value.array, (*value.batch, *(_index(index, binding, labels) for index in pattern.indices)))
    if isinstance(value, Captured):
        images = [image for index in pattern.indices for image in _images(binding, labels, index)]
        return rename(value.term, dict(zip(value.labels, images, strict=True)))
    return value


def _read_array(pattern: Read, binding: Binding, labels: Labels) -> Term:
    array = pattern.array
    if isinstance(array, Tensor):  # a view inside the pattern: its term under the labels of the view
        inner = dict(labels)
        for axis, index in zip(array.axes, pattern.indices, strict=True):
            inner[axis] = _images(binding, labels, index)
        return _term(array.term, binding, inner)
    result, batch = _array(array, binding, labels)
    return read(result, (*batch, *(_index(index, binding, labels) for index in pattern.indices)))


def _array(pattern: Array, binding: Binding, labels: Labels) -> tuple[Array, tuple]:
    """The array and the indices at which its leading axes are read."""
    variable = variable_of(pattern)
    if variable is not None:
        value = binding.values[variable]
        if isinstance(value, Captured):  # an indexed variable as a whole array
            batch = sort_labels(value.term.labels - set(value.labels))
            return tensor(value.term, (*batch, *value.labels)), batch
        return value.array, value.batch
    if isinstance(pattern, Tensor):
        inner = dict(labels)
        bare = [Label(dim, 0) for axis in pattern.axes for dim in binding.dims[axis.dim]]
        axes, taken = [], {*binding.avoid, *(image for images in labels.values() for image in images)}
        for label in bare:
            axes.append(fresh_labels([label], taken)[label])
            taken.add(axes[-1])
        rest = iter(axes)
        for axis in pattern.axes:
            inner[axis] = tuple(next(rest) for _ in binding.dims[axis.dim])
        term = _term(pattern.term, binding, inner)
        batch = sort_labels(term.labels - set(axes))
        return tensor(term, (*batch, *axes)), batch
    assert isinstance(pattern, Operator), pattern
    parts = [_array(child, binding, labels) for child in pattern.children]
    batch = tuple(dict.fromkeys(index for _, indices in parts for index in indices))
    arguments = [_spread(array, indices, batch) for array, indices in parts]
    return operator(pattern.atom, arguments, pattern.attributes), batch


def _spread(array: Array, indices: tuple, batch: tuple) -> Array:
    """The array with leading axes for all of `batch`."""
    if indices == batch:
        return array
    if any(not isinstance(index, Label) for index in batch):
        raise ExpressionError("a rule cannot join batches that are read by position")
    own = canonical_axes(array.shape[len(indices) :])
    moved = fresh_labels(own, (*batch, *own))
    axes = [moved[label] for label in own]
    return tensor(read(array, (*indices, *axes)), (*batch, *axes))


