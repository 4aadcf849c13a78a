"""The helper module of emitted kernels: the helper files of `symvi.codegen_templates`, joined into one source.

Kernels import it by name, `from symvi_helpers_<digest> import ...`. It lives in `<cache>/helpers/`, is compiled once per machine, and is
never on `sys.path`: it is put into `sys.modules` before a kernel that needs it runs.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from symvi.errors import CompileError
from symvi.runtime.cache_directory import fall_back, private_subdirectory
from symvi.runtime.sealed_file import UNWRITABLE, digest_of, execute, read_sealed, write_sealed

__all__ = [
    "HELPER_FILES",
    "helper_files",
    "helper_module",
    "helper_name",
    "helper_source",
    "join_sources",
    "load_named",
    "template_directory",
]

HELPER_FILES = (
    "scalar_math", "rare_cases", "trigonometry", "gamma_functions",
    "random_numbers", "linear_algebra", "accurate_factors", "support", "tables", "threads", "tiled_factors",
    "operators", "shards", "program", "casting", "long_draws",
    "minibatch", "training", "program_entry",
)  # fmt: skip
"""The files that make up the helper module; each may use the ones before it. Other files of the folder are skeletons."""

_TEMPLATES = "symvi.codegen_templates"


def template_directory() -> Path:
    """The folder of the templates: inside the package when installed, beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "codegen_templates", package.parent / "codegen_templates"):
        if folder.is_dir():
            return folder
    raise CompileError("the folder codegen_templates is missing: symvi is not completely installed")


def helper_files() -> list[Path]:
    """The helper files that exist, in their declared order."""
    present = {path.stem: path for path in template_directory().glob("*.py")}
    return [present[name] for name in HELPER_FILES if name in present]


@lru_cache(maxsize=1)
def helper_source() -> str:
    """The source of the helper module, one valid and self-contained Python file."""
    return join_sources({path.stem: path.read_text(encoding="utf-8") for path in helper_files()})


def helper_name() -> str:
    """The name under which kernels import the helper module."""
    return _name_for(helper_source())


def helper_module() -> ModuleType:
    """The helper module, written to the cache if it is not there, imported and registered in `sys.modules`."""
    source, name = helper_source(), helper_name()

    def load() -> ModuleType:
        path = _path(name)
        if read_sealed(path) != source:
            write_sealed(path, source)
        return execute(path, source)

    try:
        return load()
    except OSError as reason:
        if reason.errno not in UNWRITABLE:
            raise
        fall_back(reason)
        return load()


def load_named(name: str) -> ModuleType:
    """The helper module that a stored kernel names. If the cache holds it, the templates are not even read."""
    path = _path(name)
    text = read_sealed(path)
    if text is not None and _name_for(text) == name:
        try:
            return execute(path, text)
        except OSError as reason:
            if reason.errno not in UNWRITABLE:
                raise
            fall_back(reason)
    if name != helper_name():
        raise CompileError(f"a kernel asks for {name}, this version of symvi has {helper_name()}: compile the model again")
    return helper_module()


def _name_for(source: str) -> str:
    return f"symvi_helpers_{digest_of(source)[:16]}"


def _path(name: str) -> Path:
    try:
        return private_subdirectory("helpers") / f"{name}.py"
    except OSError as reason:
        fall_back(reason)
        return private_subdirectory("helpers") / f"{name}.py"


