"""Linear algebra of emitted kernels against NumPy: all sizes around the switch to LAPACK, both precisions, failures as statuses."""
import math

import numpy as np
import pytest
from numba import njit

from symvi.codegen_templates import linear_algebra, support

SIZES = (0, 1, 2, 5, 16, 17, 60)
KINDS = (np.float64, np.float32)
COLUMNS = 3


def positive_definite(rng, n, kind):
    a = rng.normal(size=(n, n + 2))
    return (a @ a.T / (n + 2) + np.eye(n)).astype(kind)


def close(got, want, kind, scale=1.0):
    tolerance = 400 * np.finfo(kind).eps * scale
    return got.dtype == kind and np.allclose(got, want, rtol=tolerance, atol=tolerance)


def triangle_cases(rng, n, kind):
    """(name, got, want) of everything that rests on a Cholesky factor."""
    a = positive_definite(rng, n, kind)
    exact = a.astype(float)
    noisy = a + np.triu(np.full((n, n), 7, kind), 1)
    factor, inverse = np.full((n, n), 9, kind), np.full((n, n), 9, kind)
    yield "cholesky", linear_algebra.cholesky(noisy, factor), 0
    yield "factor", factor, np.linalg.cholesky(exact)
    lower = factor.astype(float)
    for shape in ((n,), (n, COLUMNS), (n, 1), (n, 0)):
        b = rng.normal(size=shape).astype(kind)
        for function, matrix in ((linear_algebra.cholesky_solve, exact), (linear_algebra.solve_lower, lower),
                                 (linear_algebra.solve_lower_transposed, lower.T)):
            x = np.full_like(b, 9)
            label = f"{function.py_func.__name__} {shape}"
            yield label, function(factor, b, x), 0
            yield label, x, np.linalg.solve(matrix, b.astype(float)) if n else b
            same = b.copy()
            function(factor, same, same)
            yield label + " in place", same, x
    yield "inverse", linear_algebra.cholesky_inverse(factor, inverse), 0
    yield "inverse", inverse, np.linalg.inv(exact)
    yield "logdet", kind(linear_algebra.cholesky_logdet(factor)), np.linalg.slogdet(exact)[1]


def general_cases(rng, n, kind):
    """(name, got, want) of everything that rests on an LU factorisation."""
    a = (rng.normal(size=(n, n)) + 2 * np.eye(n)[::-1]).astype(kind)
    exact = a.astype(float)
    factors, pivots = np.empty_like(a), np.empty(n, np.int32)
    yield "lu", linear_algebra.lu(a, factors, pivots), 0
    for transposed in (False, True):
        matrix = exact.T if transposed else exact
        for shape in ((n, COLUMNS), (n, 1), (n, 0)):
            b = rng.normal(size=shape).astype(kind)
            x = b.copy()
            linear_algebra.lu_solve(factors, pivots, x, transposed)
            yield f"lu_solve {shape} {transposed}", (matrix @ x).astype(kind), b
    got, want = linear_algebra.lu_slogdet(factors, pivots), np.linalg.slogdet(exact)
    yield "sign", kind(got[0]), want[0]
    yield "log |det|", kind(got[1]), want[1]
    symmetric = (a + a.T).astype(kind)
    values, vectors = np.empty(n, kind), np.empty((n, n), kind)
    yield "eigh", linear_algebra.eigh(np.tril(symmetric), values, vectors), 0
    yield "eigenvalues", values, np.linalg.eigvalsh(symmetric.astype(float))
    yield "eigenvectors", (vectors * values) @ vectors.T, symmetric
    yield "orthogonal", vectors.T @ vectors, np.eye(n)


def product_cases(rng, n, kind):
    """(name, got, want) of products; the second width differs from the first, inner extent 0 included."""
    def draw(*shape):
        return rng.normal(size=shape).astype(kind)
    for inner in (0, 1, 7, n):
        for name, a, b, want in (
                ("gemm", draw(n, inner), draw(inner, 4), lambda a, b: a @ b),
                ("gemm_nt", draw(n, inner), draw(4, inner), lambda a, b: a @ b.T),
                ("gemm_tn", draw(inner, n), draw(inner, 4), lambda a, b: a.T @ b)):
            for alpha, beta in ((1.0, 0.0), (-0.5, 2.0)):
                c = draw(n, 4) if beta else np.full((n, 4), np.nan, kind)
                old = np.nan_to_num(c)
                getattr(linear_algebra, name)(a, b, c, alpha, beta)
                yield f"{name} {inner}", c, alpha * want(a.astype(float), b.astype(float)) + beta * old
        a, x, z, y = draw(n, inner), draw(inner), draw(n), draw(n)
        linear_algebra.gemv(a, x, y)
        yield "gemv", y, a.astype(float) @ x
        old = draw(inner)
        y = old.copy()
        linear_algebra.gemv_t(a, z, y)
        yield "gemv_t", y, old + a.astype(float).T @ z
        c = draw(n, n)
        linear_algebra.syrk(a, c)
        yield "syrk", c, a.astype(float) @ a.T
        c = positive_definite(rng, inner, kind)
        old = c.copy()
        linear_algebra.syrk_t(a, c)
        yield "syrk_t", c, old + a.astype(float).T @ a


