"""What a guide is built in: the model's latents, what stands for observed variables, plates, particles, names in use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from symvi.array.expression import Expr, leaf_expr
from symvi.expect.lift import lift
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.stats.distribution import Distribution

__all__ = ["Context"]


@dataclass
class Context:
    """State while the blocks of a guide are made, in an order in which the draws that a block reads exist already."""

    observed: dict[Expr, Expr]
    plates: frozenset[Dim] = frozenset()
    particles: Dim | None = None
    reference: bool = False
    stick: bool = False
    taken: set[str] = field(default_factory=set)
    draws: dict[Leaf, Expr] = field(default_factory=dict)

    @property
    def leading(self) -> tuple[Dim, ...]:
        """The particle axis, where there is one."""
        return () if self.particles is None else (self.particles,)

    def name(self, wanted: str) -> str:
        """The name, or the first of `name_2`, `name_3`, ... that is not in use."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def replacements(self) -> dict[Expr, Expr]:
        """Observed variables by their data, latents by their draws so far."""
        return {**self.observed, **{leaf_expr(leaf): draw for leaf, draw in self.draws.items()}}

    def resolve(self, expression: Expr, rank: int | None = None) -> Expr:
        """The expression at the draws. Where it depends on them, the particle axis comes first, then the expression's
        axes, with axes of extent 1 between so that it broadcasts against values of `rank` axes."""
        (term,) = lift([expression], self.replacements(), self.particles)
        label = Label(self.particles, 0) if self.particles is not None else None
        if label is None or label not in term.labels:
            return Expr(term, expression.axes, expression.shape)
        gap = max((expression.ndim if rank is None else rank) - expression.ndim, 0)
        return Expr(term, (label, *[None] * gap, *expression.axes))

    def resolve_distribution(self, distribution: Distribution) -> Distribution:
        """The distribution with parameters at the draws, ready to be drawn from with a particle axis in front."""
        batch = len(distribution.shape) - distribution.family.event_rank
        ranks = distribution.family.event_ranks
        resolved = {name: self.resolve(value, batch + ranks[name]) for name, value in distribution.parameters.items()}
        names = {id(value): name for name, value in distribution.parameters.items()}
        return distribution.with_parameters(lambda value: resolved[names[id(value)]])

    def ready(self, leaves: Iterable[Leaf]) -> bool:
        """Do draws (or data) exist for all random variables among the leaves?"""
        known = {variable.leaf for variable in self.observed}
        return all(leaf.role != "latent" or leaf in self.draws or leaf in known for leaf in leaves)
