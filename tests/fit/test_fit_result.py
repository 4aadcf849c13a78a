"""What a fit can be asked for, and how a run can be ended, stored and continued."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

import symvi as sv
from symvi.fit import posterior, weights
from symvi.fit.headline import bound_text
from symvi.vi.elbo import Resolution

N, D = sv.dims("N D")
X = sv.data("X", N, D)
w = sv.Normal("w", 0, 1, shape=D)
b = sv.Normal("b", 0, 2)
y = sv.Bernoulli("y", logits=X @ w + b)


def quiet(data, **options):
    return sv.fit(y, data, progress=False, **options)


@pytest.fixture(scope="module")
def data(rows):
    return {X: rows[0], y: rows[1]}


@pytest.fixture(scope="module")
def fit(data):
    return quiet(data, coords={D: ["age", "dose"]})


# -------------------------------------------------------------------------------------------------------------- questions
def test_summary(fit):
    text = str(fit.summary())
    assert "w[age]" in text and "w[dose]" in text and text.startswith("converged: ELBO -") and "kernel" not in text
    assert [row[0] for row in fit.summary().rows] == ["w[age]", "w[dose]", "b"]
    entry = fit.summary()["w"]
    assert np.allclose(entry["mean"], fit.mean(w)) and np.all(entry["q05"] < entry["q50"]) and np.all(entry["q50"] < entry["q95"])


def test_moments_and_draws_agree(fit):
    draws = fit.sample(20_000)
    assert draws["w"].shape == (20_000, 2) and draws["b"].shape == (20_000,)
    assert np.allclose(draws["w"].mean(axis=0), fit.mean(w), atol=0.01) and np.allclose(draws["w"].std(axis=0), fit.sd("w"), rtol=0.02)
    assert isinstance(fit.mean(b), float) and fit.mean(w[0] * 2) == pytest.approx(2 * fit.mean(w)[0], abs=1e-9)  # antithetic pairs
    low, middle, high = fit.quantiles(b, (0.05, 0.5, 0.95), n=20_000)
    assert abs(middle - fit.mean(b)) < 0.02 and abs((high - low) / (2 * 1.645 * fit.sd(b)) - 1) < 0.03
    assert np.array_equal(fit.sample(7)["w"], fit.sample(7)["w"]) and not np.array_equal(fit.sample(7, seed=1)["w"], fit.sample(7)["w"])
    joint = fit.draws(w[0] * w[1], n=5)
    assert np.allclose(joint, fit.draws(w, n=5).prod(axis=1))  # one draw of the latents for every expression


def test_other_data(fit, rows):
    new = rows[0][:3]
    p = sv.sigmoid(X @ w + b)
    assert np.allclose(fit.mean(p, data={X: new}), fit.mean(p)[:3]) and fit.eval(p, {"X": new}).shape == (3,)
    assert fit.predict(n=9).shape == (9, 40) and fit.predict(data={X: new}, n=9).shape == (9, 3)
    many = fit.predict(y, data={X: new}, n=20_000)
    assert set(np.unique(many)) == {0, 1} and np.allclose(many.mean(axis=0), fit.mean(p, data={X: new}), atol=0.015)
    with pytest.raises(sv.DataError, match="did you mean 'X'"):
        fit.mean(p, data={"XX": new})
    with pytest.raises(sv.DataError, match="D = 1 instead of 2, but .* is that of the fit"):
        fit.mean(p, data={X: new[:, :1]})
    with pytest.raises(sv.DataError, match="b is a latent"):
        fit.predict(b)


def test_chunks_do_not_change_draws(fit, monkeypatch):
    whole = fit.draws(sv.sigmoid(X @ w + b), n=101)
    monkeypatch.setattr(posterior, "CHUNK", 400)
    assert np.array_equal(fit.draws(sv.sigmoid(X @ w + b), n=101), whole)


def test_log_weights_by_the_kernel_and_by_the_interpreter(fit):
    """Both have the mean of the bound; k-hat of the one is that of the other up to noise."""
    kernel, interpreter = weights._by_kernel(fit, 4000), weights._by_interpreter(fit, 4000)
    bound = fit.elbo(50_000)
    for values in (kernel, interpreter):
        assert values.shape == (4000,) and abs(values.mean() - bound) < 5 * values.std() / np.sqrt(4000)
    assert np.isclose(kernel.std(), interpreter.std(), rtol=0.3) and 0 <= max(fit.khat, 0) < 1


def test_history_params_kernel(fit):
    assert fit.history.size == fit.trainer.step and np.isfinite(fit.history).all()
    assert {"q_loc", "q_scale_tril"} == set(fit.params) and "def " in fit.kernel.source
    assert repr(fit).startswith("<symvi fit: converged, ELBO -")


# ---------------------------------------------------------------------------------------------------------- reproducible
def test_seeds(fit, data):
    again = quiet(data)
    assert all(np.array_equal(again.params[name], array) for name, array in fit.params.items())
    assert np.array_equal(again.history, fit.history) and again.elbo() == fit.elbo() and again.khat == fit.khat
    other = quiet(data, seed=1)
    assert not np.array_equal(other.history[:10], fit.history[:10]) and np.allclose(other.mean(w), fit.mean(w), atol=0.05)


def test_float32(fit, data):
    single = quiet(data, dtype="float32")
    assert single.verdict == "converged" and np.allclose(single.mean(w), fit.mean(w), atol=0.03 * fit.sd(w).max())
    assert abs(single.elbo() - fit.elbo()) < 0.02 and single.kernel.dtype == np.float32


def test_low_rank_converges(fit, data):
    """Scale and factor share the variance and the factor may change its sign: they are not judged one by one, the bound is."""
    low = quiet(data, guide="lowrank")
    assert low.verdict == "converged" and low.trainer.step < 50_000 and np.isnan(low.khat)
    assert np.max(np.abs(low.mean(w) - fit.mean(w)) / fit.sd(w)) < 0.2 and fit.elbo() - 1.0 < low.elbo() < fit.elbo() + 0.1


def test_optimiser_and_steps_of_the_caller(fit, data):
    chosen = quiet(data, optimizer=sv.optim.Adam(rate=0.02), steps=3000)
    assert chosen.trainer.step == 3000 and chosen.averaged and np.allclose(chosen.mean(w), fit.mean(w), atol=0.02)
    assert quiet(data, steps=5).verdict == "not_converged"


def test_checks(data):
    assert quiet(data, check=True, steps=5).trainer.step == 5


# ----------------------------------------------------------------------------------------------- ending and going on
def test_progress_is_silent_where_there_is_no_terminal(data):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        sv.fit(y, data, steps=50)
    assert err.getvalue() == "" and len(out.getvalue().strip().splitlines()) == 2
    assert out.getvalue().startswith(
        "40 observations, 3 latents | guide: full rank (auto) | likelihood and KL: 8 draws, sticking the landing | "
    )


@pytest.mark.parametrize("options", [{}, {"steps": 500_000}], ids=["default", "steps"])
def test_interruption_keeps_the_fit(data, options):
    seen = []

    def stop(step, bound):
        seen.append((step, bound))
        if len(seen) == 3:
            raise KeyboardInterrupt

    ended = quiet(data, callbacks=[stop], **options)
    assert ended.verdict == "not_converged" and ended.convergence.interrupted and "interrupted" in ended.advice
    assert ended.trainer.step == seen[-1][0] and np.isfinite(seen[-1][1])
    assert ended.resume().verdict == "converged" if not options else ended.resume(50).trainer.step == seen[-1][0] + 50


def test_time_limit(data):
    short = quiet(data, steps=10**8, max_seconds=0.3)
    assert short.verdict == "not_converged" and 0 < short.trainer.step < 10**8 and "time was up" in short.advice


def test_save_load_restore(fit, data, tmp_path):
    path = fit.save(tmp_path / "fit")
    saved = sv.load(path)
    assert saved.verdict == "converged" and np.array_equal(saved.params["q_loc"], fit.params["q_loc"])
    assert np.allclose(saved.mean("w"), fit.mean(w), atol=0.05) and saved.sample(3)["w"].shape == (3, 2)
    assert saved.elbo == fit.estimate.value and np.array_equal(saved.history, fit.history)
    fresh = quiet(data, steps=1)
    saved.restore(fresh)
    assert np.allclose(fresh.mean(w), fit.mean(w)) and fresh.resume(100).trainer.step == 101
    other = quiet({X: data[X] + 1.0, y: data[y]}, steps=1)
    with pytest.raises(sv.DataError, match="other data"):
        saved.restore(other)


# ------------------------------------------------------------------------------------------------------------- phrases
def test_phrases():
    def phrase(*entries):
        return bound_text([Resolution("x", part, how) for part, how in entries], "8 draws")

    assert (
        phrase(("likelihood", "draws draws"), ("prior", "closed form"), ("entropy", "closed form"))
        == "likelihood: 8 draws, KL: closed form"
    )
    stuck = "draws draws, sticking the landing"
    assert (
        phrase(("likelihood", "draws draws"), ("prior", "draws draws"), ("entropy", stuck))
        == "likelihood and KL: 8 draws, sticking the landing"
    )
    assert (
        phrase(("likelihood", "draws draws"), ("prior", "exact"), ("entropy", stuck)) == "likelihood and KL: 8 draws, sticking the landing"
    )
    assert phrase(("likelihood", "closed form"), ("prior", "closed form given draws of mu"), ("entropy", "closed form")) == (
        "likelihood: closed form, KL: closed form given draws of mu and closed form"
    )
