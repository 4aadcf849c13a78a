"""The gamma function and its kin in emitted kernels: gammaln, digamma, trigamma, polygamma2 as vector code, the others as calls.

The arguments of the first four are positive as a rule; those below 0 are reflected one by one. Below 0 errors are relative to the larger
term of the reflection.
"""
import math

import numpy as np
from numba import njit

from symvi.codegen_templates.rare_cases import where_nan
from symvi.codegen_templates.scalar_math import (
    CALLED,
    EXACT,
    STRICT,
    by_precision,
    fma,
    like,
    log,
    log1p,
    log_of_parts,
    log_ratio,
    mantissa_and_exponent,
    maximum,
    minimum,
    polynomial,
    real,
    round_down,
    round_even,
    round_up,
)

# Near-minimax fits (interpolation at Chebyshev nodes in 60 digits).
gammaln_near_two_above = polynomial(  # log(Gamma(2 + t)) / t as a fraction, |t| <= 1/2
    (0.42278433509846713, 0.9480067876881235, 0.7588996356750448, 0.2781842697268787, 0.04785238906134353, 0.0034112224337486457,
     6.592004121668464e-05),
    (0.42278433, 0.6301949, 0.22566031, 0.018245788))
gammaln_near_two_below = polynomial(
    (1.0, 1.4795717398524737, 0.8258083331269758, 0.21514529191316645, 0.02608891595046021, 0.0012537756994497478,
     1.4166305007605586e-05),
    (1.0, 0.7278602, 0.13789938, 0.0052512153))
stirling_series = polynomial(  # x (log(Gamma(x)) - ((x - 1/2) log(x) - x + log(2 pi) / 2)) in z = 1 / x^2, x >= 6.5
    (0.08333333333333293, -0.0027777777765338216, 0.0007936501760822151, -0.000595125102155557, 0.0008322766080680144,
     -0.0015391316200399393),
    (0.083333276, -0.002759277))
digamma_near_two_above = polynomial(  # psi(2 + t) as a fraction, |t| <= 1/2
    (0.42278433509846713, 1.193921931915993, 0.8979942992594326, 0.27817767441236885, 0.038227262613726665, 0.002097861599607058,
     3.0180691621184384e-05),
    (0.42278433, 0.9885962, 0.3950229, 0.032359146))
digamma_near_two_below = polynomial(
    (1.0, 1.2985056907084942, 0.6211219874635905, 0.13634315449205817, 0.013783553409204402, 0.0005499770577518008,
     5.174892178818486e-06),
    (1.0, 0.8128544, 0.17229187, 0.0074790968))
digamma_series = polynomial(  # x^2 (log(x) - 1 / (2 x) - psi(x)) in z = 1 / x^2, x >= 6.5
    (0.0833333333333332, -0.00833333333276881, 0.003968253583742833, -0.004166567710032352, 0.007563487416484688, -0.020294145808169236,
     0.056117935628883),
    (0.08333306, -0.0082413815))
trigamma_series = polynomial(  # x^3 (psi'(x) - 1 / x - 1 / (2 x^2)) in z = 1 / x^2, x >= 6
    (0.16666666666666644, -0.03333333333220509, 0.023809522948893713, -0.03333308110147455, 0.07572083203711484, -0.2501477294451848,
     1.0286907996359482, -3.412961215232866),
    (0.16666664, -0.033320066, 0.02251096))
polygamma2_series = polynomial(  # x^4 (-psi''(x) - 1 / x^2 - 1 / x^3) in z = 1 / x^2, x >= 6
    (0.4999999999999998, -0.1666666666653065, 0.1666666653490037, -0.29999950444642587, 0.8332389337040155, -3.280203272435419,
     16.82395293130513, -93.09541213862052, 353.39160769467355),
    (0.49999982, -0.16654943, 0.15514536))


@njit(**STRICT)
def log_of_regular(x):
    """log(x) for x positive, finite, not subnormal."""
    m, k = mantissa_and_exponent(x)
    return log_of_parts(m, k, like(x, 0.0))


@njit(**EXACT)
def gammaln_of_positive(x):
    """log Gamma(x), x neither tiny nor huge: Stirling's series from 6.5 on; below, the nearest whole n takes x to 2 + t, t = x - n.

    log Gamma(x) = log Gamma(2 + t) + log((2 + t) ... (n - 1 + t)) for n > 2, and - log(x (x + 1)) or - log(x) for n = 0 or 1.
    One logarithm, one division.
    """
    one = like(x, 1.0)
    far = x > like(x, 6.5)
    n = round_even(x)
    t = x - n
    product = x if n < like(x, 2.0) else one
    product = x * (x + one) if n < one else product
    product = product * (t + like(x, 2.0)) if n > like(x, 2.0) else product
    product = product * (t + like(x, 3.0)) if n > like(x, 3.0) else product
    product = product * (t + like(x, 4.0)) if n > like(x, 4.0) else product
    product = product * (t + like(x, 5.0)) if n > like(x, 5.0) else product
    logarithm = log_of_regular(x if far else product)
    r = one / (x if far else gammaln_near_two_below(t))
    above = fma(x - like(x, 0.5), logarithm - one, fma(r, stirling_series(r * r), like(x, 0.4189385332046727)))
    below = fma(t * gammaln_near_two_above(t), r, -logarithm if n < like(x, 2.0) else logarithm)
    return above if far else below


