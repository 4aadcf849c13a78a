"""Terms that are written again where they are used, and the free labels that a scatter computes."""

from __future__ import annotations

from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Constant, Contract, Delta, Iota, NamedConstant, Node, Read, Size, Sum, Surrogate, Term

__all__ = ["is_trivial", "is_cheap", "scatter_labels"]


def is_trivial(node: Term) -> bool:
    """Terms that cost nothing to write again: numbers, sizes, labels, reads of arrays in memory."""
    return isinstance(node, (Constant, NamedConstant, Size, Iota, Delta, Read)) or is_number(node)


def is_number(node: Node) -> bool:
    """Terms made of numbers alone, `log(2 pi) / 2`: one literal in the module."""
    if "is_number" not in node.memo:
        composed = isinstance(node, (Apply, Sum, Contract)) and not node.labels and node.kind == "f"
        composed = composed and all(is_number(child) for child in node.children)
        node.memo["is_number"] = composed or isinstance(node, (Constant, NamedConstant))
    return node.memo["is_number"]


def scatter_labels(node: Node) -> dict[Label, Delta]:
    """For a contraction: free labels that a delta factor computes from an index (`g_a[j] += v[n]` at j = g[n])."""
    found: dict[Label, Delta] = {}
    if isinstance(node, Contract) and node.bound:
        for factor, _ in node.factors:
            if isinstance(factor, Delta):
                for label, other in ((factor.left, factor.right), (factor.right, factor.left)):
                    if isinstance(label, Label) and label in node.labels and label not in found:
                        other_labels = {other} if isinstance(other, Label) else other.labels
                        if not other_labels & found.keys():
                            found[label] = factor
                            break
    return found


def is_cheap(term: Term) -> bool:
    """A sum or product of a few trivial terms: writing it again costs less than a place in memory."""
    if isinstance(term, Surrogate):
        return is_trivial(term.children[0])
    if isinstance(term, Sum) or (isinstance(term, Contract) and not term.bound and all(e > 0 for _, e in term.factors)):
        return len(term.children) <= 2 and all(is_trivial(child) for child in term.children)
    if isinstance(term, Apply):  # comparisons of labels and the like
        return term.function.cost <= 1 and term.kind == "b" and all(is_trivial(child) for child in term.children)
    return False
