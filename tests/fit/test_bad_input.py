"""Mistakes in data and options: the message names the variable, the value, the index, the user's line and the mend."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

import symvi as sv

N, D, J = sv.dims("N D J")
X = sv.data("X", N, D)
w = sv.Normal("w", 0, 1, shape=D)
y = sv.Bernoulli("y", logits=X @ w)
counts = sv.Poisson("counts", log_rate=X @ w)
W = sv.Normal("W", 0, 1, shape=(D, 3))
label = sv.Categorical("label", logits=X @ W)
height = sv.Normal("height", X @ w, 1)
g = sv.data("g", N, dtype=sv.index(J))
effect = sv.Normal("effect", 0, 1, shape=J)
by_group = sv.Normal("by_group", effect[g], 1)

XV = np.arange(12.0).reshape(6, 2) / 10
YV = np.array([0.0, 1, 0, 1, 1, 0])
LINE = r"\[test_bad_input\.py:\d+\]"


def put(array, index, value):
    array = np.array(array, dtype=float if isinstance(value, float) else None)
    array[index] = value
    return array


DATA = [
    (y, {X: XV, y: YV[:5]}, sv.ShapeError, r"array for y .* has 5 entries along N, but N is 6 by the array for X"),
    (y, {X: XV[:, 0], y: YV}, sv.ShapeError, r"X has the dims \(N, D\), its array has the shape \(6,\)"),
    (y, {X: XV, "yy": YV}, sv.DataError, r"'yy', which the model does not know; did you mean 'y'\?"),
    (y, {y: YV}, sv.DataError, r"reads the data 'X' \[test_bad_input.py:\d+\], but data has no such key; data has y"),
    (y, {X: XV}, sv.DataError, r"the root 'y' .* has no data"),
    (y, {X: XV, y: put(YV, 2, 2.0)}, sv.SupportError, r"y\[2\] = 2.0 lies outside its support: 0 or 1"),
    (counts, {X: XV, counts: [1, 2, -1, 3, 1, 1]}, sv.SupportError, r"counts\[2\] = -1 lies outside its support: 0, 1, 2"),
    (counts, {X: XV, counts: [1, 2, 1.5, 3, 1, 1]}, sv.SupportError, r"counts\[2\] = 1.5"),
    (label, {X: XV, label: YV}, sv.DataError, r"label takes integer labels, the array has dtype float64; convert it with .astype\(int\)"),
    (label, {X: XV, label: [0, 1, 3, 1, 1, 0]}, sv.SupportError, r"label\[2\] = 3 lies outside"),
    (y, {X: XV, y: put(YV, 2, np.nan)}, sv.DataError, r'y is NaN at index 2 \(1 of 6 entries\); missing="drop" leaves'),
    (height, {X: XV, height: put(YV, 3, np.inf)}, sv.SupportError, r"height\[3\] = inf lies outside its support: finite"),
    (y, {X: put(XV, (3, 1), np.nan), y: YV}, sv.DataError, r"X takes finite numbers; the value nan at index 3, 1"),
    (y, {X: XV, y: list("abcdef")}, sv.DataError, r"y has dtype <U1; it must hold numbers"),
    (y, {X: [[1, 2], [3]], y: YV}, sv.DataError, r"X is no array: its rows have different lengths"),
    (y, {X: XV, y: None}, sv.DataError, r"y is None; leave it out"),
    (by_group, {g: [0, 1, 5], by_group: [1.0, 2, 3]}, sv.DataError, r"g indexes J of size 3; the value 5 at index 2 lies outside 0..2"),
    (by_group, {g: [0, 1, 0.5], by_group: [1.0, 2, 3]}, sv.DataError, r"g takes integers; the value 0.5 at index 2"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "data", "error", "message"), DATA)
def test_data(model, data, error, message):
    with pytest.raises(error, match=message) as caught:
        sv.fit(model, data, sizes={J: 3} if model is by_group else None, progress=False)
    assert re.search(LINE, str(caught.value)), caught.value


OPTIONS = [
    (dict(guide="fulrank"), sv.ModelError, "did you mean 'fullrank'"),
    (dict(guide={y: sv.MeanField()}), sv.ModelError, "'y' is observed"),
    (dict(guide={"ww": sv.MeanField()}), sv.DataError, "did you mean 'w'"),
    (dict(optimizer="adam"), sv.ExpressionError, "one of sv.optim"),
    (dict(steps=0), sv.ExpressionError, "steps is a positive number"),
    (dict(batch_size=3), sv.ExpressionError, r"as in \{N: 256\}"),
    (dict(batch_size={D: 1}), sv.PlateError, "D cannot be minibatched: a sum over D stands inside softplus"),
    (dict(particles=0), sv.ExpressionError, "particles"),
    (dict(init={"ww": 1.0}), sv.DataError, "did you mean 'w'"),
    (dict(missing="ignore"), sv.DataError, 'missing is "error" or "drop"'),
    (dict(estimator="path"), sv.ExpressionError, "did you mean 'pathwise'"),
]


@pytest.mark.parametrize(("options", "error", "message"), OPTIONS)
def test_options(options, error, message):
    with pytest.raises(error, match=message) as caught:
        sv.fit(y, {X: XV, y: YV}, progress=False, **options)
    assert "test_bad_input.py:" in str(caught.value) or "missing" in options


def test_while_building():
    with pytest.raises(sv.ShapeError, match=r"the dims D and N do not fit together in X\[n,d\] with dims \(N, D\) and .*" + LINE):
        X @ sv.data("v", N)
    with pytest.raises(sv.ExpressionError, match="truth value .* sv.where.*" + LINE):
        if X @ w > 0:
            pass
    with pytest.raises(sv.SupportError, match="scale = -1 is outside its support; it takes positive numbers.*" + LINE):
        sv.Normal("n", 0, -1.0)
    with pytest.raises(sv.SupportError, match=r"scale\[1\] = -1.0.*" + LINE):
        sv.Normal("n", 0, np.array([1.0, -1.0]))


def test_two_leaves_of_one_name():
    first = sv.param("a", init=0.0)
    second = sv.param("a", init=0.0)
    with pytest.raises(
        sv.NameClashError, match=r"two different leaves are called 'a': one from test_bad_input.py:\d+, one from test_bad_input.py"
    ):
        sv.maximize(-((first - 1) ** 2) - second**2, progress=False)


def test_maximize_and_function():
    x, m = sv.data("x", N), sv.param("m", init=1.0)
    p = sv.param("p", init=1.0, support=sv.positive)
    cost = sv.sum((x - m - p) ** 2)
    for data, init, error, message in [
        ({"xx": [1.0]}, {}, sv.DataError, "did you mean 'x'"),
        ({x: [1.0, np.nan]}, {}, sv.DataError, "nan at index 1"),
        ({x: [1.0, 2]}, {"mm": 1.0}, sv.DataError, "did you mean 'm'"),
        ({x: [1.0, 2]}, {"p": -2.0}, sv.SupportError, "p = -2.0 lies outside its support: positive"),
        ({}, {}, sv.ShapeError, "the size of the dim N is not known|no data"),
    ]:
        with pytest.raises((error, sv.DataError), match=message):
            sv.minimize(cost, data, init=init, progress=False)
    with pytest.raises(sv.ExpressionError, match="no parameters"):
        sv.maximize(sv.sum(x), {x: [1.0]}, progress=False)
    double = sv.function([x], 2 * x)
    for values, error, message in [
        ((), sv.DataError, r"takes 1 input \(x\), not 0"),
        ((np.zeros((2, 2)),), sv.ShapeError, "x has the dims"),
        (("a",), sv.DataError, "'a'"),
    ]:
        with pytest.raises(error, match=message):
            double(*values)
    with pytest.raises(sv.DataError, match="w .* not among the inputs"):
        sv.function([X], X @ w)


# ------------------------------------------------------------------------------------------------------------ at run time
def test_a_bound_that_overflows_keeps_the_last_finite_state():
    x, m = sv.data("x", N), sv.param("m", init=1.0)
    bound = -sv.exp(m**3) * sv.sum(x)
    with pytest.raises(sv.NonFiniteError, match=r"the bound became inf at step 1: .* exp\(m³\) = inf.*test_bad_input.py:\d+") as caught:
        sv.maximize(bound, {x: [-1.0, -2.0]}, optimizer=sv.optim.SGD(10.0), progress=False)
    kept = caught.value.fit
    assert kept["m"] == 1.0 and len(kept.history) == 1 and kept.trainer.step == 1
    kept.trainer.views[kept.objective.parameters[0]][...] = 0.01  # somewhere else, and on it goes
    with pytest.raises(sv.NonFiniteError):
        kept.resume(10_000)
    assert kept.trainer.step > 1 and np.isfinite(kept["m"])


def test_a_fit_that_overflows_can_go_on():
    z = sv.Normal("z", 0, 1)
    v = sv.Normal("v", sv.exp(sv.exp(2 * z)), 1)
    with pytest.raises(sv.NonFiniteError, match=r"exp\(.*\).*test_bad_input.py"):
        sv.fit(v, {v: 1.0}, init={z: 10.0}, progress=False)
    with pytest.raises(sv.NonFiniteError, match="at step") as caught:
        sv.fit(v, {v: 1.0}, optimizer=sv.optim.SGD(1e3), steps=100, progress=False)
    fit = caught.value.fit
    assert fit.verdict == "not_converged" and np.isfinite(list(fit.params.values())[0]).all()


def test_a_matrix_that_is_not_positive_definite():
    x, jitter = sv.data("x", N), sv.param("jitter", init=0.5)
    K = sv.assume(sv.exp(-((x[:, None] - x[None, :]) ** 2)) - jitter * sv.eye(N), sv.spd)
    with pytest.raises(sv.NotPositiveDefiniteError, match=r"not positive definite at step 0.*jitter.*test_bad_input.py:\d+"):
        sv.maximize(-x @ sv.linalg.solve(K, x), {x: [0.0, 0.1, 0.2]}, optimizer=sv.optim.Adam(0.1), progress=False)


# -------------------------------------------------------------------------------------------------------- missing entries
@pytest.mark.parametrize("variable", [height, label], ids=["numbers", "labels"])
def test_missing_entries_are_left_out(variable, rows):
    """The same answer as without those rows; the data are counted without them."""
    covariates, labels = rows
    values = labels.copy() if variable is label else covariates @ [1.0, 0.5] + np.sin(np.arange(40))
    gone = [3, 17, 39]
    with_gaps = put(values, gone, np.nan)
    kept = np.setdiff1d(np.arange(40), gone)
    options = dict(guide=sv.Delta, progress=False)  # deterministic, so the same to rounding
    fit = sv.fit(variable, {X: covariates, variable: with_gaps}, missing="drop", **options)
    without = sv.fit(variable, {X: covariates[kept], variable: values[kept].astype(int if variable is label else float)}, **options)
    latent = W if variable is label else w
    assert fit.verdict == without.verdict == "converged"
    assert fit.observations.count() == 37 and "37 observations" in fit.headline()
    assert np.allclose(fit.mean(latent), without.mean(latent), atol=1e-6) and np.isclose(fit.elbo(), without.elbo(), rtol=1e-10)
    with pytest.raises(sv.DataError, match=r"X takes finite numbers; the value nan at index 0, 0"):
        sv.fit(variable, {X: put(covariates, (0, 0), np.nan), variable: with_gaps}, missing="drop", progress=False)


def test_masked_entries_are_missing():
    masked = np.ma.masked_array(YV, [1, 0, 0, 0, 0, 0])
    with pytest.raises(sv.DataError, match="y is NaN at index 0"):
        sv.fit(y, {X: XV, y: masked}, progress=False)


# ----------------------------------------------------------------------------------------------------------------- files
class Trap:
    """Would be executed by a pickle."""

    def __reduce__(self):
        return (pytest.fail, ("the file was executed",))


def test_load_executes_nothing(tmp_path):
    path = tmp_path / "fit.npz"
    np.savez(path, head=np.array([Trap()], dtype=object))
    with pytest.raises(sv.DataError, match="not a fit saved by symvi"):
        sv.load(path)
    for content in (pickle.dumps(Trap()), b"PK\x03\x04 cut short", b"", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(sv.DataError, match="not a fit saved by symvi"):
            sv.load(path)
    np.savez(path, head=np.array('{"format": 1}'), x=np.zeros(3))
    with pytest.raises(sv.DataError, match="not a fit saved by symvi"):
        sv.load(path)
    with pytest.raises(sv.DataError, match="there is no file"):
        sv.load(tmp_path / "nothing.npz")
