"""Guides: approximating families over the latents of a model, as expressions of parameters and noise.

A Gaussian guide lives in the unconstrained space. Its location and scale are coordinates relative to a reference point,

    mean field   u = centre + unit * (loc + scale * e)
    full rank    u = centre + unit @ (loc + scale_tril @ e)        unit and scale_tril lower triangular

with centre and unit *data* (a Laplace approximation, found before the fit), so that the optimiser starts at loc = 0,
scale = 1 and works in units of posterior sd. Without a reference, centre is 0 and unit the identity.

Globals share one joint block; a latent over a plate has a block per element: full and low rank never cross a plate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from symvi.array.creation import arange, eye, full, zeros
from symvi.array.expression import Expr, as_expr, dims_of, leaf_expr, mistake
from symvi.array.functions import log, pi, stop_gradient, surrogate
from symvi.array.indexing import diagonal, squeeze, transpose
from symvi.array.leaves import noise, param
from symvi.array.linalg import logdet, solve_triangular
from symvi.array.substitution import leaves_of
from symvi.errors import ModelError
from symvi.expect.approximation import Block, Moments
from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf
from symvi.stats.random_variable import RandomVariable
from symvi.stats.supports import lower_cholesky, positive
from symvi.vi.context import Context

__all__ = ["Guide", "MeanField", "FullRank", "LowRank", "Delta", "Mode", "Prior", "Variables", "auto_guide", "FULL_RANK_LIMIT"]

HALF_LOG_2PI_E = 0.5 + 0.5 * log(2 * pi)
FULL_RANK_LIMIT = 256  # unconstrained global dims up to which `auto` takes full rank


class Guide:
    """Base class of guides: `build` makes blocks for the latents it is given."""

    def reads(self, latents: Sequence[RandomVariable]) -> list[Leaf]:
        """The leaves whose draws must exist before `build`."""
        own = {latent.leaf for latent in latents}
        return [leaf for latent in latents for leaf in leaves_of(*_bounds(latent)) if leaf not in own]

    def build(self, latents: Sequence[RandomVariable], context: Context) -> list[Block]:
        raise NotImplementedError

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({inner})"


def _bounds(latent: RandomVariable) -> list[Expr]:
    return [bound for bound in latent.support.bounds if isinstance(bound, Expr)]


def _need_continuous(latent: RandomVariable, guide: Guide) -> None:
    if latent.support.discrete:
        raise mistake(
            f"the latent {latent.name!r} [{latent.leaf.site}] is discrete: {type(guide).__name__} approximates continuous ones; "
            "observe it, or sum it out of the model by hand (sv.logsumexp)",
            ModelError,
        )
    if latent.support.redundant:
        raise mistake(f"the latent {latent.name!r} on {latent.support} has no Gaussian guide yet; use sv.Delta() for it", ModelError)


def _constrain(latents: Sequence[RandomVariable], block: Block, context: Context) -> None:
    """Draws and Jacobians from unconstrained draws, parents first."""
    for latent in latents:
        leaf, raw = latent.leaf, block.unconstrained[latent.leaf]
        support = latent.support.with_bounds(lambda bound, rank=latent.ndim: context.resolve(bound, rank))
        block.draws[leaf] = support.forward(raw)
        if not support.is_identity:
            block.jacobian[leaf] = support.log_abs_det(raw)
        context.draws[leaf] = block.draws[leaf]


def _reference(name: str, shape: tuple[Dim, ...], default: Callable, context: Context, support=None) -> Expr:
    return leaf_expr(Leaf("data", context.name(name), shape, "f", support=support, default=default, parameter_only=True))


def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape)


def _ones(shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape)


def _identity(shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.eye(shape[-1]), shape).copy()


def _count(shape: Sequence[Dim]) -> Dim:
    return math.prod(shape, start=Dim(1))


class MeanField(Guide):
    """Independent normals for all unconstrained values: parameters `<latent>_loc` and `<latent>_scale`."""

    def build(self, latents, context):
        blocks = []
        for latent in latents:
            _need_continuous(latent, self)
            blocks.append(self._block(latent, context))
        return blocks

    def _block(self, latent: RandomVariable, context: Context) -> Block:
        name = latent.name
        shape = latent.support.unconstrained_shape(latent.shape)
        loc = param(context.name(f"{name}_loc"), *shape, init=0.0)
        scale = param(context.name(f"{name}_scale"), *shape, init=1.0, support=positive)
        e = noise(context.name(f"eps_{name}"), *context.leading, *shape)
        reference: dict[Expr, Callable] = {}
        mean, sd, log_sd = loc, scale, log(scale)
        if context.reference:
            centre = _reference(f"{name}_center", shape, _zeros, context)
            unit = _reference(f"{name}_unit", shape, _ones, context, positive)
            reference = {centre: _zeros, unit: _ones}
            mean, sd, log_sd = centre + unit * loc, unit * scale, log(unit) + log(scale)
        raw = mean + sd * e
        plates = tuple(dim for dim in shape if dim in context.plates)
        block = Block(
            name=name, family="mean field", latents=(latent,), size=_count([dim for dim in shape if dim not in plates]), plates=plates,
            parameters=(loc, scale), noise=(e,), unconstrained={latent.leaf: raw}, reference=reference,
            entropy=(log_sd + HALF_LOG_2PI_E).sum(), moments={latent.leaf: Moments(mean, sd**2)},
        )  # fmt: skip
        if context.stick:  # value -log q(u); derivative with the parameters inside log q held fixed
            value = 0.5 * e**2 + log_sd + (HALF_LOG_2PI_E - 0.5)
            block.minus_log_q = surrogate(stop_gradient(value), stop_gradient(e / sd) * raw)
        _constrain([latent], block, context)
        return block


class _Joint(Guide):
    """Guides with one block for all globals and one per set of plates."""

    family = ""

    def build(self, latents, context):
        groups: dict[tuple[Dim, ...], list[RandomVariable]] = {}
        for latent in latents:
            _need_continuous(latent, self)
            batch = latent.shape[: len(latent.shape) - latent.support.event_rank]
            plates = tuple(dim for dim in batch if dim in context.plates)
            if len(set(plates)) < len(plates):
                raise mistake(f"the latent {latent.name!r} has the plate {plates[0]} twice; a joint guide cannot cross a plate", ModelError)
            groups.setdefault(tuple(sorted(plates, key=lambda dim: dim.sort_key)), []).append(latent)
        blocks = []
        for plates, members in groups.items():
            name = members[0].name if len(members) == 1 else "q" if not plates else "q_" + "_".join(map(str, plates))
            layout = _Layout(members, plates)
            blocks.append(self._block(name, layout, context))
        return blocks

    def _block(self, name: str, layout: _Layout, context: Context) -> Block:
        raise NotImplementedError


class _Layout:
    """Where the unconstrained values of each latent stand in the joint vector of a block."""

    def __init__(self, latents: Sequence[RandomVariable], plates: tuple[Dim, ...]):
        self.latents, self.plates = tuple(latents), plates
        self.shapes, self.offsets = [], []
        self.size = Dim(0)
        for latent in latents:
            shape = latent.support.unconstrained_shape(latent.shape)
            self.shapes.append(shape)
            self.offsets.append(self.size)
            self.size = self.size + _count([dim for dim in shape if dim not in plates])

    @property
    def shape(self) -> tuple[Dim, ...]:
        return (*self.plates, self.size)

    @property
    def places(self) -> dict[str, tuple[Dim, tuple[Dim, ...]]]:
        """Latent name -> (offset in the joint vector, unconstrained shape)."""
        return {latent.name: place for latent, place in zip(self.latents, zip(self.offsets, self.shapes, strict=True), strict=True)}

    def part(self, joint: Expr, position: int, trailing: int = 0) -> Expr:
        """The values of one latent, in its own shape, from (leading..., plates..., size, trailing...)."""
        shape, offset = self.shapes[position], self.offsets[position]
        rest = [dim for dim in shape if dim not in self.plates]
        leading = joint.ndim - len(self.plates) - 1 - trailing
        after = (slice(None),) * trailing
        if len(rest) == 1 and rest[0] == self.size:
            values = joint
        elif not rest or (len(rest) == 1 and rest[0] == 1):
            values = joint if self.size == 1 else joint[(..., slice(offset, offset + 1), *after)]
            values = values if rest else squeeze(values, values.ndim - 1 - trailing)
        elif len(rest) == 1:
            values = joint[(..., slice(offset, offset + rest[0]), *after)]
        else:
            index, stride = as_expr(offset), Dim(1)
            for place, dim in reversed(list(enumerate(rest))):
                axis = arange(dim)[(slice(None), *[None] * (len(rest) - 1 - place))] if dim != 1 else full([1] * (len(rest) - place), 0)
                index = index + axis * as_expr(stride)
                stride = stride * dim
            values = joint[(..., index, *after)]
        order = list(range(leading))
        plate_at, rest_at = leading, leading + len(self.plates)
        for dim in shape:
            if dim in self.plates:
                order.append(plate_at + self.plates.index(dim))
            else:
                order.append(rest_at)
                rest_at += 1
        order.extend(range(rest_at, rest_at + trailing))
        return transpose(values, order)


def _times(matrix: Expr, vectors: Expr) -> Expr:
    """matrix @ v for vectors in the last axis, over leading axes of either."""
    if matrix.ndim == 2:
        return matrix @ vectors if vectors.ndim == 1 else vectors @ matrix.T
    return (matrix @ vectors[..., :, None])[..., 0]


def _back_solve(factor: Expr, vectors: Expr) -> Expr:
    """factor^-T v for vectors in the last axis."""
    if factor.ndim == 2 and vectors.ndim <= 2:
        return solve_triangular(factor, vectors, trans=1) if vectors.ndim == 1 else solve_triangular(factor, vectors.T, trans=1).T
    return solve_triangular(factor, vectors[..., :, None], trans=1)[..., 0]


class FullRank(_Joint):
    """A multivariate normal over all globals together, and one per element of each plate: `<block>_loc`, `<block>_scale_tril`."""

    family = "full rank"

    def _block(self, name, layout, context):
        loc = param(context.name(f"{name}_loc"), *layout.shape, init=0.0)
        factor = param(context.name(f"{name}_scale_tril"), *layout.shape, layout.size, support=lower_cholesky)
        e = noise(context.name(f"eps_{name}"), *context.leading, *layout.shape)
        reference: dict[Expr, Callable] = {}
        inner = loc + _times(factor, e)
        raw, mean, root, log_det = inner, loc, factor, log(diagonal(factor))
        if context.reference:
            centre = _reference(f"{name}_center", layout.shape, _zeros, context)
            unit = _reference(f"{name}_unit", (*layout.shape, layout.size), _identity, context, lower_cholesky)
            reference = {centre: _zeros, unit: _identity}
            raw, mean, root = centre + _times(unit, inner), centre + _times(unit, loc), unit @ factor
            log_det = log_det + log(diagonal(unit))
        block = Block(
            name=name, family=self.family, latents=layout.latents, size=layout.size, plates=layout.plates,
            parameters=(loc, factor), noise=(e,), reference=reference, entropy=(log_det + HALF_LOG_2PI_E).sum(), places=layout.places,
        )  # fmt: skip
        for position, latent in enumerate(layout.latents):
            block.unconstrained[latent.leaf] = layout.part(raw, position)
            rows = layout.part(root, position, trailing=1)
            block.moments[latent.leaf] = Moments(layout.part(mean, position), (rows**2).sum(axis=-1), rows)
        if context.stick:
            value = (0.5 * e**2 + log_det + (HALF_LOG_2PI_E - 0.5)).sum(axis=-1)
            block.minus_log_q = surrogate(stop_gradient(value), (stop_gradient(_back_solve(factor, e)) * inner).sum(axis=-1))
        _constrain(layout.latents, block, context)
        return block


class LowRank(_Joint):
    """A normal with covariance diag(scale²) + factor factor', `rank` columns, for all globals together and per plate element."""

    family = "low rank"

    def __init__(self, rank: Dim | int):
        self.rank = dims_of([rank])[0]

    def _block(self, name, layout, context):
        loc = param(context.name(f"{name}_loc"), *layout.shape, init=0.0)
        scale = param(context.name(f"{name}_scale"), *layout.shape, init=1.0, support=positive)
        factor = param(context.name(f"{name}_factor"), *layout.shape, self.rank, init=_small_normal)
        e = noise(context.name(f"eps_{name}"), *context.leading, *layout.shape)
        z = noise(context.name(f"eta_{name}"), *context.leading, *layout.plates, self.rank)
        reference: dict[Expr, Callable] = {}
        inner = loc + scale * e + _times(factor, z)
        raw, mean, variance, log_unit = inner, loc, scale**2 + (factor**2).sum(axis=-1), as_expr(0.0)
        if context.reference:
            centre = _reference(f"{name}_center", layout.shape, _zeros, context)
            unit = _reference(f"{name}_unit", layout.shape, _ones, context, positive)
            reference = {centre: _zeros, unit: _ones}
            raw, mean, variance, log_unit = centre + unit * inner, centre + unit * loc, unit**2 * variance, log(unit)
        scaled = factor / scale[..., None]
        inside = 0.5 * logdet(eye(self.rank) + scaled.mT @ scaled)
        block = Block(
            name=name, family=f"low rank ({self.rank})", latents=layout.latents, size=layout.size, plates=layout.plates,
            parameters=(loc, scale, factor), noise=(e, z), reference=reference,
            entropy=(log(scale) + log_unit + HALF_LOG_2PI_E).sum() + inside.sum(), places=layout.places,
        )  # fmt: skip
        for position, latent in enumerate(layout.latents):
            block.unconstrained[latent.leaf] = layout.part(raw, position)
            block.moments[latent.leaf] = Moments(layout.part(mean, position), layout.part(variance, position), None)
        _constrain(layout.latents, block, context)
        return block


