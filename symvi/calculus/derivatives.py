"""Derivatives of expressions: grad, vjp, jvp, jacobian, hessian, hvp. Each first runs the stabilise stage on its argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symvi.array.expression import Expr, array_of, as_expr, axes_for, mistake, on_axes, shape_text
from symvi.calculus.forward import pushforward
from symvi.calculus.reverse import pullback
from symvi.errors import GradientError
from symvi.expr import build
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.nodes import Array, Term
from symvi.expr.printing import text
from symvi.rules import stabilise

__all__ = ["grad", "vjp", "jvp", "jacobian", "hessian", "hvp", "value_and_grad"]


def _arrays(variables: Sequence[Expr]) -> list[Array]:
    arrays = []
    for variable in variables:
        if not isinstance(variable, Expr) or variable.leaf is None:
            raise mistake(
                f"derivatives are taken by leaves (parameters, shared variables, data), not by {variable!r}; "
                "make what you differentiate by a leaf of its own and replace it with .subs({leaf: expression})",
                GradientError,
            )
        if variable.kind != "f":
            kind = variable.dtype.__name__
            raise mistake(
                f"{variable.name} holds {kind} values, so there is no derivative by it; declare it with dtype=float", GradientError
            )
        arrays.append(array_of(variable))
    return arrays


def _one_or_many(variables: Any) -> tuple[list[Expr], bool]:
    many = isinstance(variables, (list, tuple))
    return (list(variables) if many else [variables]), many


def _expr(term: Term, variable: Expr) -> Expr:
    return Expr(term, variable.axes, variable.shape)


def _scalar(cost: Any) -> Term:
    cost = as_expr(cost)
    if cost.shape and any(dim != 1 for dim in cost.shape):
        told = f"{text(cost)} has dims {shape_text(cost.shape)}"
        raise mistake(f"grad takes a scalar, {told}; take its sum, or use sv.jacobian or sv.vjp", GradientError)
    if cost.kind != "f":
        raise mistake(f"{text(cost)} is not real-valued, so it has no gradient", GradientError)
    return stabilise([cost.term])[0]


def grad(cost: Any, wrt: Any):
    """The gradient of a scalar by one leaf or a list of leaves, each of the leaf's shape. One sweep for all."""
    variables, many = _one_or_many(wrt)
    terms = pullback([(_scalar(cost), build.one)], _arrays(variables))
    results = [_expr(term, variable) for term, variable in zip(terms, variables, strict=True)]
    return results if many else results[0]


def value_and_grad(cost: Any, wrt: Any):
    """(cost, gradients): both share what they have in common."""
    return as_expr(cost), grad(cost, wrt)


def vjp(output: Any, wrt: Any, cotangent: Any):
    """cotangent' J: `cotangent` has the shape of the output."""
    output, cotangent = as_expr(output), as_expr(cotangent)
    variables, many = _one_or_many(wrt)
    if cotangent.shape != output.shape:
        raise mistake(f"vjp: the cotangent has dims {shape_text(cotangent.shape)}, the output {shape_text(output.shape)}", GradientError)
    terms = pullback([(stabilise([output.term])[0], cotangent.term)], _arrays(variables))
    results = [_expr(term, variable) for term, variable in zip(terms, variables, strict=True)]
    return results if many else results[0]


def jvp(output: Any, wrt: Any, tangents: Any) -> Expr:
    """J tangent: the derivative of the output along directions of the leaves."""
    output = as_expr(output)
    variables, many = _one_or_many(wrt)
    directions = [as_expr(t) for t in (tangents if many else [tangents])]
    mapping = {}
    for variable, array, direction in zip(variables, _arrays(variables), directions, strict=True):
        if direction.shape != variable.shape:
            told = f"the tangent of {variable.name} has dims {shape_text(direction.shape)}"
            raise mistake(f"jvp: {told}, not {shape_text(variable.shape)}", GradientError)
        mapping[array] = direction.term
    (term,) = pushforward(stabilise([output.term]), mapping)
    return Expr(term, output.axes, output.shape)


def jacobian(output: Any, wrt: Any):
    """∂ output / ∂ leaf: the axes of the output, then those of the leaf. By forward mode, one direction per entry, symbolically."""
    output = as_expr(output)
    variables, many = _one_or_many(wrt)
    results = [_jacobian(output, variable, array) for variable, array in zip(variables, _arrays(variables), strict=True)]
    return results if many else results[0]


def _jacobian(output: Expr, variable: Expr, array: Array) -> Expr:
    shape = (*output.shape, *variable.shape)
    axes = axes_for(shape)
    own = canonical_axes(array.shape)
    offset = 1 + max((label.number for label in (*output.term.labels, *own)), default=0) + len(shape)
    fresh = [Label(label.dim, offset + position) for position, label in enumerate(own)]
    direction = build.multiply([(build.delta(label, other), 1) for label, other in zip(own, fresh, strict=True)])
    (term,) = pushforward(stabilise([output.term]), {array: direction})
    target = dict(zip(fresh, [axis for axis in axes[output.ndim :] if axis is not None], strict=True))
    target.update({old: new for old, new in zip(output.axes, axes[: output.ndim], strict=True) if old is not None})
    return Expr(build.rename(term, target), axes, shape)


def hvp(cost: Any, wrt: Any, vectors: Any):
    """Hessian times vector, by forward mode over the gradient."""
    variables, many = _one_or_many(wrt)
    directions = [as_expr(v) for v in (vectors if many else [vectors])]
    gradients = grad(cost, variables)
    arrays = _arrays(variables)
    terms = pushforward(
        stabilise([g.term for g in gradients]),
        {array: on_axes(direction, variable.axes) for array, variable, direction in zip(arrays, variables, directions, strict=True)},
    )
    results = [_expr(term, variable) for term, variable in zip(terms, variables, strict=True)]
    return results if many else results[0]


def hessian(cost: Any, wrt: Any):
    """The matrix of second derivatives by one leaf (its axes twice); a list of leaves gives a list of rows."""
    variables, many = _one_or_many(wrt)
    gradients = grad(cost, variables)
    rows = [[jacobian(g, variable) for variable in variables] for g in gradients]
    return rows if many else rows[0][0]
