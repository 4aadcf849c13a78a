"""Logarithms of products, powers and roots; products with logarithms where zero times infinity means zero."""

from fractions import Fraction
from math import inf

from symvi.atoms.elementwise import (
    absolute,
    cosh,
    erfc,
    exp,
    is_apply,
    log,
    log1p,
    log_erfc,
    log_mixture,
    log_ndtr,
    log_product,
    log_ratio,
    logaddexp,
    ndtr,
    power,
    rel_entr,
    sigmoid,
    sqrt,
    xlog1py,
    xlogy,
)  # fmt: skip
from symvi.expr.build import add, constant, contract, multiply, reduce, split_coefficient
from symvi.expr.dims import dim
from symvi.expr.facts import interval, is_nonnegative
from symvi.expr.nodes import Apply, Constant, Contract, NamedConstant, Sum, Term, postorder
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.variables import Index, Indexed
from symvi.rewrite.views import arguments_of, opened
from symvi.rules.closed_logs import closed_log, log_of_power, number_power

N = dim("N")
HALF = constant(Fraction(1, 2))
MOST_POWER = 4  # of a number that is taken into a logarithm


@rule(stage="stable", kind="stabilise")
def log_root(x):
    """log(sqrt(x)) = log(x) / 2."""
    return log(sqrt(x)), log(x) / 2


@rule(stage="stable", kind="stabilise", when=lambda x: is_nonnegative(x))
def log_of_variable_power(x, p):
    """log(x^p) = xlogy(p, x), for x >= 0: x^p can over- and underflow; 0^0 is 1."""
    return log(power(x, p)), xlogy(p, x)


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
    q = example.term("q", N, stated=example.Stated((-1.0, 0.0)))
    bare = [log(x**2), log(x**3), log(1 / p), log(p**4), log(1 / x**2)]
    return [*bare, log(4 * x**2), log(3 / x**2), log(-1 / q), log(-1 / (3 * q)), log(-(x**3) / 2)]


def _no_powers():
    x, p = example.term("x", N), example.term("p", N, stated=example.POSITIVE)
    return [log(x), log(3 * x), log(1 / x), log(-(x**2)), log(3 / p)]


@rule.procedure(head="log", stage="stable", kind="reassociate", example=_powers, counterexample=_no_powers)
def log_power(node: Term) -> Term | None:
    """log(c x^k) = k log(c^(1/k) |x|), without the absolute value for odd k or x >= 0: x^k can overflow and underflow."""
    coefficient, factors = _factors(node.children[0])
    ((base, exponent), *others) = factors
    if others or exponent == 1 or (coefficient < 0 and exponent % 2 == 0):
        return None
    if coefficient < 0:
        coefficient, base = -coefficient, -base
    if exponent < 0 and exponent % 2 and interval(base)[0] == -inf:  # log(1 / -inf)
        return None
    root = 1 / coefficient
    if exponent == -1 and (root > 1 and interval(base)[1] == inf or float(root) != root):  # it overflows, or rounds once more
        return None
    size = absolute(base) if exponent % 2 == 0 and not is_nonnegative(base) else base
    return exponent * log(number_power(coefficient, Fraction(1, exponent)) * size)


def _positive_parts():
    x, y = example.term("x", N), example.term("y", N, stated=example.POSITIVE)
    known = [exp(x) * y, exp(-(x**2)) / 3, sigmoid(x) * y, 2 * ndtr(x), erfc(x) / 3, 2 * cosh(x), y * sqrt(sigmoid(x))]
    return [log(product) for product in known]


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
        closed = closed_log(factor) if factor.labels or not _is_number(factor) else None
        if closed is None:
            rest.append((factor, exponent))
        else:
            coefficient *= closed[0] ** exponent
            logs.append((Fraction(exponent), closed[1]))
    if not logs or (coefficient < 0 and not rest):
        return None
    left = multiply([(constant(coefficient), 1), *rest])
    return add([*logs, (Fraction(1), log(left))])


def _scaled_logs():
    x, p, q = example.term("x", N), example.term("p", N, stated=example.POSITIVE), example.term("q", N, stated=example.POSITIVE)
    two, three, six = (log(constant(n)) for n in (2, 3, 6))
    logs = [log(3 * x) - three, 2 * log(x / 3) + 2 * three + p, 4 * log(p) - two, six - three - x]
    return [*logs, log_product(p, 3 * q) - three, log_ratio(p / 2, q) + two, log_erfc(x) - two, log(p) - two, logaddexp(p, q) - two]


