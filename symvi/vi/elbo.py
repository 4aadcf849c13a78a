"""The evidence lower bound as an expression: one expectation per factor of p and q, each resolved by the first way that fits.

    ELBO = Σ_factors E_q log p + Σ_blocks H(q)        with log |d z / d u| where a latent has a transform

Ways, in order: a factor that reads no latent is exact; a prior whose guide is `Prior()` cancels; a prior with a closed form
under its Gaussian block is taken in closed form (given draws of the latents its parameters read, if any, as long as their
blocks are independent of it); the rest are averages over draws through which gradients pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symvi.array.expression import Expr, as_expr, leaf_expr, mistake
from symvi.array.functions import is_gap, isnan, log, pi, where
from symvi.array.substitution import leaves_of
from symvi.errors import ModelError, SymviWarning
from symvi.expect.affine import affine_moments
from symvi.expect.approximation import Approximation, Block
from symvi.expect.discontinuity import jump_of
from symvi.expect.divergence import expected_log_density
from symvi.expect.lift import average, lift
from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Term
from symvi.stats.model import Model
from symvi.stats.named import Factor
from symvi.stats.random_variable import RandomVariable, data_twin
from symvi.vi.approximate import approximate

__all__ = ["elbo", "Bound", "Resolution"]


@dataclass(frozen=True)
class Resolution:
    """How one expectation was resolved. `part` is likelihood, prior, factor or entropy; `rejected` says what did not fit and why."""

    name: str
    part: str
    how: str
    rejected: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.part} of {self.name}: {self.how}" + (f" ({'; '.join(self.rejected)})" if self.rejected else "")


class Bound(Expr):
    """A bound with its account: `terms` (name -> scalar expression; they add up to it), `log_weight`, `resolution`, `approximation`,
    `model` and `observed` (name -> variable)."""

    __slots__ = ()

    def describe(self) -> str:
        """One phrase: `likelihood: 4 draws, KL: closed form`."""
        parts: dict[str, set[str]] = {}
        for entry in self.resolution:
            parts.setdefault("KL" if entry.part in ("prior", "entropy") else entry.part, set()).add(entry.how)
        return ", ".join(f"{part}: {' and '.join(sorted(ways))}" for part, ways in parts.items())


def elbo(
    model: Model | Expr,
    guide: Any = "auto",
    observed: Iterable[Expr | str] | None = None,
    particles: int | Dim = 1,
    plates: Iterable[Dim] = (),
    reference: bool = False,
    entropy: str = "closed",
    closed: bool = True,
    missing: Iterable[Expr | str] = (),
    default: Any = "auto",
    approximation: Approximation | None = None,
) -> Bound:
    """The evidence lower bound of a model under a guide, a scalar expression for `maximize`.

    - `observed`: variables with data (by default the roots of the model); data leaves of their names stand for them.
    - `guide`, `default`, `plates`, `reference`: see `approximate`. `particles`: draws per step, a number or a dim.
    - `entropy`: "closed", or "stick" for the gradient that sticks the landing (then nothing is taken in closed form, so that
      the noise of log p and log q cancels at the optimum: Roeder, Wu, Duvenaud 2017).
    - `closed=False` takes every factor by draws.
    - `missing`: observed variables whose missing entries (NaN; -1 for labels) are left out of the likelihood.
    """
    if not isinstance(model, Model):
        model = Model(model)
    if entropy not in ("closed", "stick"):
        raise mistake(f"entropy is 'closed' or 'stick', not {entropy!r}", ModelError)
    if observed is None:
        observed = [root for root in model.roots if not isinstance(root, Factor)]
    seen = {model.variable(key).name: model.variable(key) for key in observed}
    incomplete = {model.variable(key).name for key in missing}
    stick = entropy == "stick"
    if approximation is None:
        approximation = approximate(model, guide, seen.values(), particles, plates, reference, stick, default)
    resolver = _Resolver(model, approximation, stick, closed and not stick)
    for name, variable in model.variables.items():
        if name in seen:
            resolver.likelihood(variable, name in incomplete)
        else:
            resolver.prior(variable)
    for name, factor in model.factors.items():
        resolver.by_draws(name, "factor", factor)
    for block in approximation.blocks:
        resolver.entropy(block)
    total = sum(resolver.terms.values(), as_expr(0.0))
    bound = Bound(total.term, total.axes, total.shape)
    bound.__dict__.update(
        terms=resolver.terms, resolution=resolver.resolution, approximation=approximation, model=model, observed=seen,
        log_weight=resolver.log_weight(),
    )  # fmt: skip
    return bound


class _Resolver:
    """Collects the terms of one bound and how each was resolved."""

    def __init__(self, model: Model, approximation: Approximation, stick: bool, closed: bool):
        self.model, self.approximation, self.stick, self.closed = model, approximation, stick, closed
        self.particles = approximation.particles
        self.rule: Mapping[Expr, Expr] = {
            **approximation.observed,
            **{leaf_expr(leaf): draw for leaf, draw in approximation.draws.items()},
        }
        self.terms: dict[str, Expr] = {}
        self.per_draw: list[Term] = []  # the same before the average over draws
        self.resolution: list[Resolution] = []

    @property
    def draws_text(self) -> str:
        if self.particles is None:
            return "1 draw"
        return f"{self.particles.value if self.particles.value is not None else self.particles} draws"

    def note(self, name: str, part: str, how: str, rejected: Iterable[str] = ()) -> None:
        self.resolution.append(Resolution(name, part, how, tuple(rejected)))

    def at_draws(self, expression: Expr) -> Expr:
        """The sum of an expression at the draws, averaged over particles."""
        (term,) = lift([expression], self.rule, self.particles)
        self.per_draw.append(term)
        return Expr(average(term, self.particles), ())

    def add(self, name: str, term: Expr) -> None:
        self.terms[name] = self.terms[name] + term if name in self.terms else term

    # -- the parts ----------------------------------------------------------------------------------------------
    def likelihood(self, variable: RandomVariable, incomplete: bool) -> None:
        name = variable.name
        value, why = self._closed_normal(variable)
        density = self.model.log_density_of(name) if value is None else value
        if incomplete:
            density = _without_missing(variable, density)
        if value is None:
            self.by_draws(name, "likelihood", density, [why] if why else [])
        else:
            self.note(name, "likelihood", why)
            self.add(name, self.at_draws(density))

    def _closed_normal(self, variable: RandomVariable) -> tuple[Expr | None, str]:
        """E log N(y | f, scale) for f affine in Gaussian latents, and how; or None and why not (empty if not in question)."""
        dist = variable.dist
        if not self.closed or dist.family.name != "Normal" or dist.restricted:
            return None, ""
        blocks = {leaf: self.approximation.block_of(leaf) for leaf in leaves_of(dist.p.loc) if leaf in self.approximation.draws}
        gaussian = [(leaf, block) for leaf, block in blocks.items() if leaf in block.moments and leaf.support.is_identity]
        if not gaussian:
            return None, ""
        own = {id(block) for _, block in gaussian}
        given = {leaf: block for leaf, block in blocks.items() if (leaf, block) not in gaussian}
        given |= {leaf: self.approximation.block_of(leaf) for leaf in leaves_of(dist.p.scale) if leaf in self.approximation.draws}
        for leaf, block in given.items():
            if id(block) in own or any(other in block.reads for other, _ in gaussian):
                return None, f"closed form: {leaf.name} is not independent of {gaussian[0][0].name} in the guide"
        if len(gaussian) > 1 and any(other in block.reads for _, block in gaussian for other, _ in gaussian):
            return None, "closed form: the guides of its latents read each other"
        found = affine_moments(dist.p.loc, gaussian)
        if isinstance(found, str):
            return None, f"closed form: {found}"
        mean, variance = found
        value = -0.5 * ((variable - mean) ** 2 + variance) / dist.p.scale**2 - log(dist.p.scale) - 0.5 * log(2 * pi)
        sampled = [leaf.name for leaf, block in given.items() if not block.point]
        return value + 0.0 * variable, f"closed form given draws of {', '.join(sampled)}" if sampled else "closed form"

    def by_draws(self, name: str, part: str, density: Expr, rejected: Iterable[str] = ()) -> None:
        random = [leaf for leaf in leaves_of(density) if leaf in self.approximation.draws]
        point = all(self.approximation.block_of(leaf).point for leaf in random)
        if random and not point:
            site = jump_of(density, set(random))
            if site is not None:
                warnings.warn(
                    f"the {part} of {name} chooses by the value of a latent ({site}); "
                    "if it jumps there, gradients through draws are biased",
                    SymviWarning,
                    stacklevel=4,
                )
        self.note(name, part, "exact" if not random else "at the point" if point else self.draws_text, rejected)
        self.add(name, self.at_draws(density))

    def prior(self, variable: RandomVariable) -> None:
        name, leaf = variable.name, variable.leaf
        block = self.approximation.block_of(leaf)
        if block.exact_prior:
            self.note(name, "prior", "cancels")
            return
        rejected = []
        if not block.point:
            value, why = self._closed_prior(variable, block)
            if value is not None:
                self.note(name, "prior", why)
                self.add(name, self.at_draws(value))
                return
            rejected.append(why)
        self.by_draws(name, "prior", self.model.log_density_of(name, inside=True), rejected)
        if leaf in block.jacobian:
            self.add(name, self.at_draws(block.jacobian[leaf]))

    def _closed_prior(self, variable: RandomVariable, block: Block) -> tuple[Expr | None, str]:
        """(E log p + E log |dz/du|, how), or (None, why not)."""
        leaf, dist = variable.leaf, variable.dist
        if not self.closed:
            return None, "closed form: not asked for"
        if leaf not in block.moments:
            return None, f"closed form: not known under {block.family}"
        parents = [other for other in leaves_of(*dist.parameters.values()) if other in self.approximation.draws]
        for parent in parents:
            other = self.approximation.block_of(parent)
            if other is block or leaf in other.reads:
                return None, f"closed form: {parent.name} is not independent of {variable.name} in the guide"
        value = expected_log_density(dist, block.moments[leaf])
        if value is None:
            return None, f"closed form: not known for {dist.family.name} under {block.family}"
        sampled = [parent.name for parent in parents if not self.approximation.block_of(parent).point]
        return value, f"closed form given draws of {', '.join(sampled)}" if sampled else "closed form"

    def entropy(self, block: Block) -> None:
        if block.point or block.exact_prior:
            return
        if block.entropy is not None and not (self.stick and block.minus_log_q is not None):
            self.note(block.name, "entropy", "closed form", ["sticking the landing: not known for this family"] if self.stick else ())
            self.add(f"entropy of {block.name}", self.at_draws(block.entropy))
            return
        if block.minus_log_q is None:
            raise mistake(f"the entropy of {block} is not known", ModelError)
        self.note(block.name, "entropy", f"{self.draws_text}, sticking the landing" if self.stick else self.draws_text)
        self.add(f"entropy of {block.name}", self._minus_log_q(block))

    def _minus_log_q(self, block: Block) -> Expr:
        expression = block.minus_log_q
        if block.distributions or self.particles is None:
            return self.at_draws(expression)
        self.per_draw.append(expression.term)
        return Expr(average(expression.term, self.particles), ())

    def log_weight(self) -> Expr | None:
        """log p - log q of every draw, over the particle axis; the bound is its mean. None without that axis."""
        if self.particles is None:
            return None
        label = Label(self.particles, 0)
        total = build.add([(Fraction(1), build.contract(term.labels - {label}, [(term, 1)])) for term in self.per_draw])
        return Expr(total, (label,))


def _without_missing(variable: RandomVariable, density: Expr) -> Expr:
    """The log-density with missing entries left out: NaN, or -1 for labels."""
    twin = data_twin(variable)
    gone = is_gap(twin) if twin.kind == "i" else isnan(twin)
    kept = where(gone, 0 if twin.kind == "i" else as_expr(1.0 if variable.support.interval[0] > 0 else 0.0), twin)
    event = variable.support.event_rank or variable.dist.event_rank
    if event:
        raise mistake(f"missing entries inside the events of {variable.name} cannot be left out", ModelError)
    return where(gone, 0.0, density.xreplace({variable: kept}))
