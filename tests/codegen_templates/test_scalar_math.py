"""Scalar functions of emitted kernels against mpmath, in float64 and float32."""
import math
import re

import mpmath
import numpy as np
import pytest
from numba import njit, types

from symvi.codegen_templates import gamma_functions, scalar_math, trigonometry

MAGNITUDES = (5e-324, 1e-310, 2.3e-308, 1e-300, 1e-100, 1e-40, 1e-38, 1e-30, 1e-17, 1e-12, 1e-8, 1e-5, 1e-3, 0.01, 0.1, 0.2, 0.24, 0.26,
              0.4, 0.49, 0.51, 0.6, math.log(2), 0.74, 0.76, 0.9, 0.999, 1.0, 1 + 1e-12, 1.1, 1.46163, 1.5, 1.9999, 2.0, 2.5, 3.0, 3.99,
              4.1, 5.5, 7.3, 9.99, 10.0, 11.3, 14.2, 19.7, 27.3, 33.1, 37.0, 38.2, 50.7, 88.1, 88.9, 103.3, 120.4, 300.6, 699.9, 709.7,
              709.79, 710.4, 744.9, 746.0, 1234.5, 1e5, 1e8, 1e17, 1e30, 1e38, 1e100, 1e153, 1e300)
REALS = tuple(s * m for m in MAGNITUDES for s in (1.0, -1.0)) + (0.0, -0.0, math.inf, -math.inf, math.nan)
UNIT = (0.0, 5e-324, 1e-310, 1e-300, 1e-100, 1e-38, 1e-20, 1e-8, 1e-3, 0.02, 0.0749, 0.0751, 0.1, 0.2499, 0.2501, 0.3, 0.425, 0.49,
        0.4999999, 0.5, 0.5000001, 0.51, 0.6, 0.75, 0.77, 0.9, 0.93, 0.99, 0.9999, 1 - 1e-7, 1 - 1e-12, 1.0, math.nan)
SIGNED_UNIT = tuple(s * u for u in UNIT for s in (1.0, -1.0))
TO_TWO = UNIT + tuple(2 - u for u in UNIT)
NOT_POSITIVE = tuple(-abs(v) for v in REALS)
POSITIVE = tuple(abs(v) for v in REALS)
MODERATE = tuple(v for v in REALS if not 1e8 < abs(v) < math.inf)
NOT_A_POLE = tuple(v for v in REALS if v > 0 or (-1e4 < v and v != round(v)))
LEFT = (0.0, 1e-300, 1e-5, 0.3, 1.0, 2.0, 7.7, 120.0, 1e6, 1e300, -1e-300, -0.4, -1.0, -30.2, -1e5, -1e300, math.inf, -math.inf, math.nan)
RIGHT = (0.0, 1e-300, 0.5, 1.0, 3.0, 21.4, 1e10, 1e300, -1e-9, -0.4, -2.0, -800.0, -1e300, math.inf, -math.inf, math.nan)
PAIRS = tuple((a, b) for a in LEFT for b in RIGHT)
POSITIVE_PAIRS = tuple((a, b) for a in (1e-300, 1e-20, 1e-3, 0.5, 1.0, 2.7, 9.9, 10.0, 33.3, 1e4, 1e9, 1e30, 1e200)
                       for b in (1e-300, 1e-3, 0.7, 1.0, 8.0, 10.5, 50.0, 1e3, 1e8, 1e31))


MODULES = (scalar_math, trigonometry, gamma_functions)


def helper(name):
    """The compiled function of this name."""
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


def numpy_case(function):
    """A judge that is exact already in NumPy: order, sign, remainder."""
    def exact_judge(*arguments):
        with np.errstate(all="ignore"):
            return mpmath.mpf(float(function(*map(float, arguments))))
    return exact_judge


