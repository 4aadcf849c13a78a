"""The stages in their order: `stable` and `structure` before anything is differentiated, `simple` after.

The measures are tuples, compared entry by entry. `stable`: uses of inverses and determinants; work of array atoms and
what they could still shed; exponentials exposed to sums and products; what stands under logarithms (of gamma functions, too);
degrees of products; functions; additions; nodes and edges.
`structure`: the cost of factorisations at sizes that satisfy the guards, then size.
`simple`: as `stable` without the logarithms, with the number of choices.
"""

from __future__ import annotations

from collections.abc import Sequence

from symvi.expr.nodes import Apply, Constant, Contract, Delta, Node, Operator, Read, Reduce, Sum, Tensor, Term
from symvi.rewrite.engine import declare_stage, run_stage
from symvi.rewrite.guard import typical_sizes
from symvi.rewrite.views import common_coefficient, leads_with_minus, opened

__all__ = ["ORDER", "stabilise", "restructure", "simplify"]

DEPTH = 40
_FACTORISING = ("inverse", "det")
_ASSEMBLING = ("kron", "block_diagonal")
_ARRAY_WORK = {
    "inverse": 8, "det": 8, "solve": 4, "logdet": 4, "det_sign": 4, "cholesky": 4, "solve_triangular": 2, "kron": 16, "block_diagonal": 1,
}  # fmt: skip
_EXPONENTIAL = ("exp",)
_DEGREES = {"power": 3, "log_product": 2, "log_ratio": 2, "betaln": 2}  # functions that stand for products


def _is_function(term: Node, names: Sequence[str]) -> bool:
    return isinstance(term, Apply) and term.function.name in names


def _inverses(node: Node) -> int:
    """Edges from a node into inverses and determinants, each with what its matrix could be split into; one of them counts as well."""
    times = 3 if isinstance(node, Operator) and node.name in _ASSEMBLING else 1  # from there they are still to be taken out
    arrays = [node, *(child.array if isinstance(child, Read) else child for child in times * node.children)]
    return sum(1 + _matrix_load(array.children[0]) for array in arrays if isinstance(array, Operator) and array.name in _FACTORISING)


def _matrix_load(matrix: Node) -> int:
    """What a matrix could be split into by an operation on it: factors, blocks, repetitions along its batch axes."""
    if isinstance(matrix, Operator):
        if matrix.name in _ASSEMBLING:
            return 6 * len(matrix.children) + sum(map(_matrix_load, matrix.children))
        return 3 * (matrix.name == "solve")
    if not isinstance(matrix, Tensor):
        return 0
    return _array_load(matrix) + 3 * len(set(matrix.axes[:-2]) - matrix.term.labels)


def _array_load(node: Node, depth: int = 0) -> int:
    """What an array atom could still shed: the factors of the product that it takes."""
    return _product_load(node.term, depth) if isinstance(node, Tensor) and depth <= DEPTH else 0


def _product_load(term: Term, depth: int) -> int:
    """The factors of a product, of the products and of the arrays in it."""
    scaled = isinstance(term, Sum) and len(term.children) == 1
    if scaled:
        term = term.children[0]
    if isinstance(term, Read):
        return 3 * scaled + _array_load(term.array, depth + 1)
    if not isinstance(term, Contract):
        return 3 * (scaled or common_coefficient(term) != 1)
    inner = [child for child in term.children if isinstance(child, (Read, Contract))]
    loads = (_array_load(c.array, depth + 1) if isinstance(c, Read) else _product_load(c, depth + 1) for c in inner)
    return 3 * (len(term.children) + scaled) + sum(loads)


def _array_work(node: Node) -> int:
    if isinstance(node, Read):  # the diagonal of a Cholesky factor: its logarithms become a determinant
        return 5 * (_is_cholesky(node.array) and node.indices[-1:] == node.indices[-2:-1])
    if isinstance(node, Delta):
        return 4 * sum(len(index.labels) for index in node.children)
    if not isinstance(node, Operator):
        return int(_is_function(node, ("floor_divide", "remainder")))
    work = _ARRAY_WORK.get(node.name, 0)
    if node.name in ("solve", "solve_triangular") and _is_cholesky(node.children[0]):
        work = 6
    if node.name in _ASSEMBLING or not work:
        return work
    matrix, *right = node.children
    return work + work * (2 * _matrix_load(matrix) + sum(map(_array_load, right)))


def _is_cholesky(array: Node) -> bool:
    return isinstance(array, Operator) and array.name == "cholesky"


