"""The table of scalar functions: name, derivative, domain, reference values, emitted text, cost.

Derivatives are written in functions that are stable themselves: the derivative of `softplus` is `sigmoid`, never a
quotient of exponentials. A new function is one declaration here (and its njit form in codegen_templates/scalar_math).
"""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np

from symvi.atoms.scalar_function import TABLE, register
from symvi.expr import build
from symvi.expr.build import named_constant
from symvi.expr.nodes import Apply, Constant, Term

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
exp = register("exp", derivative=lambda x: (exp(x),), numpy=np.exp, mpmath=_mp("exp"), cost=8, monotone=1, range=(0.0, inf), at={0: 1}, latex=r"\exp")
log = register("log", derivative=lambda x: (1 / x,), numpy=np.log, mpmath=_mp("log"), cost=10, monotone=1, domain=(0.0, inf), at={1: 0}, rewrite=_inverse("exp"), latex=r"\log")
log1p = register("log1p", derivative=lambda x: (1 / (1 + x),), numpy=np.log1p, mpmath=_with_mpmath(lambda m, x: m.log1p(x)), cost=10, monotone=1, domain=(-1.0, inf), at={0: 0})
expm1 = register("expm1", derivative=lambda x: (exp(x),), numpy=np.expm1, mpmath=_with_mpmath(lambda m, x: m.expm1(x)), cost=10, monotone=1, range=(-1.0, inf), at={0: 0})
log2 = register("log2", derivative=lambda x: (1 / (x * log(2)),), numpy=np.log2, mpmath=_with_mpmath(lambda m, x: m.log(x, 2)), cost=12, monotone=1, domain=(0.0, inf), at={1: 0})
log10 = register("log10", derivative=lambda x: (1 / (x * log(10)),), numpy=np.log10, mpmath=_mp("log10"), cost=12, monotone=1, domain=(0.0, inf), at={1: 0})
log1mexp = register(
    "log1mexp",  # log(1 - e^x) for x <= 0 (Maechler 2012)
    derivative=lambda x: (1 / -expm1(-x),),
    numpy=lambda x: np.where(np.real(x) > -0.6931471805599453, np.log(-np.expm1(x)), np.log1p(-np.exp(x))),
    mpmath=_with_mpmath(lambda m, x: m.log(-m.expm1(x))), cost=20, monotone=-1, range=(-inf, 0.0), domain=(-inf, 0.0),
)  # fmt: skip


def _perfect_root(arguments):
    (x,) = arguments
    if isinstance(x, Constant) and isinstance(x.value, Fraction) and x.value >= 0:
        from math import isqrt

        top, bottom = isqrt(x.value.numerator), isqrt(x.value.denominator)
        if top * top == x.value.numerator and bottom * bottom == x.value.denominator:
            return build.constant(Fraction(top, bottom))
    return None


sqrt = register("sqrt", derivative=lambda x: (1 / (2 * sqrt(x)),), numpy=np.sqrt, mpmath=_mp("sqrt"), cost=4, monotone=1, range=(0.0, inf), domain=(0.0, inf), rewrite=_perfect_root, latex=r"\sqrt")


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
    "power",
    derivative=lambda x, p: (p * power(x, p - 1), where(equal(x, 0), 0, power(x, p) * log(x))),
    numpy=np.power, mpmath=_with_mpmath(lambda m, x, p: m.power(x, p)), arity=2, cost=30, rewrite=_power_rewrite, latex="{0}^{{{1}}}",
)  # fmt: skip