def quantile(p):
    """The normal quantile from a starting value and Newton steps on the tail in 60 digits."""
    if not 0 <= p <= 1:
        return mpmath.nan
    if p in (0, 1):
        return mpmath.inf if p else -mpmath.inf
    if p == 0.5:
        return mpmath.mpf(0)
    tail = min(p, 1 - p)
    z = mpmath.sqrt(-2 * mpmath.log(tail)) if tail < 0.01 else 2.5 * (0.5 - tail)
    for _ in range(60):
        value = mpmath.erfc(z / mpmath.sqrt(2)) / 2
        step = (mpmath.log(value) - mpmath.log(tail)) * value * mpmath.sqrt(2 * mpmath.pi) * mpmath.exp(z * z / 2)
        z += step
        if abs(step) < abs(z) * mpmath.mpf(10) ** -40:
            break
    return z if p > 0.5 else -z


def gamma_difference(function):
    """function(x + a) - function(x) with as many digits as the cancellation takes."""
    def difference(x, a):
        digits = mpmath.log10(x / a) if 1 < x / a < mpmath.inf else 0
        with mpmath.workdps(80 + int(digits)):
            return function(x + a) - function(x)
    return difference


def erfc(x):
    return mpmath.mpf(0 if x > 0 else 2) if abs(x) > 1e4 else mpmath.erfc(x)


def log_ndtr(x):
    if x > 0:
        return mpmath.log1p(-erfc(x / mpmath.sqrt(2)) / 2)
    if x < -1e8:
        return -x * x / 2 - mpmath.log(-x * mpmath.sqrt(2 * mpmath.pi))
    return mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2)


def erfcx(x):
    return 1 / (x * mpmath.sqrt(mpmath.pi)) if x > 1e10 else (mpmath.inf if x < -100 else mpmath.exp(x * x) * mpmath.erfc(x))


def log1mexp(x):
    return mpmath.nan if x > 0 else -mpmath.inf if x == 0 else mpmath.log(-mpmath.expm1(x)) if x > -1 else mpmath.log1p(-mpmath.exp(x))


def logaddexp(x, y):
    top = mpmath.inf if mpmath.inf in (x, y) else max(x, y)
    return top if mpmath.isinf(top) else top + mpmath.log1p(mpmath.exp(-abs(x - y)))


def softplus(x):
    return max(x, mpmath.mpf(0)) + mpmath.log1p(mpmath.exp(-abs(x)))


def positive_log(x, base=None):
    if x < 0:
        return mpmath.nan
    return -mpmath.inf if x == 0 else (mpmath.log(x) if base is None else mpmath.log(x) / mpmath.log(base))


def log1p(x):
    return mpmath.nan if x < -1 else -mpmath.inf if x == -1 else mpmath.log1p(x)


def times_log(x, y):
    return mpmath.mpf(0) if x == 0 and not mpmath.isnan(y) else x * positive_log(y)


def betaln(a, b):
    with mpmath.workdps(400):
        return mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)


def betaln_scale(a, b):
    low, high = sorted((float(a), float(b)))
    return max(1.0, abs(math.lgamma(low)), low * math.log1p(high), math.lgamma(low + high) if high < 10 else 0.0)


def scale_of_growth(x, a):
    """Size of the two parts of log(Gamma(x + a) / Gamma(x)), which cancel near its roots."""
    return 4 * max(abs(float(mpmath.log1p(a / x))), float(a) * max(1.0, abs(math.log(x + a))))


def real_logarithm_of_gamma(x):
    return mpmath.log(abs(mpmath.gamma(x))) if x < 0 else mpmath.loggamma(x)


def reflected_scale(x):
    """Size of the larger term of the reflection formulae below 0; 1 elsewhere (error absolute near roots)."""
    return 1.0 if x > 0 else 10.0 + 1 / abs(x - mpmath.nint(x))


def reflected_scale_3(x):
    return 0.0 if x > 0 else 64 / abs(x - mpmath.nint(x)) ** 3


def guarded(judge, low, high):
    """The judge inside a domain, NaN outside."""
    return lambda x: judge(x) if low <= x <= high else mpmath.nan


