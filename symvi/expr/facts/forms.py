"""Quadratic forms: x' G x >= 0, tr(G H) >= 0, and congruences A G A', found by the reflection that exchanges their two sides.

A product under a sum is such a form when an involution of its labels maps the product to itself, its factors fall into pairs of
one factor on either side, positive semidefinite matrices that join a label to its image, and weights on labels that stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from symvi.expr.build import read, rename, tensor
from symvi.expr.facts.questions import is_nonnegative, matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Contract, Operator, Read, Sum, Tensor, Term

__all__ = ["sign_of_form", "is_congruence", "is_symmetric_form", "labels_of"]

MAX_FACTORS = 10
MAX_TRIALS = 200


class Factor(NamedTuple):
    """An array read at labels; `inverted` for the inverse of a matrix, `power` 1 or -1."""

    array: Array
    indices: tuple
    inverted: bool = False
    power: int = 1

    @property
    def key(self) -> tuple:
        return self.array, self.inverted, self.power


def labels_of(index) -> frozenset[Label]:
    return frozenset({index}) if isinstance(index, Label) else index.labels


def sign_of_form(term: Contract) -> int | None:
    """1 or -1 where a sum of products is a quadratic form of a psd matrix, or a trace of a product of two, up to that sign."""
    return _reflects(term, {}, True)


def is_congruence(term: Term, i: Label, j: Label) -> bool:
    """Is term[i, j] = A G A' with G positive semidefinite?"""
    return _reflects(term, {i: j, j: i}, True) == 1


def is_symmetric_form(term: Term, i: Label, j: Label) -> bool:
    """Is term[i, j] = A G A' with G symmetric?"""
    return _reflects(term, {i: j, j: i}, False) is not None


def _reflects(term: Term, ends: dict[Label, Label], definite: bool) -> int | None:
    """The sign of the product before the reflection that was found, or None."""
    if not isinstance(term, Contract) or not term.bound or not ends.keys() <= term.labels:
        return None
    opened = _open(term, set(ends))
    if opened is None:
        return None
    bound, (sign, factors) = opened[0], _one_sign(opened[1])
    repeated = len({factor.key for factor in factors}) < len(factors)
    if not repeated and not any(_joins(factor, definite) for factor in factors):
        return None
    return sign if _Search(bound, definite).solve(factors, dict(ends), ()) else None


def _one_sign(factors: list[Factor]) -> tuple[int, list[Factor]]:
    """Differences have the sign that their own labels give them: a - b here may stand as b - a there."""
    sign, seen, result = 1, set(), []
    for factor in factors:
        if factor.key not in seen and isinstance(factor.array, Tensor) and isinstance(factor.array.term, Sum):
            opposite = factor._replace(array=tensor(-factor.array.term, factor.array.axes))
            if opposite.key in seen:
                sign, factor = sign * (-1) ** abs(factor.power), opposite
        seen.add(factor.key)
        result.append(factor)
    return sign, result


# ------------------------------------------------------------------------------------------------------- opened products
def _open(term: Contract, avoid: set[Label]) -> tuple[set[Label], list[Factor]] | None:
    """All bound labels and factors of nested sums of products; solves with symmetric matrices are inverses times right sides."""
    used = {*avoid, *term.labels, *term.bound}
    bound, factors = set(term.bound), []
    pending = [(base, exponent) for base, exponent in term.factors]
    while pending:
        base, exponent = pending.pop()
        if len(pending) + len(factors) + abs(exponent) > MAX_FACTORS:
            return None
        inner = base.array.term if isinstance(base, Read) and isinstance(base.array, Tensor) else base
        if exponent > 0 and isinstance(inner, Contract) and inner.bound:
            indices = base.indices if inner is not base else None
            for _ in range(exponent):
                fresh = _fresh(inner.bound, used)
                bound |= set(fresh.values())
                mapping = dict(zip(base.array.axes, indices, strict=True)) if indices else {}
                pending += [(rename(f, {**mapping, **fresh}), e) for f, e in inner.factors]
            continue
        for _ in range(abs(exponent)):
            solved = _solved(base, used, bound) if exponent > 0 else None
            factors += solved or [_factor(base, 1 if exponent > 0 else -1)]
    return bound, factors


def _fresh(labels: Iterable[Label], used: set[Label]) -> dict[Label, Label]:
    fresh = {}
    for label in labels:
        number = 1 + max((other.number for other in used if other.dim == label.dim), default=-1)
        fresh[label] = Label(label.dim, number)
        used.add(fresh[label])
    return fresh


