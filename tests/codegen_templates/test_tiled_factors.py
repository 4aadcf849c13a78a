"""Large matrices in tiles: against NumPy around the borders of tiles, failures as statuses, the same bits for any number of threads."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import symvi as sv
from symvi.runtime.blas_threads import one_thread
from symvi.runtime.helpers import helper_module
from symvi.runtime.threads import helping

h = helper_module()
ORDERS = (129, 191, 192, 193, 256, 300, 517)
FACTORED, LOW, NOTES = 1, 2, 3
FAILED = -7


@h.CALLBACK
def no_elimination(b, task, d):
    """Stands for the operation `elimination`: what comes here had no good Cholesky factor."""
    return FAILED


@pytest.fixture(autouse=True)
def restored_threads():
    yield
    sv.set_threads(None)


def run(name, kind, order, arrays, columns=1, pool=0, batch=1):
    """One operation on arrays, described as a binding does it."""
    d = np.zeros(h.OPERATOR_WORDS, dtype=np.int64)
    itemsize = np.dtype(kind).itemsize
    d[:5] = itemsize, batch, order, columns, 0
    d[h.FIRST : h.FIRST + len(arrays)] = [array.ctypes.data for array in arrays]
    d[h.ELIMINATION] = ctypes.cast(no_elimination, ctypes.c_void_p).value
    assert h.works_in_tiles(name, order)
    d[h.TILES], d[h.POOL] = h.operator_address("tiles", itemsize), pool
    with one_thread():
        return h.CALLBACK(h.operator_address(name, itemsize))(0, 0, d.ctypes.data)


def positive_definite(n, kind, seed=0):
    """A matrix of moderate condition; above the diagonal stands what nobody may read."""
    a = np.random.default_rng(seed).normal(size=(n, n + 9))
    exact = (a @ a.T / n + 0.1 * np.eye(n)).astype(kind)
    return exact, np.tril(exact) + np.triu(np.full((n, n), np.nan, kind), 1)


def factor_of(lower, pool=0):
    """(status, [factor, low part, notes]) of the operation `cholesky`."""
    n, kind = len(lower), lower.dtype
    made = [np.full((n, n), 9, kind), np.full((n + 16, n), 9, kind), np.zeros(3 * n + 1, np.int32)]
    return run("cholesky", kind, n, [lower, *made], pool=pool), made


def everything(n, kind, columns, pool=0):
    """{name: result} of the operations that work in tiles (in float32 of two, which saves compilation); statuses are 0."""
    exact, lower = positive_definite(n, kind)
    status, made = factor_of(lower, pool)
    assert status == 0
    B = np.random.default_rng(1).normal(size=(n, columns)).astype(kind)
    L = np.linalg.cholesky(exact.astype(float)).astype(kind) + np.triu(np.full((n, n), np.nan, kind), 1)
    results = {"factor": np.tril(made[0])}
    calls = [("factored_inverse", made, (n, n))]
    if kind is np.float64:
        calls += [("factored_solve", [*made, B], B.shape), ("lower_inverse", [L], (n, n))]
        calls += [("solve_lower", [L, B], B.shape), ("solve_lower_transposed", [L, B], B.shape)]
    for name, arrays, shape in calls:
        results[name] = np.full(shape, 9, kind)
        assert run(name, kind, n, [*arrays, results[name]], columns, pool) == 0
    return exact, B, np.tril(L), results


@pytest.mark.parametrize("n, kind", [*((n, np.float64) for n in ORDERS), (193, np.float32), (300, np.float32)])
def test_results_are_those_of_numpy(n, kind):
    exact, B, L, results = everything(n, kind, {192: 64, 193: 65}.get(n, 20))
    exact, B, L = exact.astype(float), B.astype(float), L.astype(float)
    expected = {
        "factor": np.linalg.cholesky(exact), "factored_inverse": np.linalg.inv(exact), "factored_solve": np.linalg.solve(exact, B),
        "lower_inverse": np.linalg.inv(L), "solve_lower": np.linalg.solve(L, B), "solve_lower_transposed": np.linalg.solve(L.T, B),
    }  # fmt: skip
    assert set(results) == (set(expected) if kind is np.float64 else {"factor", "factored_inverse"})
    for name, found in results.items():
        want = expected[name]
        assert np.abs(found - want).max() <= 200 * np.finfo(kind).eps * np.abs(want).max(), name
    assert np.array_equal(results["factored_inverse"], results["factored_inverse"].T)
    if kind is np.float64:
        assert not np.triu(results["lower_inverse"], 1).any()


def test_large_tiles():
    n = h.SMALL_TILES_TO + 100
    rng = np.random.default_rng(2)
    U, v = rng.normal(size=(n, 5)), rng.normal(size=n)
    A, product = np.eye(n) + U @ U.T, v + U @ (U.T @ v)
    status, made = factor_of(A)
    inverse = np.zeros((n, n))
    assert status == 0 and run("factored_inverse", np.float64, n, [*made, inverse]) == 0
    L = np.tril(made[0])
    np.testing.assert_allclose(L @ (v @ L), product, rtol=0, atol=1e-9)
    np.testing.assert_allclose(inverse @ product, v, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", (193, 517))
def test_any_number_of_threads_gives_the_same_bits(n):
    alone = everything(n, np.float64, 150)[-1]
    for threads in (2, 3):
        sv.set_threads(threads)
        for _ in range(3):
            with helping(h, True) as pool:
                assert pool
                shared = everything(n, np.float64, 150, pool)[-1]
            assert all(np.array_equal(shared[name], alone[name]) for name in alone)


@pytest.mark.parametrize("minor", (1, 63, 64, 65, 192, 200, 300))
@pytest.mark.parametrize("wrong", (-1.0, np.nan, np.inf))
def test_the_status_is_the_order_of_the_minor_that_fails(minor, wrong):
    for threads in (1, 2):
        sv.set_threads(threads)
        with helping(h, True) as pool:
            _, lower = positive_definite(300, np.float64)
            lower[minor - 1, minor - 1] = wrong
            status, (_, low, _) = factor_of(lower, pool)
        assert status == FAILED
        assert low.reshape(-1).view(np.int64)[300 * 300 + h.TILE_STATUS] == minor


def test_stacks_and_factors_in_place():
    matrices = [positive_definite(150, np.float32, seed)[1] for seed in range(3)]
    stack, low, notes = np.array(matrices), np.zeros((3, 166, 150), np.float32), np.zeros((3, 451), np.int32)
    assert run("cholesky", np.float32, 150, [stack, stack, low, notes], batch=3) == 0
    for b, lower in enumerate(matrices):
        assert np.array_equal(np.tril(stack[b]), np.tril(factor_of(lower)[1][0]))


def test_triangles_without_an_inverse_are_a_status():
    L = np.eye(150)
    L[70, 70] = 0.0
    B, X = np.ones((150, 40)), np.zeros((150, 40))
    assert run("solve_lower", np.float64, 150, [L, B, X], 40) == 71 and np.isnan(X).all()
    assert run("solve_lower_transposed", np.float64, 150, [L, B, X], 40) == 71 and np.isnan(X).all()
    out = np.zeros((150, 150))
    assert run("lower_inverse", np.float64, 150, [L, out]) == 71 and np.isnan(out).all()


@pytest.mark.parametrize("tiles", range(1, 14))
def test_what_a_task_reads_is_made_by_earlier_ones(tiles):
    order = [h.tile_of_task.py_func(task, tiles) for task in range(tiles * (tiles + 1) // 2)]
    assert sorted(order) == [(i, j) for i in range(tiles) for j in range(i + 1)]
    for position, (i, j) in enumerate(order):
        needed = {(row, k) for row in (i, j) for k in range(j)} | ({(j, j)} - {(i, j)})
        assert needed <= set(order[:position])


def test_a_kernel_shares_its_tiles():
    N = sv.dim("N")
    X, y, length = sv.data("X", N), sv.data("y", N), sv.param("length", init=0.7)
    K = sv.exp(-sv.exp(length) * (X[:, None] - X) ** 2) + 0.1 * sv.eye(N)
    kernel = sv.compile(-y @ sv.linalg.inv(K) @ y - sv.log(sv.linalg.det(K)), name="tiled_kernel")
    data = {"X": np.linspace(-2, 2, 150), "y": np.sin(np.arange(150.0))}
    binding = kernel.bind({"length": np.array(0.7)}, data)
    found = []
    for threads in (1, 2, 3):
        sv.set_threads(threads)
        assert binding.run() == 0
        found.append([array.tobytes() for array in binding.outputs.values()])
    shared = [step["operator"] for descriptor, step in binding.described if descriptor[h.TILES]]
    assert {"cholesky", "factored_inverse"} <= set(shared) and len(binding.pools()) == len(binding.sharded) + len(shared)
    assert found[0] == found[1] == found[2]
    small = kernel.bind({"length": np.array(0.7)}, {name: array[:128] for name, array in data.items()})
    assert not any(descriptor[h.TILES] for descriptor, _ in small.described)
    assert "def operator_tiles" in kernel.source