@pytest.mark.parametrize("kind", KINDS)
def test_against_numpy(kind):
    rng = np.random.default_rng(3)
    bad = []
    for n in SIZES:
        for cases in (triangle_cases, general_cases, product_cases):
            for name, got, want in cases(rng, n, kind):
                scale = 10.0 if cases is general_cases else 1.0
                if not (got == want if isinstance(want, int) else close(np.asarray(got), want, kind, scale)):
                    bad.append((n, name))
    assert not bad


@pytest.mark.parametrize("kind", KINDS)
def test_failures_are_statuses_and_nan(kind):
    bad = []
    for n in (1, 5, 16, 17, 60):
        for value in (0.0, -1.0, np.nan, np.inf):
            for place in (0, n - 1):
                a = np.eye(n, dtype=kind)
                a[place, place] = value
                factor = np.empty_like(a)
                status = linear_algebra.cholesky(a, factor)
                right = status > 0 and np.isnan(factor).all() and (status == place + 1 or not np.isfinite(value))
                x = np.ones(n, kind)
                right &= linear_algebra.cholesky_solve(factor, x, x) > 0 and np.isnan(x).all()
                out = np.ones((n, n), kind)
                right &= linear_algebra.cholesky_inverse(factor, out) > 0 and np.isnan(out).all()
                right &= math.isnan(linear_algebra.cholesky_logdet(factor))
                factors, pivots = np.empty_like(a), np.empty(n, np.int32)
                if value == -1.0:
                    continue
                right &= linear_algebra.lu(a, factors, pivots) > 0
                if value == 0.0:
                    right &= linear_algebra.lu_slogdet(factors, pivots) == (0.0, -math.inf)
                else:
                    w = np.empty(n, kind)
                    right &= linear_algebra.eigh(a, w, out) > 0 and np.isnan(w).all() and np.isnan(out).all()
                if not right:
                    bad.append((n, value, place))
    assert not bad


def test_compiled_code_can_be_cached():
    a, b = np.eye(2), np.ones((2, 2))
    linear_algebra.cholesky(a, a)
    linear_algebra.gemm(a, b, b.copy(), 1.0, 0.0)
    for function in (linear_algebra.cholesky, linear_algebra.gemm):
        assert not any(compiled.library.has_dynamic_globals for compiled in function.overloads.values())


def test_products_of_blocks_of_columns_and_read_only_data():
    rng = np.random.default_rng(4)
    wide, left = rng.normal(size=(5, 40)), rng.normal(size=(3, 5))
    wide.setflags(write=False)
    tile, sums = np.zeros((3, 16)), np.zeros((3, 5))

    @njit
    def kernel(left, wide, tile, sums):
        block = wide[:, 10:22]
        linear_algebra.gemm(left, block, tile[:, :12], 1.0, 0.0)
        linear_algebra.gemm_nt(tile[:, :12], block, sums, 1.0, 1.0)

    kernel(left, wide, tile, sums)
    assert np.allclose(tile[:, :12], left @ wide[:, 10:22]) and not tile[:, 12:].any()
    assert np.allclose(sums, left @ wide[:, 10:22] @ wide[:, 10:22].T)


def test_views_of_addresses_and_rows():
    doubles, singles, integers, flags = np.arange(6.0), np.arange(4, dtype=np.float32), np.arange(5), np.array([True, False, True])
    table = np.array([doubles.ctypes.data, singles.ctypes.data, integers.ctypes.data, flags.ctypes.data])

    @njit
    def kernel(table, status):
        d, s = support.real64_at(table[0], 6), support.real32_at(table[1], 4)
        i, b = support.int64_at(table[2], 5), support.bool_at(table[3], 3)
        total = d.sum() + s.sum() + i.sum() + b.sum()
        d[0] = 7.0
        support.copy_rows(d.reshape((3, 2)), np.array([2, 0]), s.reshape((2, 2)))
        support.copy_rows(d, np.array([5]), d)
        first = support.set_status(status, support.STATUS_SINGULAR, 1, 2, 3)
        return total, first + support.set_status(status, support.STATUS_NOT_FINITE, 9, 9, 9)

    status = np.zeros(support.STATUS_SIZE, np.int64)
    assert kernel(table, status) == (15 + 6 + 10 + 2, 2 * support.STATUS_SINGULAR)
    assert doubles[0] == 5.0 and list(singles) == [4.0, 5.0, 7.0, 1.0] and list(status) == [support.STATUS_SINGULAR, 1, 2, 3]
