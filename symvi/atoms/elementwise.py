"""The table of scalar functions: name, derivative, domain, reference values, emitted text, cost.

Derivatives are written in functions that are stable themselves: the derivative of `softplus` is `sigmoid`, never a
quotient of exponentials. A new function is one declaration here (and its njit form in codegen_templates/scalar_math).
"""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np

from symvi.atoms import reference
from symvi.atoms.scalar_function import TABLE, register
from symvi.expr import build
from symvi.expr.build import named_constant
from symvi.expr.nodes import Apply, Constant, Contract, Iota, Sum, Term

pi = named_constant("pi")


def _special(name):
    def evaluate(*arguments):
        import scipy.special

        return getattr(scipy.special, name)(*arguments)

    return evaluate


def _mp(name):
    def evaluate(*arguments):
        import mpmath

        return getattr(mpmath, name)(*arguments)

    return evaluate


def _with_mpmath(function):
    def evaluate(*arguments):
        import mpmath

        return function(mpmath, *arguments)

    return evaluate


def _is_complex(*arguments):
    return any(np.iscomplexobj(argument) for argument in arguments)


def _join_kind(kinds):
    return max(kinds, key="bif".index)


def _bool_kind(kinds):
    return "b"


def _int_or_float(kinds):
    return max((*kinds, "i"), key="bif".index)


def _inverse(name):
    """`log(exp(x))` is x: drop a function that the argument just applied."""

    def rewrite(arguments):
        inner = arguments[0]
        return inner.children[0] if isinstance(inner, Apply) and inner.function.name == name else None

    return rewrite


