"""Logarithms of sums of exponentials, and what is divided by such sums."""

from fractions import Fraction

from symvi.atoms.elementwise import absolute, exp, expm1, less, log, log1p, logaddexp, sigmoid, softplus, where
from symvi.expr.build import add, constant, contract, multiply, reduce, size, split_coefficient, surrogate
from symvi.expr.dims import dim
from symvi.expr.nodes import Constant, Contract, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.variables import Index, Indexed
from symvi.rewrite.views import arguments_of, opened_sum
from symvi.rules.closed_logs import closed_log, log_of_summands, logsumexp_of

K, N = dim("K"), dim("N")
INFINITY = constant(float("inf"))
MODERATE = example.Stated((0.05, 20.0))  # the rounding of log w costs |log w| ulp where the sum is near 1


@rule(stage="stable", kind="stabilise")
def log_sum_exp(x: Indexed, k: Index):
    """log Σ e^x = logsumexp(x): no overflow, derivative softmax."""
    return log(contract([k], [(exp(x[k]), 1)])), reduce("logsumexp", [k], x[k])


@rule(stage="stable", kind="reassociate")
def log_add_exp(a, b):
    """log(e^a + e^b) = logaddexp(a, b): no overflow."""
    return log(exp(a) + exp(b)), logaddexp(a, b)


def _log_shares():
    x, y, z = (example.term(name, N) for name in "xyz")
    return [x - logaddexp(x, y), 2 * logaddexp(x + z, y) - 2 * x - 2 * z, 1 + x - logaddexp(1 + x, y)]


def _no_log_shares():
    x, y, z = (example.term(name, N) for name in "xyz")
    return [x + logaddexp(x, y), z - logaddexp(x, y), x - 2 * logaddexp(x, y)]


@rule.procedure(head="sum", stage="stable", kind="stabilise", example=_log_shares, counterexample=_no_log_shares)
def log_share(node: Sum) -> Term | None:
    """logaddexp(a, b) - a = softplus(b - a): no cancellation where a is the larger."""
    terms = dict((term, c) for c, term in node.terms)
    for c, term in node.terms:
        for a, b in _both_ways(arguments_of(term, "logaddexp")):
            parts = {t: -c * d for d, t in (a.terms if isinstance(a, Sum) else ((Fraction(1), a),))}
            if parts.items() <= terms.items():
                rest = [(d, t) for d, t in node.terms if t is not term and t not in parts]
                return add([(c, softplus(b - a)), *rest])
    return None


def _both_ways(pair: tuple[Term, Term] | None) -> list[tuple[Term, Term]]:
    return [pair, pair[::-1]] if pair is not None else []


@rule(stage="stable", kind="reassociate")
def two_class_softmax(a, b):
    """e^a / (e^a + e^b) = sigmoid(a - b): no infinity over infinity."""
    return exp(a) / (exp(a) + exp(b)), sigmoid(a - b)


def _weighted():
    x, w = example.term("x", N, K), example.term("w", K, stated=MODERATE)
    (k,) = w.labels
    return log(contract([k], [(w, 1), (exp(x), 1)]))


def _signed():
    x, w = example.term("x", N, K), example.term("w", K)
    (k,) = w.labels
    return log(contract([k], [(w, 1), (exp(x), 1)]))


@rule.procedure(head="log", stage="stable", kind="reassociate", example=_weighted, counterexample=_signed, priority=3)
def log_weighted_sum_exp(node: Term) -> Term | None:
    """log Σ w e^x = logsumexp(x + log w), for w > 0."""
    return logsumexp_of(node.children[0])


def _equal_weights():
    x = example.term("x", N, K)
    (k,) = (label for label in x.labels if label.dim == K)
    return log(contract([k], [(exp(x), 1)]) / size(K))


def _other_weights():
    x, w = example.term("x", N, K), example.term("w", K, stated=MODERATE)
    (k,) = w.labels
    return [log(contract([k], [(exp(x), 1)]) / 3), log(contract([k], [(exp(x), 1), (w, 1)]) / size(K))]


@rule.procedure(head="log", stage="stable", kind="reassociate", example=_equal_weights, counterexample=_other_weights, priority=9)
def log_mean_exp(node: Term) -> Term | None:
    """log(Σ e^x / n) = m + log1p(Σ expm1(x - m) / n), m = max(x): it vanishes with x, and so does its rounding. Derivative softmax."""
    coefficient, operand = split_coefficient(node.children[0])
    factors = operand.factors if isinstance(operand, Contract) and not operand.bound else ((operand, 1),)
    for total, power in factors:
        opened = opened_sum(total, node.labels) if power == 1 else None
        exponents = [(f, e, arguments_of(f, "exp")) for f, e in opened[1]] if opened is not None else []
        if not exponents or any(x is None for _, _, x in exponents):
            continue
        outer = [(f, e) for f, e in factors if f is not total]
        weights = contract(opened[0], [*outer, (constant(coefficient), 1)])
        if not isinstance(weights, Constant) or weights.value != 1:
            continue
        x = add([(Fraction(e), x[0]) for _, e, x in exponents])
        top = reduce("max", opened[0], x)
        shift = where(less(absolute(top), INFINITY), top, 0.0)
        mean = contract(opened[0], [*outer, (constant(coefficient), 1), (expm1(x - shift), 1)])
        share = log(multiply([*outer, (constant(coefficient), 1)]))
        return surrogate(top + log1p(mean), reduce("logsumexp", opened[0], x) + share)
    return None


