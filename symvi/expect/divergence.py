"""Closed forms: Kullback-Leibler divergences, entropies, and expected log-densities under Gaussian blocks.

Sources: Penny, *Kullback-Leibler divergences of normal, gamma, Dirichlet and Wishart densities* (2001); Gil, Alajaji,
Linder, *Rényi divergence measures for commonly used univariate continuous distributions* (2013).
"""

from __future__ import annotations

from collections.abc import Callable

from symvi.array.creation import eye, zeros
from symvi.array.expression import Expr, as_expr, broadcast, mistake
from symvi.array.functions import betaln, digamma, exp, gammaln, log, pi, softplus, xlogy
from symvi.array.functions import sigmoid as logistic
from symvi.array.indexing import broadcast_to, diagonal
from symvi.array.linalg import inv, solve_triangular
from symvi.array.products import trace
from symvi.errors import ModelError
from symvi.expect.approximation import Moments
from symvi.stats.distribution import Distribution
from symvi.stats.normal import MvNormal

__all__ = ["kl", "entropy", "has_kl", "expected_log_density"]

HALF_LOG_2PI = 0.5 * log(2 * pi)
_KL: dict[tuple[str, str], Callable] = {}


def _between(q: str, p: str):
    def note(function: Callable) -> Callable:
        _KL[q, p] = function
        return function

    return note


def has_kl(q: Distribution, p: Distribution) -> bool:
    """Is KL(q || p) known in closed form?"""
    return (q.family.name, p.family.name) in _KL and not q.restricted and not p.restricted


def kl(q: Distribution, p: Distribution) -> Expr:
    """KL(q || p) in nats, elementwise over the batch axes. ModelError where no closed form is known.

    q and p are distributions (`sv.Normal.dist(m, s)`) or random variables.
    """
    q, p = (getattr(x, "dist", x) for x in (q, p))
    if not has_kl(q, p):
        known = ", ".join(f"{a} || {b}" for a, b in _KL)
        raise mistake(f"KL({q.family.name} || {p.family.name}) has no closed form here (known: {known}); use sv.expect", ModelError)
    value = _KL[q.family.name, p.family.name](q.p, p.p, q, p)
    extra = q.event_rank - p.event_rank  # a joint q against independent entries
    shapes = (q.batch_shape, p.batch_shape[: len(p.batch_shape) - extra] if extra else p.batch_shape)
    batch, _, _ = broadcast(*(zeros(*shape) for shape in shapes), operation="kl")
    return broadcast_to(value, batch)


def entropy(q: Distribution) -> Expr:
    """The entropy of q in nats, elementwise over the batch axes."""
    return getattr(q, "dist", q).entropy


@_between("Normal", "Normal")
@_between("LogNormal", "LogNormal")
def _normal(q, p, *_):
    return log(p.scale) - log(q.scale) + 0.5 * (q.scale**2 + (q.loc - p.loc) ** 2) / p.scale**2 - 0.5


@_between("HalfNormal", "HalfNormal")
def _half_normal(q, p, *_):
    return log(p.scale) - log(q.scale) + 0.5 * (q.scale / p.scale) ** 2 - 0.5


@_between("MvNormal", "MvNormal")
def _mv_normal(q, p, q_dist, p_dist):
    size = as_expr(q_dist.event_shape[0])
    log_dets = 0.5 * (MvNormal.log_det_covariance(p) - MvNormal.log_det_covariance(q))
    return log_dets + 0.5 * (MvNormal.mahalanobis(q.loc - p.loc, p) + _trace_ratio(p, MvNormal.factor(q))) - 0.5 * size


@_between("MvNormal", "Normal")
def _mv_to_independent(q, p, q_dist, p_dist):
    """A joint normal against independent ones; the last axis of p is the event of q."""
    size = as_expr(q_dist.event_shape[0])
    variance = MvNormal.variance(q)
    each = log(p.scale) + 0.5 * (variance + (q.loc - p.loc) ** 2) / p.scale**2
    return broadcast_to(each, q_dist.shape).sum(axis=-1) - 0.5 * MvNormal.log_det_covariance(q) - 0.5 * size


def _trace_ratio(p, root: Expr) -> Expr:
    """tr(covariance(p)^-1 root root')."""
    if p.covariance is not None:
        return trace(inv(p.covariance) @ (root @ root.mT))
    return (solve_triangular(p.scale_tril, root) ** 2).sum(axis=(-2, -1))


@_between("Gamma", "Gamma")
def _gamma(q, p, q_dist, p_dist):
    a, b, c, d = q.concentration, q_dist.family.rate(q), p.concentration, p_dist.family.rate(p)
    return (a - c) * digamma(a) - gammaln(a) + gammaln(c) + c * (log(b) - log(d)) + a * (d - b) / b


