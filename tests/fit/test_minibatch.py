"""T15: over one whole epoch the mean of the minibatch bound and gradient is the full bound and gradient, through the compiled path."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

import symvi as sv
from symvi.fit.leaves import Sizes, as_values
from symvi.fit.objective import Objective
from symvi.fit.trainer import Trainer
from symvi.optim import Adam, Momentum
from symvi.vi.elbo import elbo

RNG = np.random.default_rng(3)


@dataclass
class Problem:
    """A bound with its data, the dim that is batched, and how many rows of a step."""

    bound: object
    data: dict
    dim: object
    rows: int
    epoch: int
    sizes: dict = field(default_factory=dict)

    def __post_init__(self):
        whole, batched = Objective(self.bound, "bound"), Objective(self.bound, "bound", batch_size={self.dim: self.rows})
        self.objectives = {"full": whole, "batch": batched}

    def trainer(self, which, raw=None, optimizer=None):
        objective, sizes = self.objectives[which], Sizes(self.sizes)
        given = as_values(self.data, objective.user_leaves)
        for leaf, array in given.items():
            sizes.learn_from(leaf, np.asarray(array))
        if raw is None:
            start = objective.initial(sizes)
            rng = np.random.default_rng(0)
            raw = {leaf: 0.3 * rng.standard_normal(array.shape) for leaf, array in start.items()}
        return Trainer(objective, given, optimizer or Adam(), sizes, 5, raw)


def logistic() -> Problem:
    N, D = sv.dims("N D")
    X, y, w = sv.data("X", N, D), sv.data("y", N), sv.param("w", D, init=0.0)
    bound = sv.sum(y * (X @ w) - sv.softplus(X @ w)) - 0.5 * sv.sum(w**2)
    data = {X: RNG.normal(size=(12, 3)), y: RNG.integers(0, 2, 12).astype(float)}
    return Problem(bound, data, N, 3, 4)


def unknown_scale() -> Problem:
    """The derivative by the scale sums a constant over the rows: it counts those of the batch, as the bound does."""
    N = sv.dim("N")
    y, log_scale, shift = sv.data("y", N), sv.param("log_scale", init=0.1), sv.param("shift", init=0.3)
    bound = sv.Normal.dist(shift, sv.exp(log_scale)).logp(y).sum() - 0.5 * shift**2
    return Problem(bound, {y: RNG.normal(size=12)}, N, 3, 4)


def local_latents() -> Problem:
    """y_n ~ N(z_n, 1/2), z_n ~ N(mu, 1): the bound is closed, its local parameters travel with their rows."""
    N = sv.dim("N")
    mu = sv.Normal("mu", 0, 2)
    z = sv.Normal("z", mu, 1, shape=N)
    y = sv.Normal("y", z, 0.5)
    bound = elbo(y, {mu: sv.Delta()}, default="meanfield")
    return Problem(bound, {"y": RNG.normal(size=12)}, N, 4, 3)


def groups() -> Problem:
    """Rows that belong to groups, of different sizes; the groups are batched, with a parameter and a latent for each."""
    N, J = sv.dims("N J")
    g = sv.data("g", N, dtype=sv.index(J))
    x = sv.data("x", N)
    b = sv.param("b", init=0.2)
    a = sv.Normal("a", 0, 1, shape=J)
    y = sv.Normal("y", a[g] + b * x, 0.7)
    index = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5, 5])
    bound = elbo(y, "meanfield")
    return Problem(bound, {"g": index, "x": RNG.normal(size=13), "y": RNG.normal(size=13)}, J, 2, 3, {J: 6})


@pytest.fixture(scope="module", params=[logistic, unknown_scale, local_latents, groups], ids=lambda make: make.__name__)
def problem(request):
    return request.param()


def test_an_epoch_adds_up_to_the_full_bound(problem):
    full, batch = problem.trainer("full"), problem.trainer("batch")
    assert not full.objective.is_stochastic
    value = full.evaluate(1)[0]
    values, gradients, visits = [], {leaf: 0.0 for leaf in full.leaves}, {leaf: 0 for leaf in batch.locals}
    for step in range(problem.epoch):
        values.append(batch.evaluate(1, 0, step)[0])
        for leaf in full.leaves:
            gradient = batch.gradients[leaf]
            if leaf in batch.locals:
                rows = batch.plan.rows(str(problem.dim))
                whole = np.zeros(full.gradients[leaf].shape)
                whole[rows] = gradient
                gradient, visits[leaf] = whole, visits[leaf] + np.bincount(rows, minlength=len(whole))
            gradients[leaf] = gradients[leaf] + gradient / problem.epoch
    np.testing.assert_allclose(np.mean(values), value, rtol=1e-10)
    for leaf in full.leaves:
        np.testing.assert_allclose(gradients[leaf], full.gradients[leaf], rtol=1e-10, atol=1e-10, err_msg=leaf.name)
    assert all(np.all(count == 1) for count in visits.values())  # every row once


def test_what_is_not_visited_does_not_move(problem):
    batch = problem.trainer("batch", optimizer=Momentum(rate=0.01))
    before = batch.raw_parameters()
    batch.run(1)
    if not batch.locals:
        assert all(np.all(array != before[leaf]) for leaf, array in batch.raw_parameters().items())
        return
    rows = batch.plan.rows(str(problem.dim))
    others = np.setdiff1d(np.arange(problem.rows * problem.epoch), rows)
    for leaf in batch.locals:
        state = batch.local_state[leaf]
        assert np.all(batch.views[leaf][others] == before[leaf][others]) and np.all(batch.views[leaf][rows] != before[leaf][rows])
        assert np.all(state["visits"][rows] == 1) and np.all(state["visits"][others] == 0)
        assert all(np.all(state[name][others] == 0) for name in batch.optimizer.slots)
    batch.run(problem.epoch - 1)
    assert all(np.all(batch.local_state[leaf]["visits"] == 1) for leaf in batch.locals)


def test_the_last_rows_of_an_epoch_are_left_out():
    N = sv.dim("N")
    x, m = sv.data("x", N), sv.param("m", init=0.0)
    problem = Problem(-0.5 * sv.sum((x - m) ** 2), {x: np.arange(10.0)}, N, 4, 2)
    batch = problem.trainer("batch")
    seen = [batch.evaluate(1, 0, step)[0] is not None and batch.plan.rows("N").copy() for step in range(2)]
    assert len(np.unique(np.concatenate(seen))) == 8
    more = problem.trainer("batch").evaluate(20_000)
    full = problem.trainer("full").evaluate(1)[0]
    assert abs(more.mean() - full) < 4 * more.std() / np.sqrt(more.size)


# ------------------------------------------------------------------------------------------------- dims that are no plates
def refused(bound, data, dim, match):
    with pytest.raises(sv.PlateError, match=match) as caught:
        sv.maximize(bound, data, steps=1, batch_size={dim: 2}, progress=False)
    assert "test_minibatch.py:" in str(caught.value)


def test_what_cannot_be_batched_is_named_with_its_line():
    N, M = sv.dims("N M")
    x, y, m = sv.data("x", N), sv.data("y", N), sv.param("m", init=0.5)
    data = {x: np.arange(4.0), y: np.ones(4)}
    K = sv.exp(-((x[:, None] - x[None, :]) ** 2)) + m**2 * sv.eye(N)
    refused(-y @ sv.linalg.solve(K, y) - sv.linalg.logdet(K), data, N, "N cannot be minibatched.*(solve|logdet|inverse|pairs|joint)")
    refused(sv.log(sv.mean((x - m) ** 2)), data, N, "inside log")
    refused(-sv.sum((x[1:] - m * x[:-1]) ** 2), {x: np.arange(4.0)}, N, "N cannot be minibatched")
    refused(sv.sum(x * m) ** 2, {x: np.arange(4.0)}, N, "power|multiplied")
    with pytest.raises(sv.PlateError, match="no leaf of the bound has the dim M"):
        sv.maximize(-sv.sum((x - m) ** 2), {x: np.arange(4.0)}, batch_size={M: 2}, progress=False)


def test_a_gaussian_process_cannot_be_batched_in_fit():
    N = sv.dim("N")
    x = sv.data("x", N)
    f = sv.MvNormal("f", sv.zeros(N), covariance=sv.exp(-((x[:, None] - x[None, :]) ** 2)) + 0.1 * sv.eye(N))
    y = sv.Bernoulli("y", logits=f)
    with pytest.raises(sv.PlateError, match="N cannot be minibatched"):
        sv.fit(y, {x: np.arange(6.0), y: np.ones(6)}, batch_size={N: 2}, progress=False)
