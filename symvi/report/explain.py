"""What the compiler did, in words: the bound in mathematics, the rules that fired, the plan with its passes and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symvi.expr.printing import text
from symvi.plan.regions import Buffer, DrawCall, OperatorCall, Output, Plan, Region
from symvi.rewrite.trace import Trace

__all__ = ["explain_math", "explain_rules", "explain_plan"]


def explain_math(outputs: Sequence[Output], names: Mapping | None = None) -> str:
    """Every output in index notation: the bound, and the gradients as they were derived."""
    lines = []
    for output in outputs:
        axes = f"[{', '.join(str(axis) for axis in output.axes)}]" if output.axes else ""
        lines.append(f"{output.name}{axes} =\n    {text(output.term, 1200)}")
    return "\n".join(lines)


def explain_rules(trace: Trace) -> str:
    """One paragraph per application: the rule, the expression before and after, the user's line."""
    if not len(trace):
        return "no rule fired"
    lines = []
    for entry in trace:
        site = f"    {entry.site}" if entry.site else ""
        lines.append(f"{entry.rule} ({entry.stage}){site}\n    {text(entry.before, 160)}\n  → {text(entry.after, 160)}")
    return "\n".join(lines)


def explain_plan(plan: Plan) -> str:
    """The steps in order, and what is kept in memory over which dims."""
    lines = ["steps:"]
    for step in plan.steps:
        lines.append("  " + _step(step))
    plates = ", ".join(str(label.dim) for label in plan.plates) or "none"
    lines.append(f"plates: {plates}")
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


def _buffer(buffer: Buffer, plan: Plan) -> str:
    shape = " × ".join(str(dim) for dim in buffer.dims) or "scalar"
    over = [str(axis.dim) for axis in buffer.axes if axis in plan.plates]
    note = f"    over the plate {', '.join(over)}: read at other rows or by a matrix operation" if over else ""
    what = text(buffer.node, 60) if buffer.node is not None else "a factor"
    return f"{shape:16} {what}{note}"
