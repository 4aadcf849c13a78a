"""What a kernel looks like: its Python, LLVM or assembly; its mathematics, the rules that shaped it, its plan."""

from __future__ import annotations

from symvi.errors import ExpressionError
from symvi.fit.pipeline import Result, lower_request
from symvi.report.explain import explain_math, explain_plan, explain_rules
from symvi.rewrite.trace import collect
from symvi.runtime.binding import Compiled

__all__ = ["inspect_result", "WHAT"]

WHAT = ("python", "llvm", "asm", "math", "rules", "plan")


def inspect_result(result: Result, what: str = "python") -> str:
    """One view of a compiled request. "math", "rules" and "plan" run the pipeline again, without compiling."""
    if what not in WHAT:
        shown = ", ".join(map(repr, WHAT))
        raise ExpressionError(f"inspect shows {shown} of a CPU kernel, not {what!r}")
    if what in ("math", "rules", "plan"):
        with collect() as trace:
            outputs, plan = lower_request(result.request)
        return {"math": lambda: explain_math(outputs), "rules": lambda: explain_rules(trace), "plan": lambda: explain_plan(plan)}[what]()
    return _code(result.compiled, what)


def _code(compiled: Compiled, what: str) -> str:
    """The emitted file, or what Numba made of each of its functions."""
    if what == "python":
        return compiled.source
    functions = [getattr(compiled.module, step["function"]) for step in compiled.manifest["steps"] if "function" in step]
    if what == "llvm":
        return "\n".join(function.inspect_llvm() for function in functions)
    return "\n".join(function._library.get_asm_str() for function in functions)
