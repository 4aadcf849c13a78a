"""Terms whose logarithm is known without computing them: exponentials, distribution functions, determinants, sums of exponentials.

Not rules themselves: what the rules for logarithms of products and sums share.
"""

from __future__ import annotations

from fractions import Fraction
from math import inf

from symvi.atoms.elementwise import (
    absolute,
    gammaln,
    greater,
    log,
    log1mexp,
    log1p,
    log_cosh,
    log_erfc,
    log_mixture,
    log_ndtr,
    logaddexp,
    softplus,
    where,
    xlogy,
)  # fmt: skip
from symvi.atoms.elementwise import power as power_of
from symvi.atoms.linear_algebra import is_spd, logdet
from symvi.expr.build import add, as_term, constant, contract, multiply, one, read, reduce, split_coefficient, zero
from symvi.expr.facts import interval, is_nonnegative, is_positive
from symvi.expr.nodes import Apply, Constant, Contract, Reduce, Sum, Term
from symvi.rewrite.views import arguments_of, opened, opened_reduction, opened_sum, operator_read

__all__ = [
    "closed_log", "logsumexp_of", "log_of_summands", "log_of_power", "log_of_signed", "may_take_log", "number_power",
    "weighted_exponentials", "SIGNED",
]  # fmt: skip

NOTHING = constant(-inf)
NEAR_ONE = Fraction(1, 1000)
Closed = tuple[Fraction, Term]  # log(f / c) = term


def may_take_log(weight: Term) -> bool:
    """Positive, or a count or mask that may be 0: the logarithm is -inf there and nothing is differentiated by it."""
    return is_positive(weight) or (weight.kind in "bi" and is_nonnegative(weight))


def closed_log(term: Term) -> Closed | None:
    """(c, t) with log(term / c) = t, for a term of one sign whose logarithm is known in closed form; c has its sign."""
    inner, _ = opened(term)
    if isinstance(inner, Apply):
        return _closed_log_of_function(term, inner.function.name)
    if isinstance(inner, Contract) and inner.bound:
        found = logsumexp_of(term)
        return (Fraction(1), found) if found is not None else None
    if isinstance(inner, Reduce) and inner.operation == "prod":
        bound, body = opened_reduction(term, "prod", term.labels)
        return (Fraction(1), contract(bound, [(log(body), 1)])) if is_nonnegative(body) else None
    if isinstance(inner, Sum):
        found = log_of_summands(term)
        return (Fraction(1), found) if found is not None else None
    determinant = operator_read(term, "det")
    if determinant is not None and is_spd(determinant[0].children[0]):
        return Fraction(1), read(logdet(determinant[0].children[0]), determinant[1])
    return None


SIGNED = ("sinh", "tanh", "expm1", "exp_difference")
_CLOSED = ("exp", "sigmoid", "ndtr", "erfc", "cosh", "sech", *SIGNED, "power", "sqrt", "gamma")


def _closed_log_of_function(term: Term, name: str) -> Closed | None:
    unit = Fraction(1)
    if name not in _CLOSED:
        return None
    arguments = arguments_of(term, name)
    x = arguments[0]
    if name == "exp":
        return unit, x
    if name == "sigmoid":
        return unit, -softplus(-x)
    if name == "ndtr":
        return unit, log_ndtr(x)
    if name == "erfc":
        return unit, log_erfc(x)
    if name in ("cosh", "sech"):
        return unit, log_cosh(x) if name == "cosh" else -log_cosh(x)
    if name in SIGNED:
        if is_positive(term):
            return unit, log_of_signed(name, arguments)
        return (-unit, log1mexp(x)) if name == "expm1" and interval(x)[1] <= 0 else None
    if name == "gamma":
        return (unit, gammaln(x)) if is_positive(x) else None
    if name == "power":
        return (unit, xlogy(arguments[1], x)) if is_nonnegative(x) else None
    return (unit, log(x) / 2) if _holds_closed_factor(x) else None


def log_of_signed(name: str, arguments: tuple[Term, ...]) -> Term:
    """The logarithm of sinh, tanh, expm1 or a difference of exponentials, where it is positive."""
    x = arguments[0]
    if name == "exp_difference":
        gap = arguments[1] - x if interval(x)[0] > -inf else where(greater(x, NOTHING), arguments[1] - x, 0.0)
        return x + log1mexp(gap)
    if name == "expm1":
        return x + log1mexp(-x)
    if name == "sinh":
        return x + log1mexp(-2 * x) - log(as_term(2))
    return log1mexp(-2 * x) - softplus(-2 * x)


def _holds_closed_factor(term: Term) -> bool:
    _, operand = split_coefficient(term)
    factors = operand.factors if isinstance(operand, Contract) and not operand.bound else ((operand, 1),)
    return any(closed_log(factor) is not None for factor, _ in factors)


def number_power(value: Fraction, power: Fraction) -> Term:
    """value^power for value > 0: a number where it is rational, else roots of whole numbers, which cancel their reciprocals."""
    top, below = (_root(part, power.denominator) for part in value.as_integer_ratio())
    return multiply([(top, power.numerator), (below, -power.numerator)])


