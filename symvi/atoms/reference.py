"""Reference values in float64 of functions that NumPy and SciPy lack: logarithms of products, differences of gamma functions.

Differences are summed as differences, term by term, so that nothing cancels: the recurrence takes x to 10, where the series of
Abramowitz & Stegun 6.1.40, 6.3.18 and 6.4.12 in 1 / x^2 take over, as divided differences.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "exp_difference", "log_cosh", "log_mixture", "log_product", "log_ratio", "sqrt1pm1", "hypot", "gammaln",
    "gammaln_difference", "digamma_difference", "trigamma_difference", "betaln",
]  # fmt: skip

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
STIRLING = tuple(b / ((2 * k + 1) * (2 * k + 2)) for k, b in enumerate(BERNOULLI))
DIGAMMA = tuple(b / (2 * k + 2) for k, b in enumerate(BERNOULLI))
SHIFTED = 10
SPLITTER = 134217729.0  # 2^27 + 1 (Dekker 1971)


def _halves(x):
    high = SPLITTER * x
    high = high - (high - x)
    return high, x - high


def _rounding_of_product(x, y, product):
    """x y - product, exactly, for numbers of moderate size."""
    (a, b), (c, d) = _halves(x), _halves(y)
    return ((a * c - product) + a * d + b * c) + b * d


def _log_of_mantissa(value, exponent, correction):
    """log(value 2^exponent (1 + correction)) for 1/4 <= value <= 2: no cancellation where the whole is near 1."""
    shift = np.where(value < 0.35, 2, np.where(value < 0.71, 1, np.where(value > 1.42, -1, 0)))
    return np.log(np.ldexp(value, shift)) + correction + (exponent - shift) * np.log(2.0)


def log_product(x, y):
    """log(x y) to the last digits of x y, which is not formed."""
    if np.iscomplexobj(x) or np.iscomplexobj(y):
        return np.log(x * y)
    (m, j), (n, k) = np.frexp(x), np.frexp(y)
    product = np.abs(m * n)
    plain = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    product = np.where(plain, product, 1.0)
    value = _log_of_mantissa(product, j + k, _rounding_of_product(np.abs(m), np.abs(n), product) / product)
    return np.where(plain, np.where((x > 0) == (y > 0), value, np.nan), np.log(x * y))


def log_ratio(x, y):
    """log(x / y) to the last digits of x / y, which is not formed."""
    if np.iscomplexobj(x) or np.iscomplexobj(y):
        return np.log(x / y)
    (m, j), (n, k) = np.frexp(x), np.frexp(y)
    plain = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    m, n = np.where(plain, np.abs(m), 1.0), np.where(plain, np.abs(n), 1.0)
    ratio = m / n
    product = ratio * n
    rest = ((m - product) - _rounding_of_product(ratio, n, product)) / m
    value = _log_of_mantissa(ratio, j - k, rest)
    return np.where(plain, np.where((x > 0) == (y > 0), value, np.nan), np.log(np.abs(x / y)))


def sqrt1pm1(x):
    """sqrt(1 + x) - 1."""
    root = np.sqrt(1 + x)
    return np.where(np.isinf(root), root, x / (1 + root))


def hypot(x, y):
    """sqrt(x^2 + y^2)."""
    return np.sqrt(x * x + y * y) if np.iscomplexobj(x) or np.iscomplexobj(y) else np.hypot(x, y)


def _divided(coefficients, u, v):
    """(P(v), (P(v) - P(u)) / (v - u)) for the polynomial P, by one Horner scheme."""
    slope, at_u, at_v = 0.0 * u, coefficients[-1] + 0.0 * u, coefficients[-1] + 0.0 * v
    for c in coefficients[-2::-1]:
        slope = slope * v + at_u
        at_u, at_v = at_u * u + c, at_v * v + c
    return at_v, slope


def _shifted(x, a, term):
    """(y, Σ term(x + i)) with y = x + n at least 10, and x + a + n as well."""
    low = np.minimum(x, x + a)
    steps = np.clip(np.ceil(SHIFTED - np.where(low > 0, low, SHIFTED)), 0, None)
    total = 0.0 * (x + a)
    for i in range(SHIFTED - 1, -1, -1):
        total = total + np.where(i < steps, term(x + i), 0.0)
    return x + steps, total


def _log_growth(x, a):
    """log((x + a) / x)."""
    ratio = a / x
    near = np.log1p(np.where(np.abs(ratio) < 0.5, ratio, 0.0))
    return np.where(np.abs(ratio) < 0.5, near, log_ratio(x + a, x))


def _reciprocal_step(t, a):
    """1 / t - 1 / (t + a)."""
    return np.where(np.abs(a) < t, (a / t) / (t + a), (a / (t + a)) / t)


def _where_positive(x, a, difference, fallback):
    """The difference of a gamma function at x + a and x where both are positive; elsewhere as it is written."""
    with np.errstate(all="ignore"):
        x, a = np.broadcast_arrays(np.asarray(x, float), np.asarray(a, float))
        inside = (x > 0) & (x + a > 0) & np.isfinite(x + a)
        value = difference(np.where(inside, x, 1.0), np.where(inside, a, 1.0))
        return np.where(inside, np.where(a == 0, 0.0, value), np.where((a == 0) & (x > 0), 0.0, fallback(x + a) - fallback(x)))


def _gammaln_difference(x, a):
    y, below = _shifted(x, a, lambda t: _log_growth(t, a))
    b = y + a
    r, s = 1 / y, 1 / b
    dr = -(a / y) / b
    series, slope = _divided(STIRLING, r * r, s * s)
    tail = dr * series + r * dr * (r + s) * slope
    ratio = a / y
    unit = np.where(np.abs(ratio) < 0.5, np.where(np.abs(ratio) < 1e-17, 1.0, np.log1p(ratio) / ratio), 0.0)
    near = a * ((1 - 0.5 * r) * unit + (np.log(b) - 1))  # keeps the digits of a subnormal a
    far = (y - 0.5) * _log_growth(y, a) + a * (np.log(b) - 1)
    value = np.where(unit > 0, near, far) + tail - below
    whole = (a == np.floor(a)) & (a > 0) & (a <= 8)
    product = np.ones_like(value)
    for i in range(8):
        product = product * np.where(whole & (i < a), x + i, 1.0)
    return np.where(whole & (x < 1e30), np.log(product), value)


def gammaln(x):
    """log |Γ(x)|; SciPy overflows where x is subnormal."""
    import scipy.special as special

    if np.iscomplexobj(x):
        return special.loggamma(x)
    with np.errstate(all="ignore"):
        return np.where(np.abs(x) < 1e-300, -np.log(np.abs(x)), special.gammaln(x))


def gammaln_difference(x, a):
    """log Γ(x + a) - log Γ(x)."""
    import scipy.special as special

    if np.iscomplexobj(x) or np.iscomplexobj(a):
        return special.loggamma(x + a) - special.loggamma(x)
    return _where_positive(x, a, _gammaln_difference, gammaln)


def _digamma_difference(x, a):
    y, below = _shifted(x, a, lambda t: _reciprocal_step(t, a))
    b = y + a
    r, s = 1 / y, 1 / b
    dr = -(a / y) / b
    dz = dr * (r + s)
    series, slope = _divided(DIGAMMA, r * r, s * s)
    return below + (_log_growth(y, a) - 0.5 * dr - (dz * series + r * r * dz * slope))


def digamma_difference(x, a):
    """ψ(x + a) - ψ(x)."""
    import scipy.special as special

    if np.iscomplexobj(x) or np.iscomplexobj(a):
        return special.digamma(x + a) - special.digamma(x)
    return _where_positive(x, a, _digamma_difference, special.digamma)


def _trigamma_difference(x, a):
    y, below = _shifted(x, a, lambda t: -_reciprocal_step(t, a) * (1 / t + 1 / (t + a)))
    b = y + a
    r, s = 1 / y, 1 / b
    dr = -(a / y) / b
    dz = dr * (r + s)
    series, slope = _divided(BERNOULLI, r * r, s * s)
    return below + dr + 0.5 * dz + dr * (s * s + r * s + r * r) * series + r**3 * dz * slope


def trigamma_difference(x, a):
    """ψ'(x + a) - ψ'(x)."""
    import scipy.special as special

    return _where_positive(np.real(x), np.real(a), _trigamma_difference, lambda t: special.polygamma(1, t))


def betaln(a, b):
    """log Γ(a) + log Γ(b) - log Γ(a + b)."""
    import scipy.special as special

    if np.iscomplexobj(a) or np.iscomplexobj(b):
        return special.loggamma(a) + special.loggamma(b) - special.loggamma(a + b)
    low, high = np.minimum(a, b), np.maximum(a, b)
    return gammaln(low) - gammaln_difference(high, low)


def exp_difference(x, y):
    """e^x - e^y."""
    if np.iscomplexobj(x) or np.iscomplexobj(y):
        return np.exp(x) - np.exp(y)
    with np.errstate(all="ignore"):
        top = np.maximum(x, y)
        root = np.exp(top / 2)
        value = np.sign(x - y) * (root * -np.expm1(-np.abs(x - y))) * root
        return np.where(np.equal(x, y) & (top < np.inf), 0.0, value)


def log_cosh(x):
    """log(cosh(x))."""
    a = np.where(np.real(x) < 0, -x, x)
    near = np.real(a) < 1
    lost = np.expm1(-np.where(near, a, 0))
    return np.where(near, np.log1p(lost * lost / (2 * (1 + lost))), a - np.log(2) + np.log1p(np.exp(-2 * a)))


def log_mixture(w, x, y):
    """log(w e^x + (1 - w) e^y)."""
    with np.errstate(all="ignore"):
        w, x, y = np.broadcast_arrays(w, x, y)
        gap = np.where(np.equal(x, y), 0.0, x - y)
        from_x = np.real(gap) + np.log(np.real(w)) >= np.log1p(-np.real(w))
        base, step = np.where(from_x, x, y), np.where(from_x, -gap, gap)
        share, rest = np.where(from_x, w, 1 - w), np.where(from_x, 1 - w, w)
        far = np.abs(np.real(step)) > 1  # there expm1 saves nothing, and rest e^step may be finite where e^step is not
        part = np.where(far, np.exp(np.where(far, step + np.log(rest), 0)), rest * np.exp(np.where(far, 0, step)))
        change = np.where(far, part - rest, rest * np.expm1(np.where(far, 0, step)))
        return base + np.where(np.real(change) < -0.5, np.log(share + part), np.log1p(change))
