"""NumPy's own functions on expressions: `np.exp(x)`, `np.sum(x, axis=0)`, `array @ x`, by its two protocols."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from symvi.array import axes, creation, functions, joining, linalg, matrices, operators, products, reductions  # noqa: F401 - each installs its methods
from symvi.array.expression import Expr, as_expr, mistake
from symvi.errors import ExpressionError

__all__ = ["UFUNCS", "FUNCTIONS"]

UFUNCS = {
    **{name: getattr(functions, name) for name in functions.__all__ if isinstance(getattr(np, name, None), np.ufunc)},
    "true_divide": functions.divide, "positive": lambda x: as_expr(x), "conjugate": lambda x: as_expr(x), "fabs": functions.abs,
    "float_power": functions.power, "bitwise_and": lambda x, y: as_expr(x) & y, "bitwise_or": lambda x, y: as_expr(x) | y,
    "invert": lambda x: ~as_expr(x),
    "bitwise_xor": lambda x, y: as_expr(x) ^ y, "floor_divide": lambda x, y: as_expr(x) // y,
    "remainder": lambda x, y: as_expr(x) % y, "matmul": products.matmul, "fmax": functions.maximum, "fmin": functions.minimum,
}  # fmt: skip

FUNCTIONS = {
    getattr(np, name): getattr(module, name)
    for module in (axes, creation, functions, joining, matrices, products, reductions)
    for name in module.__all__
    if callable(getattr(np, name, None)) and not isinstance(getattr(np, name), (np.ufunc, type))
}
FUNCTIONS |= {getattr(np.linalg, name): getattr(linalg, name) for name in linalg.__all__ if hasattr(np.linalg, name)}
FUNCTIONS |= {np.cumsum: lambda a, axis=None: reductions.cumsum(axes.ravel(a)) if axis is None else reductions.cumsum(a, axis)}
FUNCTIONS |= {np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size}


def _array_ufunc(self, ufunc, method, *inputs: Any, **options: Any):
    if method != "__call__" or options:
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        raise mistake(f"np.{name}{f' with {chr(44).join(options)}' if options else ''} is not defined for expressions", ExpressionError)
    function = UFUNCS.get(ufunc.__name__)
    if function is None:
        raise mistake(f"np.{ufunc.__name__} is not defined for expressions", ExpressionError)
    return function(*inputs)


def _array_function(self, function, types, arguments: tuple, options: dict):
    ours = FUNCTIONS.get(function)
    name = f"{function.__module__}.{function.__name__}".replace("numpy", "np")
    if ours is None:
        raise mistake(f"{name} is not defined for expressions", ExpressionError)
    try:
        inspect.signature(ours).bind(*arguments, **options)
    except TypeError as error:
        raise mistake(f"{name} on expressions: {error}", ExpressionError) from None
    return ours(*arguments, **options)


Expr.__array_ufunc__ = _array_ufunc
Expr.__array_function__ = _array_function
