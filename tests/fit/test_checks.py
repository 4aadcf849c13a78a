"""`check=True` finds facts that do not hold for the data, and gradients that are wrong."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv
from symvi.atoms import elementwise
from symvi.fit.checks import check_facts

K = sv.dim("K", 2)
M = sv.data("M", K, K)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 0.5], [0.2, 1.0]], "not symmetric for these data.*test_checks.py"),
        ([[1.0, 2.0], [2.0, 1.0]], "the eigenvalue -1 for these data"),
    ],
)
def test_facts_that_do_not_hold(matrix, message):
    bound = sv.linalg.logdet(sv.assume(M, sv.spd))
    with pytest.raises(sv.DataError, match=message):
        check_facts(bound.term, {M.leaf: np.array(matrix)}, {})


def test_facts_that_hold():
    bound = sv.linalg.logdet(sv.assume(M, sv.spd))
    check_facts(bound.term, {M.leaf: np.array([[2.0, 1.0], [1.0, 2.0]])}, {})


def test_a_wrong_derivative_is_found(monkeypatch):
    """A planted fault: the derivative of softplus times 1.01."""
    N = sv.dim("N")
    z = sv.Normal("planted", 0, 1)  # a name of its own: its kernel is wrong and stays in the cache
    y = sv.Bernoulli("y", logits=z, shape=N)
    function = elementwise.softplus
    right = function.derivative
    monkeypatch.setitem(function.__dict__, "derivative", lambda x: tuple(1.01 * d for d in right(x)))
    with pytest.raises(sv.GradientError, match="disagrees"):
        sv.fit(y, {y: np.array([1.0, 0.0, 1.0])}, check=True, steps=1, progress=False)