def odd(judge):
    return lambda x: x if x == 0 else judge(x)


CASES = {  # name: (judge, arguments, limit in ulp, scale below which an error counts as absolute)
    "exp": (mpmath.exp, REALS, 2), "expm1": (odd(mpmath.expm1), REALS, 2), "log": (positive_log, REALS, 2),
    "log1p": (odd(log1p), REALS, 2),
    "log1p_of_exp": (mpmath.log1p, UNIT, 2), "softplus": (softplus, REALS, 4), "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), REALS, 4),
    "log_sigmoid": (lambda x: -softplus(-x), REALS, 4),
    "logit": (lambda p: -mpmath.inf if p == 0 else mpmath.inf if p == 1 else mpmath.log(p) - mpmath.log1p(-p), UNIT, 4),
    "log1mexp": (log1mexp, NOT_POSITIVE, 4), "logaddexp": (logaddexp, PAIRS, 4, lambda x, y: max(abs(float(x)), abs(float(y)))),
    "log2": (lambda x: positive_log(x, 2), REALS, 4), "log10": (lambda x: positive_log(x, 10), REALS, 4), "xlogy": (times_log, PAIRS, 4),
    "xlog1py": (lambda x, y: mpmath.mpf(0) if x == 0 and not mpmath.isnan(y) else x * log1p(y), PAIRS, 4),
    "sqrt": (guarded(mpmath.sqrt, 0, mpmath.inf), REALS, 1), "square": (lambda x: x * x, REALS, 1),
    "reciprocal": (lambda x: 1 / x if x else mpmath.inf, POSITIVE, 1),
    "power": (lambda x, y: mpmath.power(x, y) if y else mpmath.mpf(1), POSITIVE_PAIRS, 4),
    "cbrt": (lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)) if abs(x) < mpmath.inf else x, REALS, 4),
    "tanh": (lambda x: mpmath.mpf(mpmath.sign(x)) if abs(x) > 1e3 else mpmath.tanh(x), REALS, 4),
    "sinh": (odd(mpmath.sinh), REALS, 4), "cosh": (mpmath.cosh, REALS, 4),
    "sin": (mpmath.sin, REALS, 2), "cos": (mpmath.cos, REALS, 2), "tan": (odd(mpmath.tan), REALS, 4),
    "arcsin": (guarded(mpmath.asin, -1, 1), SIGNED_UNIT, 4), "arccos": (guarded(mpmath.acos, -1, 1), SIGNED_UNIT, 4),
    "arctan": (mpmath.atan, REALS, 4),
    "arctan2": (numpy_case(np.arctan2), PAIRS, 4), "arcsinh": (odd(mpmath.asinh), REALS, 4),
    "arccosh": (guarded(mpmath.acosh, 1, mpmath.inf), REALS, 4),
    "arctanh": (odd(lambda x: x * mpmath.inf if abs(x) == 1 else mpmath.atanh(x)), SIGNED_UNIT, 4),
    "erfcx": (erfcx, REALS, 4), "erf": (odd(mpmath.erf), REALS, 4), "erfc": (erfc, REALS, 4),
    "ndtr": (lambda x: erfc(-x / mpmath.sqrt(2)) / 2, REALS, 4), "log_ndtr": (log_ndtr, REALS, 4), "ndtri": (quantile, UNIT, 4),
    "erfinv": (odd(lambda x: quantile((1 + x) / 2) / mpmath.sqrt(2) if abs(x) > 1e-20 else x * mpmath.sqrt(mpmath.pi) / 2), SIGNED_UNIT, 4),
    "erfcinv": (lambda y: -quantile(y / 2) / mpmath.sqrt(2), TO_TWO[1:], 4),
    "gammaln": (real_logarithm_of_gamma, NOT_A_POLE, 4, lambda x: 1.0 if x > 0 else 8.0),
    "digamma": (mpmath.digamma, NOT_A_POLE, 4, reflected_scale),
    "trigamma": (lambda x: mpmath.psi(1, x), NOT_A_POLE, 4), "polygamma2": (lambda x: mpmath.psi(2, x), NOT_A_POLE, 4, reflected_scale_3),
    "betaln": (betaln, POSITIVE_PAIRS, 4, betaln_scale),
    "gamma": (mpmath.gamma, tuple(v for v in POSITIVE if v != 0), 4),
    "gammaln_difference": (gamma_difference(mpmath.loggamma), POSITIVE_PAIRS, 4, scale_of_growth),
    "digamma_difference": (gamma_difference(lambda x: mpmath.psi(0, x)), POSITIVE_PAIRS, 4),
    "trigamma_difference": (gamma_difference(lambda x: mpmath.psi(1, x)), POSITIVE_PAIRS, 8),
    "log_product": (lambda x, y: positive_log(x * y), POSITIVE_PAIRS, 2),
    "log_ratio": (lambda x, y: positive_log(x / y), POSITIVE_PAIRS, 2),
    "rel_entr": (lambda x, y: x * positive_log(x / y), POSITIVE_PAIRS, 4),
    "sqrt1pm1": (guarded(lambda x: x / (1 + mpmath.sqrt(1 + x)) if x < mpmath.inf else x, -1, mpmath.inf), REALS, 4),
    "hypot": (mpmath.hypot, POSITIVE_PAIRS, 2), "cosm1": (lambda x: -2 * mpmath.sin(x / 2) ** 2, MODERATE, 4),
    "sech": (mpmath.sech, REALS, 4),
    "log_erfc": (lambda x: mpmath.log(mpmath.erfc(x)) if x > 1 else mpmath.log1p(-mpmath.erf(x)),
                 tuple(v for v in REALS if abs(v) < 1e4), 4),
    "inverse_mills": (lambda x: mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-x * x / 2) / erfc(-x / mpmath.sqrt(2)),
                      tuple(v for v in REALS if abs(v) < 1e4), 4),
    "deviation": (lambda x, m: x - m, POSITIVE_PAIRS, 1),
    "maximum": (numpy_case(np.maximum), PAIRS, 0), "minimum": (numpy_case(np.minimum), PAIRS, 0),
    "absolute": (numpy_case(np.abs), REALS, 0),
    "sign": (numpy_case(np.sign), REALS, 0), "floor": (numpy_case(np.floor), REALS, 0), "ceil": (numpy_case(np.ceil), REALS, 0),
    "heaviside": (numpy_case(np.heaviside), PAIRS, 0), "mod": (numpy_case(np.mod), tuple(p for p in PAIRS if p[1] != 0), 1),
}


