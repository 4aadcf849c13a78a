"""Shards and threads: the same bits for any number of threads, several callers at once, forked children."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

import symvi as sv
from symvi.errors import SymviError
from symvi.runtime.shards import MOST, shard_count

ROWS = 120_011
N, D, K, J = sv.dim("N"), sv.dim("D", 3), sv.dim("K", 4), sv.dim("J")
RNG = np.random.default_rng(0)
DATA = {
    "X": RNG.normal(size=(ROWS, 3)),
    "y": (RNG.random(ROWS) < 0.4).astype(float),
    "group": RNG.integers(7, size=ROWS),
}


@pytest.fixture(autouse=True)
def restored_threads():
    yield
    sv.set_threads(None)


def logistic(X, y, group):
    w = sv.param("w", D, init=0.2)
    eta = X @ w + sv.noise("e", N)
    return sv.sum(y * eta - sv.softplus(eta))


def mixture(X, y, group):
    mu = sv.param("mu", K, D, init=np.arange(12.0).reshape(4, 3) / 6)
    return sv.sum(sv.logsumexp(-0.5 * sv.sum((X[:, None] - mu) ** 2, axis=-1), axis=-1))


def groups(X, y, group):
    effect, slope = sv.param("effect", J, init=np.linspace(-1, 1, 7)), sv.param("slope", D, init=0.1)
    return -sv.sum((y - sv.tanh(effect)[group] - X @ slope) ** 2)


def over_the_plate(X, y, group):
    w = sv.param("w", D, init=0.2)
    return sv.logsumexp(X @ w) + sv.max(sv.exp(X @ w)) + sv.sum(sv.softmax(X @ w) * y)


def bound(model) -> sv.Expr:
    return model(sv.data("X", N, D), sv.data("y", N), sv.data("group", N, dtype=sv.index(J)))


def binding_of(model):
    kernel = sv.compile(bound(model), name=f"threads_{model.__name__}")
    start = {leaf.name: np.full([d.size({"D": 3, "K": 4, "J": 7}) for d in leaf.shape], leaf.init) for leaf in kernel.parameters}
    names = {leaf.name for leaf in kernel.leaves}
    return kernel.bind(start, {name: array for name, array in DATA.items() if name in names}, {"J": 7} if "group" in names else None)


def results(binding, step=0) -> list[bytes]:
    assert binding.run(seed=3, step=step) == 0
    return [array.tobytes() for array in binding.outputs.values()]


@pytest.mark.parametrize("model", [logistic, mixture, groups, over_the_plate], ids=lambda f: f.__name__)
def test_any_number_of_threads_gives_the_same_bits(model):
    binding = binding_of(model)
    assert binding.sharded, "the pass is too small for shards: the test would show nothing"
    sv.set_threads(1)
    expected = results(binding)
    for threads in (2, 3, 5):
        sv.set_threads(threads)
        assert results(binding) == expected
        assert results(binding) == expected


def test_shards_add_up_to_the_whole():
    binding = binding_of(logistic)
    results(binding)
    sharded = {name: array.copy() for name, array in binding.outputs.items()}
    whole = sv.compile(bound(logistic), name="threads_logistic").bind({"w": np.full(3, 0.2)}, {"X": DATA["X"], "y": DATA["y"]})
    for step, address in zip(whole.program, whole.compiled.manifest["steps"], strict=True):
        if "function" in address and address["plate"] is not None:
            step[:2] = (whole.compiled.address(address["function"]), whole.table.ctypes.data)
    results(whole)
    for name, array in whole.outputs.items():
        np.testing.assert_allclose(sharded[name], array, rtol=1e-11)


def test_training_gives_the_same_bits_and_steps():
    def train():
        return sv.maximize(bound(logistic), {"X": DATA["X"], "y": DATA["y"]}, optimizer=sv.optim.Adam(0.01), steps=20, progress=False)

    sv.set_threads(1)
    expected = train()
    sv.set_threads(2)
    found = train()
    assert found.history.tobytes() == expected.history.tobytes()
    assert found["w"].tobytes() == expected["w"].tobytes()


def test_several_python_threads_at_once():
    expected = results(binding_of(mixture))
    found: list = []

    def work():
        binding = binding_of(mixture)
        found.append([results(binding) for _ in range(20)])

    callers = [threading.Thread(target=work) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 3 and all(each == expected for run in found for each in run)


def test_one_function_called_from_several_python_threads():
    x = sv.data("x", N)
    double = sv.function([x], [2 * x, sv.sum(x)], name="threads_double")
    found: list = []

    def work(value: float):
        for _ in range(50):
            twice, total = double(np.full(64, value))
            found.append(bool((twice == 2 * value).all()) and total == 64 * value)

    callers = [threading.Thread(target=work, args=(float(k),)) for k in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 150 and all(found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    binding = binding_of(mixture)
    sv.set_threads(2)
    expected = results(binding)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, b"same" if results(binding) == expected else b"other")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 8) == b"same"


def test_the_number_of_shards_follows_from_extents_alone():
    assert shard_count(10_000, 1_000, 8) == 1
    assert shard_count(10**9, 10**6, 8) == MOST
    assert shard_count(10**9, 24, 8) == 3
    assert shard_count(10**9, 10**6, 4_000_000) == 2


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "two"])
def test_a_wrong_number_of_threads_is_refused(threads):
    with pytest.raises(SymviError, match="positive integer"):
        sv.set_threads(threads)


def test_the_environment_limits_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert sv.get_threads() == 1
    monkeypatch.setenv("SYMVI_NUM_THREADS", "100000")
    assert sv.get_threads() == len(os.sched_getaffinity(0))
