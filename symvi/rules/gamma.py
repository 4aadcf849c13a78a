"""The gamma function: its logarithm, and differences of logarithms, which cancel where arguments are large."""

from __future__ import annotations

from fractions import Fraction

from symvi.atoms.elementwise import absolute, betaln, gamma, gammaln, gammaln_difference, log, log_product, log_ratio, softplus
from symvi.expr.build import add, scale, split_coefficient
from symvi.expr.dims import dim
from symvi.expr.facts import is_nonnegative, is_positive
from symvi.expr.nodes import Constant, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import arguments_of

N = dim("N")
MODERATE = example.Stated((0.05, 1e4))


@rule(stage="stable", kind="stabilise", when=is_positive)
def log_of_gamma(x):
    """log(Γ(x)) = log_gamma(x): Γ overflows at 172."""
    return log(gamma(x)), gammaln(x)


def _gammalns(node: Sum) -> list[tuple[Fraction, Term, Term]]:
    """(coefficient, operand, argument) of the operands that are logarithms of gamma functions."""
    found = [(c, t, arguments_of(t, "gammaln")) for c, t in node.terms]
    return [(c, t, arguments[0]) for c, t, arguments in found if arguments is not None]


def _replaced(node: Sum, taken: list[tuple[Fraction, Term]], replacement: Term) -> Term:
    return add([*node.terms, *((-c, t) for c, t in taken), (Fraction(1), replacement)])


def _rises(base: Term, step: Term) -> Term:
    """log |Γ(base + step) / Γ(base)|."""
    coefficient, _ = split_coefficient(step)
    if coefficient < 0 or (isinstance(step, Sum) and step.terms[0][0] < 0):
        return -_rises(add([(Fraction(1), base), (Fraction(1), step)]), -step)
    if isinstance(step, Constant) and step.value in (1, 2):
        x = base if is_nonnegative(base) else absolute(base)
        return log(x) if step.value == 1 else log_product(x, absolute(base + 1) if x is not base else base + 1)
    return gammaln_difference(base, step)


def _betas():
    a, b = example.term("a", N, stated=example.Stated((2e3, 1e4))), example.term("b", N, stated=example.Stated((0.05, 1e3)))
    binomial = gammaln(a + 1) - gammaln(b + 1) - gammaln(a - b + 1)
    return [gammaln(a) + gammaln(b) - gammaln(a + b), 2 * gammaln(a) - gammaln(2 * a) + b, 3 * binomial]


def _no_betas():
    a, b = example.term("a", N), example.term("b", N)
    return [gammaln(a) + gammaln(b) - gammaln(a - b), gammaln(a) + gammaln(b) - 2 * gammaln(a + b), gammaln(a) - gammaln(b)]


@rule.procedure(
    head="sum", stage="stable", kind="reassociate", example=_betas, counterexample=_no_betas, bounded=(0.05, 1e4), priority=7
)  # fmt: skip
def log_beta(node: Sum) -> Term | None:
    """log_gamma(a) + log_gamma(b) - log_gamma(a + b) = log_beta(a, b), also where a + b + m stands for a + b: no cancellation."""
    known = _gammalns(node)
    if len(known) < 2:
        return None
    for c, below, w in known:
        ups = [(t, u) for other, t, u in known if other / c <= -1 for _ in range(2 if other / c <= -2 else 1)]
        for position, (first, u) in enumerate(ups):
            for second, v in ups[position + 1 :]:
                step = add([(Fraction(1), u), (Fraction(1), v), (Fraction(-1), w)])
                if isinstance(step, Constant) and step.value in (-2, -1, 0, 1, 2):
                    rest = add([(-c, betaln(u, v)), (-c, _rises(w, step))]) if step.value else scale(-c, betaln(u, v))
                    return _replaced(node, [(-c, first), (-c, second), (c, below)], rest)
    return None


def _beta_steps():
    a, b = example.term("a", N, stated=MODERATE), example.term("b", N, stated=MODERATE)
    return [betaln(a, b) - betaln(a, b + 1), 2 * betaln(b + 1, a) - 2 * betaln(a, b) + b]


def _no_beta_steps():
    a, b = example.term("a", N), example.term("b", N)
    return [betaln(a, b) - betaln(a, b + 2), betaln(a, b) - betaln(a + 1, b + 1), betaln(a, b) + betaln(a, b + 1)]


@rule.procedure(
    head="sum", stage="stable", kind="reassociate", example=_beta_steps, counterexample=_no_beta_steps, bounded=(0.05, 1e4), priority=6
)  # fmt: skip
def log_beta_difference(node: Sum) -> Term | None:
    """log_beta(a, b) - log_beta(a, b + 1) = log(1 + a / b) = softplus(log(a / b)): both are large where a and b are."""
    known = [(c, t, arguments_of(t, "betaln")) for c, t in node.terms]
    known = [(c, t, arguments) for c, t, arguments in known if arguments is not None]
    for c, first, pair in known:
        for d, second, others in known:
            if c * d >= 0:
                continue
            for a, b in (pair, pair[::-1]):
                if {a, b + 1} == set(others) and is_positive(a) and is_positive(b):
                    amount = min(abs(c), abs(d)) * (1 if c > 0 else -1)
                    return _replaced(node, [(amount, first), (-amount, second)], scale(amount, softplus(log_ratio(a, b))))
    return None


def _rising():
    x, a = example.term("x", N, stated=MODERATE), example.term("a", N, stated=MODERATE)
    return [gammaln(x + 1) - gammaln(x), 2 * gammaln(x) - 2 * gammaln(x + a), gammaln(x + a) - gammaln(x) + a, gammaln(x - 1) - gammaln(x)]


def _apart():
    x, a, y = example.term("x", N), example.term("a", N), example.term("y", N)
    return [gammaln(x) - gammaln(a), gammaln(x + a) - gammaln(y), gammaln(x + a) + gammaln(x)]


@rule.procedure(
    head="sum", stage="stable", kind="reassociate", example=_rising, counterexample=_apart, bounded=(0.05, 1e4), priority=6
)  # fmt: skip
def log_gamma_difference(node: Sum) -> Term | None:
    """log_gamma(x + a) - log_gamma(x) = log_gamma_difference(x, a), log(x) for a = 1: both are large where x is."""
    known = _gammalns(node)
    for position, (c, first, u) in enumerate(known):
        for d, second, w in known[position + 1 :]:
            if c * d > 0:
                continue
            step = add([(Fraction(1), u), (Fraction(-1), w)])
            if _operands(step) < _operands(u) + _operands(w):
                amount = min(abs(c), abs(d)) * (1 if c > 0 else -1)
                base, difference = (w, step) if _operands(w) <= _operands(u) else (u, -step)
                risen = _rises(base, difference)
                return _replaced(node, [(amount, first), (-amount, second)], scale(amount, risen if base is w else -risen))
    return None


def _operands(term: Term) -> int:
    return len(term.children) if isinstance(term, Sum) else 1
