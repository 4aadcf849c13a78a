"""Exponentials, logarithms, the logistic function and its family, sums of exponentials."""

from __future__ import annotations

import numpy as np

from benchmarks.spellings.rows import FINITE, NEGATIVE, NONNEGATIVE, POSITIVE, REAL, UNIT, Leaf, Row, vector, within

__all__ = ["ROWS"]

ONE = {"x": REAL}
TWO = {"x": FINITE, "y": FINITE}
V = {"v": vector(3)}
WEIGHTED = {"v": vector(3), "u": vector(3, 5e-324)}
MIXED = {"x": FINITE, "y": FINITE, "w": within(0.0, 1.0, grid=(0.0, 5e-324, 1e-310, 1e-300, 1e-12, 0.3, 0.75, 1 - 1e-9, 1.0))}
ODDS = {"x": FINITE, "y": POSITIVE}
SUBNORMAL_SHARE = "a share below 1e-300 is a subnormal number: divided by its weight, it has few digits"
LEAST = -690.0
ABOVE = {"x": within(-1.0, float("inf"))}


def _odds_left(x, y) -> str | None:
    return SUBNORMAL_SHARE if x - np.log(y) < LEAST else None


def _share_left(v, u) -> str | None:
    logs = v + np.log(u)
    return SUBNORMAL_SHARE if logs.min() - np.logaddexp.reduce(logs) < LEAST else None


def sigmoid(f, x):
    return 1 / (1 + f.exp(-x))


def total(f, v):
    return f.sum(f.exp(v), axis=-1)


def share(f, v):
    return f.exp(v) / f.sum(f.exp(v), axis=-1, keepdims=True)


def weighted_share(f, v, u):
    return u * f.exp(v) / f.sum(u * f.exp(v), axis=-1, keepdims=True)


EXPONENTIALS = (
    Row("log(e^x)", lambda f, x: f.log(f.exp(x)), ONE, "x"),
    Row("e^(log x)", lambda f, x: f.exp(f.log(x)), {"x": NONNEGATIVE}, "x, behind a switch"),
    Row("e^(log1p x)", lambda f, x: f.exp(f.log1p(x)), ABOVE, "1 + x, behind a switch"),
    Row("expm1(log x)", lambda f, x: f.expm1(f.log(x)), {"x": NONNEGATIVE}, "x - 1"),
    Row("expm1(log1p x)", lambda f, x: f.expm1(f.log1p(x)), ABOVE, "x"),
    Row("log1p(expm1 x)", lambda f, x: f.log1p(f.expm1(x)), {"x": FINITE}, "x"),
    Row("log(1 + x)", lambda f, x: f.log(1 + x), ABOVE, "log1p"),
    Row("log(1 - x)", lambda f, x: f.log(1 - x), {"x": within(-float("inf"), 1.0)}, "log1p(-x)"),
    Row("e^x - 1", lambda f, x: f.exp(x) - 1, ONE, "expm1"),
    Row("1 - e^x", lambda f, x: 1 - f.exp(x), ONE, "0 at 1e-18"),
    Row("1 - e^-x", lambda f, x: 1 - f.exp(-x), ONE, "0 at 1e-18"),
    Row("log(1 - e^x)", lambda f, x: f.log(1 - f.exp(x)), {"x": NEGATIVE}, "log1mexp"),
    Row("log1p(-e^x)", lambda f, x: f.log1p(-f.exp(x)), {"x": NEGATIVE}, "log1mexp"),
    Row("log(-expm1 x)", lambda f, x: f.log(-f.expm1(x)), {"x": NEGATIVE}, "log1mexp"),
    Row("log(e^x - 1)", lambda f, x: f.log(f.exp(x) - 1), {"x": POSITIVE}, "inf at 800"),
    Row("log(expm1 x)", lambda f, x: f.log(f.expm1(x)), {"x": POSITIVE}, "inf at 800"),
    Row("log(e^x - e^y)", lambda f, x, y: f.log(f.exp(y + x) - f.exp(y)), {"x": Leaf(5e-324, infinite=False), "y": FINITE}, "y + log1mexp"),
    Row("e^(log1mexp x)", lambda f, x: f.exp(f.log1mexp(x)), {"x": NEGATIVE}, "-expm1(x)"),
    Row("e^x - e^y", lambda f, x, y: f.exp(x) - f.exp(y), TWO, "as it is: 0 at 1e-17"),
    Row("e^x + e^y - 2", lambda f, x, y: f.exp(x) + f.exp(y) - 2, TWO, "as it is: 0 at 1e-17"),
    Row("e^x e^y", lambda f, x, y: f.exp(x) * f.exp(y), TWO, "e^(x + y)"),
    Row("e^x / e^y", lambda f, x, y: f.exp(x) / f.exp(y), TWO, "e^(x - y)"),
    Row("e^x beside e^-x", lambda f, x: f.exp(x) + 3 * f.exp(-x), {"x": FINITE}, "two exponentials"),
    Row("log(e^x y)", lambda f, x, y: f.log(f.exp(x) * y), {"x": FINITE, "y": POSITIVE}, "inf at 800"),
    Row("e^(x + log y)", lambda f, x, y: f.exp(x + f.log(y)), {"x": FINITE, "y": POSITIVE}, "as it is: |x| ulp lost"),
    Row("log(x^2)", lambda f, x: f.log(x**2), ONE, "2 log|x|"),
    Row("log sqrt x", lambda f, x: f.log(f.sqrt(x)), {"x": POSITIVE}, "log(x) / 2"),
    Row("log Π e^v", lambda f, v: f.log(f.prod(f.exp(v), axis=-1)), V, "Σ v"),
    Row("log Π v", lambda f, v: f.log(f.prod(v, axis=-1)), {"v": vector(3, 1e-300)}, "log of an underflow"),
    Row("x - x", lambda f, x: x - x, {"x": FINITE}, "0"),
    Row("x / x", lambda f, x: x / x, {"x": FINITE}, "1"),
    Row("(x + y) - x", lambda f, x, y: (x + y) - x, TWO, "y"),
    Row("x y / x", lambda f, x, y: x * y / x, TWO, "y"),
    Row("x y beside y x", lambda f, x, y: f.sin(x * y) + f.cos(y * x), {n: within(-40.0, 40.0) for n in "xy"}, "two products"),
)

