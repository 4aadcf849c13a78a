"""Guides that a user writes: random variables, tuples, points, the prior; latents over plates; funnels."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv


def quiet(*arguments, **options):
    return sv.fit(*arguments, progress=False, **options)


def test_a_random_variable_as_guide_is_exact_where_it_can_be():
    x = sv.Normal("x", 0, 1)
    y = sv.Normal("y", x, 0.5)
    loc, scale = sv.param("loc", init=0.0), sv.param("scale", init=1.0, support=sv.positive)
    fit = quiet(y, {y: 10.0}, guide={x: sv.Normal("q", loc, scale)})
    assert np.isclose(fit.params["loc"], 8) and np.isclose(fit.params["scale"], np.sqrt(0.2)) and fit.verdict == "converged"
    assert np.isclose(fit.elbo(), -41.030510, atol=1e-6) and "closed form" in fit.headline()
    assert fit.khat < 0.5


def test_units_are_found_from_the_curvature():
    """A posterior at 10.0013 ± 0.00067, with a guide that starts at 0 ± 1: converged means accurate to a part of that sd."""
    N = sv.dim("N")
    x = sv.Normal("x", 0, 1000)
    y = sv.Poisson("y", log_rate=x, shape=N)
    counts = np.random.default_rng(0).poisson(np.exp(10.0), size=100)
    loc, scale = sv.param("loc", init=0.0), sv.param("scale", init=1.0, support=sv.positive)
    fit = quiet(y, {y: counts}, guide={x: sv.Normal("q", loc, scale)})
    sd = 1 / np.sqrt(counts.sum())
    assert fit.verdict == "converged" and abs(fit.mean(x) - np.log(counts.mean())) < 0.1 * sd and abs(fit.sd(x) / sd - 1) < 0.05


def test_tuples_the_prior_and_points():
    a, b = sv.Normal("a", 0, 1), sv.Normal("b", 0, 1)
    c = sv.Normal("c", a, 1)
    y = sv.Normal("y", a + b, 0.5)
    fit = quiet(sv.Model(y, track={"c": c}), {y: 2.0}, guide={(a, b): sv.FullRank(), c: sv.Prior()})  # c has no data below it
    assert np.isclose(fit.mean(a), 2 / 2.25, atol=0.02) and np.isclose(fit.mean(b), 2 / 2.25, atol=0.02)
    assert np.isclose(fit.sd(a), np.sqrt(1 - 1 / 2.25), rtol=0.03)
    draws = fit.sample(4000)
    assert np.isclose(np.corrcoef(draws["a"], draws["b"])[0, 1], -0.8, atol=0.02)
    assert np.isclose(np.var(draws["c"] - draws["a"]), 1, atol=0.1)
    point = quiet(y, {y: 2.0}, guide=sv.Delta)
    assert np.isclose(point.mean(a), 2 / 2.25, atol=1e-5) and point.sd(a) < 1e-12 and np.isnan(point.khat)
    mixed = quiet(y, {y: 2.0}, guide={a: sv.Delta()})
    assert mixed.sd(a) < 1e-12 and mixed.sd(b) > 0.3


@pytest.fixture(scope="module")
def counts():
    """y_n ~ Poisson(exp z_n), z_n ~ N(mu, 1)."""
    N = sv.dim("N")
    mu = sv.Normal("mu", 0, 1)
    z = sv.Normal("z", mu, 1, shape=N)
    y = sv.Poisson("y", log_rate=z)
    values = np.random.default_rng(0).poisson(np.exp(np.random.default_rng(1).normal(size=60)))
    return N, mu, z, y, values


def test_minibatches_of_local_latents_agree_with_all_rows(counts):
    """Averages of local parameters are kept per row, apart from the slots of the optimiser."""
    N, mu, z, y, values = counts
    whole = quiet(y, {y: values})
    batched = quiet(y, {y: values}, batch_size={N: 20})
    assert whole.verdict == batched.verdict == "converged"
    assert "full rank, full rank per N (auto)" in whole.headline()
    assert abs(whole.elbo(50_000) - batched.elbo(50_000)) < 0.1
    assert np.max(np.abs(whole.mean(z) - batched.mean(z)) / whole.sd(z)) < 0.1
    assert abs(whole.mean(mu) - batched.mean(mu)) < 0.1 * whole.sd(mu)
    assert np.isnan(batched.khat) and whole.khat < 1


def test_amortised_guide(counts):
    N, mu, z, y, values = counts
    a, b = sv.param("a", init=0.0), sv.param("b", init=0.0)
    s = sv.param("s", init=1.0, support=sv.positive)
    fit = quiet(y, {y: values}, guide={z: sv.Normal("q", a + b * sv.log(y + 1.0), s + 0.0 * y), mu: sv.MeanField()})
    assert fit.verdict == "converged" and fit.params["b"] > 0.5


EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def test_eight_schools_non_centred():
    """T5: mu 4.397 ± 3.318, tau 3.598 ± 3.220, log tau 0.802 ± 1.171, log Z = -31.31135."""
    J = sv.dim("J")
    s = sv.data("s", J)
    mu, tau, e = sv.Normal("mu", 0, 5), sv.HalfCauchy("tau", 5), sv.Normal("e", 0, 1, shape=J)
    theta = sv.deterministic("theta", mu + tau * e)
    y = sv.Normal("y", theta, s)
    fit = quiet(y, {y: EFFECTS, s: ERRORS}, guide={(mu, tau, e): sv.FullRank()})
    assert fit.verdict == "converged" and -31.8 < fit.elbo(20_000) < -31.31
    assert abs(fit.mean(mu) - 4.397) < 0.3 * 3.318 and abs(fit.mean(tau) - 3.598) < 0.3 * 3.220
    assert abs(fit.mean(sv.log(tau)) - 0.802) < 0.3 * 1.171
    assert np.all(np.abs(fit.mean(theta) - [6.212, 4.940, 3.927, 4.757, 3.615, 4.043, 6.297, 4.854]) < 0.3 * 5)


def test_eight_schools_centred_is_flagged():
    J = sv.dim("J")
    s = sv.data("s", J)
    mu, tau = sv.Normal("mu", 0, 5), sv.HalfCauchy("tau", 5)
    theta = sv.Normal("theta", mu, tau, shape=J)
    y = sv.Normal("y", theta, s)
    fit = quiet(y, {y: EFFECTS, s: ERRORS})
    assert fit.verdict == "not_converged" or fit.khat > 0.7
    assert "no highest point" in fit.advice or fit.verdict == "not_converged"
