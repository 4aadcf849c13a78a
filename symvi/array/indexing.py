"""Indexing, moves of axes, diagonals and triangles, joining: the names of all of them."""

from symvi.array.axes import broadcast_to, expand_dims, flip, moveaxis, ravel, reshape, squeeze, swapaxes, take, transpose
from symvi.array.joining import concatenate, hstack, stack, vstack
from symvi.array.matrices import diag, diagonal, tril, triu
from symvi.array.subscripts import getitem

__all__ = [
    "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze", "reshape", "ravel", "broadcast_to", "take", "flip", "diag", "diagonal",
    "tril",
    "triu", "concatenate", "stack", "hstack", "vstack", "getitem",
]  # fmt: skip
