"""Differences of exponentials near zero, logarithms near one, and functions that undo each other."""

from fractions import Fraction

from symvi.atoms.elementwise import (
    absolute,
    cosh,
    exp,
    exp_difference,
    expm1,
    greater,
    is_apply,
    log,
    log1mexp,
    log1p,
    maximum,
    sech,
    sigmoid,
    sinh,
    sqrt,
    tanh,
    where,
)  # fmt: skip
from symvi.atoms.elementwise import log_cosh as log_cosh_of
from symvi.expr.build import add, constant, contract, split_coefficient, surrogate
from symvi.expr.dims import dim
from symvi.expr.facts import interval, is_nonnegative
from symvi.expr.nodes import Constant, Contract, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import arguments_of, opened
from symvi.rules.closed_logs import SIGNED, log_of_signed

N = dim("N")


@rule(stage="stable", kind="stabilise")
def log1p_fold(x):
    """log(1 + x) = log1p(x): keeps the digits of a small x."""
    return log(1 + x), log1p(x)


@rule(stage="stable", kind="stabilise", partial=False)
def log1p_of_distance(x):
    """log|1 + x| = log1p(max(x, -2 - x)): keeps the digits of a small x; the derivative is 1 / (1 + x)."""
    return log(absolute(1 + x)), surrogate(log1p(maximum(x, -2 - x)), log1p(x))


@rule(stage="stable", kind="stabilise", partial=False)
def expm1_fold(x):
    """e^x - 1 = expm1(x): no cancellation near zero."""
    return exp(x) - 1, expm1(x)


def _powers():
    x, y, z = example.term("x", N), example.term("y", N), example.term("z", N)
    inside = contract(x.labels, [(exp(x), 1), (exp(y), -2), (z, 1)])
    return [exp(x) * exp(y), z * exp(x) / exp(y), inside, exp(x) ** 2 * z, 1 / exp(x), 1 / (exp(x) * (exp(y) + exp(-x)))]


def _apart():
    x, y, z = example.term("x", N), example.term("y", dim("M")), example.term("z", N)
    return [exp(x) * exp(y), exp(x) * z, z / exp(x), 1 / (exp(x) * z)]


@rule.procedure(head="product", stage="stable", kind="reassociate", example=_powers, counterexample=_apart, priority=1)
def exponentials_join(node: Contract) -> Term | None:
    """e^x e^y = e^(x + y), (e^x)^k = e^(k x), for x and y over the same labels: neither over- nor underflows alone."""
    groups: dict[frozenset, list] = {}
    for factor, power in node.factors:
        arguments = arguments_of(factor, "exp")
        if arguments is not None:
            groups.setdefault(factor.labels, []).append((factor, power, arguments[0]))
    for group in groups.values():
        power = group[0][1]
        if len(group) > 1 or power > 1 or (power < 0 and _may_turn_over(node, group[0][0])):
            rest = [(f, e) for f, e in node.factors if all(f is not factor for factor, _, _ in group)]
            return contract(node.bound, [*rest, (exp(add([(Fraction(e), x) for _, e, x in group])), 1)])
    return None


def _may_turn_over(node: Contract, exponential: Term) -> bool:
    """1 / e^x as e^-x: alone, or beside what other rules join it with; z e^-x can overflow where z / e^x does not."""
    others = [opened(factor)[0] for factor, _ in node.factors if factor is not exponential]
    return not others or any(_joins_exponentials(other) for other in others)


def _joins_exponentials(term: Term) -> bool:
    if isinstance(term, Sum):
        return any(arguments_of(child, "exp") is not None for child in term.children)
    return is_apply(term, "erfc") or is_apply(term, "ndtr")


def _differences():
    x, y = example.term("x", N), example.term("y", N)
    return [exp(x) - exp(y), 3 * exp(2 * x) - 3 * exp(x + y)]


def _no_differences():
    x, y = example.term("x", N), example.term("y", N)
    return [exp(x) + exp(y), exp(x) - 2 * exp(y), exp(x) - exp(-x), exp(x) - exp(y) + 1]


