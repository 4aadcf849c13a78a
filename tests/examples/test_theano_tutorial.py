"""The tutorial runs, and its numbers are the right ones."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.special

FILE = Path(__file__).parents[2] / "examples" / "theano_tutorial.py"


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("theano_tutorial", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(short=True)


def test_first_steps(results):
    assert results["first steps"] == {"power": [0.0, 2.0, 1026.0], "square": 9.0}


def test_logistic_of_a_matrix(results):
    np.testing.assert_allclose(results["matrix"]["two by two"], scipy.special.expit([[0, 1], [-1, -2]]), rtol=1e-14)
    np.testing.assert_array_equal(results["matrix"]["one by three"], [[0.5, 1.0, 0.0]])


def test_three_results_at_once(results):
    difference, absolute, square = results["three"]["results"]
    np.testing.assert_array_equal(difference, [[1, 0], [-1, -2]])
    np.testing.assert_array_equal(absolute, [[1, 0], [1, 2]])
    np.testing.assert_array_equal(square, [[1, 0], [1, 4]])


def test_accumulator(results):
    assert results["accumulator"] == {"returned": [0, 1, -1], "after two": 301, "last": 2}


def test_gradient_of_the_logistic_regression(results):
    r = results["regression"]
    X, y, w = r["features"], r["labels"], r["start"]["w"]
    error = scipy.special.expit(X @ w) - y
    gw, gb = r["start"]["gradient"]
    np.testing.assert_allclose(gw, X.T @ error / 400 + 0.02 * w, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(gb, error.mean(), rtol=1e-11)


def test_logistic_regression_learns(results):
    """The cost falls as plain gradient descent in NumPy makes it fall, and the labels are learnt."""
    r = results["regression"]
    X, y, w, b = r["features"], r["labels"], r["start"]["w"].copy(), 0.0
    costs = []
    for _ in range(20):
        eta = X @ w + b
        costs.append(np.mean(np.logaddexp(0, eta) - y * eta) + 0.01 * w @ w)
        error = scipy.special.expit(eta) - y
        w, b = w - 0.1 * (X.T @ error / 400 + 0.02 * w), b - 0.1 * error.mean()
    np.testing.assert_allclose(r["costs"][:20], costs, rtol=1e-10)
    assert r["before"] < 0.6 and r["after"] == 1.0
    assert r["costs"][-1] < 1.0 and np.all(np.isfinite(r["costs"]))


def test_multilayer_perceptron_learns(results):
    r = results["perceptron"]
    assert r["costs"][0] > 0.2 and r["costs"][-1] < 0.01
    assert r["accuracy"] > 0.99
