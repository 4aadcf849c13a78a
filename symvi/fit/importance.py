"""Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao & Gabry, JMLR 25(72), 2024)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from symvi.errors import DataError

__all__ = ["Smoothed", "fit_generalised_pareto", "generalised_pareto_quantile", "khat_limit", "psis"]


class Smoothed(NamedTuple):
    """Smoothed log weights, in the order and on the scale of the raw ones, and the shape of the tail."""

    log_weights: np.ndarray
    khat: float


def psis(log_weights: np.ndarray) -> Smoothed:
    """Smooths the largest importance weights and estimates the shape of their tail.

    The largest M = min(S / 5, 3 sqrt(S)) of S weights are replaced by the expected order statistics of a generalised Pareto distribution
    that is fitted to them (algorithm 1), no smoothed weight exceeding the largest raw one. khat below `khat_limit(S)` means that estimates
    from the smoothed weights can be trusted: about 1 / khat moments of the weights exist. It is inf if the tail has fewer than 5 weights
    and 0 if they are equal up to rounding. A log weight of -inf is a weight of zero; NaN and +inf raise DataError.
    """
    raw = np.asarray(log_weights, dtype=float)
    if raw.ndim != 1 or raw.size == 0:
        raise DataError(f"log weights are a vector, not of shape {raw.shape}")
    if np.isnan(raw).any() or np.isposinf(raw).any():
        first = int(np.flatnonzero(np.isnan(raw) | np.isposinf(raw))[0])
        raise DataError(f"the log weight {raw[first]} at {first} is not finite")
    largest = raw.max()
    if np.isneginf(largest):
        return Smoothed(raw.copy(), np.inf)
    size = raw.size
    tail = int(np.ceil(min(0.2 * size, 3.0 * np.sqrt(size))))
    if tail < 5:
        return Smoothed(raw.copy(), np.inf)
    order = np.argsort(raw, kind="stable")
    in_tail = order[size - tail :]
    cutoff = np.exp(raw[order[size - tail - 1]] - largest)
    excess = np.exp(raw[in_tail] - largest) - cutoff
    if 1.0 - cutoff <= 1e-10 * max(1.0, abs(largest)):
        return Smoothed(raw.copy(), 0.0)
    if np.count_nonzero(excess > 0) < 5:
        return Smoothed(raw.copy(), np.inf)
    k, sigma = fit_generalised_pareto(excess)
    if not np.isfinite(k):
        return Smoothed(raw.copy(), np.inf)
    smoothed = raw.copy()
    expected = cutoff + generalised_pareto_quantile((np.arange(tail) + 0.5) / tail, k, sigma)
    smoothed[in_tail] = largest + np.minimum(np.log(expected), 0.0)
    return Smoothed(smoothed, k)


def khat_limit(draws: int) -> float:
    """Below it khat is good for this number of draws: min(1 - 1 / log10(S), 0.7) (section 3.2.4)."""
    return min(1.0 - 1.0 / np.log10(draws), 0.7) if draws > 10 else 0.0


def fit_generalised_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape k and scale sigma of a generalised Pareto distribution, from ascending values above 0: the quasi-Bayesian estimate of Zhang &
    Stephens (Technometrics 51, 2009), k shrunk towards 1/2 as by ten observations (Vehtari et al. 2024, appendix G)."""
    x = np.asarray(excess, dtype=float)
    n = x.size
    count = 30 + int(np.sqrt(n))
    quartile = x[int(n / 4 + 0.5) - 1]
    if quartile <= 0:
        quartile = x[x > 0][0]
    grid = 1.0 / x[-1] + (1.0 - np.sqrt(count / (np.arange(1, count + 1) - 0.5))) / (3.0 * quartile)
    shapes = np.array([np.mean(np.log1p(-b * x)) for b in grid])
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = n * (np.log(-grid / shapes) - shapes - 1.0)
    likelihood = np.where(np.isnan(likelihood), -np.inf, likelihood)
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    b = float(np.sum(grid * weights))
    k = float(np.mean(np.log1p(-b * x)))
    sigma = -k / b
    return (n * k + 10.0 * 0.5) / (n + 10.0), sigma


def generalised_pareto_quantile(p: np.ndarray, k: float, sigma: float) -> np.ndarray:
    """sigma ((1 - p)^-k - 1) / k, and its limit -sigma log(1 - p) at k = 0."""
    p = np.asarray(p, dtype=float)
    if abs(k) < 1e-12:
        return -sigma * np.log1p(-p)
    return sigma * np.expm1(-k * np.log1p(-p)) / k
