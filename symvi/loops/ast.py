"""The loop program: what a function does, knowing neither Numba nor the CPU.

Expressions are scalar; statements are loops, lets, assignments and accumulations. A target prints them.
"""

from __future__ import annotations

from dataclasses import dataclass

from symvi.expr.dims import Dim

__all__ = [
    "Expression", "Number", "Name", "Extent", "Load", "Call", "Compare", "Select", "Add", "Multiply", "Power", "Cast",
    "Statement", "Let", "Assign", "Accumulate", "Matrix", "MatrixMultiply", "For", "BlockLoop", "View", "Comment", "DrawRows", "Function",
]  # fmt: skip


class Expression:
    """A scalar expression. `kind` is f, i or b."""

    kind: str


@dataclass(frozen=True)
class Number(Expression):
    value: object  # Fraction, float or bool
    kind: str


@dataclass(frozen=True)
class Name(Expression):
    """A local variable."""

    text: str
    kind: str = "f"


@dataclass(frozen=True)
class Extent(Expression):
    """The extent of a dim in this call, or its full size under minibatching."""

    dim: Dim
    full: bool = False
    kind: str = "i"


@dataclass(frozen=True)
class Load(Expression):
    """An element of an array."""

    array: str
    indices: tuple[Expression, ...]
    kind: str


@dataclass(frozen=True)
class Call(Expression):
    """A scalar function of the helper library."""

    function: str
    arguments: tuple[Expression, ...]
    kind: str
    text: str | None = None


@dataclass(frozen=True)
class Compare(Expression):
    symbol: str
    left: Expression
    right: Expression
    kind: str = "b"


@dataclass(frozen=True)
class Select(Expression):
    condition: Expression
    yes: Expression
    no: Expression
    kind: str


@dataclass(frozen=True)
class Add(Expression):
    """A sum of signed operands: ((+1, a), (-1, b))."""

    terms: tuple[tuple[int, Expression], ...]
    kind: str


@dataclass(frozen=True)
class Multiply(Expression):
    """Numerators over denominators."""

    numerators: tuple[Expression, ...]
    denominators: tuple[Expression, ...]
    kind: str


@dataclass(frozen=True)
class Power(Expression):
    base: Expression
    exponent: int
    kind: str


@dataclass(frozen=True)
class Cast(Expression):
    """An integer or boolean as a real number."""

    operand: Expression
    kind: str = "f"


# ----------------------------------------------------------------------------------------------------------- statements
class Statement:
    comment: str


@dataclass
class Let(Statement):
    """A new local variable."""

    name: str
    value: Expression
    comment: str = ""


@dataclass
class Assign(Statement):
    """Store to an element of an array."""

    array: str
    indices: tuple[Expression, ...]
    value: Expression
    comment: str = ""


@dataclass
class Accumulate(Statement):
    """target = target (+, *, max, min, or, and) value; the target is a local (no indices) or an element."""

    target: str
    indices: tuple[Expression, ...] | None
    operation: str
    value: Expression
    comment: str = ""


@dataclass(frozen=True)
class Matrix:
    """An array as a matrix: an element of a stack, groups of axes joined, the rows of the present block along one of the two axes."""

    array: str
    stack: tuple[Expression, ...]
    shape: tuple[tuple[Dim, ...], tuple[Dim, ...]]
    block_axis: int | None = None  # the axis of which only the rows of the block count


@dataclass
class MatrixMultiply(Statement):
    """out = alpha left right + beta out; a transposed operand is stored the other way round."""

    left: Matrix
    right: Matrix
    out: Matrix
    left_transposed: bool
    right_transposed: bool
    alpha: Expression
    accumulate: bool
    comment: str = ""


@dataclass
class For(Statement):
    """index = 0 .. extent - 1. `rows` loops run over the rows of a block."""

    index: str
    extent: Expression
    body: list[Statement]
    rows: bool = False
    comment: str = ""


@dataclass
class View(Statement):
    """The rows of the present block of an array, along one axis."""

    name: str
    array: str
    axis: int
    rank: int
    comment: str = ""


@dataclass
class DrawRows(Statement):
    """Fresh noise for the rows of the present block."""

    name: str
    slot: str
    comment: str = ""


@dataclass
class BlockLoop(Statement):
    """Blocks of rows of the plate; inside, `rows` rows from row `lo` on."""

    body: list[Statement]
    comment: str = ""


@dataclass
class Comment(Statement):
    text: str
    comment: str = ""


@dataclass
class Function:
    """One emitted function: the arrays that it reads and writes, and its body."""

    name: str
    plate: Dim | None
    doc: list[str]
    arrays: list  # buffers
    body: list[Statement]
    work: Dim = Dim(0)  # operations of one run over all rows
