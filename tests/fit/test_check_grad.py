"""`sv.check_grad`: passes for what symvi derives, fails for a derivative that somebody made up."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv

N, D, K = sv.dims("N D K")
X, y, w, b = sv.data("X", N, D), sv.data("y", N, dtype=bool), sv.param("w", D), sv.param("b")
scale = sv.param("scale", D, support=sv.positive)


def test_agreement_and_report(capsys):
    p = sv.sigmoid(X @ w + b)
    cost = -sv.mean(y * sv.log(p) + (1 - y) * sv.log(1 - p)) + sv.sum(w**2 / scale) + sv.sum(sv.log(scale))
    report = sv.check_grad(cost, [w, b, scale])
    assert report.passed and report.max_error < 1e-12 and report.method == "complex"
    printed = capsys.readouterr().out
    assert "complex step" in printed and [line.split()[0] for line in printed.splitlines()[1:]] == ["w", "b", "scale"]
    assert printed.count("agrees") == 3


def test_given_values_and_quiet(capsys):
    x = np.random.default_rng(0).normal(size=(4, 3))
    report = sv.check_grad(sv.sum(sv.maximum(X @ w, 0.1)), w, values={X: x, "w": [0.3, -0.2, 0.9]}, verbose=False)
    assert report.passed and capsys.readouterr().out == ""
    sv.check_grad(sv.sum(sv.log_ndtr(X @ w)) + sv.linalg.logdet(X.T @ X + sv.eye(D)), w, {X: x}, verbose=False)
    sv.check_grad(sv.sum(sv.ndtri(sv.sigmoid(w))), w, verbose=False)  # not complex-differentiable: by mpmath


def test_shared_and_anonymous_values():
    s = sv.shared(np.array([1.0, 2.0]), "s")
    assert sv.check_grad(sv.sum(np.array([3.0, 4.0]) * sv.exp(s)), s, verbose=False).rows[0].name == "s"


def test_a_made_up_derivative_is_found():
    with pytest.raises(sv.GradientError) as caught:
        sv.check_grad(sv.sum(sv.surrogate(w**2, w)) + b, [w, b])
    message = str(caught.value)
    assert "w  DISAGREES" in message and "found 1, expected" in message and "b  agrees" in message


def test_mistakes():
    with pytest.raises(sv.GradientError, match="scalar"):
        sv.check_grad(X @ w, w)
    with pytest.raises(sv.DataError, match="did you mean 'w'"):
        sv.check_grad(sv.sum(w), w, {"ww": 1.0})
