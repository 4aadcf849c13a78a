"""Two kinds of numbers for the interpreter: NumPy's floats (real or complex), and object arrays of mpmath numbers.

Both know how to make constants, apply scalar functions and array atoms, and add, multiply and reduce along axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

__all__ = ["Floats", "HighPrecision"]


class Floats:
    """float64 or float32, and complex128 where a leaf is complex."""

    def __init__(self, dtype: str = "float64"):
        self.dtype = np.dtype(dtype)

    def real(self, value) -> np.ndarray:
        value = np.asarray(value)
        return value if np.iscomplexobj(value) else value.astype(self.dtype)

    def constant(self, value: Fraction | float):
        try:
            return float(value)
        except OverflowError:
            return np.inf if value > 0 else -np.inf

    @property
    def pi(self):
        return np.pi

    @property
    def nan(self):
        return np.nan

    @property
    def infinity(self):
        return np.inf

    def apply(self, function, kind: str, arguments: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(function.numpy(*arguments))

    def operator(self, atom, attributes: tuple, arguments: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.asarray(atom.numpy(attributes, *arguments))
        except np.linalg.LinAlgError:  # singular, not positive definite
            return np.full(shape, np.nan)

    def times_power(self, product: np.ndarray, base: np.ndarray, exponent: int) -> np.ndarray:
        """A quotient is one: 1 / y overflows where x / y need not."""
        return product * base**exponent if exponent > 0 else product / base**-exponent

    def real_part(self, value: np.ndarray) -> np.ndarray:
        return np.real(value)

    def exp(self, value: np.ndarray) -> np.ndarray:
        return np.exp(value)

    def log1p(self, value: np.ndarray) -> np.ndarray:
        return np.log1p(value)


class HighPrecision:
    """Real mpmath numbers in object arrays, at the working precision of mpmath. What has no real value is nan."""

    def __init__(self):
        import mpmath

        self.mpmath = mpmath
        self.pi, self.nan, self.infinity = +mpmath.pi, mpmath.nan, mpmath.inf
        self.exp = self._elementwise(mpmath.exp)
        self.log1p = self._elementwise(mpmath.log1p)

    def _elementwise(self, function):
        def safe(*arguments):
            try:
                value = function(*arguments)
            except ZeroDivisionError:
                return self.infinity
            except (ValueError, OverflowError, self.mpmath.libmp.NoConvergence):  # a pole, or a number that mpmath cannot handle
                return self.nan
            if isinstance(value, self.mpmath.mpc):
                return value.real if value.imag == 0 else self.nan
            return value

        def evaluate(*arrays):
            arrays = np.broadcast_arrays(*arrays)
            out = np.empty(arrays[0].shape, dtype=object)
            for index in np.ndindex(out.shape):
                out[index] = safe(*(array[index] for array in arrays))
            return out

        return evaluate

    def _number(self, value):
        if isinstance(value, self.mpmath.mpf):
            return value
        return self.mpmath.mpf(value.item() if isinstance(value, np.generic) else value)

    def real(self, value) -> np.ndarray:
        value = np.asarray(value)
        out = np.empty(value.shape, dtype=object)
        for index in np.ndindex(value.shape):
            out[index] = self._number(value[index])
        return out

    def constant(self, value: Fraction | float):
        if isinstance(value, Fraction):
            return self.mpmath.mpf(value.numerator) / value.denominator
        return self.mpmath.mpf(value)

    def apply(self, function, kind: str, arguments: Sequence[np.ndarray]) -> np.ndarray:
        out = self._elementwise(function.mpmath)(*(a.astype(object) for a in arguments))
        if kind == "b":
            return out.astype(bool)
        return out.astype(np.int64) if kind == "i" else self.real(out)

    def operator(self, atom, attributes: tuple, arguments: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.asarray(atom.mpmath(attributes, *arguments))
        except (ZeroDivisionError, ValueError):
            return np.full(shape, self.nan, dtype=object)

    def power(self, base: np.ndarray, exponent: int) -> np.ndarray:
        if base.dtype != object:
            return base**exponent
        if exponent > 0:
            return base**exponent
        return self._elementwise(lambda value: 1 / value**-exponent)(base)

    def times_power(self, product: np.ndarray, base: np.ndarray, exponent: int) -> np.ndarray:
        return np.multiply(product, self.power(base, exponent))

    def real_part(self, value: np.ndarray) -> np.ndarray:
        return value
