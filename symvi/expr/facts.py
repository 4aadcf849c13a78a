"""What is known about values without evaluating them: intervals of terms, definiteness and triangularity of matrices.

Facts propagate by rule from the leaves and can be asserted by `sv.assume`. They license rewrites (the Cholesky factor
for the inverse of a positive definite matrix) and remove run-time checks.
"""

from __future__ import annotations

from math import inf
from weakref import WeakKeyDictionary

import numpy as np

from symvi.expr.build import multiply, rename
from symvi.expr.labels import Label
from symvi.expr.nodes import (
    Apply,
    Array,
    Constant,
    Contract,
    Delta,
    Input,
    Iota,
    NamedConstant,
    Node,
    Operator,
    Read,
    Reduce,
    Size,
    Sum,
    Surrogate,
    Tensor,
    Term,
    live_nodes,
    postorder,
)

__all__ = ["interval", "is_positive", "is_nonnegative", "matrix_facts", "assert_fact", "asserted", "MATRIX_FACTS"]

MATRIX_FACTS = ("symmetric", "psd", "spd", "lower", "diagonal")
_IMPLIED = {"spd": {"psd", "symmetric"}, "psd": {"symmetric"}, "diagonal": {"symmetric", "lower"}}
_asserted: WeakKeyDictionary = WeakKeyDictionary()

Interval = tuple[float, float]
EVERYTHING: Interval = (-inf, inf)
TINY = 5e-324  # as a lower bound: positive


def assert_fact(array: Node, fact: str) -> None:
    """Record a fact that the user states of a matrix, or `positive` / `nonnegative` of a term."""
    _asserted.setdefault(array, set()).add(fact)
    for node in live_nodes():  # whatever was concluded without it: facts, and results of stages (their keys are tuples)
        for key in [key for key in node.memo if key in ("interval", "matrix_facts") or isinstance(key, tuple)]:
            del node.memo[key]


def asserted(node: Node) -> frozenset[str]:
    """The facts that the user stated of a node; they are part of what a kernel is compiled for."""
    return frozenset(_asserted.get(node, ()))


# ------------------------------------------------------------------------------------------------------------- intervals
def _times(a: Interval, b: Interval) -> Interval:
    corners = [0.0 if 0.0 in (x, y) else x * y for x in a for y in b]
    lo, hi = min(corners), max(corners)
    if (a[0] > 0 and b[0] > 0) or (a[1] < 0 and b[1] < 0):  # a sign survives underflow
        lo = max(lo, TINY)
    elif (a[0] > 0 and b[1] < 0) or (a[1] < 0 and b[0] > 0):
        hi = min(hi, -TINY)
    return lo, hi


def _power(base: Interval, exponent: int) -> Interval:
    lo, hi = _power_bounds(base, exponent)
    if base[0] > 0 or (base[1] < 0 and exponent % 2 == 0):
        lo = max(lo, TINY)
    elif base[1] < 0:
        hi = min(hi, -TINY)
    return lo, hi


def _power_bounds(base: Interval, exponent: int) -> Interval:
    lo, hi = base
    if exponent < 0:
        lo, hi = _power(base, -exponent)
        if lo > 0 or hi < 0:
            return (1 / hi if hi else inf, 1 / lo if lo else inf) if lo > 0 else (1 / hi if hi else -inf, 1 / lo)
        return (0.0, inf) if lo >= 0 else EVERYTHING
    try:
        corners = [lo**exponent, hi**exponent]
    except OverflowError:
        return (0.0, inf) if exponent % 2 == 0 or lo >= 0 else EVERYTHING
    if exponent % 2 == 0 and lo < 0 < hi:
        return 0.0, max(corners)
    return min(corners), max(corners)


