"""The stages in their order: `stable` before anything is differentiated, `simple` after.

The measures are tuples, compared entry by entry. `stable`: uses of inverses and determinants; work of array atoms and
what they could still shed; exponentials exposed to sums and products; what stands under logarithms; degrees of products;
functions; additions; nodes and edges.
`simple`: the same without the logarithms, with the number of choices.
"""

from __future__ import annotations

from collections.abc import Sequence

from symvi.expr.nodes import Apply, Constant, Contract, Node, Operator, Read, Reduce, Sum, Tensor, Term
from symvi.rewrite.engine import declare_stage, run_stage
from symvi.rewrite.views import opened

__all__ = ["ORDER", "stabilise", "simplify"]

DEPTH = 40
_FACTORISING = ("inverse", "det")
_ARRAY_WORK = {"inverse": 8, "det": 8, "solve": 4, "logdet": 4, "cholesky": 4, "solve_triangular": 2}
_EXPONENTIAL = ("exp",)


def _is_function(term: Node, names: Sequence[str]) -> bool:
    return isinstance(term, Apply) and term.function.name in names


def _inverses(node: Node) -> int:
    """Edges from a node into inverses and determinants."""
    count = 0
    for child in node.children:
        array = child.array if isinstance(child, Read) else child
        count += isinstance(array, Operator) and array.name in _FACTORISING
    return count


def _array_load(node: Node, depth: int = 0) -> int:
    """What an array atom could still shed: the factors of the product that it takes."""
    if not isinstance(node, Tensor) or depth > DEPTH:
        return 0
    term = node.term
    scaled = isinstance(term, Sum) and len(term.children) == 1
    if scaled:
        term = term.children[0]
    if not isinstance(term, Contract):
        return 3 * scaled + (_array_load(term.array, depth + 1) if isinstance(term, Read) else 0)
    inner = (child.array for child in term.children if isinstance(child, Read))
    return 3 * (len(term.children) + scaled) + sum(_array_load(array, depth + 1) for array in inner)


def _array_work(node: Node) -> int:
    if not isinstance(node, Operator):
        return 0
    work = _ARRAY_WORK.get(node.name, 0)
    return work + work * sum(_array_load(child) for child in node.children) if work else 0


def _log_load(term: Term, depth: int = 0) -> int:
    """What a logarithm could still be split into."""
    term, _ = opened(term)
    if depth > DEPTH:
        return 0
    if isinstance(term, Contract):
        return sum(1 + abs(e) + _log_load(f, depth + 1) for f, e in term.factors)
    if isinstance(term, Sum):
        return sum(2 + _log_load(t, depth + 1) for t in term.children)
    if isinstance(term, Reduce) or _is_function(term, ("sqrt", "power")):
        return 2 + _log_load(term.children[0], depth + 1)
    return 0


def _logs(node: Node) -> int:
    if not _is_function(node, ("log",)) or isinstance(node.children[0], Constant):
        return 0
    return 1 + _log_load(node.children[0])


def _exposed(node: Node) -> int:
    """Exponentials that are operands of a sum, a product or log1p; more where something is divided by such a sum."""
    if isinstance(node, Contract):
        return sum(
            abs(e) if _is_function(opened(child)[0], _EXPONENTIAL) else -e if e < 0 and _holds_exponential(child) else 0
            for child, e in node.factors
        )
    if not isinstance(node, Sum) and not _is_function(node, ("log1p",)):
        return 0
    return sum(_is_function(opened(child)[0], _EXPONENTIAL) for child in node.children)


def _holds_exponential(term: Term) -> bool:
    inner, _ = opened(term)
    return isinstance(inner, (Sum, Contract)) and any(_is_function(opened(child)[0], _EXPONENTIAL) for child in inner.children)


def _size(node: Node) -> tuple[int, int, int, int]:
    """Degrees of products; functions that are not light; additions; nodes and edges."""
    degree = sum(map(abs, node.payload[1])) if isinstance(node, Contract) else 0
    functions = isinstance(node, Apply) and not node.light
    additions = len(node.children) - 1 if isinstance(node, Sum) else 0
    return (degree, int(functions), additions, 1 + len(node.children))


def _stable_weight(node: Node) -> tuple:
    return (_inverses(node), _array_work(node), _exposed(node), _logs(node), *_size(node))


def _simple_weight(node: Node) -> tuple:
    return (_inverses(node), _array_work(node), int(_is_function(node, ("where",))), _exposed(node), *_size(node))


declare_stage("stable", "numerically stable forms, before differentiation", _stable_weight)
declare_stage("simple", "exact simplifications of derivatives", _simple_weight)
ORDER = ("stable", "simple")


def stabilise(roots: Sequence[Node]) -> list[Node]:
    """The roots in numerically stable form; runs before anything is differentiated."""
    return run_stage("stable", roots)


def simplify(roots: Sequence[Node]) -> list[Node]:
    """The roots after the exact simplifications that follow differentiation."""
    return run_stage("simple", roots)
