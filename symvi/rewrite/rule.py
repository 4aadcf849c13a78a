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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from symvi.errors import ExpressionError
from symvi.expr.dims import Dim
from symvi.expr.nodes import Node, Term
from symvi.rewrite.binding import Binding, Captured, Stack
from symvi.rewrite.guard import ask
from symvi.rewrite.instantiate import instantiate
from symvi.rewrite.pattern import Pattern
from symvi.rewrite.variables import Indexed, make_variables

__all__ = ["Rule", "RULES", "rule", "KINDS", "version", "remove", "leaf_of"]

KINDS = ("exact", "stabilise", "reassociate", "approximate")
RULES: dict[str, Rule] = {}
_version = 0


@dataclass(eq=False)
class Rule:
    """One registered identity.

    `stages` are the stages it belongs to, `heads` the heads of the nodes it is tried at. `left` and `right` are the
    traced sides of a rule that is a pattern. `examples()` builds nodes at which it fires, `counterexamples()` nodes
    whose condition fails. `guarded` rules ask about sizes. `bounded` limits the magnitude of the inputs for which a
    rule of kind reassociate claims its rounding bound.
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

    def apply(self, node: Node) -> Node | None:
        """The node after one application at its root, or None where the rule does not apply."""
        after = self.procedure(node)
        return None if after is node else after

    def __repr__(self) -> str:
        return f"<rule {self.name}: {self.identity}>"


def version() -> int:
    """Grows with every registration, so that remembered results of another set of rules are not used."""
    return _version


def _register(new: Rule) -> None:
    global _version
    if new.name in RULES:
        raise ExpressionError(f"two rules have the name {new.name}")
    if new.kind not in KINDS:
        raise ExpressionError(f"the kind of a rule is one of {', '.join(KINDS)}, not {new.kind!r} ({new.name})")
    RULES[new.name] = new
    _version += 1


def remove(name: str) -> None:
    """Take a rule out of the registry (a rule of the user, or of a test)."""
    global _version
    del RULES[name]
    _version += 1


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
):
    """Register the decorated function as a rule.

    Its parameters are pattern variables: scalar unless annotated `Index`, `Indexed` or `Matrix`. It returns the two
    sides, built by ordinary constructors, and its docstring begins with the identity. `when(x, A)` is asked with what
    the named variables stand for; `guard(k, n)` receives the dims of the named indices and returns a `Guard`.
    With `partial=False` a sum or product must be matched as a whole: in a longer sum the rule could cost digits.
    """

    def decorate(function: Callable) -> Callable:
        variables = make_variables(function)
        left, right = function(**variables)
        pattern = Pattern(left, partial)
        identity, documentation = _identity(function)
        leaves = {name: leaf_of(variable) for name, variable in variables.items()}
        asked = _asked(when, leaves)

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
        new = Rule(
            function.__name__, _stages(stage), kind, identity, (pattern.head,), procedure, pattern.size, left, right,
            variables, when, guard is not None, None, None, bounded, documentation, (code.co_filename, code.co_firstlineno),
        )  # fmt: skip
        _register(new)
        return function

    return decorate


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
):
    """Register a function node -> node or None, tried at nodes of the given heads (`head_of`).

    `example()` builds a node, or a list of nodes, at which the rule fires: the automatic tests run on them;
    `counterexample()` builds nodes that resemble them and at which it must not fire. A procedure that chooses by size
    calls `symvi.rewrite.guard.ask` and says `guarded=True`. Larger `priority` is tried first (a pattern has about its size).
    """

    def decorate(function: Callable) -> Callable:
        if example is None:
            raise ExpressionError(f"the rule {function.__name__} is a procedure: give it an example")
        identity, documentation = _identity(function)
        code = function.__code__
        _register(
            Rule(
                function.__name__, _stages(stage), kind, identity, (head,) if isinstance(head, str) else tuple(head), function, priority,
                guarded=guarded, examples=_listed(example), counterexamples=_listed(counterexample), bounded=bounded,
                documentation=documentation, source=(code.co_filename, code.co_firstlineno),
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
