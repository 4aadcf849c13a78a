"""What a kernel looks like: its Python, LLVM or assembly."""

from __future__ import annotations

from symvi.errors import ExpressionError
from symvi.runtime.binding import Compiled

__all__ = ["inspect_compiled"]


def inspect_compiled(compiled: Compiled, what: str) -> str:
    """The emitted code of a module: "python" (the file as it stands), "llvm" or "asm" of each of its functions."""
    if what in ("python", "source"):
        return compiled.source
    functions = [step["function"] for step in compiled.manifest["steps"] if "function" in step]
    if what == "llvm":
        return "\n".join(getattr(compiled.module, name).inspect_llvm() for name in functions)
    if what == "asm":
        return "\n".join(_library(compiled, name).get_asm_str() for name in functions)
    raise ExpressionError(f'inspect shows "python", "llvm" or "asm" of a CPU kernel, not {what!r}')


def _library(compiled: Compiled, name: str):
    return getattr(compiled.module, name)._library
