"""`sv.linalg`: textbook linear algebra on the last two axes; leading axes are batches and broadcast."""

from __future__ import annotations

from typing import Any

from symvi.array.expression import Axis, Expr, as_expr, axes_for, mistake, shape_text
from symvi.array.functions import sign
from symvi.array.indexing import diag
from symvi.array.products import kron, trace
from symvi.atoms import linear_algebra as atoms
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.facts import MATRIX_FACTS, assert_fact
from symvi.expr.labels import Label
from symvi.expr.nodes import Array
from symvi.expr.printing import text

__all__ = ["inv", "det", "slogdet", "logdet", "cholesky", "solve", "solve_triangular", "trace", "diag", "kron", "quad", "assume"]


def _square(a: Any, operation: str) -> Expr:
    a = as_expr(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise mistake(f"{operation} takes square matrices, {text(a)} has dims {shape_text(a.shape)}")
    return a


def _array(a: Expr, batch: tuple[Axis, ...], core: int) -> Array:
    """The expression as an array over `batch` and its own last `core` axes; an extent of 1 becomes a dim of size 1."""
    shape = [Dim(1) if axis is None else axis.dim for axis in batch] + list(a.shape[a.ndim - core :])
    seen: dict[Dim, int] = {}
    labels = []
    for dim in shape:
        labels.append(Label(dim, seen.get(dim, 0)))
        seen[dim] = seen.get(dim, 0) + 1
    own = labels[len(labels) - a.ndim :]
    mapping = {old: new for old, new in zip(a.axes, own, strict=True) if old is not None}
    return build.tensor(build.rename(a.term, mapping), labels)


def _batch(a: Expr, core_a: int, b: Expr | None = None, core_b: int = 0) -> tuple[Axis, ...]:
    left = a.shape[: a.ndim - core_a]
    right = b.shape[: b.ndim - core_b] if b is not None else ()
    rank = max(len(left), len(right))
    shape = []
    for position in range(-rank, 0):
        extents = {s[position] for s in (left, right) if -position <= len(s)} - {Dim(1)}
        if len(extents) > 1:
            raise mistake(f"the batch axes {shape_text(left)} and {shape_text(right)} do not fit together")
        if extents:
            shape.append(extents.pop())
    return tuple(Label(dim, 0) for dim in shape)


def _expr(array: Array, shape: tuple[Dim, ...]) -> Expr:
    """The result as an expression; dims of size 1 inside become axes without labels."""
    axes = axes_for(shape)
    canonical = []
    position = 0
    for dim in array.shape:
        while position < len(shape) and shape[position] != dim:
            position += 1
        canonical.append(axes[position] if axes[position] is not None else build.constant(0))
        position += 1
    return Expr(build.read(array, canonical), axes, shape)


def inv(a: Any) -> Expr:
    """The inverse. Products with it become solves; by Cholesky where `a` is known to be positive definite."""
    a = _square(a, "inv")
    return _expr(atoms.inverse(_array(a, _batch(a, 2), 2)), a.shape)


def det(a: Any) -> Expr:
    """The determinant; `log(det(a))` is computed as logdet."""
    a = _square(a, "det")
    return _expr(atoms.det(_array(a, _batch(a, 2), 2)), a.shape[:-2])


def logdet(a: Any) -> Expr:
    """log |det a|."""
    a = _square(a, "logdet")
    return _expr(atoms.logdet(_array(a, _batch(a, 2), 2)), a.shape[:-2])


def slogdet(a: Any) -> tuple[Expr, Expr]:
    """(sign, log |det|) as in NumPy."""
    return sign(det(a)), logdet(a)


def cholesky(a: Any) -> Expr:
    """The lower triangular L with L L' = a, for positive definite a."""
    a = _square(a, "cholesky")
    return _expr(atoms.cholesky(_array(a, _batch(a, 2), 2)), a.shape)


def _solve(atom, operation: str, a: Any, b: Any, transposed: bool) -> Expr:
    a, b = _square(a, operation), as_expr(b)
    vector = b.ndim == 1
    rows = b.shape[-1] if vector else b.shape[-2]
    if rows != a.shape[-1]:
        raise mistake(f"{operation}: {text(a)} with dims {shape_text(a.shape)} does not fit {text(b)} with dims {shape_text(b.shape)}")
    core = 1 if vector else 2
    batch = _batch(a, 2, b, core)
    array = atom(_array(a, batch, 2), _array(b, batch, core), attributes=(transposed, vector))
    left, right = a.shape[:-2], b.shape[: b.ndim - core]
    lead = left if len(left) >= len(right) else right
    lead = tuple(r if l == 1 else l for l, r in zip(lead, (Dim(1),) * (len(lead) - min(len(left), len(right))) + (right if len(left) >= len(right) else left), strict=True))
    return _expr(array, (*lead, *b.shape[b.ndim - core :]))


def solve(a: Any, b: Any) -> Expr:
    """a^-1 b for a vector (last axis) or matrix b."""
    return _solve(atoms.solve, "solve", a, b, False)


def solve_triangular(a: Any, b: Any, trans: int | str = 0, lower: bool = True) -> Expr:
    """a^-1 b (or a^-T b with trans=1 or "T") for triangular a."""
    transposed = trans in (1, "T", True)
    if not lower:
        return _solve(atoms.solve_triangular, "solve_triangular", as_expr(a).mT, b, not transposed)
    return _solve(atoms.solve_triangular, "solve_triangular", a, b, transposed)


def quad(a: Any, x: Any) -> Expr:
    """The quadratic form x' a x over the last axis of x."""
    a, x = _square(a, "quad"), as_expr(x)
    if x.shape[-1] != a.shape[-1]:
        raise mistake(f"quad: {text(a)} with dims {shape_text(a.shape)} does not fit {text(x)} with dims {shape_text(x.shape)}")
    return ((x @ a) * x).sum(axis=-1) if a.ndim == 2 else (x[..., None, :] @ a @ x[..., :, None])[..., 0, 0]


class Fact(str):
    """A fact that `sv.assume` states."""

    __slots__ = ()


spd, psd, symmetric, lower, diagonal = (Fact(name) for name in ("spd", "psd", "symmetric", "lower", "diagonal"))
positive_value, nonnegative_value = Fact("positive"), Fact("nonnegative")


def assume(a: Any, *facts: Any) -> Expr:
    """State facts that cannot be derived: `sv.assume(K, sv.spd)`. Returns the same expression; `check=True` tests them."""
    a = as_expr(a)
    for fact in facts:
        name = getattr(fact, "fact_name", fact)
        if name in MATRIX_FACTS:
            _square(a, f"assume {name}")
            assert_fact(_array(a, _batch(a, 2), 2), name)
        elif name in ("positive", "nonnegative"):
            assert_fact(a.term, name)
        else:
            raise mistake(f"assume knows the facts {', '.join((*MATRIX_FACTS, 'positive', 'nonnegative'))}, not {name!r}", ExpressionError)
    return a


