"""Solves of a small matrix for every row of a plate, as products with its inverse: `solve(K, B)[m, n] = Σ_m' K^-1[m, m'] B[m', n]`.

A solve works on whole arrays, so its right side and its result would be stored for all rows, and the data passed over once before and
once after. A product with the inverse, computed once, is part of the pass. For a matrix of condition κ both err by some κ eps: the
change is one of cost, not of stability (Druinsky & Toledo, How accurate is inv(A)*b?, 2012).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symvi.atoms.array_atom import axes_of
from symvi.atoms.linear_algebra import inverse
from symvi.expr import provenance
from symvi.expr.build import contract, read, rebuild, tensor
from symvi.expr.dims import Dim
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Node, Operator, Tensor, postorder
from symvi.rewrite.guard import Guard, ask

__all__ = ["open_plate_solves"]


def open_plate_solves(roots: Sequence[Node], plates: Iterable[Dim]) -> tuple[list[Node], list[Operator]]:
    """The roots without solves whose columns are the rows of a plate, where it has more rows than the matrix; those solves."""
    plates = set(plates)
    if not plates or not any(isinstance(node, Operator) and node.name == "solve" for node in postorder(roots)):
        return list(roots), []
    done: dict[Node, Node] = {}
    solves: list[Operator] = []
    for node in postorder(roots):
        with provenance.within(provenance.site_of(node)):
            made = rebuild(node, tuple(done[child] for child in node.children))
            opened = _opened(made, plates) if isinstance(made, Operator) and made.name == "solve" else None
            done[node] = made if opened is None else opened
            solves += [made] if opened is not None else []
        provenance.replaced(node, done[node])
    return [done[root] for root in roots], solves


def _opened(node: Operator, plates: set[Dim]) -> Array | None:
    matrix, right = node.children
    transposed, vector = node.attributes
    columns = set() if vector else {node.shape[-1]}
    if not columns & plates or set(matrix.shape) & plates or "lower" in matrix_facts(matrix) or not isinstance(right, Tensor):
        return None
    if not ask(Guard(matrix.shape[-1], node.shape[-1] + 1)):
        return None
    axes = axes_of(node)
    row, inner = axes[-2], Label(axes[-2].dim, max(axis.number for axis in axes if axis.dim == axes[-2].dim) + 1)
    batch = axes[:-2]
    entries = read(inverse(matrix), (*batch, inner, row) if transposed else (*batch, row, inner))
    values = read(right, (*batch, inner, axes[-1]))
    return tensor(contract([inner], [(entries, 1), (values, 1)]), axes)
