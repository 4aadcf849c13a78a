"""The table of spellings: `python -m benchmarks.spellings [--variants N] [--only TEXT] [--points N]`; exit code 1 if a row fails."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from collections import Counter

import benchmarks.spellings as package
from benchmarks.spellings.check import Outcome, check_rows
from benchmarks.spellings.rows import Row

WIDTH = 44


def tables(prefix: str = "scalar_rows_") -> dict[str, tuple[Row, ...]]:
    """The rows of every module of the package whose name begins so."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name.startswith(prefix))
    return {name.removeprefix(prefix): importlib.import_module(f"{package.__name__}.{name}").ROWS for name in names}


def line(outcome: Outcome) -> str:
    """One line of the table."""
    forms = " ".join(name if good else f"{name}!" for name, good in outcome.forms.items())
    verdict, left_out = "pass" if outcome.passed else "FAIL", sum(outcome.skipped.values())
    return (
        f"{outcome.row.name:{WIDTH}.{WIDTH}} {outcome.value:9.1e} {outcome.gradient:9.1e} {outcome.points:5d} {left_out:4d}"
        f"  {verdict}  {outcome.row.pytensor:36.36}  {forms}"
    )


def print_outcomes(title: str, outcomes: list[Outcome], failures: int) -> None:
    """A part of the table, with the first failures of each row."""
    print(f"\n{title}")
    print(f"{'spelling':{WIDTH}} {'value':>9} {'gradient':>9} {'points':>5} {'left':>4}  {'':4}  {'PyTensor 3.3.7':36}  tried as")
    for outcome in outcomes:
        print(line(outcome))
        for failure in outcome.failures[:failures]:
            print(f"    {failure}")


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks.spellings", description=__doc__)
    options.add_argument("--variants", type=int, default=500, help="random variants of rows (default 500)")
    options.add_argument("--only", default="", help="only rows whose name or table contains this text")
    options.add_argument("--points", type=int, default=None, help="at most so many points of each row")
    options.add_argument("--failures", type=int, default=3, help="failures printed for each row")
    given = options.parse_args()
    start, outcomes = time.perf_counter(), []
    chosen = {table: [row for row in rows if given.only in row.name or given.only in table] for table, rows in tables().items()}
    for table, rows in chosen.items():
        if rows:
            found = check_rows(rows, most=given.points)
            print_outcomes(table, found, given.failures)
            outcomes += found
    matrices = linear(given.only)
    variants = spelled_differently([row for rows in chosen.values() for row in rows], given.variants) if given.variants else []
    print_summary(outcomes, matrices, variants, given.failures, time.perf_counter() - start)
    return 0 if all(good for good in (*(o.passed for o in outcomes), *matrices, *(o.passed for o in variants))) else 1


def linear(only: str) -> list[bool]:
    """Checks and prints the rows of linear algebra, which have a checker of their own."""
    name = f"{package.__name__}.linear_check"
    if importlib.util.find_spec(name) is None:
        return []
    return importlib.import_module(name).check_and_print(only)


def spelled_differently(rows: list[Row], count: int) -> list[Outcome]:
    """Random variants, checked."""
    from benchmarks.spellings.variants import check_variants

    return check_variants(rows, count)


def print_summary(outcomes: list[Outcome], matrices: list[bool], variants: list[Outcome], failures: int, seconds: float) -> None:
    """Why points were left out, which variants fail, and the counts."""
    reasons = sum((outcome.skipped for outcome in outcomes), Counter())
    print("\npoints left out:", "; ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "none")
    bad = [outcome for outcome in variants if not outcome.passed]
    if bad:
        print_outcomes("variants that fail", bad, failures)
    if variants:
        print(f"{len(variants)} variants, {len(variants) - len(bad)} pass")
    passed = sum(outcome.passed for outcome in outcomes) + sum(matrices)
    print(f"{len(outcomes) + len(matrices)} rows, {passed} pass ({seconds:.0f} s)")


if __name__ == "__main__":
    sys.exit(main())
