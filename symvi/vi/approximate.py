"""From what a user writes as guide to the blocks of an approximation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from symvi.array.expression import Expr, mistake
from symvi.errors import ModelError, NameClashError
from symvi.expect.approximation import Approximation
from symvi.expr.dims import Dim, as_dim
from symvi.expr.dims import dim as new_dim
from symvi.stats.model import Model
from symvi.stats.random_variable import RandomVariable
from symvi.vi.context import Context
from symvi.vi.guides import FullRank, Guide, LowRank, MeanField, Variables

__all__ = ["approximate", "as_guide", "particle_dim"]

BY_NAME = {"meanfield": MeanField, "fullrank": FullRank, "lowrank": lambda: LowRank(8), "auto": FullRank}


def as_guide(guide: Any) -> Guide:
    """A guide object from one, its class, or its name."""
    if isinstance(guide, Guide):
        return guide
    if isinstance(guide, type) and issubclass(guide, Guide):
        return guide()
    if isinstance(guide, str) and guide in BY_NAME:
        return BY_NAME[guide]()
    near = difflib.get_close_matches(str(guide), BY_NAME, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(map(repr, BY_NAME))}, a guide object or a dict"
    raise mistake(f"{guide!r} is not a guide; {hint}", ModelError)


def particle_dim(particles: int | Dim) -> Dim | None:
    """The dim over draws: None for one, `S` for a number known now, else the dim given."""
    if isinstance(particles, Dim):
        return None if particles == 1 else particles
    if not hasattr(particles, "__index__") or isinstance(particles, bool) or int(particles) < 1:
        raise mistake(f"particles is a positive number of draws or a dim, not {particles!r}", ModelError)
    return None if int(particles) == 1 else new_dim("S", int(as_dim(particles).value))


def approximate(
    model: Model,
    guide: Any = "auto",
    observed: Iterable[RandomVariable] = (),
    particles: int | Dim = 1,
    plates: Iterable[Dim] = (),
    reference: bool = False,
    stick: bool = False,
    default: Any = "auto",
) -> Approximation:
    """The approximation of all latents of a model (every variable that is not in `observed`).

    `guide` is a name, a guide object, or a dict from latents (variables, names, tuples of them) to random variables or
    guides; latents that a dict does not name get `default`. `plates` are the dims that joint guides do not cross.
    `reference` adds the data leaves of reference coordinates; `stick` makes the entropies stick the landing.
    """
    observed = list(observed)
    latents = {name: variable for name, variable in model.variables.items() if variable not in observed}
    context = Context(model.twins(observed), frozenset(plates), particle_dim(particles), reference, stick)
    context.taken = {*model.variables, *model.data, *model.parameters, *model.deterministics, *model.factors}
    pending = _assign(guide, default, latents, model)
    blocks = []
    while pending:
        ready = [item for item in pending if context.ready(item[0].reads(item[1]))]
        if not ready:
            names = ", ".join(sorted(latent.name for _, group in pending for latent in group))
            unknown = [
                leaf for item in pending for leaf in item[0].reads(item[1]) if leaf.role == "latent" and leaf.name not in model.variables
            ]
            if unknown:
                raise mistake(
                    f"the guide reads the random variable {unknown[0].name!r} [{unknown[0].site}], which the model does not have",
                    ModelError,
                )
            raise mistake(f"the guides of {names} read each other in a circle", ModelError)
        chosen, group = ready[0]
        pending.remove(ready[0])
        made = chosen.build(group, context)
        for block in made:
            block.reads = _transitive(chosen.reads(list(block.latents)), blocks)
        blocks.extend(made)
    return Approximation(tuple(blocks), context.particles, context.observed)


def _transitive(leaves, blocks) -> frozenset:
    found = {leaf for leaf in leaves if leaf.role == "latent"}
    for block in blocks:
        if found & set(block.draws):
            found |= set(block.draws) | block.reads
    return frozenset(found)


def _assign(guide: Any, default: Any, latents: Mapping[str, RandomVariable], model: Model) -> list[tuple[Guide, list[RandomVariable]]]:
    """(guide, its latents) pairs; a dict gives every entry its own, and the rest to the default."""
    if not isinstance(guide, Mapping):
        return [(as_guide(guide), list(latents.values()))] if latents else []
    left = dict(latents)
    pairs: list[tuple[Guide, list[RandomVariable]]] = []
    written: dict[RandomVariable, RandomVariable] = {}
    for key, value in guide.items():
        group = [_latent(part, latents, model) for part in (key if isinstance(key, tuple) else (key,))]
        for latent in group:
            if left.pop(latent.name, None) is None:
                raise NameClashError(f"the latent {latent.name!r} occurs twice among the keys of the guide")
        if isinstance(value, Expr) and value.leaf is not None and value.leaf.role == "latent":
            if len(group) > 1:
                raise mistake("one random variable cannot be the guide of several latents; use sv.FullRank() for a tuple", ModelError)
            written[group[0]] = value
        else:
            pairs.append((as_guide(value), group))
    if written:
        variables = Variables(written)
        pairs.extend((variables, [latent]) for latent in written)
    if left:
        pairs.append((as_guide(default), list(left.values())))
    return pairs


def _latent(key: Any, latents: Mapping[str, RandomVariable], model: Model) -> RandomVariable:
    variable = model.variable(key)
    if variable.name not in latents:
        raise mistake(f"{variable.name!r} is observed; a guide names latents only", ModelError)
    return variable
