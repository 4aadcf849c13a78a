"""Every optimiser, as expressions read by the reference interpreter, against the recursion of its paper in plain NumPy over 50 steps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from symvi.array.leaves import data
from symvi.errors import ExpressionError
from symvi.expr.dims import dim
from symvi.optim import SGD, AdaDelta, AdaGrad, Adam, Momentum, Nesterov, RMSProp, RobbinsMonro
from symvi.oracle.interpreter import evaluate

P = dim("P")
STEPS, SIZE = 50, 4
SCALES = np.array([1.0, 10.0, 0.1, 1.0])
START = np.array([1.0, -2.0, 0.5, 3.0])


def gradient_of(theta, step, rng):
    """A noisy quadratic; the last coordinate's gradient is exactly zero at every third step."""
    gradient = SCALES * (1.0 - theta) + 0.3 * rng.normal(size=theta.size)
    gradient[-1] *= step % 3 > 0
    return gradient


class Steps:
    """The update expressions of an optimiser over leaves, applied step by step by the interpreter."""

    def __init__(self, optimizer, start):
        self.theta, self.gradient, self.visits, self.step = data("theta", P), data("g", P), data("visits", P), data("step")
        self.slots = {name: data(name, P) for name in optimizer.slots}
        self.updates = optimizer.updates(self.theta, self.gradient, self.slots, self.visits, self.step)
        self.state = {"theta": np.array(start, float)} | {name: np.full(len(start), value) for name, value in optimizer.slots.items()}

    def __call__(self, gradient, visits, step):
        """The new state; the old one stays in `state`."""
        leaves = {"theta": self.theta, **self.slots}
        values = {leaves[name].leaf: value for name, value in self.state.items()}
        values |= {self.gradient.leaf: np.asarray(gradient), self.visits.leaf: np.asarray(visits), self.step.leaf: np.array(float(step))}
        results = evaluate([update.term for update in self.updates.values()], values, {"P": len(gradient)})
        return dict(zip(self.updates, results))


def run_expressions(optimizer, seldom=None):
    """Iterates of the update expressions. Coordinates in `seldom` are updated at every second step only, and count their own visits."""
    steps = Steps(optimizer, START)
    assert set(steps.updates) == {"theta", *optimizer.slots}
    assert all(update.shape == (P,) and update.kind == "f" for update in steps.updates.values())
    visits, rng, path = np.zeros(SIZE), np.random.default_rng(1), []
    for t in range(STEPS):
        new = steps(gradient_of(steps.state["theta"], t, rng), visits, t)
        active = np.ones(SIZE, bool)
        if seldom is not None and t % 2:
            active[seldom] = False
        steps.state = {name: np.where(active, new[name], steps.state[name]) for name in new}
        visits = visits + active
        path.append(steps.state["theta"])
    return np.array(path)


def run_paper(step_of):
    """Iterates of `theta += step_of(gradient, t)` with t = 1, 2, ...; the closure keeps the state of the paper's recursion."""
    theta, rng, path = START.copy(), np.random.default_rng(1), []
    for t in range(STEPS):
        theta = theta + step_of(gradient_of(theta, t, rng), t + 1)
        path.append(theta)
    return np.array(path)


def sgd(g, t):
    return 0.02 * g


class PolyakMomentum:
    v = 0.0

    def __call__(self, g, t):
        self.v = 0.9 * self.v + 0.02 * g
        return self.v


class NesterovAtLookAhead:
    """Nesterov's method itself: it keeps x and reads the gradient at x + mu v; the path is the path of these points."""

    v = 0.0

    def __call__(self, g, t):
        old = self.v
        self.v = 0.8 * old + 0.02 * g  # x moves by the new v; the next look-ahead point is x + 0.8 v
        return self.v + 0.8 * (self.v - old)


class DuchiAdaGrad:
    s = 0.0

    def __call__(self, g, t):
        self.s = self.s + g * g
        return 0.1 * g / (np.sqrt(self.s) + 1e-8)


class ZeilerAdaDelta:
    squares = steps = 0.0

    def __call__(self, g, t):
        self.squares = 0.95 * self.squares + 0.05 * g**2
        move = np.sqrt(self.steps + 1e-6) / np.sqrt(self.squares + 1e-6) * g
        self.steps = 0.95 * self.steps + 0.05 * move**2
        return move


class TutorialRMSProp:
    """With agreement: a rate per coordinate, first 1e-2, times 1 + a where two steps agree in sign, else 1 - a, in [1e-6, 10]."""

    def __init__(self, agreement=None):
        self.agreement, self.r, self.rate, self.last = agreement, 0.0, np.full(SIZE, 1e-2), None

    def __call__(self, g, t):
        self.r = 0.1 * g**2 + 0.9 * self.r
        direction = g / (np.sqrt(self.r) + 1e-8)
        if self.agreement is not None and self.last is not None:
            for i in range(SIZE):
                self.rate[i] *= 1 + self.agreement if direction[i] * self.last[i] > 0 else 1 - self.agreement
                self.rate[i] = min(max(self.rate[i], 1e-6), 10.0)
        self.last = direction
        return self.rate * direction