@njit(**STRICT)
def select_pair(condition, a, b, c, d):
    """(a, b) where the condition holds, else (c, d); all are evaluated, so that no branch stands in the way of vector code."""
    return (a if condition else c), (b if condition else d)


@njit(**EXACT)
def digamma_of_positive(x):
    """psi(x), x >= 0 and finite: the asymptotic series from 6.5 on; below, x is taken to 2 + t as in gammaln_of_positive.

    1 / (2 + t) + ... + 1 / (n - 1 + t) for n > 2, and - 1 / x - 1 / (x + 1) or - 1 / x for n = 0 or 1, are added as one fraction d / p.
    """
    one = like(x, 1.0)
    far = x > like(x, 6.5)
    n = round_even(x)
    t = x - n
    p = x if n < like(x, 2.0) else one
    d = -one if n < like(x, 2.0) else like(x, 0.0)
    f = x + one
    p, d = select_pair(n < one, x * f, -(x + f), p, d)
    f = t + like(x, 2.0)
    p, d = select_pair(n > like(x, 2.0), f, one, p, d)
    f = t + like(x, 3.0)
    p, d = select_pair(n > like(x, 3.0), p * f, fma(d, f, p), p, d)
    f = t + like(x, 4.0)
    p, d = select_pair(n > like(x, 4.0), p * f, fma(d, f, p), p, d)
    f = t + like(x, 5.0)
    p, d = select_pair(n > like(x, 5.0), p * f, fma(d, f, p), p, d)
    q = digamma_near_two_below(t)
    p, d = select_pair(far, x, like(x, 0.5), p * q, fma(digamma_near_two_above(t), p, d * q))
    ratio = d / p
    z = like(x, 4.0) * ratio * ratio
    above = log_of_regular(x) - fma(z, digamma_series(z), ratio)
    return above if far else ratio


@njit(**EXACT)
def trigamma_of_positive(x):
    """psi'(x), x >= 0: 1 / x^2 + ... + 1 / (x + 5)^2 as one fraction below 6, and the asymptotic series."""
    near = x < like(x, 6.0)
    d = like(x, 0.0)
    p = like(x, 1.0)
    for i in range(5, -1, -1):
        f = x + like(x, i)
        d = fma(d * f, f, p)
        p = p * f * f
    shifted = x + like(x, 6.0)
    r = like(x, 1.0) / (shifted if near else x)
    z = r * r
    series = fma(like(x, 0.5), z, z * r * trigamma_series(z)) + r
    total = d / p + series
    return total if near else series


@njit(**EXACT)
def polygamma2_of_positive(x):
    """psi''(x), x >= 0: -2 (1 / x^3 + ... + 1 / (x + 5)^3) as one fraction below 6, and the asymptotic series."""
    near = x < like(x, 6.0)
    d = like(x, 0.0)
    p = like(x, 1.0)
    for i in range(5, -1, -1):
        f = x + like(x, i) if i else x  # keeps the sign of a zero
        d = fma(d * f * f, f, p)
        p = p * f * f * f
    shifted = x + like(x, 6.0)
    r = like(x, 1.0) / (shifted if near else x)
    z = r * r
    series = fma(z, r, z * z * polygamma2_series(z)) + z
    total = fma(like(x, 2.0), d / p, series)
    return -total if near else -series


@njit(**CALLED)
def gammaln_elsewhere(x):
    """libm."""
    return math.lgamma(x)


@njit(**CALLED)
def digamma_elsewhere(x):
    """psi(1 - x) - pi / tan(pi x) below 0; NaN at the poles."""
    if x == like(x, math.inf):
        return x
    r = x - round_even(x)
    if not abs(r) > like(x, 0.0):
        return like(x, math.nan)
    return digamma_of_positive(like(x, 1.0) - x) - like(x, math.pi) / math.tan(like(x, math.pi) * r)


@njit(**CALLED)
def trigamma_elsewhere(x):
    """(pi / sin(pi x))^2 - psi'(1 - x); inf at the poles."""
    cosecant = like(x, math.pi) / math.sin(like(x, math.pi) * (x - round_even(x)))
    return cosecant * cosecant - trigamma_of_positive(like(x, 1.0) - x)


