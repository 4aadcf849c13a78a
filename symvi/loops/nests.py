"""Steps gathered into nests of loops: those over the same labels share one, as far as they wait for nothing outside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from symvi.expr.labels import Label
from symvi.loops.steps import RegionTerms, Step

__all__ = ["Nest", "schedule"]


@dataclass(eq=False)
class Nest:
    """Steps that share loops."""

    key: tuple
    loops: frozenset[Label]
    steps: list[Step] = field(default_factory=list)


def schedule(steps: Sequence[Step], terms: RegionTerms) -> list[Nest]:
    """Greedy: close a nest only when nothing that is ready fits it; prefer nests that nobody still waits to join."""
    needs = {step: terms.needs(step) for step in steps}
    keys = {step: _key(step, terms) for step in steps}
    waiting = list(steps)
    done: set = set()
    nests: list[Nest] = []
    while waiting:
        ready = [step for step in waiting if needs[step] <= done]
        blocked = {keys[step] for step in waiting if not needs[step] <= done and not _joins(step, keys, needs, ready, done)}
        chosen = next((step for step in ready if keys[step] not in blocked), ready[0])
        nest = Nest(keys[chosen], chosen.loops)
        here: set = set()
        progress = True
        while progress:
            progress = False
            for step in list(waiting):
                if keys[step] == nest.key and all(t in done or t in here for t in needs[step]):
                    nest.steps.append(step)
                    step.nest = nest
                    waiting.remove(step)
                    if step.define and not step.reduces:
                        here.add(step.term)
                    progress = True
        done |= here | {step.term for step in nest.steps if step.define} | {buffer for step in nest.steps for buffer in step.stores}
        nests.append(nest)
    return nests


def _key(step: Step, terms: RegionTerms) -> tuple:
    """Contractions have nests of their own unless they sum over exactly the loops of pointwise work."""
    if step.define and terms.product(step.term) is not None:
        return ("product", step)
    if step.reduces and len(step.loops) > 1 and not terms.has_function(step.term):
        return ("contract", step.loops)
    return ("point", step.loops)


def _joins(step: Step, keys, needs, ready, done) -> bool:
    """Will `step` become ready inside the nest of a ready step with its key?"""
    makers = {other.term for other in ready if keys[other] == keys[step] and other.define and not other.reduces}
    return needs[step] <= done | makers
