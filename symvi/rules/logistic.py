"""The logistic function and its logarithms, however they were typed."""

from symvi.atoms.elementwise import exp, log, log1p, logit, sigmoid, softplus
from symvi.expr.facts import interval
from symvi.rewrite.rule import rule


@rule(stage="stable", kind="stabilise")
def softplus_fold(x):
    """log(1 + e^x) = softplus(x): no overflow, derivative sigmoid(x)."""
    return log(1 + exp(x)), softplus(x)


@rule(stage="stable", kind="stabilise")
def softplus_of_log1p(x):
    """log1p(e^x) = softplus(x): no overflow, derivative sigmoid(x)."""
    return log1p(exp(x)), softplus(x)


@rule(stage="stable", kind="stabilise")
def sigmoid_fold(x):
    """1 / (1 + e^-x) = sigmoid(x): its derivative is no quotient of overflowing exponentials."""
    return 1 / (1 + exp(-x)), sigmoid(x)


@rule(stage="stable", kind="stabilise")
def sigmoid_quotient(x):
    """e^x / (1 + e^x) = sigmoid(x): no infinity over infinity."""
    return exp(x) / (1 + exp(x)), sigmoid(x)


@rule(stage=("stable", "simple"), kind="stabilise")
def sigmoid_times_exponential(x):
    """e^x sigmoid(-x) = sigmoid(x): no infinity times zero."""
    return exp(x) * sigmoid(-x), sigmoid(x)


@rule(stage=("stable", "simple"), kind="stabilise", partial=False)
def sigmoid_complement(x):
    """1 - sigmoid(x) = sigmoid(-x): no cancellation where sigmoid(x) is near 1."""
    return 1 - sigmoid(x), sigmoid(-x)


@rule(stage="stable", kind="stabilise")
def log_sigmoid(x):
    """log(sigmoid(x)) = -softplus(-x): finite where sigmoid(x) underflows."""
    return log(sigmoid(x)), -softplus(-x)


@rule(stage="stable", kind="stabilise")
def log1p_of_minus_sigmoid(x):
    """log1p(-sigmoid(x)) = -softplus(x): finite where sigmoid(x) rounds to 1."""
    return log1p(-sigmoid(x)), -softplus(x)


@rule(stage=("stable", "simple"), kind="stabilise")
def softplus_difference(x):
    """softplus(x) - softplus(-x) = x."""
    return softplus(x) - softplus(-x), x


@rule(stage="stable", kind="stabilise")
def logit_of_sigmoid(x):
    """logit(sigmoid(x)) = x."""
    return logit(sigmoid(x)), x


@rule(stage="stable", kind="stabilise", when=lambda x: interval(x)[0] >= 0 and interval(x)[1] <= 1)
def sigmoid_of_logit(x):
    """sigmoid(logit(x)) = x for 0 <= x <= 1."""
    return sigmoid(logit(x)), x


@rule(stage=("stable", "simple"), kind="stabilise")
def exponential_of_minus_softplus(x):
    """e^-softplus(x) = sigmoid(-x)."""
    return exp(-softplus(x)), sigmoid(-x)
