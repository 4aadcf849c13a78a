"""Products that sum over axes: `@`, dot, outer, einsum, trace, kron."""

from __future__ import annotations

from typing import Any

from symvi.array.expression import Axis, Expr, as_expr, axes_for, from_term, mistake, on_axes, shape_text
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.printing import text

__all__ = ["matmul", "dot", "outer", "inner", "einsum", "trace", "kron", "vdot", "tensordot"]


def _clash(operation: str, a: Expr, b: Expr, left: Dim, right: Dim) -> Exception:
    return mistake(
        f"{operation}: the dims {left} and {right} do not fit together in {text(a)} with dims {shape_text(a.shape)} "
        f"and {text(b)} with dims {shape_text(b.shape)}"
    )


def matmul(a: Any, b: Any) -> Expr:
    """NumPy's matrix product; leading axes broadcast."""
    a, b = as_expr(a), as_expr(b)
    if not a.ndim or not b.ndim:
        raise mistake(f"`@` needs at least one axis on both sides: {text(a)} has dims {shape_text(a.shape)}, {text(b)} has {shape_text(b.shape)}")
    left = a.shape[-1]
    right = b.shape[-2] if b.ndim > 1 else b.shape[-1]
    if left != right:
        raise _clash("`@`", a, b, left, right)
    batch = _broadcast_shapes(a, b)
    tail = ([a.shape[-2]] if a.ndim > 1 else []) + ([b.shape[-1]] if b.ndim > 1 else [])
    axes = axes_for([*batch, *tail])
    rows = axes[len(batch) : len(batch) + (a.ndim > 1)]
    columns = axes[len(axes) - (b.ndim > 1) :] if b.ndim > 1 else ()
    inner = None if left == 1 else _free_label(left, axes)
    term_a = on_axes(a, [*axes[len(batch) - max(a.ndim - 2, 0) : len(batch)], *rows, inner])
    term_b = on_axes(b, [*axes[len(batch) - max(b.ndim - 2, 0) : len(batch)], inner, *columns])
    term = build.contract([inner] if inner is not None else [], [(term_a, 1), (term_b, 1)])
    return Expr(term, axes)


def _free_label(dim: Dim, axes) -> Label:
    number = sum(1 for axis in axes if axis is not None and axis.dim == dim)
    return Label(dim, number)


def _broadcast_shapes(a: Expr, b: Expr) -> list[Dim]:
    left, right = list(a.shape[:-2]), list(b.shape[:-2])
    rank = max(len(left), len(right))
    left = [Dim(1)] * (rank - len(left)) + left
    right = [Dim(1)] * (rank - len(right)) + right
    result = []
    for x, y in zip(left, right, strict=True):
        if x != y and x != 1 and y != 1:
            raise _clash("`@` (leading axes)", a, b, x, y)
        result.append(y if x == 1 else x)
    return result


def dot(a: Any, b: Any) -> Expr:
    """NumPy's dot for at most two axes."""
    a, b = as_expr(a), as_expr(b)
    return a * b if not a.ndim or not b.ndim else matmul(a, b)


def inner(a: Any, b: Any) -> Expr:
    """Sum of products over the last axes."""
    a, b = as_expr(a), as_expr(b)
    if a.ndim == b.ndim == 1:
        return matmul(a, b)
    letters = "abcdefgh"
    la, lb = letters[: a.ndim - 1], letters[a.ndim - 1 : a.ndim + b.ndim - 2]
    return einsum(f"{la}z,{lb}z->{la}{lb}", a, b)


def vdot(a: Any, b: Any) -> Expr:
    """Sum of the elementwise product."""
    a, b = as_expr(a), as_expr(b)
    return (a * b).sum()


def outer(a: Any, b: Any) -> Expr:
    """All products of the entries of two vectors."""
    a, b = as_expr(a), as_expr(b)
    if a.ndim != 1 or b.ndim != 1:
        raise mistake(f"outer takes two vectors, not dims {shape_text(a.shape)} and {shape_text(b.shape)}")
    return einsum("a,b->ab", a, b)


