"""The two lines that a fit prints: what was chosen, and how it ended."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from symvi.expect.approximation import Block

__all__ = ["guide_text", "bound_text", "counted", "home_path"]

PARTS = {"likelihood": "likelihood", "factor": "factors", "prior": "KL", "entropy": "KL"}
LANDING = ", sticking the landing"


def counted(number: int, noun: str) -> str:
    """`569 observations`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def guide_text(blocks: Iterable[Block], automatic: bool) -> str:
    """`full rank (auto)`; blocks over plates say so."""
    names = [block.family + (f" per {' x '.join(map(str, block.plates))}" if block.plates else "") for block in blocks]
    return ", ".join(dict.fromkeys(names)) + (" (auto)" if automatic else "")


def bound_text(resolution: Sequence, draws: str) -> str:
    """`likelihood: 8 draws, KL: closed form`; parts that are resolved alike stand together. `draws` is the count of draws, in words."""
    parts: dict[str, list[str]] = {}
    for entry in resolution:
        how = entry.how.replace("draws draws", draws).replace("1 draws", "1 draw") if entry.how.startswith("draws draws") else entry.how
        parts.setdefault(PARTS.get(entry.part, entry.part), []).append(how)
    landing = any(how.endswith(LANDING) for ways in parts.values() for how in ways)
    groups: dict[str, list[str]] = {}
    for part in sorted(parts, key=list(dict.fromkeys(PARTS.values())).index):
        ways = dict.fromkeys(how.removesuffix(LANDING) for how in parts[part])
        if len(ways) > 1:
            ways.pop("exact", None)  # a flat prior is exact; what is not tells more
        groups.setdefault(" and ".join(ways), []).append(part)
    texts = []
    for how, names in groups.items():
        stuck = landing and "KL" in names and draws in how
        texts.append(f"{' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}: {how}{LANDING if stuck else ''}")
    return ", ".join(texts)


def home_path(path: str) -> str:
    """A path with the home directory as ~."""
    return path.replace(os.path.expanduser("~"), "~")
