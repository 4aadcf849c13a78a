"""`check=True`: do the facts that the user stated (`sv.assume`) hold for the data at hand?

The expressions of which facts are stated are evaluated by the reference interpreter; the first fact that fails is told with the
expression, the line that states it and the worst offending element.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from symvi.errors import DataError
from symvi.expr.facts import asserted, stated_below, stated_interval, stated_site
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Array, Input, Node, Tensor, postorder
from symvi.expr.printing import text
from symvi.expr.provenance import hint_of
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import random_value

__all__ = ["FactCheck"]

RELATIVE = {"float64": 1e-8, "float32": 1e-4}  # of the largest entry: what rounding may add


class FactCheck:
    """The facts stated of what an expression is made of, ready to be compared with data."""

    def __init__(self, roots: Iterable[Node], dtype: str = "float64"):
        self.arrays: list[Array] = stated_below(roots)
        self.leaves = {node.leaf for node in postorder(self.arrays) if isinstance(node, Input)}
        self.relative = RELATIVE[dtype]

    def __call__(self, values: Mapping[Leaf, np.ndarray], sizes: Mapping[str, int]) -> None:
        """DataError for the first fact that these values contradict. Noise that is not given is drawn once."""
        if not self.arrays:
            return
        rng = np.random.default_rng(0)
        known = {leaf: values[leaf] if leaf in values else random_value(leaf, sizes, rng) for leaf in self.leaves}
        for array, value in zip(self.arrays, evaluate(self.arrays, known, sizes), strict=True):
            wrong = self._contradiction(array, np.asarray(value))
            if wrong:
                raise DataError(_message(array, *wrong))

    def _contradiction(self, array: Array, value: np.ndarray) -> tuple[str, str] | None:
        """(fact, what the data say) for the first fact that fails."""
        bounds = stated_interval(array)
        facts = asserted(array)
        for fact, test in _TESTS.items():
            if fact in facts and value.size:
                found = test(value, self.relative * float(np.abs(value).max()))
                if found:
                    return fact, found
        found = _outside(value, *bounds) if bounds is not None else None
        (fact,) = [fact for fact in facts if fact not in _TESTS] if bounds is not None else [""]
        return (fact, found) if found else None


def _message(array: Array, fact: str, found: str) -> str:
    shown = text(array.term if isinstance(array, Tensor) else array, 60)
    name = hint_of(array.term) if isinstance(array, Tensor) else None
    site = stated_site(array)
    place = f"  [{site}]" if site else ""
    return f"{f'{name} = ' if name else ''}{shown} was assumed {fact.replace('_', ' ')}, but {found} for these data{place}"


# ------------------------------------------------------------------------------------------------- what contradicts a fact
def _worst(excess: np.ndarray, allowed: float) -> tuple[int, ...] | None:
    """The index of the largest excess beyond what is allowed; NaN is the worst of all."""
    excess = np.where(np.isnan(excess), np.inf, excess)
    index = np.unravel_index(int(np.argmax(excess)), excess.shape)
    return tuple(int(i) for i in index) if excess[index] > allowed else None


def _entry(value: np.ndarray, index: tuple[int, ...]) -> str:
    return f"entry {list(index)} is {value[index]:.6g}"


def _asymmetry(value: np.ndarray, allowed: float) -> str | None:
    flipped = np.swapaxes(value, -1, -2)
    index = _worst(np.abs(value - flipped), allowed)
    return None if index is None else f"it is not symmetric: {_entry(value, index)}, its mirror image {flipped[index]:.6g}"


def _negative_direction(value: np.ndarray, allowed: float) -> str | None:
    least = np.linalg.eigvalsh((value + np.swapaxes(value, -1, -2)) / 2)[..., 0] if np.isfinite(value).all() else np.array(np.nan)
    index = _worst(-least, allowed)
    where = f" in matrix {list(index)}" if index else ""
    return None if index is None else f"its smallest eigenvalue is {least[index]:.3g}{where}"


def _no_factor(value: np.ndarray, allowed: float) -> str | None:
    """Definite is what has a Cholesky factor; a zero eigenvalue is told as rounding makes it."""
    try:
        np.linalg.cholesky(value)
    except np.linalg.LinAlgError:
        least = float(np.linalg.eigvalsh((value + np.swapaxes(value, -1, -2)) / 2).min())
        return f"it has no Cholesky factor: its smallest eigenvalue is {least:.3g}"
    return None


def _definite(value: np.ndarray, allowed: float) -> str | None:
    return _asymmetry(value, allowed) or _negative_direction(value, allowed)


def _where(mask_of):
    """A test that the entries under a mask are zero."""

    def test(value: np.ndarray, allowed: float) -> str | None:
        index = _worst(np.abs(np.where(mask_of(np.ones(value.shape[-2:], dtype=bool)), value, 0.0)), 0.0)
        return None if index is None else _entry(value, index)

    return test


def _not_orthogonal(value: np.ndarray, allowed: float) -> str | None:
    product = np.swapaxes(value, -1, -2) @ value
    index = _worst(np.abs(product - np.eye(value.shape[-1])), allowed)
    return None if index is None else f"{_entry(product, index)} in Q' Q"


def _diagonal_not_positive(value: np.ndarray, allowed: float) -> str | None:
    entries = np.diagonal(value, axis1=-2, axis2=-1)
    index = _worst(np.where(entries > 0, -1.0, 1.0), 0.0)
    return None if index is None else f"diagonal {_entry(entries, index)}"


def _outside(value: np.ndarray, lo: float, hi: float) -> str | None:
    value = np.asarray(value, dtype=float)
    if not value.size:
        return None
    distance = np.where(np.isnan(value), np.inf, np.maximum(lo - value, value - hi))
    index = _worst(np.where((value >= lo) & (value <= hi), -1.0, np.maximum(distance, 5e-324)), 0.0)
    return None if index is None else (_entry(value, index) if index else f"it is {value[()]:.6g}")


_TESTS = {
    "spd": lambda value, allowed: _definite(value, allowed) or _no_factor(value, allowed),
    "psd": _definite,
    "symmetric": _asymmetry,
    "diagonal": _where(lambda ones: ~np.eye(len(ones), dtype=bool)),
    "lower": _where(lambda ones: np.triu(ones, 1)),
    "upper": _where(lambda ones: np.tril(ones, -1)),
    "orthogonal": _not_orthogonal,
    "positive_diagonal": _diagonal_not_positive,
}