def _small_normal(shape: tuple[int, ...], generator: np.random.Generator | None = None) -> np.ndarray:
    """Small random numbers: a factor of zeros is a saddle point."""
    generator = generator or np.random.default_rng(0)
    return 0.1 * generator.standard_normal(shape)


class Delta(Guide):
    """A point for every latent: maximum a posteriori in the user's space. Parameter `<latent>_point`."""

    def build(self, latents, context):
        blocks = []
        for latent in latents:
            support, name = latent.support, context.name(f"{latent.name}_point")
            if support.discrete:
                _need_continuous(latent, self)
            if support.default is None:  # bounds that are expressions: the point is kept unconstrained
                point = param(name, *latent.shape, init=0.0)
                bounded = support.with_bounds(lambda bound, rank=latent.ndim: context.resolve(bound, rank))
                draw = bounded.forward(point)
            else:
                point = draw = param(name, *latent.shape, init=support.default, support=None if support.is_identity else support)
            block = Block(name=latent.name, family="point", latents=(latent,), size=_count(latent.shape), parameters=(point,), point=True)
            block.draws[latent.leaf] = draw
            context.draws[latent.leaf] = draw
            blocks.append(block)
        return blocks


class Mode(_Joint):
    """A point in the unconstrained space, with the log-determinants of the transforms: the mode that a Laplace approximation
    stands on. Parameter `<block>_mode`, laid out as the location of `FullRank` (or, with joint=False, of `MeanField`)."""

    def __init__(self, joint: bool = True):
        self.joint = joint

    def build(self, latents, context):
        if self.joint:
            return super().build(latents, context)
        return [block for latent in latents for block in super(Mode, self).build([latent], context)]

    def _block(self, name, layout, context):
        shape = layout.shape if self.joint else layout.shapes[0]
        mode = param(context.name(f"{name}_mode"), *shape, init=0.0)
        block = Block(
            name=name, family="mode", latents=layout.latents, size=layout.size, plates=layout.plates, parameters=(mode,), point=True,
            places=layout.places,
        )  # fmt: skip
        for position, latent in enumerate(layout.latents):
            block.unconstrained[latent.leaf] = layout.part(mode, position) if self.joint else mode
        _constrain(layout.latents, block, context)
        return block


