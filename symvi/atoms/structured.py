"""Matrices that are made of smaller ones and keep them: Kronecker products and block diagonal matrices.

As atoms they show rules their parts; what no rule takes apart is opened into entries or filled by a helper call.
"""

from __future__ import annotations

import numpy as np

from symvi.atoms.array_atom import ArrayAtom, axes_of, register
from symvi.atoms.elementwise import floor_divide, remainder
from symvi.expr.build import constant, contract, iota, read, read_own, rename, size, tensor, zero
from symvi.expr.dims import Dim
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.nodes import Array, Operator, Term

__all__ = ["kron", "block_diagonal", "joint", "parts_of", "kron_entry", "offsets"]

INHERITED = ("symmetric", "psd", "spd", "lower", "upper", "diagonal", "orthogonal", "positive_diagonal")


def _shared_facts(node: Operator) -> set[str]:
    """What holds for every part holds for the whole."""
    return set.intersection(*(set(matrix_facts(child)) for child in node.children)) & set(INHERITED)


def joint(outer: Label | Term, inner: Label | Term, extent: Dim) -> Term:
    """outer * extent + inner: the index of a pair in row-major order."""
    outer, inner = (iota(index) if isinstance(index, Label) else index for index in (outer, inner))
    return outer * size(extent) + inner


def parts_of(index: Label | Term, extent: Dim) -> tuple[Term, Term]:
    """The pair behind a row-major index: quotient and remainder by the extent of the inner one."""
    index = iota(index) if isinstance(index, Label) else index
    return floor_divide(index, size(extent)), remainder(index, size(extent))


def kron_entry(node: Operator, indices: tuple) -> Term:
    """(A ⊗ B)[I, J] = A[I // n, J // q] B[I % n, J % q]."""
    left, right = node.children
    batch, row, column = indices[:-2], *indices[-2:]
    n, q = right.shape[-2:]
    (i, k), (j, l) = parts_of(row, n), parts_of(column, q)
    return read(left, (*batch, i, j)) * read(right, (*batch, k, l))


@register
class _Kron(ArrayAtom):
    """The Kronecker product A ⊗ B of stacks of matrices."""

    name = "kron"
    latex = r"{0} \otimes {1}"

    def shape(self, arguments, attributes):
        (*batch, m, p), (*_, n, q) = (a.shape for a in arguments)
        return (*batch, m * n, p * q)

    def facts(self, node):
        return _shared_facts(node) if all(child.shape[-1] == child.shape[-2] for child in node.children) else set()

    def vjp(self, node, adjoint):
        left, right = node.children
        batch, (row, column) = axes_of(node)[:-2], axes_of(node)[-2:]
        n, q = right.shape[-2:]
        axes = canonical_axes((*left.shape, n, q))
        i, j, k, l = axes[-4:]
        opened = rename(adjoint, {row: joint(i, k, n), column: joint(j, l, q)})
        of_left = contract([k, l], [(opened, 1), (read(right, (*batch, k, l)), 1)])
        of_right = contract([i, j], [(opened, 1), (read(left, (*batch, i, j)), 1)])
        return of_left, rename(of_right, {k: axes_of(right)[-2], l: axes_of(right)[-1]})

    def jvp(self, node, tangents):
        total = constant(0.0)
        for position, tangent in enumerate(tangents):
            if tangent is not None:
                parts = list(node.children)
                parts[position] = tensor(tangent, axes_of(parts[position]))
                total = total + read_own(kron(*parts))
        return total

    def numpy(self, attributes, a, b):
        product = a[..., :, None, :, None] * b[..., None, :, None, :]
        return product.reshape(*a.shape[:-2], a.shape[-2] * b.shape[-2], a.shape[-1] * b.shape[-1])

    mpmath = numpy


kron = _Kron


def offsets(node: Operator) -> list[tuple[Array, Term]]:
    """The blocks of a block diagonal matrix with the index of the first row of each."""
    found, offset = [], zero
    for block in node.children:
        found.append((block, offset))
        offset = offset + size(block.shape[-1])
    return found


@register
class _BlockDiagonal(ArrayAtom):
    """Square matrices along the diagonal, zeros elsewhere."""

    name = "block_diagonal"
    latex = r"\mathrm{{diag}}({0})"

    def shape(self, arguments, attributes):
        order = sum((a.shape[-1] for a in arguments[1:]), arguments[0].shape[-1])
        return (*arguments[0].shape[:-2], order, order)

    def simplify(self, arguments, attributes):
        return arguments[0] if len(arguments) == 1 else None

    def facts(self, node):
        return _shared_facts(node)

    def vjp(self, node, adjoint):
        whole, adjoints = tensor(adjoint, axes_of(node)), []
        for block, offset in offsets(node):
            *batch, i, j = axes_of(block)
            adjoints.append(read(whole, (*batch, iota(i) + offset, iota(j) + offset)))
        return tuple(adjoints)

    def jvp(self, node, tangents):
        parts = [tensor(constant(0.0) if t is None else t, axes_of(block)) for t, block in zip(tangents, node.children, strict=True)]
        return read_own(block_diagonal(*parts))

    def numpy(self, attributes, *blocks):
        order = sum(block.shape[-1] for block in blocks)
        out = np.zeros((*blocks[0].shape[:-2], order, order), dtype=np.result_type(*blocks))
        start = 0
        for block in blocks:
            stop = start + block.shape[-1]
            out[..., start:stop, start:stop] = block
            start = stop
        return out

    mpmath = numpy


block_diagonal = _BlockDiagonal