def tensordot(a: Any, b: Any, axes: int = 2) -> Expr:
    """Sum over the last `axes` axes of a and the first of b."""
    a, b = as_expr(a), as_expr(b)
    letters = "abcdefghijklmnop"
    la = letters[: a.ndim]
    lb = la[a.ndim - axes :] + letters[a.ndim : a.ndim + b.ndim - axes]
    return einsum(f"{la},{lb}->{la[: a.ndim - axes]}{lb[axes:]}", a, b)


def einsum(subscripts: str, *operands: Any) -> Expr:
    """Einstein summation with NumPy's subscripts, `...` included."""
    expressions = [as_expr(operand) for operand in operands]
    inputs, output = _parse(subscripts, expressions)
    extents: dict[str, Dim] = {}
    for letters, expression in zip(inputs, expressions, strict=True):
        for letter, dim in zip(letters, expression.shape, strict=True):
            known = extents.get(letter)
            if known is not None and known != dim and dim != 1 and known != 1:
                raise mistake(f"einsum {subscripts!r}: the letter {letter} stands for the dims {known} and {dim}")
            if known is None or known == 1:
                extents[letter] = dim
    axes = axes_for([extents[letter] for letter in output])
    labels: dict[str, Axis] = dict(zip(output, axes, strict=True))
    used = {axis for axis in axes if axis is not None}
    bound = []
    for letter in dict.fromkeys("".join(inputs)):
        if letter not in labels:
            label = _unused(extents[letter], used) if extents[letter] != 1 else None
            labels[letter] = label
            if label is not None:
                used.add(label)
                bound.append(label)
    factors = []
    for letters, expression in zip(inputs, expressions, strict=True):
        factors.append((on_axes(expression, [labels[letter] if dim != 1 else None for letter, dim in zip(letters, expression.shape, strict=True)]), 1))
    return Expr(build.contract(bound, factors), axes)


def _unused(dim: Dim, used: set[Label]) -> Label:
    number = 0
    while Label(dim, number) in used:
        number += 1
    return Label(dim, number)


def _parse(subscripts: str, operands: list[Expr]) -> tuple[list[str], str]:
    subscripts = subscripts.replace(" ", "")
    left, arrow, output = subscripts.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise mistake(f"einsum {subscripts!r} names {len(inputs)} operands, but {len(operands)} are given", ExpressionError)
    spare = [chr(code) for code in range(0x3B1, 0x3C9)]
    widest = 0
    for letters, operand in zip(inputs, operands, strict=True):
        if "..." in letters:
            widest = max(widest, operand.ndim - len(letters) + 3)
    for position, (letters, operand) in enumerate(zip(inputs, operands, strict=True)):
        if "..." in letters:
            count = operand.ndim - len(letters) + 3
            inputs[position] = letters.replace("...", "".join(spare[widest - count : widest]))
        if len(inputs[position]) != operand.ndim:
            raise mistake(f"einsum {subscripts!r}: {letters!r} does not fit the dims {shape_text(operand.shape)} of {text(operand)}")
    if arrow:
        return inputs, output.replace("...", "".join(spare[:widest]))
    joined = "".join(inputs)
    return inputs, "".join(spare[:widest]) + "".join(sorted(letter for letter in set(joined) if joined.count(letter) == 1 and letter not in spare))


def trace(a: Any) -> Expr:
    """Sum of the diagonal of the last two axes."""
    a = as_expr(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise mistake(f"trace takes square matrices, not dims {shape_text(a.shape)}")
    label = a.axes[-2]
    term = build.rename(a.term, {a.axes[-1]: label}) if label is not None else a.term
    return from_term(build.contract([label] if label is not None else [], [(term, 1)]), a.axes[:-2])


def kron(a: Any, b: Any) -> Expr:
    """Kronecker product of two matrices or vectors."""
    from symvi.array.indexing import reshape

    a, b = as_expr(a), as_expr(b)
    if a.ndim != b.ndim or a.ndim not in (1, 2):
        raise mistake(f"kron takes two matrices or two vectors, not dims {shape_text(a.shape)} and {shape_text(b.shape)}")
    if a.ndim == 1:
        return reshape(einsum("a,b->ab", a, b), a.shape[0] * b.shape[0])
    return reshape(einsum("ab,cd->acbd", a, b), a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])


Expr.__matmul__ = matmul
Expr.__rmatmul__ = lambda self, other: matmul(other, self)
Expr.dot = dot
Expr.trace = trace
