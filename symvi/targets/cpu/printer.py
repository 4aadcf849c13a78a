"""Loop programs as Python that Numba compiles: precedence, literals of the module's dtype, aligned comments."""

from __future__ import annotations

import textwrap

from symvi.expr.dims import Dim
from symvi.loops.ast import (
    Accumulate,
    Add,
    Assign,
    BlockLoop,
    Call,
    Cast,
    Comment,
    Compare,
    DrawRows,
    Expression,
    Extent,
    For,
    Let,
    Load,
    Matrix,
    MatrixMultiply,
    Multiply,
    Name,
    Number,
    Power,
    Select,
    Statement,
    View,
)

__all__ = ["Printer"]

TERNARY, LOGIC, COMPARISON, SUM, PRODUCT, UNARY, POWER, ATOM = range(1, 9)
COMMENT_COLUMN = 80
WIDTH = 140
BREAKS = ("+", "-", "*", "/", "if", "else", "and", "or")
BLOCK_SIZE_NAME = "BLOCK"


class Printer:
    """Prints the statements of one function. `slots` gives the table slot of a draw; float32 modules wrap their literals."""

    def __init__(self, dtype: str, extents: dict[Dim, str], full_sizes: dict[Dim, str], slots: dict[str, int]):
        self.dtype, self.single = dtype, dtype == "float32"
        self.extents, self.full_sizes, self.slots = extents, full_sizes, slots
        self.functions: set[str] = set()

    # -- expressions -------------------------------------------------------------------------------------------
    def expression(self, node: Expression) -> str:
        return self._print(node)[0]

    def at(self, node: Expression, precedence: int) -> str:
        text, own = self._print(node)
        return text if own >= precedence else f"({text})"

    def _print(self, node: Expression) -> tuple[str, int]:
        return getattr(self, "_" + type(node).__name__.lower())(node)

    def _number(self, node: Number):
        value = node.value
        if node.kind == "b":
            return str(bool(value)), ATOM
        if node.kind == "i" and value in (float("inf"), float("-inf")):
            self.functions.add("largest" if value > 0 else "smallest")
            return ("largest" if value > 0 else "smallest"), ATOM
        if node.kind == "i":
            return str(int(value)), ATOM if value >= 0 else UNARY
        number = _as_float(value)
        if number != number:
            text = "nan"
        elif number in (float("inf"), float("-inf")):
            text = "inf" if number > 0 else "-inf"
        else:
            text = repr(number)
        if self.single:
            return f"{self.dtype}({text})", ATOM
        return text, ATOM if not text.startswith("-") else UNARY

    def _name(self, node: Name):
        return node.text, ATOM

    def _extent(self, node: Extent):
        names = self.full_sizes if node.full else self.extents
        if node.dim.value is not None and node.dim not in names:
            return str(node.dim.value), ATOM
        if node.dim in names:
            return names[node.dim], ATOM
        return self._polynomial(node.dim, names)

    def _polynomial(self, dim: Dim, names: dict[Dim, str]):
        parts = []
        for monomial, coefficient in dim.terms:
            factors = [names[Dim({(name,): 1})] if name.known is None else str(name.known) for name in monomial]
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            parts.append((" - " if coefficient < 0 else " + ") + " * ".join(factors))
        text = "".join(parts).removeprefix(" + ")
        return (text.strip() or "0"), SUM

    def _load(self, node: Load):
        return f"{node.array}[{', '.join(self.expression(index) for index in node.indices)}]", ATOM

    def _cast(self, node: Cast):
        return f"{self.dtype}({self.expression(node.operand)})", ATOM

    def _call(self, node: Call):
        if node.text is not None and node.function not in ("floor", "ceil"):
            operands = [self.at(argument, UNARY) for argument in node.arguments]
            infix = node.text.startswith("{0} ") or node.text.startswith("not ")
            return node.text.format(*operands), LOGIC if infix else ATOM
        self.functions.add(node.function)
        return f"{node.function}({', '.join(self.expression(argument) for argument in node.arguments)})", ATOM

    def _compare(self, node: Compare):
        return f"{self.at(node.left, SUM)} {node.symbol} {self.at(node.right, SUM)}", COMPARISON

    def _select(self, node: Select):
        return f"{self.at(node.yes, LOGIC)} if {self.at(node.condition, LOGIC)} else {self.at(node.no, LOGIC)}", TERNARY

    def _add(self, node: Add):
        text = ""
        for sign, operand in node.terms:
            body = self.at(operand, SUM if sign > 0 and not text else PRODUCT)
            if text:
                text += (" + " if sign > 0 else " - ") + body
            else:
                text = body if sign > 0 else "-" + self.at(operand, PRODUCT)
        return text, SUM if len(node.terms) > 1 else UNARY

    def _multiply(self, node: Multiply):
        text = " * ".join(self.at(operand, UNARY) for operand in node.numerators)
        if not node.denominators:
            return text, PRODUCT
        lower = [self.at(operand, POWER) for operand in node.denominators]
        return (f"{text} / {lower[0]}" if len(lower) == 1 else f"{text} / ({' * '.join(lower)})"), PRODUCT

    def _power(self, node: Power):
        if self.single and isinstance(node.base, (Name, Load)) and node.exponent == 2:
            base = self.expression(node.base)
            return f"{base} * {base}", PRODUCT
        return f"{self.at(node.base, ATOM)} ** {node.exponent}", POWER

    # -- statements --------------------------------------------------------------------------------------------
    def statements(self, body: list[Statement], indent: int) -> list[str]:
        lines: list[str] = []
        for statement in body:
            lines.extend(getattr(self, "_" + type(statement).__name__.lower() + "_lines")(statement, indent))
        return lines

    def line(self, indent: int, text: str, comment: str = "") -> list[str]:
        """A line with its comment beside it, or above it where both together are too long."""
        margin = "    " * indent
        if len(margin + text) > WIDTH:
            return [*self._above(margin, comment), *_folded(margin, text)]
        if not comment:
            return [margin + text]
        both = f"{margin + text:<{COMMENT_COLUMN - 2}}  # {comment}"
        return [both] if len(both) <= WIDTH else [*self._above(margin, comment), margin + text]

    @staticmethod
    def _above(margin: str, comment: str) -> list[str]:
        return [margin + "# " + part for part in textwrap.wrap(comment, WIDTH - len(margin) - 2)]

    def _let_lines(self, node: Let, indent: int):
        return self.line(indent, f"{node.name} = {self.expression(node.value)}", node.comment)

    def _assign_lines(self, node: Assign, indent: int):
        return self.line(indent, f"{self.expression(Load(node.array, node.indices, 'f'))} = {self.expression(node.value)}", node.comment)

    def _accumulate_lines(self, node: Accumulate, indent: int):
        target = node.target if node.indices is None else self.expression(Load(node.target, node.indices, "f"))
        value = self.expression(node.value)
        if node.operation == "+" and isinstance(node.value, Add) and len(node.value.terms) == 1 and node.value.terms[0][0] < 0:
            return self.line(indent, f"{target} -= {self.expression(node.value.terms[0][1])}", node.comment)
        if node.operation in ("+", "*"):
            return self.line(indent, f"{target} {node.operation}= {value}", node.comment)
        if node.operation in ("max", "min"):
            name = "maximum" if node.operation == "max" else "minimum"
            self.functions.add(name)
            return self.line(indent, f"{target} = {name}({target}, {value})", node.comment)
        return self.line(indent, f"{target} = {target} {node.operation} {self.at(node.value, COMPARISON)}", node.comment)

    def _for_lines(self, node: For, indent: int):
        head = self.line(indent, f"for {node.index} in range({self.expression(node.extent)}):", node.comment)
        return [*head, *self.statements(node.body, indent + 1)]

    def _matrixmultiply_lines(self, node: MatrixMultiply, indent: int):
        name = "gemm" + ("_tn" if node.left_transposed else "_nt" if node.right_transposed else "")
        self.functions.add(name)
        operands = ", ".join(self._matrix(operand) for operand in (node.left, node.right, node.out))
        beta = "1.0" if node.accumulate else "0.0"
        alpha = repr(_as_float(node.alpha.value))
        return self.line(indent, f"{name}({operands}, {alpha}, {beta})", node.comment)

    def _matrix(self, node: Matrix) -> str:
        text = node.array + (f"[{', '.join(self.expression(index) for index in node.stack)}]" if node.stack else "")
        if any(len(group) > 1 for group in node.shape):
            extents = [self._joined(group, node.block_axis == axis) for axis, group in enumerate(node.shape)]
            text += f".reshape(({', '.join(extents)}))"
        return text if node.block_axis is None else text + ("[:rows]" if node.block_axis == 0 else "[:, :rows]")

    def _joined(self, group: tuple[Dim, ...], block: bool) -> str:
        return BLOCK_SIZE_NAME if block else " * ".join(self.at(Extent(dim), UNARY) for dim in group)

    def _view_lines(self, node: View, indent: int):
        if 0 < node.axis == node.rank - 1:
            self.functions.add("rows_from")
            return self.line(indent, f"{node.name} = rows_from({node.array}, lo)", node.comment)
        slices = ", ".join("lo:hi" if axis == node.axis else ":" for axis in range(node.axis + 1))
        return self.line(indent, f"{node.name} = {node.array}[{slices}]", node.comment)

    def _drawrows_lines(self, node: DrawRows, indent: int):
        return self.line(indent, f"draw_rows(table, {self.slots[node.slot]}, lo, hi)", node.comment or f"fresh noise: {node.name}")

    def _comment_lines(self, node: Comment, indent: int):
        return ["    " * indent + "# " + node.text]

    def _blockloop_lines(self, node: BlockLoop, indent: int):
        return [
            *self.line(indent, f"for lo in range(n0, n1, {BLOCK_SIZE_NAME}):"),
            *self.line(indent + 1, f"hi = min(lo + {BLOCK_SIZE_NAME}, n1)"),
            *self.line(indent + 1, "rows = hi - lo"),
            *self.statements(node.body, indent + 1),
        ]


def _folded(margin: str, text: str) -> list[str]:
    """A long assignment over several lines, broken before operators: of the outermost level, further inside where that is not enough."""
    target, sign, value = next((text.partition(s) for s in (" += ", " -= ", " *= ", " = ") if s in text), ("", "", text))
    room = WIDTH - len(margin) - 4
    pieces = next((p for p in (_pieces(value, level) for level in range(4)) if max(map(len, p)) <= room), _pieces(value, 3))
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= room:
            lines[-1] += " " + piece
        else:
            lines.append(piece)
    return [f"{margin}{target}{sign}(", *(f"{margin}    {line}" for line in lines), f"{margin})"]


def _pieces(value: str, level: int) -> list[str]:
    """The text cut before every operator inside at most `level` parentheses."""
    pieces, depth, start = [], 0, 0
    for position, letter in enumerate(value):
        depth += (letter in "([") - (letter in ")]")
        if depth <= level and letter == " " and value[position + 1 : position + 6].split(" ")[0] in BREAKS:
            pieces.append(value[start:position])
            start = position + 1
    return [*pieces, value[start:]]


def _as_float(value) -> float:
    """A number as a float; beyond the largest it is infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
