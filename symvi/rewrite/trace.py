"""The trace of a run: which rule turned what into what, at which line of the user. Data for reports and tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from symvi.expr.nodes import Node
from symvi.expr.provenance import Site

__all__ = ["Entry", "Trace", "collect", "current"]


class Entry(NamedTuple):
    """One application: the name of the rule, the node before and after, the user's line."""

    rule: str
    before: Node
    after: Node
    site: Site | None
    stage: str


class Trace:
    """Entries in order of application, and per rule how often it was tried, how often it fired and its seconds."""

    def __init__(self):
        self.entries: list[Entry] = []
        self.tries: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()

    def rules(self) -> list[str]:
        """The names of the rules that fired, in order of first application."""
        return list(dict.fromkeys(entry.rule for entry in self.entries))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def statistics(self) -> list[tuple[str, int, int, float]]:
        """(rule, hits, tries, seconds), most seconds first."""
        rows = ((name, self.hits[name], self.tries[name], self.seconds[name]) for name in self.tries)
        return sorted(rows, key=lambda row: (-row[3], row[0]))


_open: list[Trace] = []


def current() -> Trace | None:
    """The trace being collected."""
    return _open[-1] if _open else None


@contextmanager
def collect() -> Iterator[Trace]:
    """Collect the trace of the stages run inside. Nothing remembered from earlier runs is used, so the trace is complete."""
    trace = Trace()
    _open.append(trace)
    try:
        yield trace
    finally:
        _open.remove(trace)