def _summands():
    x, y = example.term("x", N), example.term("y", N)
    w = example.term("w", stated=example.POSITIVE)
    return [log(1 + exp(x) + exp(y)), log(w + exp(x)), log(1 + w * exp(x)), log(exp(x) / 3 + w * exp(y) + 2)]


def _signed_summands():
    x, w = example.term("x", N), example.term("w")
    return [log(w + exp(x)), log(2 - exp(x)), log(3 + w * w)]


@rule.procedure(head="log", stage="stable", kind="reassociate", example=_summands, counterexample=_signed_summands, priority=5.5)
def log_of_added_exponentials(node: Term) -> Term | None:
    """log(w e^a + v e^b + c) = logaddexp(log(w) + a, log(v) + b, log(c)), all operands positive: no overflow."""
    return log_of_summands(node.children[0])


def _softmax():
    x = example.term("x", N, K)
    w = example.term("w", K, stated=MODERATE)
    (k,) = w.labels
    plain, weighted = contract([k], [(exp(x), 1)]), contract([k], [(exp(x), 1), (w, 1)])
    mean = contract([k], [(exp(x), 1), (example.term("y", N, K, stated=example.Stated((-20.0, 20.0))), 1)])
    return [exp(x) / plain, w * exp(x) / weighted, exp(x) / (1 + exp(2 * x) + exp(3 * x)), mean / plain]


def _no_softmax():
    x, y = example.term("x", N, K), example.term("y", N, K)
    k = next(label for label in x.labels if label.dim == K)
    return [exp(x) / contract([k], [(y, 1)]), y / contract([k], [(exp(x), 1)]), exp(x) / (1 + y)]


@rule.procedure(
    head="product", stage="stable", kind="reassociate", example=_softmax, counterexample=_no_softmax, bounded=(1e-3, 4.0), priority=4
)  # fmt: skip
def softmax(node: Contract) -> Term | None:
    """e^a / Σ e^x = e^(a - logsumexp(x)), also for e^a in a sum over labels: no infinity over infinity; a large a costs |a| ulp."""
    for below, power in node.factors:
        found = closed_log(below) if power < 0 and (logsumexp_of(below) is not None or log_of_summands(below) is not None) else None
        if found is None:
            continue
        share = _share(node, below, power, found[1])
        if share is not None:
            return share
        for total, exponent in node.factors:
            inner = opened_sum(total, (*node.labels, *node.bound)) if exponent == 1 and power == -1 else None
            quotient = contract((), [*inner[1], (below, -1)]) if inner is not None else None
            share = _share(quotient, below, -1, found[1]) if isinstance(quotient, Contract) else None
            if share is not None:
                rest = [(f, e) for f, e in node.factors if f is not total and f is not below]
                return contract(node.bound, [*rest, (contract(inner[0], [(share, 1)]), 1)])
    return None


def _share(node: Contract, below: Term, power: int, log_below: Term) -> Term | None:
    """The product with e^a / below as one exponential."""
    tops = [(f, e) for f, e in node.factors if e > 0 and arguments_of(f, "exp") is not None]
    if not tops:
        return None
    top, exponent = tops[0]
    times = min(exponent, -power)
    weights = _weights_above(node, below, times)
    logit = add([(Fraction(1), arguments_of(top, "exp")[0]), *((Fraction(e), log(f)) for f, e in weights)])
    taken = {top: times, below: -times, **{f: e * times for f, e in weights}}
    rest = [(f, e - taken.get(f, 0)) for f, e in node.factors]
    return contract(node.bound, [(exp(logit - log_below), times), *rest])


def _weights_above(node: Contract, below: Term, times: int) -> list[tuple[Term, int]]:
    """The weights of the sum that also stand above it: taken into the exponent, so that they round alike on both sides."""
    opened = opened_sum(below)
    weights = [(f, e) for f, e in opened[1] if arguments_of(f, "exp") is None] if opened is not None else []
    above = dict(node.factors)
    return weights if all(e > 0 and above.get(f, 0) >= e * times for f, e in weights) else []
