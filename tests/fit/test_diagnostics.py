"""Diagnostics against closed forms and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from symvi.errors import DataError
from symvi.fit.diagnostics import (
    autocovariance,
    average_drift,
    drift,
    effective_size,
    khat_limit,
    mcse_mean,
    mcse_quantile,
    psis,
    quantiles,
    rhat,
    weighted_mean,
)
from symvi.fit.importance import fit_generalised_pareto, generalised_pareto_quantile


def autoregression(rho, n, rng, columns=()):
    """A stationary sequence of variance 1 with correlation rho^lag."""
    noise = rng.normal(size=(n, *columns)) * np.sqrt(1 - rho**2)
    noise[0] /= np.sqrt(1 - rho**2)
    x = np.empty_like(noise)
    x[0] = noise[0]
    for t in range(1, n):
        x[t] = rho * x[t - 1] + noise[t]
    return x


# ---------------------------------------------------------------------------------------------------------- Pareto smoothing
@pytest.mark.parametrize(("ratio", "k"), [(0.5, 0.75), (0.8, 0.36), (0.95, 0.0975)])
def test_khat_of_a_narrow_gaussian_proposal(ratio, k):
    """N(0, sq^2) as proposal for N(0, sp^2): k = 1 - sq^2 / sp^2. The tail is a power times a slow factor, so khat has a small bias."""
    khats = []
    for seed in range(8):
        z = ratio * np.random.default_rng(seed).normal(size=100_000)
        khats.append(psis(0.5 * z**2 / ratio**2 - 0.5 * z**2).khat)
    assert abs(np.mean(khats) - k) < 0.05


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.2, 0.5, 0.9])
def test_generalised_pareto_fit(k):
    rng = np.random.default_rng(4)
    shapes, scales = [], []
    for _ in range(20):
        x = np.sort(generalised_pareto_quantile(rng.random(4000), k, 2.5))
        shape, scale = fit_generalised_pareto(x)
        shapes.append((shape * 4010 - 5) / 4000)  # without the prior
        scales.append(scale)
    assert abs(np.mean(shapes) - k) < 0.02 and abs(np.mean(scales) / 2.5 - 1) < 0.02


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.4])
def test_generalised_pareto_quantile(k):
    p = np.linspace(0, 0.999, 50)
    np.testing.assert_allclose(generalised_pareto_quantile(p, k, 1.7), stats.genpareto.ppf(p, k, scale=1.7), rtol=1e-10)


def test_smoothing_changes_the_tail_only_and_keeps_order_and_scale():
    rng = np.random.default_rng(0)
    raw = 1000.0 + rng.standard_t(3, size=2000)
    smoothed, k = psis(raw)
    changed = smoothed != raw
    tail = int(np.ceil(3 * np.sqrt(2000)))
    assert changed.sum() <= tail and set(np.flatnonzero(changed)) <= set(np.argsort(raw)[-tail:])
    assert smoothed.max() <= raw.max() and np.isfinite(smoothed).all()
    inner = np.argsort(raw)
    assert (np.diff(smoothed[inner]) >= 0).all(), "the order of weights stays"
    shifted, shifted_k = psis(raw - 5000.0)
    np.testing.assert_allclose(shifted + 5000.0, smoothed, rtol=1e-9)
    assert shifted_k == pytest.approx(k, rel=1e-8)
    permutation = rng.permutation(2000)
    np.testing.assert_array_equal(psis(raw[permutation]).log_weights, smoothed[permutation])


def test_smoothing_improves_the_evidence():
    """The error of log Z from a proposal that is too narrow, smoothed against raw, over replications."""
    raw_errors, smooth_errors = [], []
    for seed in range(200):
        z = 0.6 * np.random.default_rng(seed).normal(size=1000)
        logs = stats.norm.logpdf(z) - stats.norm.logpdf(z, scale=0.6)
        raw_errors.append(np.log(np.mean(np.exp(logs))))
        smooth_errors.append(np.log(np.mean(np.exp(psis(logs).log_weights))))
    assert np.std(smooth_errors) < np.std(raw_errors) and abs(np.mean(smooth_errors)) < 0.05


def test_corners_of_smoothing():
    assert psis(np.full(1000, -3.0)).khat == 0.0
    noise = -3.0 + 1e-13 * np.random.default_rng(0).normal(size=1000)
    assert psis(noise).khat == 0.0, "weights equal up to rounding: the proposal is the target"
    assert psis(np.zeros(10)).khat == np.inf, "too few to tell"
    some_zero = np.where(np.arange(1000) % 2, -np.inf, np.random.default_rng(1).normal(size=1000))
    smoothed, k = psis(some_zero)
    assert np.isfinite(k) and np.isneginf(smoothed[1::2]).all()
    almost_all_zero = np.full(1000, -np.inf)
    almost_all_zero[:3] = 0.0, 1.0, 2.0
    assert psis(almost_all_zero).khat == np.inf
    assert psis(np.full(100, -np.inf)).khat == np.inf
    with pytest.raises(DataError, match="nan at 1"):
        psis(np.array([0.0, np.nan]))
    with pytest.raises(DataError, match="inf at 0"):
        psis(np.array([np.inf, 0.0]))
    assert khat_limit(100) == pytest.approx(0.5) and khat_limit(10**6) == 0.7


# ---------------------------------------------------------------------------------------------------------- Monte Carlo errors
def test_autocovariance_is_the_sum_of_products():
    x = np.random.default_rng(0).normal(size=(37, 2))
    centred = x - x.mean(axis=0)
    expected = [np.sum(centred[: 37 - lag] * centred[lag:], axis=0) / 37 for lag in range(37)]
    np.testing.assert_allclose(autocovariance(x), expected, atol=1e-14)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, -0.5])
def test_effective_size_of_an_autoregression(rho):
    """n (1 - rho) / (1 + rho)."""
    x = autoregression(rho, 4000, np.random.default_rng(1), (40,))
    exact = 4000 * (1 - rho) / (1 + rho)
    assert np.mean(effective_size(x)) == pytest.approx(exact, rel=0.1)
    errors = mcse_mean(x, independent=False)
    assert np.std(x.mean(axis=0)) == pytest.approx(np.mean(errors), rel=0.35)


def test_corners_of_effective_size():
    assert effective_size(np.full(100, 2.0)) == 100.0
    assert effective_size(np.array([1.0, 2.0])) == 2.0
    assert np.isnan(effective_size(np.array([1.0, np.nan, 2.0, 3.0, 4.0])))
    alternating = np.tile([1.0, -1.0], 500)
    assert effective_size(alternating) <= 1000 * np.log10(1000) + 1e-9
    assert mcse_mean(np.array([3.0])) == np.inf
    with pytest.raises(DataError):
        effective_size(np.array([]))


def test_errors_of_means_and_quantiles_of_independent_draws():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 1000))
    assert np.std(x.mean(axis=1)) == pytest.approx(np.mean([mcse_mean(row) for row in x]), rel=0.15)
    for p in (0.05, 0.5, 0.9):
        assert np.std(np.quantile(x, p, axis=1)) == pytest.approx(np.mean([mcse_quantile(row, p) for row in x]), rel=0.15)
    np.testing.assert_array_equal(quantiles(np.arange(11.0), [0.1, 0.5]), [1.0, 5.0])
    assert quantiles(x).shape == (5, 1000)
    with pytest.raises(DataError):
        quantiles(x, [1.5])


def test_weighted_mean():
    """Importance sampling of N(0.5, 1) from N(0, 1.2^2): errors cover the truth, and equal weights give the plain mean."""
    z_scores = []
    for seed in range(200):
        x = 1.2 * np.random.default_rng(seed).normal(size=500)
        mean, error = weighted_mean(np.stack([x, x**2], axis=1), stats.norm.logpdf(x, 0.5) - stats.norm.logpdf(x, scale=1.2))
        z_scores.append((mean - [0.5, 1.25]) / error)
    assert (np.std(z_scores, axis=0) < 1.25).all() and (np.std(z_scores, axis=0) > 0.8).all()
    mean, error = weighted_mean(np.arange(5.0), np.full(5, -700.0))
    assert mean == 2.0 and error == pytest.approx(np.std(np.arange(5.0)) / np.sqrt(5))


# --------------------------------------------------------------------------------------------------------------- stationarity
def test_rhat():
    rng = np.random.default_rng(3)
    assert rhat(rng.normal(size=(4, 1000))) == pytest.approx(1.0, abs=0.01)
    assert rhat(rng.normal(size=(4, 1000)) + np.arange(4)[:, None]) > 1.3
    assert rhat(np.linspace(0, 1, 1000)) > 1.8, "a single sequence that moves"
    assert rhat(np.ones((2, 100))) == 1.0
    assert rhat(np.arange(2.0)[:, None] * np.ones((2, 100))) == np.inf
    assert rhat(rng.normal(size=(2, 500, 3))).shape == (3,)
    assert np.isnan(rhat(np.r_[np.zeros(50), np.nan]))
    with pytest.raises(DataError):
        rhat(np.zeros((2, 3)))
    x = rng.normal(size=(3, 50))  # the formula of BDA3, unsplit
    between, within = 50 * x.mean(axis=1).var(ddof=1), x.var(axis=1, ddof=1).mean()
    assert rhat(x, split=False) == pytest.approx(np.sqrt((49 / 50 * within + between / 50) / within))


def test_false_alarms_of_the_drift_test():
    """At the level of 5% a stationary sequence is called moving in about 5% of cases, also if it is correlated."""
    rng = np.random.default_rng(4)
    for rho in (0.0, 0.8):
        alarms = np.mean(np.asarray(drift(autoregression(rho, 2000, rng, (2000,))).p_value) < 0.05)
        assert 0.03 < alarms < 0.08


def test_power_of_the_drift_test():
    """A history that still climbs by several standard errors is seen, and its change estimated."""
    rng = np.random.default_rng(5)
    x = autoregression(0.5, 2000, rng) + np.linspace(0, 1.0, 2000)
    result = drift(x)
    assert not result.stationary() and result.change == pytest.approx(1.0, abs=4 * result.error) and result.error < 0.3
    assert drift(autoregression(0.5, 2000, rng)).stationary()


def test_drift_of_averages():
    """The means of windows, a column per parameter: the one that moves is told from those that do not."""
    rng = np.random.default_rng(6)
    means = rng.normal(size=(12, 50)) * 0.1
    assert average_drift(means).stationary()
    means[:, 7] += np.linspace(0, 2, 12)
    result = average_drift(means)
    assert not result.stationary() and np.argmin(result.p_value) == 7
    assert result.change[7] == pytest.approx(2 * 12 / 11, abs=4 * result.error[7])


def test_corners_of_drift():
    still = drift(np.full(100, 3.0))
    assert still.change == 0.0 and still.stationary()
    straight = drift(np.arange(100.0))
    assert straight.change == pytest.approx(100.0) and not straight.stationary()
    assert straight.stationary(tolerance=101.0) and not straight.stationary(tolerance=99.0)
    assert not drift(np.r_[np.zeros(50), np.nan]).stationary(), "what is not finite is not stationary"
    assert not drift(np.r_[np.zeros(50), np.inf]).stationary(tolerance=1e300)
    with pytest.raises(DataError):
        drift(np.zeros(2))
