"""Every family against SciPy: log-densities, moments, entropies, pathwise draws; and the errors of wrong parameters."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.stats as st

from symvi.array.expression import Expr, array_of
from symvi.array.leaves import data, param
from symvi.array.substitution import leaves_of
from symvi.errors import DataError, ExpressionError, ModelError, ShapeError, SupportError
from symvi.expr.dims import dim, dims
from symvi.oracle.interpreter import evaluate_one
from symvi.stats import continuous as c
from symvi.stats import discrete as d
from symvi.stats import normal as n
from symvi.stats import supports as s
from symvi.stats.family import FAMILIES

RNG = np.random.default_rng(7)


def value(expression, values=None, sizes=None):
    given = {leaf: leaf.value for leaf in leaves_of(expression) if leaf.role == "anonymous"}
    out = evaluate_one(array_of(expression), given | {leaf.leaf: v for leaf, v in (values or {}).items()}, sizes)
    return out.reshape([axis.size(sizes or {}) for axis in expression.shape])


def spd(k):
    a = RNG.normal(size=(k, k))
    return a @ a.T + np.eye(k)


COV = spd(3)
A, B = 0.7, 1.9
CASES = {  # name: (distribution, SciPy's, values)
    "Normal": (n.Normal.dist(A, B), st.norm(A, B), RNG.normal(size=5)),
    "HalfNormal": (n.HalfNormal.dist(B), st.halfnorm(scale=B), RNG.gamma(2, size=5)),
    "LogNormal": (n.LogNormal.dist(A, 0.6), st.lognorm(0.6, scale=np.exp(A)), RNG.gamma(2, size=5)),
    "MvNormal": (n.MvNormal.dist([1.0, 2.0, 3.0], covariance=COV), st.multivariate_normal([1, 2, 3], COV), RNG.normal(size=(5, 3))),
    "MvNormal tril": (
        n.MvNormal.dist(0, scale_tril=np.linalg.cholesky(COV)),
        st.multivariate_normal(np.zeros(3), COV),
        RNG.normal(size=(5, 3)),
    ),
    "Uniform": (c.Uniform.dist(-1, 3), st.uniform(-1, 4), RNG.uniform(-1, 3, size=5)),
    "Exponential": (c.Exponential.dist(rate=B), st.expon(scale=1 / B), RNG.gamma(2, size=5)),
    "Exponential scale": (c.Exponential.dist(scale=B), st.expon(scale=B), RNG.gamma(2, size=5)),
    "Gamma": (c.Gamma.dist(A, rate=B), st.gamma(A, scale=1 / B), RNG.gamma(2, size=5)),
    "Gamma scale": (c.Gamma.dist(A, scale=B), st.gamma(A, scale=B), RNG.gamma(2, size=5)),
    "Beta": (c.Beta.dist(A, B), st.beta(A, B), RNG.uniform(size=5)),
    "Dirichlet": (c.Dirichlet.dist([A, B, 1.2]), st.dirichlet([A, B, 1.2]), RNG.dirichlet([1, 2, 3], size=5)),
    "Laplace": (c.Laplace.dist(A, B), st.laplace(A, B), RNG.normal(size=5)),
    "Cauchy": (c.Cauchy.dist(A, B), st.cauchy(A, B), RNG.normal(size=5)),
    "HalfCauchy": (c.HalfCauchy.dist(B), st.halfcauchy(scale=B), RNG.gamma(2, size=5)),
    "StudentT": (c.StudentT.dist(3.5, A, B), st.t(3.5, A, B), RNG.normal(size=5)),
    "Bernoulli": (d.Bernoulli.dist(probs=0.3), st.bernoulli(0.3), np.array([0.0, 1.0, 1.0])),
    "Bernoulli logits": (d.Bernoulli.dist(logits=A), st.bernoulli(1 / (1 + np.exp(-A))), np.array([0.0, 1.0, 1.0])),
    "Poisson": (d.Poisson.dist(B), st.poisson(B), np.array([0.0, 1.0, 7.0])),
    "Poisson log": (d.Poisson.dist(log_rate=A), st.poisson(np.exp(A)), np.array([0.0, 1.0, 7.0])),
}


def test_every_family_is_tried():
    assert {name.split()[0] for name in CASES} | {"Flat", "Categorical"} == set(FAMILIES)


@pytest.mark.parametrize("name", CASES)
def test_logp_against_scipy(name):
    distribution, scipys, values = CASES[name]
    x = data("x", *values.shape)
    log_density = getattr(scipys, "logpdf", None)
    if name.split()[0] in ("Bernoulli", "Poisson"):
        log_density = scipys.logpmf
    expected = [scipys.logpdf(v) for v in values] if name == "Dirichlet" else log_density(values)
    assert np.allclose(value(distribution.logp(x), {x: values}), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_moments_and_entropy(name):
    distribution, scipys, _ = CASES[name]
    family = distribution.family
    if family.mean(distribution.p) is not None:
        mean, variance = value(distribution.mean), value(distribution.variance)
        expected = np.diag(COV) if name.startswith("MvNormal") else scipys.var()
        assert np.allclose(mean, scipys.mean if name.startswith("MvNormal") else scipys.mean(), rtol=1e-10)
        assert np.allclose(variance, expected, rtol=1e-10)
        assert np.allclose(value(distribution.sd) ** 2, expected)
    if distribution.has_entropy:
        assert np.allclose(value(distribution.entropy), scipys.entropy(), rtol=1e-8)


CONTINUOUS = [name for name, (distribution, *_) in CASES.items() if not distribution.support.discrete and distribution.event_rank == 0]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_logp_integrates_to_one(name):
    """By the trapezium rule after a substitution that maps the line onto the support."""
    distribution = CASES[name][0]
    t = np.linspace(-45, 45, 6001)
    low, high = distribution.support.bounds
    if low is None:
        points, slope = np.sinh(t), np.cosh(t)
    elif high is None:
        points, slope = np.exp(t), np.exp(t)
    else:
        low, high = (float(value(b)) if isinstance(b, Expr) else b for b in (low, high))
        share = 1 / (1 + np.exp(-t))
        points, slope = low + (high - low) * share, (high - low) * share / (1 + np.exp(t))
    x = data("x", len(t))
    density = np.exp(value(distribution.logp(x), {x: points}))
    inside = (density > 0) & np.isfinite(density)
    assert abs(scipy.integrate.trapezoid(np.where(inside, density * slope, 0.0), t) - 1) < 1e-4


NOISE = {"normal": RNG.standard_normal, "uniform": RNG.random, "exponential": RNG.standard_exponential}
DRAWN = [name for name, (distribution, *_) in CASES.items() if distribution.noise_kind and distribution.event_rank == 0]


@pytest.mark.parametrize("name", DRAWN)
def test_draws_follow_the_distribution(name):
    """A pathwise draw at noise quantiles spread over (0, 1) has the distribution function of the family (Kolmogorov)."""
    distribution, scipys, _ = CASES[name]
    S = dim("S", 4000)
    e = distribution.noise("e", S)
    draws = value(distribution.sample(e), {e: NOISE[distribution.noise_kind](4000)})
    assert st.kstest(draws, scipys.cdf).statistic < 1.95 / np.sqrt(4000)


def test_mv_normal_draws():
    S = dim("S", 20000)
    for name in ("MvNormal", "MvNormal tril"):
        distribution, scipys, _ = CASES[name]
        e = distribution.noise("e", S)
        draws = value(distribution.sample(e), {e: RNG.standard_normal((20000, 3))})
        assert np.allclose(draws.mean(0), scipys.mean, atol=6 * np.sqrt(np.diag(COV).max() / 20000))
        assert np.allclose(np.cov(draws.T), COV, atol=0.05 * np.abs(COV).max() * 2)


def test_random_numbers_of_every_family():
    generator = np.random.default_rng(3)
    for name, (distribution, scipys, _) in CASES.items():
        p = type(distribution.p)(**{k: None if v is None else value(v) for k, v in vars(distribution.p).items()})
        draws = distribution.family.random(generator, p, (4000, *(3,) * distribution.event_rank))
        if distribution.event_rank == 0 and not distribution.support.discrete:
            assert st.kstest(draws, scipys.cdf).statistic < 1.95 / np.sqrt(4000), name
        elif distribution.event_rank == 0:
            assert abs(draws.mean() - scipys.mean()) < 6 * scipys.std() / np.sqrt(4000), name
        else:
            assert np.allclose(draws.mean(0), value(distribution.mean), atol=0.3), name


def test_batched_mv_normal():
    N, M, D = dims("N M D")
    x, covariance = data("x", N, M, D), data("K", M, D, D)
    stack = np.stack([spd(2) for _ in range(3)])
    points = RNG.normal(size=(4, 3, 2))
    out = value(n.MvNormal.dist(0, covariance=covariance).logp(x), {x: points, covariance: stack}, {"N": 4, "M": 3, "D": 2})
    expected = [[st.multivariate_normal(np.zeros(2), stack[m]).logpdf(points[k, m]) for m in range(3)] for k in range(4)]
    assert np.allclose(out, expected)


def test_categorical():
    N = dim("N")
    logits, y = data("logits", N, 4), data("y", N, dtype=int)
    table, labels = RNG.normal(size=(6, 4)), RNG.integers(0, 4, size=6)
    log_p = table - np.log(np.exp(table).sum(1, keepdims=True))
    values = {logits: table, y: labels}
    assert np.allclose(value(d.Categorical.dist(logits=logits).logp(y), values, {"N": 6}), log_p[np.arange(6), labels])
    shared = d.Categorical.dist(probs=[0.1, 0.2, 0.7])
    assert np.allclose(value(shared.logp(y), {y: labels % 3}, {"N": 6}), np.log([0.1, 0.2, 0.7])[labels % 3])
    assert np.allclose(value(shared.entropy), st.entropy([0.1, 0.2, 0.7]))
    assert np.allclose(value(d.Categorical.dist(logits=logits).entropy, values, {"N": 6}), -(np.exp(log_p) * log_p).sum(1))
    with pytest.raises(DataError, match="integers"):
        shared.logp(data("z", N))


def test_a_categorical_over_a_dim_of_its_own_rows():
    """Classes and rows may have the same dim."""
    K = dim("K")
    logits, y = data("logits", K, K), data("y", K, dtype=int)
    table, labels = RNG.normal(size=(3, 3)), np.array([2, 0, 1])
    out = value(d.Categorical.dist(logits=logits).logp(y), {logits: table, y: labels}, {"K": 3})
    assert np.allclose(out, (table - np.log(np.exp(table).sum(1, keepdims=True)))[np.arange(3), labels])


def test_stable_at_extreme_logits():
    y, logits = data("y", 2), data("l", 2)
    out = value(d.Bernoulli.dist(logits=logits).logp(y), {y: np.array([1.0, 0.0]), logits: np.array([800.0, -800.0])})
    assert np.array_equal(out, [0.0, 0.0])


def test_outside_the_support_is_minus_infinity():
    x = data("x", 3)
    assert np.array_equal(np.isinf(value(c.Exponential.dist().logp(x), {x: np.array([-1.0, 0.5, 2.0])})), [True, False, False])
    assert np.array_equal(np.isinf(value(c.Uniform.dist(0, 1).logp(x), {x: np.array([-1.0, 0.5, 2.0])})), [True, False, True])
    inside = c.Exponential.dist().logp(param("s", 3, support=s.positive))
    assert "where" not in repr(inside) and "select" not in repr(inside)


def test_zero_is_data_of_an_exponential_but_not_of_a_gamma():
    zero = np.array([0.0, 1.0])
    assert c.Exponential.dist().support.contains(zero) and n.HalfNormal.dist().support.contains(zero)
    assert not c.Gamma.dist(2, rate=1).support.contains(zero)


def test_truncated_normal():
    x = data("x", 3)
    points = np.array([0.1, 0.5, 0.9])
    for support, a, b in ((s.positive, 0, np.inf), (s.interval(-0.5, 1.0), -0.5, 1.0), (s.less_than(1.0), -np.inf, 1.0)):
        frozen = st.truncnorm((a - A) / B, (b - A) / B, A, B)
        assert np.allclose(value(n.Normal.dist(A, B, shape=3, support=support).logp(x), {x: points}), frozen.logpdf(points), rtol=1e-9)
    ordered = n.Normal.dist(A, B, shape=3, support=s.ordered)
    assert np.allclose(value(ordered.logp(x), {x: points}), st.norm(A, B).logpdf(points).sum() + np.log(6))
    with pytest.raises(ModelError, match="normalising constant"):
        c.Laplace.dist(0, 1, support=s.positive).logp(x)


def test_shapes():
    N, D = dims("N D")
    assert n.Normal("w", 0, 1, shape=D).shape == (D,)
    assert n.Normal("w", data("m", N, 1), data("v", D)).shape == (N, D)
    assert n.Normal("w", 0, 1).shape == ()
    z = n.MvNormal("z", 0, covariance=data("K", D, D), shape=(N, D))
    assert z.shape == (N, D) and z.dist.batch_shape == (N,) and z.dist.event_shape == (D,)
    assert c.Flat("p", shape=(N, D), support=s.simplex).dist.batch_shape == (N,)
    assert d.Categorical("y", logits=data("l", N, 3)).shape == (N,)


def wrong(call, error, *texts):
    with pytest.raises(error) as caught:
        call()
    for text in (*texts, "test_distributions.py"):
        assert text in str(caught.value), caught.value


def test_errors_name_the_line():
    N, D = dims("N D")
    wrong(lambda: n.Normal("w", 0, -1), SupportError, "scale = -1", "positive")
    wrong(lambda: n.Normal("w", 0, 0), SupportError, "scale")
    wrong(lambda: n.Normal("w", 0, np.array([1.0, -2.0])), SupportError, "scale[1] = -2.0")
    wrong(lambda: d.Bernoulli("y", probs=1.5), SupportError, "probs")
    wrong(lambda: n.MvNormal("z", 0, covariance=np.array([[1.0, 2.0], [2.0, 1.0]])), SupportError, "covariance")
    wrong(lambda: c.Gamma("g", 1.0), ModelError, "rate", "scale")
    wrong(lambda: c.Gamma("g", 1.0, 2.0), ExpressionError, "keyword")
    wrong(lambda: c.Gamma("g", 1.0, rate=1, scale=2), ExpressionError, "one of")
    wrong(lambda: n.Normal("w", 0, sclae=1), ExpressionError, "scale")
    wrong(lambda: n.Normal(0, 1), ExpressionError, "name first")
    wrong(lambda: n.Normal("w", data("m", N), 1, shape=D), ShapeError, "N", "D")
    wrong(lambda: n.MvNormal("z", 0, covariance=data("K", N, D)), ShapeError, "square")
    wrong(lambda: c.StudentT("t"), ModelError, "df")
    wrong(lambda: c.Gamma.dist(1, rate=1).sample(data("e")), ModelError, "no draw")
    wrong(lambda: c.Cauchy.dist().mean, ModelError, "no closed form")
