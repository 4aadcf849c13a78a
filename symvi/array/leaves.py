"""The leaves that users declare: data, param, noise, shared, index. New at every call; names are labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from symvi.array.expression import Expr, dims_of, leaf_expr, mistake, shape_text
from symvi.errors import DataError, ExpressionError, ShapeError, SupportError
from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf

__all__ = ["data", "param", "noise", "shared", "index", "IndexOf", "Shared", "NOISE_KINDS"]

NOISE_KINDS = ("normal", "uniform", "exponential", "rademacher")


class IndexOf(NamedTuple):
    """The dtype of integers that index a dim."""

    dim: Dim


def index(dim: Dim) -> IndexOf:
    """`sv.data("g", N, dtype=sv.index(J))`: rows of N belong to elements of J; values are checked to lie in 0..J-1."""
    if not isinstance(dim, Dim):
        raise mistake(f"sv.index takes the dim whose elements are numbered, not {dim!r}", ExpressionError)
    return IndexOf(dim)


def _named(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise mistake(f"a leaf needs a name, not {name!r}", ExpressionError)
    return name


def _kind_of(dtype: Any) -> str | None:
    """f, i or b for Python's and NumPy's types; widths belong to the compiler (`dtype=` of function, compile and fit)."""
    try:
        kind = np.dtype(dtype).kind if dtype is not None else None
    except TypeError:
        return None
    return {"f": "f", "i": "i", "u": "i", "b": "b"}.get(kind)


def data(name: str, *shape: Dim | int, dtype: Any = float) -> Expr:
    """An input array. `dtype` is float, int, bool or `sv.index(J)`."""
    attributes = {}
    if isinstance(dtype, IndexOf):
        attributes["index_of"], kind = dtype.dim, "i"
    else:
        kind = _kind_of(dtype)
        if kind is None:
            meant = "; sv.index(dim) says that the values number the elements of a dim" if isinstance(dtype, Dim) else ""
            raise mistake(f"dtype of data {name!r} is float, int, bool or sv.index(dim), not {dtype!r}{meant}", ExpressionError)
    return leaf_expr(Leaf("data", _named(name), dims_of(shape), kind, **attributes))


def param(name: str, *shape: Dim | int, init: Any = None, support: Any = None) -> Expr:
    """A free parameter, in the user's space. `support` restricts it (`sv.positive`, `sv.simplex`, `sv.lower_cholesky`, ...).

    `init` is a number, an array or an initialiser of `sv.init`; a matrix parameter needs one.
    """
    dims = dims_of(shape)
    if init is None:
        if len(dims) > 1 and not getattr(support, "has_default", False):
            raise mistake(
                f"the matrix parameter {name!r} needs init= (a number, an array, or sv.init.normal(0.1), sv.init.glorot(), ...)",
                ExpressionError,
            )
        init = getattr(support, "default", 0.0)
    if init is not None and not callable(init):
        init = _starting_array(name, dims, init, support)
    return leaf_expr(Leaf("param", _named(name), dims, "f", init=init, support=support))


def _starting_array(name: str, dims: tuple[Dim, ...], init: Any, support: Any) -> float | np.ndarray:
    """`init` as a number or a float array that fits the dims and the support."""
    if isinstance(init, Expr):
        raise mistake(
            f"init of the parameter {name!r} is a number, an array or an initialiser of sv.init, not the expression {init!r}",
            ExpressionError,
        )
    try:
        array = np.array(init, dtype=np.float64)
    except (TypeError, ValueError):
        raise mistake(
            f"init of the parameter {name!r} is a number, an array or an initialiser of sv.init, not {init!r}", ExpressionError
        ) from None
    if array.ndim and array.ndim != len(dims):
        raise mistake(f"init of the parameter {name!r} has {array.ndim} axes, the parameter has the dims {shape_text(dims)}", ShapeError)
    for axis, (dim, extent) in enumerate(zip(dims, array.shape)):
        if dim.value is not None and dim.value != extent:
            raise mistake(
                f"init of the parameter {name!r} has {extent} entries on axis {axis}, the dim {dim} there has the size {dim.value}",
                ShapeError,
            )
    if not np.isfinite(array).all():
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise mistake(
            f"init of the parameter {name!r} is {array[place]}{f' at index {list(place)}' if place else ''}; it starts at finite values",
            DataError,
        )
    if support is not None and not (array.ndim == 0 and support.event_rank) and not support.contains(array):
        index = support.first_violation(array)
        value = array[index] if array.ndim else array.item()
        at = f" (at index {list(index)})" if index else ""
        raise mistake(
            f"init of the parameter {name!r} lies outside its support: {value}{at} where {support} takes {support.requirement}",
            SupportError,
        )
    return array if array.ndim else array.item()


def noise(name: str, *shape: Dim | int, kind: str = "normal") -> Expr:
    """Standard noise, fresh at every step: normal, uniform on (0, 1), exponential, or rademacher (±1)."""
    if kind not in NOISE_KINDS:
        raise mistake(f"the kind of noise {name!r} is one of {', '.join(NOISE_KINDS)}, not {kind!r}", ExpressionError)
    return leaf_expr(Leaf("noise", _named(name), dims_of(shape), "f", noise_kind=kind))


class Shared(Expr):
    """An expression whose value is kept between calls: the only leaf whose value can change."""

    __slots__ = ()

    def get_value(self) -> np.ndarray:
        """A copy of the present value."""
        return np.array(self.leaf.attributes["value"])

    def set_value(self, value: Any) -> None:
        """Replace the value; the shape stays."""
        leaf = self.leaf
        try:
            array = np.asarray(value, dtype=leaf.attributes["value"].dtype)
        except (TypeError, ValueError):
            raise mistake(f"the shared variable {leaf.name} takes numbers, not {value!r}", DataError) from None
        if array.shape != leaf.attributes["value"].shape:
            raise mistake(
                f"the shared variable {leaf.name} has shape {leaf.attributes['value'].shape}, the new value {array.shape}", DataError
            )
        leaf.attributes["value"] = np.ascontiguousarray(array).copy().reshape(array.shape)


def shared(value: Any, name: str = "shared") -> Shared:
    """State that functions read and update: `get_value()`, `set_value()`, `updates={w: w - 0.1 * g}`."""
    array = np.array(value)
    if array.dtype.kind not in "fiub":
        raise mistake(f"a shared variable holds numbers, not dtype {array.dtype}", DataError)
    kind = {"u": "i"}.get(array.dtype.kind, array.dtype.kind)
    array = array.astype({"f": np.float64, "i": np.int64, "b": np.bool_}[kind])
    leaf = Leaf("shared", _named(name), tuple(Dim(n) for n in array.shape), kind, value=array)
    expression = leaf_expr(leaf)
    result = Shared(expression.term, expression.axes, expression.shape)
    leaf.attributes["expression"] = result
    return result
