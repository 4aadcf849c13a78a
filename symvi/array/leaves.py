"""The leaves that users declare: data, param, noise, shared, index. New at every call; names are labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from symvi.array.expression import Expr, dims_of, leaf_expr, mistake
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
    return IndexOf(dim)


def _named(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise mistake(f"a leaf needs a name, not {name!r}", ExpressionError)
    return name


def data(name: str, *shape: Dim | int, dtype: Any = float) -> Expr:
    """An input array. `dtype` is float, int, bool or `sv.index(J)`."""
    attributes = {}
    if isinstance(dtype, IndexOf):
        attributes["index_of"], kind = dtype.dim, "i"
    else:
        kind = {float: "f", int: "i", bool: "b"}.get(dtype)
        if kind is None:
            raise mistake(f"dtype of data {name!r} is float, int, bool or sv.index(dim), not {dtype!r}", ExpressionError)
    return leaf_expr(Leaf("data", _named(name), dims_of(shape), kind, **attributes))


def param(name: str, *shape: Dim | int, init: Any = None, support: Any = None) -> Expr:
    """A free parameter, in the user's space. `support` restricts it (`sv.positive`, `sv.simplex`, `sv.lower_cholesky`, ...).

    `init` is a number, an array or an initialiser of `sv.init`; a matrix parameter needs one.
    """
    dims = dims_of(shape)
    if init is None:
        if len(dims) > 1 and not getattr(support, "has_default", False):
            raise mistake(f"the matrix parameter {name!r} needs init= (a number, an array, or sv.init.normal(0.1), glorot(), ...)", ExpressionError)
        init = getattr(support, "default", 0.0)
    if isinstance(init, (list, tuple)):
        init = np.asarray(init, dtype=float)
    if isinstance(init, np.ndarray) and init.ndim != len(dims):
        raise mistake(f"init of the parameter {name!r} has {init.ndim} axes, the parameter has {len(dims)}", ShapeError)
    if support is not None and isinstance(init, (int, float, np.ndarray)) and not support.contains(np.asarray(init, dtype=float)):
        raise mistake(f"init of the parameter {name!r} lies outside its support {support}", SupportError)
    return leaf_expr(Leaf("param", _named(name), dims, "f", init=init, support=support))


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
        array = np.asarray(value, dtype=leaf.attributes["value"].dtype)
        if array.shape != leaf.attributes["value"].shape:
            raise DataError(f"the shared variable {leaf.name} has shape {leaf.attributes['value'].shape}, the new value {array.shape}")
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
