"""`sv.deterministic` and `sv.factor`: expressions of a model that carry a name.

Both are noted on the latents that they read, so a model finds the deterministics of its variables and warns of a factor
that reads them and is not among its roots.
"""

from __future__ import annotations

from typing import Any

from symvi.array.expression import Expr, as_expr, mistake
from symvi.array.substitution import leaves_of
from symvi.errors import ExpressionError
from symvi.expr import provenance

__all__ = ["Named", "Factor", "deterministic", "factor"]


class Named(Expr):
    """An expression with a name of its own: the value is the expression itself."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self.__dict__["_name"]

    @property
    def site(self):
        return self.__dict__["_site"]


class Factor(Named):
    """A term that is added to the log-density of a model."""

    __slots__ = ()


def _named(kind: type[Named], name: str, expression: Any, note: str) -> Named:
    if not isinstance(name, str) or not name:
        raise mistake(f"a {note} needs a name, not {name!r}", ExpressionError)
    expression = as_expr(expression)
    result = kind(expression.term, expression.axes, expression.shape)
    result.__dict__.update(_name=name, _site=provenance.here())
    for leaf in leaves_of(result):
        if leaf.role == "latent":
            leaf.attributes.setdefault(note, []).append(result)
    return result


def deterministic(name: str, expression: Any) -> Named:
    """A named expression: `theta = sv.deterministic("theta", mu + tau * z)` appears in summaries and can be asked for by name."""
    return _named(Named, name, expression, "deterministic")


def factor(name: str, expression: Any) -> Factor:
    """A term of the log-density; its entries are summed. Pass it to the model: `sv.Model(y, penalty)`."""
    return _named(Factor, name, expression, "factor")
