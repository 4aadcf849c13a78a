"""Gradient checks: reverse and forward mode against a complex step or 50-digit central differences, entry by entry.

The reference is exact to rounding, so tolerances are of the order of rounding, never of a difference quotient. The
error of an entry is |found - expected| / max(1, |expected|): absolute near zero, relative elsewhere. Where a matrix is
symmetric by its facts, expressions see it as one, and the reference is symmetrised as the adjoint is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symvi.calculus.forward import pushforward
from symvi.calculus.reverse import gradients
from symvi.errors import GradientError
from symvi.expr.build import input_array, read_own, tensor
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import canonical_axes
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Apply, Input, Node, Operator, Term, postorder
from symvi.oracle.interpreter import evaluate, evaluate_one
from symvi.oracle.sizes import infer_sizes, without_unit_axes

__all__ = ["GradientReport", "check_gradient", "check_tangent", "numerical_gradient", "directional_derivative"]

COMPLEX_STEP = 1e-30
DIGITS = 60
STEP = "1e-20"  # the error of a central difference is of the order STEP^2


@dataclass(frozen=True)
class GradientReport:
    """What a check found: the worst entry, of which array, and both values there."""

    passed: bool
    max_error: float
    array: str
    index: tuple[int, ...]
    found: float
    expected: float
    method: str
    tolerance: float

    def __str__(self) -> str:
        verdict = "agrees" if self.passed else "disagrees"
        where = f"{self.array}{list(self.index) if self.index else ''}"
        numbers = f"{self.found:.17g}, expected {self.expected:.17g} (error {self.max_error:.3g})"
        return f"the derivative {verdict} with the {self.method} reference: {where} is {numbers}"

    def raise_if_failed(self) -> GradientReport:
        """The report itself, or a GradientError with its text."""
        if not self.passed:
            raise GradientError(str(self))
        return self


Values = Mapping[Leaf | Input, Any]
Arrays = Sequence[np.ndarray]


def check_gradient(
    scalar: Term,
    arrays: Sequence[Input],
    values: Values,
    sizes: Mapping[str, int] | None = None,
    tolerance: float = 1e-9,
    method: str = "auto",
) -> GradientReport:
    """Reverse mode of a scalar term by input arrays, at given values. `method` is auto, complex or mpmath."""
    values, sizes = _complete(values, sizes)
    method = _choose(method, [scalar])
    adjoints = [tensor(g, canonical_axes(array.shape)) for g, array in zip(gradients(scalar, arrays), arrays, strict=True)]
    found = evaluate(adjoints, values, sizes)
    expected = [numerical_gradient(scalar, array, values, sizes, method) for array in arrays]
    return _compare([array.name for array in arrays], found, expected, method, tolerance)


def check_tangent(
    outputs: Sequence[Term],
    arrays: Sequence[Input],
    values: Values,
    sizes: Mapping[str, int] | None = None,
    tolerance: float = 1e-9,
    method: str = "auto",
    seed: int = 0,
) -> GradientReport:
    """Forward mode of terms along a random direction in the input arrays."""
    values, sizes = _complete(values, sizes)
    method = _choose(method, outputs)
    rng = np.random.default_rng(seed)
    directions, moved = {}, {}
    for array in arrays:
        leaf = Leaf("data", f"d_{array.name}", array.leaf.shape, "f")
        directions[array] = read_own(input_array(leaf))
        moved[array.leaf] = _symmetrised(array, rng.standard_normal(values[array.leaf].shape))
        values[leaf] = moved[array.leaf]
    tangents = pushforward(outputs, directions)
    found = [np.broadcast_to(*_aligned(t, o, values, sizes)) for t, o in zip(tangents, outputs, strict=True)]
    expected = directional_derivative(outputs, moved, values, sizes, method)
    return _compare([f"output {number}" for number in range(len(outputs))], found, expected, method, tolerance)


def numerical_gradient(scalar: Term, array: Input, values: Values, sizes: Mapping[str, int], method: str) -> np.ndarray:
    """∂ scalar / ∂ array without any rule of differentiation: one evaluation or two per entry."""
    shape = np.shape(values[array.leaf])
    out = np.zeros(shape)
    for index in np.ndindex(shape):
        direction = np.zeros(shape)
        direction[index] = 1.0
        (out[index],) = directional_derivative([scalar], {array.leaf: direction}, values, sizes, method)
    return _symmetrised(array, out)


def directional_derivative(
    outputs: Sequence[Term],
    directions: Mapping[Leaf, np.ndarray],
    values: Values,
    sizes: Mapping[str, int],
    method: str,
) -> list[np.ndarray]:
    """The derivative of terms along directions in leaves, by a complex step or by central differences."""
    if method == "complex":
        moved = {leaf: values[leaf] + 1j * COMPLEX_STEP * direction for leaf, direction in directions.items()}
        return [np.imag(value) / COMPLEX_STEP for value in evaluate(outputs, {**values, **moved}, sizes)]
    import mpmath

    with mpmath.workdps(DIGITS):
        step = mpmath.mpf(STEP)

        def at(sign: int) -> list[np.ndarray]:
            moved = {leaf: _mp_step(values[leaf], direction, sign * step) for leaf, direction in directions.items()}
            return evaluate(outputs, {**values, **moved}, sizes, precision=DIGITS)

        return [np.asarray((up - down) / (2 * step)).astype(float) for up, down in zip(at(1), at(-1), strict=True)]


def _mp_step(value: np.ndarray, direction: np.ndarray, step) -> np.ndarray:
    import mpmath

    out = np.empty(np.shape(value), dtype=object)
    for index in np.ndindex(out.shape):
        out[index] = mpmath.mpf(float(value[index])) + step * float(direction[index])
    return out


def _complete(values: Values, sizes: Mapping[str, int] | None) -> tuple[dict[Leaf, np.ndarray], dict[str, int]]:
    """Values by leaf, in array shape, and all sizes that they tell."""
    leaves = {key.leaf if isinstance(key, Input) else key: value for key, value in values.items()}
    leaves = {leaf: without_unit_axes(leaf, value) for leaf, value in leaves.items()}
    leaves = {leaf: value.astype(float) if leaf.kind == "f" else value for leaf, value in leaves.items()}
    return leaves, infer_sizes(leaves.items(), sizes)


def _choose(method: str, outputs: Iterable[Node]) -> str:
    if method != "auto":
        return method
    return "complex" if all(_is_holomorphic(node) for node in postorder(outputs)) else "mpmath"


def _is_holomorphic(node: Node) -> bool:
    if isinstance(node, Apply):
        return node.function.holomorphic
    return getattr(node.atom, "holomorphic", True) if isinstance(node, Operator) else True


def _aligned(tangent: Term, output: Term, values: Values, sizes: Mapping[str, int]) -> tuple[np.ndarray, tuple[int, ...]]:
    """A tangent on the axes of its output, and the output's shape: a tangent may lack labels along which it is constant."""
    value = evaluate_one(tangent, values, sizes)
    labels = output.sorted_labels()
    shape = tuple(label.dim.size(sizes) for label in labels)
    return value.reshape([extent if label in tangent.labels else 1 for label, extent in zip(labels, shape, strict=True)]), shape


def _symmetrised(array: Input, value: np.ndarray) -> np.ndarray:
    return (value + np.swapaxes(value, -1, -2)) / 2 if "symmetric" in matrix_facts(array) else value


def _compare(names: Sequence[str], found: Arrays, expected: Arrays, method: str, tolerance: float) -> GradientReport:
    """The worst entry of all arrays. Equal infinities agree; nan agrees with nothing."""
    worst = (0.0, "", (), 0.0, 0.0)
    for name, f, e in zip(names, found, expected, strict=True):
        with np.errstate(all="ignore"):
            error = np.where(f == e, 0.0, np.abs(f - e) / np.maximum(1.0, np.abs(e)))
        error = np.where(np.isnan(error), np.inf, error)
        for index in np.ndindex(error.shape):
            if error[index] > worst[0] or not worst[1]:
                worst = (float(error[index]), name, index, float(f[index]), float(e[index]))
    return GradientReport(bool(worst[0] <= tolerance), *worst, method, tolerance)
