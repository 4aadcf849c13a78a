"""Covariance functions: which functions of two rows are positive semidefinite (Schoenberg 1938; Rasmussen and Williams 2006, ch. 4).

A function ψ is *conditionally negative* when Σ c_i c_j ψ(i, j) <= 0 for all c that sum to 0: squared distances are, and so are
their roots and logarithms. e^-ψ and (c + ψ)^-a are then positive semidefinite.
"""

from __future__ import annotations

from fractions import Fraction

from symvi.expr.build import add, contract, multiply, one, rename, scale, split_coefficient
from symvi.expr.facts.questions import definite, interval, is_nonnegative, is_positive
from symvi.expr.facts.views import argument_of, opened_view
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Constant, Contract, Read, Sum, Tensor, Term

__all__ = ["is_kernel", "is_reciprocal", "is_conditionally_negative", "without_matern"]

Factors = list[tuple[Term, int]]
POWER_SERIES = ("exp", "expm1", "sinh", "cosh", "arcsin")  # their coefficients are not negative: Schur products of a psd argument
SPARE = Fraction(1, 10**12)  # for coefficients that are rounded: 5 / 3 against the square of sqrt(5) in float64


def is_kernel(term: Apply, i: Label, j: Label) -> bool:
    """Is the function of a pair of rows positive semidefinite?"""
    name, arguments = term.function.name, term.children
    if name == "exp" and is_conditionally_negative(-arguments[0], i, j):
        return True
    if name in POWER_SERIES:
        return definite(arguments[0], i, j) is not None
    if name == "cos":
        return _is_difference(arguments[0], i, j)
    if name == "power":
        base, exponent = arguments
        return not {i, j} & exponent.labels and interval(exponent)[1] <= 0 and is_reciprocal(base, i, j)
    if name in ("minimum", "equal"):  # Brownian motion; one level for each group
        left, right = arguments
        twins = j not in left.labels and rename(left, {i: j, j: i}) is right
        return twins and (name == "equal" or is_nonnegative(left))
    if name == "where":
        condition, yes, no = arguments
        nothing = isinstance(no, Constant) and no.value == 0
        return nothing and not {i, j} & yes.labels and is_nonnegative(yes) and definite(condition, i, j) is not None
    return name == "as_float" and definite(arguments[0], i, j) is not None


def is_reciprocal(base: Term, i: Label, j: Label) -> bool:
    """Are the negative powers of the base positive semidefinite: c + ψ with ψ conditionally negative, positive on the diagonal?"""
    if isinstance(base, Apply) and base.function.name == "sqrt":
        base = base.children[0]
    return is_conditionally_negative(base, i, j) and is_positive(_on_diagonal(base, i, j))


# ---------------------------------------------------------------------------------------------------------------- distances
def _is_distance(term: Term, i: Label, j: Label) -> bool:
    """Conditionally negative and nowhere negative: what is not negative on the diagonal is not negative elsewhere."""
    return is_conditionally_negative(term, i, j) and is_nonnegative(_on_diagonal(term, i, j))


def _on_diagonal(term: Term, i: Label, j: Label) -> Term:
    """term[i, i], with sums of products opened so that |x|² + |x|² - 2 x'x is 0."""
    if isinstance(term, Sum):
        return add([(c, _on_diagonal(part, i, j)) for c, part in term.terms])
    heavy = term.array.term if isinstance(term, Read) and isinstance(term.array, Tensor) else term
    if not isinstance(heavy, Contract) or not heavy.bound:
        return rename(term, {j: i})
    top = 1 + max(label.number for label in (*heavy.labels, *heavy.bound, i))
    mapping = {label: Label(label.dim, top + label.number) for label in heavy.bound}
    bound = list(mapping.values())
    if heavy is not term:
        mapping.update(zip(term.array.axes, term.indices, strict=True))
    return contract(bound, [(rename(rename(base, mapping), {j: i}), exponent) for base, exponent in heavy.factors])