@njit(**CALLED)
def polygamma2_elsewhere(x):
    """psi''(1 - x) - 2 pi^3 cos(pi x) / sin(pi x)^3; NaN at the poles."""
    r = x - round_even(x)
    if not abs(r) > like(x, 0.0):
        return like(x, math.nan)
    cosecant = like(x, math.pi) / math.sin(like(x, math.pi) * r)
    cosine = math.cos(like(x, math.pi) * r)
    return polygamma2_of_positive(like(x, 1.0) - x) - like(x, 2.0) * cosine * cosecant * cosecant * cosecant


correct_gammaln = where_nan("gammaln", gammaln_elsewhere)
correct_digamma = where_nan("digamma", digamma_elsewhere)
correct_trigamma = where_nan("trigamma", trigamma_elsewhere)
correct_polygamma2 = where_nan("polygamma2", polygamma2_elsewhere)


@njit(**EXACT)
def gammaln(x):
    """log |Gamma(x)|, inf at the poles; near the roots 1, 2 and those below 0 the error is absolute."""
    x = real(x)
    regular = x >= by_precision(x, 1e-300, 1e-37) and x <= by_precision(x, 1e305, 1e36)
    value = gammaln_of_positive(x)
    return correct_gammaln(x, value if regular else like(x, math.nan))


@njit(**EXACT)
def digamma(x):
    """psi(x) = d/dx log Gamma(x), NaN at the poles below 0; near the root 1.46 and those below 0 the error is absolute."""
    x = real(x)
    regular = x >= like(x, 0.0) and x < like(x, math.inf)
    value = digamma_of_positive(x)
    return correct_digamma(x, value if regular else like(x, math.nan))


@njit(**EXACT)
def trigamma(x):
    """psi'(x), inf at the poles."""
    x = real(x)
    value = trigamma_of_positive(x)
    return correct_trigamma(x, value if x >= like(x, 0.0) else like(x, math.nan))


@njit(**EXACT)
def polygamma2(x):
    """psi''(x), NaN at the poles below 0."""
    x = real(x)
    value = polygamma2_of_positive(x)
    return correct_polygamma2(x, value if x >= like(x, 0.0) else like(x, math.nan))


@njit(**CALLED)
def steps_up_to(x, target):
    """The number n >= 0 of unit steps that takes x to at least `target`."""
    return np.int64(round_up(target - x)) if x < target else np.int64(0)


@njit(**EXACT)
def gamma(x):
    """The gamma function (libm)."""
    return math.gamma(real(x))


# Bernoulli numbers B_2k give the series of Abramowitz & Stegun 6.1.41 (log gamma), 6.3.18 (digamma), 6.4.11 (trigamma), in z = 1 / x^2.
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
STIRLING_NUMBERS = tuple(b / ((2 * k + 1) * (2 * k + 2)) for k, b in enumerate(BERNOULLI))
DIGAMMA_NUMBERS = tuple(b / (2 * k + 2) for k, b in enumerate(BERNOULLI))


@njit(**CALLED)
def divided_difference(coefficients, u, v):
    """(P(v), (P(v) - P(u)) / (v - u)) of a polynomial, by one Horner scheme: the difference does not cancel."""
    slope = like(u, 0.0)
    at_u = like(u, coefficients[-1])
    at_v = like(u, coefficients[-1])
    for k in range(len(coefficients) - 2, -1, -1):
        slope = slope * v + at_u
        at_u = at_u * u + like(u, coefficients[k])
        at_v = at_v * v + like(u, coefficients[k])
    return at_v, slope


@njit(**CALLED)
def reciprocal_step(t, a):
    """1 / t - 1 / (t + a)."""
    return (a / t) / (t + a) if abs(a) < t else (a / (t + a)) / t


@njit(**CALLED)
def log_growth(x, a):
    """log((x + a) / x)."""
    return log1p(a / x) if abs(a) < like(x, 0.5) * x else log_ratio(x + a, x)


@njit(**CALLED)
def rising_product(x, a):
    """x (x + 1) ... (x + a - 1) for a whole a."""
    product = x
    for i in range(1, np.int64(a)):
        product *= x + like(x, i)
    return product


