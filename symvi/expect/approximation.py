"""What a guide gives to a bound: blocks of latents with draws, entropies and moments, all expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from symvi.array.expression import Expr
from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf

__all__ = ["Moments", "Block", "Approximation"]


@dataclass(frozen=True)
class Moments:
    """Mean and variance of an unconstrained latent under a Gaussian block, on its unconstrained shape.

    `root`, where given, has one row per entry (row-major, over the plate axes in front) with root root' the covariance.
    """

    mean: Expr
    variance: Expr
    root: Expr | None = None


@dataclass(eq=False)
class Block:
    """A joint approximation of some latents, independent of the other blocks given what its parameters read.

    - `draws`: latent leaf -> draw in the user's space; `unconstrained` the same before its transform. Draws carry the
      particle axis, if there is one, in front.
    - `entropy`: the entropy of the unconstrained variables in closed form, a scalar; None where there is none.
    - `minus_log_q`: what its average over draws is when there is no closed form, or when the gradient is to stick the
      landing (parameters held fixed inside log q): an expression with the particle axis in front.
    - `jacobian`: latent leaf -> log |d draw / d unconstrained|, with the particle axis in front.
    - `moments`: latent leaf -> Moments, for closed forms. `exact_prior` says that q is the model's own conditional.
    - `size`: unconstrained values (per plate element); `plates`: the plates over which the block repeats.
    - `places`: latent name -> (offset in the joint vector, unconstrained shape), for joint blocks.
    - `reference`: data leaves that give the coordinates (centre, unit), each with a function of the shape (integers) that
      makes their default.
    """

    name: str
    family: str
    latents: tuple[Expr, ...]
    size: Dim
    plates: tuple[Dim, ...] = ()
    parameters: tuple[Expr, ...] = ()
    noise: tuple[Expr, ...] = ()
    draws: dict[Leaf, Expr] = field(default_factory=dict)
    unconstrained: dict[Leaf, Expr] = field(default_factory=dict)
    entropy: Expr | None = None
    minus_log_q: Expr | None = None
    jacobian: dict[Leaf, Expr] = field(default_factory=dict)
    moments: dict[Leaf, Moments] = field(default_factory=dict)
    distributions: dict[Leaf, object] = field(default_factory=dict)
    exact_prior: bool = False
    point: bool = False
    reference: dict[Expr, Callable] = field(default_factory=dict)
    places: dict[str, tuple[Dim, tuple[Dim, ...]]] = field(default_factory=dict)
    reads: frozenset[Leaf] = frozenset()  # latents of other blocks on whose draws this block depends, directly or not

    def __str__(self) -> str:
        over = f" for each of {' x '.join(map(str, self.plates))}" if self.plates else ""
        return f"{self.name}: {self.family}, {self.size} dims{over} ({', '.join(v.name for v in self.latents)})"


@dataclass
class Approximation:
    """All blocks of a guide, with the particle dim (None for one draw) and what stands for observed variables."""

    blocks: tuple[Block, ...]
    particles: Dim | None
    observed: dict[Expr, Expr]

    def block_of(self, leaf: Leaf) -> Block | None:
        """The block that holds a latent."""
        return next((block for block in self.blocks if leaf in block.draws), None)

    @property
    def draws(self) -> dict[Leaf, Expr]:
        """Latent leaf -> its draw, particle axis in front."""
        return {leaf: draw for block in self.blocks for leaf, draw in block.draws.items()}

    @property
    def parameters(self) -> tuple[Expr, ...]:
        """The variational parameters."""
        return tuple(parameter for block in self.blocks for parameter in block.parameters)

    @property
    def reference(self) -> dict[Expr, Callable]:
        """Data leaves of reference coordinates and the defaults of their values."""
        return {leaf: default for block in self.blocks for leaf, default in block.reference.items()}

    def report(self) -> list[str]:
        """One line per block: names and sizes, known before anything is allocated."""
        return [str(block) for block in self.blocks]
