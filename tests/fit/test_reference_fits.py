"""The default call against reference results: closed forms, quadrature, long runs of other programs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

import symvi as sv

HERE = Path(__file__).parent.parent
TABLE = HERE.parent / "examples" / "data" / "breast_cancer_wisconsin_diagnostic.csv"


def quiet(*arguments, **options):
    return sv.fit(*arguments, progress=False, **options)


def moments_by_quadrature(log_density, low, high):
    """(log Z, mean, sd) of a density in one dimension."""
    at = np.linspace(low, high, 20_001)
    logs = np.array([log_density(x) for x in at])
    top = logs.max()
    weights = np.exp(logs - top)
    total = integrate.trapezoid(weights, at)
    mean = integrate.trapezoid(at * weights, at) / total
    return np.log(total) + top, mean, np.sqrt(integrate.trapezoid((at - mean) ** 2 * weights, at) / total)


# ------------------------------------------------------------------------------------------------------------------ T1
def test_far_observation():
    """T1: the default call answers 8 ± 0.447214, log Z = -41.030510."""
    x = sv.Normal("x", 0, 1)
    y = sv.Normal("y", x, 0.5)
    fit = quiet(y, {y: 10.0})
    sd = np.sqrt(0.2)
    assert abs(fit.mean(x) - 8) < 0.02 * sd and abs(fit.sd(x) - sd) < 0.02 * sd
    assert abs(fit.elbo() + 41.030510) < 1e-4
    assert fit.verdict == "converged" and fit.khat < 0.5


# ------------------------------------------------------------------------------------------------------------------ T6
@pytest.fixture(scope="module")
def breast_cancer():
    table = np.genfromtxt(TABLE, delimiter=",", names=True)
    features = np.column_stack([table[name] for name in table.dtype.names[:-1]])
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return np.column_stack([features, np.ones(len(features))]), table["benign"]


@pytest.fixture(scope="module")
def reference():
    with open(HERE / "data" / "t6_reference.csv") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name != "coefficient"}


@pytest.fixture(scope="module")
def logistic():
    N, D = sv.dims("N D")
    X = sv.data("X", N, D)
    w = sv.Normal("w", 0, 1, shape=D)
    return X, w, sv.Bernoulli("y", logits=X @ w)


def test_logistic_regression_full_rank(breast_cancer, reference, logistic, capsys):
    (X, w, y), (features, labels) = logistic, breast_cancer
    fit = sv.fit(y, {X: features, y: labels})
    assert fit.verdict == "converged"
    assert fit.elbo(10_000) >= -55.6
    assert np.max(np.abs(fit.mean(w) - reference["posterior_mean"]) / reference["posterior_sd"]) < 0.1
    assert np.max(np.abs(fit.sd(w) / reference["fullrank_sd"] - 1)) < 0.1
    assert fit.khat < 0.7
    first, last = capsys.readouterr().out.strip().splitlines()
    assert first.startswith("569 observations, 31 latents | guide: full rank (auto) | likelihood and KL: 8 draws, sticking the landing | ")
    assert last.startswith("converged: ELBO -55.4") and "(good)" in last


def test_logistic_regression_mean_field(breast_cancer, reference, logistic):
    (X, w, y), (features, labels) = logistic, breast_cancer
    fit = quiet(y, {X: features, y: labels}, guide="meanfield")
    assert fit.verdict == "converged"
    assert abs(fit.elbo(100_000) + 67.463) < 0.1
    assert np.max(np.abs(fit.mean(w) - reference["meanfield_mean"]) / reference["meanfield_sd"]) < 0.1
    assert np.max(np.abs(fit.sd(w) / reference["meanfield_sd"] - 1)) < 0.1


def test_no_time(breast_cancer, logistic):
    (X, _, y), (features, labels) = logistic, breast_cancer
    fit = quiet(y, {X: features, y: labels}, max_seconds=1e-3)
    assert fit.verdict == "not_converged" and "time was up" in fit.advice and fit.estimate is None
    assert fit.resume().verdict == "converged" and fit.elbo() > -55.7


# ----------------------------------------------------------------------------------------------------------- ill-posed
@pytest.fixture(scope="module")
def flat_logistic():
    N, D = sv.dims("N D")
    X, w, b = sv.data("X", N, D), sv.Flat("w", shape=D), sv.Flat("b")
    return X, sv.Bernoulli("y", logits=X @ w + b)


@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_separable_classes_under_flat_priors(flat_logistic, rows, unit):
    X, y = flat_logistic
    covariates, _ = rows
    separable = (covariates @ [1.0, -0.5] + 0.3 > 0).astype(float)
    fit = quiet(y, {X: unit * covariates, y: separable})
    assert fit.verdict == "ill_posed" and "proper prior" in fit.advice and fit.trainer.step == 0


def test_neighbours_of_separable_classes_are_well_posed(flat_logistic, rows):
    X, y = flat_logistic
    covariates, labels = rows
    near = (covariates @ [1.0, -0.5] + 0.3 > 0).astype(float)
    worst = np.argsort(np.abs(covariates @ [1.0, -0.5] + 0.3))[8:11]
    near[worst] = 1 - near[worst]
    for values in (labels, near):
        assert quiet(y, {X: covariates, y: values}).verdict == "converged"


# ------------------------------------------------------------------------------------------------------------------ T3
def test_correlated_gaussian():
    """T3: mean field has variance 1 - rho² and falls short by -log(1 - rho²) / 2; full rank is exact."""
    rho = 0.8
    precision = np.linalg.inv([[1, rho], [rho, 1]])
    z = sv.Flat("z", shape=2)
    model = sv.Model(sv.factor("target", -0.5 * z @ precision @ z))
    log_z = np.log(2 * np.pi) + 0.5 * np.log(1 - rho**2)
    mean_field = quiet(model, {}, guide="meanfield")
    assert np.allclose(mean_field.sd(z) ** 2, 1 - rho**2, rtol=0.02)
    assert np.all(np.abs(mean_field.mean(z)) < 0.06)
    assert abs(log_z - mean_field.elbo(50_000) - 0.5108) < 0.03
    full = quiet(model, {})
    assert np.allclose(full.sd(z), 1, rtol=1e-3) and np.all(np.abs(full.mean(z)) < 1e-3)
    assert abs(full.elbo() - log_z) < 1e-4 and full.khat < 0.5
    assert mean_field.verdict == full.verdict == "converged"


# ------------------------------------------------------------------------------------------------- small models, exactly
def test_scales_rates_and_factors():
    """Three parts that know nothing of each other, so each has its exact posterior; the guide is one block over all."""
    N, M = sv.dims("N M")
    s = sv.HalfNormal("s", 2.0)
    noise = sv.Normal("noise", 0, s, shape=N)
    rate = sv.Gamma("rate", 2.0, rate=1.0)
    count, wait = sv.Poisson("count", rate, shape=M), sv.Gamma("wait", 2.0, rate=rate, shape=M)
    a = sv.Normal("a", 0, 1)
    growth = sv.deterministic("growth", sv.exp(a))
    births = sv.Poisson("births", growth, shape=M)
    penalty = sv.factor("penalty", -0.5 * a**2)  # doubles the precision of the prior
    values, counts, waits, born = (
        np.array([0.5, -1.2, 2.0, 0.1, -0.6, 0.9, -1.5]),
        np.array([3, 4, 2]),
        np.array([0.5, 1.0, 0.7]),
        np.array([3, 4, 2]),
    )
    fit = quiet(sv.Model(noise, count, wait, births, penalty), {noise: values, count: counts, wait: waits, births: born})
    exact = {
        s: moments_by_quadrature(lambda v: stats.halfnorm.logpdf(v, scale=2) + stats.norm.logpdf(values, 0, v).sum(), 0.05, 12),
        rate: moments_by_quadrature(
            lambda v: stats.gamma.logpdf(v, 2) + stats.poisson.logpmf(counts, v).sum() + stats.gamma.logpdf(waits, 2, scale=1 / v).sum(),
            0.01,
            15,
        ),
        a: moments_by_quadrature(lambda v: stats.norm.logpdf(v) + stats.poisson.logpmf(born, np.exp(v)).sum() - 0.5 * v**2, -4, 4),
    }
    assert np.isclose(exact[rate][1], 17 / 6.2, rtol=1e-4)  # a gamma posterior
    for variable, (_, mean, sd) in exact.items():
        assert abs(fit.mean(variable) - mean) < 0.1 * sd and abs(fit.sd(variable) / sd - 1) < 0.15, variable
    log_z = sum(entry[0] for entry in exact.values())
    assert log_z - 0.1 < fit.elbo(20_000) < log_z + 0.01
    assert np.all(fit.sample(500)["s"] > 0) and "growth" in str(fit.summary())
    assert np.isclose(fit.summary()["growth"]["mean"], fit.mean("growth"))
    for variable in (noise, count, wait, births):
        draws = fit.predict(variable, n=50)
        assert draws.shape == (50, 7 if variable is noise else 3) and (variable is noise or np.all(draws >= 0))


def test_simplex_and_order():
    N = sv.dim("N")
    p = sv.Dirichlet("p", np.array([1.0, 2.0, 3.0]))
    label = sv.Categorical("label", probs=p, shape=N)
    o = sv.Normal("o", 0, 1, shape=3, support=sv.ordered)
    y = sv.Normal("y", o, 0.7)
    fit = quiet(sv.Model(label, y), {label: np.repeat([0, 1, 2], [4, 6, 12]), y: np.array([-1.0, 0.0, 1.0])})
    exact = np.array([5.0, 8.0, 15.0])
    mean, sd = exact / 28, np.sqrt(exact * (28 - exact) / 28**2 / 29)
    assert np.all(np.abs(fit.mean(p) - mean) < 0.1 * sd) and np.all(np.abs(fit.sd(p) / sd - 1) < 0.1)
    assert np.allclose(fit.draws(p, n=100).sum(axis=1), 1)
    assert fit.predict(label, n=50).shape == (50, 22) and set(np.unique(fit.predict(label, n=50))) == {0, 1, 2}
    draws = np.random.default_rng(0).normal(np.array([-1.0, 0.0, 1.0]) / 1.49, np.sqrt(0.49 / 1.49), size=(400_000, 3))
    draws = draws[np.all(np.diff(draws) > 0, axis=1)]
    assert np.all(np.diff(fit.draws(o, n=200)) > 0)
    assert np.all(np.abs(fit.mean(o) - draws.mean(axis=0)) < 0.2 * draws.std(axis=0))


def test_free_parameter_of_the_model():
    N = sv.dim("N")
    mu = sv.param("mu", init=0.0)
    a = sv.Normal("a", mu, 1.0, shape=N)
    y = sv.Normal("y", a, 1.0)
    values = np.array([1.0, 2.0, 3.0, 6.0])
    fit = quiet(y, {y: values})
    assert abs(fit.params["mu"] - 3) < 0.02 and np.allclose(fit.mean(a), (values + 3) / 2, atol=0.03)
    assert np.allclose(fit.sd(a), np.sqrt(0.5), rtol=0.02) and fit.verdict == "converged"