@njit(**CALLED)
def gammaln_difference(x, a):
    """log Gamma(x + a) - log Gamma(x), both positive: recurrence to x >= 10, then the difference of Stirling's series, term by term."""
    x = real(x)
    a = real(a)
    zero = like(x, 0.0)
    low = minimum(x, x + a)
    if a == zero or not (low > zero and x + a < like(x, math.inf)):
        return zero if a == zero and x > zero else math.lgamma(x + a) - math.lgamma(x)
    if a > zero and a <= like(x, 8.0) and a == round_down(a) and x < by_precision(x, 1e30, 1e4):
        return log(rising_product(x, a))
    below = zero
    n = steps_up_to(low, like(x, 10.0))
    for i in range(n - 1, -1, -1):
        below += log_growth(x + like(x, i), a)
    y = x + like(x, n)
    b = y + a
    r = like(x, 1.0) / y
    s = like(x, 1.0) / b
    dr = -(a / y) / b
    series, slope = divided_difference(STIRLING_NUMBERS, r * r, s * s)
    share = a / y
    growth = log_growth(y, a)
    if abs(share) < like(x, 0.5):  # divided by a first: keeps the digits of a subnormal a
        unit = growth / share if abs(share) > by_precision(x, 1e-17, 1e-9) else like(x, 1.0)
        main = a * ((like(x, 1.0) - like(x, 0.5) * r) * unit + (log(b) - like(x, 1.0)))
    else:
        main = (y - like(x, 0.5)) * growth + a * (log(b) - like(x, 1.0))
    return main + (dr * series + r * dr * (r + s) * slope) - below


@njit(**CALLED)
def digamma_difference(x, a):
    """psi(x + a) - psi(x), x and x + a positive: recurrence to x >= 10, then the difference of the series, term by term."""
    x = real(x)
    a = real(a)
    zero = like(x, 0.0)
    low = minimum(x, x + a)
    if a == zero or not (low > zero and x + a < like(x, math.inf)):
        return zero if a == zero and x > zero else digamma(x + a) - digamma(x)
    below = zero
    n = steps_up_to(low, like(x, 10.0))
    for i in range(n - 1, -1, -1):
        below += reciprocal_step(x + like(x, i), a)
    y = x + like(x, n)
    b = y + a
    r = like(x, 1.0) / y
    s = like(x, 1.0) / b
    dr = -(a / y) / b
    dz = dr * (r + s)
    series, slope = divided_difference(DIGAMMA_NUMBERS, r * r, s * s)
    return below + (log_growth(y, a) - like(x, 0.5) * dr - (dz * series + r * r * dz * slope))


@njit(**CALLED)
def trigamma_difference(x, a):
    """psi'(x + a) - psi'(x), x and x + a positive: recurrence to x >= 10, then the difference of the series, term by term."""
    x = real(x)
    a = real(a)
    zero = like(x, 0.0)
    low = minimum(x, x + a)
    if a == zero or not (low > zero and x + a < like(x, math.inf)):
        return zero if a == zero and x > zero else trigamma(x + a) - trigamma(x)
    below = zero
    n = steps_up_to(low, like(x, 10.0))
    for i in range(n - 1, -1, -1):
        t = x + like(x, i)
        below -= reciprocal_step(t, a) * (like(x, 1.0) / t + like(x, 1.0) / (t + a))
    y = x + like(x, n)
    b = y + a
    r = like(x, 1.0) / y
    s = like(x, 1.0) / b
    dr = -(a / y) / b
    dz = dr * (r + s)
    series, slope = divided_difference(BERNOULLI, r * r, s * s)
    return below + dr + like(x, 0.5) * dz + dr * (s * s + r * s + r * r) * series + r * r * r * dz * slope


@njit(**CALLED)
def stirling_remainder(x):
    """log Gamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2) for x >= 10."""
    r = like(x, 1.0) / x
    return r * stirling_series(r * r)


@njit(**CALLED)
def betaln(a, b):
    """log |Gamma(a) Gamma(b) / Gamma(a + b)| by Stirling remainders from 10 on (DiDonato & Morris, ACM TOMS 18, 1992).

    Gamma(a), Gamma(b), Gamma(a + b) up to 10 enter as logarithms that may cancel: the error is relative to the largest of them.
    """
    a = real(a)
    b = real(b)
    low = minimum(a, b)
    high = maximum(a, b)
    if not high >= like(high, 10.0) or low <= like(low, 0.0):
        return math.lgamma(low) + (math.lgamma(high) - math.lgamma(low + high))
    share = low / high
    log_rest = -log1p(share)  # log(high / (low + high))
    if low < like(low, 10.0):
        remainder = stirling_remainder(high) - stirling_remainder(low + high)
        return math.lgamma(low) + remainder + low - low * log(low + high) + (high - like(high, 0.5)) * log_rest
    remainder = stirling_remainder(low) + (stirling_remainder(high) - stirling_remainder(low + high))
    log_share = log(low / (low + high))
    return like(high, 0.9189385332046727) - like(high, 0.5) * log(high) + remainder + (low - like(low, 0.5)) * log_share + high * log_rest
