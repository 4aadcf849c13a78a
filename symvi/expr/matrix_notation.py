"""Whole matrices and vectors without indices: the term `K[i,j] + s² δ[i,j]` over (i, j) is `K + s² I`."""

from __future__ import annotations

from symvi.expr.facts import matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Array, Contract, Delta, Input, Operator, Read, Sum, Term
from symvi.expr.notation import ATOM, PRODUCT, SUM, Notation, Written

__all__ = ["write_array", "whole", "inner_product"]


def write_array(notation: Notation, node: Array, depth: int) -> Written:
    """An array by its name, its operator, or matrix algebra; else its term in brackets."""
    if node in notation.stop:
        return notation.stop[node], ATOM
    if isinstance(node, Input):
        return notation.leaf(node.leaf.name), ATOM
    if depth > notation.depth:
        return notation.elided, ATOM
    if isinstance(node, Operator):
        return _operator(notation, node, depth + 1)
    found = whole(notation, node.term, node.axes, depth + 1)
    return found if found is not None else (f"[{notation.term(node.term, depth + 1)[0]}]", ATOM)


def _operator(notation: Notation, node: Operator, depth: int) -> Written:
    parts = [notation.array(child, depth) for child in node.children]
    first, precedence = parts[0]
    base = first if precedence == ATOM else notation.group(first)
    if node.name == "inverse":
        return notation.inverted(base), ATOM
    if node.name in ("solve", "solve_triangular"):
        right, own = parts[1]
        right = right if own >= PRODUCT else notation.group(right)
        return f"{notation.inverted(base, node.attributes[0])}{notation.product_sign}{right}", PRODUCT
    if node.name == "logdet":
        return f"{notation.logarithm()}{notation.bars(first)}", ATOM
    if node.name == "det":
        return notation.bars(first), ATOM
    if node.name == "concatenate":
        return notation.joined([string for string, _ in parts]), ATOM
    name = {"cholesky": "chol"}.get(node.name, node.name)
    return notation.call(notation.reduction_name(name), [string for string, _ in parts]), ATOM


def whole(notation: Notation, term: Term, axes: tuple[Label, ...], depth: int) -> Written | None:
    """A term over one or two axes as a vector or matrix, where it is one in matrix algebra; else None."""
    if len(axes) not in (1, 2) or term in notation.stop or depth > notation.depth:
        return None
    if isinstance(term, Read):
        return _read(notation, term, axes, depth)
    if isinstance(term, Delta) and {term.left, term.right} == set(axes) and len(axes) == 2:
        return notation.identity, ATOM
    if isinstance(term, Sum):
        return _sum(notation, term, axes, depth)
    if isinstance(term, Contract):
        return _chain(notation, term, axes, depth) if term.bound else _scaled(notation, term, axes, depth)
    if isinstance(term, Apply) and term.function.arity == 1 and term.function.name != "absolute":
        inner = whole(notation, term.children[0], axes, depth + 1)
        return (notation.function(term, [inner[0]]), ATOM) if inner is not None else None
    return None


def inner_product(notation: Notation, term: Contract, depth: int) -> Written | None:
    """y' K^-1 y: a sum over one label of two vectors, one of them from linear algebra."""
    if term.labels or len(term.bound) != 1 or term.payload[1] != (1, 1) or not any(_has_operator(base) for base in term.children):
        return None
    left, right = sorted(term.children, key=_has_operator)
    if isinstance(right, Contract) and len(right.bound) == 1 and right.payload[1] == (1, 1):
        row, matrix = sorted(right.children, key=lambda base: len(base.labels))
        if isinstance(matrix, Read) and matrix.indices == (*right.bound, *term.bound):  # (y' A)[n] z[n] is y' A z
            parts = [
                whole(notation, row, right.bound, depth),
                whole(notation, matrix, matrix.indices, depth),
                whole(notation, left, term.bound, depth),
            ]
            if None not in parts:
                return _row_times(notation, parts), PRODUCT
    vectors = [whole(notation, base, term.bound, depth) for base in (left, right)]
    if None in vectors:
        return None
    return _row_times(notation, vectors), PRODUCT


def _row_times(notation: Notation, parts: list[Written]) -> str:
    """The first part transposed, times the others."""
    (first, own), *others = parts
    row = notation.transposed(first if own == ATOM else notation.group(first))
    return notation.product_sign.join(
        [row, *(string if precedence >= PRODUCT else notation.group(string) for string, precedence in others)]
    )


def _has_operator(term: Term) -> bool:
    return any(isinstance(part, Read) and isinstance(part.array, Operator) for part in (term, *term.children))


def _read(notation: Notation, term: Read, axes: tuple[Label, ...], depth: int) -> Written | None:
    if tuple(term.indices) == axes:
        return notation.array(term.array, depth)
    if tuple(reversed(term.indices)) == axes:
        string, precedence = notation.array(term.array, depth)
        if "symmetric" in matrix_facts(term.array):
            return string, precedence
        return notation.transposed(string if precedence == ATOM else notation.group(string)), ATOM
    return None


def _sum(notation: Notation, term: Sum, axes: tuple[Label, ...], depth: int) -> Written | None:
    string = ""
    for coefficient, part in sorted(term.terms, key=lambda item: item[0] < 0):
        body = whole(notation, part, axes, depth + 1)
        if body is None:
            return None
        factor = "" if abs(coefficient) == 1 else notation.number(abs(coefficient)) + notation.product_sign
        inner = body[0] if body[1] > SUM else notation.group(body[0])
        sign = "-" if coefficient < 0 else "+"
        string += f" {sign} {factor}{inner}" if string else ("-" if sign == "-" else "") + factor + inner
    return string, SUM if len(term.terms) > 1 or term.terms[0][0] < 0 else PRODUCT


def _scaled(notation: Notation, term: Contract, axes: tuple[Label, ...], depth: int) -> Written | None:
    """Scalars times one matrix or vector."""
    carriers = [(base, e) for base, e in term.factors if base.labels & set(axes)]
    scalars = [(base, e) for base, e in term.factors if not base.labels & set(axes)]
    if len(carriers) != 1 or carriers[0][1] != 1:
        return None
    body = whole(notation, carriers[0][0], axes, depth + 1)
    if body is None:
        return None
    above = [notation.power(base, e, depth) for base, e in scalars if e > 0]
    below = [
        string if own == ATOM else notation.group(string) for string, own in (notation.power(b, -e, depth) for b, e in scalars if e < 0)
    ]
    return notation.fraction([*above, body], below)


def _chain(notation: Notation, term: Contract, axes: tuple[Label, ...], depth: int) -> Written | None:
    """Σ over inner labels of a product in which each label joins two neighbours: A B c."""
    rest = [base for base, e in term.factors for _ in range(e)] if all(e > 0 for _, e in term.factors) else []
    if len(rest) != len(term.bound) + 1 or any(len(base.labels) > 2 for base in rest):
        return None
    strings, left = [], axes[0]
    last = axes[1] if len(axes) == 2 else None
    while rest:
        here = [base for base in rest if left in base.labels]
        if len(here) != 1:
            return None
        base = here[0]
        rest.remove(base)
        others = base.labels - {left}
        right = next(iter(others)) if others else None
        if (right is None) != (not rest and last is None) or (not rest and right != last):
            return None
        body = whole(notation, base, (left,) if right is None else (left, right), depth + 1)
        if body is None:
            return None
        strings.append(body[0] if body[1] >= PRODUCT else notation.group(body[0]))
        left = right
    return notation.product_sign.join(strings), PRODUCT
