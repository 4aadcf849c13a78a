"""`check=True`: the gradient of a bound against a numerical one on a few rows, and asserted facts against the data.

The bound is cut down to small sizes (every named size to at most a few), evaluated by the reference interpreter alone, and its
gradient compared with a complex step or with 50-digit differences.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symvi.array.expression import array_of, leaf_expr
from symvi.errors import DataError, GradientError, SymviError
from symvi.expr.facts import asserted
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Array, Surrogate, Tensor, postorder
from symvi.expr.printing import text
from symvi.expr.provenance import site_of
from symvi.fit.objective import Objective
from symvi.oracle.gradient_check import check_gradient
from symvi.oracle.interpreter import evaluate
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
    sizes = _small_sizes(trainer)
    values = _small_values(objective, trainer, sizes)
    check_facts(objective.term, values, sizes)
    (term,) = stabilise([objective.term])
    arrays = [array_of(leaf_expr(objective.raw[leaf])) for leaf in objective.parameters]
    try:
        report = check_gradient(term, arrays, values, sizes, tolerance=TOLERANCE)
    except (NotImplementedError, ValueError, TypeError, ArithmeticError) as error:
        raise GradientError(f"the gradient of the bound could not be checked: {error}") from error
    report.raise_if_failed()


def _pathwise(fit) -> Objective:
    observed, old = list(fit.observations.observed.values()), fit.bound.approximation
    default = fit.guide if isinstance(fit.guide, Guide) else "auto"
    approximation = approximate(fit.model, fit.guide, observed, old.particles, fit.plates, bool(old.reference), False, default)
    missing = list(fit.observations.missing.values())
    bound = elbo(fit.model, observed=observed, missing=missing, closed=False, approximation=approximation)
    return Objective(bound, "check")


def check_facts(term, values: Mapping[Leaf, np.ndarray], sizes: Mapping[str, int]) -> None:
    """Do matrices that were asserted symmetric or positive definite (`sv.assume`) prove so at these values?"""
    nodes = [node for node in postorder([term]) if asserted(node) and isinstance(node, Array)]
    for node, array in zip(nodes, evaluate(nodes, values, sizes), strict=True):
        facts = set(asserted(node))
        place = f"  [{site_of(node)}]" if site_of(node) else ""
        name = text(node.term if isinstance(node, Tensor) else node, 60)
        if facts & {"symmetric", "psd", "spd"} and not np.allclose(array, np.swapaxes(array, -1, -2), rtol=1e-8, atol=1e-10):
            raise DataError(f"{name} was assumed {', '.join(sorted(facts))}, but it is not symmetric for these data{place}")
        if facts & {"psd", "spd"} and array.size:
            least = float(np.linalg.eigvalsh(array).min())
            if least < -1e-8 * max(1.0, float(np.abs(array).max())):
                raise DataError(
                    f"{name} was assumed {', '.join(sorted(facts))}, but it has the eigenvalue {least:.3g} for these data{place}"
                )


def _small_sizes(trainer) -> dict[str, int]:
    """Every size at most `SMALL`, as far as known sizes allow."""
    fixed = {name.name for leaf in trainer.objective.leaves for dim in leaf.shape for name in dim.names if name.known is not None}
    indexed = {str(leaf.index_of) for leaf in trainer.objective.leaves if leaf.index_of is not None}
    small = {name: size if name in fixed | indexed else min(size, SMALL) for name, size in trainer.sizes.values.items()}
    return small | ({"draws": min(small["draws"], DRAWS)} if "draws" in small else {})


def _small_values(objective: Objective, trainer, sizes: Mapping[str, int]) -> dict[Leaf, np.ndarray]:
    """The first entries of data and parameters, random noise."""
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
