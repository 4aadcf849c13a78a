"""The data of a fit: which variables are observed, their values by leaf, checked against supports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symvi.array.expression import Expr
from symvi.errors import DataError, SupportError
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
        place = f"  [{leaf.site}]" if leaf.site else ""
        array = _numbers(name, value, place)
        sizes.learn(leaf, array)
        if variable is not None:
            array = _check_observed(variable, array, missing, result)
        result.values[leaf] = array
    return result


def _numbers(name: str, value: Any, place: str) -> np.ndarray:
    """A value as an array of numbers; masked entries are NaN."""
    if isinstance(value, Expr):
        raise DataError(f"the value of {name} in data is an expression; it must be an array of numbers{place}")
    if isinstance(value, np.ma.MaskedArray):
        value = value.astype(float).filled(np.nan) if np.ma.getmaskarray(value).any() else value.data
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(f"the value of {name} is no array: its rows have different lengths{place}") from None
    if value is None:
        raise DataError(f"the value of {name} is None; leave it out of data where it is not observed{place}")
    if array.dtype.kind == "O":
        try:
            array = array.astype(float)
        except (TypeError, ValueError):
            raise DataError(f"{name} holds objects that are not numbers{place}") from None
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} has dtype {array.dtype}; it must hold numbers{place}")
    return array


def _gaps(array: np.ndarray) -> np.ndarray:
    return np.isnan(array) if array.dtype.kind == "f" else array < 0


def _check_observed(variable: RandomVariable, array: np.ndarray, missing: str, result: Observations) -> np.ndarray:
    """The values of an observed variable inside its support, labels as integers; gaps noted."""
    gaps = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    if gaps.any():
        return _with_gaps(variable, array, gaps, missing, result)
    if variable.support.kind == "i" and array.dtype.kind == "f":
        array = _integers(variable, array)
    variable.support.check(variable.name, array, variable.leaf.site)
    return array


def _with_gaps(variable: RandomVariable, array: np.ndarray, gaps: np.ndarray, missing: str, result: Observations) -> np.ndarray:
    support, place = variable.support, _place(variable)
    if missing == "error":
        raise DataError(
            f"{variable.name} is NaN at index {_first(gaps)} ({int(gaps.sum())} of {gaps.size} entries); "
            f'missing="drop" leaves missing entries of observed variables out of the likelihood{place}'
        )
    if support.event_rank:
        raise DataError(f"{variable.name} is NaN at index {_first(gaps)}: missing entries inside its events cannot be left out{place}")
    result.missing[variable.name] = variable
    present = array[~gaps]
    if support.kind == "i":
        wrong = ~gaps & (array != np.floor(array))
        if wrong.any():
            raise DataError(f"{variable.name} takes integers; {array[wrong][0]} at index {_first(wrong)} is not one{place}")
        array, present = np.where(gaps, -1, array).astype(np.int64), present.astype(np.int64)
    outside = support.first_violation(present) if present.size else None
    if outside is not None:
        where = tuple(index[outside[0]] for index in np.nonzero(~gaps))
        raise SupportError(
            f"{variable.name}[{', '.join(map(str, where))}] = {present[outside]} lies outside its support: {support.requirement}{place}"
        )
    return array


def _integers(variable: RandomVariable, array: np.ndarray) -> np.ndarray:
    wrong = array != np.floor(array)
    if wrong.any():
        first = array[wrong][0]
        raise DataError(f"{variable.name} takes integers (labels or counts); {first} at index {_first(wrong)} is not one{_place(variable)}")
    if str(variable.support).startswith("category"):
        raise DataError(
            f"{variable.name} takes integer labels, the array has dtype {array.dtype}; convert it with .astype(int){_place(variable)}"
        )
    return array.astype(np.int64)


def _first(bad: np.ndarray) -> str:
    """The first index at which something holds."""
    return ", ".join(str(int(i)) for i in np.argwhere(bad)[0])


def _place(variable: RandomVariable) -> str:
    return f"  [{variable.leaf.site}]" if variable.leaf.site else ""
