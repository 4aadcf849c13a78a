"""Other continuous families: Flat, Uniform, Exponential, Gamma, Beta, Dirichlet, Laplace, Cauchy, HalfCauchy, StudentT."""

from __future__ import annotations

import numpy as np

from symvi.array.expression import mistake
from symvi.array.functions import absolute, betaln, digamma, gammaln, log, log1p, pi, sign, tan, xlog1py, xlogy
from symvi.errors import ModelError
from symvi.stats.family import Family, Parameter, family
from symvi.stats.supports import interval, nonnegative, positive, real, simplex, unit_interval

__all__ = ["Flat", "Uniform", "Exponential", "Gamma", "Beta", "Dirichlet", "Laplace", "Cauchy", "HalfCauchy", "StudentT"]


@family
class Flat(Family):
    """The improper density 1 on any support: `sv.Flat("s", support=sv.positive)`. The posterior must be proper without it."""

    improper = True

    def logp(self, x, p):
        return x * 0.0


@family
class Uniform(Family):
    """The uniform distribution from `low` to `high`."""

    parameters = (Parameter("low", real, 0.0), Parameter("high", real, 1.0))
    noise_kind = "uniform"

    def support_of(self, p):
        return interval(p.low, p.high)

    def logp(self, x, p):
        return 0.0 * x - log(p.high - p.low)

    def sample(self, e, p):
        return p.low + (p.high - p.low) * e

    def mean(self, p):
        return 0.5 * (p.low + p.high)

    def variance(self, p):
        return (p.high - p.low) ** 2 / 12

    def entropy(self, p):
        return log(p.high - p.low)

    def random(self, generator, p, shape):
        return generator.uniform(p.low, p.high, shape)


@family
class Exponential(Family):
    """The exponential distribution; by keyword `rate` (1 by default) or `scale` = 1 / rate."""

    parameters = (Parameter("rate", positive, 1.0, keyword_only=True), Parameter("scale", positive, keyword_only=True))
    alternatives = (("rate", "scale"),)
    support = nonnegative
    noise_kind = "exponential"

    def rate(self, p):
        return p.rate if p.rate is not None else 1 / p.scale

    def scale(self, p):
        return p.scale if p.scale is not None else 1 / p.rate

    def logp(self, x, p):
        return log(self.rate(p)) - self.rate(p) * x

    def sample(self, e, p):
        return self.scale(p) * e

    def mean(self, p):
        return self.scale(p)

    def variance(self, p):
        return self.scale(p) ** 2

    def entropy(self, p):
        return 1 - log(self.rate(p))

    def random(self, generator, p, shape):
        return generator.exponential(p.scale if p.scale is not None else 1 / p.rate, shape)


@family
class Gamma(Family):
    """The gamma distribution with shape parameter `concentration`; by keyword `rate` or `scale` = 1 / rate."""

    parameters = (
        Parameter("concentration", positive),
        Parameter("rate", positive, keyword_only=True),
        Parameter("scale", positive, keyword_only=True),
    )
    alternatives = (("rate", "scale"),)
    support = positive

    def rate(self, p):
        return p.rate if p.rate is not None else 1 / p.scale

    def logp(self, x, p):
        a, rate = p.concentration, self.rate(p)
        return a * log(rate) + (a - 1) * log(x) - rate * x - gammaln(a)

    def mean(self, p):
        return p.concentration / self.rate(p)

    def variance(self, p):
        return p.concentration / self.rate(p) ** 2

    def entropy(self, p):
        a = p.concentration
        return a - log(self.rate(p)) + gammaln(a) + (1 - a) * digamma(a)

    def random(self, generator, p, shape):
        return generator.gamma(p.concentration, p.scale if p.scale is not None else 1 / p.rate, shape)


@family
class Beta(Family):
    """The beta distribution on (0, 1): density proportional to x^(a - 1) (1 - x)^(b - 1)."""

    parameters = (Parameter("concentration1", positive), Parameter("concentration0", positive))
    support = unit_interval

    def logp(self, x, p):
        a, b = p.concentration1, p.concentration0
        return xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b)

    def mean(self, p):
        return p.concentration1 / (p.concentration1 + p.concentration0)

    def variance(self, p):
        total = p.concentration1 + p.concentration0
        return p.concentration1 * p.concentration0 / (total**2 * (total + 1))

    def entropy(self, p):
        a, b = p.concentration1, p.concentration0
        return betaln(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)

    def random(self, generator, p, shape):
        return generator.beta(p.concentration1, p.concentration0, shape)


