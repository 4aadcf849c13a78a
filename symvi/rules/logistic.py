"""The logistic function and its logarithms, however they were typed."""

from fractions import Fraction

from symvi.atoms.elementwise import exp, log, log1p, log_ratio, logit, sigmoid, softplus, tanh
from symvi.expr.build import add, constant, contract, multiply, one
from symvi.expr.dims import dim
from symvi.expr.facts import interval, is_nonnegative
from symvi.expr.nodes import Constant, Contract, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import arguments_of
from symvi.rules.closed_logs import may_take_log, weighted_exponentials

N = dim("N")


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


def _fractions():
    x, w = example.term("x", N), example.term("w", N, stated=example.Stated((0.05, 20.0)))
    return [1 / (1 + 3 * exp(-x)), w / (w + exp(x)), 1 / (2 + w * exp(x)) ** 2, exp(x) / (3 + exp(x))]


def _no_fractions():
    x, y, w = example.term("x", N), example.term("y", N), example.term("w", N)
    return [1 / (w + exp(x)), 1 / (1 - exp(x)), 1 / (exp(x) + exp(y)), 1 / (1 + exp(x) + exp(y))]


@rule.procedure(head="product", stage="stable", kind="reassociate", example=_fractions, counterexample=_no_fractions, bounded=(0.05, 1e3))
def sigmoid_of_ratio(node: Contract) -> Term | None:
    """1 / (w + v e^x) = sigmoid(log w - log v - x) / w, for w > 0 and v > 0: its derivative is no quotient of overflowing exponentials."""
    for below, power in node.factors:
        parts = weighted_exponentials(below) if power < 0 and isinstance(below, Sum) and len(below.children) >= 2 else None
        if parts is None or len(parts) != 2 or not isinstance(parts[1][1], Constant):
            continue
        (v, exponent), (w, _) = parts
        if not (may_take_log(w) and may_take_log(v)):
            continue
        odds = add([(Fraction(1), _log(w)), (Fraction(-1), _log(v)), (Fraction(-1), exponent)])
        top = next((f for f, e in node.factors if e > 0 and arguments_of(f, "exp") == (exponent,)), None)
        share = sigmoid(-odds) / (v * top) if top is not None else sigmoid(odds) / w
        rest = [(f, e) for f, e in node.factors if f is not below]
        return contract(node.bound, [*rest, (share, -power)])
    return None


def _log(weight: Term) -> Term:
    return log(weight) if weight is not one else Constant.make((Fraction(0),), (), kind="f")


@rule(stage=("stable", "simple"), kind="stabilise")
def sigmoid_times_exponential(x):
    """e^x sigmoid(-x) = sigmoid(x): no infinity times zero."""
    return exp(x) * sigmoid(-x), sigmoid(x)


@rule(stage=("stable", "simple"), kind="stabilise")
def sigmoid_over_exponential(x):
    """sigmoid(x) / e^x = sigmoid(-x): no zero over zero."""
    return sigmoid(x) / exp(x), sigmoid(-x)


@rule(stage=("stable", "simple"), kind="stabilise")
def sigmoid_times_its_denominator(x):
    """(1 + e^x) sigmoid(-x) = 1: no infinity times zero."""
    return (1 + exp(x)) * sigmoid(-x), constant(1)


@rule(stage=("stable", "simple"), kind="stabilise")
def odds_of_sigmoid(x):
    """(1 + e^x) sigmoid(x) = e^x: nothing overflows before e^x does."""
    return (1 + exp(x)) * sigmoid(x), exp(x)


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


@rule(stage=("stable", "simple"), kind="stabilise")
def softplus_less_argument(x):
    """softplus(x) - x = softplus(-x): no cancellation for a large x."""
    return softplus(x) - x, softplus(-x)


@rule(stage=("stable", "simple"), kind="stabilise", partial=False)
def tanh_of_sigmoid(x):
    """2 sigmoid(x) - 1 = tanh(x / 2): no cancellation near zero."""
    return 2 * sigmoid(x) - 1, tanh(x / 2)


def _slopes():
    x, y = example.term("x", N), example.term("y", N)
    return [sigmoid(x) * sigmoid(-x) ** 2 - sigmoid(x) ** 2 * sigmoid(-x), y * sigmoid(-x) - y * sigmoid(x), sigmoid(x) - sigmoid(-x)]


def _no_slopes():
    x, y = example.term("x", N), example.term("y", N)
    return [sigmoid(x) - sigmoid(y), y * sigmoid(x) - sigmoid(-x), sigmoid(x) + y * sigmoid(-x)]


@rule.procedure(head="sum", stage=("stable", "simple"), kind="stabilise", example=_slopes, counterexample=_no_slopes)
def tanh_of_complements(node: Sum) -> Term | None:
    """f sigmoid(x) - f sigmoid(-x) = f tanh(x / 2): no cancellation near zero."""
    for position, (coefficient, term) in enumerate(node.terms):
        for x, rest, bound in _sigmoids(term):
            for other, (opposite, twin) in enumerate(node.terms[position + 1 :], position + 1):
                if opposite == -coefficient and any(y is -x and r is rest and b == bound for y, r, b in _sigmoids(twin)):
                    kept = [item for index, item in enumerate(node.terms) if index not in (position, other)]
                    return add([(coefficient, contract(bound, [(rest, 1), (tanh(x / 2), 1)])), *kept])
    return None


def _sigmoids(term: Term) -> list[tuple[Term, Term, tuple]]:
    """(x, the other factors, bound labels) for each factor sigmoid(x)."""
    factors, bound = (term.factors, term.bound) if isinstance(term, Contract) else (((term, 1),), ())
    found = [(f, arguments_of(f, "sigmoid")) for f, e in factors if e > 0]
    return [(x[0], multiply([(g, e - (g is f)) for g, e in factors]), bound) for f, x in found if x is not None]


@rule(stage="stable", kind="stabilise", when=lambda p: interval(p)[0] >= 0 and interval(p)[1] <= 1)
def logit_fold(p):
    """log(p / (1 - p)) = logit(p), for 0 <= p <= 1."""
    return log_ratio(p, 1 - p), logit(p)


@rule(stage="stable", kind="exact", when=is_nonnegative)
def softplus_of_log(x):
    """softplus(log x) = log1p(x), for x >= 0."""
    return softplus(log(x)), log1p(x)


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
