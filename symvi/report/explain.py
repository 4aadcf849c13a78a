"""What the compiler made, in words: the bound in mathematics, the plan with its passes and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symvi.expr.nodes import Read, postorder
from symvi.expr.printing import text
from symvi.plan.regions import Buffer, DrawCall, OperatorCall, Output, Plan, Region
from symvi.report.cost import cost_of

__all__ = ["explain_math", "explain_plan"]


def explain_math(outputs: Sequence[Output], names: Mapping | None = None) -> str:
    """Every output in index notation: the bound, and the gradients as they were derived."""
    lines = []
    for output in outputs:
        axes = f"[{', '.join(str(axis) for axis in output.axes)}]" if output.axes else ""
        lines.append(f"{output.name}{axes} =\n    {text(output.term, 1200)}")
    return "\n".join(lines)


def explain_plan(plan: Plan) -> str:
    """The steps in order, what they rely on and cost, and what is kept in memory over which dims."""
    lines = ["steps:"]
    for step in plan.steps:
        lines.append("  " + _step(step))
    plates = ", ".join(str(label.dim) for label in plan.plates) or "none"
    lines.append(f"plates: {plates}")
    if plan.guards:
        lines.append(f"relies on: {', '.join(map(str, plan.guards))}")
    lines.append(f"cost: {cost_of(plan)}")
    lines += [f"inverse formed: {line}" for line in _formed_inverses(plan)]
    lines.append("arrays between steps:")
    for buffer in plan.buffers:
        if buffer.role in ("temporary", "draw"):
            lines.append(f"  {_buffer(buffer, plan)}")
    return "\n".join(lines)


def _step(step: Region | OperatorCall | DrawCall) -> str:
    if isinstance(step, Region):
        where = f"pass over plate {step.plate.dim}" if step.plate is not None else "parameter-only code"
        stored = ", ".join(text(term, 50) for _, term in step.stores[:6])
        more = f" and {len(step.stores) - 6} more" if len(step.stores) > 6 else ""
        return f"{where}: {stored}{more}"
    if isinstance(step, OperatorCall):
        return f"{step.helper} of {text(step.node.children[0], 60)}"
    return f"draw {step.buffer.node.leaf.noise_kind} noise {step.buffer.name}"


def _formed_inverses(plan: Plan) -> list[str]:
    """Which inverses are computed entry by entry, and what reads them: all others were contracted to solves."""
    formed = [step.node for step in plan.steps if isinstance(step, OperatorCall) and step.helper in ("factored_inverse", "lower_inverse")]
    if not formed:
        return []
    nodes = list(postorder([output.term for output in plan.outputs]))
    lines = []
    for inverse in formed:
        views = {node for node in nodes if isinstance(node, Read) and node.array is inverse}
        readers = [node for node in nodes if node.is_term and views & set(node.children)] or views
        read = " and ".join(text(reader, 60) for reader in readers) or "whole, by another operation"
        lines.append(f"{text(inverse.children[0], 60)}, its entries are read one by one: {read}")
    return lines


_FACTOR_PARTS = {
    "chol": "a Cholesky factor", "lu": "an LU factor", "notes": "how a factor was made",
    "low": "the low part of a factor, hardly touched unless the matrix is ill-conditioned",
}  # fmt: skip


def _buffer(buffer: Buffer, plan: Plan) -> str:
    shape = " × ".join(str(dim) for dim in buffer.dims) or "scalar"
    over = [str(axis.dim) for axis in buffer.axes if axis in plan.plates]
    note = f"    over the plate {', '.join(over)}: read at other rows or by a matrix operation" if over else ""
    what = text(buffer.node, 60) if buffer.node is not None else _FACTOR_PARTS[buffer.prefix]
    return f"{shape:16} {what}{note}"