def error_in_ulp(got, exact, kind, scale):
    """|got - exact| in units of the last place of max(|exact|, scale); infinities and NaN must agree, except within an ulp of overflow."""
    limits = np.finfo(kind)
    if mpmath.isnan(exact) or math.isnan(got):
        return 0.0 if mpmath.isnan(exact) and math.isnan(got) else math.inf
    largest = mpmath.mpf(float(limits.max))
    if mpmath.isinf(exact) or abs(exact) > largest or math.isinf(got):
        near = abs(abs(exact) - largest) < 4 * largest * float(limits.eps)
        return 0.0 if near or (abs(exact) > largest and got == math.copysign(math.inf, exact)) else math.inf
    size = max(abs(exact), mpmath.mpf(scale), mpmath.mpf(float(limits.tiny)))
    ulp = mpmath.ldexp(float(limits.eps), int(mpmath.floor(mpmath.log(size, 2))))
    return float(abs(mpmath.mpf(got) - exact) / ulp)


def worst(name, kind, table=None):
    """Largest error of a function over a table, else over its own, with the arguments where it occurs."""
    rows = []
    for entry in CASES[name][1] if table is None else table:
        entry = entry if isinstance(entry, tuple) else (entry,)
        with np.errstate(all="ignore"):
            arguments = tuple(kind(v) for v in entry)
        if not any(v == 0 and w != 0 for v, w in zip(arguments, entry)):
            rows.append((*arguments, helper(name)(*arguments)))
    return worst_of(name, kind, rows)


