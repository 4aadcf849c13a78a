"""Scalar functions on expressions under NumPy's and SciPy's names, and NumPy's ufunc protocol."""

from __future__ import annotations

from typing import Any

from symvi.array.expression import Expr, as_expr, elementwise, mistake, truth
from symvi.atoms import elementwise as scalar
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.nodes import Term

__all__ = [
    "abs", "absolute", "add", "arccos", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "ceil", "clip", "cos", "cosh",
    "digamma",
    "divide", "equal", "erf", "erfc", "exp", "expit", "expm1", "floor", "gamma", "gammaln", "greater", "greater_equal", "hypot", "isnan",
    "less", "less_equal",
    "log", "log10", "log1mexp", "log1p", "log2", "log_ndtr", "log_sigmoid", "logaddexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logit",
    "maximum", "minimum", "multiply", "ndtr", "ndtri", "negative", "not_equal", "pi", "power", "reciprocal", "sigmoid", "sign", "sin",
    "sinh",
    "softplus", "sqrt", "square", "subtract", "tan", "tanh", "trigamma", "where", "xlog1py", "xlogy", "betaln", "stop_gradient",
]  # fmt: skip

pi = Expr(scalar.pi, ())


def _function(name: str, documentation: str):
    declared = scalar.TABLE[name]

    def function(*operands: Any) -> Expr:
        if len(operands) != declared.arity:
            raise mistake(
                f"{name} takes {declared.arity} argument{'s' if declared.arity > 1 else ''}, not {len(operands)}", ExpressionError
            )
        return elementwise(declared, *operands)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = documentation + " Elementwise; operands broadcast as in NumPy."
    return function


exp = _function("exp", "e^x.")
log = _function("log", "Natural logarithm.")
log1p = _function("log1p", "log(1 + x).")
expm1 = _function("expm1", "e^x - 1.")
log2 = _function("log2", "Logarithm to base 2.")
log10 = _function("log10", "Logarithm to base 10.")
log1mexp = _function("log1mexp", "log(1 - e^x) for x <= 0 (Maechler 2012).")
sqrt = _function("sqrt", "Square root.")
sigmoid = _function("sigmoid", "1 / (1 + e^-x).")
softplus = _function("softplus", "log(1 + e^x).")
logit = _function("logit", "log(p / (1 - p)).")
logaddexp = _function("logaddexp", "log(e^x + e^y).")
sin = _function("sin", "Sine.")
cos = _function("cos", "Cosine.")
tan = _function("tan", "Tangent.")
arcsin = _function("arcsin", "Inverse sine.")
arccos = _function("arccos", "Inverse cosine.")
arctan = _function("arctan", "Inverse tangent.")
hypot = _function("hypot", "sqrt(x² + y²).")
arctan2 = _function("arctan2", "The angle of (x, y), called as arctan2(y, x).")
sinh = _function("sinh", "Hyperbolic sine.")
cosh = _function("cosh", "Hyperbolic cosine.")
tanh = _function("tanh", "Hyperbolic tangent.")
arcsinh = _function("arcsinh", "Inverse hyperbolic sine.")
arctanh = _function("arctanh", "Inverse hyperbolic tangent.")
erf = _function("erf", "Error function.")
erfc = _function("erfc", "1 - erf(x).")
ndtr = _function("ndtr", "Standard normal distribution function.")
log_ndtr = _function("log_ndtr", "Logarithm of the standard normal distribution function.")
ndtri = _function("ndtri", "Standard normal quantile function.")
gamma = _function("gamma", "The gamma function.")
gammaln = _function("gammaln", "log |Γ(x)|.")
betaln = _function("betaln", "log B(x, y) = log Γ(x) + log Γ(y) - log Γ(x + y).")
digamma = _function("digamma", "Derivative of log Γ.")
trigamma = _function("trigamma", "Second derivative of log Γ.")
xlogy = _function("xlogy", "x log(y), 0 where x is 0.")
xlog1py = _function("xlog1py", "x log(1 + y), 0 where x is 0.")
absolute = abs = _function("absolute", "|x|.")  # noqa: A001 - NumPy's name
sign = _function("sign", "-1, 0 or 1.")
maximum = _function("maximum", "The larger of two values.")
minimum = _function("minimum", "The smaller of two values.")
floor = _function("floor", "The largest integer not above x.")
ceil = _function("ceil", "The smallest integer not below x.")
equal = _function("equal", "x = y, as a boolean expression.")
not_equal = _function("not_equal", "x ≠ y.")
less = _function("less", "x < y.")
less_equal = _function("less_equal", "x ≤ y.")
greater = _function("greater", "x > y.")
greater_equal = _function("greater_equal", "x ≥ y.")
isnan = _function("isnan", "Is the value NaN?")
is_gap = _function("is_gap", "Is an integer -1, the code of a missing entry?")
expit = sigmoid


def where(condition: Any, x: Any, y: Any) -> Expr:
    """x where the condition holds, else y. The branch that is not taken contributes no gradient, even if it is infinite."""
    return elementwise(_where, condition, x, y)


def _where(condition: Term, x: Term, y: Term) -> Term:
    return scalar.where(truth(condition), x, y)


def logical_and(x: Any, y: Any) -> Expr:
    """Do both hold? Numbers hold where they are not 0."""
    return elementwise(lambda a, b: scalar.logical_and(truth(a), truth(b)), x, y)


def logical_or(x: Any, y: Any) -> Expr:
    """Does either hold?"""
    return elementwise(lambda a, b: scalar.logical_or(truth(a), truth(b)), x, y)


def logical_xor(x: Any, y: Any) -> Expr:
    """Does exactly one hold?"""
    return elementwise(lambda a, b: scalar.not_equal(truth(a), truth(b)), x, y)


def logical_not(x: Any) -> Expr:
    """Does it not hold?"""
    return elementwise(lambda a: scalar.logical_not(truth(a)), x)


def log_sigmoid(x: Any) -> Expr:
    """log σ(x) = -softplus(-x)."""
    return -softplus(-as_expr(x))


def add(x: Any, y: Any) -> Expr:
    """x + y."""
    return as_expr(x) + y


def subtract(x: Any, y: Any) -> Expr:
    """x - y."""
    return as_expr(x) - y


def multiply(x: Any, y: Any) -> Expr:
    """x y."""
    return as_expr(x) * y


def divide(x: Any, y: Any) -> Expr:
    """x / y."""
    return as_expr(x) / y


def power(x: Any, y: Any) -> Expr:
    """x to the power y."""
    return as_expr(x) ** y


def negative(x: Any) -> Expr:
    """-x."""
    return -as_expr(x)


def square(x: Any) -> Expr:
    """x²."""
    return as_expr(x) ** 2


def reciprocal(x: Any) -> Expr:
    """1 / x."""
    return 1 / as_expr(x)


def cbrt(x: Any) -> Expr:
    """The real cube root."""
    x = as_expr(x)
    return sign(x) * abs(x) ** (1 / 3)


def clip(x: Any, lower: Any, upper: Any) -> Expr:
    """x limited to [lower, upper]."""
    return minimum(maximum(x, lower), upper)


def stop_gradient(x: Any) -> Expr:
    """x, with derivative zero."""
    x = as_expr(x)
    return Expr(build.surrogate(x.term, build.constant(0.0)), x.axes, x.shape)


def surrogate(value: Any, derivative: Any) -> Expr:
    """Evaluates as `value`, is differentiated as `derivative`."""

    def join(a: Term, b: Term) -> Term:
        return build.surrogate(a, b)

    return elementwise(join, value, derivative)