def _root(value: int, degree: int) -> Term:
    root = round(value ** (1 / degree))
    return constant(root) if root**degree == value else power_of(constant(value), constant(Fraction(1, degree)))


def log_of_power(base: Term, exponent: int) -> Term:
    """log(base^exponent)."""
    if exponent == 1:
        return log(base)
    return exponent * log(absolute(base) if exponent % 2 == 0 and not is_nonnegative(base) else base)


def _exponent_and_weight(factors) -> tuple[Term, Term] | None:
    """A product as e^a w: (a, w), where some factor is an exponential and w may be taken the logarithm of."""
    exponents, weights = [], []
    for factor, power in factors:
        arguments = arguments_of(factor, "exp")
        if arguments is not None:
            exponents.append((Fraction(power), arguments[0]))
        else:
            weights.append((factor, power))
    weight = multiply(weights)
    if not exponents or not (weight is one or may_take_log(weight)):
        return None
    return add(exponents), weight


def logsumexp_of(term: Term) -> Term | None:
    """log Σ w e^x = logsumexp(x + log w) for a sum over labels."""
    found = opened_sum(term, term.labels)
    parts = _exponent_and_weight(found[1]) if found is not None else None
    if parts is None:
        return None
    exponent, weight = parts
    return reduce("logsumexp", found[0], exponent if weight is one else exponent + log(weight))


def log_of_summands(term: Term) -> Term | None:
    """log(w1 e^a + w2 e^b + ... + c) in the log domain, where all operands are positive and one is an exponential."""
    parts = weighted_exponentials(term)
    if parts is None or len(parts) < 2:
        return None
    shares = _log_of_mixture(parts)
    if shares is not None:
        return shares
    if not all(weight is one or may_take_log(weight) for weight, _ in parts):
        return None
    unit = _common_weight(parts)
    logs = [(weight / unit, exponent) for weight, exponent in parts]
    return log(unit) + _add_logs([exponent if weight.payload == one.payload else exponent + log(weight) for weight, exponent in logs])


def _common_weight(parts: list[tuple[Term, Term]]) -> Term:
    """A number to be drawn out, so that log(3 + 3 e^x) - log(3) is softplus(x): the weight of e^0, or of all."""
    weights = {weight.value for weight, exponent in parts if isinstance(weight, Constant)}
    plain = [weight for weight, exponent in parts if isinstance(weight, Constant) and exponent is zero]
    if plain or (len(weights) == 1 and all(isinstance(weight, Constant) for weight, _ in parts)):
        return (plain or [parts[0][0]])[0]
    return one


def weighted_exponentials(term: Term) -> list[tuple[Term, Term]] | None:
    """A sum as (weight, exponent) of each operand; operands without an exponential join into one with the exponent 0."""
    if not isinstance(term, Sum):
        return None
    parts, plain = [], []
    for coefficient, operand in term.terms:
        inner = operand.factors if isinstance(operand, Contract) and not operand.bound else ((operand, 1),)
        exponents = [(Fraction(power), arguments_of(factor, "exp")) for factor, power in inner]
        weight = multiply([(as_term(coefficient), 1), *(pair for pair, (_, x) in zip(inner, exponents, strict=True) if x is None)])
        found = add([(power, x[0]) for power, x in exponents if x is not None])
        if any(x is not None for _, x in exponents):
            parts.append((weight, found))
        elif (sums := logsumexp_of(operand)) is not None:
            parts.append((as_term(coefficient), sums))
        else:
            plain.append((coefficient, operand))
    if not parts:
        return None
    return [*parts, (add(plain), zero)] if plain else parts


def _log_of_mixture(parts: list[tuple[Term, Term]]) -> Term | None:
    """log Σ w e^x where the weights add up to a number: beside its logarithm it vanishes with the exponents, and so must what rounds.

    Two weights, or numbers near 1. These may miss it by some units in the last place, as 0.3 + 0.7 does.
    """
    total = add([(Fraction(1), weight) for weight, _ in parts])
    numbers = all(isinstance(weight, Constant) for weight, _ in parts)
    if not isinstance(total, Constant) or total.value <= 0 or (abs(total.value - 1) > NEAR_ONE if numbers else len(parts) != 2):
        return None
    if not all(is_nonnegative(weight) for weight, _ in parts):
        return None
    if isinstance(parts[0][0] / total, Sum):  # 1 - w of a small w: its complement is w itself, and not 1 - (1 - w)
        parts = parts[::-1]
    (above, result), *others = parts
    near = abs(total.value - 1) <= NEAR_ONE
    for weight, exponent in others:
        result = log_mixture(above / (above + weight), result, exponent)
        above = above + weight
    return result + (log1p(as_term(total.value - 1)) if near else log(total))


def _add_logs(logs: list[Term]) -> Term:
    total = logs[0]
    for term in logs[1:]:
        zero = [x for x in (total, term) if x.payload == (Fraction(0),)]
        if zero:
            total = softplus(term if zero[0] is total else total)
        else:
            total = logaddexp(total, term)
    return total


