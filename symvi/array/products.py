"""Products that sum over axes: `@`, dot, outer, einsum, trace, kron."""

from __future__ import annotations

from typing import Any

from symvi.array.axes import expand_dims, one_axis, ravel, reshape
from symvi.array.expression import Axis, Expr, array_of, as_expr, axes_for, from_term, joint_dim, mistake, on_axes, shape_text
from symvi.atoms import structured
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.printing import text

__all__ = ["matmul", "dot", "outer", "inner", "einsum", "trace", "kron", "vdot", "tensordot"]


def _clash(operation: str, a: Expr, b: Expr, left: Dim, right: Dim) -> Exception:
    return mistake(
        f"{operation}: the dims {left} and {right} do not fit together in {text(a)} with dims {shape_text(a.shape)} "
        f"and {text(b)} with dims {shape_text(b.shape)}{_mend(operation, a, b)}"
    )


def _mend(operation: str, a: Expr, b: Expr) -> str:
    """Which transpose would make a product fit, if one does."""
    if operation != "`@`" or a.ndim > 2 or b.ndim > 2:
        return ""
    names = [e.name or f"({text(e, 30)})" for e in (a, b)]
    first, last = a.shape, b.shape
    if a.ndim == 1 and joint_dim(first[0], last[-1]) is not None:
        return f"; did you mean {names[1]} @ {names[0]}?"
    if b.ndim == 2 and joint_dim(first[-1], last[-1]) is not None:
        return f"; did you mean {names[0]} @ {names[1]}.T?"
    if a.ndim == 2 and joint_dim(first[0], last[0]) is not None:
        return f"; did you mean {names[0]}.T @ {names[1]}?"
    return "; the last axis on the left and the first of a matrix on the right have the same dim"


def matmul(a: Any, b: Any) -> Expr:
    """NumPy's matrix product; leading axes broadcast."""
    a, b = as_expr(a), as_expr(b)
    if not a.ndim or not b.ndim:
        raise mistake(
            f"`@` needs at least one axis on both sides: {text(a)} has dims {shape_text(a.shape)}, {text(b)} has {shape_text(b.shape)}"
        )
    left = a.shape[-1]
    right = b.shape[-2] if b.ndim > 1 else b.shape[-1]
    joint = joint_dim(left, right)
    if joint is None:
        raise _clash("`@`", a, b, left, right)
    batch = _broadcast_shapes(a, b)
    tail = ([a.shape[-2]] if a.ndim > 1 else []) + ([b.shape[-1]] if b.ndim > 1 else [])
    axes = axes_for([*batch, *tail])
    rows = axes[len(batch) : len(batch) + (a.ndim > 1)]
    columns = axes[len(axes) - (b.ndim > 1) :] if b.ndim > 1 else ()
    inner = None if joint == 1 else _free_label(joint, axes)
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
        joint = y if x == 1 else x if y == 1 else joint_dim(x, y)
        if joint is None:
            raise _clash("`@` (leading axes)", a, b, x, y)
        result.append(joint)
    return result


def dot(a: Any, b: Any) -> Expr:
    """NumPy's dot: the last axis of a with the last but one of b (the only one of a vector)."""
    a, b = as_expr(a), as_expr(b)
    if not a.ndim or not b.ndim:
        return a * b
    return matmul(a, b) if b.ndim <= 2 else tensordot(a, b, (-1, -2))


def inner(a: Any, b: Any) -> Expr:
    """Sum of products over the last axes."""
    a, b = as_expr(a), as_expr(b)
    return a * b if not a.ndim or not b.ndim else tensordot(a, b, (-1, -1))


def vdot(a: Any, b: Any) -> Expr:
    """Sum of the products of all entries, in order."""
    return matmul(ravel(a), ravel(b))


