"""`Distribution`: a family with its parameters, a shape and a support. Everything it offers is an expression.

Source of the densities: Johnson, Kotz, Balakrishnan, *Continuous Univariate Distributions*; spelled with the functions
that stay finite (`softplus`, `log_softmax`, `xlogy`, `gammaln`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from symvi.array.expression import Expr, as_expr, broadcast, mistake, shape_text
from symvi.array.functions import gammaln, sqrt, where
from symvi.array.indexing import broadcast_to
from symvi.array.leaves import noise as noise_leaf
from symvi.errors import DataError, ModelError, ShapeError, SupportError
from symvi.expr.dims import Dim
from symvi.expr.facts import interval as interval_of
from symvi.expr.printing import text
from symvi.stats.supports import Support, ordered

__all__ = ["Distribution", "check_parameter"]


class Distribution:
    """A family, its parameters (expressions), the full shape (event axes last) and the support.

    `parameters` holds what the user gave and the defaults; a parameter that has an alternative (`rate` or `scale`) and was
    not given is absent there and None in `p`.
    """

    def __init__(self, family: Any, parameters: Mapping[str, Expr], shape: tuple[Dim, ...] | None = None, support: Support | None = None):
        self.family = family
        self.parameters = dict(parameters)
        self.p = SimpleNamespace(**{name: None for name in family.parameter_names} | self.parameters)
        event = tuple(family.event_shape(self.p))
        batch = self._parameter_batch()
        if shape is None:
            shape = (*batch, *event)
        self.shape = tuple(shape)
        natural = family.support_of(self.p)
        self.support = support if support is not None else natural
        self.restricted = support is not None and support != natural and not family.improper
        self.event_rank = max(family.event_rank, self.support.event_rank)
        if len(self.shape) < self.event_rank:
            raise mistake(
                f"a value of {family.name} on {self.support} has {self.event_rank} axes, its shape {shape_text(self.shape)} has fewer",
                ShapeError,
            )
        self.batch_shape = self.shape[: len(self.shape) - self.event_rank]
        self.event_shape = self.shape[len(self.shape) - self.event_rank :]
        self._check_shape(batch, event)

    def _parameter_batch(self) -> tuple[Dim, ...]:
        """The joint batch shape of the parameters."""
        ranks = self.family.event_ranks
        parts = []
        for name, value in self.parameters.items():
            keep = max(value.ndim - ranks[name], 0)
            parts.append(Expr(as_expr(0.0).term, value.axes[:keep], value.shape[:keep]))
        return broadcast(*parts, operation=self.family.name)[0] if parts else ()

    def _check_shape(self, batch: tuple[Dim, ...], event: tuple[Dim, ...]) -> None:
        natural = len(self.shape) - self.family.event_rank
        own = self.shape[natural:]
        if event and own != event:
            raise mistake(
                f"{self.family.name}: the event axes of shape {shape_text(self.shape)} are {shape_text(own)}, "
                f"its parameters say {shape_text(event)}"
            )
        rest = self.shape[:natural]
        tail = rest[len(rest) - len(batch) :] if batch else ()
        if len(batch) > len(rest) or any(b != 1 and b != r for b, r in zip(batch, tail)):
            raise mistake(
                f"{self.family.name}: parameters with the joint dims {shape_text(batch)} do not broadcast to shape {shape_text(rest)}"
            )

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={text(value)}" for name, value in self.parameters.items())
        return f"{self.family.name}({inner})"

    def with_parameters(self, change: Callable[[Expr], Expr]) -> Distribution:
        """The same distribution with every parameter replaced by `change(parameter)`."""
        changed = {name: change(value) for name, value in self.parameters.items()}
        result = object.__new__(Distribution)
        result.__dict__.update(self.__dict__)
        result.parameters = changed
        result.p = SimpleNamespace(**{name: None for name in self.family.parameter_names} | changed)
        return result

    # -- density ------------------------------------------------------------------------------------------------
    def logp(self, value: Any, inside: bool = False) -> Expr:
        """The log-density (or log-mass) at `value`, elementwise over the batch axes; -inf outside the support.

        Where `value` is known to lie inside (`inside`, a transformed draw, a variable of the model, whose data are checked
        when they are bound) no test is emitted.
        """
        value = self._value(value)
        result = self.family.logp(value, self.p)
        extra = self.event_rank - self.family.event_rank
        if extra > 0:  # an elementwise family on a support of vectors or matrices
            result = result.sum(axis=tuple(range(-extra, 0)))
        if self.restricted:
            result = result - self._log_mass(value)
        leaf = value.leaf
        checked = (
            leaf is not None
            and leaf.support == self.support
            and not any(isinstance(bound, Expr) and bound.free_symbols for bound in self.support.bounds)
        )
        condition = None if inside or checked else self.support.condition(value)
        return where(condition, result, float("-inf")) if condition is not None else result

    def _value(self, value: Any) -> Expr:
        value = as_expr(value)
        if self.support.kind == "i" and value.kind == "f":
            raise mistake(f"{self.family.name} takes integers (labels), {text(value)} is real; declare the data with dtype=int", DataError)
        if value.ndim < self.event_rank:
            raise mistake(
                f"{self.family.name}: a value needs {self.event_rank} event axes, {text(value)} has dims {shape_text(value.shape)}",
                ShapeError,
            )
        tail = value.shape[value.ndim - self.event_rank :]
        if any(a != b and a != 1 for a, b in zip(tail, self.event_shape)):
            raise mistake(
                f"{self.family.name}: {text(value)} with dims {shape_text(value.shape)} "
                f"has not the event dims {shape_text(self.event_shape)}"
            )
        return value

    def _log_mass(self, value: Expr) -> Expr:
        """log of the mass that the family gives to a narrower support."""
        if self.support == ordered and self.family.event_rank == 0:  # exchangeable entries: one order in K! remains
            if any(parameter.ndim and parameter.axes[-1] is not None for parameter in self.parameters.values()):
                raise mistake(f"an ordered {self.family.name} needs parameters that do not vary along its last axis", ModelError)
            return -gammaln(as_expr(self.shape[-1]) + 1.0)
        mass = self.family.log_mass(self.support, self.p)
        if mass is None:
            raise mistake(
                f"{self.family.name} cannot be restricted to {self.support}: the normalising constant is not known; "
                "use sv.Flat with sv.factor",
                ModelError,
            )
        return mass

    # -- draws --------------------------------------------------------------------------------------------------
    @property
    def noise_kind(self) -> str | None:
        """The kind of standard noise that `sample` takes, or None where there is no pathwise draw."""
        return None if self.restricted else self.family.noise_kind

    def noise_shape(self) -> tuple[Dim, ...]:
        """The shape of the noise of one draw."""
        return self.family.noise_shape(self.shape, self.p)

    def noise(self, name: str, *leading: Dim) -> Expr:
        """A new noise leaf for draws, with further leading axes (particles)."""
        self._need_draws()
        return noise_leaf(name, *leading, *self.noise_shape(), kind=self.noise_kind)

    def sample(self, noise: Any) -> Expr:
        """A draw as a differentiable function of standard noise of the kind `noise_kind` and shape `noise_shape()`."""
        self._need_draws()
        return self.family.sample(as_expr(noise), self.p)

    def _need_draws(self) -> None:
        if self.noise_kind is None:
            what = f"{self.family.name} restricted to {self.support}" if self.restricted else self.family.name
            raise mistake(f"{what} has no draw that is a differentiable function of noise", ModelError)

    # -- moments ------------------------------------------------------------------------------------------------
    def _moment(self, name: str) -> Expr:
        value = None if self.restricted else getattr(self.family, name)(self.p)
        if value is None:
            raise mistake(f"the {name} of {self!r} has no closed form", ModelError)
        return value

    @property
    def mean(self) -> Expr:
        """The mean, over the full shape."""
        return broadcast_to(self._moment("mean"), self.shape)

    @property
    def variance(self) -> Expr:
        """The variance of every entry, over the full shape."""
        return broadcast_to(self._moment("variance"), self.shape)

    @property
    def sd(self) -> Expr:
        """The standard deviation of every entry, over the full shape."""
        return sqrt(self.variance)

    @property
    def has_entropy(self) -> bool:
        return not self.restricted and self.family.entropy(self.p) is not None

    @property
    def entropy(self) -> Expr:
        """The differential or discrete entropy in nats, over the batch shape."""
        return broadcast_to(self._moment("entropy"), self.batch_shape)


def check_parameter(family: str, name: str, value: Expr, support: Support) -> None:
    """Refuse a parameter that is known to lie outside its support: a negative constant scale, a covariance with a bad entry."""
    leaf = value.leaf
    if leaf is not None and leaf.role == "anonymous":
        numbers = np.asarray(leaf.attributes["value"], dtype=float)
        index = support.first_violation(numbers) if numbers.ndim >= support.event_rank else None
        if index is not None:
            place = f"[{', '.join(map(str, index))}]" if index else ""
            shown = numbers[index]
            raise mistake(f"{family}: {name}{place} = {shown} is outside its support; it takes {support.requirement}", SupportError)
    lower, upper = support.interval
    known = interval_of(value.term)
    if known[1] < lower or known[0] > upper:
        raise mistake(f"{family}: {name} = {text(value)} is outside its support; it takes {support.requirement}", SupportError)