def interval(term: Term) -> Interval:
    """Bounds (closed, possibly infinite) of the values of a term. A lower bound of 5e-324 stands for "positive"."""
    if "interval" not in term.memo:
        for node in postorder((term,), lambda n: [child for child in n.children if "interval" not in child.memo]):
            node.memo.setdefault("interval", _interval(node) if node.is_term else _array_interval(node))
    return term.memo["interval"]


def _interval(term: Term) -> Interval:
    stated = asserted(term)
    if "positive" in stated:
        return TINY, inf
    if "nonnegative" in stated:
        return 0.0, inf
    known = [child.memo.get("interval", EVERYTHING) for child in term.children if child.is_term]
    if isinstance(term, Constant):
        value = _to_float(term.value)
        return (value, value) if value == value else EVERYTHING
    if isinstance(term, NamedConstant):
        return 3.14, 3.15
    if isinstance(term, (Size, Iota, Delta)):
        return (0.0, 1.0) if isinstance(term, Delta) else (0.0, inf)
    if isinstance(term, Sum):
        lo = hi = 0.0
        for (coefficient, _), bounds in zip(term.terms, known, strict=True):
            a, b = _times((_to_float(coefficient),) * 2, bounds)
            lo, hi = lo + a, hi + b
        return (lo if lo == lo else -inf, hi if hi == hi else inf)
    if isinstance(term, Contract):
        bounds = (1.0, 1.0)
        for (_, exponent), base in zip(term.factors, known, strict=True):
            bounds = _times(bounds, _power(base, exponent))
        if term.bound:
            lo, hi = bounds
            return (0.0 if lo >= 0 else -inf, 0.0 if hi <= 0 else inf)
        return bounds
    if isinstance(term, Reduce):
        if term.operation in ("max", "min"):
            return known[0]
        if term.operation in ("any", "all"):
            return 0.0, 1.0
        return (0.0, inf) if term.operation == "prod" and known[0][0] >= 0 else EVERYTHING
    if isinstance(term, Surrogate):
        return known[0]
    if isinstance(term, Read):
        return term.array.memo["interval"]
    if isinstance(term, Apply):
        return _apply_interval(term, known)
    return EVERYTHING


def _to_float(value) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _array_interval(array: Array) -> Interval:
    if isinstance(array, Input):
        support = array.leaf.support
        if support is not None and getattr(support, "interval", None):
            return support.interval
        return (0.0, inf) if array.leaf.index_of is not None else (0.0, 1.0) if array.kind == "b" else EVERYTHING
    if isinstance(array, Tensor):
        return array.term.memo["interval"]
    return EVERYTHING


def _apply_interval(term: Apply, known: list[Interval]) -> Interval:
    function = term.function
    if function.name == "where":
        return min(known[1][0], known[2][0]), max(known[1][1], known[2][1])
    if function.name == "maximum":
        return max(known[0][0], known[1][0]), max(known[0][1], known[1][1])
    if function.name == "minimum":
        return min(known[0][0], known[1][0]), min(known[0][1], known[1][1])
    if function.name == "power":
        return (TINY, inf) if known[0][0] > 0 else (0.0, inf) if known[0][0] >= 0 else EVERYTHING
    lo, hi = function.range
    if function.monotone and len(known) == 1:
        with np.errstate(all="ignore"):
            ends = [float(function.numpy(np.float64(min(max(end, function.domain[0]), function.domain[1])))) for end in known[0]]
        ends = sorted(end if end == end else bound for end, bound in zip(ends, (lo, hi)[:: function.monotone], strict=True))
        lo, hi = max(lo, ends[0]), min(hi, ends[1])
    if function.name in ("exp", "softplus", "sigmoid", "cosh", "erfc", "erfcx", "ndtr"):
        lo = max(lo, TINY)
    return lo, max(lo, hi)


def is_positive(term: Term) -> bool:
    return interval(term)[0] > 0


def is_nonnegative(term: Term) -> bool:
    return interval(term)[0] >= 0