@rule.procedure(head="sum", stage="stable", kind="stabilise", example=_differences, counterexample=_no_differences)
def exp_difference_fold(node: Sum) -> Term | None:
    """e^x - e^y = e^y expm1(x - y), as one function: no cancellation where x is near y, no infinity minus infinity."""
    exponents = [arguments_of(t, "exp") for t in node.children] if len(node.children) == 2 else [None]
    if None in exponents or sum(c for c, _ in node.terms):
        return None
    ((x,), (y,)), scale = exponents, node.terms[0][0]
    return None if x is -y else add([(abs(scale), exp_difference(x, y) if scale > 0 else exp_difference(y, x))])


def _balanced():
    x, y, z = (example.term(name, N) for name in "xyz")
    return [exp(x) + exp(y) - 2, exp(x) / 3 + exp(y) / 3 + exp(z) / 3 - 1, 2 * exp(x) - exp(y) - 1]


def _not_balanced():
    x, y = example.term("x", N), example.term("y", N)
    return [exp(x) + exp(y) - 1, exp(x) + exp(y) - 2 + x, exp(x) - exp(y)]


@rule.procedure(head="sum", stage="stable", kind="stabilise", example=_balanced, counterexample=_not_balanced)
def expm1_of_all(node: Sum) -> Term | None:
    """Σ c e^x - Σ c = Σ c expm1(x): no cancellation near zero."""
    if not isinstance(node.terms[0][1], Constant) and not any(isinstance(t, Constant) for t in node.children):
        return None
    exponents = [(c, arguments_of(t, "exp")) for c, t in node.terms if not isinstance(t, Constant)]
    constants = [c * t.value for c, t in node.terms if isinstance(t, Constant)]
    if len(exponents) < 2 or any(x is None for _, x in exponents) or sum(c for c, _ in exponents) + sum(constants) != 0:
        return None
    return add([(c, expm1(x)) for c, (x,) in exponents])


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


@rule(stage="stable", kind="stabilise", partial=False)
def cosh_fold(x):
    """e^x + e^-x = 2 cosh(x): its derivative does not cancel near zero."""
    return exp(x) + exp(-x), 2 * cosh(x)


@rule(stage="stable", kind="stabilise")
def sigmoid_of_cosh(x):
    """e^x / (e^x + e^-x) = sigmoid(2 x): no infinity over infinity."""
    return exp(x) * sech(x), 2 * sigmoid(2 * x)


@rule(stage=("stable", "simple"), kind="stabilise")
def tanh_fold(x):
    """sinh(x) / cosh(x) = tanh(x): no infinity over infinity."""
    return sinh(x) / cosh(x), tanh(x)


@rule(stage=("stable", "simple"), kind="stabilise")
def reciprocal_of_tanh(x):
    """cosh(x) / sinh(x) = 1 / tanh(x): no infinity over infinity."""
    return cosh(x) / sinh(x), 1 / tanh(x)


@rule(stage="stable", kind="stabilise")
def tanh_of_expm1(x):
    """(e^x - 1) / (e^x + 1) = expm1(x) sigmoid(-x) = tanh(x / 2)."""
    return expm1(x) * sigmoid(-x), tanh(x / 2)


@rule(stage="stable", kind="stabilise")
def log_cosh(x):
    """log(cosh(x)) = |x| + log1p(expm1(-2|x|) / 2), as one function: no overflow, no cancellation near zero."""
    return log(cosh(x)), log_cosh_of(x)


@rule(stage="stable", kind="stabilise")
def log_sech(x):
    """log(1 / cosh(x)) = -log_cosh(x)."""
    return log(sech(x)), -log_cosh_of(x)


def _closed_differences():
    x, y = example.term("x", N), example.term("y", N)
    return [log(sinh(x) / 3), log(expm1(x)), log(-tanh(x)), log(exp_difference(x, y))]


def _no_closed_differences():
    x = example.term("x", N)
    return [log(x), log(-expm1(x)), log(x * sinh(x))]


