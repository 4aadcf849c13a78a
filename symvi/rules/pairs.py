"""Sums over an index that stands for a pair: what reshaping, Kronecker products and their derivatives leave behind."""

from __future__ import annotations

from symvi.atoms.elementwise import floor_divide, remainder
from symvi.atoms.structured import joint, parts_of
from symvi.expr.build import contract, delta, iota, read, rename, size
from symvi.expr.dims import Dim, dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Contract, Delta, Iota, Read, Term
from symvi.rewrite import example
from symvi.rewrite.rule import rule
from symvi.rewrite.views import fresh_labels

M, N = dim("M"), dim("N")
i, k, both = Label(M, 0), Label(N, 0), Label(M * N, 0)


def _sums() -> list[Term]:
    A, w = example.array("A", M, N), example.array("w", M * N)
    outer, inner = parts_of(both, N)
    return [
        contract([both], [(read(A, (outer, inner)), 1), (read(w, (both,)), 1)]),
        contract([both], [(delta(i, outer), 1), (delta(k, inner), 1), (read(w, (both,)), 1)]),
    ]


def _single_sums() -> list[Term]:
    A, w = example.array("A", M), example.array("w", M * N)
    return [contract([both], [(read(A, (parts_of(both, N)[0],)), 1), (read(w, (both,)), 1)])]


@rule.procedure(head="product", stage=("stable", "simple"), kind="exact", example=_sums, counterexample=_single_sums)
def sum_over_pair(node: Contract) -> Term | None:
    """Σ_I f(I // n, I mod n, I) = Σ_i Σ_k f(i, k, i n + k)."""
    for summed in node.bound:
        extents = _extents(node, summed)
        if extents is None:
            continue
        labels = [Label(extent, 0) for extent in extents]
        used = {*node.labels, *node.bound, *labels, *(label for factor in node.children for label in factor.labels)}
        moved = fresh_labels(labels[:1], used)
        outer = moved[labels[0]]
        inner = fresh_labels(labels[1:], (*used, outer))[labels[1]]
        apart = {summed: joint(outer, inner, inner.dim)}
        factors = [(rename(f, apart), e) for f, e in node.factors]
        return contract([*(label for label in node.bound if label != summed), outer, inner], factors)
    return None


def _extents(node: Contract, summed: Label) -> tuple[Dim, Dim] | None:
    """The extents of the pair, where quotient and remainder of the summed index are read or compared."""
    found: dict[str, set[Dim]] = {"floor_divide": set(), "remainder": set()}
    for factor in node.children:
        if isinstance(factor, Read) and factor.children[1:]:
            places = zip(factor.indices, factor.array.shape, strict=True)
        elif isinstance(factor, Delta) and len(factor.children) == 1:
            places = ((factor.children[0], (factor.left if isinstance(factor.left, Label) else factor.right).dim),)
        else:
            continue
        for index, extent in places:
            if isinstance(index, Apply) and index.function.name in found and index.children[0] is iota(summed):
                found[index.function.name].add(extent)
    for outer in found["floor_divide"]:
        for inner in found["remainder"]:
            if outer * inner == summed.dim:
                return outer, inner
    return None


def _deltas() -> list[Term]:
    rows, columns, depth = Label(Dim(2), 0), Label(Dim(3), 0), Label(Dim(2), 1)
    A, T = example.array("A", rows.dim, columns.dim), example.array("T", rows.dim, columns.dim, depth.dim)
    two, three = joint(rows, columns, columns.dim), joint(joint(rows, columns, columns.dim), depth, depth.dim)
    return [
        contract([rows, columns], [(read(A, (rows, columns)), 1), (delta(Label(Dim(6), 0), two), 1)]),
        contract([rows, columns, depth], [(read(T, (rows, columns, depth)), 1), (delta(Label(Dim(12), 0), three), 1)]),
    ]


def _other_deltas() -> list[Term]:
    A = example.array("A", M, N)
    return [
        contract([i, k], [(read(A, (i, k)), 1), (delta(both, iota(i) + iota(k)), 1)]),
        contract([i, k], [(read(A, (i, k)), 1), (delta(Label(M, 1), joint(i, k, N)), 1)]),
    ]


@rule.procedure(head="product", stage=("stable", "simple"), kind="exact", example=_deltas, counterexample=_other_deltas)
def delta_of_pair(node: Contract) -> Term | None:
    """Σ_i Σ_k δ[J, i n + k] f(i, k) = f(J // n, J mod n)."""
    for factor, _ in node.factors if node.bound else ():
        found = _solved_pair(factor, node.bound) if isinstance(factor, Delta) and len(factor.children) == 1 else None
        if found is not None:
            rest = [(rename(f, found), e) for f, e in node.factors if f is not factor]
            return contract([label for label in node.bound if label not in found], rest)
    return None


def _solved_pair(term: Delta, bound) -> dict[Label, Term] | None:
    """The summed labels of δ[J, (i m + j) n + k] in terms of J, where they number the whole of it."""
    whole = term.left if isinstance(term.left, Label) else term.right
    (pair,), rest, count, found = term.children, iota(whole), Dim(1), {}
    while not isinstance(pair, Iota):
        inner = next((label for label in bound if label not in found and remainder(pair, size(label.dim)) is iota(label)), None)
        if inner is None:
            return None
        pair, (rest, found[inner]) = floor_divide(pair, size(inner.dim)), parts_of(rest, inner.dim)
        count = count * inner.dim
    found[pair.label] = rest
    complete = pair.label in bound and len(found) > 1 and count * pair.label.dim == whole.dim
    return found if complete and whole not in found else None
