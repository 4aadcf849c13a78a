"""How far to trust draws, iterates and bounds: Monte Carlo errors, R-hat, drift against noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from symvi.errors import DataError
from symvi.fit.importance import khat_limit, psis

__all__ = [
    "Drift", "autocovariance", "average_drift", "drift", "effective_size", "khat_limit", "mcse_mean", "mcse_quantile", "psis", "quantiles",
    "rhat", "weighted_mean",
]  # fmt: skip


def _draws(values: np.ndarray) -> np.ndarray:
    x = np.asarray(values, dtype=float)
    if x.ndim == 0 or x.shape[0] == 0:
        raise DataError(f"draws are an array whose first axis counts them, not of shape {x.shape}")
    return x


# ------------------------------------------------------------------------------------------------------------ Monte Carlo error
def autocovariance(x: np.ndarray) -> np.ndarray:
    """Autocovariances at lags 0, 1, ..., n - 1 along the first axis (divided by n), by the fast Fourier transform."""
    x = _draws(x)
    n = x.shape[0]
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    spectrum = np.fft.rfft(x - x.mean(axis=0), size, axis=0)
    return np.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[:n] / n


def effective_size(x: np.ndarray) -> np.ndarray | float:
    """The number of independent draws that estimate the mean as well, along the first axis; autocorrelations summed as far as sums of pairs
    stay positive and decrease (Geyer, Statistical Science 7, 1992). A constant sequence counts in full; at most n log10(n)."""
    x = _draws(x)
    n = x.shape[0]
    flat = x.reshape(n, -1)
    result = np.full(flat.shape[1], float(n))
    if n >= 4:
        covariance = autocovariance(flat)
        for j in range(flat.shape[1]):
            if not np.isfinite(covariance[0, j]):
                result[j] = np.nan
            elif covariance[0, j] > np.finfo(float).eps * np.max(np.abs(flat[:, j])) ** 2:
                result[j] = n / _correlation_time(covariance[:, j] / covariance[0, j], n)
    return result.reshape(x.shape[1:]) if x.ndim > 1 else float(result[0])


def _correlation_time(correlation: np.ndarray, n: int) -> float:
    pairs = correlation[: n - n % 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: negative[0] if negative.size else pairs.size])
    return max(2.0 * pairs.sum() - 1.0, 1.0 / np.log10(n)) if n > 10 else max(2.0 * pairs.sum() - 1.0, 1.0)


def mcse_mean(x: np.ndarray, independent: bool = True) -> np.ndarray | float:
    """Monte Carlo standard error of the mean along the first axis; with `independent=False` of a correlated sequence."""
    x = _draws(x)
    n = x.shape[0]
    if n < 2:
        return np.full(x.shape[1:], np.inf) if x.ndim > 1 else np.inf
    size = n if independent else effective_size(x)
    return x.std(axis=0, ddof=1) / np.sqrt(size)


def quantiles(x: np.ndarray, probabilities: np.ndarray = (0.05, 0.25, 0.5, 0.75, 0.95), axis: int = 0) -> np.ndarray:
    """Quantiles by linear interpolation between order statistics; the probabilities are the first axis of the result."""
    x = np.asarray(x, dtype=float)
    if x.size == 0 or x.shape[axis] == 0:
        raise DataError("quantiles of no draws")
    p = np.asarray(probabilities, dtype=float)
    if not np.all((p >= 0) & (p <= 1)):
        raise DataError(f"probabilities lie in [0, 1], not {probabilities!r}")
    return np.quantile(x, p, axis=axis)


def mcse_quantile(x: np.ndarray, probability: float) -> float:
    """Monte Carlo standard error of a quantile of independent draws: half the distance of the order statistics between which the quantile
    lies with the probability of one standard deviation (Vehtari et al., Bayesian Analysis 16, 2021)."""
    x = np.sort(_draws(x).ravel())
    n = x.size
    from scipy.special import betaincinv

    low, high = betaincinv(n * probability + 1, n * (1 - probability) + 1, [0.1586553, 0.8413447])
    below = int(max(np.floor(low * n) - 1, 0))
    above = int(min(np.ceil(high * n) - 1, n - 1))
    return float(x[above] - x[below]) / 2


def weighted_mean(values: np.ndarray, log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Self-normalised mean along the first axis, and its standard error by the delta method (Owen, "Monte Carlo", section 9.2)."""
    values, logs = _draws(values), np.asarray(log_weights, dtype=float)
    w = np.exp(logs - logs.max())
    w = (w / w.sum()).reshape(-1, *[1] * (values.ndim - 1))
    mean = np.sum(w * values, axis=0)
    return mean, np.sqrt(np.sum(w**2 * (values - mean) ** 2, axis=0))