class KingmaBaAdam:
    m = v = 0.0

    def __call__(self, g, t):
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        return 0.05 * (self.m / (1 - 0.9**t)) / (np.sqrt(self.v / (1 - 0.999**t)) + 1e-8)


CASES = {
    "sgd": (SGD(0.02), lambda: sgd),
    "sgd, Robbins-Monro": (SGD(RobbinsMonro(0.05, offset=5, power=0.6)), lambda: lambda g, t: 0.05 * (1 + (t - 1) / 5) ** -0.6 * g),
    "momentum": (Momentum(0.02), PolyakMomentum),
    "nesterov": (Nesterov(0.02, momentum=0.8), NesterovAtLookAhead),
    "adagrad": (AdaGrad(0.1), DuchiAdaGrad),
    "adadelta": (AdaDelta(), ZeilerAdaDelta),
    "rmsprop": (RMSProp(), TutorialRMSProp),
    "rmsprop, agreement": (RMSProp(agreement=0.2), lambda: TutorialRMSProp(0.2)),
    "rmsprop, much agreement": (RMSProp(agreement=0.9), lambda: TutorialRMSProp(0.9)),
    "adam": (Adam(0.05), KingmaBaAdam),
}


@pytest.mark.parametrize("case", CASES)
def test_updates_are_those_of_the_paper(case):
    optimizer, paper = CASES[case]
    np.testing.assert_allclose(run_expressions(optimizer), run_paper(paper()), rtol=1e-9, atol=1e-11)


def test_agreement_reaches_both_limits():
    """A gradient of constant sign drives the rate to 10, a coordinate without gradient to 1e-6; no update is NaN."""
    steps = Steps(RMSProp(agreement=0.9), np.zeros(2))
    for t in range(30):
        steps.state = steps(np.array([1.0, 0.0]), np.full(2, float(t)), t)
    np.testing.assert_allclose(steps.state["rate"], [10.0, 1e-6])
    assert np.isfinite(steps.state["theta"]).all() and steps.state["theta"][1] == 0.0


def test_a_seldom_visited_coordinate_is_corrected_by_its_own_visits():
    """Adam's first steps have size `rate` whatever the gradient, also where the first visit comes late."""
    optimizer = Adam(0.05)
    path = run_expressions(optimizer, seldom=2)
    always = run_expressions(optimizer)
    assert (path[1::2, 2] == path[0::2, 2]).all(), "an unvisited coordinate does not move"
    np.testing.assert_array_equal(path[:, [0, 1, 3]], always[:, [0, 1, 3]])
    first = Steps(optimizer, np.zeros(3))([1e-3, 5.0, -1e3], np.zeros(3), 1000)
    np.testing.assert_allclose(first["theta"], [0.05, 0.05, -0.05], rtol=1e-4)


def test_minimising_is_outside():
    """A positive gradient moves every optimiser up."""
    for optimizer, _ in CASES.values():
        assert Steps(optimizer, [0.0])([2.0], [0.0], 0)["theta"][0] > 0, optimizer


def test_a_rate_may_be_an_expression():
    rate = data("rate")
    theta, gradient, step = data("theta", P), data("g", P), data("step")
    update = SGD(rate).updates(theta, gradient, {}, gradient, step)["theta"]
    assert update == theta + rate * gradient


def test_the_text_of_an_optimizer_holds_its_options():
    """What a cache key is made of."""
    assert repr(RMSProp(agreement=0.2)) == "RMSProp(rate=0.01, decay=0.9, agreement=0.2, epsilon=1e-08)"
    assert repr(SGD(RobbinsMonro(1.0))) == "SGD(rate=RobbinsMonro(rate=1.0, offset=1.0, power=0.75))"
    assert RMSProp() == RMSProp() != RMSProp(decay=0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SGD(-1.0), lambda: SGD(0), lambda: SGD(math.nan), lambda: SGD("fast"), lambda: SGD(True),
        lambda: Momentum(0.1, momentum=1.0), lambda: Adam(beta2=1.0), lambda: Adam(epsilon=-1e-8), lambda: RMSProp(agreement=1.0),
        lambda: RMSProp(decay=None), lambda: RMSProp(RobbinsMonro(0.1), agreement=0.2), lambda: SGD(data("rates", P)),
    ],
)  # fmt: skip
def test_options_outside_their_range_are_refused(wrong):
    with pytest.raises(ExpressionError):
        wrong()