def is_conditionally_negative(term: Term, i: Label, j: Label) -> bool:
    if i not in term.labels and j not in term.labels:
        return True
    if not {i, j} <= term.labels:  # a label that is not free here may be bound inside
        return False
    if isinstance(term, Sum):
        return _sum_is_conditionally_negative(term, i, j)
    if isinstance(term, Read) and isinstance(term.array, Tensor):
        axes = opened_view(term, i, j)
        return axes is not None and is_conditionally_negative(term.array.term, *(term.array.axes[p] for p in axes))
    if isinstance(term, Contract):
        return _product_is_conditionally_negative(term, i, j)
    if not isinstance(term, Apply):
        return False
    name = term.function.name
    if name == "absolute":
        return _is_difference(term.children[0], i, j)
    if name in ("sqrt", "log1p"):
        return _is_distance(term.children[0], i, j)
    if name == "log":
        return is_reciprocal(term.children[0], i, j)
    if name == "power":
        base, exponent = term.children
        lo, hi = interval(exponent)
        return not {i, j} & exponent.labels and lo >= 0 and hi <= 1 and _is_distance(base, i, j)
    return False


def _sum_is_conditionally_negative(term: Sum, i: Label, j: Label) -> bool:
    """ψ1 + ψ2, f(i) + f(j), minus positive semidefinite terms."""
    rows, columns = [], []
    for coefficient, part in term.terms:
        if i in part.labels and j in part.labels:
            opposite = is_conditionally_negative(part, i, j) if coefficient > 0 else definite(part, i, j) is not None
            if not opposite:
                return False
        elif i in part.labels:
            rows.append((coefficient, part))
        elif j in part.labels:
            columns.append((coefficient, part))
    return rename(add(rows), {i: j}) is add(columns)


def _product_is_conditionally_negative(term: Contract, i: Label, j: Label) -> bool:
    """Weights that are not negative times (f(i) - f(j))^2, sin(f(i) - f(j))^2 or another such function."""
    distances = 0
    for base, exponent in term.factors:
        if i not in base.labels and j not in base.labels:
            if exponent % 2 and not is_nonnegative(base):
                return False
        elif exponent == 2 and _is_difference(argument_of(base, "sin") or base, i, j):
            distances += 1
        elif exponent == 1 and is_conditionally_negative(base, i, j):
            distances += 1
        else:
            return False
    return distances == 1


def _is_difference(term: Term, i: Label, j: Label) -> bool:
    """w (f(i) - f(j)), w free of both; also seen through views."""
    _, term = split_coefficient(term)
    if not {i, j} <= term.labels:
        return False
    if isinstance(term, Read) and isinstance(term.array, Tensor):
        axes = opened_view(term, i, j)
        return axes is not None and _is_difference(term.array.term, *(term.array.axes[p] for p in axes))
    if isinstance(term, Contract):
        both = [(base, e) for base, e in term.factors if {i, j} & base.labels]
        return len(both) == 1 and both[0][1] == 1 and _is_difference(both[0][0], i, j)
    if not isinstance(term, Sum):
        return False
    rows = [(c, part) for c, part in term.terms if i in part.labels and j not in part.labels]
    columns = [(-c, part) for c, part in term.terms if j in part.labels and i not in part.labels]
    return len(rows) + len(columns) == len(term.terms) and rename(add(rows), {i: j}) is add(columns)


# ------------------------------------------------------------------------------------------------------------------- Matérn
def without_matern(factors: Factors, i: Label, j: Label) -> Factors:
    """The factors without pairs (b0 + b1 u + b2 u²) e^-u that are Matérn covariances, or mixtures of such."""
    for base, exponent in factors:
        if exponent != 1 or not isinstance(base, Sum):
            continue
        for other, power in factors:
            argument = argument_of(other, "exp")
            if power == 1 and argument is not None and _is_matern(base, -argument, i, j):
                return [pair for pair in factors if pair[0] not in (base, other)]
    return factors


def _is_matern(polynomial: Sum, u: Term, i: Label, j: Label) -> bool:
    """(1 + u) e^-u and (1 + u + u²/3) e^-u are Gaussians of mixed widths in the distance u; so is every mixture of them with e^-u."""
    square = multiply([(u, 2)])
    if not _is_distance(square, i, j) or not is_nonnegative(u):
        return False
    (first, linear), (second, quadratic) = split_coefficient(u), split_coefficient(square)
    found = {one: Fraction(0), linear: Fraction(0), quadratic: Fraction(0)}
    for coefficient, part in polynomial.terms:
        number, part = split_coefficient(scale(coefficient, part))
        if part not in found:
            return False
        found[part] += number
    b0, b1, b2 = found[one], found[linear] / first, found[quadratic] / second
    slack = SPARE * max(b0, b1, b2)
    return 0 <= b1 <= b0 + slack and 0 <= b2 <= b1 / 3 + slack
