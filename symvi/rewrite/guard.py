"""Choices made by size: inequalities between dims, decided where sizes are known, else assumed, recorded and checked at binding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from symvi.expr.dims import Dim

__all__ = ["Guard", "Decisions", "ask", "deciding"]


class Guard(NamedTuple):
    """`smaller < larger`: what a rule, and so the kernel, relies on. Printed in the plan and checked at binding."""

    smaller: Dim
    larger: Dim

    def __str__(self) -> str:
        return f"{self.smaller} < {self.larger}"

    @property
    def known(self) -> bool | None:
        """The answer, where it does not wait for data."""
        if self.smaller.value is None or self.larger.value is None:
            return None
        return self.smaller.value < self.larger.value

    def negated(self) -> Guard:
        return Guard(self.larger, self.smaller + 1)


class Decisions:
    """The answers given during one run of a stage, as guards that hold."""

    def __init__(self, holds: Callable[[Guard], bool] | None):
        self.holds = holds
        self.taken: list[Guard] = []
        self.pending: list[Guard] = []

    def answer(self, guard: Guard) -> bool:
        """True unless `holds` says no. A no counts at once, a yes when the rule that asked also fires."""
        if self.holds is None or self.holds(guard):
            self.pending.append(guard)
            return True
        self.taken.append(guard.negated())
        return False

    def settle(self, fired: bool) -> None:
        if fired:
            self.taken.extend(self.pending)
        self.pending.clear()


_open: list[Decisions] = []


def ask(guard: Guard) -> bool:
    """May a rule rely on `guard`?"""
    if guard.known is not None:
        return guard.known
    return _open[-1].answer(guard) if _open else True


@contextmanager
def deciding(decisions: Decisions) -> Iterator[None]:
    """Questions asked inside are answered by, and recorded in, `decisions`."""
    _open.append(decisions)
    try:
        yield
    finally:
        _open.remove(decisions)
