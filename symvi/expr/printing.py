"""Expressions as text: one line of index notation for messages and comments, LaTeX for notebooks and papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symvi.expr.labels import Label, sort_labels
from symvi.expr.latex_notation import LatexNotation
from symvi.expr.nodes import Contract, Node, Reduce, postorder
from symvi.expr.notation import Notation, number_text

__all__ = ["text", "latex", "pprint", "label_names", "number_text"]

_SPARE = "ijklpqruvst"  # letters for dims that have no name


def label_names(nodes) -> dict[Label, str]:
    """Letters for labels: the dim's name in lower case; further labels of a dim get primes, dims without a name i, j, k, ..."""
    names: dict[Label, str] = {}
    letters: dict = {}
    labels = sort_labels({label for root in nodes for node in postorder((root,)) for label in _labels(node)})
    taken = {str(label.dim).lower() for label in labels if label.dim.is_name}
    for label in labels:
        if label.dim not in letters:
            letters[label.dim] = _letter(label, taken)
            taken.add(letters[label.dim])
        name = letters[label.dim] + "'" * label.number
        while name in names.values():
            name += "'"
        names[label] = name
    return names


def _letter(label: Label, taken: set[str]) -> str:
    if label.dim.is_name:
        return str(label.dim).lower()
    used = [name.name.lower() for name in label.dim.names[:1]]  # T - 1 is walked by t
    for letter in (*used, *_SPARE):
        if letter not in taken:
            return letter
    return f"i{len(taken)}"


def _labels(node: Node):
    if isinstance(node, (Contract, Reduce)):
        return (*node.labels, *node.bound)
    return node.labels if node.is_term else getattr(node, "axes", ())


def text(expression: Any, limit: int = 200, names: dict[Label, str] | None = None, stop=()) -> str:
    """One line of index notation: `Σ_n softplus(Σ_d X[n,d] w[d])`. Deep parts are elided beyond `limit` characters.

    `names` are the letters of labels, `stop` maps nodes to what they are called.
    """
    node = _node_of(expression)
    names = names or label_names((node,))
    for depth in (12, 8, 5, 3, 2, 1, 0):
        string = _write(Notation(names, depth, stop if isinstance(stop, Mapping) else dict(stop)), node)
        if len(string) <= limit:
            return string
    return string[: limit - 1] + "…"


def latex(expression: Any) -> str:
    """LaTeX in index notation, as a textbook would set it."""
    node = _node_of(expression)
    return _write(LatexNotation(label_names((node,)), depth=60), node)


def pprint(expression: Any) -> None:
    """Print an expression in index notation with its dims."""
    shape = getattr(expression, "shape", ())
    print(text(expression, limit=2000) + (f"    [{' × '.join(map(str, shape))}]" if shape else ""))


def _node_of(expression: Any) -> Node:
    return getattr(expression, "term", expression)


def _write(notation: Notation, node: Node) -> str:
    return (notation.term(node) if node.is_term else notation.array(node, 0))[0]