def _log_load(term: Term, depth: int = 0) -> int:
    """What a logarithm could still be split into."""
    term, _ = opened(term)
    if depth > DEPTH:
        return 0
    if isinstance(term, Contract):
        factors = [(f, e) for f, e in term.factors if not _is_number(f)]
        return sum(2 * abs(e) * (factors[0][1] != 1 or len(factors) > 1) + _log_load(f, depth + 1) for f, e in factors)
    if isinstance(term, Sum) and len(term.children) == 1:
        return _log_load(term.children[0], depth + 1)
    if isinstance(term, Sum):
        return sum(2 + _log_load(t, depth + 1) for t in term.children)
    if isinstance(term, Reduce) or _is_function(term, ("sqrt", "power", "gamma")):
        return 2 + _log_load(term.children[0], depth + 1)
    return 0


def _is_number(term: Term) -> bool:
    return isinstance(term, Constant) or (isinstance(term, Apply) and all(isinstance(child, Constant) for child in term.children))


def _logs(node: Node) -> int:
    """Logarithms and what they could be split into; of a number: it can be taken into another one."""
    if not _is_function(node, ("log", "gammaln")):  # differences of log Γ become logarithms
        return 0
    return 1 if _is_number(node.children[0]) else 4 + _log_load(node.children[0])


def _exposed(node: Node) -> int:
    """Exponentials that are operands of a sum, a product or log1p; more where something is divided by them or by such a sum."""
    if isinstance(node, Contract):
        return sum(
            abs(e) + (e < 0) if _is_function(opened(child)[0], _EXPONENTIAL) else -e if e < 0 and _holds_exponential(child) else 0
            for child, e in node.factors
        )
    if not isinstance(node, Sum) and not _is_function(node, ("log1p",)):
        return 0
    return sum(_is_function(opened(child)[0], _EXPONENTIAL) for child in node.children)


def _holds_exponential(term: Term) -> bool:
    inner, _ = opened(term)
    if _is_function(inner, ("cosh",)):
        return True
    return isinstance(inner, (Sum, Contract)) and any(_is_function(opened(child)[0], _EXPONENTIAL) for child in inner.children)


def _size(node: Node) -> tuple[int, int, int, int]:
    """Degrees of products; functions that are not light; additions; nodes and edges."""
    degree = sum(map(abs, node.payload[1])) if isinstance(node, Contract) else _DEGREES.get(node.name, 0) * isinstance(node, Apply)
    functions = (isinstance(node, Apply) and not node.light) + _is_function(node, ("logaddexp",))  # of two arguments: softplus is less
    functions += isinstance(node, Apply) and bool(node.function.parity) and leads_with_minus(node.children[0])
    additions = len(node.children) - 1 if isinstance(node, Sum) else 0
    return (degree, int(functions), additions, 1 + len(node.children))


def _stable_weight(node: Node) -> tuple:
    return (_inverses(node), _array_work(node), _exposed(node), _logs(node), *_size(node))


def _weighted_exponents(node: Node) -> int:
    """Weights in sigmoid(a + log y), which can leave it."""
    if not _is_function(node, ("sigmoid",)) or not isinstance(node.children[0], Sum):
        return 0
    return sum(c > 0 and _is_function(opened(term)[0], ("log",)) for c, term in node.children[0].terms)


def _simple_weight(node: Node) -> tuple:
    choices = int(_is_function(node, ("where",)))
    return (_inverses(node), _array_work(node), _weighted_exponents(node), choices, _exposed(node), *_size(node))


def _structure_weight(node: Node) -> tuple:
    return (_factorisation(node), *_size(node))


def _factorisation(node: Node) -> int:
    """The cube of the order of what is factorised, at sizes that satisfy the guards; of a matrix made of smaller ones their cubes."""
    if not isinstance(node, Operator) or node.name not in _ARRAY_WORK:
        return 0
    matrix = node.children[0]
    if isinstance(matrix, Operator) and matrix.name in ("kron", "block_diagonal"):
        return sum(_order(part) ** 3 for part in matrix.children)
    return _order(matrix) ** 3


def _order(matrix: Node) -> int:
    dim = matrix.shape[-1]
    return dim.size(typical_sizes(name.name for name in dim.names if name.known is None))


declare_stage("stable", "numerically stable forms, before differentiation", _stable_weight)
declare_stage("structure", "matrices of structure taken apart where the sizes make it pay, before differentiation", _structure_weight)
declare_stage("simple", "exact simplifications of derivatives", _simple_weight)
ORDER = ("stable", "structure", "simple")


def stabilise(roots: Sequence[Node]) -> list[Node]:
    """The roots in numerically stable form; runs before anything is differentiated."""
    return run_stage("stable", roots)


def restructure(roots: Sequence[Node]) -> list[Node]:
    """The roots with structured matrices taken apart, in stable form again; asks about sizes."""
    structured = run_stage("structure", roots)
    return structured if structured == list(roots) else stabilise(structured)


def simplify(roots: Sequence[Node]) -> list[Node]:
    """The roots after the exact simplifications that follow differentiation."""
    return run_stage("simple", roots)
