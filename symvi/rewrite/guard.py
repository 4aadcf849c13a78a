"""Choices made by size: inequalities between dims, decided where sizes are known, else assumed, recorded and checked at binding.

    with deciding(Decisions(sizes={"N": 1000, "M": 50})) as decisions:
        ...                                   # whoever chooses by size calls ask(Guard(4 * M, N))
    decisions.taken                           # what the result relies on
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from symvi.expr.dims import Dim

__all__ = ["Guard", "Decisions", "ask", "deciding", "known_sizes", "open_decisions", "typical_sizes"]


class Guard(NamedTuple):
    """`smaller < larger`: what a rule or the plan, and so the kernel, relies on. Printed in the plan and checked at binding."""

    smaller: Dim
    larger: Dim

    def __str__(self) -> str:
        return f"{self.smaller} < {self.larger}"

    @property
    def known(self) -> bool | None:
        """The answer, where it does not wait for data."""
        return self.at({})

    def at(self, sizes: Mapping[str, int]) -> bool | None:
        """The answer at these sizes; None where one is missing."""
        missing = any(name.known is None and name.name not in sizes for side in self for name in side.names)
        return None if missing else self.smaller.size(sizes) < self.larger.size(sizes)

    def negated(self) -> Guard:
        return Guard(self.larger, self.smaller + 1)

    def implies(self, other: Guard) -> bool:
        """Does `other` hold at all sizes at which this one does, by the signs of coefficients alone?"""
        slack = (other.larger - other.smaller) - (self.larger - self.smaller)
        return all(coefficient >= 0 for _, coefficient in slack.terms)


ALWAYS = Guard(Dim(0), Dim(1))
TYPICAL, ROUNDS = 8, 64


class Decisions:
    """The answers given during one lowering, as guards that hold: `taken`, without those that follow from others.

    `holds` decides a guard, else `sizes` do; a guard that neither decides is assumed to hold, unless it contradicts one taken before.
    """

    def __init__(self, holds: Callable[[Guard], bool] | None = None, sizes: Mapping[str, int] | None = None):
        self.holds = holds
        self.sizes = dict(sizes or {})
        self._taken: dict[Guard, None] = {}
        self._pending: list[Guard] | None = None

    @property
    def taken(self) -> list[Guard]:
        return list(self._taken)

    def answer(self, guard: Guard) -> bool:
        """May the asker rely on it? A no counts at once, and so does a yes, unless it was given during an attempt that fails."""
        said = self.holds(guard) if self.holds is not None else guard.at(self.sizes)
        if said is None:
            said = not self._follows(guard.negated())
        if not said:
            self._take(guard.negated())
        elif self._pending is not None:
            self._pending.append(guard)
        else:
            self._take(guard)
        return said

    def _follows(self, guard: Guard) -> bool:
        return ALWAYS.implies(guard) or any(taken.implies(guard) for taken in self._taken)

    def _take(self, guard: Guard) -> None:
        if not self._follows(guard):
            self._taken = {taken: None for taken in self._taken if not guard.implies(taken)} | {guard: None}

    @contextmanager
    def attempt(self) -> Iterator[Callable[[], None]]:
        """What is asked inside counts only if the function that this gives is called: a rule asked, and then fired."""
        before, self._pending = self._pending, []
        pending = self._pending

        def succeed() -> None:
            for guard in pending:
                self._take(guard)

        try:
            yield succeed
        finally:
            self._pending = before


_open: list[Decisions] = []


def open_decisions() -> Decisions | None:
    """The decisions of the lowering that is under way."""
    return _open[-1] if _open else None


def known_sizes() -> Mapping[str, int]:
    """The sizes at hand, by name, for who compares costs; empty where the kernel is lowered before its data are known.

    A choice made by them asks for the guard that makes it good elsewhere.
    """
    return _open[-1].sizes if _open else {}


def typical_sizes(names: Iterable[str]) -> dict[str, int]:
    """A size for each name: the one at hand, else one at which all guards that were taken hold. For measures, not for choices."""
    sizes = {**dict.fromkeys(names, TYPICAL), **known_sizes()}
    guards = _open[-1].taken if _open else []
    for _ in range(ROUNDS):
        broken = [guard for guard in guards if guard.at({**dict.fromkeys(_names(guard), TYPICAL), **sizes}) is False]
        if not broken:
            break
        for name in {name for guard in broken for name in _names(guard[1:])} - known_sizes().keys():
            sizes[name] = 2 * sizes.get(name, TYPICAL)
    return sizes


def _names(dims: Iterable[Dim]) -> list[str]:
    return [name.name for dim in dims for name in dim.names if name.known is None]


def ask(guard: Guard) -> bool:
    """May a rule or the plan rely on `guard`?"""
    if guard.known is not None:
        return guard.known
    return _open[-1].answer(guard) if _open else True


@contextmanager
def deciding(decisions: Decisions) -> Iterator[Decisions]:
    """Questions asked inside are answered by, and recorded in, `decisions`."""
    _open.append(decisions)
    try:
        yield decisions
    finally:
        _open.remove(decisions)
