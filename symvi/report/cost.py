"""What a plan costs, as polynomials in the sizes: floating-point operations, bytes moved, bytes kept between steps.

Counted are the operations that the steps of the plan name, each scalar function by its cost in the table, and every array that a step
touches once. What caches and vector units make of it is not in the count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from symvi.expr.dims import Dim
from symvi.expr.nodes import Read
from symvi.loops.steps import RegionTerms
from symvi.loops.work import DRAW, volume, work_of
from symvi.plan.program import Buffer, DrawCall, OperatorCall, Plan, Region

__all__ = ["Polynomial", "Cost", "cost_of"]

ITEMSIZE = {"f": 8, "i": 8, "b": 1, "pivot": 4}
# operations of a helper on matrices of order n with c columns, to leading order: (coefficient, power of n, power of c)
HELPERS = {
    "cholesky": (Fraction(1, 3), 3, 0), "lu": (Fraction(2, 3), 3, 0), "elimination": (Fraction(2, 3), 3, 0),
    "factored_inverse": (Fraction(2, 3), 3, 0), "factored_solve": (Fraction(2), 2, 1), "factored_logdet": (Fraction(1), 1, 0),
    "lower_factor": (Fraction(1), 2, 0), "lower_inverse": (Fraction(1, 3), 3, 0),
    "solve_lower": (Fraction(1), 2, 1), "solve_lower_transposed": (Fraction(1), 2, 1),
}  # fmt: skip


class Polynomial:
    """Rational coefficients by monomial; a monomial is the sorted names of sizes in it."""

    def __init__(self, terms: Mapping[tuple[str, ...], Fraction] | None = None):
        self.terms = {names: c for names, c in (terms or {}).items() if c}

    @classmethod
    def of(cls, dim: Dim, coefficient: Fraction | int = 1) -> Polynomial:
        """A multiple of a dim; sizes that are known are multiplied out."""
        result = cls()
        for monomial, factor in dim.terms:
            value, names = Fraction(coefficient) * factor, []
            for name in monomial:
                if name.known is None:
                    names.append(name.name)
                else:
                    value *= name.known
            result += cls({tuple(sorted(names)): value})
        return result

    def __add__(self, other: Polynomial) -> Polynomial:
        total = dict(self.terms)
        for names, c in other.terms.items():
            total[names] = total.get(names, Fraction(0)) + c
        return Polynomial(total)

    def at(self, sizes: Mapping[str, int]) -> float:
        """The value at these sizes."""
        total = Fraction(0)
        for names, value in self.terms.items():
            for name in names:
                value *= sizes[name]
            total += value
        return float(total)

    def degree(self, name: str) -> int:
        """The highest power of a size."""
        return max((names.count(name) for names in self.terms), default=0)

    def __str__(self) -> str:
        ordered = sorted(self.terms.items(), key=lambda item: (-len(item[0]), item[0]))
        return " + ".join(f"{float(c):.3g} {' '.join(names)}".strip() for names, c in ordered) or "0"


@dataclass(frozen=True)
class Cost:
    """Of one run of a plan."""

    flops: Polynomial
    moved: Polynomial  # bytes of every array that a step reads or writes, once per step
    kept: Polynomial  # bytes of the arrays between steps

    def __str__(self) -> str:
        return f"{self.flops} operations, {self.moved} bytes moved, {self.kept} bytes kept"


def cost_of(plan: Plan, itemsize: int = 8) -> Cost:
    """The cost of a plan, real numbers taking `itemsize` bytes."""
    flops, moved = Polynomial(), Polynomial()
    for step in plan.steps:
        work, arrays = _step_cost(step, plan)
        flops += work
        for buffer in arrays:
            moved += _bytes(buffer, itemsize)
    kept = [buffer for buffer in plan.buffers if buffer.role == "temporary"]
    return Cost(flops, moved, sum((_bytes(buffer, itemsize) for buffer in kept), Polynomial()))


def _bytes(buffer: Buffer, itemsize: int) -> Polynomial:
    return Polynomial.of(volume(buffer.dims), itemsize if buffer.kind == "f" else ITEMSIZE[buffer.kind])


def _step_cost(step: Region | OperatorCall | DrawCall, plan: Plan) -> tuple[Polynomial, list[Buffer]]:
    if isinstance(step, Region):
        return _region_cost(step, plan)
    if isinstance(step, DrawCall):
        return Polynomial.of(volume(step.buffer.dims), DRAW), [step.buffer]
    arrays = list(dict.fromkeys(step.buffers))
    if step.helper not in HELPERS:  # moves numbers
        return Polynomial.of(volume(step.buffers[-1].dims)), arrays
    coefficient, orders, columns = HELPERS[step.helper]
    dims = [*step.batch, *[step.order] * orders, *[step.columns] * columns]
    return Polynomial.of(volume(dims), coefficient), arrays


# --------------------------------------------------------------------------------------------------------------- regions
def _region_cost(region: Region, plan: Plan) -> tuple[Polynomial, list[Buffer]]:
    terms = RegionTerms(region, plan)
    touched = {buffer: None for buffer, _ in region.stores}
    for node in terms.local:
        found = [terms.external(child) for child in terms.children(node) if child.is_term]
        found.append(plan.of_array.get(node.array) if isinstance(node, Read) else None)
        touched |= {buffer: None for buffer in found if buffer is not None}
    return Polynomial.of(work_of(terms)), list(touched)
