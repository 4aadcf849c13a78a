"""Identities that other systems apply and the catalogue does not: each rounds worse than what it would replace.

A test shows it for every row, with the same check that the rules pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from symvi.atoms.elementwise import log
from symvi.expr.nodes import Term

__all__ = ["LEFT_OUT", "LeftOut"]


class LeftOut(NamedTuple):
    """An identity as text, why it is left out, and its sides as a function of positive terms."""

    identity: str
    reason: str
    sides: Callable[..., tuple[Term, Term]]


LEFT_OUT = (
    LeftOut(
        "log(x) + log(y) = log(x y), for x, y > 0",
        "x y over- and underflows where both logarithms are ordinary numbers",
        lambda x, y: (log(x) + log(y), log(x * y)),
    ),
    LeftOut(
        "log(x) - log(y) = log(x / y), for x, y > 0",
        "x / y over- and underflows where both logarithms are ordinary numbers",
        lambda x, y: (log(x) - log(y), log(x / y)),
    ),
)