@family
class Dirichlet(Family):
    """The Dirichlet distribution of shares that sum to 1 along the last axis."""

    parameters = (Parameter("concentration", positive, event_rank=1),)
    support = simplex
    event_rank = 1

    def event_shape(self, p):
        if not p.concentration.ndim:
            raise mistake("Dirichlet: concentration is a vector (its last axis has the shares)", ModelError)
        return p.concentration.shape[-1:]

    def logp(self, x, p):
        a = p.concentration
        return xlogy(a - 1, x).sum(axis=-1) + gammaln(a.sum(axis=-1)) - gammaln(a).sum(axis=-1)

    def mean(self, p):
        a = p.concentration
        return a / a.sum(axis=-1, keepdims=True)

    def variance(self, p):
        mean, total = self.mean(p), p.concentration.sum(axis=-1, keepdims=True)
        return mean * (1 - mean) / (total + 1)

    def entropy(self, p):
        a, total = p.concentration, p.concentration.sum(axis=-1)
        size = a.shape[-1]
        return gammaln(a).sum(axis=-1) - gammaln(total) + (total - size) * digamma(total) - ((a - 1) * digamma(a)).sum(axis=-1)

    def random(self, generator, p, shape):
        draws = generator.gamma(p.concentration, 1.0, shape)
        return draws / draws.sum(axis=-1, keepdims=True)


@family
class Laplace(Family):
    """The double exponential distribution around `loc`: density proportional to exp(-|x - loc| / scale)."""

    parameters = (Parameter("loc", real, 0.0), Parameter("scale", positive, 1.0))
    noise_kind = "uniform"

    def logp(self, x, p):
        return -absolute((x - p.loc) / p.scale) - log(2 * p.scale)

    def sample(self, e, p):
        centred = e - 0.5
        return p.loc - p.scale * sign(centred) * log1p(-2 * absolute(centred))

    def mean(self, p):
        return p.loc + 0.0 * p.scale

    def variance(self, p):
        return 2 * p.scale**2 + 0.0 * p.loc

    def entropy(self, p):
        return 1 + log(2 * p.scale) + 0.0 * p.loc

    def random(self, generator, p, shape):
        return generator.laplace(p.loc, p.scale, shape)


@family
class Cauchy(Family):
    """The Cauchy distribution; it has no mean and no variance."""

    parameters = (Parameter("loc", real, 0.0), Parameter("scale", positive, 1.0))
    noise_kind = "uniform"

    def logp(self, x, p):
        return -log(pi * p.scale) - log1p(((x - p.loc) / p.scale) ** 2)

    def sample(self, e, p):
        return p.loc + p.scale * tan(pi * (e - 0.5))

    def entropy(self, p):
        return log(4 * pi * p.scale) + 0.0 * p.loc

    def random(self, generator, p, shape):
        return p.loc + p.scale * generator.standard_cauchy(shape)


@family
class HalfCauchy(Family):
    """|x| for x Cauchy around 0 with the given scale, on the numbers from 0 on."""

    parameters = (Parameter("scale", positive, 1.0),)
    support = nonnegative
    noise_kind = "uniform"

    def logp(self, x, p):
        return log(2 / pi) - log(p.scale) - log1p((x / p.scale) ** 2)

    def sample(self, e, p):
        return p.scale * tan(0.5 * pi * e)

    def entropy(self, p):
        return log(2 * pi * p.scale)

    def random(self, generator, p, shape):
        return np.abs(p.scale * generator.standard_cauchy(shape))


@family
class StudentT(Family):
    """Student's t with `df` degrees of freedom around `loc` with the given scale."""

    parameters = (Parameter("df", positive), Parameter("loc", real, 0.0), Parameter("scale", positive, 1.0))

    def logp(self, x, p):
        half = 0.5 * (p.df + 1)
        return gammaln(half) - gammaln(0.5 * p.df) - 0.5 * log(pi * p.df) - log(p.scale) - half * log1p(((x - p.loc) / p.scale) ** 2 / p.df)

    def random(self, generator, p, shape):
        return p.loc + p.scale * generator.standard_t(p.df, shape)
