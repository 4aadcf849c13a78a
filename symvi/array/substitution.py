"""Substitution and renaming on expressions: `xreplace`, `sv.rename`."""

from __future__ import annotations

from collections.abc import Mapping

from symvi.array.expression import Expr, array_of, as_expr, broadcast, mistake, shape_text
from symvi.errors import ExpressionError
from symvi.expr import build
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Array, Input, Node, postorder
from symvi.expr.printing import text
from symvi.expr.substitute import substitute as substitute_nodes

__all__ = ["substitute", "rename", "leaves_of"]


def substitute(expression: Expr, rule: Mapping[Expr, object]) -> Expr:
    """Replace expressions by others of the same shape."""
    replacements: dict[Node, Node] = {}
    for old, new in rule.items():
        if not isinstance(old, Expr):
            raise mistake(f"what is replaced is an expression, not {old!r}", ExpressionError)
        new = as_expr(new)
        if old.shape != new.shape:
            _, axes, (_, term) = broadcast(old, new, operation="substitute")
            if axes != old.axes:
                raise mistake(
                    f"{text(old)} with dims {shape_text(old.shape)} cannot be replaced by {text(new)} with dims {shape_text(new.shape)}"
                )
            new = Expr(term, old.axes, old.shape)
        if old.leaf is not None:
            replacements[old.term.array] = array_of(new)
        else:
            replacements[old.term] = new.term
    return Expr(substitute_nodes([expression.term], replacements)[0], expression.axes, expression.shape)


def leaves_of(*expressions: Expr) -> list[Leaf]:
    """The leaves below expressions, in order of first appearance."""
    return [node.leaf for node in postorder([e.term for e in expressions]) if isinstance(node, Input)]


def rename(expression, prefix: str = "", names: Mapping[str, str] | None = None):
    """A copy of an expression (or a tuple or dict of them) with new parameters, noise, shared leaves and random variables,
    named `prefix + name`.

    Data leaves stay as they are: a block called twice gets weights of its own and sees the same data. The variables that a
    random variable reads are copied with it.
    """
    many = isinstance(expression, (tuple, list))
    parts = list(expression.values()) if isinstance(expression, dict) else list(expression) if many else [expression]
    replacements: dict[Array, Array] = {}

    def replaced(part: Expr) -> Expr:
        return Expr(substitute_nodes([part.term], replacements)[0], part.axes, part.shape)

    for leaf in _with_parents(parts):
        if leaf.role in ("data", "anonymous"):
            continue
        name = (names or {}).get(leaf.name, prefix + leaf.name)
        if name == leaf.name:
            continue
        attributes = {key: value for key, value in leaf.attributes.items() if key not in OWN_ATTRIBUTES}
        if leaf.distribution is not None:
            attributes["distribution"] = leaf.distribution.with_parameters(replaced)
        copy = Leaf(leaf.role, name, leaf.shape, leaf.kind, **attributes)
        replacements[build.input_array(leaf)] = build.input_array(copy)
    results = [replaced(part) for part in parts]
    if isinstance(expression, dict):
        return dict(zip(expression, results, strict=True))
    return type(expression)(results) if many else results[0]


OWN_ATTRIBUTES = ("twin", "deterministic", "factor", "expression")  # what a leaf keeps for itself, not for its copies


def _with_parents(parts: list[Expr]) -> list[Leaf]:
    """The leaves below expressions and below the distributions of the random variables among them, oldest first."""
    found: dict[Leaf, None] = {}
    pending = leaves_of(*parts)
    while pending:
        leaf = pending.pop()
        if leaf not in found:
            found[leaf] = None
            if leaf.distribution is not None:
                pending.extend(leaves_of(*leaf.distribution.parameters.values()))
    return sorted(found, key=lambda leaf: leaf.serial)
