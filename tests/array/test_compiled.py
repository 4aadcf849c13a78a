"""What only the front decides (slices, known sizes, gathers, axes of extent 1) also holds in compiled code, in one kernel."""

from __future__ import annotations

import numpy as np

import symvi as sv


def test_views_and_known_sizes_in_compiled_code():
    rng = np.random.default_rng(7)
    T, K = sv.dim("T"), sv.dim("K", 4)
    z, X, i = sv.data("z", T), sv.data("X", T, K), sv.data("i", 3, dtype=int)
    v, M = rng.normal(size=4), rng.normal(size=(4, 4))
    zv, xv, iv = rng.normal(size=6), rng.normal(size=(6, 4)), np.array([5, 0, 2])
    cases = [
        (z[1:] - 0.9 * z[:-1], zv[1:] - 0.9 * zv[:-1]),
        (z[::-1] * 2, zv[::-1] * 2),
        (X + v, xv + v),
        (X @ M @ v, xv @ M @ v),
        (X[i][:, [1, -1]], xv[iv][:, [1, -1]]),
        (X[T - 1, 1:3], xv[5, 1:3]),
        (sv.diag(v, 1)[0], np.diag(v, 1)[0]),
        (sv.einsum("tk,kl,tl->t", X, M, X), np.einsum("tk,kl,tl->t", xv, M, xv)),
        (sv.concatenate([z[:2], z[-2:]]), np.concatenate([zv[:2], zv[-2:]])),
        (X[:, :1] - X.mean(axis=1, keepdims=True), xv[:, :1] - xv.mean(axis=1, keepdims=True)),
        (sv.where(X > 0, X, 0).sum(axis=0), np.where(xv > 0, xv, 0).sum(axis=0)),
        (sv.any(X > 1.0), np.any(xv > 1.0)),
    ]
    found = sv.function([z, X, i], [case for case, _ in cases], name="front")(zv, xv, iv)
    for (case, expected), ours in zip(cases, found, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-13, err_msg=str(case))
