"""Facts of matrices: symmetric, (semi)definite, triangular, diagonal, orthogonal, with a positive diagonal."""

from __future__ import annotations

from symvi.expr.build import rename
from symvi.expr.facts.assertions import MATRIX_FACTS, asserted
from symvi.expr.facts.forms import is_symmetric_form, labels_of
from symvi.expr.facts.questions import answers, definite, is_positive, matrix_facts
from symvi.expr.facts.triangles import vanishes_above_diagonal
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Input, Operator, Read, Tensor, Term

__all__ = ["facts_of", "transposed_facts"]

_IMPLIED = (
    ({"spd"}, {"psd", "positive_diagonal"}),
    ({"psd"}, {"symmetric"}),
    ({"diagonal"}, {"symmetric", "lower", "upper"}),
    ({"lower", "upper"}, {"diagonal"}),
    ({"symmetric", "lower"}, {"diagonal"}),
    ({"symmetric", "upper"}, {"diagonal"}),
    ({"diagonal", "positive_diagonal"}, {"spd", "psd"}),
)
_TRANSPOSED = {"lower": "upper", "upper": "lower"}


_KNOWN = frozenset(MATRIX_FACTS)


def _close(facts: set[str]) -> frozenset[str]:
    size = -1
    while size != len(facts):
        size = len(facts)
        for premises, conclusions in _IMPLIED:
            if premises <= facts:
                facts = facts | conclusions
    return frozenset(facts)


def transposed_facts(facts: frozenset[str]) -> set[str]:
    """The facts of A' from those of A."""
    return {_TRANSPOSED.get(fact, fact) for fact in facts}


@answers("matrix facts")
def facts_of(array: Array) -> frozenset[str]:
    """What follows for the matrices of an array, and what is stated of it."""
    return _close(_of_array(array) | (asserted(array) & _KNOWN))


def _of_array(array: Array) -> set[str]:
    if len(array.shape) < 2 or array.shape[-1] != array.shape[-2]:
        return set()
    if isinstance(array, Input):
        support = array.leaf.support
        return set(getattr(support, "matrix_facts", ())) if support is not None else set()
    if isinstance(array, Operator):
        return set(array.atom.facts(array))
    assert isinstance(array, Tensor)
    i, j = array.axes[-2:]
    facts = _of_view(array.term, i, j)
    kind = definite(array.term, i, j)
    if kind:
        facts.add(kind)
    elif rename(array.term, {i: j, j: i}) is array.term or is_symmetric_form(array.term, i, j):
        facts.add("symmetric")
    facts |= {name for name, row, column in (("lower", i, j), ("upper", j, i)) if vanishes_above_diagonal(array.term, row, column)}
    if facts & {"lower", "upper"} and is_positive(rename(array.term, {j: i})):
        facts.add("positive_diagonal")
    return facts


def _of_view(term: Term, i: Label, j: Label) -> set[str]:
    """The facts of an array of which the term is a transpose or a choice from a batch."""
    if not isinstance(term, Read) or term.array.shape[-2:] != (i.dim, j.dim):
        return set()
    if any({i, j} & labels_of(index) for index in term.indices[:-2]):
        return set()
    if term.indices[-2:] == (i, j):
        return set(matrix_facts(term.array))
    return transposed_facts(matrix_facts(term.array)) if term.indices[-2:] == (j, i) else set()