# ------------------------------------------------------------------------------------------------------------------ stationarity
def rhat(iterates: np.ndarray, split: bool = True) -> np.ndarray | float:
    """Potential scale reduction along axis 1 of (chains, iterates, ...), or of one sequence (iterates,): near 1 if halves and chains agree.

    Chains are split into halves (Gelman et al., "Bayesian Data Analysis", 3rd edition, section 11.4); of the iterates of an optimiser it
    tells whether they are stationary (Dhaka et al., NeurIPS 2020). 1 for a constant sequence.
    """
    x = np.asarray(iterates, dtype=float)
    x = x[None] if x.ndim == 1 else x
    n = x.shape[1] // 2 if split else x.shape[1]
    if n < 2:
        raise DataError(f"R-hat needs at least {4 if split else 2} iterates, not {x.shape[1]}")
    if split:
        x = np.concatenate([x[:, :n], x[:, x.shape[1] - n :]])
    within = x.var(axis=1, ddof=1).mean(axis=0)
    between = x.mean(axis=1).var(axis=0, ddof=1) if x.shape[0] > 1 else np.zeros_like(within)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt((n - 1) / n + between / within)
    ratio = np.where((within == 0) & (between == 0), 1.0, ratio)
    return float(ratio) if ratio.ndim == 0 else ratio


class Drift(NamedTuple):
    """The change over a window, its standard error, and the probability that noise alone changes as much (0 if something is not finite)."""

    change: np.ndarray | float
    error: np.ndarray | float
    p_value: np.ndarray | float

    def stationary(self, tolerance: float | np.ndarray = 0.0) -> bool:
        """Is every change explained by noise (at the level of 5%, corrected for the number of sequences), or at most `tolerance`?"""
        p = np.asarray(self.p_value)
        return bool(np.all((p > 0.05 / max(p.size, 1)) | (np.abs(self.change) <= tolerance)))


def drift(history: np.ndarray, batches: int = 20) -> Drift:
    """Does a sequence still move? The slope of a line through the means of equal batches along the first axis, by Student's t.

    Means of batches are nearly independent where the sequence is correlated over lengths well below a batch. The oldest values that do not
    fill a batch are left out. `change` is the slope times the length of the window.
    """
    x = _draws(history)
    batches = min(batches, x.shape[0])
    if batches < 3:
        raise DataError(f"a drift needs at least 3 values, not {x.shape[0]}")
    length = x.shape[0] // batches
    x = x[x.shape[0] - batches * length :]
    return average_drift(x.reshape(batches, length, *x.shape[1:]).mean(axis=1))


def average_drift(means: np.ndarray) -> Drift:
    """`drift` from the means of successive windows themselves, along the first axis: what the running averages of the loop give."""
    y = _draws(means)
    m = y.shape[0]
    if m < 3:
        raise DataError(f"a drift needs the means of at least 3 windows, not {m}")
    time = np.arange(m) - (m - 1) / 2.0
    square = np.sum(time**2)
    slope = np.tensordot(time, y, axes=1) / square
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = y - y.mean(axis=0) - time.reshape(-1, *[1] * (y.ndim - 1)) * slope
        error = np.sqrt(np.sum(residual**2, axis=0) / (m - 2) / square)
        t = np.abs(slope) / error
    t = np.where((error == 0) & (slope == 0), 0.0, t)  # a constant sequence; a straight line has t = inf
    from scipy.special import stdtr

    p = 2.0 * stdtr(m - 2, -t)
    return Drift(*(float(v) if np.ndim(v) == 0 else v for v in (slope * m, error * m, np.where(np.isnan(t), 0.0, p))))
