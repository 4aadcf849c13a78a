"""Discrete families: Bernoulli, Categorical, Poisson."""

from __future__ import annotations

import numpy as np

from symvi.array.expression import Expr, broadcast, mistake
from symvi.array.functions import exp, gammaln, log, sigmoid, softplus, xlog1py, xlogy
from symvi.array.reductions import log_softmax, softmax
from symvi.errors import ModelError
from symvi.expr import build
from symvi.stats.family import Family, Parameter, family
from symvi.stats.supports import boolean, category, nonnegative_integer, positive, real, simplex, unit_interval

__all__ = ["Bernoulli", "Categorical", "Poisson", "pick"]


@family
class Bernoulli(Family):
    """0 or 1; by keyword `logits` (log odds of 1) or `probs`. Data may be integers, booleans or floating point 0 and 1."""

    parameters = (Parameter("logits", real, keyword_only=True), Parameter("probs", unit_interval, keyword_only=True))
    alternatives = (("logits", "probs"),)
    support = boolean

    def logp(self, x, p):
        if p.logits is not None:
            return x * p.logits - softplus(p.logits)
        return xlogy(x, p.probs) + xlog1py(1 - x, -p.probs)

    def mean(self, p):
        return sigmoid(p.logits) if p.logits is not None else p.probs

    def variance(self, p):
        return sigmoid(p.logits) * sigmoid(-p.logits) if p.logits is not None else p.probs * (1 - p.probs)

    def entropy(self, p):
        if p.logits is not None:
            return softplus(p.logits) - p.logits * sigmoid(p.logits)
        return -xlogy(p.probs, p.probs) - xlog1py(1 - p.probs, -p.probs)

    def random(self, generator, p, shape):
        probability = p.probs if p.probs is not None else 1 / (1 + np.exp(-p.logits))
        return (generator.random(shape) < probability).astype(float)


@family
class Categorical(Family):
    """A label 0, 1, ..., K - 1; by keyword `logits` or `probs`, whose last axis has the K classes. Values are integers."""

    parameters = (Parameter("logits", real, event_rank=1, keyword_only=True), Parameter("probs", simplex, event_rank=1, keyword_only=True))
    alternatives = (("logits", "probs"),)

    def support_of(self, p):
        table = p.logits if p.logits is not None else p.probs
        if not table.ndim:
            raise mistake("Categorical: logits or probs need a last axis with the classes", ModelError)
        return category(table.shape[-1])

    def log_probs(self, p):
        return log_softmax(p.logits) if p.logits is not None else log(p.probs)

    def probs(self, p):
        return softmax(p.logits) if p.logits is not None else p.probs

    def logp(self, x, p):
        return pick(self.log_probs(p), x)

    def entropy(self, p):
        if p.logits is not None:
            return -(self.probs(p) * self.log_probs(p)).sum(axis=-1)
        return -xlogy(p.probs, p.probs).sum(axis=-1)

    def random(self, generator, p, shape):
        logits = p.logits if p.logits is not None else np.log(p.probs)
        table = np.broadcast_to(logits, (*shape, logits.shape[-1]))
        return np.argmax(table + generator.gumbel(size=table.shape), axis=-1)


@family
class Poisson(Family):
    """Counts with mean `rate`; with `log_rate=` instead, the logarithm of the mean (by keyword), without overflow."""

    parameters = (Parameter("rate", positive), Parameter("log_rate", real, keyword_only=True))
    alternatives = (("rate", "log_rate"),)
    support = nonnegative_integer

    def rate(self, p):
        return p.rate if p.rate is not None else exp(p.log_rate)

    def logp(self, x, p):
        first = xlogy(x, p.rate) if p.rate is not None else x * p.log_rate
        return first - self.rate(p) - gammaln(x + 1.0)

    def mean(self, p):
        return self.rate(p)

    def variance(self, p):
        return self.rate(p)

    def random(self, generator, p, shape):
        return generator.poisson(p.rate if p.rate is not None else np.exp(p.log_rate), shape).astype(float)


def pick(table: Expr, index: Expr) -> Expr:
    """table[..., index]: the entry of the last axis that `index` names, elementwise over the other axes, which broadcast."""
    rows = Expr(build.constant(0.0), table.axes[:-1], table.shape[:-1])
    shape, axes, (_, chosen) = broadcast(rows, index, operation="Categorical")
    own = axes[len(axes) - (table.ndim - 1) :] if table.ndim > 1 else ()
    mapping = {old: new for old, new in zip(table.axes[:-1], own) if old is not None and old != new}
    if table.axes[-1] is not None:
        mapping[table.axes[-1]] = chosen
    return Expr(build.rename(table.term, mapping), axes, shape)
