"""Logarithms of sums of exponentials, and what is divided by such sums."""

from fractions import Fraction

from symvi.atoms.elementwise import exp, log, logaddexp, sigmoid
from symvi.expr.build import add, contract, multiply, reduce, size
from symvi.expr.dims import dim
from symvi.expr.nodes import Contract, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.variables import Index, Indexed
from symvi.rewrite.views import arguments_of, opened_sum
from symvi.rules.closed_logs import closed_log, log_of_summands, logsumexp_of

K, N = dim("K"), dim("N")
MODERATE = example.Stated((0.05, 20.0))  # the rounding of log w costs |log w| ulp where the sum is near 1


@rule(stage="stable", kind="stabilise")
def log_sum_exp(x: Indexed, k: Index):
    """log Σ e^x = logsumexp(x): no overflow, derivative softmax."""
    return log(contract([k], [(exp(x[k]), 1)])), reduce("logsumexp", [k], x[k])


@rule(stage="stable", kind="reassociate")
def log_add_exp(a, b):
    """log(e^a + e^b) = logaddexp(a, b): no overflow."""
    return log(exp(a) + exp(b)), logaddexp(a, b)


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
    return [exp(x) / plain, w * exp(x) / weighted, exp(x) / (1 + exp(2 * x) + exp(3 * x))]


def _no_softmax():
    x, y = example.term("x", N, K), example.term("y", N, K)
    k = next(label for label in x.labels if label.dim == K)
    return [exp(x) / contract([k], [(y, 1)]), y / contract([k], [(exp(x), 1)]), exp(x) / (1 + y)]


@rule.procedure(
    head="product", stage="stable", kind="reassociate", example=_softmax, counterexample=_no_softmax, bounded=(1e-3, 4.0), priority=4
)  # fmt: skip
def softmax(node: Contract) -> Term | None:
    """e^a / Σ e^x = e^(a - logsumexp(x)): no infinity over infinity; a large a costs |a| ulp."""
    tops = [(f, e) for f, e in node.factors if e > 0 and arguments_of(f, "exp") is not None]
    if not tops:
        return None
    for below, power in node.factors:
        found = closed_log(below) if power < 0 and (logsumexp_of(below) is not None or log_of_summands(below) is not None) else None
        if found is None:
            continue
        top, exponent = tops[0]
        times = min(exponent, -power)
        weights = _weights_above(node, below, times)
        logit = add([(Fraction(1), arguments_of(top, "exp")[0]), *((Fraction(e), log(f)) for f, e in weights)])
        taken = {top: times, below: -times, **{f: e * times for f, e in weights}}
        rest = [(f, e - taken.get(f, 0)) for f, e in node.factors]
        return contract(node.bound, [(exp(logit - found[1]), times), *rest])
    return None


def _weights_above(node: Contract, below: Term, times: int) -> list[tuple[Term, int]]:
    """The weights of the sum that also stand above it: taken into the exponent, so that they round alike on both sides."""
    opened = opened_sum(below)
    weights = [(f, e) for f, e in opened[1] if arguments_of(f, "exp") is None] if opened is not None else []
    above = dict(node.factors)
    return weights if all(e > 0 and above.get(f, 0) >= e * times for f, e in weights) else []


def _mean():
    x = example.term("x", N)
    return log(multiply([(contract(x.labels, [(exp(x), 1)]), 1), (size(N), -1)]))


log_mean_exp_example = _mean
