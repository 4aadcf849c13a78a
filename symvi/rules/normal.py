"""The error function and the normal distribution function: complements and logarithms without cancellation."""

from symvi.atoms.elementwise import erf, erfc, erfcx, exp, inverse_mills, log, log_erfc, log_ndtr, ndtr, pi, sqrt
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
def erfc_complement(x):
    """2 - erfc(x) = erfc(-x): no cancellation in the lower tail."""
    return 2 - erfc(x), erfc(-x)


@rule(stage="stable", kind="stabilise", partial=False)
def ndtr_complement(x):
    """1 - ndtr(x) = ndtr(-x): no cancellation in the upper tail."""
    return 1 - ndtr(x), ndtr(-x)


@rule(stage="stable", kind="stabilise")
def log_of_ndtr(x):
    """log(ndtr(x)) = log_ndtr(x): finite in the lower tail."""
    return log(ndtr(x)), log_ndtr(x)


@rule(stage="stable", kind="stabilise")
def log_of_erfc(x):
    """log(erfc(x)) = log_erfc(x): finite where erfc underflows, exact where it is near 1."""
    return log(erfc(x)), log_erfc(x)


@rule(stage=("stable", "simple"), kind="reassociate")
def exponential_of_log_ndtr(x):
    """e^(log_ndtr(x)) = ndtr(x): both lose |log_ndtr(x)| ulp in the lower tail."""
    return exp(log_ndtr(x)), ndtr(x)


@rule(stage=("stable", "simple"), kind="stabilise")
def scaled_complement(x):
    """e^(x^2) erfc(x) = erfcx(x): no infinity times zero."""
    return exp(x**2) * erfc(x), erfcx(x)


@rule(stage=("stable", "simple"), kind="reassociate", bounded=(1e-8, 1e4))
def density_over_erfc(x):
    """e^(-x^2) / erfc(x) = sqrt(pi / 2) inverse_mills(-x sqrt(2)): no zero over zero."""
    return exp(-(x**2)) / erfc(x), sqrt(pi / 2) * inverse_mills(-x * sqrt(2))


@rule(stage=("stable", "simple"), kind="reassociate", bounded=(1e-8, 1e4))
def density_over_ndtr(x):
    """e^(-x^2 / 2) / ndtr(x) = sqrt(2 pi) inverse_mills(x): no zero over zero in the lower tail."""
    return exp(-(x**2) / 2) / ndtr(x), sqrt(2 * pi) * inverse_mills(x)
