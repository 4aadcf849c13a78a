"""Which entries of a matrix vanish by construction: masks, deltas, products of triangular matrices."""

from __future__ import annotations

from symvi.expr.build import add, index_term
from symvi.expr.facts.questions import matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Constant, Contract, Delta, Read, Sum, Term

__all__ = ["vanishes_above_diagonal", "is_identity"]


def is_identity(term: Term, i: Label, j: Label) -> bool:
    return isinstance(term, Delta) and {term.left, term.right} == {i, j}


def vanishes_above_diagonal(term: Term, i: Label, j: Label) -> bool:
    """True when term[i, j] is structurally zero for j > i."""
    if not {i, j} <= term.labels:  # a label that is not free here may be bound inside
        return isinstance(term, Constant) and term.value == 0
    if isinstance(term, Delta):
        return is_identity(term, i, j)
    if isinstance(term, Read):
        wanted = {(i, j): "lower", (j, i): "upper"}.get(tuple(term.indices[-2:]))
        return wanted is not None and term.array.shape[-2:] == (i.dim, j.dim) and wanted in matrix_facts(term.array)
    if isinstance(term, Sum):
        return all(vanishes_above_diagonal(t, i, j) for t in term.children)
    if isinstance(term, Contract):
        if any(vanishes_above_diagonal(t, i, j) for t, e in term.factors if e > 0):
            return True
        return any(_is_product_of_triangles(term, i, k, j) for k in term.bound)
    if isinstance(term, Apply) and term.function.name == "where":
        condition, yes, no = term.children
        return vanishes_above_diagonal(no, i, j) and (vanishes_above_diagonal(yes, i, j) or _fails_above_diagonal(condition, i, j))
    return False


def _is_product_of_triangles(term: Contract, i: Label, k: Label, j: Label) -> bool:
    """Σ_k A[i,k] B[k,j] with A and B lower triangular."""
    if k.dim != i.dim:
        return False
    factors = [t for t, e in term.factors if e > 0]
    left = any(i in t.labels and k in t.labels and vanishes_above_diagonal(t, i, k) for t in factors)
    return left and any(k in t.labels and j in t.labels and vanishes_above_diagonal(t, k, j) for t in factors)


_TURNED = {"less": "greater", "less_equal": "greater_equal"}


def _fails_above_diagonal(condition: Term, i: Label, j: Label) -> bool:
    """True for i >= j, i > j, i == j, also shifted (i > j + 1) or written j <= i."""
    if not (isinstance(condition, Apply) and condition.function.arity == 2):
        return False
    name = condition.function.name
    if name == "logical_and":
        return any(_fails_above_diagonal(part, i, j) for part in condition.children)
    left, right = condition.children if name not in _TURNED else condition.children[::-1]
    name = _TURNED.get(name, name)
    if name not in ("greater", "greater_equal", "equal"):
        return False
    excess = add([(1, left), (-1, right)])
    row, column = index_term(i), index_term(j)
    shift = add([(1, excess), (-1, row), (1, column)])  # the condition is i - j + shift > 0, or >= 0, or == 0
    if name == "equal" and not isinstance(shift, Constant):
        shift = add([(-1, excess), (-1, row), (1, column)])
    return isinstance(shift, Constant) and shift.value <= (1 if name == "greater" else 0)
