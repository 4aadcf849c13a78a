"""Schedules against their formulas, at the first step, around boundaries, and far away."""

from __future__ import annotations

import numpy as np
import pytest

from symvi.array.leaves import data
from symvi.errors import ExpressionError
from symvi.expr.dims import dim
from symvi.optim import (
    Average,
    Constant,
    CosineDecay,
    ExponentialDecay,
    Halving,
    Piecewise,
    RobbinsMonro,
    Warmup,
    as_schedule,
)
from symvi.optim.averaging import NEVER
from symvi.oracle.interpreter import evaluate, evaluate_one

STEPS = np.array([0.0, 1.0, 9.0, 10.0, 11.0, 19.0, 20.0, 21.0, 99.0, 100.0, 101.0, 1e6])
CASES = {
    "constant": (Constant(0.3), lambda t: 0.3),
    "Robbins-Monro": (RobbinsMonro(0.5, offset=10, power=0.7), lambda t: 0.5 * (10 / (10 + t)) ** 0.7),
    "1 / t": (RobbinsMonro(2.0, power=1), lambda t: 2.0 / (1 + t)),
    "exponential": (ExponentialDecay(0.2, factor=0.9, every=10), lambda t: 0.2 * 0.9 ** (t / 10)),
    "cosine": (CosineDecay(1.0, steps=100, last=0.1), lambda t: 0.1 + 0.45 * (1 + np.cos(np.pi * min(t, 100) / 100))),
    "piecewise": (Piecewise([1.0, 0.5, 0.0], [10, 20]), lambda t: 1.0 if t < 10 else 0.5 if t < 20 else 0.0),
    "halving": (Halving(0.8, every=10), lambda t: 0.8 * 0.5 ** (t // 10)),
    "warm-up": (Warmup(Halving(0.8, every=20), steps=10), lambda t: min((t + 1) / 10, 1) * 0.8 * 0.5 ** (t // 20)),
    "warm-up of a number": (Warmup(0.8, steps=20), lambda t: min((t + 1) / 20, 1) * 0.8),
}


@pytest.mark.parametrize("case", CASES)
def test_schedule(case):
    schedule, formula = CASES[case]
    step = data("step")
    rate = schedule(step)
    assert rate.shape == ()
    for t in STEPS:
        np.testing.assert_allclose(evaluate_one(rate.term, {step.leaf: np.array(t)}), formula(t), rtol=1e-12, atol=1e-300)


def test_robbins_monro_sums():
    """Sums grow without bound, sums of squares do not: doubling the horizon adds ever more to the one and ever less to the other."""
    for power in (0.51, 0.75, 1.0):
        t = np.arange(2**22)
        rates = (1 + t / 1.0) ** -power
        blocks = [rates[2**k : 2 ** (k + 1)] for k in range(10, 22)]
        sums, squares = [b.sum() for b in blocks], [(b**2).sum() for b in blocks]
        assert sums[-1] >= 0.99 * sums[0] > 0.1 and squares[-1] < squares[0]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: RobbinsMonro(1.0, power=0.5), lambda: RobbinsMonro(1.0, power=1.1), lambda: RobbinsMonro(0.0),
        lambda: Halving(1.0, every=0), lambda: Piecewise([1.0], [10]), lambda: Piecewise([1.0, 0.5, 0.2], [10, 10]),
        lambda: Piecewise([1.0, -0.5], [10]), lambda: CosineDecay(1.0, steps=10, last=2.0), lambda: Constant(np.inf),
        lambda: as_schedule(None), lambda: Average(eta=-1.0),
    ],
)  # fmt: skip
def test_options_outside_their_range_are_refused(wrong):
    with pytest.raises(ExpressionError):
        wrong()


@pytest.mark.parametrize("eta", [0.0, 3.0])
def test_averages_of_iterates(eta):
    """Mean and variance are those of explicit weights; eta = 0 is the plain mean."""
    P = dim("P")
    theta, mean, variance, count = data("theta", P), data("mean", P), data("variance", P), data("count", P)
    average = Average(start=10, eta=eta)
    updates = average.updates(theta, mean, variance, count)
    rng, size = np.random.default_rng(0), 30
    iterates = rng.normal(size=(size, 2))
    state = {name: np.zeros(2) for name in updates}
    for x in iterates:
        values = {theta.leaf: x, mean.leaf: state["mean"], variance.leaf: state["variance"], count.leaf: state["count"]}
        state = dict(zip(updates, evaluate([update.term for update in updates.values()], values, {"P": 2})))
    weights = np.zeros(size)
    for n in range(1, size + 1):
        new = (1 + eta) / (n + eta)
        weights *= 1 - new
        weights[n - 1] = new
    expected = weights @ iterates
    np.testing.assert_allclose(weights.sum(), 1)
    np.testing.assert_allclose(state["mean"], expected, rtol=1e-12)
    np.testing.assert_allclose(state["variance"], weights @ (iterates - expected) ** 2, rtol=1e-12)
    assert (state["count"] == size).all()
    if eta == 0:
        np.testing.assert_allclose(state["mean"], iterates.mean(axis=0))
    assert average.settings().tolist() == [10.0, eta] and NEVER.settings()[0] == np.inf