def _factor(base: Term, power: int) -> Factor:
    if isinstance(base, Read):
        return Factor(base.array, base.indices, power=power)
    labels = base.sorted_labels()
    return Factor(tensor(base, labels), labels, power=power)


def _solved(base: Term, used: set[Label], bound: set[Label]) -> list[Factor] | None:
    if not (isinstance(base, Read) and isinstance(base.array, Operator) and base.array.name == "solve"):
        return None
    matrix, right = base.array.children
    if "symmetric" not in matrix_facts(matrix):
        return None
    row = len(base.indices) - (1 if base.array.attributes[1] else 2)
    if not isinstance(base.indices[row], Label):
        return None
    (inner,) = _fresh([base.indices[row]], used).values()
    bound.add(inner)
    batch = base.indices[:row][: len(matrix.shape) - 2]
    other = read(right, (*base.indices[:row], inner, *base.indices[row + 1 :]))
    return [Factor(matrix, (*batch, base.indices[row], inner), inverted=True), _factor(other, 1)]


def _joins(factor: Factor, definite: bool) -> bool:
    """May the factor stand between the two sides?"""
    if factor.power < 0 or len(factor.indices) < 2 or not all(isinstance(index, Label) for index in factor.indices[-2:]):
        return False
    return factor.indices[-1] != factor.indices[-2] and ("psd" if definite else "symmetric") in matrix_facts(factor.array)


# ------------------------------------------------------------------------------------------------------------- the search
class _Search:
    """Factors are matched one by one; every match says where labels go."""

    def __init__(self, bound: set[Label], definite: bool):
        self.bound = bound
        self.definite = definite
        self.trials = 0

    def solve(self, factors: list[Factor], image: dict[Label, Label], pairs: tuple) -> bool:
        if not factors:
            return not self.definite or _has_two_sides(image, pairs)
        self.trials += 1
        if self.trials > MAX_TRIALS:
            return False
        factor = max(factors, key=lambda f: sum(label in image for index in f.indices for label in labels_of(index)))
        rest = [other for other in factors if other is not factor]
        for remaining, extended, pair in self._matches(factor, rest, image):
            if self.solve(remaining, extended, (*pairs, *pair)):
                return True
        return False

    def _matches(self, factor: Factor, rest: list[Factor], image: dict[Label, Label]) -> Iterator[tuple]:
        """The ways to match a factor: (factors that are left, where labels go, the new pair)."""
        if _joins(factor, self.definite):
            left, right = factor.indices[-2:]
            extended = self._extend(image, [(left, right), *((index, index) for index in factor.indices[:-2])])
            if extended is not None:
                yield rest, extended, ()
        for position, other in enumerate(rest):
            if other.key == factor.key:
                extended = self._extend(image, list(zip(factor.indices, other.indices, strict=True)))
                if extended is not None:
                    yield rest[:position] + rest[position + 1 :], extended, ((factor, other),)
        if not self.definite or self._is_nonnegative(factor):
            extended = self._extend(image, [(index, index) for index in factor.indices])
            if extended is not None:
                yield rest, extended, ()

    def _is_nonnegative(self, factor: Factor) -> bool:
        return not factor.inverted and is_nonnegative(read(factor.array, factor.indices))

    def _extend(self, image: dict[Label, Label], wanted: list[tuple]) -> dict[Label, Label] | None:
        """The involution with `left` mapped to `right` for all pairs of indices; labels that are not summed stay."""
        image = dict(image)
        for left, right in wanted:
            if not (isinstance(left, Label) and isinstance(right, Label)):
                if left != right or any(self._goes(label, image) != label for label in labels_of(left)):
                    return None
                continue
            if left.dim != right.dim or image.get(left, right) != right or image.get(right, left) != left:
                return None
            if left != right and image.get(left) is None and not {left, right} <= self.bound:
                return None
            image[left], image[right] = right, left
        return image

    def _goes(self, label: Label, image: dict[Label, Label]) -> Label | None:
        return image.setdefault(label, label)


def _has_two_sides(image: dict[Label, Label], pairs: tuple) -> bool:
    """Can the labels that move be parted into two sides so that every factor of a pair lies on one of them?"""
    side: dict[Label, bool] = {}
    groups = [{label for index in factor.indices for label in labels_of(index) if image.get(label, label) != label} for factor, _ in pairs]
    while groups:
        position = next((k for k, group in enumerate(groups) if group & side.keys()), 0)
        group = groups.pop(position)
        known = {side[label] for label in group if label in side}
        if len(known) > 1:
            return False
        choice = known.pop() if known else True
        for label in group:
            if image[label] in group:
                return False
            side[label], side[image[label]] = choice, not choice
    return True