def _unscaled_logs():
    x = example.term("x", N)
    three = log(constant(3))
    return [log(x) - three * x, log(x) - 2 * x, x - three, log_erfc(x) - three, log(x) + 9 * three, log_ratio(x, x + 1) - three]


@rule.procedure(head="sum", stage="stable", kind="reassociate", example=_scaled_logs, counterexample=_unscaled_logs, priority=9)
def log_of_number_joins(node: Sum) -> Term | None:
    """log(x) - log(c) = log(x / c), for a number c, and so for products, ratios, erfc, logaddexp: no cancellation where x is near c."""
    numbers = [(c, term) for c, term in node.terms if _is_log_of_number(term)]
    for c, number in numbers:
        for d, term in node.terms:
            power = c / d
            if term is number or abs(power.numerator) > MOST_POWER or term in [t for _, t in numbers] and abs(power) != 1:
                continue
            joined = _scaled_log(term, number.children[0].value, power)
            if joined is not None:
                return add([(d, joined), *((e, t) for e, t in node.terms if t is not term and t is not number)])
    return None


def _is_log_of_number(term: Term) -> bool:
    return is_apply(term, "log") and isinstance(term.children[0], Constant) and isinstance(term.children[0].value, Fraction)


_LOGARITHMS = {"log": log, "log_product": log_product, "log_ratio": log_ratio, "log_erfc": log_erfc, "logaddexp": logaddexp}


def _scaled_log(term: Term, number: Fraction, power: Fraction) -> Term | None:
    """The logarithm `term` with power log(number) taken in; number > 0."""
    inner, _ = opened(term)
    name = inner.name if isinstance(inner, Apply) else ""
    if name not in _LOGARITHMS:
        return None
    first, *others = arguments_of(term, name)
    factor = number_power(number, power)
    if name == "log_erfc":
        return log_ndtr(-first * sqrt(2)) if factor is HALF else None
    if name == "logaddexp":
        return log_mixture(HALF, first, *others) if factor is HALF else None
    scaled = factor * first
    if _is_number(first) or _is_bare(scaled):
        return _LOGARITHMS[name](scaled, *others)
    if name == "log_product" and _is_bare(factor * others[0]):
        return log_product(first, factor * others[0])
    return log_product(first, factor) if name == "log" else None  # scaled, a subnormal number loses digits


def _is_bare(term: Term) -> bool:
    """Does no number stand before it?"""
    coefficient, factors = _factors(term)
    return abs(coefficient) == 1 and not any(_is_number(factor) for factor, _ in factors)


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


def _entropies():
    x, p = example.term("x", N), example.term("p", N, stated=example.SMALL)
    inside = contract(p.labels, [(p, 1), (log(p), 1)])
    return [x * log(x), -3 * p**2 * log(p), (1 - p) * log1p(-p), inside, p * log(2 * p), x * log_ratio(x, p)]


def _no_entropies():
    x, p = example.term("x", N), example.term("p", N, stated=example.POSITIVE)
    return [p * log(p), x * log(p), log(x) / x, (1 + x) * log1p(-x), x * log_product(p, p + 1)]


@rule.procedure(head="product", stage="stable", kind="stabilise", example=_entropies, counterexample=_no_entropies, priority=6)
def x_log_x(node: Contract) -> Term | None:
    """x log(c x) = xlogy(x, c x), (1 + x) log1p(x) = xlog1py(1 + x, x), x log(x / y) = rel_entr(x, y), where x can be 0: 0 log(0) is 0."""
    powers = dict(node.factors)
    for factor, exponent in node.factors:
        if exponent != 1:
            continue
        for zero, folded in _where_zero(factor):
            if powers.get(zero, 0) >= 1 and zero.labels >= factor.labels and interval(zero)[0] <= 0:
                rest = [(f, e - (f is zero)) for f, e in node.factors if f is not factor]
                return contract(node.bound, [*rest, (folded, 1)])
    return None