# -------------------------------------------------------------------------------------------------------------- matrices
def matrix_facts(array: Array) -> frozenset[str]:
    """Facts of the matrices in the last two axes of an array."""
    if "matrix_facts" not in array.memo:  # inner arrays first: depth is no limit
        for node in postorder((array,), lambda n: [child for child in n.children if "matrix_facts" not in child.memo]):
            if not node.is_term and "matrix_facts" not in node.memo:
                node.memo["matrix_facts"] = _close(_matrix_facts(node) | asserted(node))
    return array.memo["matrix_facts"]


def _close(facts) -> frozenset[str]:
    result = set(facts)
    for fact in facts:
        result |= _IMPLIED.get(fact, set())
    return frozenset(result)


def _matrix_facts(array: Array) -> set[str]:
    if len(array.shape) < 2 or array.shape[-1] != array.shape[-2]:
        return set()
    if isinstance(array, Input):
        support = array.leaf.support
        return set(getattr(support, "matrix_facts", ())) if support is not None else set()
    if isinstance(array, Operator):
        return set(array.atom.facts(array))
    assert isinstance(array, Tensor)
    i, j = array.axes[-2:]
    facts = set()
    definite = _definite(array.term, i, j)
    if definite:
        facts.add(definite)
    if rename(array.term, {i: j, j: i}) is array.term:
        facts.add("symmetric")
    if _vanishes_above_diagonal(array.term, i, j):
        facts.add("lower")
        if _vanishes_above_diagonal(array.term, j, i):
            facts.add("diagonal")
    return facts


def _definite(term: Term, i: Label, j: Label) -> str | None:
    """"spd", "psd" or None for the matrix term[i, j]."""
    if i not in term.labels and j not in term.labels:
        return "psd" if is_nonnegative(term) else None
    if isinstance(term, Delta):
        return "spd" if _is_identity(term, i, j) else None
    if isinstance(term, Read):
        if len(term.indices) >= 2 and {i, j} == set(term.indices[-2:]) and not {i, j} & set(term.indices[:-2]):
            facts = matrix_facts(term.array)
            return "spd" if "spd" in facts else "psd" if "psd" in facts else None
        if isinstance(term.array, Tensor) and term.plain:
            inverse = {index: axis for axis, index in zip(term.array.axes, term.indices, strict=True)}
            return _definite(term.array.term, inverse[i], inverse[j]) if i in inverse and j in inverse else None
        return None
    if isinstance(term, Sum):
        if any(c < 0 for c, _ in term.terms):
            return None
        kinds = [_definite(t, i, j) for _, t in term.terms]
        return None if None in kinds else "spd" if "spd" in kinds else "psd"
    if isinstance(term, Contract):
        return _definite_product(term, i, j)
    if isinstance(term, Apply) and term.function.name == "exp":
        inner = term.children[0]
        if _minus_squared_distance(inner, i, j) or _definite(inner, i, j):
            return "psd"
    return None


def _definite_product(term: Contract, i: Label, j: Label) -> str | None:
    """Schur products of definite matrices, Gram matrices f[i] f[j], non-negative weights; a delta leaves the diagonal."""
    if not term.bound and any(_is_identity(base, i, j) for base in term.children):
        weight = rename(multiply([(base, e) for base, e in term.factors if not _is_identity(base, i, j)]), {j: i})
        return "spd" if is_positive(weight) else "psd" if is_nonnegative(weight) else None
    swap = {i: j, j: i}
    remaining: list[tuple[Term, int]] = []  # one entry per occurrence; the sign of the exponent in the second place
    for base, exponent in term.factors:
        remaining += [(base, 1 if exponent > 0 else -1)] * abs(exponent)
    strict, weakened = False, bool(term.bound)
    while remaining:
        factor, sign = remaining.pop()
        has_row, has_column = i in factor.labels, j in factor.labels
        if not has_row and not has_column:
            if (factor, sign) in remaining:  # a square
                remaining.remove((factor, sign))
                weakened = weakened or not _is_nonzero(factor)
            elif is_nonnegative(factor):
                weakened = weakened or not is_positive(factor)
            else:
                return None
        elif has_row != has_column:  # f[i] f[j]
            twin = (rename(factor, swap), sign)
            if twin not in remaining:
                return None
            remaining.remove(twin)
            weakened = weakened or not _is_nonzero(factor)
        else:
            definite = _definite(factor, i, j) if sign > 0 else None
            if definite is None:
                return None
            strict = strict or definite == "spd"
    return "spd" if strict and not weakened else "psd"


