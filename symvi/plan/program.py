"""What a plan is made of: results, buffers, regions that become functions, helper calls and draws, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Input, Node, Operator, Read, Term
from symvi.plan.contraction_order import Reordering
from symvi.plan.matrix_products import MatrixProduct
from symvi.rewrite.guard import Guard

__all__ = ["Output", "Buffer", "Region", "OperatorCall", "DrawCall", "Plan", "Stage"]

Stage = tuple[int, int]


@dataclass(frozen=True)
class Output:
    """A result: a term and the axes it is laid out on."""

    name: str
    term: Term
    axes: tuple[Label, ...]


@dataclass(eq=False)
class Buffer:
    """An array in memory. `axes` are the labels under which a term's value is stored."""

    name: str
    axes: tuple[Label, ...]
    role: str  # input, output, temporary, draw
    kind: str
    node: Node | None = None
    about: Node | None = None  # what a factor is of, for its name
    prefix: str = ""  # and what it is: chol, lu, low, notes
    scale: Fraction = Fraction(1)  # the buffer takes this multiple of the term's value
    public: str = ""  # how binding calls it, where that is not a good variable
    order: tuple[int, ...] | None = None  # which axis of an input stands where, if not each at its own place

    @property
    def dims(self) -> tuple[Dim, ...]:
        return tuple(axis.dim for axis in self.axes)


@dataclass(eq=False)
class Region:
    """Statements that become one function: over blocks of a plate, or parameter-only."""

    plate: Label | None
    stage: Stage
    stores: list[tuple[Buffer, Term]] = field(default_factory=list)


@dataclass(eq=False)
class OperatorCall:
    """A call of a compiled helper on whole arrays: a factor, a solve, a part of a concatenation.

    The helper sees stacks: `batch` dims are multiplied together, then `order` (and `columns`) describe each matrix.
    """

    helper: str
    buffers: tuple[Buffer, ...]
    batch: tuple[Dim, ...]
    order: Dim
    columns: Dim
    flag: Dim | int
    stage: Stage
    node: Operator


@dataclass(eq=False)
class DrawCall:
    """Fresh noise for a whole array, before anything reads it."""

    buffer: Buffer
    site: int


@dataclass
class Plan:
    """The regions, helper calls and draws of a program in order, with its buffers."""

    outputs: list[Output]
    plates: tuple[Label, ...]
    steps: list[Region | OperatorCall | DrawCall]
    buffers: list[Buffer]
    of_array: dict[Array, Buffer]
    of_term: dict[Term, Buffer]
    block_draws: dict[Input, tuple[Buffer, int]]  # plate-sized noise, drawn block by block
    homes: dict[Term, Label | None]
    stages: dict[Node, Stage]
    products: dict[Term, MatrixProduct] = field(default_factory=dict)  # contractions that may be products of matrices
    guards: list[Guard] = field(default_factory=list)  # what choices by size rely on
    reorderings: list[Reordering] = field(default_factory=list)  # contractions that are not computed as typed
    opened_solves: list[Operator] = field(default_factory=list)  # solves for every row of a plate, computed with the inverse

    def indices(self, read: Read) -> tuple:
        """The indices of a read in the order of the array's axes in memory."""
        order = self.of_array[read.array].order if read.array in self.of_array else None
        return read.indices if order is None else tuple(read.indices[axis] for axis in order)

    def computed_in(self, term: Term, region: Region) -> bool:
        """Is the stored value of `term` made by this region?"""
        same = self.stages[term] == region.stage if region.plate is None else self.stages[term][0] == region.stage[0]
        return same and self.homes[term] == region.plate