def worst_of(name, kind, rows):
    """Largest error among rows (argument, ..., value), with the arguments and the value where it occurs, and the exact value."""
    judge, _, _, *scale = CASES[name]
    found = (0.0, None, None, None)
    for *arguments, got in rows:
        if name in ("gammaln", "digamma", "trigamma", "polygamma2") and arguments[0] <= 0 and arguments[0] == math.floor(arguments[0]):
            continue  # poles have a test of their own
        exact_arguments = [mpmath.mpf(float(v)) for v in arguments]
        exact = mpmath.nan if any(map(mpmath.isnan, exact_arguments)) and judge.__name__ != "exact_judge" else judge(*exact_arguments)
        if isinstance(exact, mpmath.mpc):
            exact = mpmath.nan
        finite = all(map(mpmath.isfinite, exact_arguments))
        error = error_in_ulp(got, mpmath.mpf(exact), kind, scale[0](*exact_arguments) if scale and finite else 0.0)
        if error > found[0]:
            found = (error, tuple(map(float, arguments)), got, float(exact))
    return found


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_accuracy_over_the_whole_range(kind):
    bad = {}
    with mpmath.workdps(60):
        for name, case in CASES.items():
            found = worst(name, kind)
            if found[0] > case[2]:
                bad[name] = found
    assert not bad


def log_uniform(low, high):
    """Both signs, the decimal logarithm of the size between two bounds."""
    return lambda rng, n: 10.0 ** rng.uniform(low, high, n) * rng.choice([-1.0, 1.0], n)


def between(low, high):
    return lambda rng, n: rng.uniform(low, high, n)


def near_quarter_turns(rng, n):
    """The floats next to multiples of pi / 2, where nearly all digits of the argument cancel."""
    return np.round(10.0 ** rng.uniform(0, 12, n)) * (math.pi / 2)


EVERYWHERE = log_uniform(-323, 308)
CIRCULAR = (log_uniform(-323, 5), between(-10, 10), near_quarter_turns, log_uniform(5, 308))
GAMMA_LIKE = (between(0, 1), between(0.9, 1.1), between(1.4, 1.5), between(1.9, 2.1), between(2, 6), between(5.5, 8), between(8, 40),
              lambda rng, n: 10.0 ** rng.uniform(-323, 308, n), between(-8, 0))  # fmt: skip
POINTS = {  # name: where random arguments lie
    "exp": (between(-745, 710), between(-88, 88), log_uniform(-323, 0)), "expm1": (between(-40, 710), between(-1, 1), EVERYWHERE),
    "log": (between(0.5, 2), lambda rng, n: 10.0 ** rng.uniform(-323, 308, n)), "log10": (between(0.5, 2), EVERYWHERE),
    "log2": (between(0.5, 2), EVERYWHERE), "log1p": (between(-1, 2), EVERYWHERE), "log1p_of_exp": (between(0, 1),),
    "tanh": (between(-20, 20), EVERYWHERE), "sinh": (between(-711, 711), between(-3, 3)), "cosh": (between(-711, 711), between(-3, 3)),
    "sigmoid": (between(-745, 745), between(-4, 4)), "softplus": (between(-745, 745), between(-4, 4)),
    "sin": CIRCULAR, "cos": CIRCULAR, "tan": CIRCULAR, "erf": (between(-7, 7), EVERYWHERE), "erfc": (between(-6, 27), between(-1, 3)),
    "erfcx": (between(-26, 30), between(-1, 3)), "ndtr": (between(-38, 9), between(-4, 1)),
    "log_ndtr": (between(-40, 38), between(-3, 3), EVERYWHERE), "inverse_mills": (between(-40, 38), between(-3, 3)),
    "gammaln": GAMMA_LIKE, "digamma": GAMMA_LIKE, "trigamma": GAMMA_LIKE, "polygamma2": GAMMA_LIKE,
}  # fmt: skip


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_accuracy_at_random_points(kind):
    rng = np.random.default_rng(1)
    bad = {}
    with mpmath.workdps(60):
        for name, places in POINTS.items():
            with np.errstate(over="ignore", under="ignore"):
                points = np.concatenate([place(rng, 60) for place in places]).astype(kind)
            points = tuple(float(x) for x in points if np.isfinite(x) and x != 0)
            found = worst(name, kind, points)
            if found[0] > CASES[name][2]:
                bad[name] = found
    assert not bad


