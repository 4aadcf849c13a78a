"""Minibatches in the compiled loop: rows and groups, exactness over an epoch, local parameters, undoing, copies of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from symvi.fit import loop_layout as layout
from symvi.fit.batch_plan import BatchPlan
from symvi.fit.loop_layout import Segment
from symvi.optim import Average
from symvi.optim.averaging import NEVER

OPTIONS = dict(error_model="numpy", nogil=True, fastmath={"reassoc", "nsz", "contract"})
GROUPS = np.random.default_rng(7).integers(0, 12, size=57)
GROUPS[GROUPS == 4] = 5  # group 4 is empty


def address(array):
    return array.ctypes.data


@pytest.fixture(scope="module")
def regression(helpers):
    """scale (sum over n of -(y_n - w x_n - m_g(n))^2 / 2 - sum over j of m_j^2 / 2) - w^2 / 2 and its gradient, on batch buffers."""
    real64_at, int64_at = helpers.real64_at, helpers.int64_at

    @njit(helpers.ENTRY.signature, **OPTIONS)
    def regression(table):
        rows, groups = table[0], table[1]
        w, g_w, value = real64_at(table[2], 1), real64_at(table[3], 1), real64_at(table[4], 1)
        x, y, g = real64_at(table[5], rows), real64_at(table[6], rows), int64_at(table[7], rows)
        m, g_m = real64_at(table[8], groups), real64_at(table[9], groups)
        scale, key = real64_at(table[10], 1)[0], int64_at(table[11], 3)
        total, slope = 0.0, 0.0
        for j in range(groups):
            total -= 0.5 * m[j] * m[j]
            g_m[j] = -scale * m[j]
        for n in range(rows):
            r = y[n] - w[0] * x[n] - m[g[n]]
            total -= 0.5 * r * r
            slope += r * x[n]
            g_m[g[n]] += scale * r
        value[0] = scale * total - 0.5 * w[0] * w[0]
        g_w[0] = scale * slope - w[0]
        return 3 if key[2] == table[12] else 0

    return regression


class BatchRun:
    """Regression with an intercept per group: groups sampled with their rows, or (`grouped=False`) rows sampled, each its own group."""

    def __init__(self, helpers, kernel, update, g, groups, batch, grouped=True, seed=5, fail=-1, rate=0.05):
        rng = np.random.default_rng(0)
        self.helpers, self.kernel, self.update = helpers, kernel, update
        self.g, self.groups, n = g, groups, g.size
        self.x, self.y, self.m = rng.normal(size=n), rng.normal(size=n), rng.normal(size=groups)
        self.velocity, self.visits, self.mean, self.variance, self.averaged = np.zeros((5, groups))
        self.w, self.g_w, self.v_w, self.visits_w, self.value, self.step_value = np.ones((1, 1)).repeat(6, 0)
        self.v_w[:], self.visits_w[:] = 0, 0
        self.plan = plan = BatchPlan()
        if grouped:
            plan.sample("J", groups, batch)
            plan.belonging("N", "J", g)
        else:
            plan.sample("J", n, batch)
        rows, local = ("N" if grouped else "J"), "J"
        x_b, y_b = plan.carry("x", self.x, {0: rows}), plan.carry("y", self.y, {0: rows})
        g_b = plan.positions("N") if grouped else np.arange(plan.capacity("J"))
        names = ("m", "velocity", "visits", "mean", "variance", "averaged")
        m_b, velocity_b, visits_b, *average_b = (plan.carry(name, getattr(self, name), {0: local}, scatter=True) for name in names)
        self.gradient_b, self.scale, self.key = np.zeros(m_b.size), np.array([plan.scale(rows)]), np.array([seed, 0, 0])
        self.alive = (g_b, m_b, velocity_b, visits_b, average_b)
        kept = np.zeros(1)
        self.segments = np.array([Segment(self.w, self.g_w, self.visits_w, kept=kept).row(),
                                  Segment(m_b, self.gradient_b, visits_b, *average_b).row()])  # fmt: skip
        self.tables = np.array([[1, *map(address, (self.w, self.g_w, self.v_w, self.step_value))],
                                [0, *map(address, (m_b, self.gradient_b, velocity_b, self.step_value))]])  # fmt: skip
        arrays = (self.w, self.g_w, self.value, x_b, y_b, g_b, m_b, self.gradient_b, self.scale, self.key)
        self.table = np.array([0, 0, *map(address, arrays), fail])
        self.kept = kept
        plan.extent(self.table, 0, rows)
        plan.extent(self.table, 1, local)
        plan.extent(self.tables[1], 0, local)
        plan.extent(self.segments[1], layout.SEGMENT_SIZE, local)
        self.plates, self.copies, self.extents = plan.arrays()
        self.state = np.zeros(layout.STATE_FIELDS, np.int64)
        self.rows_name = rows

    def __call__(self, first, steps, average=NEVER):
        history = np.zeros(steps)
        good = self.helpers.training_loop(True)(
            self.kernel, self.table, self.update, self.tables, self.segments, self.key, self.value, self.step_value, first, steps, history,
            average.settings(), self.state, self.plates, self.copies, self.extents)  # fmt: skip
        return good, history

    def rows(self, dim):
        number = list(self.plan._plates).index(dim)
        return self.plan.rows(dim)[: self.plates[number, layout.PLATE_COUNT]].copy()

    def full(self):
        """The full bound and its gradients."""
        r = self.y - self.w[0] * self.x - self.m[self.g]
        value = -0.5 * np.sum(r**2) - 0.5 * np.sum(self.m**2) - 0.5 * self.w[0] ** 2
        return value, np.sum(r * self.x) - self.w[0], np.bincount(self.g, r, self.groups) - self.m


@pytest.mark.parametrize(("grouped", "batch"), [(True, 1), (True, 4), (True, 12), (True, 99), (False, 3), (False, 19)])
def test_an_epoch_of_minibatches_is_the_full_bound(helpers, regression, still, grouped, batch):
    """Where the batch size divides the size: every row once, and the means over the epoch are the full value and gradient."""
    g = GROUPS if grouped else np.arange(57)
    run = BatchRun(helpers, regression, still, g, 12 if grouped else 57, batch, grouped)
    sampled = min(batch, run.groups)
    epoch = run.groups // sampled
    for first in (0, epoch):  # two epochs
        values, slopes, local, seen, elements = [], [], np.zeros(run.groups), [], []
        for step in range(first, first + epoch):
            good, history = run(step, 1)
            assert good == 1
            chosen = run.rows("J")
            assert chosen.size == sampled == len(set(chosen))
            values.append(history[0])
            slopes.append(run.g_w[0])
            local[chosen] += run.gradient_b[: chosen.size]
            seen.append(run.rows(run.rows_name))
            elements.append(chosen)
            if grouped:
                assert set(run.g[seen[-1]]) <= set(chosen)
        assert sorted(np.concatenate(seen)) == list(range(57)), "every row once"
        assert sorted(np.concatenate(elements)) == list(range(run.groups)), "every group once"
        value, slope, gradient = run.full()
        np.testing.assert_allclose(np.mean(values), value, rtol=1e-12)
        np.testing.assert_allclose(np.mean(slopes), slope, rtol=1e-11)
        np.testing.assert_allclose(local / epoch, gradient, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("grouped", [True, False])
def test_unvisited_rows_do_not_move_and_count_their_own_visits(helpers, regression, momentum, grouped):
    g = GROUPS if grouped else np.arange(57)
    run, copy = (BatchRun(helpers, regression, momentum, g, 12 if grouped else 57, 5, grouped) for _ in range(2))
    visits, m, velocity, w, v_w = np.zeros(run.groups), run.m.copy(), np.zeros(run.groups), 1.0, 0.0
    counts, mean = np.zeros(run.groups), np.zeros(run.groups)
    for step in range(25):
        good, history = run(step, 1, Average(start=6))
        assert good == 1
        chosen = run.rows("J")
        inside = np.isin(run.g, chosen)
        scale = run.groups / 5
        r = np.where(inside, run.y - w * run.x - m[run.g], 0.0)
        np.testing.assert_allclose(history[0], scale * (-0.5 * np.sum(r**2) - 0.5 * np.sum(m[chosen] ** 2)) - 0.5 * w * w, rtol=1e-12)
        g_m = scale * (np.bincount(run.g, r, run.groups) - m)
        g_w = scale * np.sum(r * run.x) - w
        if step >= 6:
            counts[chosen] += 1
            mean[chosen] += (m[chosen] - mean[chosen]) / counts[chosen]
        velocity[chosen] = 0.5 * velocity[chosen] + 0.1 / (1 + step) * g_m[chosen]
        v_w = 0.5 * v_w + 0.1 / (1 + step) * g_w
        m[chosen] += velocity[chosen]
        w += v_w
        visits[chosen] += 1
        np.testing.assert_allclose(run.m, m, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(run.visits, visits)
    np.testing.assert_allclose(run.w[0], w, rtol=1e-9)
    np.testing.assert_allclose(run.velocity, velocity, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run.mean, mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(run.averaged, counts)
    assert copy(0, 25, Average(start=6))[0] == 25
    np.testing.assert_array_equal(copy.m, run.m, err_msg="one call of 25 steps is 25 calls, bit for bit")
    np.testing.assert_array_equal(copy.variance, run.variance)


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("bad", [0, 1, 9])
def test_a_bad_minibatch_step_undoes_the_last_scatter(helpers, regression, momentum, grouped, bad):
    g = GROUPS if grouped else np.arange(57)
    run, reference = (
        BatchRun(helpers, regression, momentum, g, 12 if grouped else 57, 5, grouped, fail=fail) for fail in (bad, -1)
    )
    assert run(0, 20)[0] == bad and run.state[layout.STATE_CODE] == 3
    reference(0, max(bad - 1, 0))
    for name in ("w", "m", "velocity", "visits"):
        np.testing.assert_array_equal(getattr(run, name), getattr(reference, name), err_msg=name)
    run.table[12] = -1
    assert run(bad, 10)[0] == 10


def test_seeds_and_sizes_choose_rows(helpers, regression, still):
    """Equal seeds choose equal rows; N mod B rows of an epoch are left out, others in the next."""
    run, same, other = (BatchRun(helpers, regression, still, np.arange(57), 57, 10, False, seed=seed) for seed in (5, 5, 6))
    chosen = {id(r): [] for r in (run, same, other)}
    for step in range(10):
        for r in (run, same, other):
            r(step, 1)
            chosen[id(r)].append(r.rows("J"))
    np.testing.assert_array_equal(chosen[id(run)], chosen[id(same)])
    assert not np.array_equal(chosen[id(run)], chosen[id(other)])
    first, second = (np.concatenate(chosen[id(run)][5 * e : 5 * e + 5]) for e in (0, 1))
    assert len(set(first)) == len(set(second)) == 50 and set(first) != set(second)


def gather(helpers, plan, still, seed=11):
    """Fills the buffers of a plan for step 0."""
    plates, copies, extents = plan.arrays()
    key, real, state = np.array([seed, 0, 0]), np.zeros(1), np.zeros(layout.STATE_FIELDS, np.int64)
    helpers.evaluation_loop(True)(still, key, key, real, 0, 1, np.zeros(1), state, plates, copies, extents)
    return plates, copies


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_, np.int16])
@pytest.mark.parametrize("shape", [(30,), (30, 4), (3, 30), (2, 3, 30, 5), (30, 0)])
def test_every_dtype_and_layout_is_copied(helpers, still, dtype, shape):
    array = np.random.default_rng(1).integers(0, 2 if dtype is np.bool_ else 1000, size=shape).astype(dtype)
    axis = shape.index(30)
    plan = BatchPlan()
    plan.sample("N", 30, 7)
    buffer = plan.carry("array", array, {axis: "N"})
    back = np.zeros_like(array)
    target = plan.carry("back", back, {axis: "N"}, scatter=True)
    plates, copies = gather(helpers, plan, still)
    rows = plan.rows("N")
    np.testing.assert_array_equal(buffer, np.take(array, rows, axis=axis))
    target[:] = buffer
    helpers.scatter_batch(plates, copies)
    expected = np.zeros_like(array)
    index = [slice(None)] * array.ndim
    index[axis] = rows
    expected[tuple(index)] = array[tuple(index)]
    np.testing.assert_array_equal(back, expected)


def test_two_batched_axes(helpers, still):
    """An array over rows of groups and over a sampled dim of columns: copied in two stages, and back."""
    rng = np.random.default_rng(2)
    Y = rng.normal(size=(2, 57, 20, 3))
    original = Y.copy()
    plan = BatchPlan()
    plan.sample("J", 12, 3)
    plan.belonging("N", "J", GROUPS)
    plan.sample("M", 20, 6)
    buffer = plan.carry("Y", Y, {1: "N", 2: "M"}, scatter=True)
    plates, copies = gather(helpers, plan, still)
    n, m = plan.rows("N")[: plates[1, layout.PLATE_COUNT]], plan.rows("M")
    size = 2 * n.size * 6 * 3
    compact = buffer.reshape(-1)[:size].reshape(2, n.size, 6, 3)
    np.testing.assert_array_equal(compact, Y[:, n][:, :, m])
    compact += 1.0
    helpers.scatter_batch(plates, copies)
    expected = original.copy()
    expected[np.ix_([0, 1], n, m)] += 1.0
    np.testing.assert_array_equal(Y, expected)


def test_plates_of_one_size_get_different_rows(helpers, still):
    plan = BatchPlan()
    plan.sample("N", 40, 8)
    plan.sample("M", 40, 8)
    gather(helpers, plan, still)
    assert set(plan.rows("N")) != set(plan.rows("M"))


def test_rows_of_groups_of_groups(helpers, still):
    """K is sampled, J belongs to K, N to J; extents and positions follow."""
    rng = np.random.default_rng(3)
    of_j, of_n = rng.integers(0, 5, size=12), GROUPS
    plan = BatchPlan()
    plan.sample("K", 5, 2)
    plan.belonging("J", "K", of_j)
    plan.belonging("N", "J", of_n)
    x = np.arange(57.0)
    x_b = plan.carry("x", x, {0: "N"})
    sizes = np.zeros(3, np.int64)
    plan.extent(sizes, 0, "J")
    plan.extent(sizes, 2, "N", factor=4)
    counts = np.bincount(of_j[of_n], minlength=5)
    assert plan.capacity("N") == np.sort(counts)[-2:].sum() and sizes[2] == 4 * plan.capacity("N")
    assert plan.scale("N") == plan.scale("J") == plan.scale("K") == 2.5
    for seed in range(8):
        plates, _ = gather(helpers, plan, still, seed=seed)
        k, j, n = (plan.rows(dim)[: plates[i, layout.PLATE_COUNT]] for i, dim in enumerate("KJN"))
        assert set(j) == set(np.flatnonzero(np.isin(of_j, k))) and set(n) == set(np.flatnonzero(np.isin(of_n, j)))
        assert sizes.tolist() == [j.size, 0, 4 * n.size] and n.size <= plan.capacity("N")
        np.testing.assert_array_equal(k[plan.positions("J")[: j.size]], of_j[j])
        np.testing.assert_array_equal(j[plan.positions("N")[: n.size]], of_n[n])
        np.testing.assert_array_equal(x_b[: n.size], x[n])
