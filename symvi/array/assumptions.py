"""`sv.assume`: facts that cannot be derived, stated by the user."""

from __future__ import annotations

from typing import Any

from symvi.array.expression import Expr, array_of, as_expr, mistake, shape_text
from symvi.array.matrices import diagonal as diagonal_of
from symvi.errors import ExpressionError
from symvi.expr.facts import MATRIX_FACTS, assert_fact
from symvi.expr.printing import text

__all__ = ["assume", "spd", "psd", "symmetric", "lower"]

SCALAR_FACTS = ("positive", "nonnegative")


class Fact(str):
    """A fact that `sv.assume` states."""

    __slots__ = ()


spd, psd, symmetric, lower = (Fact(name) for name in ("spd", "psd", "symmetric", "lower"))
diagonal_of.fact_name = "diagonal"  # `sv.assume(D, sv.diagonal)`: the function that takes the diagonal also names the fact


def assume(a: Any, *facts: Any) -> Expr:
    """State facts that cannot be derived: `sv.assume(K, sv.spd)`. Returns the same expression.

    Facts of matrices (last two axes): `spd psd symmetric lower diagonal`; of numbers: `sv.positive`, `sv.nonnegative`.
    """
    a = as_expr(a)
    for fact in facts:
        name = getattr(fact, "fact_name", None) or fact
        if name in MATRIX_FACTS:
            if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
                raise mistake(f"assume: {name} is a fact of square matrices, {text(a)} has dims {shape_text(a.shape)}")
            if a.axes[-1] is not None:
                array = array_of(a)
                a.term.memo.setdefault("stated", set()).add(array)  # the array lives, and its facts with it, as long as the expression
                assert_fact(array, name)
        elif name in SCALAR_FACTS:
            assert_fact(a.term, name)
        else:
            raise mistake(f"assume knows the facts {', '.join((*MATRIX_FACTS, *SCALAR_FACTS))}, not {fact!r}", ExpressionError)
    return a
