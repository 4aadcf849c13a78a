"""Differences that lose their digits: roots near one, cosines near one, moments about zero."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from symvi.atoms.elementwise import cos, cosh, cosm1, deviation, sech, sin, sinh, sqrt, sqrt1pm1, tanh
from symvi.expr.build import add, constant, contract, multiply, rename, scale, size, split_coefficient
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Constant, Contract, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import arguments_of, opened_sum

K, N = dim("K"), dim("N")


@rule(stage=("stable", "simple"), kind="stabilise", partial=False)
def root_minus_one(x):
    """sqrt(1 + x) - 1 = sqrt1pm1(x): no cancellation where x is small."""
    return sqrt(1 + x) - 1, sqrt1pm1(x)


def _roots():
    x, y = example.term("x", N), example.term("y", N)
    return [sqrt(4 + x) - 2, 3 - sqrt(9 - x * y)]


def _other_roots():
    x = example.term("x", N)
    return [sqrt(4 + x) - 3, sqrt(4 + x) + 2, sqrt(x) - 2, sqrt(2 + x) - 2]


@rule.procedure(head="sum", stage="stable", kind="stabilise", example=_roots, counterexample=_other_roots)
def root_minus_its_constant(node: Sum) -> Term | None:
    """sqrt(c^2 + x) - c = c sqrt1pm1(x / c^2) for a number c > 0: no cancellation where x is small."""
    if len(node.terms) != 2 or not isinstance(node.terms[0][1], Constant) and not isinstance(node.terms[1][1], Constant):
        return None
    (a, offset), (b, root) = sorted(node.terms, key=lambda item: not isinstance(item[1], Constant))
    arguments = arguments_of(root, "sqrt")
    if arguments is None or not isinstance(arguments[0], Sum) or not isinstance(offset.value, Fraction):
        return None
    c = -a * offset.value / b
    inside = add([(Fraction(1), arguments[0]), (-(c**2), constant(1))])
    if c <= 0 or len(inside.children if isinstance(inside, Sum) else ()) >= len(arguments[0].children):
        return None
    if isinstance(inside, Sum) and any(isinstance(t, Constant) for t in inside.children):
        return None
    return scale(b * c, sqrt1pm1(scale(1 / c**2, inside)))


@rule(stage=("stable", "simple"), kind="stabilise", partial=False)
def cosine_minus_one(x):
    """cos(x) - 1 = cosm1(x) = -2 sin(x / 2)^2: no cancellation where x is small."""
    return cos(x) - 1, cosm1(x)


@rule(stage=("stable", "simple"), kind="stabilise")
def squares_of_sine_and_cosine(x):
    """sin(x)^2 + cos(x)^2 = 1."""
    return sin(x) ** 2 + cos(x) ** 2, constant(1)


@rule(stage=("stable", "simple"), kind="stabilise")
def squares_of_hyperbolic_functions(x):
    """cosh(x)^2 - sinh(x)^2 = 1: no infinity minus infinity."""
    return cosh(x) ** 2 - sinh(x) ** 2, constant(1)


@rule(stage=("stable", "simple"), kind="stabilise", partial=False)
def one_minus_square_of_tanh(x):
    """1 - tanh(x)^2 = sech(x)^2: no cancellation where tanh(x) is near 1."""
    return 1 - tanh(x) ** 2, sech(x) ** 2


@rule(stage="stable", kind="stabilise")
def reciprocal_of_cosh(x):
    """1 / cosh(x) = sech(x): no overflow."""
    return 1 / cosh(x), sech(x)


@rule(stage=("stable", "simple"), kind="stabilise", partial=False)
def one_minus_square_of_sine(x):
    """1 - sin(x)^2 = cos(x)^2: no cancellation where cos(x) is small."""
    return 1 - sin(x) ** 2, cos(x) ** 2


@rule(stage=("stable", "simple"), kind="stabilise", partial=False)
def one_minus_square_of_cosine(x):
    """1 - cos(x)^2 = sin(x)^2: no cancellation where x is small."""
    return 1 - cos(x) ** 2, sin(x) ** 2


# --------------------------------------------------------------------------------------------------------------- moments
def _mean(term: Term, labels) -> Term:
    return multiply([(contract(labels, [(term, 1)]), 1), *((size(label.dim), -1) for label in labels)])


def _moments():
    x, y = example.term("x", N, K), example.term("y", N, K)
    k = [label for label in x.labels if label.dim == K]
    z = contract(k, [(x * y, 1)])
    return [_mean(x * x, k) - _mean(x, k) ** 2, 2 * contract(k, [(x, 2), (y, 2)]) - 2 * z**2 / size(K) + y]


def _no_moments():
    x, y = example.term("x", N, K), example.term("y", N, K)
    k = [label for label in x.labels if label.dim == K]
    return [_mean(x * x, k) - _mean(y, k) ** 2, _mean(x * x, k) - 2 * _mean(x, k) ** 2, _mean(x * x, k) + _mean(x, k) ** 2]


def _product(coefficient: Fraction, term: Term) -> tuple[Fraction, dict[Term, int]]:
    inner, operand = split_coefficient(term)
    factors = operand.factors if isinstance(operand, Contract) and not operand.bound else ((operand, 1),)
    return coefficient * inner, dict(factors)


@rule.procedure(head="sum", stage="stable", kind="reassociate", example=_moments, counterexample=_no_moments, priority=9)
def central_moment(node: Sum) -> Term | None:
    """E[x^2] - E[x]^2 = E[(x - E[x])^2]: no cancellation where the mean is large."""
    for square, (c, term) in enumerate(node.terms):
        coefficient, factors = _product(c, term)
        for factor, exponent in factors.items():
            opened = opened_sum(factor, term.labels) if exponent >= 2 else None
            if opened is None:
                continue
            labels, x = opened[0], multiply(opened[1])
            joint = _joint(node, square, labels, x * x, coefficient, {**factors, factor: exponent - 2})
            if joint is not None:
                return _with_central(node, square, joint, labels, x)
    return None


def _joint(node: Sum, square: int, labels: tuple[Label, ...], body: Term, c: Fraction, rest: dict[Term, int]) -> int | None:
    """The position of the operand that is -c rest n Σ body, n the number of summands."""
    wanted = multiply([(constant(-c), 1), (contract(labels, [(body, 1)]), 1), *((size(label.dim), 1) for label in labels), *rest.items()])
    return next((k for k, (d, t) in enumerate(node.terms) if k != square and scale(d, t) is wanted), None)


def _with_central(node: Sum, square: int, joint: int, labels: tuple[Label, ...], x: Term) -> Term:
    factor = multiply([(scale(*node.terms[joint]), 1), (contract(labels, [(x, 2)]), -1)])
    x, _ = _varying(x, labels)
    central = contract(labels, [(deviation(x, _mean(x, labels)), 2)])
    others = [item for position, item in enumerate(node.terms) if position not in (square, joint)]
    return add([*others, (Fraction(1), factor * central)])


def _varying(x: Term, labels: Sequence[Label]) -> tuple[Term, Term]:
    """x as the sum of what varies along the labels and of what does not, which deviations from the mean do not see."""
    terms = x.terms if isinstance(x, Sum) else ((Fraction(1), x),)
    varying = add([(c, t) for c, t in terms if not t.labels.isdisjoint(labels)])
    return varying, x - varying


def _centred():
    x, y = example.term("x", N, K), example.term("y", N, K)
    k = [label for label in x.labels if label.dim == K]
    return [x - _mean(x, k), 3 * _mean(x * y, k) - 3 * x * y + y, 1 - x - _mean(1 - x, k), 2 * x + y - _mean(2 * x + y + 1, k)]


def _not_centred():
    x, y = example.term("x", N, K), example.term("y", N, K)
    k = [label for label in x.labels if label.dim == K]
    return [x - _mean(y, k), x - 2 * _mean(x, k), x - contract(k, [(x, 1)]), x + _mean(x, k)]


@rule.procedure(head="sum", stage="stable", kind="reassociate", example=_centred, counterexample=_not_centred, priority=3)
def deviation_from_mean(node: Sum) -> Term | None:
    """x - E[x] = deviation(x, E[x]): a sum around it, as its gradient is, may be reordered, but not across this difference."""
    for mean, (c, term) in enumerate(node.terms):
        coefficient, factors = _product(c, term)
        for factor, exponent in factors.items():
            opened = opened_sum(factor, node.labels) if exponent == 1 else None
            if opened is None or len(opened[0]) != 1:
                continue
            (label,) = opened[0]
            body, same = _varying(multiply(opened[1]), opened[0])
            amount = multiply([(constant(coefficient), 1), (size(label.dim), 1), *((f, e) for f, e in factors.items() if f is not factor)])
            found = _at_its_mean(node, mean, amount, label, body) if isinstance(amount, Constant) else None
            if found is not None:
                positions, x = found
                others = [item for position, item in enumerate(node.terms) if position != mean and position not in positions]
                return add([*others, (amount.value, same), (-amount.value, deviation(x, _mean(body, opened[0])))])
    return None


def _at_its_mean(node: Sum, mean: int, amount: Constant, label: Label, body: Term) -> tuple[list[int], Term] | None:
    """The positions of the operands that are -amount times the body, at a label of the node, and the body there."""
    parts = body.terms if isinstance(body, Sum) else ((Fraction(1), body),)
    for other in (label_ for label_ in node.labels if label_.dim == label.dim):
        wanted = [(-amount.value * c, rename(t, {label: other})) for c, t in parts]
        positions = [k for k, (a, x) in enumerate(node.terms) if k != mean and any(a == c and x is t for c, t in wanted)]
        if len(positions) == len(wanted):
            return positions, rename(body, {label: other})
    return None
