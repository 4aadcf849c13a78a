"""`sv.linalg`: textbook linear algebra on the last two axes; leading axes are batches and broadcast."""

from __future__ import annotations

from typing import Any

from symvi.array.assumptions import assume
from symvi.array.axes import broadcast_to
from symvi.array.expression import Expr, as_expr, axes_for, joint_dim, mistake, shape_text
from symvi.array.matrices import diag, diagonal
from symvi.array.products import einsum, trace
from symvi.array.products import kron as kron_of_arrays
from symvi.atoms import linear_algebra as atoms
from symvi.atoms import structured
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.labels import canonical_axes
from symvi.expr.nodes import Array
from symvi.expr.printing import text

__all__ = [
    "inv", "det", "slogdet", "logdet", "cholesky", "solve", "solve_triangular", "trace", "diag", "diagonal", "kron", "block_diag", "quad",
]  # fmt: skip


def _square(a: Any, operation: str) -> Expr:
    a = as_expr(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise mistake(f"{operation} takes square matrices, {text(a)} has dims {shape_text(a.shape)}")
    return a


def _batch(operation: str, *operands: tuple[Expr, int]) -> tuple[Dim, ...]:
    """The joint batch shape of (expression, number of core axes) pairs, by NumPy's broadcasting."""
    shapes = [a.shape[: a.ndim - core] for a, core in operands]
    joint = []
    for position in range(-max(len(shape) for shape in shapes), 0):
        extents = [shape[position] for shape in shapes if -position <= len(shape) and shape[position] != 1]
        dim = joint_dim(*extents) if extents else Dim(1)
        if dim is None:
            described = " and ".join(f"{text(a)} with dims {shape_text(a.shape)}" for a, _ in operands)
            raise mistake(f"{operation}: the leading dims {' and '.join(map(str, extents))} do not fit together in {described}")
        joint.append(dim)
    return tuple(joint)


def _array(a: Expr, batch: tuple[Dim, ...], core: int) -> Array:
    """The expression as an array over `batch` and its own last `core` axes. A core extent of 1 is a dim of size 1."""
    tail = a.shape[a.ndim - core :] if core else ()
    labels = canonical_axes([dim for dim in batch if dim != 1] + list(tail))
    leading = iter(labels)
    slots = [None if dim == 1 else next(leading) for dim in batch] + list(leading)
    mapping = {old: new for old, new in zip(a.axes, slots[len(slots) - a.ndim :], strict=True) if old is not None}
    return build.tensor(build.rename(a.term, mapping), labels)


def _expr(array: Array, batch: tuple[Dim, ...], tail: tuple[Dim, ...] = ()) -> Expr:
    """The result as an expression of the shape `batch` + `tail`."""
    axes = axes_for((*batch, *tail))
    indices = [axis for axis in axes[: len(batch)] if axis is not None]
    indices += [build.constant(0) if axis is None else axis for axis in axes[len(batch) :]]
    return Expr(build.read(array, indices), axes)


def _of_matrix(atom, operation: str, a: Any, core: int) -> Expr:
    """A function of one stack of square matrices; `core` counts the axes of each result."""
    a = _square(a, operation)
    batch = a.shape[:-2]
    return _expr(atom(_array(a, batch, 2)), batch, a.shape[a.ndim - core :] if core else ())


def inv(a: Any) -> Expr:
    """The inverse. Products with it become solves; by Cholesky where `a` is known to be positive definite."""
    return _of_matrix(atoms.inverse, "inv", a, 2)


def det(a: Any) -> Expr:
    """The determinant; `log(det(a))` is computed as logdet."""
    return _of_matrix(atoms.det, "det", a, 0)


def logdet(a: Any) -> Expr:
    """log |det a|."""
    return _of_matrix(atoms.logdet, "logdet", a, 0)


def slogdet(a: Any) -> tuple[Expr, Expr]:
    """(sign, log |det|) as in NumPy."""
    return _of_matrix(atoms.det_sign, "slogdet", a, 0), logdet(a)


def cholesky(a: Any) -> Expr:
    """The lower triangular L with L L' = a. That `a` is positive definite is thereby assumed."""
    a = assume(_square(a, "cholesky"), "spd")
    return _of_matrix(atoms.cholesky, "cholesky", a, 2)


def _solve(atom, operation: str, a: Any, b: Any, transposed: bool) -> Expr:
    a, b = _square(a, operation), as_expr(b)
    vector = b.ndim == 1
    core = 1 if vector else 2
    order = joint_dim(a.shape[-1], b.shape[-core]) if b.ndim else None
    if order is None:
        raise mistake(f"{operation}: {text(a)} with dims {shape_text(a.shape)} does not fit {text(b)} with dims {shape_text(b.shape)}")
    a = broadcast_to(a, (*a.shape[:-2], order, order))
    b = broadcast_to(b, (*b.shape[: b.ndim - core], order, *b.shape[b.ndim - core + 1 :]))
    batch = _batch(operation, (a, 2), (b, core))
    array = atom(_array(a, batch, 2), _array(b, batch, core), attributes=(transposed, vector))
    return _expr(array, batch, b.shape[b.ndim - core :])


def solve(a: Any, b: Any) -> Expr:
    """a^-1 b for a vector (last axis) or matrix b."""
    return _solve(atoms.solve, "solve", a, b, False)


def solve_triangular(a: Any, b: Any, trans: int | str = 0, lower: bool = True) -> Expr:
    """a^-1 b (or a^-T b with trans=1 or "T") for triangular a."""
    if trans not in (0, 1, "N", "T"):
        raise mistake(f'solve_triangular: trans is 0, 1, "N" or "T", not {trans!r}', ExpressionError)
    transposed = trans in (1, "T")
    if not lower:
        return _solve(atoms.solve_triangular, "solve_triangular", as_expr(a).mT, b, not transposed)
    return _solve(atoms.solve_triangular, "solve_triangular", a, b, transposed)


def quad(a: Any, x: Any) -> Expr:
    """The quadratic form x' a x over the last axis of x; leading axes broadcast."""
    a, x = _square(a, "quad"), as_expr(x)
    if not x.ndim or joint_dim(x.shape[-1], a.shape[-1]) is None:
        raise mistake(f"quad: {text(a)} with dims {shape_text(a.shape)} does not fit {text(x)} with dims {shape_text(x.shape)}")
    return einsum("...i,...ij,...j->...", x, a, x)


def kron(a: Any, b: Any) -> Expr:
    """Kronecker products of the matrices in the last two axes; leading axes broadcast (`sv.kron` pairs all axes, as NumPy does)."""
    a, b = as_expr(a), as_expr(b)
    if min(a.ndim, b.ndim) < 2:
        return kron_of_arrays(a, b)
    batch = _batch("kron", (a, 2), (b, 2))
    shape = tuple(m * n for m, n in zip(a.shape[-2:], b.shape[-2:], strict=True))
    return _expr(structured.kron(_array(a, batch, 2), _array(b, batch, 2)), batch, shape)


def block_diag(*arrays: Any) -> Expr:
    """Square matrices along the diagonal of a larger one, zeros elsewhere; leading axes broadcast."""
    if not arrays:
        raise mistake("block_diag needs at least one matrix", ExpressionError)
    blocks = [_square(a, "block_diag") for a in arrays]
    batch = _batch("block_diag", *((block, 2) for block in blocks))
    order = sum((block.shape[-1] for block in blocks[1:]), blocks[0].shape[-1])
    return _expr(structured.block_diagonal(*(_array(block, batch, 2) for block in blocks)), batch, (order, order))