# ------------------------------------------------------------------------------------------- exponentials and logarithms
def _log1mexp(x):
    """log(1 - e^x) for x <= 0 (Maechler 2012)."""
    return np.where(np.real(x) > -0.6931471805599453, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


exp = register(
    "exp", derivative=lambda x: (exp(x),),
    numpy=np.exp, mpmath=_mp("exp"),
    cost=8, monotone=1, range=(0.0, inf), at={0: 1}, latex=r"\exp",
)  # fmt: skip
log = register(
    "log", derivative=lambda x: (1 / x,),
    numpy=np.log, mpmath=_mp("log"),
    cost=10, monotone=1, domain=(0.0, inf), at={1: 0}, rewrite=_inverse("exp"), latex=r"\log",
)  # fmt: skip
log1p = register(
    "log1p", derivative=lambda x: (1 / (1 + x),),
    numpy=np.log1p, mpmath=_mp("log1p"),
    cost=10, monotone=1, domain=(-1.0, inf), at={0: 0},
)  # fmt: skip
expm1 = register(
    "expm1", derivative=lambda x: (exp(x),),
    numpy=np.expm1, mpmath=_mp("expm1"),
    cost=10, monotone=1, range=(-1.0, inf), at={0: 0},
)  # fmt: skip
log2 = register(
    "log2", derivative=lambda x: (1 / (x * log(2)),),
    numpy=np.log2, mpmath=_with_mpmath(lambda m, x: m.log(x, 2)),
    cost=12, monotone=1, domain=(0.0, inf), at={1: 0},
)  # fmt: skip
log10 = register(
    "log10", derivative=lambda x: (1 / (x * log(10)),),
    numpy=np.log10, mpmath=_mp("log10"),
    cost=12, monotone=1, domain=(0.0, inf), at={1: 0},
)  # fmt: skip
minus_in_order = register(
    "minus_in_order",  # (x - y) - z: as a plain sum, a loop may be compiled to round y + z first
    derivative=lambda x, y, z: (1, -1, -1),
    numpy=lambda x, y, z: (x - y) - z, mpmath=lambda x, y, z: (x - y) - z,
    arity=3, cost=2, latex="(({0}-{1})-{2})",
)  # fmt: skip
exp_difference = register(
    "exp_difference",  # e^x - e^y
    derivative=lambda x, y: (exp(x), -exp(y)),
    numpy=reference.exp_difference, mpmath=_with_mpmath(lambda m, x, y: m.exp(x) - m.exp(y)),
    arity=2, cost=18, latex=r"(e^{{{0}}}-e^{{{1}}})",
)  # fmt: skip
log1mexp = register(
    "log1mexp",  # the derivative is written without e^-x, which overflows
    derivative=lambda x: (exp(x) / expm1(x),),
    numpy=_log1mexp, mpmath=_with_mpmath(lambda m, x: m.log(-m.expm1(x))),
    cost=20, monotone=-1, range=(-inf, 0.0), domain=(-inf, 0.0),
)  # fmt: skip
log_product = register(
    "log_product",  # log(x y): neither over- nor underflows, exact where x y is near 1
    derivative=lambda x, y: (1 / x, 1 / y),
    numpy=reference.log_product, mpmath=_with_mpmath(lambda m, x, y: m.log(x * y)),
    arity=2, commutative=True, cost=14, latex=r"\log({0}\,{1})",
)  # fmt: skip
log_ratio = register(
    "log_ratio",  # log(x / y), likewise
    derivative=lambda x, y: (1 / x, -1 / y),
    numpy=reference.log_ratio, mpmath=_with_mpmath(lambda m, x, y: m.log(x / y)),
    arity=2, cost=16, latex=r"\log({0}/{1})",
)  # fmt: skip


def _perfect_root(arguments):
    (x,) = arguments
    if isinstance(x, Constant) and isinstance(x.value, Fraction) and x.value >= 0:
        from math import isqrt

        top, bottom = isqrt(x.value.numerator), isqrt(x.value.denominator)
        if top * top == x.value.numerator and bottom * bottom == x.value.denominator:
            return build.constant(Fraction(top, bottom))
    return None


sqrt = register(
    "sqrt", derivative=lambda x: (1 / (2 * sqrt(x)),),
    numpy=np.sqrt, mpmath=_mp("sqrt"),
    cost=4, monotone=1, range=(0.0, inf), domain=(0.0, inf), rewrite=_perfect_root, latex=r"\sqrt",
)  # fmt: skip


sqrt1pm1 = register(
    "sqrt1pm1",  # sqrt(1 + x) - 1
    derivative=lambda x: (1 / (2 * sqrt(1 + x)),),
    numpy=reference.sqrt1pm1, mpmath=_with_mpmath(lambda m, x: m.sqrt(1 + x) - 1),
    cost=8, monotone=1, range=(-1.0, inf), domain=(-1.0, inf), at={0: 0}, latex=r"(\sqrt{{1+{0}}}-1)",
)  # fmt: skip
hypot = register(
    "hypot",  # sqrt(x^2 + y^2); like |x|, it gets the derivative 0 at 0
    derivative=lambda x, y: tuple(where(not_equal(hypot(x, y), 0), z / hypot(x, y), 0) for z in (x, y)),
    numpy=reference.hypot, mpmath=_mp("hypot"),
    arity=2, commutative=True, cost=10, range=(0.0, inf),
)  # fmt: skip


def _power_rewrite(arguments):
    base, exponent = arguments
    if isinstance(exponent, Constant) and isinstance(exponent.value, Fraction):
        if exponent.value.denominator == 1 and abs(exponent.value) <= 64:
            return build.multiply([(base, int(exponent.value))])
        if exponent.value == Fraction(1, 2):
            return sqrt(base)
        if exponent.value == Fraction(-1, 2):
            return 1 / sqrt(base)
    return None


power = register(
    "power",  # x^0 has the derivative 0 also at x = 0, and 0^p by p
    derivative=lambda x, p: (where(not_equal(p, 0), p * power(x, p - 1), 0), where(not_equal(x, 0), power(x, p) * log(x), 0)),
    numpy=np.power, mpmath=_mp("power"),
    arity=2, cost=30, rewrite=_power_rewrite, latex="{0}^{{{1}}}",
)  # fmt: skip


# ----------------------------------------------------------------------------------------------- logistic and its family
def _sigmoid(x):
    e = np.exp(np.where(np.real(x) > 0, -x, x))
    return np.where(np.real(x) > 0, 1 / (1 + e), e / (1 + e))


def _softplus(x):
    positive = np.real(x) > 0
    tail = np.log1p(np.exp(np.where(positive, -x, x)))
    return np.where(positive, x + tail, tail)


def _logaddexp(x, y):
    if not _is_complex(x, y):
        return np.logaddexp(x, y)
    return np.where(np.real(x) > np.real(y), x + np.log1p(np.exp(y - x)), y + np.log1p(np.exp(x - y)))


sigmoid = register(
    "sigmoid", derivative=lambda x: (sigmoid(x) * sigmoid(-x),),
    numpy=_sigmoid, mpmath=_with_mpmath(lambda m, x: 1 / (1 + m.exp(-x))),
    cost=12, monotone=1, range=(0.0, 1.0), at={0: Fraction(1, 2)}, latex=r"\sigma", unicode="σ",
)  # fmt: skip
softplus = register(
    "softplus", derivative=lambda x: (sigmoid(x),),
    numpy=_softplus, mpmath=_with_mpmath(lambda m, x: m.log1p(m.exp(x)) if m.re(x) < 0 else x + m.log1p(m.exp(-x))),
    cost=20, monotone=1, range=(0.0, inf),
)  # fmt: skip
log1p_of_exp = register(
    "log1p_of_exp",  # log(1 + e) for e = e^-|x|: what softplus is beyond max(x, 0)
    derivative=lambda e: (1 / (1 + e),),
    numpy=np.log1p, mpmath=_mp("log1p"),
    cost=10, monotone=1, range=(0.0, inf), domain=(0.0, 1.0), at={0: 0},
)  # fmt: skip
logit = register(
    "logit", derivative=lambda x: (1 / (x * (1 - x)),),
    numpy=lambda x: np.log(x) - np.log1p(-x), mpmath=_with_mpmath(lambda m, x: m.log(x) - m.log1p(-x)),
    cost=20, monotone=1, domain=(0.0, 1.0), at={Fraction(1, 2): 0},
)  # fmt: skip
logaddexp = register(
    "logaddexp", derivative=lambda x, y: (sigmoid(x - y), sigmoid(y - x)),
    numpy=_logaddexp, mpmath=_with_mpmath(lambda m, x, y: m.log(m.exp(x) + m.exp(y))),
    arity=2, commutative=True, cost=20,
)  # fmt: skip


def _by_share(w, x, y):
    """(e^x - e^y) / (w e^x + (1 - w) e^y), by exponentials of -|x - y| alone."""
    gap = -absolute(x - y)
    below = where(greater_equal(x, y), w + (1 - w) * exp(gap), 1 - w + w * exp(gap))
    return -sign(x - y) * expm1(gap) / below


log_mixture = register(
    "log_mixture",  # log(w e^x + (1 - w) e^y) for a share w: 0 where x = y = 0
    derivative=lambda w, x, y: (
        _by_share(w, x, y), sigmoid(minus_in_order(x, y, -logit(w))), sigmoid(minus_in_order(y, x, logit(w))),
    ),
    numpy=reference.log_mixture, mpmath=_with_mpmath(lambda m, w, x, y: m.log(w * m.exp(x) + (1 - w) * m.exp(y))),
    arity=3, cost=30,
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------------ trigonometry
def _sech(x):
    e = np.exp(np.where(np.real(x) > 0, -x, x))
    return 2 * e / (1 + e * e)


sin = register(
    "sin", derivative=lambda x: (cos(x),),
    numpy=np.sin, mpmath=_mp("sin"),
    parity=-1, cost=15, range=(-1.0, 1.0), at={0: 0}, latex=r"\sin",
)  # fmt: skip
cos = register(
    "cos", derivative=lambda x: (-sin(x),),
    numpy=np.cos, mpmath=_mp("cos"),
    parity=1, cost=15, range=(-1.0, 1.0), at={0: 1}, latex=r"\cos",
)  # fmt: skip
cosm1 = register(
    "cosm1",  # cos(x) - 1
    derivative=lambda x: (-sin(x),),
    numpy=lambda x: -2 * np.sin(x / 2) ** 2, mpmath=_with_mpmath(lambda m, x: -2 * m.sin(x / 2) ** 2),
    parity=1, cost=16, range=(-2.0, 0.0), at={0: 0}, latex=r"(\cos {0}-1)",
)  # fmt: skip
tan = register(
    "tan", derivative=lambda x: (1 + tan(x) ** 2,),
    numpy=np.tan, mpmath=_mp("tan"),
    parity=-1, cost=20, at={0: 0}, latex=r"\tan",
)  # fmt: skip
arcsin = register(
    "arcsin", derivative=lambda x: (1 / sqrt((1 - x) * (1 + x)),),
    numpy=np.arcsin, mpmath=_mp("asin"),
    parity=-1, cost=20, monotone=1, domain=(-1.0, 1.0), at={0: 0}, latex=r"\arcsin",
)  # fmt: skip
arccos = register(
    "arccos", derivative=lambda x: (-1 / sqrt((1 - x) * (1 + x)),),
    numpy=np.arccos, mpmath=_mp("acos"),
    cost=20, monotone=-1, domain=(-1.0, 1.0), at={1: 0}, latex=r"\arccos",
)  # fmt: skip
arctan = register(
    "arctan", derivative=lambda x: (1 / (1 + x**2),),
    numpy=np.arctan, mpmath=_mp("atan"),
    parity=-1, cost=20, monotone=1, at={0: 0}, latex=r"\arctan",
)  # fmt: skip
arctan2 = register(
    "arctan2", derivative=lambda y, x: (x / (x**2 + y**2), -y / (x**2 + y**2)),
    numpy=np.arctan2, mpmath=_mp("atan2"),
    arity=2, cost=25, holomorphic=False,
)  # fmt: skip
sinh = register(
    "sinh", derivative=lambda x: (cosh(x),),
    numpy=np.sinh, mpmath=_mp("sinh"),
    parity=-1, cost=15, monotone=1, at={0: 0}, latex=r"\sinh",
)  # fmt: skip
cosh = register(
    "cosh", derivative=lambda x: (sinh(x),),
    numpy=np.cosh, mpmath=_mp("cosh"),
    parity=1, cost=15, range=(1.0, inf), at={0: 1}, latex=r"\cosh",
)  # fmt: skip
log_cosh = register(
    "log_cosh", derivative=lambda x: (tanh(x),),
    numpy=reference.log_cosh, mpmath=_with_mpmath(lambda m, x: m.log(m.cosh(x))),
    parity=1, cost=25, range=(0.0, inf), at={0: 0}, latex=r"\log\cosh",
)  # fmt: skip
sech = register(
    "sech",  # 1 / cosh(x)
    derivative=lambda x: (-sech(x) * tanh(x),),
    numpy=_sech, mpmath=_mp("sech"),
    parity=1, cost=15, range=(0.0, 1.0), at={0: 1},
)  # fmt: skip
tanh = register(
    "tanh",  # 1 - tanh^2 cancels where tanh is near 1
    derivative=lambda x: (4 * sigmoid(2 * x) * sigmoid(-2 * x),),
    numpy=np.tanh, mpmath=_mp("tanh"),
    parity=-1, cost=15, monotone=1, range=(-1.0, 1.0), at={0: 0}, latex=r"\tanh",
)  # fmt: skip
arcsinh = register(
    "arcsinh", derivative=lambda x: (1 / sqrt(1 + x**2),),
    numpy=np.arcsinh, mpmath=_mp("asinh"),
    parity=-1, cost=25, monotone=1, at={0: 0},
)  # fmt: skip
arctanh = register(
    "arctanh", derivative=lambda x: (1 / ((1 - x) * (1 + x)),),
    numpy=np.arctanh, mpmath=_mp("atanh"),
    parity=-1, cost=25, monotone=1, domain=(-1.0, 1.0), at={0: 0},
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------- error functions
_SQRT_PI = 2 / sqrt(pi)


def _log_erfc(x):
    near = np.log1p(-_special("erf")(np.where(np.real(x) < 1, x, 0)))
    return np.where(np.real(x) < 1, near, np.log(_special("erfcx")(np.where(np.real(x) < 1, 1, x))) - x * x)


erf = register(
    "erf", derivative=lambda x: (_SQRT_PI * exp(-(x**2)),),
    numpy=_special("erf"), mpmath=_mp("erf"),
    parity=-1, cost=20, monotone=1, range=(-1.0, 1.0), at={0: 0},
)  # fmt: skip
erfc = register(
    "erfc", derivative=lambda x: (-_SQRT_PI * exp(-(x**2)),),
    numpy=_special("erfc"), mpmath=_mp("erfc"),
    cost=20, monotone=-1, range=(0.0, 2.0), at={0: 1},
)  # fmt: skip
erfcx = register(
    "erfcx",  # e^(x^2) erfc(x)
    derivative=lambda x: (2 * x * erfcx(x) - _SQRT_PI,),
    numpy=_special("erfcx"), mpmath=_with_mpmath(lambda m, x: m.exp(x * x) * m.erfc(x)),
    cost=20, monotone=-1, range=(0.0, inf), at={0: 1},
)  # fmt: skip
def _inverse_mills(x):
    lower = np.sqrt(2 / np.pi) / _special("erfcx")(-np.where(np.real(x) < 0, x, 0) / np.sqrt(2.0))
    upper = np.exp(-x * x / 2) / (np.sqrt(2 * np.pi) * _special("ndtr")(np.where(np.real(x) < 0, 0, x)))
    return np.where(np.real(x) < 0, lower, upper)


log_erfc = register(
    "log_erfc",  # log(erfc(x))
    derivative=lambda x: (-sqrt(2) * inverse_mills(-x * sqrt(2)),),
    numpy=_log_erfc, mpmath=_with_mpmath(lambda m, x: m.log(m.erfc(x))),
    cost=40, monotone=-1, range=(-inf, 0.7), at={0: 0}, latex=r"\log\mathrm{{erfc}}",
)  # fmt: skip
ndtr = register(
    "ndtr", derivative=lambda x: (exp(-(x**2) / 2) / sqrt(2 * pi),),
    numpy=_special("ndtr"), mpmath=_with_mpmath(lambda m, x: m.erfc(-x / m.sqrt(2)) / 2),
    cost=20, monotone=1, range=(0.0, 1.0), at={0: Fraction(1, 2)}, latex=r"\Phi", unicode="Φ",
)  # fmt: skip
inverse_mills = register(
    "inverse_mills",  # φ(x) / Φ(x), the derivative of log Φ(x); by erfcx the lower tail neither overflows nor cancels
    derivative=lambda x: (-inverse_mills(x) * (x + inverse_mills(x)),),
    numpy=_inverse_mills, mpmath=_with_mpmath(lambda m, x: m.sqrt(2 / m.pi) * m.exp(-x * x / 2) / m.erfc(-x / m.sqrt(2))),
    cost=30, monotone=-1, range=(0.0, inf),
)  # fmt: skip
log_ndtr = register(
    "log_ndtr", derivative=lambda x: (inverse_mills(x),),
    numpy=_special("log_ndtr"), mpmath=_with_mpmath(lambda m, x: m.log(m.erfc(-x / m.sqrt(2)) / 2)),
    cost=40, monotone=1, range=(-inf, 0.0), latex=r"\log\Phi", unicode="logΦ",
)  # fmt: skip
ndtri = register(
    "ndtri", derivative=lambda p: (sqrt(2 * pi) * exp(ndtri(p) ** 2 / 2),),
    numpy=_special("ndtri"), mpmath=_with_mpmath(lambda m, p: m.sqrt(2) * m.erfinv(2 * p - 1)),
    cost=60, monotone=1, domain=(0.0, 1.0), at={Fraction(1, 2): 0}, holomorphic=False,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- gamma functions
def _mp_gammaln(m, x):
    if m.re(x) > 0:
        return m.loggamma(x)
    return m.inf if x == m.floor(x) else m.log(abs(m.gamma(x)))


def _no_derivative(name):
    def derivative(x):
        from symvi.errors import GradientError

        raise GradientError(f"the derivative of {name} is not in the table of scalar functions")

    return derivative


gammaln = register(
    "gammaln", derivative=lambda x: (digamma(x),),
    numpy=reference.gammaln, mpmath=_with_mpmath(_mp_gammaln),
    cost=40, at={1: 0, 2: 0}, latex=r"\log\Gamma", unicode="logΓ",
)  # fmt: skip
gamma = register(
    "gamma", derivative=lambda x: (gamma(x) * digamma(x),),
    numpy=_special("gamma"), mpmath=_mp("gamma"),
    cost=40, at={1: 1, 2: 1}, latex=r"\Gamma", unicode="Γ",
)  # fmt: skip
digamma = register(
    "digamma", derivative=lambda x: (trigamma(x),),
    numpy=_special("digamma"), mpmath=_mp("digamma"),
    cost=40, latex=r"\psi", unicode="ψ",
)  # fmt: skip
trigamma = register(
    "trigamma", derivative=lambda x: (polygamma2(x),),
    numpy=lambda x: _special("polygamma")(1, np.real(x)), mpmath=_with_mpmath(lambda m, x: m.polygamma(1, x)),
    cost=40, holomorphic=False, latex=r"\psi'", unicode="ψ'",
)  # fmt: skip
polygamma2 = register(
    "polygamma2", derivative=_no_derivative("polygamma2"),
    numpy=lambda x: _special("polygamma")(2, np.real(x)), mpmath=_with_mpmath(lambda m, x: m.polygamma(2, x)),
    cost=60, holomorphic=False, latex=r"\psi''", unicode="ψ''",
)  # fmt: skip


def _mp_difference(function):
    """function(x + a) - function(x)."""
    return _with_mpmath(lambda m, x, a: function(m, x + a) - function(m, x))


gammaln_difference = register(
    "gammaln_difference",  # log Γ(x + a) - log Γ(x), as a difference
    derivative=lambda x, a: (digamma_difference(x, a), digamma(x + a)),
    numpy=reference.gammaln_difference, mpmath=_mp_difference(_mp_gammaln),
    arity=2, cost=60, latex=r"\log\frac{{\Gamma({0}+{1})}}{{\Gamma({0})}}",
)  # fmt: skip
digamma_difference = register(
    "digamma_difference",  # ψ(x + a) - ψ(x), as a difference
    derivative=lambda x, a: (trigamma_difference(x, a), trigamma(x + a)),
    numpy=reference.digamma_difference, mpmath=_mp_difference(lambda m, x: m.digamma(x)),
    arity=2, cost=60, latex=r"(\psi({0}+{1})-\psi({0}))",
)  # fmt: skip
trigamma_difference = register(
    "trigamma_difference",  # ψ'(x + a) - ψ'(x), as a difference
    derivative=lambda x, a: (polygamma2(x + a) - polygamma2(x), polygamma2(x + a)),
    numpy=reference.trigamma_difference, mpmath=_mp_difference(lambda m, x: m.polygamma(1, x)),
    arity=2, cost=60, holomorphic=False, latex=r"(\psi'({0}+{1})-\psi'({0}))",
)  # fmt: skip
betaln = register(
    "betaln",  # log Γ(a) + log Γ(b) - log Γ(a + b)
    derivative=lambda a, b: (-digamma_difference(a, b), -digamma_difference(b, a)),
    numpy=reference.betaln, mpmath=_with_mpmath(lambda m, a, b: _mp_gammaln(m, a) + _mp_gammaln(m, b) - _mp_gammaln(m, a + b)),
    arity=2, commutative=True, cost=80, latex=r"\log B", unicode="logB",
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------- products with logs
def _xlogy(x, y):
    return np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, y)))


def _xlog1py(x, y):
    return np.where(x == 0, 0, x * np.log1p(np.where(x == 0, 0, y)))


def _rel_entr(x, y):
    return np.where(x == 0, 0, x * reference.log_ratio(np.where(x == 0, 1, x), y))


xlogy = register(
    "xlogy", derivative=lambda x, y: (log(y), where(not_equal(x, 0), x / y, 0)),
    numpy=_xlogy, mpmath=_with_mpmath(lambda m, x, y: m.mpf(0) if x == 0 else x * m.log(y)),
    arity=2, cost=15,
)  # fmt: skip
xlog1py = register(
    "xlog1py", derivative=lambda x, y: (log1p(y), where(not_equal(x, 0), x / (1 + y), 0)),
    numpy=_xlog1py, mpmath=_with_mpmath(lambda m, x, y: m.mpf(0) if x == 0 else x * m.log1p(y)),
    arity=2, cost=15,
)  # fmt: skip
rel_entr = register(
    "rel_entr",  # x log(x / y), 0 for x = 0
    derivative=lambda x, y: (log_ratio(x, y) + 1, where(not_equal(x, 0), -x / y, 0)),
    numpy=_rel_entr, mpmath=_with_mpmath(lambda m, x, y: m.mpf(0) if x == 0 else x * m.log(x / y)),
    arity=2, cost=20, latex=r"({0}\log\frac{{{0}}}{{{1}}})",
)  # fmt: skip


# ------------------------------------------------------------------------------------- order, comparison, choice, rounding
def _absolute(arguments):
    (x,) = arguments
    return build.constant(abs(x.value), x.kind) if isinstance(x, Constant) else None


def _larger(x, y):
    return np.where(np.real(x) >= np.real(y), x, y) if _is_complex(x, y) else np.maximum(x, y)


def _smaller(x, y):
    return np.where(np.real(x) <= np.real(y), x, y) if _is_complex(x, y) else np.minimum(x, y)


deviation = register(
    "deviation",  # x - m with a rounding of its own: no sum around it is allowed to reorder it
    derivative=lambda x, m: (1, -1),
    numpy=lambda x, m: x - m, mpmath=lambda x, m: x - m,
    arity=2, cost=1, light=True, latex=r"({0}-{1})",
)  # fmt: skip
absolute = register(
    "absolute", derivative=lambda x: (sign(x),),
    numpy=lambda x: np.where(np.real(x) < 0, -x, x), mpmath=lambda x: abs(x),
    text="abs({0})", parity=1, cost=1, light=True, range=(0.0, inf), kind_of=_int_or_float, rewrite=_absolute, latex="|{0}|",
)  # fmt: skip
sign = register(
    "sign", derivative=lambda x: (None,),
    numpy=lambda x: np.sign(np.real(x)), mpmath=_mp("sign"),
    parity=-1, cost=2, light=True, monotone=1, range=(-1.0, 1.0), kind_of=_int_or_float,
)  # fmt: skip
maximum = register(
    "maximum", derivative=lambda x, y: (where(greater_equal(x, y), 1, 0), where(greater_equal(x, y), 0, 1)),
    numpy=_larger, mpmath=lambda x, y: x if x >= y else y,
    arity=2, cost=1, light=True, kind_of=_int_or_float, latex=r"\max",
)  # fmt: skip
minimum = register(
    "minimum", derivative=lambda x, y: (where(less_equal(x, y), 1, 0), where(less_equal(x, y), 0, 1)),
    numpy=_smaller, mpmath=lambda x, y: x if x <= y else y,
    arity=2, cost=1, light=True, kind_of=_int_or_float, latex=r"\min",
)  # fmt: skip
floor = register(
    "floor", derivative=lambda x: (None,),
    numpy=lambda x: np.floor(np.real(x)), mpmath=_mp("floor"),
    cost=1, light=True, monotone=1,
)  # fmt: skip
ceil = register(
    "ceil", derivative=lambda x: (None,),
    numpy=lambda x: np.ceil(np.real(x)), mpmath=_mp("ceil"),
    cost=1, light=True, monotone=1,
)  # fmt: skip


def _compare(name, numpy_function, symbol, python):
    def fold(arguments):
        x, y = arguments
        if isinstance(x, Constant) and isinstance(y, Constant):
            return build.constant(bool(python(x.value, y.value)))
        if x is y and x.kind != "f":  # a real number may be NaN
            return build.constant(bool(python(0, 0)))
        return None

    return register(
        name, derivative=lambda x, y: (None, None),
        numpy=lambda x, y: numpy_function(np.real(x), np.real(y)), mpmath=python,
        arity=2, text="{0} " + symbol + " {1}", cost=1, light=True, kind_of=_bool_kind, rewrite=fold, latex="{0} " + symbol + " {1}",
    )  # fmt: skip


equal = _compare("equal", np.equal, "==", lambda x, y: x == y)
not_equal = _compare("not_equal", np.not_equal, "!=", lambda x, y: x != y)
less = _compare("less", np.less, "<", lambda x, y: x < y)
less_equal = _compare("less_equal", np.less_equal, "<=", lambda x, y: x <= y)
greater = _compare("greater", np.greater, ">", lambda x, y: x > y)
greater_equal = _compare("greater_equal", np.greater_equal, ">=", lambda x, y: x >= y)

logical_and = register(
    "logical_and", derivative=lambda x, y: (None, None),
    numpy=np.logical_and, mpmath=lambda x, y: bool(x) and bool(y),
    arity=2, text="{0} and {1}", cost=1, light=True, commutative=True, kind_of=_bool_kind,
)  # fmt: skip
logical_or = register(
    "logical_or", derivative=lambda x, y: (None, None),
    numpy=np.logical_or, mpmath=lambda x, y: bool(x) or bool(y),
    arity=2, text="{0} or {1}", cost=1, light=True, commutative=True, kind_of=_bool_kind,
)  # fmt: skip
logical_not = register(
    "logical_not", derivative=lambda x: (None,),
    numpy=np.logical_not, mpmath=lambda x: not x,
    text="not {0}", cost=1, light=True, kind_of=_bool_kind,
)  # fmt: skip
isnan = register(
    "isnan", derivative=lambda x: (None,),
    numpy=np.isnan, mpmath=_mp("isnan"),
    text="{0} != {0}", cost=1, light=True, kind_of=_bool_kind,
)  # fmt: skip
is_gap = register(  # a missing integer is coded as -1, outside the support that facts go by: no comparison, which facts would decide
    "is_gap", derivative=lambda x: (None,),
    numpy=lambda x: np.less(x, 0), mpmath=lambda x: x < 0,
    text="{0} < 0", cost=1, light=True, kind_of=_bool_kind,
)  # fmt: skip


def _choose(arguments):
    condition, yes, no = arguments
    if isinstance(condition, Constant):
        return yes if condition.value else no
    return yes if yes is no else None


def _floor_divide(x, y):
    return np.floor_divide(np.real(x), np.real(y))


def _as_float(arguments):
    (x,) = arguments
    return x if x.kind == "f" else build.constant(x.value, "f") if isinstance(x, Constant) else None


where = register(
    "where", derivative=lambda c, x, y: (None, where(c, 1, 0), where(c, 0, 1)),
    numpy=np.where, mpmath=lambda c, x, y: x if c else y,
    arity=3, text="select({0}, {1}, {2})", cost=1, light=True, kind_of=lambda kinds: _join_kind(kinds[1:]), rewrite=_choose,
    latex=r"\begin{{cases}}{1}&{0}\\{2}&\text{{else}}\end{{cases}}",
)  # fmt: skip
def _pair(arguments):
    """(q, k) of an integer q y + k, where k runs below y; None for other dividends."""
    x, y = arguments
    terms = x.terms if isinstance(x, Sum) else ((1, x),)
    for coefficient, rest in terms:
        if coefficient == 1 and isinstance(rest, Iota) and build.size(rest.label.dim) is y:
            quotients = [_exact_quotient(c, t, y) for c, t in terms if t is not rest]
            return (sum(quotients, build.zero), rest) if None not in quotients else None
    return None


def _exact_quotient(coefficient, term, divisor):
    """coefficient * term / divisor, where the divisor is a factor of it."""
    if isinstance(divisor, Constant):
        quotient = coefficient / divisor.value
        return quotient.numerator * term if quotient.denominator == 1 else None
    factors = dict(term.factors if isinstance(term, Contract) and not term.bound else ((term, 1),))
    for base, exponent in divisor.factors if isinstance(divisor, Contract) else ((divisor, 1),):
        factors[base] = factors.get(base, 0) - exponent
    return coefficient * build.multiply(factors.items()) if min(factors.values()) >= 0 else None


floor_divide = register(
    "floor_divide", derivative=lambda x, y: (None, None), rewrite=lambda arguments: (_pair(arguments) or (None,))[0],
    numpy=_floor_divide, mpmath=_with_mpmath(lambda m, x, y: x // y if isinstance(x, int) else m.floor(x / y)),
    arity=2, text="{0} // {1}", cost=4, light=True, kind_of=_int_or_float,
)  # fmt: skip
remainder = register(
    "remainder", derivative=lambda x, y: (1, -floor_divide(x, y)), rewrite=lambda arguments: (_pair(arguments) or (None, None))[1],
    numpy=lambda x, y: x - _floor_divide(x, y) * y if _is_complex(x, y) else np.remainder(x, y), mpmath=lambda x, y: x % y,
    arity=2, text="{0} % {1}", cost=4, light=True, kind_of=_int_or_float,
)  # fmt: skip
as_float = register(
    "as_float", derivative=lambda x: (1,),
    numpy=lambda x: x * 1.0, mpmath=lambda x: x * 1,
    text="real({0})", cost=1, light=True, rewrite=_as_float,
)  # fmt: skip


def scalar_function(name: str):
    """The declared function `name`."""
    return TABLE[name]


def is_apply(term: Term, name: str) -> bool:
    """True for an application of the function `name`."""
    return isinstance(term, Apply) and term.function.name == name
