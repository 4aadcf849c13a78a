"""Matrix functions on object arrays of mpmath numbers, by mpmath's own matrices: the second opinion on the reference."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import mpmath
import numpy as np

__all__ = ["PLAIN", "exact"]


def exact(value: np.ndarray) -> np.ndarray:
    """An array of mpmath numbers."""
    value = np.asarray(value)
    numbers = [x if isinstance(x, mpmath.mpf) else mpmath.mpf(float(x)) for x in value.ravel()]
    return np.array(numbers, dtype=object).reshape(value.shape)


def _matrix(a: np.ndarray) -> mpmath.matrix:
    return mpmath.matrix(a.tolist())


def _array(m: mpmath.matrix) -> np.ndarray:
    return np.array(m.tolist(), dtype=object).reshape(m.rows, m.cols)


def _each(function: Callable, *stacks: np.ndarray) -> np.ndarray:
    """A function of matrices on broadcast stacks."""
    batch = np.broadcast_shapes(*(a.shape[:-2] for a in stacks))
    if not batch:
        return function(*stacks)
    spread = [np.broadcast_to(a, (*batch, *a.shape[-2:])) for a in stacks]
    results = [np.asarray(function(*(a[index] for a in spread))) for index in np.ndindex(batch)]
    return np.array(results, dtype=object).reshape(*batch, *results[0].shape)


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    vector = b.ndim == 1
    found = _each(lambda m, r: _array(mpmath.inverse(_matrix(m)) * _matrix(r)), a, b[:, None] if vector else b)
    return found[..., 0] if vector else found


def _det(a: np.ndarray) -> np.ndarray:
    return _each(lambda m: mpmath.det(_matrix(m)), a)


def _block_diag(*blocks: np.ndarray) -> np.ndarray:
    def joined(*parts):
        order = sum(len(part) for part in parts)
        out, start = exact(np.zeros((order, order))), 0
        for part in parts:
            out[start : start + len(part), start : start + len(part)] = part
            start += len(part)
        return out

    return _each(joined, *blocks)


_log = np.vectorize(mpmath.log, otypes=[object])
_exp = np.vectorize(mpmath.exp, otypes=[object])
_sign = np.vectorize(mpmath.sign, otypes=[object])


def _logdet(a: np.ndarray) -> np.ndarray:
    return _log(abs(_det(a)))


PLAIN = SimpleNamespace(
    inv=lambda a: _each(lambda m: _array(mpmath.inverse(_matrix(m))), a),
    det=_det, logdet=_logdet, slogdet=lambda a: (_sign(_det(a)), _logdet(a)),
    cholesky=lambda a: _each(lambda m: _array(mpmath.cholesky(_matrix(m))), a),
    solve=_solve, kron=lambda a, b: _each(np.kron, a, b), block_diag=_block_diag,
    trace=lambda a: a.trace(axis1=-2, axis2=-1), diag=lambda d: np.diag(d) + mpmath.mpf(0),
    diagonal=lambda a: a.diagonal(axis1=-2, axis2=-1),
    tril=lambda a: a * np.tril(np.ones(a.shape[-2:], dtype=int)), triu=lambda a: a * np.triu(np.ones(a.shape[-2:], dtype=int)),
    eye=lambda like: exact(np.eye(like.shape[-2])), sum=lambda x, axis=None: np.sum(x, axis=axis), exp=_exp, log=_log, abs=abs,
)  # fmt: skip
