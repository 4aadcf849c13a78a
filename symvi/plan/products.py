"""Sums and products arranged for loops: what is written once, in which order sums are taken, which products have a place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symvi.expr.dims import Dim
from symvi.expr.nodes import Term
from symvi.plan.clusters import Sizes
from symvi.plan.common_factors import factor_sums, join_contractions
from symvi.plan.contraction_order import Reordering, order_contractions
from symvi.plan.held_products import hold_products

__all__ = ["arrange_products"]

MOST_ROUNDS = 4  # a sum that was joined may let another be joined, once its parts are in a better order


def arrange_products(
    roots: Sequence[Term], plates: Sequence[Dim], passes: Callable[[Sequence[Term]], int]
) -> tuple[list[Term], list[Reordering]]:
    """The roots with their sums and products as they cost least, and the contractions that are not computed as typed.

    `plates` are the dims that data run over; `passes` counts the passes over them that some terms take.
    """
    size = Sizes(plates)
    ordered, reorderings = order_contractions(factor_sums(roots), plates, passes)
    for _ in range(MOST_ROUNDS):
        joined = join_contractions(ordered, size)
        if joined == ordered or passes(joined) > passes(ordered):
            break
        ordered, again = order_contractions(joined, plates, passes)
        reorderings += again
    return hold_products(ordered, size), reorderings
