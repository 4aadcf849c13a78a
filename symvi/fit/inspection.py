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
    libraries = [_library(getattr(compiled.module, step["function"])) for step in compiled.manifest["steps"] if "function" in step]
    return "\n".join(library.get_llvm_str() if what == "llvm" else library.get_asm_str() for library in libraries)


def _library(function):
    """Numba's code of a C function. What was loaded from the cache holds machine code alone: it is compiled again."""
    return function._compile_uncached().library if function.cache_hits else function._library