LOGISTIC = (
    Row("log(1 + e^x)", lambda f, x: f.log(1 + f.exp(x)), ONE, "softplus"),
    Row("log1p(e^x)", lambda f, x: f.log1p(f.exp(x)), ONE, "softplus"),
    Row("log(1 + e^-x)", lambda f, x: f.log(1 + f.exp(-x)), ONE, "softplus(-x)"),
    Row("log(c + e^x)", lambda f, x: f.log(3 + f.exp(x)), {"x": FINITE}, "inf at 800"),
    Row("log(1 + y e^x)", lambda f, x, y: f.log(1 + y * f.exp(x)), {"x": FINITE, "y": POSITIVE}, "inf at 800"),
    Row("1 / (1 + e^-x)", lambda f, x: 1 / (1 + f.exp(-x)), ONE, "sigmoid"),
    Row("1 / (1 + e^x)", lambda f, x: 1 / (1 + f.exp(x)), ONE, "sigmoid(-x)"),
    Row("e^x / (1 + e^x)", lambda f, x: f.exp(x) / (1 + f.exp(x)), ONE, "sigmoid"),
    Row("e^x sigmoid(-x)", lambda f, x: f.exp(x) * f.sigmoid(-x), ONE, "sigmoid"),
    Row("1 - sigmoid(x)", lambda f, x: 1 - f.sigmoid(x), ONE, "sigmoid(-x)"),
    Row("1 - 1 / (1 + e^-x)", lambda f, x: 1 - sigmoid(f, x), ONE, "sigmoid(-x)"),
    Row("log sigmoid(x)", lambda f, x: f.log(f.sigmoid(x)), ONE, "-softplus(-x)"),
    Row("log(1 / (1 + e^-x))", lambda f, x: f.log(sigmoid(f, x)), ONE, "-softplus(-x), gradient sigmoid(-x)"),
    Row("log(1 - sigmoid(x))", lambda f, x: f.log(1 - f.sigmoid(x)), ONE, "-softplus(x)"),
    Row("log1p(-sigmoid(x))", lambda f, x: f.log1p(-f.sigmoid(x)), ONE, "-softplus(x)"),
    Row("log(1 + sigmoid(x))", lambda f, x: f.log(1 + f.sigmoid(x)), ONE, "log1p(sigmoid(x))"),
    Row("sigmoid(x) / (1 - sigmoid(x))", lambda f, x: f.sigmoid(x) / (1 - f.sigmoid(x)), ONE, "e^x"),
    Row("(1 - sigmoid(x)) / sigmoid(x)", lambda f, x: (1 - f.sigmoid(x)) / f.sigmoid(x), ONE, "e^-x"),
    Row("sigmoid(x) / sigmoid(-x)", lambda f, x: f.sigmoid(x) / f.sigmoid(-x), ONE, "e^x"),
    Row("log(s / (1 - s)), s = sigmoid(x)", lambda f, x: f.log(f.sigmoid(x) / (1 - f.sigmoid(x))), {"x": FINITE}, "log(e^x) = x"),
    Row("log s - log(1 - s), s = sigmoid(x)", lambda f, x: f.log(f.sigmoid(x)) - f.log(1 - f.sigmoid(x)), {"x": FINITE}, "as it is"),
    Row("sigmoid(log(p / (1 - p)))", lambda f, p: f.sigmoid(f.log(p / (1 - p))), {"p": UNIT}, "p, with logit"),
    Row("sigmoid(x)(1 - sigmoid(x))", lambda f, x: f.sigmoid(x) * (1 - f.sigmoid(x)), ONE, "0 at 40"),
    Row("s (1 - s), s = 1 / (1 + e^-x)", lambda f, x: sigmoid(f, x) * (1 - sigmoid(f, x)), ONE, "0 at 40"),
    Row("e^x / (1 + e^x)^2", lambda f, x: f.exp(x) / (1 + f.exp(x)) ** 2, ONE, "NaN at 710"),
    Row("e^-x / (1 + e^-x)^2", lambda f, x: f.exp(-x) / (1 + f.exp(-x)) ** 2, ONE, "NaN at -710"),
    Row("1 / (1 + c e^-x)", lambda f, x: 1 / (1 + 3 * f.exp(-x)), ONE, "as it is: gradient NaN at -710"),
    Row("1 / (1 + y e^-x)", lambda f, x, y: 1 / (1 + y * f.exp(-x)), ODDS, "as it is: gradient NaN at -710", skip=_odds_left),
    Row("log(1 + e^x) - log(1 + e^-x)", lambda f, x: f.log(1 + f.exp(x)) - f.log(1 + f.exp(-x)), {"x": FINITE}, "as it is"),
    Row("log(1 + e^x) - x", lambda f, x: f.log(1 + f.exp(x)) - x, {"x": FINITE}, "0 at 40"),
    Row("x - log(1 + e^x)", lambda f, x: x - f.log(1 + f.exp(x)), {"x": FINITE}, "0 at 40"),
    Row("e^(softplus x)", lambda f, x: f.exp(f.softplus(x)), {"x": FINITE}, "1 + e^x"),
    Row("e^(-softplus x)", lambda f, x: f.exp(-f.softplus(x)), ONE, "sigmoid(-x)"),
    Row("e^(log sigmoid x)", lambda f, x: f.exp(f.log(f.sigmoid(x))), ONE, "sigmoid"),
    Row("softplus(log x)", lambda f, x: f.softplus(f.log(x)), {"x": NONNEGATIVE}, "log1p"),
    Row("e^x / (e^x + e^y)", lambda f, x, y: f.exp(x) / (f.exp(x) + f.exp(y)), TWO, "NaN at 710"),
    Row("log(e^x / (e^x + e^y))", lambda f, x, y: f.log(f.exp(x) / (f.exp(x) + f.exp(y))), TWO, "NaN at 710"),
)

