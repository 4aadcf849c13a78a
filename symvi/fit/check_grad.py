"""`sv.check_grad`: the gradient that symvi derives against a reference that uses no rule of differentiation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symvi.array.expression import Expr, array_of, as_expr
from symvi.calculus.derivatives import grad
from symvi.errors import GradientError
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Input, postorder
from symvi.expr.printing import text
from symvi.fit.leaves import Sizes, as_values, bind_array, collect_leaves
from symvi.oracle.gradient_check import _choose, numerical_gradient
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import random_sizes, random_values
from symvi.oracle.sizes import without_unit_axes

__all__ = ["GradientCheck", "check_grad"]

EXTENTS = (2, 3)  # of dims whose size nothing tells


@dataclass(frozen=True)
class Row:
    """The worst entry of the gradient by one leaf."""

    name: str
    error: float
    index: tuple[int, ...]
    found: float
    expected: float


@dataclass(frozen=True)
class GradientCheck:
    """What a check found, leaf by leaf; `print` it."""

    cost: str
    method: str
    tolerance: float
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        return all(row.error <= self.tolerance for row in self.rows)

    @property
    def max_error(self) -> float:
        return max((row.error for row in self.rows), default=0.0)

    def __str__(self) -> str:
        reference = {"complex": "a complex step", "mpmath": "60-digit central differences"}[self.method]
        lines = [f"gradient of {self.cost}, against {reference} (error = |found - expected| / max(1, |expected|))"]
        width = max((len(row.name) for row in self.rows), default=0)
        for row in self.rows:
            verdict = "agrees   " if row.error <= self.tolerance else "DISAGREES"
            place = f"[{', '.join(map(str, row.index))}]" if row.index else ""
            detail = f"largest error {row.error:.1e}"
            if row.error > self.tolerance:
                detail += f" at {row.name}{place}: found {row.found:.12g}, expected {row.expected:.12g}"
            lines.append(f"  {row.name:<{width}}  {verdict}  {detail}")
        return "\n".join(lines)


def check_grad(
    cost: Any,
    wrt: Any,
    values: Mapping[Any, Any] | None = None,
    sizes: Mapping | None = None,
    tolerance: float = 1e-9,
    seed: int = 0,
    verbose: bool = True,
) -> GradientCheck:
    """Check ∂ cost / ∂ leaf for one leaf or a list; GradientError with the report where they disagree.

    The reference differentiates the values of the cost as written (no rewrite, no derivative rule): by a complex step, or by central
    differences with 60 digits where a function is not complex-differentiable. Leaves without a value in `values` get
    one inside their support, drawn from `seed`, and sizes that nothing tells are 2 or 3.
    """
    cost = as_expr(cost)
    variables = list(wrt) if isinstance(wrt, (list, tuple)) else [wrt]
    gradients = grad(cost, variables)
    leaves, sizes = _values([cost, *gradients, *variables], values or {}, sizes, seed)
    method = _choose("auto", [cost.term])
    found = evaluate([array_of(g) for g in gradients], leaves, sizes)
    rows = []
    for variable, ours in zip(variables, found, strict=True):
        array = array_of(variable)
        expected = numerical_gradient(cost.term, array, leaves, sizes, method)
        rows.append(_worst(variable, np.broadcast_to(ours, expected.shape), expected))
    report = GradientCheck(text(cost, 60), method, tolerance, tuple(rows))
    if not report.passed:
        raise GradientError(str(report))
    if verbose:
        print(report)
    return report


def _values(
    expressions: list[Expr], given: Mapping[Any, Any], sizes: Mapping | None, seed: int
) -> tuple[dict[Leaf, np.ndarray], dict[str, int]]:
    """A value for every leaf: given, kept by the leaf itself, or random."""
    nodes = [expression.term for expression in expressions]
    leaves = collect_leaves(nodes)
    known = Sizes(sizes)
    found: dict[Leaf, np.ndarray] = {}
    taken = as_values(given, leaves, "check_grad")
    for leaf in leaves:
        value = taken.get(leaf, leaf.attributes.get("value"))
        if value is None and leaf.role == "param" and isinstance(leaf.init, np.ndarray):
            value = leaf.init
        if value is not None:
            array = bind_array(leaf, value, np.dtype(float))
            if array.ndim == len(leaf.shape):
                known.learn(leaf, array)
            found[leaf] = array
    rng = np.random.default_rng(seed)
    free = [node for node in postorder(nodes) if isinstance(node, Input) and node.leaf not in found]
    unknown = {name.name for node in free for dim in node.shape for name in dim.names if name.known is None} - set(known.values)
    if unknown:
        drawn = random_sizes(nodes, rng, EXTENTS)
        for name in sorted(unknown):
            known.set(name, drawn[name], "check_grad")
    drawn_values = random_values(nodes, known.values, rng)
    for leaf in leaves:
        shape = [dim.size(known.values) for dim in leaf.array_shape]
        if leaf not in found:
            found[leaf] = drawn_values[leaf]
        elif found[leaf].ndim == 0 and shape:
            found[leaf] = np.full(shape, found[leaf])
    return {leaf: without_unit_axes(leaf, value) for leaf, value in found.items()}, dict(known.values)


def _worst(variable: Expr, found: np.ndarray, expected: np.ndarray) -> Row:
    with np.errstate(all="ignore"):
        error = np.where(found == expected, 0.0, np.abs(found - expected) / np.maximum(1.0, np.abs(expected)))
    error = np.where(np.isnan(error), np.inf, error)
    if not error.size:
        return Row(variable.name, 0.0, (), 0.0, 0.0)
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(error)), error.shape))
    return Row(variable.name, float(error[index]), index, float(found[index]), float(expected[index]))
