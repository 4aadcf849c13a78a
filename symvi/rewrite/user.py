"""`sv.rewrite.rule`: rules of users. They are written with the functions of the front and tested while they are registered.

    @sv.rewrite.rule(stage="stable", kind="stabilise")
    def log_of_logistic_odds(x):
        \"\"\"log(x / (1 - x)) = logit(x).\"\"\"
        return sv.log(x / (1 - x)), sv.logit(x)

A rule that fails its tests is refused, with the point where it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from symvi.array.expression import Expr, as_expr, axes_for, shape_text
from symvi.errors import ExpressionError, location
from symvi.expr.build import read
from symvi.expr.nodes import Array, Node, Term
from symvi.rewrite.rule import RULES, Rule, pattern_rule, register, remove
from symvi.rewrite.rule import rule as _rule
from symvi.rewrite.variables import Indexed, make_variables

__all__ = ["rule", "procedure", "set_check"]

_check: Callable[[Rule], list[str]] | None = None


def set_check(check: Callable[[Rule], list[str]]) -> None:
    """Tell how a rule is tested; called once by `symvi.oracle.user_rules`."""
    global _check
    _check = check


def rule(
    stage: str | tuple[str, ...] = "stable",
    kind: str = "exact",
    when: Callable | None = None,
    guard: Callable | None = None,
    partial: bool = True,
    bounded: tuple[float, float] | None = None,
    condition: str = "",
):
    """Register the decorated function as a rule, if it passes the tests of a rule.

    Its parameters are what may stand in their place: a scalar expression, or with an annotation a `Vector` or a (square)
    `Matrix`; the dims of `b: Vector = "A"` are those of A. It returns the two sides, written with sv's functions, and its
    docstring begins with the identity as text. `stage` is "stable" (before anything is differentiated), "simple" (after) or
    both. `kind`: "exact" and "stabilise" rules round no worse than what they replace, "reassociate" rules by at most 10 condition
    numbers, "approximate" rules are off unless asked for (`sv.rewrite.with_approximate`). `when(x)` is asked with the term that
    stands for x; `is_positive`, `is_nonnegative` and `interval` of `sv.rewrite` tell what is known of it.
    Raises ExpressionError with the input at which a test fails.
    """

    def decorate(function: Callable) -> Callable:
        with _naming(function):
            variables = make_variables(function)
            sides = _sides(function, variables)
            new = pattern_rule(function, variables, sides, stage, kind, when, guard, partial, bounded, condition)
            _admit(new)
        return function

    return decorate


def procedure(head: str | tuple[str, ...], stage: str | tuple[str, ...], example: Callable, **options: Any):
    """Register a function from a node to a node or None, as in `symvi.rewrite.rule.procedure`, if it passes the tests of a rule."""

    def built(builder: Callable | None) -> Callable | None:
        return None if builder is None else lambda: [_term(e) for e in _listed(builder())]

    options["counterexample"] = built(options.get("counterexample"))

    def decorate(function: Callable) -> Callable:
        with _naming(function):
            _rule.procedure(head=head, stage=stage, example=built(example), **options)(function)
            _test(RULES[function.__name__])
        return function

    return decorate


rule.procedure = procedure


def _listed(built: Any) -> list:
    return list(built) if isinstance(built, (list, tuple)) else [built]


def _term(side: Any) -> Node:
    return side if isinstance(side, Node) else as_expr(side).term


def _sides(function: Callable, variables: dict[str, object]) -> tuple[Term, Term]:
    """Both sides as terms of the same labels."""
    built = function(**{name: _front(variable) for name, variable in variables.items()})
    if not isinstance(built, tuple) or len(built) != 2:
        raise ExpressionError(f"a rule returns its two sides, left and right; {function.__name__} gives {built!r}")
    left, right = built
    if isinstance(left, Expr) and isinstance(right, Expr) and right.shape and left.shape != right.shape:
        shapes = f"{shape_text(left.shape)} and {shape_text(right.shape)}"
        raise ExpressionError(f"the sides of the rule {function.__name__} have the dims {shapes}")
    return _term(left), _term(right)


def _front(variable: object) -> object:
    """A pattern variable as the front holds it. An index stays a label, for patterns written with terms."""
    if isinstance(variable, Indexed):
        return variable if variable.array is None else _array(variable.array)
    if isinstance(variable, Array):
        return _array(variable)
    return Expr(variable, ()) if isinstance(variable, Term) else variable


def _array(array: Array) -> Expr:
    axes = axes_for(array.shape)
    return Expr(read(array, axes), axes)


def _admit(new: Rule) -> None:
    """Register a rule that passes its tests."""
    register(new)
    _test(new)


def _test(new: Rule) -> None:
    """Take a registered rule back where a test finds something."""
    problems = ["it cannot be tested: import symvi"]
    try:
        problems = _check(new) if _check is not None else problems
    finally:
        if problems:
            remove(new.name)
    if problems:
        told = "\n  ".join(problem.removeprefix(f"{new.name}: ") for problem in problems)
        raise ExpressionError(f"the rule {new.name} is refused: {new.identity}\n  {told}\n ")


@contextmanager
def _naming(function: Callable) -> Iterator[None]:
    """Errors name the line of the rule."""
    try:
        yield
    except ExpressionError as error:
        where = location(function.__code__.co_filename, function.__code__.co_firstlineno)
        raise ExpressionError(f"{error} [{where}]") from None
