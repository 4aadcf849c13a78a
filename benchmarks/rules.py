"""The rules at work: how many there are, how often each fires and what it costs: `python -m benchmarks.rules`.

Every spelling of `benchmarks.spellings` and the expression of 500 nodes of `benchmarks.build` run through the passes with their gradients;
nothing is planned or compiled. A rule that fires nowhere is named.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import symvi as sv
from benchmarks import build
from benchmarks.spellings import linear_check, linear_rows
from benchmarks.spellings.__main__ import tables
from benchmarks.spellings.kernels import FORMS, spelling
from symvi.array.expression import array_of, leaf_expr
from symvi.calculus.reverse import gradients
from symvi.expr.nodes import Array, Node, Term, postorder
from symvi.rewrite.guard import Decisions, deciding
from symvi.rewrite.rule import RULES
from symvi.rewrite.trace import Trace, collect
from symvi.rules import restructure, simplify, stabilise

__all__ = ["passes", "spellings", "traced"]


def passes(cost: Term, others: Sequence[Node], wrt: Sequence[Array]) -> list[Node]:
    """A scalar and other terms through all stages, with the gradient of the scalar."""
    with deciding(Decisions()):
        roots = stabilise(restructure([cost, *others]))
        return simplify([*roots, *gradients(roots[0], wrt)])


def traced(cost: sv.Expr, wrt: Iterable[sv.Expr], others: Sequence[sv.Expr] = ()) -> Trace:
    """What the rules did to an expression and its gradient."""
    present = set(postorder([cost.term]))
    arrays = [array for array in map(array_of, wrt) if array in present]
    with collect() as trace:
        passes(cost.term, [other.term for other in others], arrays)
    return trace


def spellings() -> Iterator[tuple[str, sv.Expr, sv.Expr, list[sv.Expr]]]:
    """(name, expression, its weighted sum, parameters) of every spelling."""
    for rows in tables().values():
        for row in rows:
            spelled = spelling(row, FORMS[0])
            yield row.name, spelled.expression, spelled.cost, [leaf_expr(spelled.leaves[name]) for name in spelled.parameters]
    for row in linear_rows.ROWS:
        spelled = linear_check.spelling(row, "plain")
        yield row.name, spelled.expression, spelled.cost, [spelled.leaves[letter] for letter in spelled.parameters]


def add(total: Trace, part: Trace) -> None:
    for counter in ("hits", "tries", "seconds"):
        getattr(total, counter).update(getattr(part, counter))


def print_table(title: str, total: Trace, seconds: float, most: int) -> None:
    rows = total.statistics()
    share = sum(total.seconds.values()) / seconds
    hits, tries = sum(total.hits.values()), sum(total.tries.values())
    print(f"\n{title}: {hits} hits of {tries} tries; {seconds:.2f} s traced, {share:.0%} of it in rules")
    print(f"{'rule':34} {'hits':>6} {'tries':>7} {'ms':>9} {'us per try':>11}")
    for name, hits, tries, spent in rows[:most]:
        print(f"{name:34} {hits:6d} {tries:7d} {1e3 * spent:9.2f} {1e6 * spent / max(tries, 1):11.1f}")


def untraced_time(cost: sv.Expr, parameters: Sequence[sv.Expr]) -> float:
    start = time.perf_counter()
    passes(cost.term, (), [array_of(p) for p in parameters])
    return time.perf_counter() - start


def main(most: int = 15) -> None:
    kinds = Counter(rule.kind for rule in RULES.values())
    stages = Counter(stage for rule in RULES.values() for stage in rule.stages)
    parts = [f"{n} {kind}" for kind, n in kinds.items()], [f"{n} in {stage}" for stage, n in stages.items()]
    print(f"{len(RULES)} rules: {', '.join(parts[0])}; {', '.join(parts[1])}")

    total, count, start = Trace(), 0, time.perf_counter()
    for _, expression, cost, parameters in spellings():
        add(total, traced(cost, parameters, [expression]))
        count += 1
    print_table(f"{count} spellings with gradients", total, time.perf_counter() - start, most)
    silent = sorted(set(RULES) - {name for name, hits in total.hits.items() if hits})
    print(f"fire in no spelling: {', '.join(silent) or 'none'}")

    large, parameters = build.build()
    start = time.perf_counter()
    trace = traced(large, parameters)
    print_table(f"{build.count(large.term)['nodes']} nodes with 20 gradients", trace, time.perf_counter() - start, most)
    large, parameters = build.build()  # anew: what was rewritten is remembered
    print(f"all passes without a trace: {untraced_time(large, parameters):.3f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