HYPERBOLIC = (
    Row("tanh from exponentials", lambda f, x: (f.exp(x) - f.exp(-x)) / (f.exp(x) + f.exp(-x)), ONE, "NaN at 710"),
    Row("(e^2x - 1) / (e^2x + 1)", lambda f, x: (f.exp(2 * x) - 1) / (f.exp(2 * x) + 1), ONE, "NaN at 360"),
    Row("(1 - e^-2x) / (1 + e^-2x)", lambda f, x: (1 - f.exp(-2 * x)) / (1 + f.exp(-2 * x)), ONE, "NaN at -360"),
    Row("2 sigmoid(2x) - 1", lambda f, x: 2 * f.sigmoid(2 * x) - 1, ONE, "0 at 1e-17"),
    Row("sinh x / cosh x", lambda f, x: f.sinh(x) / f.cosh(x), ONE, "NaN at 711"),
    Row("(e^x + e^-x) / 2", lambda f, x: (f.exp(x) + f.exp(-x)) / 2, ONE, "gradient 0 at 1e-17"),
    Row("(e^x - e^-x) / 2", lambda f, x: (f.exp(x) - f.exp(-x)) / 2, ONE, "0 at 1e-17"),
    Row("log cosh x", lambda f, x: f.log(f.cosh(x)), ONE, "inf at 800, gradient NaN"),
    Row("log((e^x + e^-x) / 2)", lambda f, x: f.log((f.exp(x) + f.exp(-x)) / 2), ONE, "inf at 800, gradient NaN"),
    Row("log sinh x", lambda f, x: f.log(f.sinh(x)), {"x": POSITIVE}, "inf at 800, gradient NaN"),
    Row("log((e^x - e^-x) / 2)", lambda f, x: f.log((f.exp(x) - f.exp(-x)) / 2), {"x": POSITIVE}, "inf at 800, gradient NaN"),
    Row("log tanh x", lambda f, x: f.log(f.tanh(x)), {"x": POSITIVE}, "0 at 20"),
)

