"""Parameters that fill many pages: the same bits for any number of threads, and a step that goes wrong is taken back."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv
from symvi.fit.trainer import Trainer

SIZE = 300_000
RNG = np.random.default_rng(3)


@pytest.fixture
def threads():
    yield sv.set_threads
    sv.set_threads(None)


def trained(optimum):
    """What training leaves: parameters, slots, history."""
    trainer: Trainer = optimum.trainer
    trainer.run(3)
    slots = [array.copy() for slots in trainer.slots for array in slots.values()]
    return trainer, [trainer.theta.copy(), trainer.history.copy(), *slots, *(trainer.views[leaf].copy() for leaf in trainer.locals)]


def noisy(dtype):
    """As many parameters as draws, none of them over a plate of data."""
    P = sv.dim("P", SIZE)
    loc, scale = sv.param("loc", P), sv.param("scale", P, support=sv.positive, init=0.5)
    z = loc + scale * sv.noise("eps", P)
    return sv.maximize(-0.5 * sv.sum((z - 1.0) ** 2) + sv.sum(sv.log(scale)), {}, steps=1, progress=False, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_bits_do_not_depend_on_threads(threads, dtype):
    found = []
    for count in (1, 2):
        threads(count)
        trainer, state = trained(noisy(dtype))
        found.append(state)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.abs(state[0]).max() > 0
    assert trainer.kernel.passes.shards > 1 and trainer.updates[0].binding.sharded and trainer.binding.long_draws
    assert not trainer.updates[0].copies.size, "parameters and slots are written in place"
    drawn, helpers = np.empty((SIZE, 1), trainer.kernel.binding.arrays["eps"].dtype), trainer.binding.helpers
    helpers.draw_normal(drawn, trainer.binding.key, 0, 0, 0, np.empty(0, np.int64))
    np.testing.assert_array_equal(trainer.binding.arrays["eps"], drawn[:, 0])


def test_large_minibatches_are_gathered_in_parts(threads):
    N, D = sv.dims("N D")
    X, y, w, z = sv.data("X", N, D), sv.data("y", N), sv.param("w", D), sv.param("z", N, init=0.0)
    data = {"X": RNG.normal(size=(9_000, 30)), "y": RNG.normal(size=9_000)}
    found = []
    for count in (1, 2):
        threads(count)
        bound = -0.5 * sv.sum((y - X @ w - z) ** 2) - 0.5 * sv.sum(z**2)
        trainer, state = trained(sv.maximize(bound, data, batch_size={N: 1_000}, steps=1, progress=False))
        found.append(state)
        rows = trainer.plan.rows("N")
        np.testing.assert_array_equal(trainer.binding.arrays["X"], data["X"][rows])
        np.testing.assert_array_equal(trainer.binding.arrays["y"], data["y"][rows])
    assert trainer.plan.pools
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_gradient_that_is_not_finite_moves_nothing(dtype):
    P = sv.dim("P", SIZE)
    w = sv.param("w", P, init=1.0)
    start = np.ones(SIZE)
    trainer = sv.maximize(sv.sum(sv.sqrt(w)), {}, steps=1, init={"w": start}, progress=False, dtype=dtype).trainer
    trainer.theta[SIZE - 7] = 0.0
    before = [trainer.theta.copy(), *(array.copy() for array in trainer.slots[0].values())]
    trainer.state[:] = 0  # nothing to put back
    with pytest.raises(sv.NonFiniteError, match=rf"w\[{SIZE - 7}\]"):
        trainer.run(1)
    for array, kept in zip([trainer.theta, *trainer.slots[0].values()], before, strict=True):
        np.testing.assert_array_equal(array, kept)


def linear(slope, rate):
    P = sv.dim("P", SIZE)
    w, c = sv.param("w", P, init=0.0), sv.data("c", P)
    return sv.maximize(sv.sum(c * w), {"c": slope}, optimizer=sv.optim.SGD(rate), steps=1, progress=False).trainer


def test_a_parameter_that_is_not_finite_is_taken_back():
    slope = np.full(SIZE, 1e-300)
    trainer = linear(slope, 1e301)
    before = trainer.theta.copy()
    assert np.all(before == 10.0)
    trainer.kernel.data[next(iter(trainer.kernel.data))][3] = 1e8
    with pytest.raises(sv.NonFiniteError, match=r"the parameter of w\[3\] is not finite at step 1"):
        trainer.run(1)
    np.testing.assert_array_equal(trainer.theta, before)


def test_a_sum_may_overflow_where_no_parameter_does():
    trainer = linear(np.full(SIZE, 1e-10), 1.0)
    trainer.theta[:] = 1e308
    trainer.run(1)
    assert np.isinf(trainer.segments[0].total[0]) and np.all(trainer.theta == 1e308)
