"""What a kernel looks like: its Python, LLVM or assembly; its mathematics, the rules that shaped it, its plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symvi.array.expression import Expr, array_of
from symvi.errors import ExpressionError
from symvi.fit.pipeline import Request, Result, lower_request
from symvi.plan.regions import Output
from symvi.report.explain import explain_math, explain_plan
from symvi.report.rule_report import RuleReport
from symvi.rewrite.trace import collect
from symvi.runtime.binding import Compiled

__all__ = ["inspect_result", "report_rules", "explain_expression", "explain_result", "WHAT"]

WHAT = ("python", "llvm", "asm", "math", "rules", "plan")


def inspect_result(result: Result, what: str = "python", timing: bool = False) -> str:
    """One view of a compiled request. "math", "rules" and "plan" run the pipeline again, without compiling."""
    if what not in WHAT:
        shown = ", ".join(map(repr, WHAT))
        raise ExpressionError(f"inspect shows {shown} of a CPU kernel, not {what!r}")
    if what == "rules":
        return report_rules(result.request, result.sizes).as_text(timing)
    if what in ("math", "plan"):
        outputs, plan = lower_request(result.request, result.sizes)
        return explain_math(outputs) if what == "math" else explain_plan(plan)
    return _code(result.compiled, what)


def report_rules(request: Request, sizes: Mapping[str, int] | None = None) -> RuleReport:
    """Which rule changed what on the way from a request to its plan."""
    with collect() as trace:
        outputs, plan = lower_request(request, sizes)
    return RuleReport(trace, [output.term for output in request.outputs], outputs, plan)


def explain_result(result: Result, timing: bool = False, as_text: bool = False) -> str | None:
    """Print the report of a compiled request, or give it as text."""
    return _given(report_rules(result.request, result.sizes), timing, as_text)


def explain_expression(expression: Expr, wrt: Any = (), timing: bool = False, as_text: bool = False) -> str | None:
    """Print the report of an expression, with its gradients by the leaves `wrt`, or give it as text."""
    wrt = wrt if isinstance(wrt, Sequence) else [wrt]
    axes = tuple(axis for axis in expression.axes if axis is not None)
    request = Request([Output("value", expression.term, axes)], gradients=[array_of(variable) for variable in wrt], name="explain")
    return _given(report_rules(request), timing, as_text)


def _given(report: RuleReport, timing: bool, as_text: bool) -> str | None:
    return report.as_text(timing) if as_text else report.show(timing)


def _code(compiled: Compiled, what: str) -> str:
    """The emitted file, or what Numba made of each of its functions."""
    if what == "python":
        return compiled.source
    libraries = [_library(getattr(compiled.module, step["function"])) for step in compiled.manifest["steps"] if "function" in step]
    return "\n".join(library.get_llvm_str() if what == "llvm" else library.get_asm_str() for library in libraries)


def _library(function):
    """Numba's code of a C function. What was loaded from the cache holds machine code alone: it is compiled again."""
    return function._compile_uncached().library if function.cache_hits else function._library