SUMS = (
    Row("log(e^x + e^y)", lambda f, x, y: f.log(f.exp(x) + f.exp(y)), TWO, "logsumexp"),
    Row("log(1 + e^x + e^2x)", lambda f, x: f.log(1 + f.exp(x) + f.exp(2 * x)), ONE, "inf at 800"),
    Row("log(1 + e^x + e^y)", lambda f, x, y: f.log(1 + f.exp(x) + f.exp(y)), TWO, "inf at 800"),
    Row("log((e^x + e^y) / 2)", lambda f, x, y: f.log((f.exp(x) + f.exp(y)) / 2), TWO, "inf at 800"),
    Row("log(w e^x + (1 - w) e^y)", lambda f, x, y, w: f.log(w * f.exp(x) + (1 - w) * f.exp(y)), MIXED, "inf at 800, -inf at -800"),
    Row("log(0.3 e^x + 0.7 e^y)", lambda f, x, y: f.log(0.3 * f.exp(x) + 0.7 * f.exp(y)), TWO, "inf at 800, -inf at -800"),
    Row("log Σ e^v", lambda f, v: f.log(total(f, v)), V, "logsumexp, gradient softmax"),
    Row("log Σ u e^v", lambda f, v, u: f.log(f.sum(u * f.exp(v), axis=-1)), WEIGHTED, "inf at 800, -inf at -800"),
    Row("log mean e^v", lambda f, v: f.log(f.mean(f.exp(v), axis=-1)), V, "inf at 800"),
    Row("log(1 + Σ e^v)", lambda f, v: f.log(1 + total(f, v)), V, "inf at 800"),
    Row("e^v / Σ e^v", share, V, "softmax"),
    Row("log(e^v / Σ e^v)", lambda f, v: f.log(share(f, v)), V, "log softmax"),
    Row("v - log Σ e^v", lambda f, v: v - f.log(f.sum(f.exp(v), axis=-1, keepdims=True)), V, "log softmax"),
    Row("e^(v - log Σ e^v)", lambda f, v: f.exp(v - f.log(f.sum(f.exp(v), axis=-1, keepdims=True))), V, "softmax"),
    Row("u e^v / Σ u e^v", weighted_share, WEIGHTED, "NaN at 710", skip=_share_left),
)

ROWS = (*EXPONENTIALS, *LOGISTIC, *HYPERBOLIC, *SUMS)