# ----------------------------------------------------------------------------------------------- logistic and its family
sigmoid = register("sigmoid", derivative=lambda x: (sigmoid(x) * sigmoid(-x),), numpy=lambda x: np.where(np.real(x) > 0, 1 / (1 + np.exp(-np.abs(np.real(x)) - 1j * np.imag(x))) if np.iscomplexobj(x) else 1 / (1 + np.exp(-np.abs(x))), 1 - 1 / (1 + np.exp(np.where(np.real(x) > 0, 0, x)))) if np.iscomplexobj(x) else _special("expit")(x), mpmath=_with_mpmath(lambda m, x: 1 / (1 + m.exp(-x))), cost=12, monotone=1, range=(0.0, 1.0), at={0: Fraction(1, 2)}, latex=r"\sigma", unicode="σ")
softplus = register("softplus", derivative=lambda x: (sigmoid(x),), numpy=lambda x: np.where(np.real(x) > 0, x + np.log1p(np.exp(np.where(np.real(x) > 0, -x, 0))), np.log1p(np.exp(np.where(np.real(x) > 0, 0, x)))), mpmath=_with_mpmath(lambda m, x: m.log1p(m.exp(x)) if m.re(x) < 0 else x + m.log1p(m.exp(-x))), cost=20, monotone=1, range=(0.0, inf))
logit = register("logit", derivative=lambda x: (1 / (x * (1 - x)),), numpy=lambda x: np.log(x) - np.log1p(-x), mpmath=_with_mpmath(lambda m, x: m.log(x) - m.log1p(-x)), cost=20, monotone=1, domain=(0.0, 1.0), at={Fraction(1, 2): 0})
logaddexp = register(
    "logaddexp", derivative=lambda x, y: (sigmoid(x - y), sigmoid(y - x)),
    numpy=lambda x, y: np.where(np.real(x) > np.real(y), x + np.log1p(np.exp(y - x)), y + np.log1p(np.exp(x - y))) if np.iscomplexobj(x) or np.iscomplexobj(y) else np.logaddexp(x, y),
    mpmath=_with_mpmath(lambda m, x, y: m.log(m.exp(x) + m.exp(y))), arity=2, commutative=True, cost=20,
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------------ trigonometry
sin = register("sin", derivative=lambda x: (cos(x),), numpy=np.sin, mpmath=_mp("sin"), cost=15, range=(-1.0, 1.0), at={0: 0}, latex=r"\sin")
cos = register("cos", derivative=lambda x: (-sin(x),), numpy=np.cos, mpmath=_mp("cos"), cost=15, range=(-1.0, 1.0), at={0: 1}, latex=r"\cos")
tan = register("tan", derivative=lambda x: (1 + tan(x) ** 2,), numpy=np.tan, mpmath=_mp("tan"), cost=20, at={0: 0}, latex=r"\tan")
arcsin = register("arcsin", derivative=lambda x: (1 / sqrt((1 - x) * (1 + x)),), numpy=np.arcsin, mpmath=_mp("asin"), cost=20, monotone=1, domain=(-1.0, 1.0), at={0: 0}, latex=r"\arcsin")
arccos = register("arccos", derivative=lambda x: (-1 / sqrt((1 - x) * (1 + x)),), numpy=np.arccos, mpmath=_mp("acos"), cost=20, monotone=-1, domain=(-1.0, 1.0), at={1: 0}, latex=r"\arccos")
arctan = register("arctan", derivative=lambda x: (1 / (1 + x**2),), numpy=np.arctan, mpmath=_mp("atan"), cost=20, monotone=1, at={0: 0}, latex=r"\arctan")
arctan2 = register("arctan2", derivative=lambda y, x: (x / (x**2 + y**2), -y / (x**2 + y**2)), numpy=np.arctan2, mpmath=_mp("atan2"), arity=2, cost=25, holomorphic=False)
sinh = register("sinh", derivative=lambda x: (cosh(x),), numpy=np.sinh, mpmath=_mp("sinh"), cost=15, monotone=1, at={0: 0}, latex=r"\sinh")
cosh = register("cosh", derivative=lambda x: (sinh(x),), numpy=np.cosh, mpmath=_mp("cosh"), cost=15, range=(1.0, inf), at={0: 1}, latex=r"\cosh")
tanh = register("tanh", derivative=lambda x: (4 * sigmoid(2 * x) * sigmoid(-2 * x),), numpy=np.tanh, mpmath=_mp("tanh"), cost=15, monotone=1, range=(-1.0, 1.0), at={0: 0}, latex=r"\tanh")
arcsinh = register("arcsinh", derivative=lambda x: (1 / sqrt(1 + x**2),), numpy=np.arcsinh, mpmath=_mp("asinh"), cost=25, monotone=1, at={0: 0})
arctanh = register("arctanh", derivative=lambda x: (1 / ((1 - x) * (1 + x)),), numpy=np.arctanh, mpmath=_mp("atanh"), cost=25, monotone=1, domain=(-1.0, 1.0), at={0: 0})

# ------------------------------------------------------------------------------------------------------- error functions
_SQRT_PI = 2 / sqrt(pi)
erf = register("erf", derivative=lambda x: (_SQRT_PI * exp(-(x**2)),), numpy=_special("erf"), mpmath=_mp("erf"), cost=20, monotone=1, range=(-1.0, 1.0), at={0: 0})
erfc = register("erfc", derivative=lambda x: (-_SQRT_PI * exp(-(x**2)),), numpy=_special("erfc"), mpmath=_mp("erfc"), cost=20, monotone=-1, range=(0.0, 2.0), at={0: 1})
ndtr = register("ndtr", derivative=lambda x: (exp(-(x**2) / 2) / sqrt(2 * pi),), numpy=_special("ndtr"), mpmath=_with_mpmath(lambda m, x: m.erfc(-x / m.sqrt(2)) / 2), cost=20, monotone=1, range=(0.0, 1.0), at={0: Fraction(1, 2)}, latex=r"\Phi", unicode="Φ")
log_ndtr = register(
    "log_ndtr",  # derivative is the inverse Mills ratio, in the log domain so that neither tail over- nor underflows
    derivative=lambda x: (exp(-(x**2) / 2 - log_ndtr(x)) / sqrt(2 * pi),),
    numpy=_special("log_ndtr"), mpmath=_with_mpmath(lambda m, x: m.log(m.erfc(-x / m.sqrt(2)) / 2)), cost=40, monotone=1, range=(-inf, 0.0), latex=r"\log\Phi", unicode="logΦ",
)  # fmt: skip
ndtri = register("ndtri", derivative=lambda p: (sqrt(2 * pi) * exp(ndtri(p) ** 2 / 2),), numpy=_special("ndtri"), mpmath=_with_mpmath(lambda m, p: m.sqrt(2) * m.erfinv(2 * p - 1)), cost=60, monotone=1, domain=(0.0, 1.0), at={Fraction(1, 2): 0})

# ------------------------------------------------------------------------------------------------------- gamma functions
gammaln = register("gammaln", derivative=lambda x: (digamma(x),), numpy=lambda x: _special("loggamma")(x) if np.iscomplexobj(x) else _special("gammaln")(x), mpmath=_with_mpmath(lambda m, x: m.loggamma(x) if m.re(x) > 0 else m.log(abs(m.gamma(x)))), cost=40, at={1: 0, 2: 0}, latex=r"\log\Gamma", unicode="logΓ")
digamma = register("digamma", derivative=lambda x: (trigamma(x),), numpy=_special("digamma"), mpmath=_mp("digamma"), cost=40, latex=r"\psi", unicode="ψ")
trigamma = register("trigamma", derivative=lambda x: (polygamma2(x),), numpy=lambda x: _special("polygamma")(1, np.real(x)), mpmath=_with_mpmath(lambda m, x: m.polygamma(1, x)), cost=40, holomorphic=False, latex=r"\psi'", unicode="ψ'")


def _no_derivative(name):
    def derivative(x):
        from symvi.errors import GradientError

        raise GradientError(f"the derivative of {name} is not in the table of scalar functions")

    return derivative


polygamma2 = register("polygamma2", derivative=_no_derivative("polygamma2"), numpy=lambda x: _special("polygamma")(2, np.real(x)), mpmath=_with_mpmath(lambda m, x: m.polygamma(2, x)), cost=60, holomorphic=False, latex=r"\psi''", unicode="ψ''")

# ---------------------------------------------------------------------------------------------------- products with logs
xlogy = register("xlogy", derivative=lambda x, y: (log(y), x / y), numpy=lambda x, y: np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, y))), mpmath=_with_mpmath(lambda m, x, y: m.mpf(0) if x == 0 else x * m.log(y)), arity=2, cost=15)
xlog1py = register("xlog1py", derivative=lambda x, y: (log1p(y), x / (1 + y)), numpy=lambda x, y: np.where(x == 0, 0, x * np.log1p(np.where(x == 0, 0, y))), mpmath=_with_mpmath(lambda m, x, y: m.mpf(0) if x == 0 else x * m.log1p(y)), arity=2, cost=15)


