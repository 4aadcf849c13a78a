"""The protocol of a distribution family: one declaration per family holds everything symvi knows about it.

A family is a subclass of `Family`, turned into its one instance by `@family`. Calling it with a name makes a random
variable, `.dist(...)` an unnamed distribution:

    w = sv.Normal("w", 0, 1, shape=D)
    sv.Normal.dist(0, 1).logp(x)
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from symvi.array.expression import Expr, as_expr, dims_of, mistake
from symvi.errors import ExpressionError, ModelError, ShapeError
from symvi.expr.dims import Dim
from symvi.stats.distribution import Distribution, check_parameter
from symvi.stats.random_variable import RandomVariable, random_variable
from symvi.stats.supports import Support, real

__all__ = ["Family", "Parameter", "family", "FAMILIES"]

_REQUIRED = object()


class Parameter(NamedTuple):
    """A parameter of a family: where it lies, its default, how many of its last axes belong to one event."""

    name: str
    support: Support = real
    default: Any = _REQUIRED
    event_rank: int = 0
    keyword_only: bool = False


class Family:
    """Base class of distribution families. `p` holds the parameters as expressions, None for an alternative not given.

    `alternatives` are groups of keyword-only parameters of which exactly one is given (`rate` or `scale`).
    Methods that return None say that there is no closed form.
    """

    name = ""
    parameters: tuple[Parameter, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()
    support: Support = real
    event_rank = 0
    noise_kind: str | None = None
    improper = False

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def event_ranks(self) -> dict[str, int]:
        return {parameter.name: parameter.event_rank for parameter in self.parameters}

    # -- what a declaration says --------------------------------------------------------------------------------
    def support_of(self, p: SimpleNamespace) -> Support:
        """The support, where it depends on the parameters."""
        return self.support

    def event_shape(self, p: SimpleNamespace) -> tuple[Dim, ...]:
        """The event axes that the parameters imply."""
        return ()

    def logp(self, x: Expr, p: SimpleNamespace) -> Expr:
        """The log-density inside the support, over the batch axes."""
        raise NotImplementedError

    def sample(self, e: Expr, p: SimpleNamespace) -> Expr:
        """A draw from noise of the kind `noise_kind`."""
        raise NotImplementedError

    def noise_shape(self, shape: tuple[Dim, ...], p: SimpleNamespace) -> tuple[Dim, ...]:
        return shape

    def mean(self, p: SimpleNamespace) -> Expr | None:
        return None

    def variance(self, p: SimpleNamespace) -> Expr | None:
        return None

    def entropy(self, p: SimpleNamespace) -> Expr | None:
        return None

    def log_mass(self, support: Support, p: SimpleNamespace) -> Expr | None:
        """log of the mass inside a narrower support, for `support=`."""
        return None

    # -- making variables ---------------------------------------------------------------------------------------
    def __call__(self, name: str, *arguments: Any, shape: Any = None, support: Support | None = None, **parameters: Any) -> RandomVariable:
        """A random variable. `shape` is the full shape, event dims last; without it the shape of the parameters."""
        if not isinstance(name, str) or not name:
            raise mistake(
                f'{self.name} needs a name first: sv.{self.name}("x", ...); without one write sv.{self.name}.dist(...)', ExpressionError
            )
        return random_variable(name, self.dist(*arguments, shape=shape, support=support, **parameters))

    def dist(self, *arguments: Any, shape: Any = None, support: Support | None = None, **parameters: Any) -> Distribution:
        """The distribution without a name."""
        if shape is not None:
            shape = dims_of([tuple(shape)] if isinstance(shape, (tuple, list)) else [shape])
        return Distribution(self, self._bind(arguments, parameters), shape, support)

    def _bind(self, arguments: Sequence[Any], keywords: dict[str, Any]) -> dict[str, Expr]:
        positional = [parameter for parameter in self.parameters if not parameter.keyword_only]
        if len(arguments) > len(positional):
            only = [parameter.name for parameter in self.parameters if parameter.keyword_only]
            hint = f"; {' and '.join(only)} are given by keyword" if only else ""
            raise mistake(f"{self.name} takes {len(positional)} positional parameters, not {len(arguments)}{hint}", ExpressionError)
        given = dict(zip([parameter.name for parameter in positional], arguments))
        for name, value in keywords.items():
            if name not in self.parameter_names:
                near = difflib.get_close_matches(name, self.parameter_names, 1)
                hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.parameter_names) or 'none'}"
                raise mistake(f"{self.name} has no parameter {name}; {hint}", ExpressionError)
            if name in given:
                raise mistake(f"{self.name}: {name} is given twice", ExpressionError)
            given[name] = value
        given = {name: value for name, value in given.items() if value is not None}
        self._choose(given)
        bound = {}
        for parameter in self.parameters:
            if parameter.name not in given:
                continue
            value = as_expr(given[parameter.name])
            if parameter.event_rank and 0 < value.ndim < parameter.event_rank or (parameter.event_rank == 2 and value.ndim == 0):
                raise mistake(
                    f"{self.name}: {parameter.name} needs {parameter.event_rank} event axes, it has dims {value.shape}", ShapeError
                )
            check_parameter(self.name, parameter.name, value, parameter.support)
            bound[parameter.name] = value
        return bound

    def _choose(self, given: dict[str, Any]) -> None:
        """Exactly one of each group of alternatives; defaults for the rest."""
        for group in self.alternatives:
            chosen = [name for name in group if name in given]
            if len(chosen) > 1:
                raise mistake(f"{self.name} takes one of {', '.join(group)}, not {' and '.join(chosen)}", ExpressionError)
        grouped = {name for group in self.alternatives for name in group}
        for parameter in self.parameters:
            name = parameter.name
            if name in given:
                continue
            rivals = next((group for group in self.alternatives if name in group), ())
            if any(rival in given for rival in rivals):
                continue
            if parameter.default is not _REQUIRED:
                given[name] = parameter.default
            elif name not in grouped:
                raise mistake(f"{self.name} needs its parameter {name}", ModelError)
        for group in self.alternatives:
            if not any(name in given for name in group):
                raise mistake(f"{self.name} needs one of {', '.join(group)}, by keyword", ModelError)

    def __repr__(self) -> str:
        return f"sv.{self.name}"


FAMILIES: dict[str, Family] = {}


def family(declaration: type[Family]) -> Family:
    """Declare a family (a class decorator); it is tested by being registered."""
    instance = declaration()
    instance.name = declaration.__name__
    instance.__doc__ = declaration.__doc__
    assert instance.name not in FAMILIES, instance.name
    FAMILIES[instance.name] = instance
    return instance
