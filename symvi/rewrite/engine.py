"""Running a stage: bottom-up to the fixpoint, each node once, remembered on the node.

A node is rebuilt from its rewritten children, then the rules filed under its head are tried, larger patterns first;
what a rule returns is brought to its own fixpoint. Iterative: the depth of an expression is no limit. Termination is
asserted, not hoped for: every stage declares a measure that each application must decrease (checked when `CHECK` is
set, as the tests do); in any case a rule that leads back to a node in progress is an error, and so is a run beyond a cap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from symvi.errors import ExpressionError
from symvi.expr import provenance
from symvi.expr.build import rebuild
from symvi.expr.facts import inherit
from symvi.expr.nodes import Node, postorder
from symvi.rewrite.guard import Decisions, Guard, deciding, open_decisions
from symvi.rewrite.pattern import reach
from symvi.rewrite.rule import Rule, active, version
from symvi.rewrite.trace import Entry, Trace, current
from symvi.rewrite.views import head_of

__all__ = ["Stage", "STAGES", "declare_stage", "run_stage", "measure_of", "CHECK", "CAP"]

CHECK = False
CAP = 100_000  # applications per run, whatever the rules are

Weight = Callable[[Node], tuple]


@dataclass(eq=False)
class Stage:
    """A name, what it is for, and the weight of a node: the sum over the nodes of an expression must decrease lexicographically."""

    name: str
    purpose: str
    weight: Weight
    _version: int = -1
    _filed: dict[str, list[Rule]] = field(default_factory=dict)
    _chosen: dict[tuple[str, frozenset[str]], tuple[Rule, ...]] = field(default_factory=dict)
    _guarded: bool = False

    def _refresh(self) -> None:
        if self._version == version():
            return
        rules = [r for r in active() if self.name in r.stages]
        self._filed, self._chosen = {}, {}
        for each in sorted(rules, key=lambda r: (-r.priority, r.name)):
            for head in each.heads:
                self._filed.setdefault(head, []).append(each)
        self._guarded = any(r.guarded for r in rules)
        self._version = version()

    def rules_for(self, node: Node) -> Sequence[Rule]:
        """The rules that may apply at a node, larger patterns first: by its head, for sums and products also by those of their operands."""
        self._refresh()
        head = head_of(node)
        filed = self._filed.get(head, ())
        if not filed or head not in ("sum", "product"):
            return filed
        key = head, reach(node)
        if key not in self._chosen:
            self._chosen[key] = tuple(each for each in filed if each.needs <= key[1])
        return self._chosen[key]

    @property
    def guarded(self) -> bool:
        self._refresh()
        return self._guarded

    @property
    def empty(self) -> bool:
        self._refresh()
        return not self._filed


STAGES: dict[str, Stage] = {}


def declare_stage(name: str, purpose: str, weight: Weight) -> Stage:
    """A stage of the compiler, with its measure."""
    STAGES[name] = Stage(name, purpose, weight)
    return STAGES[name]


def measure_of(stage: Stage, nodes: Iterable[Node]) -> tuple:
    """The sum of the weights of some nodes."""
    total: tuple = ()
    for node in nodes:
        weight = stage.weight(node)
        total = tuple(a + b for a, b in zip(total, weight, strict=True)) if total else weight
    return total


def decreases(stage: Stage, before: Node, after: Node) -> tuple[bool, tuple, tuple]:
    """Does the measure of the nodes that disappear exceed that of the nodes that appear? Shared nodes count once."""
    old, new = set(postorder((before,))), set(postorder((after,)))
    zero = tuple(0 for _ in stage.weight(before))
    gone, come = measure_of(stage, old - new) or zero, measure_of(stage, new - old) or zero
    return come < gone, gone, come


def run_stage(
    stage: str | Stage, roots: Sequence[Node], guards: list[Guard] | None = None, holds: Callable[[Guard], bool] | None = None
) -> list[Node]:
    """The fixpoints of `roots` under the rules of a stage.

    Guards that the result relies on go to the decisions that are open (see `deciding`). A run on its own appends them to `guards`, and
    `holds` decides those that the dims alone leave open (without it they are assumed to hold).
    """
    stage = STAGES[stage] if isinstance(stage, str) else stage
    if stage.empty:
        raise ExpressionError(f"the stage {stage.name} has no rules: import symvi.rules")
    own = open_decisions() is None or guards is not None or holds is not None
    with deciding(Decisions(holds) if own else open_decisions()) as decisions:
        run = _Run(stage, decisions)
        results = [run.normal(root) for root in roots]
    if guards is not None:
        guards.extend(decisions.taken)
    return results


class _Run:
    """One run of a stage: what is finished, what is in progress."""

    def __init__(self, stage: Stage, decisions: Decisions):
        self.stage = stage
        self.trace: Trace | None = current()
        self.decisions = decisions
        self.key = (stage.name, version())
        self.remembers = self.trace is None and not stage.guarded
        self.done: dict[Node, Node] = {}
        self.becomes: dict[Node, Node] = {}  # nodes in progress: what they turned into last
        self.fired: dict[Node, str] = {}
        self.applications = 0

    def _result(self, node: Node) -> Node | None:
        if not self.remembers:
            return self.done.get(node)
        if self.key in node.memo:
            kept = node.memo[self.key]
            return node if kept is None else kept
        return None

    def _finish(self, node: Node, result: Node) -> None:
        provenance.replaced(node, result)
        if result is not node:
            inherit(node, result)
        if self.remembers:
            node.memo[self.key] = None if result is node else result
        else:
            self.done[node] = result

    def normal(self, root: Node) -> Node:
        stack = [root]
        while stack:
            node = stack[-1]
            if self._result(node) is not None:
                stack.pop()
            elif node in self.becomes:
                self._finish(node, self._result(self.becomes.pop(node)))
                stack.pop()
            else:
                pending = [child for child in node.children if self._result(child) is None]
                if pending:
                    stack.extend(reversed(pending))
                    continue
                step = self._step(node)
                if step is None:
                    self._finish(node, node)
                    stack.pop()
                else:
                    self.becomes[node] = step
                    if step in self.becomes:
                        self._complain(node, "turn a node back into itself")
                    stack.append(step)
            if len(stack) > 10 * CAP:
                self._complain(node, "grow without end")
        return self._result(root)

    def _step(self, node: Node) -> Node | None:
        """The node rebuilt from its finished children, or after one rule; None at the fixpoint."""
        children = tuple(self._result(child) for child in node.children)
        if children != node.children:
            with provenance.within(provenance.site_of(node)):
                rebuilt = rebuild(node, children)
            inherit(node, rebuilt, dict(zip(node.children, children, strict=True)))
            return None if rebuilt is node else rebuilt
        rules = self.stage.rules_for(node)
        if not rules:
            return None
        with provenance.within(provenance.site_of(node)):
            for each in rules:
                after = self._attempt(each, node) if each.guarded else self._try(each, node)
                if after is not None:
                    self._note(each, node, after)
                    return after
        return None

    def _attempt(self, each: Rule, node: Node) -> Node | None:
        with self.decisions.attempt() as succeed:
            after = self._try(each, node)
            if after is not None:
                succeed()
        return after

    def _try(self, each: Rule, node: Node) -> Node | None:
        if self.trace is None:
            return each.apply(node)
        started = perf_counter()
        after = each.apply(node)
        self.trace.seconds[each.name] += perf_counter() - started
        self.trace.tries[each.name] += 1
        return after

    def _note(self, each: Rule, before: Node, after: Node) -> None:
        self.applications += 1
        self.fired[before] = each.name
        if CHECK:
            smaller, gone, come = decreases(self.stage, before, after)
            assert smaller, f"the rule {each.name} does not decrease the measure of the stage {self.stage.name}: {gone} -> {come}"
            assert before.is_term == after.is_term, f"the rule {each.name} changes the sort"
            fits = after.labels <= before.labels if before.is_term else after.shape == before.shape
            assert fits, f"the rule {each.name} changes the labels or the shape"
        if self.trace is not None:
            self.trace.hits[each.name] += 1
            self.trace.entries.append(Entry(each.name, before, after, provenance.site_of(before), self.stage.name))
        if self.applications > CAP:
            self._complain(before, "do not come to an end")

    def _complain(self, node: Node, what: str) -> None:
        names = sorted({self.fired[n] for n in self.becomes if n in self.fired})
        site = provenance.site_of(node)
        where = f" at {site}" if site else ""
        raise ExpressionError(f"the rules {', '.join(names)} of the stage {self.stage.name} {what}{where}")