def join_sources(sources: dict[str, str]) -> str:
    """Join template files, given as {file name: text}, into one source: imports merged at the top, those between templates dropped.

    The rules that make this safe are checked: a name is defined in one file only, an import of another template has the plain form
    `from symvi.codegen_templates.x import a, b` and comes after the file x, and one name is not imported from two places.
    """
    imports: dict[tuple[str, int, str], dict[str, str | None]] = {}
    bound: dict[str, tuple] = {}  # name imported from outside -> where from
    defined: dict[str, str] = {}  # name defined at top level -> file
    exported: list[str] = []
    sections: list[str] = []
    for file, text in sources.items():
        tree = ast.parse(text, file)
        lines = text.splitlines()
        drop: set[int] = set()
        keep: set[int] = set()
        for position, statement in enumerate(tree.body):
            span = range(_first_line(statement), statement.end_lineno + 1)
            if position == 0 and _is_docstring(statement):
                drop.update(span)
            elif isinstance(statement, ast.Import | ast.ImportFrom):
                drop.update(span)
                _take_import(statement, file, imports, bound, defined)
            elif _assigned_names(statement) == ["__all__"]:
                drop.update(span)
                exported += ast.literal_eval(statement.value)
            else:
                keep.update(span)
                for name in _assigned_names(statement):
                    if defined.setdefault(name, file) != file:
                        raise CompileError(f"the helper {name} is defined in two templates, {defined[name]} and {file}")
        if drop & keep:
            raise CompileError(f"template {file}, line {min(drop & keep)}: an import shares its line with another statement")
        title = (ast.get_docstring(tree) or file).splitlines()[0]
        body = "\n".join(line for number, line in enumerate(lines, 1) if number not in drop).strip("\n")
        sections.append(f"# ======== {file}: {title}\n\n{re.sub(chr(10) + '{4,}', chr(10) * 3, body)}\n")
    if clash := set(defined) & set(bound):
        raise CompileError(f"templates both import and define {', '.join(sorted(clash))}")
    head = ['"""Helpers of the kernels that symvi emits: scalar functions, draws, linear algebra, threads, training loops."""\n']
    head += _print_imports(imports)
    if exported:
        head += ["", "__all__ = [", *(f'    "{name}",' for name in exported), "]"]
    source = "\n".join(head) + "\n\n" + "\n\n".join(sections)
    compile(source, "helpers", "exec", dont_inherit=True)
    return source


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(d.lineno for d in decorators)])


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)


def _assigned_names(statement: ast.stmt) -> list[str]:
    """The names that a top-level statement defines; the variables of a top-level loop do not count."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        return [node.id for node in names if isinstance(node.ctx, ast.Store)]
    inner = [child for part in ("body", "orelse", "finalbody") for child in getattr(statement, part, [])]
    inner += [child for handler in getattr(statement, "handlers", []) for child in handler.body]
    return [name for child in inner for name in _assigned_names(child)]


def _take_import(statement: ast.Import | ast.ImportFrom, file: str, imports: dict, bound: dict, defined: dict) -> None:
    """Merge one import into `imports`, or drop it if it names another template."""
    if isinstance(statement, ast.ImportFrom):
        module = statement.module or ""
        if statement.level or module == _TEMPLATES or module.startswith(_TEMPLATES + "."):
            names_a_file = module not in ("", _TEMPLATES)
            for alias in statement.names:
                if alias.asname or alias.name not in defined or not names_a_file:
                    raise CompileError(
                        f"template {file}, line {statement.lineno}: write `from {_TEMPLATES}.x import {alias.name}`, without `as`, "
                        f"for an x that stands before it in {', '.join(HELPER_FILES)}"
                    )
            return
        origin = ("from", module)
    else:
        origin = ("import", "")
    for alias in statement.names:
        if origin == ("import", "") and alias.name.split(".")[0] == "symvi":
            raise CompileError(f"template {file}, line {statement.lineno}: a template may not import symvi")
        name = alias.asname or (alias.name.split(".")[0] if origin[0] == "import" else alias.name)
        whole = name if origin[0] == "import" and not alias.asname else alias.name  # `import a.b` binds a
        if bound.setdefault(name, (*origin, whole)) != (*origin, whole):
            raise CompileError(f"templates import two different things as {name} ({file}, line {statement.lineno})")
        imports.setdefault(origin, {})[alias.name, alias.asname] = None


def _print_imports(imports: dict) -> list[str]:
    def words(names) -> list[str]:
        return [name + (f" as {asname}" if asname else "") for name, asname in sorted(names, key=str)]

    future = imports.get(("from", "__future__"), {})
    lines = [f"from __future__ import {', '.join(words(future))}", ""] if future else []
    lines += [f"import {word}" for word in words(imports.get(("import", ""), {}))]
    for (kind, module), names in sorted(imports.items()):
        if kind == "from" and module != "__future__":
            lines.append(f"from {module} import {', '.join(words(names))}")
    return lines
