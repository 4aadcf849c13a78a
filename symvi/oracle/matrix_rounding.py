"""Does a rule about matrices worsen floating error? Norms of errors over matrices of growing condition.

Single errors are luck; so each level of condition compares the geometric means of several matrices. `exact` and
`stabilise`: at most twice the mean error of the left side. `reassociate`: also at most 10 condition numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Node
from symvi.oracle.random_inputs import random_sizes, random_values
from symvi.oracle.rule_sides import Sides
from symvi.rewrite.rule import Rule

__all__ = ["matrix_rounding"]

EPS = 2.0**-52
SAMPLES = 5
DIGITS = 50
CONDITIONS = (1.0, 1e4, 1e9)
NEGLIGIBLE = 32 * EPS  # of the norm: a few operations on matrices of order 4


def matrix_rounding(rule: Rule, before: Node, after: Node, rng: np.random.Generator) -> Iterator[str]:
    """The right side errs no more than the left one."""
    sides = Sides(before, after)
    for condition in CONDITIONS:
        errors = []
        for _ in range(SAMPLES):
            sizes = random_sizes([before, after], rng, (2, 3, 4))
            values = {leaf: _conditioned(leaf, v, condition) for leaf, v in random_values([before, after], sizes, rng).items()}
            left, right = sides.at(values, sizes)
            truth = sides.at(values, sizes, DIGITS, both=False).astype(float)
            if np.isfinite(truth).all():
                errors.append([_relative(side, truth) for side in (left, right)])
        if not errors:
            continue
        means = np.exp(np.mean(np.log(np.maximum(errors, EPS / 16)), axis=0))
        allowed = max(NEGLIGIBLE, 2 * means[0], 10 * condition * EPS if rule.kind == "reassociate" else 0.0)
        if not means[1] <= allowed:
            yield (
                f"rounds worse: at matrices of condition {condition:.0e} the relative error is {means[1]:.2g} on the right, "
                f"{means[0]:.2g} on the left"
            )
            return


def _relative(side: np.ndarray, truth: np.ndarray) -> float:
    scale = np.abs(truth).max(initial=0.0) + 5e-324
    error = np.abs(side - truth).max(initial=0.0) / scale
    return float(error) if np.isfinite(error) else np.inf


def _conditioned(leaf: Leaf, value: np.ndarray, condition: float) -> np.ndarray:
    """A stack of square matrices with its singular values spread over `condition`: symmetry, definiteness and triangles are kept."""
    shape = np.shape(value)
    if leaf.kind != "f" or len(shape) < 2 or shape[-1] != shape[-2] or condition == 1:
        return value
    spread = np.geomspace(1, 1 / condition, max(shape[-1], 1))[: shape[-1]]
    if not np.triu(value, 1).any():  # triangular or diagonal: rows and columns scaled alike
        return value * np.sqrt(spread)[:, None] * np.sqrt(spread)[None, :]
    if np.array_equal(value, np.swapaxes(value, -1, -2)):
        values, vectors = np.linalg.eigh(value)
        result = (vectors * (np.sign(values) * spread)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
        return (result + np.swapaxes(result, -1, -2)) / 2
    left, _, right = np.linalg.svd(value)
    return (left * spread) @ right
