"""`check=True` finds gradients that are wrong."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv
from symvi.atoms import elementwise


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
