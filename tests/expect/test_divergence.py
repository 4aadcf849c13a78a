"""Closed-form divergences and expectations against sums and quadrature."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats as st

from symvi.array.expression import array_of
from symvi.array.leaves import data
from symvi.array.substitution import leaves_of
from symvi.errors import ModelError
from symvi.expect.approximation import Moments
from symvi.expect.divergence import _KL, entropy, expected_log_density, kl
from symvi.expect.expectation import expect
from symvi.expr.dims import dim, dims
from symvi.oracle.interpreter import evaluate_one
from symvi.stats import continuous as c
from symvi.stats import discrete as d
from symvi.stats import normal as n
from symvi.stats import supports as s

RNG = np.random.default_rng(11)


def value(expression, values=None, sizes=None):
    given = {leaf: leaf.value for leaf in leaves_of(expression) if leaf.role == "anonymous"}
    out = evaluate_one(array_of(expression), given | {leaf.leaf: v for leaf, v in (values or {}).items()}, sizes)
    return out.reshape([axis.size(sizes or {}) for axis in expression.shape])


def spd(k):
    a = RNG.normal(size=(k, k))
    return a @ a.T + np.eye(k)


PAIRS = [
    (n.Normal.dist(0.3, 1.2), n.Normal.dist(-1, 0.7)),
    (n.LogNormal.dist(0.3, 1.2), n.LogNormal.dist(-1, 0.7)),
    (n.HalfNormal.dist(1.2), n.HalfNormal.dist(0.7)),
    (c.Gamma.dist(2.5, rate=1.5), c.Gamma.dist(1.3, scale=2.0)),
    (c.Exponential.dist(rate=1.5), c.Exponential.dist(scale=2.0)),
    (c.Beta.dist(2.0, 1.5), c.Beta.dist(1.2, 3.0)),
]


def grid(distribution):
    """Points and weights of a quadrature over the support."""
    t, step = np.linspace(-40, 40, 20001, retstep=True)
    low, high = distribution.support.bounds
    if low is None:
        return np.sinh(t), np.cosh(t) * step
    if high is None:
        return np.exp(t), np.exp(t) * step
    share = 1 / (1 + np.exp(-t))
    return share, share / (1 + np.exp(t)) * step


@pytest.mark.parametrize("q, p", PAIRS, ids=lambda x: x.family.name)
def test_kl_against_quadrature(q, p):
    points, weights = grid(q)
    x = data("x", len(points))
    log_q, log_p = (value(each.logp(x), {x: points}) for each in (q, p))
    mass = np.exp(log_q) * weights
    keep = (mass > 0) & np.isfinite(log_p) & np.isfinite(mass)
    assert np.isclose(value(kl(q, p)), np.sum(mass[keep] * (log_q[keep] - log_p[keep])), rtol=1e-6)
    assert np.isclose(value(entropy(q)), -np.sum(mass[keep] * log_q[keep]), rtol=1e-6)
    assert np.isclose(value(kl(q, q)), 0, atol=1e-12)


def test_kl_of_discrete_families():
    pa, pb = np.array([0.1, 0.2, 0.7]), np.array([0.3, 0.3, 0.4])
    truth = np.sum(pa * np.log(pa / pb))
    for a, b in itertools.product(({"probs": pa}, {"logits": np.log(pa) + 1}), ({"probs": pb}, {"logits": np.log(pb) - 2})):
        assert np.isclose(value(kl(d.Categorical.dist(**a), d.Categorical.dist(**b))), truth)
    truth = 0.3 * np.log(0.3 / 0.6) + 0.7 * np.log(0.7 / 0.4)
    logit = lambda x: float(np.log(x / (1 - x)))  # noqa: E731
    for a, b in itertools.product(({"probs": 0.3}, {"logits": logit(0.3)}), ({"probs": 0.6}, {"logits": logit(0.6)})):
        assert np.isclose(value(kl(d.Bernoulli.dist(**a), d.Bernoulli.dist(**b))), truth)


def test_kl_of_vectors():
    a, b, m = spd(3), spd(3), RNG.normal(size=3)
    diff = m - 0.5
    truth = 0.5 * (
        np.trace(np.linalg.solve(b, a)) + diff @ np.linalg.solve(b, diff) - 3 + np.linalg.slogdet(b)[1] - np.linalg.slogdet(a)[1]
    )
    forms = lambda x: ({"covariance": x}, {"scale_tril": np.linalg.cholesky(x)})  # noqa: E731
    for q, p in itertools.product(forms(a), forms(b)):
        assert np.isclose(value(kl(n.MvNormal.dist(m, **q), n.MvNormal.dist(np.full(3, 0.5), **p))), truth)
    sd = np.array([0.5, 1.0, 2.0])
    truth = 0.5 * (np.sum((np.diag(a) + (m - 0.2) ** 2) / sd**2) - 3 + 2 * np.log(sd).sum() - np.linalg.slogdet(a)[1])
    for q in forms(a):
        assert np.isclose(value(kl(n.MvNormal.dist(m, **q), n.Normal.dist(0.2, sd))), truth)


def test_kl_of_dirichlets_by_draws():
    a, b = np.array([2.0, 3.0, 1.5]), np.array([1.0, 1.0, 4.0])
    draws = RNG.dirichlet(a, size=40000)
    sample = st.dirichlet(a).logpdf(draws.T) - st.dirichlet(b).logpdf(draws.T)
    assert abs(value(kl(c.Dirichlet.dist(a), c.Dirichlet.dist(b))) - sample.mean()) < 5 * sample.std() / 200


def test_every_pair_is_tried():
    tried = {(q.family.name, p.family.name) for q, p in PAIRS}
    others = {("Categorical",) * 2, ("Bernoulli",) * 2, ("MvNormal", "MvNormal"), ("MvNormal", "Normal"), ("Dirichlet",) * 2}
    assert tried | others == set(_KL)


def test_kl_is_elementwise_and_refuses_what_it_does_not_know():
    N = dim("N")
    q = n.Normal.dist(data("m", N), 1.0)
    assert kl(q, n.Normal.dist(0, 1)).shape == (N,)
    assert kl(n.Normal("a", data("m", N), 2.0), n.Normal.dist(0, 1)).shape == (N,), "random variables stand for their distributions"
    with pytest.raises(ModelError, match="no closed form.*test_divergence.py"):
        kl(q, c.Cauchy.dist(0, 1))


EXPECTED = [
    (n.Normal.dist(0.4, 1.3), lambda u: u, lambda u: 0 * u),
    (c.Flat.dist(), lambda u: u, lambda u: 0 * u),
    (c.Flat.dist(support=s.positive), np.exp, lambda u: u),
    (n.LogNormal.dist(0.4, 1.3), np.exp, lambda u: u),
    (n.HalfNormal.dist(1.3), np.exp, lambda u: u),
    (c.Exponential.dist(rate=1.3), np.exp, lambda u: u),
    (c.Gamma.dist(2.2, rate=0.7), np.exp, lambda u: u),
]


@pytest.mark.parametrize("p, forward, log_det", EXPECTED, ids=lambda x: getattr(getattr(x, "family", None), "name", ""))
def test_expected_log_density_against_gauss_hermite(p, forward, log_det):
    m, v = data("m"), data("v")
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    u = 0.2 + np.sqrt(0.3) * nodes
    x = data("x", 80)
    integrand = value(p.logp(x), {x: forward(u)}) + log_det(u)
    out = value(expected_log_density(p, Moments(m, v)), {m: np.array(0.2), v: np.array(0.3)})
    assert np.isclose(out, np.sum(weights * integrand) / np.sqrt(2 * np.pi), rtol=1e-10)


def test_expected_mv_normal():
    k, m = spd(3), RNG.normal(size=3)
    root = np.linalg.cholesky(spd(3))
    mean, variance, factor = data("m", 3), data("v", 3), data("L", 3, 3)
    for form in ({"covariance": k}, {"scale_tril": np.linalg.cholesky(k)}):
        p = n.MvNormal.dist(0.5, **form)
        base = st.multivariate_normal(np.full(3, 0.5), k).logpdf(m)
        full = value(expected_log_density(p, Moments(mean, variance, factor)), {mean: m, factor: root})
        assert np.isclose(full, base - 0.5 * np.trace(np.linalg.solve(k, root @ root.T)))
        diagonal = value(expected_log_density(p, Moments(mean, variance)), {mean: m, variance: np.array([0.1, 0.2, 0.3])})
        assert np.isclose(diagonal, base - 0.5 * np.diag(np.linalg.inv(k)) @ [0.1, 0.2, 0.3])


def test_expect_is_an_average_of_draws():
    N, S = dims("N S")
    z, x = data("z", N), data("x", N)
    q = n.Normal.dist(x, 0.5)
    out = expect(z**2 * x, over={z: q}, particles=S)
    assert out.shape == (N,)
    e = next(leaf for leaf in leaves_of(out) if leaf.role == "noise")
    noise, numbers = RNG.normal(size=(7, 2)), np.array([1.0, -2.0])
    expected = ((numbers + 0.5 * noise) ** 2 * numbers).mean(0)
    given = {x.leaf: numbers, e: noise}
    assert np.allclose(evaluate_one(array_of(out), given), expected)
    assert expect(z, over={z: q}) == q.mean, "exact where the mean is known"
    assert expect(x, over={z: q}) == x
