"""Is the matrix term[i, j] positive (semi)definite? Sums, Schur products, Gram matrices, congruences, kernels."""

from __future__ import annotations

from symvi.expr.build import multiply, rename
from symvi.expr.facts.assertions import stated_matrices
from symvi.expr.facts.forms import is_congruence
from symvi.expr.facts.kernels import is_kernel, is_reciprocal, without_matern
from symvi.expr.facts.questions import answers, definite, is_nonnegative, is_nonsingular, is_nonzero, is_positive, matrix_facts
from symvi.expr.facts.triangles import is_identity
from symvi.expr.facts.views import is_twin, opened_view
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Contract, Delta, Read, Sum, Tensor, Term

__all__ = ["kind_of"]

Factors = list[tuple[Term, int]]


@answers("definite")
def kind_of(term: Term, i: Label, j: Label) -> str | None:
    """"spd", "psd" or None for the matrix term[i, j]."""
    if i not in term.labels and j not in term.labels:
        return "psd" if is_nonnegative(term) else None
    if not {i, j} <= term.labels:  # a label that is not free here may be bound inside
        return None
    if isinstance(term, Delta):
        return "spd" if is_identity(term, i, j) else "psd" if is_twin(term.left, term.right, i, j) else None
    if isinstance(term, Read):
        return _of_read(term, i, j)
    if isinstance(term, Sum):
        return _of_sum(term, i, j)
    if isinstance(term, Contract):
        return _of_product(term, i, j) or ("psd" if is_congruence(term, i, j) else None)
    if isinstance(term, Apply):
        return "psd" if is_kernel(term, i, j) else None
    return None


def _of_sum(term: Sum, i: Label, j: Label) -> str | None:
    if all(c > 0 for c, _ in term.terms):
        kinds = [definite(t, i, j) for _, t in term.terms]
        if None not in kinds:
            return "spd" if "spd" in kinds else "psd"
    for part in stated_matrices(term, i, j):
        facts, kind = matrix_facts(part.array), definite(part.rest, i, j)
        if kind and part.ratio > 0 and "psd" in facts:
            return "spd" if kind == "spd" or "spd" in facts else "psd"
    return None


def _of_read(term: Read, i: Label, j: Label) -> str | None:
    axes = opened_view(term, i, j)
    if axes is None:
        return None
    array = term.array
    if isinstance(array, Tensor) and set(axes) != {len(array.shape) - 2, len(array.shape) - 1}:
        kind = definite(array.term, array.axes[axes[0]], array.axes[axes[1]])
    elif set(axes) == {len(array.shape) - 2, len(array.shape) - 1}:
        facts = matrix_facts(array)
        kind = "spd" if "spd" in facts else "psd" if "psd" in facts else None
    else:
        return None
    whole_rows = isinstance(term.indices[axes[0]], Label)  # a choice of rows may take one of them twice
    return kind if whole_rows else kind and "psd"


def _of_product(term: Contract, i: Label, j: Label) -> str | None:
    """Schur products of definite matrices, Gram matrices f[i] f[j], non-negative weights; a delta leaves the diagonal."""
    if not term.bound and any(is_identity(base, i, j) for base in term.children):
        weight = rename(multiply([(base, e) for base, e in term.factors if not is_identity(base, i, j)]), {j: i})
        return "spd" if is_positive(weight) else "psd" if is_nonnegative(weight) else None
    if _is_regular_gram(term, i, j):
        return "spd"
    strict, weakened = False, bool(term.bound)
    both = [(base, e) for base, e in term.factors if i in base.labels and j in base.labels]
    rest = [(base, e) for base, e in term.factors if (base, e) not in both]
    weak = _of_weights_and_rows(rest, i, j)
    if weak is None:
        return None
    for base, exponent in without_matern(both, i, j):
        kind = definite(base, i, j) if exponent > 0 else "psd" if is_reciprocal(base, i, j) else None
        if kind is None:
            return None
        strict = strict or kind == "spd"
    return "spd" if strict and not weakened and not weak else "psd"


def _of_weights_and_rows(factors: Factors, i: Label, j: Label) -> bool | None:
    """Factors that miss i or j: False for positive weights and rows f[i] f[j] without zeros, True if they may vanish, None else."""
    weakened = False
    remaining = dict(factors)
    while remaining:
        factor, exponent = remaining.popitem()
        if i not in factor.labels and j not in factor.labels:
            if exponent % 2 and not is_nonnegative(factor):
                return None
        else:  # f[i] f[j]
            twin = rename(factor, {i: j, j: i})
            if remaining.pop(twin, None) != exponent:
                return None
        weakened = weakened or not is_nonzero(factor)
    return weakened


def _is_regular_gram(term: Contract, i: Label, j: Label) -> bool:
    """A A' or A' A for a regular A."""
    if len(term.bound) != 1 or len(term.factors) != 2 or any(e != 1 or not isinstance(t, Read) for t, e in term.factors):
        return False
    (left, _), (right, _) = term.factors
    (k,) = term.bound
    array = left.array
    if array is not right.array or len(array.shape) < 2 or array.shape[-2:] != (k.dim, k.dim) or left.indices[:-2] != right.indices[:-2]:
        return False
    pairs = {left.indices[-2:], right.indices[-2:]}
    return pairs in ({(i, k), (j, k)}, {(k, i), (k, j)}) and is_nonsingular(array)
