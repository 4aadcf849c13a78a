"""Which rule changed what: the trace of the passes as a table in mathematics, with the user's lines; hits and time per rule."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from symvi.expr.nodes import Input, Node, Read, postorder
from symvi.expr.printing import label_names, text
from symvi.expr.provenance import origins, value_names
from symvi.plan.program import Output, Plan
from symvi.rewrite.engine import STAGES
from symvi.rewrite.trace import Trace

__all__ = ["RuleReport", "Row"]

EXPRESSION, RESULT = 100, 300  # characters; beyond it deep parts are elided
ALIKE = 3  # rows shown of one rule at one line
LEAST_WIDTH = 80


class Row(NamedTuple):
    """One application, or several that read alike."""

    line: str
    rule: str
    before: str
    after: str
    times: int = 1


class _Used(dict):
    """Names of nodes that note which of them were asked for."""

    def __init__(self, names: dict[Node, str], used: set[Node] | None = None, without: Node | None = None):
        super().__init__((node, name) for node, name in names.items() if node is not without)
        self.used = set() if used is None else used

    def __getitem__(self, node: Node) -> str:
        self.used.add(node)
        return super().__getitem__(node)


class RuleReport:
    """What the rules did to a request, what came out, and what it relies on. `originals` are the terms as the user wrote them."""

    def __init__(self, trace: Trace, originals: Sequence[Node], outputs: Sequence[Output], plan: Plan):
        self.trace, self.outputs, self.plan = trace, list(outputs), plan
        self.named = value_names(list(postorder(originals)))

    # -- rows ------------------------------------------------------------------------------------------------------
    def rows(self) -> dict[str, list[Row]]:
        """The rows of every stage in which a rule fired, in order of first application."""
        stages: dict[str, Counter] = {}
        for entry in self.trace:
            line = str(entry.site) if entry.site else ""
            stages.setdefault(entry.stage, Counter())[(line, entry.rule, *self._texts(entry.before, entry.after))] += 1
        return {stage: _abridged([Row(*key, times) for key, times in rows.items()]) for stage, rows in stages.items()}

    def _texts(self, before: Node, after: Node) -> tuple[str, str]:
        """Both sides with the same letters. What stands on both as it is goes by the name that the user gave it."""
        letters = label_names((before, after))
        names = self._names(set(postorder((before,))).intersection(postorder((after,))) - {before, after})
        return text(before, EXPRESSION, letters, names), text(after, EXPRESSION, letters, names)

    def _names(self, nodes: Iterable[Node]) -> dict[Node, str]:
        """What the user called some nodes, also those that were rewritten since."""
        names = {}
        for node in nodes:
            found = next((self.named[each] for each in origins(node) if each in self.named), None)
            if found is not None and node.children and not (isinstance(node, Read) and isinstance(node.array, Input)):
                names[node] = found
        return names

    # -- text ------------------------------------------------------------------------------------------------------
    def as_text(self, timing: bool = False, width: int | None = None) -> str:
        """Plain text, one line per application where it fits."""
        width = max(LEAST_WIDTH, width or shutil.get_terminal_size((140, 24)).columns)
        blocks = [_stage_text(stage, rows, width) for stage, rows in self.rows().items()] or ["no rule fired"]
        for title, lines in self._notes():
            blocks.append("\n".join([title, *(f"  {line}" for line in lines)]))
        if timing:
            blocks.append(_timing_text(self.trace))
        return "\n\n".join(blocks)

    def _notes(self) -> list[tuple[str, list[str]]]:
        """What came out, what the plan computes otherwise than typed, and the inequalities between sizes that all of it relies on."""
        orders = [_reordering(each, *self._texts(each.before, each.after)) for each in self.plan.reorderings]
        solves = [text(solve, EXPRESSION) for solve in self.plan.opened_solves]
        guards = [str(guard) for guard in self.plan.guards]
        notes = [
            ("result", self._results()), ("contractions in another order", orders),
            ("solves for every row of a plate, as products with the inverse", solves), ("relies on", guards),
        ]  # fmt: skip
        return [(title, lines) for title, lines in notes if lines]

    def _results(self) -> list[str]:
        """The outputs, with the user's names for what the user named, and what these stand for."""
        terms = [output.term for output in self.outputs]
        order = list(postorder(terms))
        letters = label_names(terms)
        names = {name: node for node, name in self._names(order).items() if node not in terms}  # of several, the last
        stop = _Used({node: name for name, node in names.items()})
        lines = []
        for output in self.outputs:
            axes = ",".join(letters[axis] for axis in output.axes) if all(axis in letters for axis in output.axes) else ""
            lines.append(f"{output.name}{f'[{axes}]' if axes else ''} = {text(output.term, RESULT, letters, stop)}")
        told: set[Node] = set()
        while stop.used - told:
            node = max(stop.used - told, key=order.index)
            told.add(node)
            lines.append(f"where {stop[node]} = {text(node, RESULT, letters, _Used(stop, stop.used, without=node))}")
        return lines

    # -- a terminal ------------------------------------------------------------------------------------------------
    def show(self, timing: bool = False) -> None:
        """Print: a table on a terminal, plain text elsewhere."""
        if not sys.stdout.isatty():
            print(self.as_text(timing))
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        for stage, rows in self.rows().items():
            table = Table("line", "rule", "before → after", title=_title(stage), title_justify="left", show_edge=False)
            for row in rows:
                sides = f"{row.before}\n→ {row.after}" if row.before else row.after
                table.add_row(Text(row.line), Text(_called(row)), Text(sides))
            console.print(table)
        for title, lines in self._notes():
            console.print(Text("\n".join([title, *(f"  {line}" for line in lines)])))
        if timing:
            console.print(Text(_timing_text(self.trace)))


