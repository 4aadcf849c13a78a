"""One self-contained file of a kernel: the helpers that it needs, its own functions, and a small runner.

It runs where symvi is not installed, with NumPy and Numba (and SciPy, if the kernel calls LAPACK or BLAS):

    from kernel import value_and_grad
    value, gradients = value_and_grad({"X": X, "y": y, "w": w}, seed=0, step=0)
"""

from __future__ import annotations

import ast
import pprint
import re
from collections.abc import Iterable

from symvi.runtime.binding import Compiled
from symvi.runtime.helpers import helper_module, helper_source, template_directory

__all__ = ["standalone_source"]

RUNNER = "standalone"
ENTRY = '''
KERNEL_ON_ARRAYS = Kernel(MANIFEST, globals())


def value_and_grad(inputs, seed=0, step=0, sizes=()):
    """The value and {parameter: gradient} for {name: array}; fresh noise for every (seed, step)."""
    return KERNEL_ON_ARRAYS.value_and_grad(inputs, seed, step, sizes)
'''


def standalone_source(compiled: Compiled) -> str:
    """The text of one file with everything that the kernel runs on, and `value_and_grad(inputs, seed, step, sizes)` by names."""
    kernel, imported = _without_helper_import(compiled.source)
    runner = _runner()
    operators = sorted(_operators(compiled.manifest))
    needed = _names_in(ast.parse(runner)) | imported | {f"operator_{name}" for name in operators}
    table = "".join(f'    "{name}": operator_{name},\n' for name in operators)
    helpers, imports = _pruned(helper_source(), needed, {"OPERATORS": f"OPERATORS = {{\n{table}}}"})
    manifest = pprint.pformat(compiled.manifest, width=120, sort_dicts=False)
    document, kernel_imports, functions = _parts(kernel)
    imports = sorted({*imports, *kernel_imports, "import numpy as np"}, key=lambda line: (not line.startswith("import"), line))
    own = f"# ======== the kernel\n\n{functions}\n\n\nMANIFEST = {manifest}"
    sections = [document, "\n".join(imports), helpers, own, f"{runner}\n{ENTRY}"]
    return "\n\n\n".join(section.strip("\n") for section in sections) + "\n"


def _operators(manifest: dict) -> set[str]:
    steps = manifest["steps"]
    found = {step["operator"] for step in steps if "operator" in step} | {f"draw_{step['draw']}" for step in steps if "draw" in step}
    if found & {"cholesky", "lu"}:
        found.add("elimination")
    if found & set(helper_module().TILED_OPERATORS):
        found.add("tiles")
    return found | {f"draw_{kind}" for _, _, kind, _, _ in manifest["block_draws"]}


def _runner() -> str:
    """The template of the runner without its imports and its docstring."""
    text = (template_directory() / f"{RUNNER}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    first = next(node for node in tree.body[1:] if not isinstance(node, ast.Import | ast.ImportFrom))
    return "# ======== runs the kernel by the names of its inputs\n\n" + "\n".join(text.splitlines()[first.lineno - 1 :])


def _without_helper_import(source: str) -> tuple[str, set[str]]:
    """The kernel without its import of the helper module, and the names that it imported."""
    tree, lines = ast.parse(source), source.splitlines()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("symvi_helpers_"):
            del lines[node.lineno - 1 : node.end_lineno]
            return "\n".join(lines) + "\n", {alias.name for alias in node.names}
    return source, set()


def _parts(kernel: str) -> tuple[str, list[str], str]:
    """Docstring, imports and the rest of a module."""
    tree, lines = ast.parse(kernel), kernel.splitlines()
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    end = max((node.end_lineno for node in imports), default=tree.body[0].end_lineno)
    document = "\n".join(lines[: tree.body[0].end_lineno])
    return document, [ast.unparse(node) for node in imports], "\n".join(lines[end:])


def _names_in(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _pruned(source: str, needed: Iterable[str], instead: dict[str, str]) -> tuple[str, list[str]]:
    """The statements of a module that `needed` needs, directly or not, and the imports for them.

    `instead` maps names to the text that takes the place of their definitions.
    """
    tree, lines = ast.parse(source), source.splitlines()
    makers: dict[str, ast.stmt] = {}
    for statement in tree.body:
        for name in _defines(statement):
            makers[name] = statement
    texts = {statement: _replacement(statement, instead) or _text_of(statement, lines) for statement in tree.body}
    uses = {statement: _names_in(ast.parse(texts[statement])) for statement in set(makers.values())}
    kept: set[ast.stmt] = set()
    waiting = sorted(set(needed) & makers.keys())
    used = set(needed)
    while waiting:
        statement = makers[waiting.pop()]
        if statement not in kept:
            kept.add(statement)
            used |= uses[statement]
            waiting += sorted(uses[statement] & makers.keys())
    chosen = [(statement, texts[statement]) for statement in tree.body if statement in kept]
    parts = [text if isinstance(statement, ast.Assign) else f"\n\n{text}\n\n" for statement, text in chosen]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(parts)), _imports_for(tree, used)


def _replacement(statement: ast.stmt, instead: dict[str, str]) -> str | None:
    return next((instead[name] for name in _defines(statement) if name in instead), None)


def _defines(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        return [node.id for node in names if isinstance(node.ctx, ast.Store)]
    return []


def _text_of(statement: ast.stmt, lines: list[str]) -> str:
    """The source of a statement with its decorators and the comments right above it."""
    start = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))]) - 1
    while start and lines[start - 1].startswith("# ") and not lines[start - 1].startswith(("# ====", "# ----")):
        start -= 1
    return "\n".join(lines[start : statement.end_lineno])


def _imports_for(tree: ast.Module, used: set[str]) -> list[str]:
    """The imports of a module that bind names in use, one per line."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            wanted = [alias for alias in node.names if (alias.asname or alias.name.split(".")[0]) in used]
            if wanted:
                node.names = wanted
                found.append(ast.unparse(node))
    return found