class Prior(Guide):
    """The model's own conditional given the draws of the other latents: its density cancels exactly from the bound."""

    def reads(self, latents):
        own = {latent.leaf for latent in latents}
        return [leaf for latent in latents for leaf in leaves_of(*latent.dist.parameters.values()) if leaf not in own]

    def build(self, latents, context):
        blocks = []
        for latent in latents:
            e = latent.dist.noise(context.name(f"eps_{latent.name}"), *context.leading)
            draw = context.resolve_distribution(latent.dist).sample(e)
            block = Block(name=latent.name, family="prior", latents=(latent,), size=_count(latent.shape), noise=(e,), exact_prior=True)
            block.draws[latent.leaf] = context.draws[latent.leaf] = draw
            blocks.append(block)
        return blocks


class Variables(Guide):
    """Latents approximated by random variables that the user wrote: `{z: sv.Normal("q_z", *encoder(x))}`."""

    def __init__(self, variables: Mapping[RandomVariable, RandomVariable]):
        self.variables = dict(variables)
        for latent, q in self.variables.items():
            if q.shape != latent.shape:
                raise mistake(f"the guide of {latent.name!r} has the dims {q.shape}, the latent has {latent.shape}", ModelError)
            if not latent.support.holds(q.support) or q.support.event_rank != latent.support.event_rank:
                raise mistake(
                    f"the guide {q.name!r} of {latent.name!r} lives on {q.support}, the latent on {latent.support}; "
                    f"choose a family on {latent.support}",
                    ModelError,
                )

    def reads(self, latents):
        stands = {q.leaf: latent.leaf for latent, q in self.variables.items()}
        below = [leaf for latent in latents for leaf in leaves_of(*self.variables[latent].dist.parameters.values())]
        return [stands.get(leaf, leaf) for leaf in below]

    def build(self, latents, context):
        blocks = []
        for latent in latents:
            q = self.variables[latent]
            rule = {other_q: other for other, other_q in self.variables.items()}
            dist = q.dist.with_parameters(lambda value, rule=rule: value.xreplace(rule))
            e = dist.noise(context.name(f"eps_{latent.name}"), *context.leading)
            block = Block(
                name=latent.name, family=f"{q.dist.family.name} {q.name}", latents=(latent,), size=_count(latent.shape), noise=(e,),
                parameters=tuple(leaf_expr(leaf) for leaf in leaves_of(*dist.parameters.values()) if leaf.role == "param"),
            )  # fmt: skip
            block.draws[latent.leaf] = context.resolve_distribution(dist).sample(e)
            block.distributions[latent.leaf] = dist
            if context.stick or not dist.has_entropy:
                block.minus_log_q = -_held(dist, context.stick).logp(latent)
            if dist.has_entropy:
                block.entropy = dist.entropy.sum()
            if dist.family.name in ("Normal", "LogNormal") and not dist.restricted and _same_transform(q.support, latent.support):
                zero = zeros(*latent.shape)
                block.moments[latent.leaf] = Moments(dist.p.loc + zero, dist.p.scale**2 + zero)
            context.draws[latent.leaf] = block.draws[latent.leaf]
            blocks.append(block)
        return blocks


def _same_transform(first, second) -> bool:
    """Do two supports have the same unconstrained space? `positive` and `nonnegative` share theirs."""
    return first.holds(second) and second.holds(first)


def _held(dist, stick: bool):
    """The distribution with its parameters held fixed under differentiation."""
    return dist.with_parameters(stop_gradient) if stick else dist


def auto_guide(latents: Sequence[RandomVariable], sizes: Mapping[str, int], plates: Sequence[Dim] = ()) -> Guide:
    """Full rank up to 256 unconstrained global dims, low rank beyond; per plate element for locals."""
    total = 0
    for latent in latents:
        shape = latent.support.unconstrained_shape(latent.shape)
        if not any(dim in plates for dim in shape):
            total += _count(shape).size(sizes)
    return FullRank() if total <= FULL_RANK_LIMIT else LowRank(max(2, min(20, math.isqrt(total))))
