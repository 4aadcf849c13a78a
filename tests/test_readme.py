"""The README shows the module that symvi emits today. `python tests/test_readme.py` writes the excerpt anew."""

from __future__ import annotations

import linecache
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def emitted_pass(code: str) -> str:
    """The function over the plate N of the module behind the README's first model."""
    linecache.cache["model.py"] = (len(code), None, code.splitlines(keepends=True), "model.py")
    variables: dict = {}
    exec(compile(code, "model.py", "exec"), variables)
    source = variables["kernel"].inspect()
    start = source.index("@cfunc(KERNEL, **PASS)\ndef plate_N")
    return source[start : source.index("\n\n\n", start)] + "\n"


def test_the_excerpt_is_what_is_emitted():
    model, excerpt = BLOCK.findall(README.read_text(encoding="utf-8"))[:2]
    assert excerpt == emitted_pass(model), "run: python tests/test_readme.py"


def rewrite() -> None:
    page = README.read_text(encoding="utf-8")
    model, excerpt = BLOCK.findall(page)[:2]
    README.write_text(page.replace(excerpt, emitted_pass(model), 1), encoding="utf-8")


if __name__ == "__main__":
    rewrite()