def _where_zero(factor: Term) -> list[tuple[Term, Term]]:
    """(x, x times the logarithm) for each x at whose zero the logarithm is infinite."""
    inner, _ = opened(factor)
    name = inner.name if isinstance(inner, Apply) else ""
    if name not in ("log", "log1p", "log_ratio"):
        return []
    arguments = arguments_of(factor, name)
    if name == "log":
        (x,) = arguments
        _, bare = split_coefficient(x)
        return [(bare, xlogy(bare, x))]
    if name == "log1p":
        return [(1 + arguments[0], xlog1py(1 + arguments[0], arguments[0]))]
    return [(arguments[0], rel_entr(*arguments))]


def _two_factors():
    x, y, z = (example.term(name, N) for name in "xyz")
    p, q = example.term("p", N, stated=example.POSITIVE), example.term("q", N, stated=example.POSITIVE)
    return [log(x * y), log(x / y), log(3 * x * y), log(x**2 / (y * z)), log(1 / (p * q))]


def _no_two_factors():
    x, p = example.term("x", N), example.term("p", N, stated=example.POSITIVE)
    return [log(2 * x), log(1 / x), log(x**2), log(p**-2), log(x / sqrt(2)), log(1 + x * p)]


@rule.procedure(head="log", stage="stable", kind="stabilise", example=_two_factors, counterexample=_no_two_factors, priority=1)
def log_of_two(node: Term) -> Term | None:
    """log(x y) = log_product(x, y), log(x / y) = log_ratio(x, y): x y over- and underflows, and its rounding counts where it is near 1."""
    coefficient, factors = _factors(node.children[0])
    numbers = [(f, e) for f, e in factors if isinstance(f, NamedConstant) or not f.labels and _is_number(f)]
    above = [(f, e) for f, e in factors if e > 0 and (f, e) not in numbers]
    below = [(f, -e) for f, e in factors if e < 0 and (f, e) not in numbers]
    scale = multiply([(constant(coefficient), 1), *numbers])
    if above and below:
        return log_ratio(multiply([(scale, 1), *above]), multiply(below))
    if len(above) >= 2:
        return log_product(multiply([(scale, 1), *above[:-1]]), multiply(above[-1:]))
    if len(below) >= 2 and coefficient == 1 and not numbers and is_nonnegative(node.children[0]):
        return -log_product(multiply(below[:-1]), multiply(below[-1:]))
    return None


def _squares():
    x, y, p = example.term("x", N), example.term("y", N), example.term("p", N, stated=example.POSITIVE)
    return [log(x**2 * p), log(3 * x**2 * y**2), log(p / x**4), log(1 / (x**2 * p))]


def _no_squares():
    x, p = example.term("x", N), example.term("p", N, stated=example.POSITIVE)
    return [log(x**2), log(x * p), log(x**3 * p), log(x**2 * (x + 1))]


@rule.procedure(head="log", stage="stable", kind="reassociate", example=_squares, counterexample=_no_squares, priority=3)
def log_of_squares(node: Term) -> Term | None:
    """log(x^2 y) = 2 log(|x| sqrt(y)), for y >= 0: x^2 can over- and underflow."""
    coefficient, factors = _factors(node.children[0])
    odd = [(f, e) for f, e in factors if e % 2]
    if len(factors) < 2 or len(odd) > 1 or coefficient < 0 or any(abs(e) > 1 or not is_nonnegative(f) for f, e in odd):
        return None
    halves = [(f if e % 4 == 0 or is_nonnegative(f) else absolute(f), e // 2) for f, e in factors if not e % 2]
    root = number_power(coefficient, Fraction(1, 2))
    return 2 * log(multiply([(root, 1), *halves, *((sqrt(f), e) for f, e in odd)]))


@rule(stage=("stable", "simple"), kind="exact", when=lambda x, y: is_nonnegative(x) and is_nonnegative(y))
def exponential_of_log_ratio(x, y):
    """e^(log(x / y)) = x / y, for x, y >= 0."""
    return exp(log_ratio(x, y)), x / y


@rule(stage=("stable", "simple"), kind="exact", when=lambda x, y: is_nonnegative(x) and is_nonnegative(y))
def exponential_of_log_product(x, y):
    """e^(log(x y)) = x y, for x, y >= 0."""
    return exp(log_product(x, y)), x * y


def _is_number(term: Term) -> bool:
    return all(isinstance(n, (Constant, NamedConstant)) or n.children for n in postorder((term,))) and term.kind == "f"
