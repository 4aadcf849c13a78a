"""Mean and variance of an expression that is affine in Gaussian latents: E log N(y | f, s) is then known without draws.

    f(u) = f(E u) + J (u - E u),   Var f = Σ_blocks Σ_p (Σ_d J[., d] root[d, p])²

J is found by forward mode along all directions at once (a unit vector per entry, as a delta on a new label); f is affine
in the latents when J no longer reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

from symvi.array.expression import Expr, axes_for, leaf_expr, on_axes
from symvi.calculus.forward import pushforward
from symvi.expect.approximation import Block
from symvi.expect.discontinuity import jump_of
from symvi.expect.lift import lift
from symvi.expr import build
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Delta, Term, postorder

__all__ = ["affine_moments", "WIDEST_JOINT"]

FAR = 1000  # numbers of labels that no expression uses
WIDEST_JOINT = 64  # dims of a joint block up to which a dense J root is formed for every entry of f


def affine_moments(f: Expr, latents: Sequence[tuple[Leaf, Block]]) -> tuple[Expr, Expr] | str:
    """(E f, Var f), elementwise over the axes of f, or the reason why they are not known.

    `latents` are those of Gaussian blocks, with the identity as transform; every other variable in f counts as given.
    """
    jump = jump_of(f, {leaf for leaf, _ in latents})
    if jump is not None:
        return f"it chooses by the value of a latent ({jump})"
    inputs = {leaf: build.input_array(leaf) for leaf, _ in latents}
    jacobians: dict[Leaf, Term] = {}
    for leaf, _ in latents:
        own = [axis for axis in leaf_expr(leaf).axes if axis is not None]
        direction = build.multiply([(build.delta(axis, Label(axis.dim, FAR + axis.number)), 1) for axis in own])
        jacobians[leaf] = pushforward([f.term], {inputs[leaf]: direction})[0]
    for jacobian in jacobians.values():
        if any(node in inputs.values() for node in postorder([jacobian])):
            return "it is not linear in the latents"
    variances = []
    for block in dict.fromkeys(block for _, block in latents):
        members = [leaf for leaf, owner in latents if owner is block]
        found = _block_variance(block, members, jacobians)
        if isinstance(found, str):
            return found
        variances.append((1, found))
    (mean,) = lift([f], {leaf_expr(leaf): block.moments[leaf].mean for leaf, block in latents})
    return Expr(mean, f.axes, f.shape), Expr(build.add(variances), f.axes, f.shape)


def _block_variance(block: Block, members: Sequence[Leaf], jacobians: dict[Leaf, Term]) -> Term | str:
    """Var of the part of f that one block moves."""
    moments = [block.moments[leaf] for leaf in members]
    if all(each.root is None for each in moments):
        if len(members) > 1:
            return f"the covariance of {' and '.join(leaf.name for leaf in members)} under {block.family} is not at hand"
        (leaf,), (each,) = members, moments
        if block.family.startswith("low rank"):
            return f"the covariance of {leaf.name} under {block.family} is not at hand"
        far = _far_axes(leaf)
        return build.contract([axis for axis in far if axis is not None], [(jacobians[leaf], 2), (on_axes(each.variance, far), 1)])
    sparse = all(any(isinstance(node, Delta) for node in postorder([jacobians[leaf]])) or not leaf.array_shape for leaf in members)
    if not sparse and not (block.size.value is not None and block.size.value <= WIDEST_JOINT):
        return f"it would take {block.size} times the work of a draw"
    rows, column = [], Label(block.size, 2 * FAR)
    plates: set[Label] = set()
    for leaf, each in zip(members, moments, strict=True):
        far = _far_axes(leaf)
        axes = [*far, None if each.root.axes[-1] is None else column]
        bound = [axis for axis in far if axis is not None and axis.dim not in block.plates]
        plates |= {axis for axis in far if axis is not None and axis.dim in block.plates}
        rows.append((1, build.contract(bound, [(jacobians[leaf], 1), (on_axes(each.root, axes), 1)])))
    total = build.add(rows)
    return build.contract([*plates, *([column] if column in total.labels else [])], [(total, 2)])


def _far_axes(leaf: Leaf) -> list[Label | None]:
    """The labels of a direction, axis by axis of the latent; None for an axis of extent 1."""
    return [None if axis is None else Label(axis.dim, FAR + axis.number) for axis in axes_for(leaf.shape)]
