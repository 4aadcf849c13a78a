"""Terms whose logarithm is known without computing them: exponentials, distribution functions, determinants, sums of exponentials.

Not rules themselves: what the rules for logarithms of products and sums share.
"""

from __future__ import annotations

from fractions import Fraction

from symvi.atoms.elementwise import absolute, expm1, log, log1p, log_ndtr, logaddexp, softplus, sqrt
from symvi.atoms.linear_algebra import is_spd, logdet
from symvi.expr.build import add, as_term, contract, multiply, one, read, reduce, split_coefficient
from symvi.expr.facts import is_nonnegative, is_positive
from symvi.expr.nodes import Apply, Contract, Reduce, Sum, Term
from symvi.rewrite.views import arguments_of, opened, opened_reduction, opened_sum, operator_read

__all__ = ["closed_log", "logsumexp_of", "log_of_summands", "log_of_power", "may_take_log"]

Closed = tuple[Fraction, Term]  # log f = log c + term


def may_take_log(weight: Term) -> bool:
    """Positive, or a count or mask that may be 0: the logarithm is -inf there and nothing is differentiated by it."""
    return is_positive(weight) or (weight.kind in "bi" and is_nonnegative(weight))


def closed_log(term: Term) -> Closed | None:
    """(c, t) with log(term) = log(c) + t, for a positive term whose logarithm is known in closed form."""
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


def _closed_log_of_function(term: Term, name: str) -> Closed | None:
    unit = Fraction(1)
    if name not in ("exp", "sigmoid", "ndtr", "erfc", "cosh", "power", "sqrt"):
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
        return Fraction(2), log_ndtr(-x * sqrt(as_term(2)))
    if name == "cosh":
        return unit, absolute(x) + log1p(expm1(-2 * absolute(x)) / 2)
    if name == "power":
        return (unit, arguments[1] * log(x)) if is_nonnegative(x) else None
    return (unit, log(x) / 2) if _holds_closed_factor(x) else None


def _holds_closed_factor(term: Term) -> bool:
    _, operand = split_coefficient(term)
    factors = operand.factors if isinstance(operand, Contract) and not operand.bound else ((operand, 1),)
    return any(closed_log(factor) is not None for factor, _ in factors)


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
    if not isinstance(term, Sum) or any(c <= 0 for c, _ in term.terms) or len(term.children) < 2:
        return None
    logs, any_exponential = [], False
    for coefficient, operand in term.terms:
        scaled = multiply([(as_term(coefficient), 1)])
        inner = operand.factors if isinstance(operand, Contract) and not operand.bound else ((operand, 1),)
        parts = _exponent_and_weight(inner)
        sums = logsumexp_of(operand) if parts is None else None
        if parts is not None:
            weight = parts[1] if coefficient == 1 else scaled * parts[1]
            logs.append(parts[0] if weight.payload == one.payload else parts[0] + log(weight))
        elif sums is not None:
            logs.append(sums if coefficient == 1 else sums + log(scaled))
        elif operand is one or may_take_log(operand):
            logs.append(log(scaled * operand))
            continue
        else:
            return None
        any_exponential = True
    if not any_exponential:
        return None
    return _add_logs(logs)


def _add_logs(logs: list[Term]) -> Term:
    total = logs[0]
    for term in logs[1:]:
        zero = [x for x in (total, term) if x.payload == (Fraction(0),)]
        if zero:
            total = softplus(term if zero[0] is total else total)
        else:
            total = logaddexp(total, term)
    return total


