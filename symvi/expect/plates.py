"""The plates of a model: dims whose rows are conditionally independent, read off its log-densities."""

from __future__ import annotations

from collections.abc import Iterable

from symvi.array.expression import Expr
from symvi.errors import PlateError
from symvi.expect.minibatch import check_plate
from symvi.expr.dims import Dim
from symvi.expr.nodes import Contract, postorder
from symvi.stats.model import Model

__all__ = ["find_plates", "plate_obstacle"]


def find_plates(model: Model, among: Iterable[Dim] | None = None) -> frozenset[Dim]:
    """The named dims over which every term of the joint log-density is a sum that reads each row at its own index.

    `among` restricts the candidates (the dims of the data of a fit, say); without it all named dims of the model.
    """
    candidates = _dims_of(model) if among is None else {dim for dim in among if dim.is_name}
    return frozenset(dim for dim in candidates if plate_obstacle(model, dim) is None)


def plate_obstacle(model: Model, dim: Dim) -> str | None:
    """Why a dim is not a plate of the model, as a message, or None if it is one."""
    terms = list(model.terms.values())
    try:
        for term in terms:
            check_plate(term.term, dim)
    except PlateError as error:
        return str(error)
    if not any(_sums_over(term, dim) for term in terms):
        return f"nothing is summed over {dim}"
    return None


def _sums_over(expression: Expr, dim: Dim) -> bool:
    return any(isinstance(node, Contract) and any(label.dim == dim for label in node.bound) for node in postorder([expression.term]))


def _dims_of(model: Model) -> set[Dim]:
    shapes = [variable.shape for variable in model.variables.values()] + [leaf.shape for leaf in model.data.values()]
    return {dim for shape in shapes for dim in shape if dim.is_name}
