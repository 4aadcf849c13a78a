"""Concatenation and cumulative sums: array atoms whose adjoints are slices and reversed cumulative sums."""

from __future__ import annotations

from math import inf

import numpy as np

from symvi.atoms.array_atom import ArrayAtom, axes_of, register
from symvi.expr import build
from symvi.expr.build import iota, read, read_own, tensor


@register
class _Concatenate(ArrayAtom):
    """Arrays joined along an axis. Attributes: (axis,)."""

    name = "concatenate"

    def shape(self, arguments, attributes):
        (axis,) = attributes
        first = arguments[0].shape
        total = sum((a.shape[axis] for a in arguments[1:]), first[axis])
        return (*first[:axis], total, *first[axis + 1 :])

    def kind(self, arguments):
        return max((a.kind for a in arguments), key="bif".index)

    def simplify(self, arguments, attributes):
        return arguments[0] if len(arguments) == 1 else None

    def interval(self, known):
        return min(lo for lo, _ in known), max(hi for _, hi in known)

    def vjp(self, node, adjoint):
        (axis,) = node.attributes
        whole = tensor(adjoint, axes_of(node))
        adjoints, offset = [], build.zero
        for argument in node.children:
            labels = axes_of(argument)
            indices = (*labels[:axis], iota(labels[axis]) + offset, *labels[axis + 1 :])
            adjoints.append(read(whole, indices))
            offset = offset + build.size(argument.shape[axis])
        return tuple(adjoints)

    def jvp(self, node, tangents):
        parts = [
            tensor(t if t is not None else build.constant(0.0), axes_of(argument))
            for t, argument in zip(tangents, node.children, strict=True)
        ]
        return read_own(concatenate(*parts, attributes=node.attributes))

    def numpy(self, attributes, *arrays):
        return np.concatenate(arrays, axis=attributes[0])

    mpmath = numpy


concatenate = _Concatenate


@register
class _CumSum(ArrayAtom):
    """Cumulative sums along the last axis. Attributes: (reverse,)."""

    name = "cumsum"

    def shape(self, arguments, attributes):
        return arguments[0].shape

    def kind(self, arguments):
        return max(arguments[0].kind, "i", key="bif".index)

    def interval(self, known):
        ((lo, hi),) = known
        return lo if lo >= 0 else -inf, hi if hi <= 0 else inf

    def vjp(self, node, adjoint):
        (reverse,) = node.attributes
        return (read_own(cumsum(tensor(adjoint, axes_of(node)), attributes=(not reverse,))),)

    def jvp(self, node, tangents):
        return read_own(cumsum(tensor(tangents[0], axes_of(node)), attributes=node.attributes))

    def numpy(self, attributes, a):
        return np.flip(np.cumsum(np.flip(a, -1), axis=-1), -1) if attributes[0] else np.cumsum(a, axis=-1)

    mpmath = numpy


cumsum = _CumSum