# ------------------------------------------------------------------------------------- order, comparison, choice, rounding
def _absolute(arguments):
    (x,) = arguments
    return build.constant(abs(x.value), x.kind) if isinstance(x, Constant) else None


absolute = register("absolute", derivative=lambda x: (sign(x),), numpy=lambda x: np.where(np.real(x) < 0, -x, x), mpmath=lambda x: abs(x), text="abs({0})", cost=1, light=True, range=(0.0, inf), kind_of=_int_or_float, rewrite=_absolute, latex="|{0}|")
sign = register("sign", derivative=lambda x: (None,), numpy=lambda x: np.sign(np.real(x)), mpmath=_mp("sign"), cost=2, light=True, monotone=1, range=(-1.0, 1.0), kind_of=_int_or_float)
maximum = register("maximum", derivative=lambda x, y: (where(greater_equal(x, y), 1, 0), where(greater_equal(x, y), 0, 1)), numpy=lambda x, y: np.where(np.real(x) >= np.real(y), x, y) if np.iscomplexobj(x) or np.iscomplexobj(y) else np.maximum(x, y), mpmath=lambda x, y: x if x >= y else y, arity=2, cost=1, light=True, kind_of=_int_or_float, latex=r"\max")
minimum = register("minimum", derivative=lambda x, y: (where(less_equal(x, y), 1, 0), where(less_equal(x, y), 0, 1)), numpy=lambda x, y: np.where(np.real(x) <= np.real(y), x, y) if np.iscomplexobj(x) or np.iscomplexobj(y) else np.minimum(x, y), mpmath=lambda x, y: x if x <= y else y, arity=2, cost=1, light=True, kind_of=_int_or_float, latex=r"\min")
floor = register("floor", derivative=lambda x: (None,), numpy=lambda x: np.floor(np.real(x)), mpmath=_mp("floor"), cost=1, light=True, monotone=1)
ceil = register("ceil", derivative=lambda x: (None,), numpy=lambda x: np.ceil(np.real(x)), mpmath=_mp("ceil"), cost=1, light=True, monotone=1)


