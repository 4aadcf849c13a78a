"""A pattern as a rule sees it: the left side of an identity, where it can match, and its instances in a node.

A pattern names at least one head other than sum and product; it is tried only at nodes that hold all its heads
within reach. Its other operands, at most four, are found inside longer sums and products, whose rest is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from symvi.errors import ExpressionError
from symvi.expr.build import add, contract
from symvi.expr.nodes import Contract, Node, Sum, Term, postorder
from symvi.rewrite.binding import EMPTY, Binding
from symvi.rewrite.match import match, match_contraction, match_product, match_sum
from symvi.rewrite.variables import variable_of, variables_in
from symvi.rewrite.views import head_of, opened

__all__ = ["Pattern", "MAX_OPERANDS", "reach"]

MAX_OPERANDS = 4
_STRUCTURE = ("sum", "product", "constant", "read", "tensor", "input")


def reach(term: Term) -> frozenset[str]:
    """The heads among the operands of a sum or product and, one step further, of sums and products among these."""
    if "reach" not in term.memo:
        heads: set[str] = set()
        for child in term.children:
            inner, _ = opened(child)
            heads.add(head_of(inner))
            if isinstance(inner, (Sum, Contract)):
                for deeper in inner.children:
                    heads.add(head_of(opened(deeper)[0]))
        term.memo["reach"] = frozenset(heads)
    return term.memo["reach"]


def _operand_heads(term: Term) -> Counter:
    """How many operands of a sum or product have each head."""
    if "operand heads" not in term.memo:
        term.memo["operand heads"] = Counter(head_of(opened(child)[0]) for child in term.children)
    return term.memo["operand heads"]


class Pattern:
    """The left side of a rule. `head` is where it is filed, `needs` the heads that its operands must show."""

    def __init__(self, term: Term, partial: bool):
        self.term = term
        self.partial = partial
        self.head = head_of(term)
        anchors = {head_of(n) for n in postorder((term,)) if variable_of(n) is None} - set(_STRUCTURE)
        if not anchors:
            raise ExpressionError("a pattern names at least one head other than sum and product")
        if isinstance(term, (Sum, Contract)) and len(term.children) > MAX_OPERANDS:
            raise ExpressionError(f"a pattern has at most {MAX_OPERANDS} operands")
        structural = isinstance(term, (Sum, Contract))
        self.needs = frozenset(reach(term) - set(_STRUCTURE)) if structural else frozenset()
        known = [child for child in term.children if variable_of(child) is None] if structural else []
        self.wants = {head: n for head, n in Counter(map(head_of, known)).items() if head not in _STRUCTURE}
        self.exactly = len(term.children) if isinstance(term, Sum) and len(known) == len(term.children) and not partial else None
        self.size = sum(1 for _ in postorder((term,))) + 5 * (len(term.children) - 1)  # the more operands, the more particular
        self.variables = variables_in(term)

    def matches(self, node: Node) -> Iterator[tuple[Binding, Context]]:
        """Every instance in `node`, with the context that puts a replacement in its place."""
        pattern = self.term
        if isinstance(pattern, (Sum, Contract)) and not self._may_match(node):
            return
        start = EMPTY._replace(avoid=frozenset(node.labels) if node.is_term else frozenset())
        if isinstance(pattern, Sum):
            for found, scale, rest in match_sum(pattern, list(node.terms), start, scaled=True):
                if self.partial or not rest:
                    yield found, Context("sum", scale, rest)
        elif isinstance(pattern, Contract) and not pattern.bound:
            start = start._replace(avoid=start.avoid | set(node.bound))
            for found, times, rest in match_product(list(pattern.factors), list(node.factors), start, Fraction(1), repeated=True):
                if self.partial or not rest:
                    yield found, Context("product", times, rest, node.bound)
        elif isinstance(pattern, Contract):
            for found, summed, rest in match_contraction(pattern, node, start):
                if self.partial or not rest:
                    yield found, Context("product", 1, rest, tuple(label for label in node.bound if label not in summed))
        else:
            for found in match(pattern, node, start):
                yield found, Context("whole")


    def _may_match(self, node: Node) -> bool:
        """A first look at the operands: the heads that the pattern needs, as often as it needs them."""
        if not self.needs <= reach(node) or (self.exactly is not None and len(node.children) != self.exactly):
            return False
        heads = _operand_heads(node)
        return all(heads[head] >= n for head, n in self.wants.items())


class Context:
    """Where a match was found: what multiplies or joins the replacement."""

    __slots__ = ("kind", "scale", "rest", "bound")

    def __init__(self, kind: str, scale=1, rest=(), bound=()):
        self.kind, self.scale, self.rest, self.bound = kind, scale, rest, bound

    def place(self, replacement: Term) -> Term:
        if self.kind == "sum":
            return add([(self.scale, replacement), *self.rest])
        if self.kind == "product":
            return contract(self.bound, [(replacement, self.scale), *self.rest])
        return replacement