def _abridged(rows: list[Row]) -> list[Row]:
    """At most a few rows of one rule at one line, and one that counts the others."""
    seen: Counter = Counter()
    more: Counter = Counter()
    kept = []
    for row in rows:
        key = (row.line, row.rule)
        seen[key] += 1
        if seen[key] <= ALIKE:
            kept.append(row)
        else:
            more[key] += row.times
    for (line, rule), times in more.items():
        last = max(position for position, row in enumerate(kept) if (row.line, row.rule) == (line, rule))
        kept.insert(last + 1, Row(line, rule, "", f"and {times} more", 1))
    return kept


def _title(stage: str) -> str:
    return f"{stage}: {STAGES[stage].purpose}" if stage in STAGES else stage


def _called(row: Row) -> str:
    return f"{row.rule} ×{row.times}" if row.times > 1 else row.rule


def _stage_text(stage: str, rows: Iterable[Row], width: int) -> str:
    rows = list(rows)
    places, rules = max(len(row.line) for row in rows), max(len(_called(row)) for row in rows)
    lines = [_title(stage)]
    for row in rows:
        start = f"  {row.line:{places}}  {_called(row):{rules}}  "
        whole = f"{start}{row.before} → {row.after}" if row.before else f"{start}{row.after}"
        fits = len(whole) <= width or not row.before
        lines += [whole] if fits else [f"{start}{row.before}", f"{' ' * (len(start) - 2)}→ {row.after}"]
    return "\n".join(lines)


def _reordering(each, before: str, after: str) -> str:
    guards = f" where {' and '.join(map(str, each.guards))}" if each.guards else ""
    return f"{before} → {after}    ({each.flops_before} → {each.flops_after} operations{guards})"


def _timing_text(trace: Trace) -> str:
    """Hits, tries and time of the rules that fired, slowest first, and of all others together."""
    statistics = trace.statistics()
    rows = [row for row in statistics if row[1]]
    silent = [row for row in statistics if not row[1]]
    rows += [(f"{len(silent)} rules that did not fire", *_totals(silent)), ("all", *_totals(statistics))]
    widest = max(len(name) for name, *_ in rows)
    lines = [f"{'rule':{widest}}  hits   tries  milliseconds"]
    return "\n".join([*lines, *(f"{name:{widest}}  {hits:4}  {tries:6}  {1e3 * seconds:12.2f}" for name, hits, tries, seconds in rows)])


def _totals(rows: Sequence[tuple[str, int, int, float]]) -> tuple[int, int, float]:
    return sum(row[1] for row in rows), sum(row[2] for row in rows), sum(row[3] for row in rows)