def _compare(name, numpy_function, symbol, python):
    def fold(arguments):
        x, y = arguments
        if isinstance(x, Constant) and isinstance(y, Constant):
            return build.constant(bool(python(x.value, y.value)))
        return None

    return register(
        name, derivative=lambda x, y: (None, None), numpy=lambda x, y: numpy_function(np.real(x), np.real(y)), mpmath=python,
        arity=2, text="{0} " + symbol + " {1}", cost=1, light=True, kind_of=_bool_kind, rewrite=fold, latex="{0} " + symbol + " {1}",
    )  # fmt: skip


equal = _compare("equal", np.equal, "==", lambda x, y: x == y)
not_equal = _compare("not_equal", np.not_equal, "!=", lambda x, y: x != y)
less = _compare("less", np.less, "<", lambda x, y: x < y)
less_equal = _compare("less_equal", np.less_equal, "<=", lambda x, y: x <= y)
greater = _compare("greater", np.greater, ">", lambda x, y: x > y)
greater_equal = _compare("greater_equal", np.greater_equal, ">=", lambda x, y: x >= y)

logical_and = register("logical_and", derivative=lambda x, y: (None, None), numpy=np.logical_and, mpmath=lambda x, y: bool(x) and bool(y), arity=2, text="{0} and {1}", cost=1, light=True, commutative=True, kind_of=_bool_kind)
logical_or = register("logical_or", derivative=lambda x, y: (None, None), numpy=np.logical_or, mpmath=lambda x, y: bool(x) or bool(y), arity=2, text="{0} or {1}", cost=1, light=True, commutative=True, kind_of=_bool_kind)
logical_not = register("logical_not", derivative=lambda x: (None,), numpy=np.logical_not, mpmath=lambda x: not x, text="not {0}", cost=1, light=True, kind_of=_bool_kind)
isnan = register("isnan", derivative=lambda x: (None,), numpy=np.isnan, mpmath=_mp("isnan"), cost=1, light=True, kind_of=_bool_kind)


def _choose(arguments):
    condition, yes, no = arguments
    if isinstance(condition, Constant):
        return yes if condition.value else no
    return yes if yes is no else None


where = register(
    "where", derivative=lambda c, x, y: (None, where(c, 1, 0), where(c, 0, 1)), numpy=np.where, mpmath=lambda c, x, y: x if c else y,
    arity=3, text="select({0}, {1}, {2})", cost=1, light=True, kind_of=lambda kinds: _join_kind(kinds[1:]), rewrite=_choose,
    latex=r"\begin{{cases}}{1}&{0}\\{2}&\text{{else}}\end{{cases}}",
)  # fmt: skip
floor_divide = register("floor_divide", derivative=lambda x, y: (None, None), numpy=lambda x, y: np.floor_divide(np.real(x), np.real(y)), mpmath=_with_mpmath(lambda m, x, y: m.floor(x / y)), arity=2, text="{0} // {1}", cost=4, light=True, kind_of=_int_or_float)
remainder = register("remainder", derivative=lambda x, y: (1, -floor_divide(x, y)), numpy=np.remainder, mpmath=lambda x, y: x % y, arity=2, text="{0} % {1}", cost=4, light=True, kind_of=_int_or_float)
as_float = register("as_float", derivative=lambda x: (1,), numpy=lambda x: x * 1.0, mpmath=lambda x: x * 1, text="real({0})", cost=1, light=True, rewrite=lambda a: a[0] if a[0].kind == "f" else None)


def scalar_function(name: str):
    """The declared function `name`."""
    return TABLE[name]


def is_apply(term: Term, name: str) -> bool:
    """True for an application of the function `name`."""
    return isinstance(term, Apply) and term.function.name == name
