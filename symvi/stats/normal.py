"""Normal and its relatives: HalfNormal, LogNormal, MvNormal."""

from __future__ import annotations

import numpy as np

from symvi.array.expression import as_expr, mistake
from symvi.array.functions import exp, expm1, log, log1mexp, log_ndtr, pi, sqrt
from symvi.array.indexing import diagonal
from symvi.array.linalg import assume, cholesky, logdet, solve, solve_triangular
from symvi.errors import ShapeError
from symvi.stats.family import Family, Parameter, family
from symvi.stats.supports import lower_cholesky, nonnegative, positive, real, spd

__all__ = ["Normal", "HalfNormal", "LogNormal", "MvNormal"]

HALF_LOG_2PI = 0.5 * log(2 * pi)


@family
class Normal(Family):
    """The normal distribution with mean `loc` and standard deviation `scale`, on the real numbers.

    log p(x) = -½ ((x - loc) / scale)² - log scale - ½ log 2π. With `support=` it is truncated and renormalised.
    """

    parameters = (Parameter("loc", real, 0.0), Parameter("scale", positive, 1.0))
    noise_kind = "normal"

    def logp(self, x, p):
        return -0.5 * ((x - p.loc) / p.scale) ** 2 - log(p.scale) - HALF_LOG_2PI

    def sample(self, e, p):
        return p.loc + p.scale * e

    def mean(self, p):
        return p.loc + 0.0 * p.scale

    def variance(self, p):
        return p.scale**2 + 0.0 * p.loc

    def entropy(self, p):
        return 0.5 + HALF_LOG_2PI + log(p.scale) + 0.0 * p.loc

    def log_mass(self, support, p):
        if support.event_rank or support.discrete:
            return None
        lower, upper = support.bounds
        above = None if lower is None else log_ndtr((p.loc - lower) / p.scale)  # log P(x > lower)
        below = None if upper is None else log_ndtr((upper - p.loc) / p.scale)
        if above is None or below is None:
            return below if above is None else above
        return below + log1mexp(log_ndtr((lower - p.loc) / p.scale) - below)

    def random(self, generator, p, shape):
        return generator.normal(p.loc, p.scale, shape)


@family
class HalfNormal(Family):
    """|x| for x normal with mean 0 and standard deviation `scale`, on the numbers from 0 on."""

    parameters = (Parameter("scale", positive, 1.0),)
    support = nonnegative
    noise_kind = "normal"

    def logp(self, x, p):
        return -0.5 * (x / p.scale) ** 2 - log(p.scale) + 0.5 * log(2 / pi)

    def sample(self, e, p):
        return p.scale * abs(e)

    def mean(self, p):
        return p.scale * sqrt(2 / pi)

    def variance(self, p):
        return p.scale**2 * (1 - 2 / pi)

    def entropy(self, p):
        return 0.5 * log(pi / 2) + 0.5 + log(p.scale)

    def random(self, generator, p, shape):
        return np.abs(generator.normal(0.0, p.scale, shape))


@family
class LogNormal(Family):
    """e^z for z normal with mean `loc` and standard deviation `scale`, on the positive numbers."""

    parameters = (Parameter("loc", real, 0.0), Parameter("scale", positive, 1.0))
    support = positive
    noise_kind = "normal"

    def logp(self, x, p):
        z = log(x)
        return -0.5 * ((z - p.loc) / p.scale) ** 2 - log(p.scale) - HALF_LOG_2PI - z

    def sample(self, e, p):
        return exp(p.loc + p.scale * e)

    def mean(self, p):
        return exp(p.loc + 0.5 * p.scale**2)

    def variance(self, p):
        return expm1(p.scale**2) * exp(2 * p.loc + p.scale**2)

    def entropy(self, p):
        return p.loc + 0.5 + HALF_LOG_2PI + log(p.scale)

    def random(self, generator, p, shape):
        return generator.lognormal(p.loc, p.scale, shape)


@family
class MvNormal(Family):
    """The normal distribution of vectors: mean `loc` (last axis the event), and by keyword either `covariance` or the
    lower triangular `scale_tril` with scale_tril scale_tril' = covariance. Leading axes are batches.

    A covariance is taken to be positive definite; where it is not, the fit stops and names this line.
    """

    parameters = (
        Parameter("loc", real, 0.0, event_rank=1),
        Parameter("covariance", spd, event_rank=2, keyword_only=True),
        Parameter("scale_tril", lower_cholesky, event_rank=2, keyword_only=True),
    )
    alternatives = (("covariance", "scale_tril"),)
    event_rank = 1
    noise_kind = "normal"

    def _bind(self, arguments, keywords):
        bound = super()._bind(arguments, keywords)
        name = "covariance" if "covariance" in bound else "scale_tril"
        matrix = bound[name]
        if matrix.shape[-1] != matrix.shape[-2]:
            raise mistake(f"MvNormal: {name} is square, it has dims {matrix.shape}", ShapeError)
        if bound["loc"].ndim and bound["loc"].shape[-1] not in (1, matrix.shape[-1]):
            raise mistake(f"MvNormal: loc with dims {bound['loc'].shape} does not fit {name} with dims {matrix.shape}", ShapeError)
        bound[name] = assume(matrix, "spd" if name == "covariance" else "lower")
        return bound

    def event_shape(self, p):
        matrix = p.covariance if p.covariance is not None else p.scale_tril
        return (matrix.shape[-1],)

    def factor(self, p):
        """The lower triangular factor of the covariance."""
        return p.scale_tril if p.scale_tril is not None else cholesky(p.covariance)

    def log_det_covariance(self, p):
        if p.scale_tril is not None:
            return 2 * log(diagonal(p.scale_tril)).sum(axis=-1)
        return logdet(p.covariance)

    def mahalanobis(self, d, p):
        """d' covariance^-1 d over the last axis of d."""
        if p.scale_tril is not None:
            return (_solved(solve_triangular, p.scale_tril, d) ** 2).sum(axis=-1)
        return (d * _solved(solve, p.covariance, d)).sum(axis=-1)

    def logp(self, x, p):
        size = as_expr(self.event_shape(p)[0])
        return -0.5 * self.mahalanobis(x - p.loc, p) - 0.5 * self.log_det_covariance(p) - size * HALF_LOG_2PI

    def sample(self, e, p):
        factor = self.factor(p)
        return p.loc + (e @ factor.T if factor.ndim == 2 else (factor @ e[..., :, None])[..., 0])

    def mean(self, p):
        return p.loc

    def variance(self, p):
        return diagonal(p.covariance) if p.covariance is not None else (p.scale_tril**2).sum(axis=-1)

    def entropy(self, p):
        size = as_expr(self.event_shape(p)[0])
        return size * (0.5 + HALF_LOG_2PI) + 0.5 * self.log_det_covariance(p)

    def random(self, generator, p, shape):
        factor = p.scale_tril if p.scale_tril is not None else np.linalg.cholesky(p.covariance)
        return p.loc + (factor @ generator.normal(size=(*shape, 1)))[..., 0]


def _solved(operation, matrix, d):
    """matrix^-1 d for vectors d in the last axis, over batches of either; one solve with many columns where the matrix is shared."""
    if matrix.ndim == 2 and d.ndim <= 2:
        return operation(matrix, d) if d.ndim == 1 else operation(matrix, d.T).T
    return operation(matrix, d[..., :, None])[..., 0]
