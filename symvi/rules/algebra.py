"""Exact simplifications of what differentiation leaves: exponentials that cancel, complements."""

from __future__ import annotations

from fractions import Fraction

from symvi.atoms.elementwise import absolute, cosh, exp, sigmoid, sinh, tanh
from symvi.atoms.scalar_function import TABLE
from symvi.expr.build import add, constant, contract
from symvi.expr.dims import dim
from symvi.expr.nodes import Apply, Constant, Contract, Sum, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import arguments_of, leads_with_minus

N = dim("N")


@rule(stage="simple", kind="stabilise")
def sigmoid_and_complement(x):
    """sigmoid(x) + sigmoid(-x) = 1."""
    return sigmoid(x) + sigmoid(-x), constant(1)


def _reflected():
    x, y = example.term("x", N), example.term("y", N)
    return [sinh(-x), 3 * cosh(-2 * x), tanh(-x - y), absolute(-x)]


def _not_reflected():
    x, y = example.term("x", N), example.term("y", N)
    return [sinh(x), cosh(x + y), exp(-x), sigmoid(-x)]


@rule.procedure(
    head=tuple(name for name, function in TABLE.items() if function.parity), stage=("stable", "simple"), kind="exact", example=_reflected,
    counterexample=_not_reflected, priority=9,
)  # fmt: skip
def parity(node: Apply) -> Term | None:
    """f(-x) = f(x) for even functions, f(-x) = -f(x) for odd ones: one way to write what other rules look for."""
    (x,) = node.children
    return node.function.parity * node.function(-x) if leads_with_minus(x) else None


def _cancelling():
    x, y = example.term("x", N), example.term("y", N)
    inside = contract(x.labels, [(exp(x + 2), 1), (exp(-x), 1), (y, 1)])
    return [exp(x) * exp(-x), y * exp(x) ** 2 * exp(-2 * x), exp(x - y) * exp(y), inside]


def _staying():
    x, y = example.term("x", N), example.term("y", N)
    return [exp(x) * exp(y), exp(x) ** 2, exp(x) * exp(x * y)]


@rule.procedure(head="product", stage="simple", kind="stabilise", example=_cancelling, counterexample=_staying)
def exponentials_cancel(node: Contract) -> Term | None:
    """e^a e^b = e^(a + b), where a + b loses terms: e^x e^-x = 1."""
    exponentials = [(f, e, arguments_of(f, "exp")) for f, e in node.factors]
    exponentials = [(f, e, arguments[0]) for f, e, arguments in exponentials if arguments is not None]
    for position, (first, m, a) in enumerate(exponentials):
        for second, n, b in exponentials[position + 1 :]:
            total = add([(Fraction(m), a), (Fraction(n), b)])
            fewer = _operands(total) < min(_operands(a), _operands(b)) or _operands(total) == 1 < max(_operands(a), _operands(b))
            if fewer or isinstance(total, Constant):
                rest = [(f, e) for f, e in node.factors if f is not first and f is not second]
                return contract(node.bound, [*rest, (exp(total), 1)])
    return None


def _operands(term: Term) -> int:
    return len(term.children) if isinstance(term, Sum) else 1


def _factorable():
    x, y, z = (example.term(name, N) for name in "xyz")
    return [x * y + x * z, 2 * x * y - 3 * x * z, x * y * z - 2 * x * z * (y + 1)]


def _nothing_common():
    x, y, z = (example.term(name, N) for name in "xyz")
    return [x * y + z, x * y + z**2, x * y + x, x * y**2 + x * z**2, x * y + 1 / x]


@rule.procedure(
    head="sum", stage="stable", kind="reassociate", example=_factorable, counterexample=_nothing_common, bounded=(1e-3, 1e4), priority=2
)  # fmt: skip
def common_factor(node: Sum) -> Term | None:
    """x y + x z = x (y + z), where that saves multiplications: fewer roundings before y + z cancels."""
    products = []
    for _, term in node.terms:
        if not isinstance(term, Contract) or term.bound:
            return None
        products.append(dict(term.factors))
    common = _common(products)
    if not common or len(products) < 2:
        return None
    rests = [{f: e - common.get(f, 0) for f, e in product.items() if e != common.get(f, 0)} for product in products]
    before = sum(_degree(product) for product in products)
    kept = sum(_degree(rest) for rest in rests if _degree(rest) > 1)
    if _degree(common) + 1 + kept >= before:
        return None
    inside = add([(c, contract((), rest.items())) for (c, _), rest in zip(node.terms, rests, strict=True)])
    return contract((), [*common.items(), (inside, 1)])


def _common(products: list[dict[Term, int]]) -> dict[Term, int]:
    """The factors that all products have, with the least of their exponents, as far as these are of one sign."""
    first, *others = products
    common = {}
    for factor, exponent in first.items():
        exponents = [exponent, *(other.get(factor, 0) for other in others)]
        if all(e > 0 for e in exponents) or all(e < 0 for e in exponents):
            common[factor] = min(exponents, key=abs)
    return common


def _degree(factors: dict[Term, int]) -> int:
    return sum(map(abs, factors.values()))
