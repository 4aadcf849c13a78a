"""Directions in which a log-density does not fall: found where there are some, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from symvi.fit.flatness import escape


def judge(value, size):
    """The escape from the highest point that Newton's method finds."""

    def gradient(x, h=1e-5):
        return np.array([(value(x + h * e) - value(x - h * e)) / (2 * h) for e in np.eye(size)])

    def hessian(x, h=1e-4):
        return -np.array([(gradient(x + h * e) - gradient(x - h * e)) / (2 * h) for e in np.eye(size)])

    result = optimize.minimize(lambda x: -value(x), np.full(size, 0.1), method="BFGS", options={"gtol": 1e-6})
    matrix = hessian(result.x)
    return escape(value, result.x, gradient(result.x), (matrix + matrix.T) / 2)


PROPER = {
    "normal": lambda x: -0.5 * np.sum(x**2),
    "correlated": lambda x: -0.5 * (x[0] ** 2 + x[1] ** 2 - 1.9998 * x[0] * x[1]),
    "narrow and wide": lambda x: -0.5 * (1e6 * x[0] ** 2 + 1e-6 * x[1] ** 2),
    "cauchy": lambda x: -np.sum(np.log1p(x**2)),
    "log of a scale": lambda x: np.sum(x - np.log1p(np.exp(2 * x))),
    "two exponential tails": lambda x: -np.sum(np.logaddexp(3 * x, -x)),
}
IMPROPER = {
    "one direction": lambda x: -0.5 * (x[0] + x[1] - 1) ** 2,
    "separable": lambda x: -np.logaddexp(0, -x[0]) - np.logaddexp(0, -2 * x[0]) - 0.5 * x[1] ** 2,
    "nothing": lambda x: 0.0,
}


@pytest.mark.parametrize("name", PROPER)
def test_proper(name):
    assert judge(PROPER[name], 2) is None


@pytest.mark.parametrize("name", IMPROPER)
def test_improper(name):
    found = judge(IMPROPER[name], 2)
    assert found is not None and not found.unbounded and np.isclose(np.linalg.norm(found.direction), 1)


def test_unbounded():
    assert judge(lambda x: float(np.sum(x)), 2).unbounded
