"""The data of a fit: which variables are observed, their values by leaf, checked against supports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symvi.array.expression import Expr
from symvi.errors import DataError
from symvi.expr.leaf import Leaf
from symvi.fit.leaves import Sizes
from symvi.stats.model import Model
from symvi.stats.random_variable import RandomVariable, data_twin

__all__ = ["Observations", "observe"]


@dataclass
class Observations:
    """Values by leaf (the leaves that stand for observed variables among them)."""

    observed: dict[str, RandomVariable]
    latent: dict[str, RandomVariable]
    values: dict[Leaf, np.ndarray]
    missing: dict[str, RandomVariable] = field(default_factory=dict)

    @property
    def incomplete(self) -> list[Leaf]:
        """Leaves with missing entries."""
        return [data_twin(variable).leaf for variable in self.missing.values()]

    def rows(self) -> int:
        """The longest first axis among the data."""
        return max((array.shape[0] for array in self.values.values() if array.ndim), default=1)

    def count(self) -> int:
        """How many observed values enter the likelihood."""
        total = 0
        for variable in self.observed.values():
            array = self.values[data_twin(variable).leaf]
            size = array.size
            if variable.name in self.missing:
                size -= int(_gaps(array).sum())
            total += size
        return total


def observe(model: Model, data: Mapping[Any, Any], sizes: Sizes, missing: str = "error") -> Observations:
    """Match the user's dictionary with the model. Errors name the variable, the value and its index."""
    if missing not in ("error", "drop"):
        raise DataError(f'missing is "error" or "drop", not {missing!r}')
    observed, latent = model.split(data)
    if not latent:
        raise DataError("every random variable of the model has data, so there is nothing to fit")
    result = Observations(observed, latent, {})
    for key, value in data.items():
        name = key if isinstance(key, str) else key.name
        variable = observed.get(name)
        leaf = data_twin(variable).leaf if variable is not None else model.data[name]
        array = _numbers(name, value)
        sizes.learn(leaf, array)
        if variable is not None:
            array = _check_observed(variable, array, missing, result)
        result.values[leaf] = array
    return result


def _numbers(name: str, value: Any) -> np.ndarray:
    if isinstance(value, Expr):
        raise DataError(f"the value of {name} in data is an expression; it must be an array of numbers")
    array = np.asarray(value)
    if array.dtype.kind == "O":
        try:
            array = array.astype(float)
        except (TypeError, ValueError):
            raise DataError(f"{name} holds objects that are not numbers") from None
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} has dtype {array.dtype}; it must hold numbers")
    return array


def _gaps(array: np.ndarray) -> np.ndarray:
    return np.isnan(array) if array.dtype.kind == "f" else array < 0


def _check_observed(variable: RandomVariable, array: np.ndarray, missing: str, result: Observations) -> np.ndarray:
    support = variable.support
    gaps = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    if gaps.any():
        index = tuple(int(i) for i in np.argwhere(gaps)[0])
        if missing == "error":
            raise DataError(
                f"{variable.name} is NaN at index {', '.join(map(str, index))} ({int(gaps.sum())} entries in all); "
                'missing="drop" leaves missing entries of observed variables out of the likelihood'
            )
        result.missing[variable.name] = variable
        if support.kind == "i":
            filled = np.where(gaps, 0, array)
            if np.all(filled == np.floor(filled)):
                array = np.where(gaps, -1, filled).astype(np.int64)
        present = array[~gaps]
        if support.event_rank == 0 and present.size:
            support.check(variable.name, present, variable.leaf.site)
        return array
    if support.kind == "i" and array.dtype.kind == "f":
        if not np.all(array == np.floor(array)):
            index = np.argwhere(array != np.floor(array))[0]
            raise DataError(
                f"{variable.name} takes integers (labels or counts); {array[tuple(index)]} at index {', '.join(map(str, index))} is not one"
                + (f"  [{variable.leaf.site}]" if variable.leaf.site else "")
            )
        if str(support).startswith("category"):
            raise DataError(f"{variable.name} takes integer labels, the array has dtype {array.dtype}; convert it with .astype(int)")
        array = array.astype(np.int64)
    support.check(variable.name, array, variable.leaf.site)
    return array

