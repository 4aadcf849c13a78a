"""The exceptions of symvi. A user's mistake always ends in one of these, never in a NumPy or Numba traceback.

Every message says what is wrong, where (the user's file and line, the expression, its dims) and how to mend it.
"""

from __future__ import annotations

import os

__all__ = [
    "SymviError",
    "ShapeError",
    "NameClashError",
    "ExpressionError",
    "DataError",
    "SupportError",
    "PlateError",
    "ModelError",
    "NonFiniteError",
    "NotPositiveDefiniteError",
    "GradientError",
    "CompileError",
    "CacheWarning",
    "SymviWarning",
    "location",
]


class SymviError(Exception):
    """Base class of every error that symvi raises on purpose."""


class ShapeError(SymviError):
    """Dims that do not fit together, found while an expression is being built or data are bound."""


class NameClashError(SymviError):
    """Two leaves of one name in one bound, or a name nobody knows."""


class ExpressionError(SymviError):
    """An operation that has no meaning for this kind of expression (truth value, float labels, ...)."""


class DataError(SymviError):
    """Data that are missing, contradictory, of the wrong kind or not finite."""


class SupportError(DataError):
    """A value outside the support of the variable or parameter that it is given to."""


class PlateError(SymviError):
    """A dim cannot be minibatched because an expression mixes its rows."""


class ModelError(SymviError):
    """A model or guide that is not well formed: a latent without a density, an unused guide variable, ..."""


class NonFiniteError(SymviError):
    """The bound or a gradient became NaN or infinite. Parameters stay at the last finite state."""


class NotPositiveDefiniteError(NonFiniteError):
    """A matrix that the mathematics takes for positive definite is not, at run time."""


class GradientError(SymviError):
    """A derivative that does not exist, or that disagrees with its numerical check."""


class CompileError(SymviError):
    """symvi itself emitted something that does not compile: a bug, with the emitted file named."""


class SymviWarning(UserWarning):
    """Base class of the warnings of symvi."""


class CacheWarning(SymviWarning):
    """The kernel cache cannot be used as it is; a temporary one serves instead."""


def location(file: str | None, line: int | None) -> str:
    """`file.py:12` for messages and comments; empty when nothing is known."""
    if not file:
        return ""
    return f"{os.path.basename(file)}:{line}"