@rule.procedure(head="log", stage="stable", kind="reassociate", example=_closed_differences, counterexample=_no_closed_differences)
def log_of_difference(node: Term) -> Term | None:
    """log(expm1 x) = x + log1mexp(-x), and so for sinh, tanh and e^x - e^y: no overflow, and digits where they are near 1."""
    coefficient, operand = split_coefficient(node.children[0])
    for name in SIGNED:
        arguments = arguments_of(operand, name)
        if arguments is None or (coefficient < 0 and name == "expm1"):
            continue
        if coefficient < 0:
            arguments = arguments[::-1] if name == "exp_difference" else (-arguments[0],)
        return add([(Fraction(1), log_of_signed(name, arguments)), (Fraction(1), log(constant(abs(coefficient))))])
    return None


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


@rule(stage=("stable", "simple"), kind="exact")
def exponential_of_log1mexp(x):
    """e^(log1mexp x) = -expm1(x)."""
    return exp(log1mexp(x)), -expm1(x)


def _logs_in(term: Term) -> list[tuple[int, Term]]:
    """(k, y) for each summand k log(y) of a sum, k a whole number."""
    terms = term.terms if isinstance(term, Sum) else ((Fraction(1), term),)
    found = [(c, arguments_of(t, "log")) for c, t in terms]
    return [(int(c), arguments[0]) for c, arguments in found if arguments is not None and c.denominator == 1]


def _weight_beside(node: Contract, name: str) -> tuple[Term, Term, int, Term] | None:
    """(f(z), z, k, y) for a factor f(z) whose z has the summand k log(y), k a whole number, and a power of y against it."""
    powers = dict(node.factors)
    for factor, power in node.factors:
        arguments = arguments_of(factor, name) if power == 1 else None
        if arguments is None:
            continue
        (z,) = arguments
        for times, term in z.terms if isinstance(z, Sum) else ((Fraction(1), z),):
            y = arguments_of(term, "log") if times.denominator == 1 else None
            if y is not None and powers.get(y[0], 0) * times < 0:
                return factor, z, int(times), y[0]
    return None


def _weighted():
    x, y = example.term("x", N), example.term("y", N, stated=example.POSITIVE)
    return [exp(x + log(y)) / y, exp(x - 2 * log(y)) * y, x * exp(x + log(y)) / y**2]


def _unrelated():
    x, y = example.term("x", N), example.term("y", N, stated=example.POSITIVE)
    return [exp(x + log(y)) * y, exp(x - log(y)) / y, exp(x + log(y)) / x]


@rule.procedure(head="product", stage=("stable", "simple"), kind="reassociate", example=_weighted, counterexample=_unrelated)
def weight_leaves_exponent(node: Contract) -> Term | None:
    """e^(a + log y) / y = e^a: no underflow over a small y."""
    found = _weight_beside(node, "exp")
    if found is None:
        return None
    factor, z, times, y = found
    step = 1 if times > 0 else -1
    rest = [(f, e + step * (f is y)) for f, e in node.factors if f is not factor]
    return contract(node.bound, [*rest, (exp(add([(Fraction(1), z), (Fraction(-step), log(y))])), 1)])


def _shares():
    x, y = example.term("x", N), example.term("y", N, stated=example.POSITIVE)
    return [sigmoid(x + log(y)) / y, x * sigmoid(x + log(y)) / y]


def _no_shares():
    x, y = example.term("x", N), example.term("y", N, stated=example.POSITIVE)
    return [sigmoid(x + log(y)) * y, sigmoid(x - log(y)) / y, sigmoid(x + log(y)) / x]


@rule.procedure(head="product", stage="simple", kind="reassociate", example=_shares, counterexample=_no_shares)
def weight_leaves_sigmoid(node: Contract) -> Term | None:
    """sigmoid(a + log y) / y = 1 / (y + e^-a), or e^a sigmoid(-a - log y) for a < 0: no underflow over a small y."""
    found = _weight_beside(node, "sigmoid")
    if found is None or found[2] != 1:
        return None
    factor, z, _, y = found
    rest = [(f, e + (f is y)) for f, e in node.factors if f is not factor]
    a = add([(Fraction(1), z), (Fraction(-1), log(y))])
    small, is_above = exp(-absolute(a)), greater(a, 0)
    share = where(is_above, 1 / (y + small), small * sigmoid(-z))
    return contract(node.bound, [*rest, (share, 1)])
