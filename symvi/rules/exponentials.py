"""Differences of exponentials near zero, logarithms near one, and functions that undo each other."""

from symvi.atoms.elementwise import absolute, cosh, exp, expm1, log, log1mexp, log1p, sigmoid, sinh, sqrt, tanh
from symvi.expr.facts import interval, is_nonnegative
from symvi.rewrite.rule import rule


@rule(stage="stable", kind="stabilise")
def log1p_fold(x):
    """log(1 + x) = log1p(x): keeps the digits of a small x."""
    return log(1 + x), log1p(x)


@rule(stage="stable", kind="stabilise", partial=False)
def expm1_fold(x):
    """e^x - 1 = expm1(x): no cancellation near zero."""
    return exp(x) - 1, expm1(x)


@rule(stage="stable", kind="stabilise")
def log1mexp_fold(x):
    """log(-expm1(x)) = log(1 - e^x) = log1mexp(x), for x < 0."""
    return log(-expm1(x)), log1mexp(x)


@rule(stage="stable", kind="stabilise")
def log1mexp_of_log1p(x):
    """log1p(-e^x) = log1mexp(x): exact near zero and far from it."""
    return log1p(-exp(x)), log1mexp(x)


@rule(stage="stable", kind="stabilise", partial=False)
def sinh_fold(x):
    """e^x - e^-x = 2 sinh(x): no cancellation near zero."""
    return exp(x) - exp(-x), 2 * sinh(x)


@rule(stage="stable", kind="stabilise")
def tanh_of_exponentials(x):
    """(e^x - e^-x) / (e^x + e^-x) = 2 sinh(x) / (e^x + e^-x) = tanh(x): no infinity over infinity."""
    return sinh(x) / (exp(x) + exp(-x)), tanh(x) / 2


@rule(stage=("stable", "simple"), kind="stabilise")
def tanh_fold(x):
    """sinh(x) / cosh(x) = tanh(x): no infinity over infinity."""
    return sinh(x) / cosh(x), tanh(x)


@rule(stage="stable", kind="stabilise")
def tanh_of_expm1(x):
    """(e^x - 1) / (e^x + 1) = expm1(x) sigmoid(-x) = tanh(x / 2)."""
    return expm1(x) * sigmoid(-x), tanh(x / 2)


@rule(stage="stable", kind="stabilise")
def log_cosh(x):
    """log(cosh(x)) = |x| + log1p(expm1(-2|x|) / 2): no overflow."""
    return log(cosh(x)), absolute(x) + log1p(expm1(-2 * absolute(x)) / 2)


@rule(stage=("stable", "simple"), kind="exact", when=is_nonnegative)
def exponential_of_log(x):
    """e^(log x) = x for x >= 0."""
    return exp(log(x)), x


@rule(stage=("stable", "simple"), kind="exact", when=lambda x: interval(x)[0] >= -1)
def exponential_of_log1p(x):
    """e^(log1p x) = 1 + x for x >= -1."""
    return exp(log1p(x)), 1 + x


@rule(stage=("stable", "simple"), kind="exact")
def log1p_of_expm1(x):
    """log1p(expm1(x)) = x."""
    return log1p(expm1(x)), x


@rule(stage=("stable", "simple"), kind="exact", when=lambda x: interval(x)[0] >= -1)
def expm1_of_log1p(x):
    """expm1(log1p(x)) = x for x >= -1."""
    return expm1(log1p(x)), x


@rule(stage=("stable", "simple"), kind="exact")
def root_of_square(x):
    """sqrt(x^2) = |x|: x^2 can overflow and underflow."""
    return sqrt(x**2), absolute(x)
