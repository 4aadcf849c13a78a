"""Logarithms of products, powers and roots; products with logarithms where zero times infinity means zero."""

from fractions import Fraction

from symvi.atoms.elementwise import cosh, erfc, exp, is_apply, log, ndtr, power, sigmoid, sqrt, xlogy
from symvi.expr.build import add, constant, contract, multiply, reduce, split_coefficient
from symvi.expr.dims import dim
from symvi.expr.facts import interval, is_nonnegative
from symvi.expr.nodes import Contract, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.variables import Index, Indexed
from symvi.rewrite.views import arguments_of, opened
from symvi.rules.closed_logs import closed_log, log_of_power
from symvi.rules.log_sums import log_mean_exp_example

N = dim("N")


@rule(stage="stable", kind="stabilise")
def log_root(x):
    """log(sqrt(x)) = log(x) / 2."""
    return log(sqrt(x)), log(x) / 2


@rule(stage="stable", kind="stabilise", when=lambda x: is_nonnegative(x))
def log_of_variable_power(x, p):
    """log(x^p) = p log(x), for x >= 0."""
    return log(power(x, p)), p * log(x)


@rule(stage="stable", kind="reassociate", when=is_nonnegative, bounded=(0.05, 20.0))
def log_of_prod(x: Indexed, k: Index):
    """log Π x = Σ log x, for x >= 0: no underflow of a long product."""
    return log(reduce("prod", [k], x[k])), contract([k], [(log(x[k]), 1)])


def _factors(term: Term) -> tuple[Fraction, tuple[tuple[Term, int], ...]]:
    coefficient, operand = split_coefficient(term)
    if isinstance(operand, Contract) and not operand.bound:
        return coefficient, operand.factors
    return coefficient, ((operand, 1),)


def _powers():
    x, p = example.term("x", N), example.term("p", N, stated=example.POSITIVE)
    return [log(x**2), log(x**3), log(1 / p), log(p**4), log(1 / x**2)]


@rule.procedure(head="log", stage="stable", kind="stabilise", example=_powers, counterexample=lambda: [log(example.term("x", N))])
def log_power(node: Term) -> Term | None:
    """log(x^k) = k log|x|, or k log(x) for odd k > 0 or x >= 0: x^k can overflow and underflow."""
    coefficient, factors = _factors(node.children[0])
    ((base, exponent), *others) = factors
    if coefficient != 1 or others or exponent == 1:
        return None
    if exponent < 0 and exponent % 2 and not is_nonnegative(base):  # log(1 / -inf)
        return None
    return log_of_power(base, exponent)


def _positive_parts():
    x, y = example.term("x", N), example.term("y", N, stated=example.POSITIVE)
    known = [exp(x) * y, exp(-(x**2)) / 3, sigmoid(x) * y, 2 * ndtr(x), erfc(x) / 3, 2 * cosh(x), exp(y) / sqrt(exp(x))]
    return [*map(log, known), log_mean_exp_example()]


def _plain_products():
    x, y = example.term("x", N, stated=example.POSITIVE), example.term("y", N, stated=example.POSITIVE)
    return [log(x * y), log(2 * x), log(sqrt(x) * y)]


@rule.procedure(
    head="log", stage="stable", kind="reassociate", example=_positive_parts, counterexample=_plain_products, bounded=(0.05, 1e3)
)  # fmt: skip
def log_of_product(node: Term) -> Term | None:
    """log(e^a y) = a + log(y), and so for other factors whose logarithm is known: no overflow, no underflow."""
    coefficient, factors = _factors(node.children[0])
    if len(factors) == 1 and factors[0][1] == 1 and coefficient == 1:
        return None
    logs, rest = [], []
    for factor, exponent in factors:
        closed = closed_log(factor)
        if closed is None:
            rest.append((factor, exponent))
        else:
            coefficient *= closed[0] ** exponent
            logs.append((Fraction(exponent), closed[1]))
    if not logs:
        return None
    left = multiply([(constant(coefficient), 1), *rest])
    return add([*logs, (Fraction(1), log(left))])


def _same_side():
    p, q = example.term("p", N, stated=example.UNIT), example.term("q", N, stated=example.UNIT)
    return [log(p * q), log(p**2 * q / 2)]


@rule.procedure(head="log", stage="stable", kind="stabilise", example=_same_side, counterexample=_plain_products, priority=4)
def log_of_product_of_probabilities(node: Term) -> Term | None:
    """log(p q) = log(p) + log(q) where no factor exceeds 1: no underflow, no cancellation."""
    coefficient, factors = _factors(node.children[0])
    if len(factors) < 2 or not 0 < coefficient <= 1:
        return None
    if any(exponent < 0 or interval(factor)[0] < 0 or interval(factor)[1] > 1 for factor, exponent in factors):
        return None
    logs = [(Fraction(1), log_of_power(factor, exponent)) for factor, exponent in factors]
    return add([*logs, (Fraction(1), log(constant(coefficient)))])


def _counts():
    c, p = example.term("c", N, stated=example.Stated((0.0, 1e6)), kind="i"), example.term("p", N, stated=example.SMALL)
    return [c * log(p), -3 * c * log(p), contract(c.labels, [(c, 1), (log(p), 1)])]


def _certain():
    c, x = example.term("c", N, stated=example.Stated((0.0, 1e6)), kind="i"), example.term("x", N)
    p = example.term("p", N, stated=example.POSITIVE)
    return [c * log(p), p * log(x * x), x * log(p), c * log(1 + exp(x))]


@rule.procedure(head="product", stage="stable", kind="stabilise", example=_counts, counterexample=_certain)
def xlogy_fold(node: Contract) -> Term | None:
    """c log(p) = xlogy(c, p) for data c and a p that can be 0 together: zero times minus infinity is zero."""
    for log_factor, exponent in node.factors:
        inner, _ = opened(log_factor)
        if exponent != 1 or not is_apply(inner, "log"):
            continue
        (p,) = arguments_of(log_factor, "log")
        if interval(p)[0] != 0:
            continue
        for count, times in node.factors:
            if times == 1 and _may_be_zero_count(count) and count.labels <= p.labels:
                rest = [(f, e) for f, e in node.factors if f is not count and f is not log_factor]
                return contract(node.bound, [*rest, (xlogy(count, p), 1)])
    return None


def _may_be_zero_count(term: Term) -> bool:
    return term.kind in "bi" and interval(term)[0] == 0