def test_turns_at_random_points():
    with mpmath.workdps(60):
        for u in np.random.default_rng(1).uniform(-1, 1, 400):
            pair = scalar_math.cos_and_sin_of_turns(u)
            angle = 2 * mpmath.pi * mpmath.mpf(u)
            assert max(abs(pair[0] - mpmath.cos(angle)), abs(pair[1] - mpmath.sin(angle))) <= 2 * np.finfo(float).eps, u


def test_poles_and_signed_zeros():
    inf, nan = math.inf, math.nan
    table = {
        "gammaln": ((0.0, inf), (-1.0, inf), (-2.0, inf), (inf, inf)),
        "digamma": ((0.0, -inf), (-0.0, inf), (-1.0, nan), (-1e20, nan), (-inf, nan), (inf, inf), (nan, nan)),
        "trigamma": ((0.0, inf), (-0.0, inf), (-3.0, inf), (inf, 0.0), (nan, nan)),
        "polygamma2": ((0.0, -inf), (-0.0, inf), (-1.0, nan), (inf, 0.0), (nan, nan)),
    }
    for name, cases in table.items():
        for x, want in cases:
            got = helper(name)(x)
            assert got == want or (math.isnan(got) and math.isnan(want)), (name, x, got)
    for name in ("expm1", "log1p", "tanh", "sinh", "erf", "erfinv", "cbrt", "arcsinh", "arctanh", "sin", "tan", "arcsin", "sqrt"):
        for kind in (np.float64, np.float32):
            assert math.copysign(1.0, helper(name)(kind(-0.0))) == -1.0, name


def test_integers_and_choice():
    for name, arguments, want in (
            ("exp", (0,), 1.0), ("gammaln", (1,), 0.0), ("reciprocal", (4,), 0.25), ("power", (2, 3), 8.0), ("square", (3,), 9),
            ("maximum", (2, 3), 3), ("mod", (-7, 3), 2), ("select", (True, 1.0, 2.0), 1.0), ("select", (False, 1.0, 2.0), 2.0)):
        assert helper(name)(*arguments) == want, name


def code_of(function, signature):
    """The optimised LLVM of a compiled function without the wrappers that Python calls and the memory manager."""
    if function.stats.cache_hits:  # Numba's cache keeps no LLVM
        function = njit(**{name: option for name, option in function.targetoptions.items() if name != "nopython"})(function.py_func)
        function.compile(signature)
    pieces = re.split(r"(?m)^(?=define )", function.inspect_llvm(signature))
    code = "".join(p for p in pieces if re.match(r"define .*@_ZN(?!7cpython)", p))
    assert code
    return code


def test_float32_stays_float32():
    with np.errstate(all="ignore"):
        for name, case in CASES.items():
            entry = case[1][5]
            helper(name)(*map(np.float32, entry if isinstance(entry, tuple) else (entry,)))
    bad = []
    for name in CASES:
        function = helper(name)
        signature = next(s for s in function.signatures if set(s) == {types.float32})
        result = function.overloads[signature].signature.return_type
        if result is not types.float32 or re.search(r"\bdouble\b", code_of(function, signature)):
            bad.append(name)
    assert not bad
