"""The error function and the normal distribution function: complements and logarithms without cancellation."""

from symvi.atoms.elementwise import erf, erfc, exp, less, log, log1p, log_ndtr, ndtr, sqrt, where
from symvi.rewrite.rule import rule


@rule(stage="stable", kind="stabilise", partial=False)
def erfc_fold(x):
    """1 - erf(x) = erfc(x): no cancellation in the upper tail."""
    return 1 - erf(x), erfc(x)


@rule(stage="stable", kind="stabilise", partial=False)
def erfc_of_minus(x):
    """1 + erf(x) = erfc(-x): no cancellation in the lower tail."""
    return 1 + erf(x), erfc(-x)


@rule(stage="stable", kind="stabilise", partial=False)
def erf_fold(x):
    """1 - erfc(x) = erf(x): no cancellation near zero."""
    return 1 - erfc(x), erf(x)


@rule(stage="stable", kind="stabilise", partial=False)
def ndtr_complement(x):
    """1 - ndtr(x) = ndtr(-x): no cancellation in the upper tail."""
    return 1 - ndtr(x), ndtr(-x)


@rule(stage="stable", kind="stabilise")
def log_of_ndtr(x):
    """log(ndtr(x)) = log_ndtr(x): finite in the lower tail."""
    return log(ndtr(x)), log_ndtr(x)


@rule(stage="stable", kind="reassociate")
def log_of_half_erfc(x):
    """log(erfc(x) / 2) = log_ndtr(-x sqrt(2)): finite where erfc underflows."""
    return log(erfc(x) / 2), log_ndtr(-x * sqrt(2))


@rule(stage="stable", kind="reassociate")
def log_of_erfc(x):
    """log(erfc(x)) = log1p(-erf(x)) for x < 1, log_ndtr(-x sqrt(2)) + log(2) beyond: finite where erfc underflows."""
    return log(erfc(x)), where(less(x, 1), log1p(-erf(x)), log_ndtr(-x * sqrt(2)) + log(2))


@rule(stage=("stable", "simple"), kind="reassociate")
def exponential_of_log_ndtr(x):
    """e^(log_ndtr(x)) = ndtr(x): both lose |log_ndtr(x)| ulp in the lower tail."""
    return exp(log_ndtr(x)), ndtr(x)