def outer(a: Any, b: Any) -> Expr:
    """All products of the entries of two vectors; arrays are flattened as in NumPy."""
    return tensordot(ravel(a), ravel(b), 0)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Expr:
    """Sum of products over the last `axes` axes of a and the first of b, or over a pair of (lists of) axes."""
    a, b = as_expr(a), as_expr(b)
    if hasattr(axes, "__index__"):
        count = int(axes)
        if not 0 <= count <= min(a.ndim, b.ndim):
            raise mistake(
                f"tensordot: {text(a)} with dims {shape_text(a.shape)} and {text(b)} with dims {shape_text(b.shape)} "
                f"have no {count} axes to sum"
            )
        left, right = list(range(a.ndim - count, a.ndim)), list(range(count))
    else:
        left, right = (
            [one_axis(x, k, "tensordot") for k in (side if isinstance(side, (list, tuple)) else [side])]
            for x, side in zip((a, b), axes, strict=True)
        )
    letters = [chr(code) for code in range(0x61, 0x61 + a.ndim + b.ndim)]
    own, other = letters[: a.ndim], letters[a.ndim :]
    for k, l in zip(left, right, strict=True):
        if joint_dim(a.shape[k], b.shape[l]) is None:
            raise _clash("tensordot", a, b, a.shape[k], b.shape[l])
        other[l] = own[k]
    kept = [letter for k, letter in enumerate(own) if k not in left] + [letter for k, letter in enumerate(other) if k not in right]
    return einsum(f"{''.join(own)},{''.join(other)}->{''.join(kept)}", a, b)


def einsum(subscripts: str, *operands: Any) -> Expr:
    """Einstein summation with NumPy's subscripts, `...` included."""
    expressions = [as_expr(operand) for operand in operands]
    inputs, output = _parse(subscripts, expressions)
    extents: dict[str, Dim] = {}
    for letters, expression in zip(inputs, expressions, strict=True):
        for letter, dim in zip(letters, expression.shape, strict=True):
            known = extents.get(letter, dim)
            joint = dim if known == 1 else known if dim == 1 else joint_dim(known, dim)
            if joint is None:
                described = " and ".join(f"{text(e)} with dims {shape_text(e.shape)}" for e in expressions)
                raise mistake(f"einsum {subscripts!r}: the letter {letter} stands for the dims {known} and {dim} in {described}")
            extents[letter] = joint
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
        factors.append(
            (on_axes(expression, [labels[letter] if dim != 1 else None for letter, dim in zip(letters, expression.shape, strict=True)]), 1)
        )
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
    odd = sorted({c for c in subscripts.replace("...", "").replace("->", "") if not (c == "," or (c.isascii() and c.isalpha()))})
    if odd:
        raise mistake(f"einsum {subscripts!r}: subscripts are letters, commas, -> and ..., not {' '.join(odd)}", ExpressionError)
    unknown = [c for c in output.replace("...", "") if c not in left]
    if unknown or len(set(output.replace("...", ""))) != len(output.replace("...", "")):
        raise mistake(f"einsum {subscripts!r}: the output names each letter of the inputs at most once", ExpressionError)
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
    return inputs, "".join(spare[:widest]) + "".join(
        sorted(letter for letter in set(joined) if joined.count(letter) == 1 and letter not in spare)
    )


def trace(a: Any) -> Expr:
    """Sum of the diagonal of the last two axes."""
    a = as_expr(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise mistake(f"trace takes square matrices, not dims {shape_text(a.shape)}")
    label = a.axes[-2]
    term = build.rename(a.term, {a.axes[-1]: label}) if label is not None else a.term
    return from_term(build.contract([label] if label is not None else [], [(term, 1)]), a.axes[:-2])


def kron(a: Any, b: Any) -> Expr:
    """Kronecker product; the one with fewer axes gets leading axes of extent 1."""
    a, b = as_expr(a), as_expr(b)
    rank = max(a.ndim, b.ndim)
    if rank == 2 == min(a.ndim, b.ndim) and None not in (*a.axes, *b.axes) and a.kind == b.kind == "f":
        axes = axes_for([m * n for m, n in zip(a.shape, b.shape, strict=True)])
        return Expr(build.read(structured.kron(array_of(a), array_of(b)), axes), axes)
    a, b = (expand_dims(x, tuple(range(rank - x.ndim))) for x in (a, b))
    apart = expand_dims(a, tuple(range(1, 2 * rank, 2))) * expand_dims(b, tuple(range(0, 2 * rank, 2)))
    return reshape(apart, [m * n for m, n in zip(a.shape, b.shape, strict=True)])


Expr.__matmul__ = matmul
Expr.__rmatmul__ = lambda self, other: matmul(other, self)
Expr.dot = dot
Expr.trace = trace