@_between("Exponential", "Exponential")
def _exponential(q, p, q_dist, p_dist):
    b, d = q_dist.family.rate(q), p_dist.family.rate(p)
    return log(b) - log(d) + d / b - 1


@_between("Beta", "Beta")
def _beta(q, p, *_):
    a, b, c, d = q.concentration1, q.concentration0, p.concentration1, p.concentration0
    return betaln(c, d) - betaln(a, b) + (a - c) * digamma(a) + (b - d) * digamma(b) + (c + d - a - b) * digamma(a + b)


@_between("Dirichlet", "Dirichlet")
def _dirichlet(q, p, *_):
    a, c = q.concentration, p.concentration
    total = a.sum(axis=-1)
    each = (a - c) * (digamma(a) - digamma(total)[..., None]) - gammaln(a) + gammaln(c)
    return gammaln(total) - gammaln(c.sum(axis=-1)) + each.sum(axis=-1)


@_between("Bernoulli", "Bernoulli")
def _bernoulli(q, p, *_):
    return _bernoulli_cross(q, p) - _bernoulli_cross(q, q)


def _bernoulli_cross(q, p):
    """-E_q log p."""
    mean = logistic(q.logits) if q.logits is not None else q.probs
    if p.logits is not None:
        return softplus(p.logits) - mean * p.logits
    return -xlogy(mean, p.probs) - xlogy(1 - mean, 1 - p.probs)


@_between("Categorical", "Categorical")
def _categorical(q, p, q_dist, p_dist):
    probs = q_dist.family.probs(q)
    if q.logits is not None and p.logits is not None:
        return (probs * (q_dist.family.log_probs(q) - p_dist.family.log_probs(p))).sum(axis=-1)
    p_probs = p_dist.family.probs(p)
    return (xlogy(probs, probs) - xlogy(probs, p_probs)).sum(axis=-1)


# ------------------------------------------------------------------------------- expectations under a Gaussian, by family
def expected_log_density(p: Distribution, moments: Moments) -> Expr | None:
    """E log p(z) + E log |dz/du| for z = transform(u), u Gaussian with these moments; over the batch axes. None if not known.

    The parameters of p are fixed: numbers, data, or draws of other blocks.
    """
    if p.restricted:
        return None
    support, name = str(p.support), p.family.name
    rule = _EXPECTED.get((name, support)) or (_flat if p.family.improper and p.support.linear_log_det else None)
    return rule(p.p, moments, p) if rule else None


def _expected_normal(p, u, dist):
    return -0.5 * ((u.mean - p.loc) ** 2 + u.variance) / p.scale**2 - log(p.scale) - HALF_LOG_2PI


def _expected_half_normal(p, u, dist):
    return 0.5 * log(2 / pi) - log(p.scale) + u.mean - 0.5 * exp(2 * u.mean + 2 * u.variance) / p.scale**2


def _expected_exponential(p, u, dist):
    rate = dist.family.rate(p)
    return log(rate) + u.mean - rate * exp(u.mean + 0.5 * u.variance)


def _expected_gamma(p, u, dist):
    a, rate = p.concentration, dist.family.rate(p)
    return a * log(rate) - gammaln(a) + a * u.mean - rate * exp(u.mean + 0.5 * u.variance)


def _expected_mv_normal(p, u, dist):
    size = as_expr(dist.event_shape[0])
    if u.root is not None and u.mean.ndim == 1:
        spread = _trace_ratio(p, u.root)
    elif u.root is None:
        precision = inv(p.covariance) if p.covariance is not None else _precision_of(p.scale_tril)
        spread = (diagonal(precision) * u.variance).sum(axis=-1)
    else:
        return None
    return -0.5 * (MvNormal.mahalanobis(u.mean - p.loc, p) + spread + MvNormal.log_det_covariance(p)) - size * HALF_LOG_2PI


def _precision_of(factor: Expr) -> Expr:
    half = solve_triangular(factor, eye(factor.shape[-1]))
    return half.mT @ half


def _flat(p, u, dist):
    return dist.support.log_abs_det(u.mean)


_EXPECTED = {
    ("Normal", "real"): _expected_normal,
    ("LogNormal", "positive"): _expected_normal,
    ("HalfNormal", "nonnegative"): _expected_half_normal,
    ("Exponential", "nonnegative"): _expected_exponential,
    ("Gamma", "positive"): _expected_gamma,
    ("MvNormal", "real"): _expected_mv_normal,
}
