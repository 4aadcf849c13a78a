"""Rules as data: a name, an identity, a pattern and its replacement or a procedure, a condition. Registered where they stand.

    @rule(stage="stable", kind="stabilise")
    def softplus_fold(x):
        \"\"\"log(1 + e^x) = softplus(x): no overflow, derivative sigmoid(x).\"\"\"
        return log(1 + exp(x)), softplus(x)

The function is called once, with pattern variables; both sides are built by the ordinary constructors. What cannot be
said as a pattern is a procedure from a node to a node or None, registered the same way with examples.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches

from symvi.errors import ExpressionError
from symvi.expr.dims import Dim
from symvi.expr.nodes import Node, Term
from symvi.rewrite.binding import Binding, Captured, Stack
from symvi.rewrite.guard import ask
from symvi.rewrite.instantiate import instantiate
from symvi.rewrite.pattern import Pattern
from symvi.rewrite.variables import Indexed, make_variables

__all__ = [
    "Rule", "RULES", "rule", "pattern_rule", "register", "KINDS", "version", "active", "fingerprint", "remove", "without",
    "with_approximate", "leaf_of",
]  # fmt: skip

KINDS = ("exact", "stabilise", "reassociate", "approximate")
RULES: dict[str, Rule] = {}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_version = 0
_off: set[str] = set()  # rules that are not used although they are registered
_approximate: set[str] = set()  # rules of the kind approximate that are used


@dataclass(eq=False)
class Rule:
    """One registered identity.

    `stages` are the stages it belongs to, `heads` the heads of the nodes it is tried at. `left` and `right` are the
    traced sides of a rule that is a pattern. `examples()` builds nodes at which it fires, `counterexamples()` nodes
    whose condition fails. `guarded` rules ask about sizes. `bounded` limits the magnitude of the inputs for which a
    rule of kind reassociate claims its rounding bound. `condition` says in words what `when` and `guard` ask.
    At a sum or product it is tried only where all heads of `needs` are among the operands or their operands.
    """

    name: str
    stages: tuple[str, ...]
    kind: str
    identity: str
    heads: tuple[str, ...]
    procedure: Callable[[Node], Node | None]
    priority: float = 0
    left: Term | None = None
    right: Term | None = None
    variables: dict[str, object] = field(default_factory=dict)
    when: Callable | None = None
    guarded: bool = False
    examples: Callable[[], Iterable[Node]] | None = None
    counterexamples: Callable[[], Iterable[Node]] | None = None
    bounded: tuple[float, float] | None = None
    documentation: str = ""
    source: tuple[str, int] = ("", 0)
    condition: str = ""
    needs: frozenset[str] = frozenset()

    def apply(self, node: Node) -> Node | None:
        """The node after one application at its root, or None where the rule does not apply."""
        after = self.procedure(node)
        return None if after is node else after

    def __repr__(self) -> str:
        return f"<rule {self.name}: {self.identity}>"


def version() -> int:
    """Grows with every registration, so that remembered results of another set of rules are not used."""
    return _version


def register(new: Rule) -> None:
    """Enter a rule into the registry; the stages use it from now on."""
    if new.name in RULES:
        raise ExpressionError(f"two rules have the name {new.name}")
    if new.kind not in KINDS:
        raise ExpressionError(f"the kind of a rule is one of {', '.join(KINDS)}, not {new.kind!r} ({new.name})")
    RULES[new.name] = new
    _changed()


def _changed() -> None:
    global _version
    _version += 1


def remove(name: str) -> None:
    """Take a rule out of the registry (a rule of the user, or of a test)."""
    _known(name)
    del RULES[name]
    _changed()


def _known(name: str) -> Rule:
    if name not in RULES:
        near = ", ".join(get_close_matches(name, RULES)) or "see docs/rules.md"
        raise ExpressionError(f"there is no rule {name}; did you mean {near}?")
    return RULES[name]


def active() -> list[Rule]:
    """The rules in use: all that are registered, but those switched off and those that approximate and were not asked for."""
    return [r for r in RULES.values() if r.name not in _off and (r.kind != "approximate" or r.name in _approximate)]


@contextmanager
def _switched(switch: set[str], names: tuple[str, ...]) -> Iterator[None]:
    added = {name for name in names if _known(name).name not in switch}
    switch |= added
    _changed()
    try:
        yield
    finally:
        switch -= added
        _changed()


def without(*names: str):
    """A context in which some rules are not used: `with sv.rewrite.without("softplus_fold"): ...`."""
    return _switched(_off, names)


def with_approximate(*names: str):
    """A context in which some rules of the kind approximate are used; they are off otherwise."""
    wrong = [name for name in names if _known(name).kind != "approximate"]
    if wrong:
        raise ExpressionError(f"{', '.join(wrong)}: not of the kind approximate; such rules are always in use")
    return _switched(_approximate, names)


def fingerprint() -> list:
    """What the rules in use have beyond the catalogue, or lack of it: a part of what a compiled kernel depends on."""
    own = [_print_of(each) for each in active() if not each.source[0].startswith(_PACKAGE)]
    asked = [each.name for each in active() if each.kind == "approximate"]
    return [sorted(own), sorted(_off), sorted(asked)] if own or _off or asked else []


def _print_of(each: Rule) -> list[str]:
    sides = [side.digest.hex() for side in (each.left, each.right) if side is not None]
    codes = [_code_text(function.__code__) for function in (each.when, each.procedure) if function is not None]
    return [each.name, each.kind, *each.stages, *sides, *codes]


def _code_text(code) -> str:
    inner = [_code_text(constant) if hasattr(constant, "co_code") else repr(constant) for constant in code.co_consts]
    return f"{code.co_code.hex()} {inner} {code.co_names}"


def _stages(stage: str | tuple[str, ...]) -> tuple[str, ...]:
    return (stage,) if isinstance(stage, str) else tuple(stage)


def _identity(function: Callable) -> tuple[str, str]:
    text = inspect.getdoc(function) or ""
    if not text:
        raise ExpressionError(f"the rule {function.__name__} has no docstring: its first line is the identity as text")
    return text.splitlines()[0], text


def rule(
    stage: str | tuple[str, ...],
    kind: str = "exact",
    when: Callable | None = None,
    guard: Callable | None = None,
    partial: bool = True,
    bounded: tuple[float, float] | None = None,
    condition: str = "",
):
    """Register the decorated function as a rule.

    Its parameters are pattern variables: scalar unless annotated `Index`, `Indexed` or `Matrix`. It returns the two
    sides, built by ordinary constructors, and its docstring begins with the identity. `when(x, A)` is asked with what
    the named variables stand for; `guard(k, n)` receives the dims of the named indices and returns a `Guard`; `condition`
    says both in words, where the identity does not.
    With `partial=False` a sum or product must be matched as a whole: in a longer sum the rule could cost digits.
    """

    def decorate(function: Callable) -> Callable:
        variables = make_variables(function)
        register(pattern_rule(function, variables, function(**variables), stage, kind, when, guard, partial, bounded, condition))
        return function

    return decorate


def pattern_rule(
    function: Callable,
    variables: dict[str, object],
    sides: tuple[Term, Term],
    stage: str | tuple[str, ...],
    kind: str,
    when: Callable | None,
    guard: Callable | None,
    partial: bool,
    bounded: tuple[float, float] | None,
    condition: str = "",
) -> Rule:
    """The rule that a function states, from its pattern variables and the two sides that it built with them."""
    left, right = sides
    pattern = Pattern(left, partial)
    identity, documentation = _identity(function)
    asked = _asked(when, {name: leaf_of(variable) for name, variable in variables.items()})

    def procedure(node: Node) -> Node | None:
        for found, context in pattern.matches(node):
            if when is not None and not when(*(_value(found, leaf) for leaf in asked)):
                continue
            if guard is not None and not _guard_holds(found, guard, variables):
                continue
            after = context.place(instantiate(right, found))
            if after is not node:
                return after
        return None

    code = function.__code__
    return Rule(
        function.__name__, _stages(stage), kind, identity, (pattern.head,), procedure, pattern.size, left, right,
        variables, when, guard is not None, None, None, bounded, documentation, (code.co_filename, code.co_firstlineno), condition,
        pattern.needs,
    )  # fmt: skip


def leaf_of(variable):
    """The leaf of a pattern variable; None for an index."""
    if isinstance(variable, Indexed):
        return variable.array.leaf if variable.array is not None else None
    return getattr(getattr(variable, "array", variable), "leaf", None)


def _asked(when: Callable | None, leaves: dict) -> list:
    """The variables whose values a condition receives: by the names of its parameters, else from the first one on."""
    names = list(inspect.signature(when).parameters) if when is not None else []
    if set(names) <= leaves.keys():
        return [leaves[name] for name in names]
    return list(leaves.values())[: len(names)]


def _value(found: Binding, leaf):
    value = found.values[leaf]
    return value.term if isinstance(value, Captured) else value.array if isinstance(value, Stack) else value


def _guard_holds(found: Binding, guard: Callable, variables: dict) -> bool:
    dims = []
    for name in inspect.signature(guard).parameters:
        product = Dim(1)
        for dim in found.dims[variables[name].dim]:
            product = product * dim
        dims.append(product)
    return ask(guard(*dims))


def procedure(
    head: str | tuple[str, ...],
    stage: str | tuple[str, ...],
    kind: str = "exact",
    example: Callable | None = None,
    counterexample: Callable | None = None,
    bounded: tuple[float, float] | None = None,
    priority: float = 5,
    guarded: bool = False,
    condition: str = "",
    needs: tuple[str, ...] = (),
):
    """Register a function node -> node or None, tried at nodes of the given heads (`head_of`).

    `example()` builds a node, or a list of nodes, at which the rule fires: the automatic tests run on them;
    `counterexample()` builds nodes that resemble them and at which it must not fire. A procedure that chooses by size
    calls `symvi.rewrite.guard.ask` and says `guarded=True`. Larger `priority` is tried first (a pattern has about its size).
    At a sum or product it is tried only where the heads `needs` are among the operands or their operands.
    """

    def decorate(function: Callable) -> Callable:
        if example is None:
            raise ExpressionError(f"the rule {function.__name__} is a procedure: give it an example")
        identity, documentation = _identity(function)
        code = function.__code__
        register(
            Rule(
                function.__name__, _stages(stage), kind, identity, (head,) if isinstance(head, str) else tuple(head), function, priority,
                guarded=guarded, examples=_listed(example), counterexamples=_listed(counterexample), bounded=bounded,
                documentation=documentation, source=(code.co_filename, code.co_firstlineno), condition=condition,
                needs=frozenset(needs),
            )  # fmt: skip
        )
        return function

    return decorate


def _listed(builder: Callable | None) -> Callable[[], list[Node]] | None:
    if builder is None:
        return None

    def build() -> list[Node]:
        built = builder()
        return list(built) if isinstance(built, (list, tuple)) else [built]

    return build


rule.procedure = procedure