def _is_identity(term: Term, i: Label, j: Label) -> bool:
    return isinstance(term, Delta) and {term.left, term.right} == {i, j}


def _is_nonzero(term: Term) -> bool:
    lo, hi = interval(term)
    return lo > 0 or hi < 0


def _minus_squared_distance(term: Term, i: Label, j: Label) -> bool:
    """-c Σ (f(i) - f(j))^2 with c >= 0, possibly plus terms that are definite: its exponential is psd (Schoenberg 1938)."""
    for coefficient, part in term.terms if isinstance(term, Sum) else ((1, term),):
        if i not in part.labels and j not in part.labels:  # a factor of the exponential that is constant and positive
            continue
        if coefficient > 0:
            if _definite(part, i, j) is None:
                return False
            continue
        factors = part.factors if isinstance(part, Contract) else ((part, 1),)
        distances = 0
        for base, exponent in factors:
            if i not in base.labels and j not in base.labels:
                if exponent % 2 and not is_nonnegative(base):
                    return False
            elif exponent == 2 and rename(base, {i: j, j: i}) is -base:
                distances += 1
            elif exponent == 1 and isinstance(base, (Contract, Read)) and _is_squared_distance(base, i, j):
                distances += 1
            else:
                return False
        if distances != 1:
            return False
    return True


def _is_squared_distance(term: Term, i: Label, j: Label) -> bool:
    if isinstance(term, Read):
        if not (isinstance(term.array, Tensor) and term.plain):
            return False
        inverse = {index: axis for axis, index in zip(term.array.axes, term.indices, strict=True)}
        return i in inverse and j in inverse and _is_squared_distance(term.array.term, inverse[i], inverse[j])
    return isinstance(term, Contract) and _minus_squared_distance(-_unbound(term), i, j)


def _unbound(term: Contract) -> Term:
    return multiply(term.factors)


def _vanishes_above_diagonal(term: Term, i: Label, j: Label) -> bool:
    """True when term[i, j] is structurally zero for j > i."""
    if isinstance(term, Delta):
        return _is_identity(term, i, j)
    if isinstance(term, Read):
        return tuple(term.indices[-2:]) == (i, j) and "lower" in matrix_facts(term.array)
    if isinstance(term, Sum):
        return all(_vanishes_above_diagonal(t, i, j) for t in term.children)
    if isinstance(term, Contract):
        return not term.bound and any(_vanishes_above_diagonal(t, i, j) for t, e in term.factors if e > 0)
    if isinstance(term, Apply) and term.function.name == "where":
        condition, yes, no = term.children
        return _vanishes_above_diagonal(no, i, j) and (_vanishes_above_diagonal(yes, i, j) or _fails_above_diagonal(condition, i, j))
    return isinstance(term, Constant) and term.value == 0


def _fails_above_diagonal(condition: Term, i: Label, j: Label) -> bool:
    """True for i >= j, i > j, i == j, also written j <= i."""
    if not (isinstance(condition, Apply) and condition.function.arity == 2 and all(isinstance(c, Iota) for c in condition.children)):
        return False
    labels, name = tuple(child.label for child in condition.children), condition.function.name
    if name == "equal":
        return set(labels) == {i, j}
    return labels == {"greater": (i, j), "greater_equal": (i, j), "less": (j, i), "less_equal": (j, i)}.get(name)
