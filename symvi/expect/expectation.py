"""`sv.expect`: the expectation of an expression over given distributions, by draws through which gradients pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symvi.array.expression import Expr, as_expr, mistake
from symvi.errors import ModelError
from symvi.expect.lift import lift
from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.dims import dim as new_dim
from symvi.expr.labels import Label

__all__ = ["expect"]


def expect(expression: Any, over: Mapping[Expr, Any], particles: int | Dim = 1) -> Expr:
    """E[expression] with each leaf `z` of `over` distributed as `over[z]` (a distribution or random variable), independently.

    An average over `particles` draws, elementwise over the axes of the expression. Exact where the expression is one of the
    leaves and its distribution has a mean, or reads none of them.
    """
    expression = as_expr(expression)
    distributions = {z: getattr(q, "dist", q) for z, q in over.items()}
    for z, q in distributions.items():
        if z.leaf is None:
            raise mistake(f"expect integrates over leaves (random variables, parameters, data), {z!r} is none", ModelError)
        if q.shape != z.shape:
            q = distributions[z] = q.family.dist(**q.parameters, shape=z.shape, support=q.support if q.restricted else None)
    if expression.leaf is not None and expression in distributions and not distributions[expression].restricted:
        if distributions[expression].family.mean(distributions[expression].p) is not None:
            return distributions[expression].mean
    leading = (
        None if isinstance(particles, int) and particles == 1 else particles if isinstance(particles, Dim) else new_dim("S", int(particles))
    )
    front = () if leading is None else (leading,)
    draws = {}
    for z, q in distributions.items():
        draws[z] = q.sample(q.noise(f"eps_{z.name}", *front))
    (term,) = lift([expression], draws, leading)
    label = Label(leading, 0) if leading is not None else None
    if label in term.labels:
        term = build.multiply([(build.contract([label], [(term, 1)]), 1), (build.size(leading), -1)])
    return Expr(term, expression.axes, expression.shape)
