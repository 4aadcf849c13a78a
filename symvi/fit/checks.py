"""`check=True` in training: stated facts against the data, and the gradient of the bound against a numerical one on a few rows.

For the gradient the bound is cut down to small sizes (every named size to at most a few), evaluated by the reference interpreter
alone, and its gradient compared with a complex step or with 50-digit differences.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symvi.array.expression import array_of, leaf_expr
from symvi.errors import GradientError, SymviError
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Surrogate, postorder
from symvi.fit.fact_check import FactCheck
from symvi.fit.objective import Objective
from symvi.oracle.gradient_check import check_gradient
from symvi.rules import stabilise
from symvi.vi.approximate import approximate
from symvi.vi.elbo import elbo
from symvi.vi.guides import Guide

__all__ = ["check_bound", "check_facts"]

SMALL = 3
DRAWS = 2
TOLERANCE = 1e-9


def check_bound(fit) -> None:
    """GradientError or DataError if something does not hold.

    A gradient that sticks the landing is not the derivative of its bound, draw by draw, so the pathwise bound of the same model and
    guide is checked instead.
    """
    objective, trainer = fit.objective, fit.trainer
    if any(isinstance(node, Surrogate) for node in postorder([objective.term])):
        objective = _pathwise(fit)
    check_facts(objective, trainer)
    sizes = _small_sizes(trainer)
    values = _values(objective, trainer, sizes)
    (term,) = stabilise([objective.term])
    arrays = [array_of(leaf_expr(objective.raw[leaf])) for leaf in objective.parameters]
    try:
        report = check_gradient(term, arrays, values, sizes, tolerance=TOLERANCE)
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise GradientError(f"the gradient of the bound could not be checked: {error}") from error
    report.raise_if_failed()


def _pathwise(fit) -> Objective:
    observed, old = list(fit.observations.observed.values()), fit.bound.approximation
    default = fit.guide if isinstance(fit.guide, Guide) else "auto"
    approximation = approximate(fit.model, fit.guide, observed, old.particles, fit.plates, bool(old.reference), False, default)
    missing = list(fit.observations.missing.values())
    bound = elbo(fit.model, observed=observed, missing=missing, closed=False, approximation=approximation)
    return Objective(bound, "check")


def check_facts(objective: Objective, trainer) -> None:
    """DataError if a fact that was stated by `sv.assume` does not hold for all data, at the present parameters."""
    sizes = trainer.sizes.values
    FactCheck([objective.term], objective.dtype.name)(_values(objective, trainer, sizes), sizes)


def _small_sizes(trainer) -> dict[str, int]:
    """Every size at most `SMALL`, as far as known sizes allow."""
    fixed = {name.name for leaf in trainer.objective.leaves for dim in leaf.shape for name in dim.names if name.known is not None}
    indexed = {str(leaf.index_of) for leaf in trainer.objective.leaves if leaf.index_of is not None}
    small = {name: size if name in fixed | indexed else min(size, SMALL) for name, size in trainer.sizes.values.items()}
    return small | ({"draws": min(small["draws"], DRAWS)} if "draws" in small else {})


def _values(objective: Objective, trainer, sizes: Mapping[str, int]) -> dict[Leaf, np.ndarray]:
    """As many of the first entries of data and parameters as the sizes say, random noise."""
    generator = np.random.default_rng(0)
    parameters = {trainer.objective.raw[leaf].name: trainer.views[leaf] for leaf in trainer.leaves}
    data = {leaf.name: array for leaf, array in trainer.data.items()}  # by name: the leaves of the guide are new in every bound
    values = {}
    for leaf in objective.leaves:
        shape = tuple(dim.size(sizes) for dim in leaf.array_shape)
        if leaf in objective.scales.values():
            values[leaf] = np.array(1.0)
        elif leaf.role == "noise":
            values[leaf] = generator.standard_normal(shape) if leaf.noise_kind == "normal" else generator.random(shape)
        else:
            array = parameters[leaf.name] if leaf.role == "param" else trainer.data.get(leaf, data.get(leaf.name))
            if any(length > have for length, have in zip(shape, array.shape, strict=True)):
                raise SymviError(f"{leaf.name} cannot be cut down to {shape}")
            values[leaf] = array[tuple(slice(length) for length in shape)]
    return values
