"""Is the value of every node the same before and after a pass? Tried on tiny random shapes and values.

Where the expression before the pass is not finite in float64 (an overflow that the pass may have been written to
avoid), both are compared with 50 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from symvi.errors import SymviError
from symvi.expr import provenance
from symvi.expr.labels import sort_labels
from symvi.expr.nodes import Node, Term
from symvi.expr.printing import text
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import random_sizes, random_values

__all__ = ["PassError", "check_pass"]

DIGITS = 50


class PassError(SymviError):
    """A pass changed the value of an expression: a bug of symvi, with the node, the inputs and both values named."""


def check_pass(
    before: Sequence[Node],
    after: Sequence[Node],
    seed: int = 0,
    trials: int = 2,
    tolerance: float = 1e-9,
    guard: Callable[[Mapping[str, int]], bool] | None = None,
) -> None:
    """Raise PassError where a node of `after` differs from its partner in `before` at random inputs.

    Inputs satisfy the kinds and supports of the leaves; `guard` narrows the sizes to those for which the pass holds.
    """
    if len(before) != len(after):
        raise PassError(f"the pass took {len(before)} expressions and gave {len(after)}")
    rng = np.random.default_rng(seed)
    both = [*before, *after]
    for _ in range(trials):
        sizes = random_sizes(both, rng, guard=guard)
        values = random_values(both, sizes, rng)
        _check_once(before, after, values, sizes, tolerance)


def _check_once(before, after, values, sizes, tolerance) -> None:
    found = evaluate([*before, *after], values, sizes)
    doubtful = []
    for position, (b, a, left, right) in enumerate(zip(before, after, found, found[len(before) :], strict=False)):
        if _agree(*_aligned(b, a, left, right), tolerance):
            continue
        if np.isfinite(left).all():
            raise PassError(_message(b, a, left, right, values))
        doubtful.append(position)
    if doubtful:
        exact = evaluate([*(before[k] for k in doubtful), *(after[k] for k in doubtful)], values, sizes, precision=DIGITS)
        for position, left, right in zip(doubtful, exact, exact[len(doubtful) :], strict=False):
            left, right = left.astype(float), right.astype(float)
            if not _agree(*_aligned(before[position], after[position], left, right), tolerance):
                raise PassError(_message(before[position], after[position], left, right, values))


def _aligned(before: Node, after: Node, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both values on the union of their labels: a pass may drop a label along which the value is constant."""
    if not isinstance(before, Term):
        return left, right
    labels = sort_labels(before.labels | after.labels)

    def spread(node: Term, value: np.ndarray) -> np.ndarray:
        extents = iter(value.shape)
        return value.reshape([next(extents) if label in node.labels else 1 for label in labels])

    return spread(before, left), spread(after, right)


def _agree(left: np.ndarray, right: np.ndarray, tolerance: float) -> bool:
    try:
        left, right = np.broadcast_arrays(left, right)
    except ValueError:
        return False
    return bool(np.allclose(right, left, rtol=tolerance, atol=tolerance, equal_nan=True))


def _message(before: Node, after: Node, left: np.ndarray, right: np.ndarray, values: Mapping) -> str:
    site = provenance.site_of(before)
    place = f" of {site}" if site is not None else ""
    inputs = "; ".join(f"{leaf.name} = {np.array2string(value, threshold=20)}" for leaf, value in values.items())
    return f"a pass changed a value{place}: {text(before)} is {left}, {text(after)} is {right}, at {inputs}"
