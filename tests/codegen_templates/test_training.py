"""The compiled training loop without minibatches: recursion, averages, and what happens when a step goes wrong."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from symvi.fit import loop_layout as layout
from symvi.fit.loop_layout import Segment
from symvi.optim import Average
from symvi.optim.averaging import NEVER

OPTIONS = dict(error_model="numpy", nogil=True, fastmath={"reassoc", "nsz", "contract"})


def address(array):
    return array.ctypes.data


QUIET, STATUS, VALUE, GRADIENT, UPDATE = range(5)  # what goes wrong


@pytest.fixture(scope="module")
def quadratic(helpers):
    """-|theta - centre|^2 / 2 with noise in the gradient; goes wrong at one step in one of several ways."""
    real64_at, int64_at, draw_normal = helpers.real64_at, helpers.int64_at, helpers.draw_normal

    @njit(helpers.ENTRY.signature, **OPTIONS)
    def quadratic(table):
        theta, gradient = real64_at(table[1], table[0]), real64_at(table[2], table[0])
        value, centre = real64_at(table[3], 1), real64_at(table[4], table[0])
        key, noise = int64_at(table[5], 3), real64_at(table[6], table[0])
        noise[:] = 0.0
        if table[7]:
            draw_normal(noise.reshape(1, noise.size), key, 0, 0, 0, int64_at(0, 0))
        total = 0.0
        for i in range(theta.size):
            gradient[i] = centre[i] - theta[i] + noise[i]
            total -= 0.5 * (centre[i] - theta[i]) ** 2
        value[0] = total
        if key[2] == table[8]:
            if table[9] == STATUS:
                return 3
            if table[9] == VALUE:
                value[0] = np.inf
            if table[9] == GRADIENT:
                gradient[2] = np.nan
            if table[9] == UPDATE:
                gradient[1] = 1e308
        return 0

    return quadratic


class Run:
    """One global segment: its arrays, tables, and calls of the loop."""

    def __init__(self, helpers, kernel, update, fail=(-1, QUIET), noise=True, seed=3, average=NEVER, protect_all=True, size=5):
        self.helpers, self.kernel, self.update, self.size, self.average = helpers, kernel, update, size, average
        self.block = np.zeros(6 * size)  # theta, velocity, visits, mean, variance, averaged
        self.theta, self.velocity, self.visits, self.mean, self.variance, self.averaged = self.block.reshape(6, size)
        self.gradient, self.value, self.step_value = np.zeros(size), np.zeros(1), np.zeros(1)
        self.centre, self.noise, self.key = np.arange(1.0, size + 1), np.zeros(size), np.array([seed, 0, 0])
        self.kept = np.zeros(6 * size if protect_all else size)
        self.state = np.zeros(layout.STATE_FIELDS, np.int64)
        arrays = (self.theta, self.gradient, self.value, self.centre, self.key, self.noise)
        self.table = np.array([size, *map(address, arrays), noise, *fail])
        self.tables = np.array([[size, *map(address, (self.theta, self.gradient, self.velocity, self.step_value))]])
        self.segments = Segment(self.theta, self.gradient, self.visits, self.mean, self.variance, self.averaged, self.kept).row()[None]

    def __call__(self, first, steps):
        history = np.full(steps, np.nan)
        loop = self.helpers.training_loop(False)
        good = loop(self.kernel, self.table, self.update, self.tables, self.segments, self.key, self.value, self.step_value, first, steps,
                    history, self.average.settings(), self.state, None, None, None)  # fmt: skip
        return good, history

    def by_hand(self, steps):
        """The same without noise in NumPy: theta before every step and after the last, velocities likewise, the history."""
        theta, velocity, history = [np.zeros(self.size)], [np.zeros(self.size)], []
        for t in range(steps):
            history.append(-0.5 * np.sum((self.centre - theta[-1]) ** 2))
            velocity.append(0.5 * velocity[-1] + 0.1 / (1 + t) * (self.centre - theta[-1]))
            theta.append(theta[-1] + velocity[-1])
        return np.array(theta), np.array(velocity), np.array(history)


# ------------------------------------------------------------------------------------------------------------- without minibatches
def test_layout_is_that_of_the_templates(helpers):
    names = [name for name in vars(layout) if name.isupper() and not name.startswith("_")]
    assert len(names) > 35
    for name in names:
        assert getattr(helpers, name) == getattr(layout, name), name


def test_steps_history_and_visits(helpers, quadratic, momentum):
    run = Run(helpers, quadratic, momentum, noise=False)
    good, history = run(0, 40)
    theta, velocity, expected = run.by_hand(40)
    assert good == 40 and run.state.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(history, expected, rtol=1e-13)
    np.testing.assert_allclose(run.theta, theta[-1], rtol=1e-13)
    np.testing.assert_allclose(run.velocity, velocity[-1], rtol=1e-13)
    assert (run.visits == 40).all() and run.key[2] == 39 and run.step_value[0] == 39


def test_chunks_and_seeds(helpers, quadratic, momentum):
    whole, parts, other = (Run(helpers, quadratic, momentum, seed=seed, average=Average(start=7)) for seed in (3, 3, 4))
    _, history = whole(0, 30)
    pieces = np.concatenate([parts(first, 6)[1] for first in range(0, 30, 6)])
    other(0, 30)
    np.testing.assert_array_equal(history, pieces)
    np.testing.assert_array_equal(whole.block, parts.block)
    assert not np.allclose(whole.theta, other.theta)


@pytest.mark.parametrize(("start", "eta"), [(0, 0.0), (4, 0.0), (4, 3.0), (np.inf, 0.0)])
def test_running_averages(helpers, quadratic, momentum, start, eta):
    """Of the parameters at which the bound was evaluated, by the weights of `Average`."""
    run = Run(helpers, quadratic, momentum, noise=False, average=Average(start=start, eta=eta))
    run(0, 20)
    iterates = run.by_hand(20)[0][: 20]
    mean, variance, count = np.zeros(run.size), np.zeros(run.size), 0
    for t in range(20):
        if t >= start:
            count += 1
            weight = (1 + eta) / (count + eta)
            difference = iterates[t] - mean
            mean, variance = mean + weight * difference, (1 - weight) * (variance + weight * difference**2)
    np.testing.assert_allclose(run.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(run.variance, variance, rtol=1e-12)
    assert (run.averaged == count).all()
    if eta == 0 and count:
        np.testing.assert_allclose(run.variance, iterates[int(start) :].var(axis=0), rtol=1e-10)


@pytest.mark.parametrize(
    ("mode", "code", "where"),
    [(STATUS, 3, (-1, -1)), (VALUE, layout.VALUE_NOT_FINITE, (-1, -1)), (GRADIENT, layout.GRADIENT_NOT_FINITE, (0, 2))],
)
@pytest.mark.parametrize("bad", [0, 1, 13, 20])
def test_a_bad_evaluation_puts_back_the_last_good_parameters(helpers, quadratic, momentum, mode, code, where, bad):
    """Steps run in chunks of 20: the bad step is the first of all, an early one, one in the middle, the first of a chunk."""
    run = Run(helpers, quadratic, momentum, fail=(bad, mode), noise=False)
    good, history = run(0, 20)
    if bad == 20:
        assert good == 20
        good, history = run(20, 20)
    assert good == bad % 20 and np.isfinite(history[:good]).all() and np.isnan(history[good:]).all()
    assert run.state.tolist() == [code, *where, 0]
    theta, velocity, _ = run.by_hand(bad)
    last = max(bad - 1, 0)  # the parameters of the last finite value
    np.testing.assert_allclose(run.theta, theta[last], rtol=1e-12)
    np.testing.assert_allclose(run.velocity, velocity[last], rtol=1e-12)
    assert (run.visits == last).all()
    again, _ = run(bad, 5)
    assert again == 0
    np.testing.assert_allclose(run.theta, theta[last], rtol=1e-12, err_msg="failing again moves no parameter")
    run.table[8] = -1
    assert run(bad, 5)[0] == 5, "and training can go on"


def test_an_update_that_is_not_finite_is_taken_back(helpers, quadratic, momentum):
    run = Run(helpers, quadratic, momentum, fail=(6, UPDATE), noise=False)
    good, history = run(0, 20)
    assert good == 6 and run.state.tolist() == [layout.PARAMETER_NOT_FINITE, 0, 1, 0]
    theta, velocity, _ = run.by_hand(7)
    np.testing.assert_allclose(run.theta, theta[6], rtol=1e-12)
    np.testing.assert_allclose(run.velocity, velocity[6], rtol=1e-12)


def test_one_count_for_all_coordinates(helpers, quadratic, momentum):
    """The same path, averages and variances as with a count for each."""
    each, together = (Run(helpers, quadratic, momentum, average=Average(start=4, eta=3.0)) for _ in range(2))
    visits, averaged = np.zeros(1), np.zeros(1)
    arrays = (together.theta, together.gradient, visits, together.mean, together.variance, averaged, together.kept)
    together.segments = Segment(*arrays).row()[None]
    each(0, 20), together(0, 20)
    for name in ("theta", "velocity", "mean", "variance"):
        np.testing.assert_allclose(getattr(together, name), getattr(each, name), rtol=1e-13, err_msg=name)
    assert visits[0] == 20 and averaged[0] == 16 and not together.visits.any() and not together.averaged.any()


def test_sums_speak_for_vectors_unless_they_overflow(helpers, quadratic, momentum):
    """An update that leaves a sum keeps the parameters itself: the loop keeps nothing. A sum of inf makes the loop look for itself."""
    run = Run(helpers, quadratic, momentum, fail=(6, STATUS), noise=False, protect_all=False)
    total, gradient_total = np.array([np.inf]), np.array([-np.inf])
    run.kept[:] = 7.0
    averages = (run.mean, run.variance, run.averaged)
    run.segments = Segment(run.theta, run.gradient, run.visits, *averages, run.kept, total, gradient_total).row()[None]
    assert run(0, 20)[0] == 6
    np.testing.assert_array_equal(run.theta, 7.0)
    run.table[8:] = (8, GRADIENT)
    assert run(7, 5)[0] == 1 and run.state[layout.STATE_CODE] == layout.GRADIENT_NOT_FINITE


def test_only_parameters_are_put_back_if_only_they_are_kept(helpers, quadratic, momentum):
    run = Run(helpers, quadratic, momentum, fail=(6, STATUS), noise=False, protect_all=False)
    assert run(0, 20)[0] == 6
    theta, velocity, _ = run.by_hand(7)
    np.testing.assert_allclose(run.theta, theta[5], rtol=1e-12)
    np.testing.assert_allclose(run.velocity, velocity[6], rtol=1e-12)


def test_evaluation_moves_nothing(helpers, quadratic, momentum):
    run = Run(helpers, quadratic, momentum, fail=(8, VALUE))
    history = np.full(10, np.nan)
    evaluate = helpers.evaluation_loop(False)
    good = evaluate(quadratic, run.table, run.key, run.value, 0, 10, history, run.state, None, None, None)
    assert good == 8 and run.state[layout.STATE_CODE] == layout.VALUE_NOT_FINITE
    np.testing.assert_array_equal(history[:8], -0.5 * np.sum(run.centre**2))
    assert not run.block.any()


def test_the_loop_is_compiled_once_per_machine(helpers, helper_file):
    """A second process finds the machine code beside the helper module."""
    helpers.training_loop(False)
    code = f"import sys; sys.path.insert(0, {str(helper_file.parent)!r}); import joined_helpers as h; s = h.training_loop(False).stats; "
    code += "assert sum(s.cache_hits.values()) == 1 and not s.cache_misses, s"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
