"""A folder of symvi imports only folders above it in the list below, and no two modules import each other in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "symvi"

FLOORS = (
    "errors codegen_templates expr atoms array rewrite rules calculus stats expect vi optim "
    "plan loops targets oracle runtime report fit cli"
).split()
FREE = {"errors", "codegen_templates"}  # the top: everybody may use them

LATE_IMPORTS = {"symvi/array/late.py"}  # methods of expressions that need later floors; imports inside functions only


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING")


def imports(path: Path) -> list[tuple[str, int, bool]]:
    """(dotted name of a module of symvi, line, executed while the file itself is imported) for every import in a file."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    found = []

    def note(name: str, line: int, at_import: bool) -> None:
        if name == "symvi" or name.startswith("symvi."):
            found.append((name, line, at_import))

    def visit(node: ast.AST, at_import: bool) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                note(alias.name, node.lineno, at_import)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                # `from symvi.expr import dims` names a module, `from symvi.expr.dims import Dim` something in one;
                # `from symvi import fit` names a folder even where it is not written yet
                note(inner if inner in MODULES or (base == "symvi" and alias.name in FLOORS) else base, node.lineno, at_import)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                note(node.args[0].value, node.lineno, at_import)
        if isinstance(node, ast.If) and is_type_checking(node.test):
            at_import = False
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, at_import and not inside)

    visit(ast.parse(path.read_text(encoding="utf-8"), str(path)), True)
    return found


def floor(module: str) -> str:
    """The folder of a module of symvi, or the file name of one at the top; empty for `symvi` itself."""
    return module.split(".")[1] if "." in module else ""


def uphill(path: Path) -> list[str]:
    """The imports of one file that break the order."""
    here, relative = floor(module_name(path)), path.relative_to(ROOT).as_posix()
    if here in ("", "__main__"):  # symvi/__init__.py and __main__.py see everything
        return []
    wrong = []
    for name, line, at_import in imports(path):
        there = floor(name)
        if relative in LATE_IMPORTS and not at_import:
            continue
        if there == here or there in FREE:
            continue
        if there not in FLOORS or here in FREE or FLOORS.index(there) > FLOORS.index(here):
            wrong.append(f"{relative}:{line} imports {name}")
    return wrong


def test_every_folder_has_a_floor():
    folders = {floor(name) for name in MODULES} - {"", "__main__"}
    assert folders <= set(FLOORS), f"not in the list of folders: {sorted(folders - set(FLOORS))}"


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downhill(module):
    assert not uphill(MODULES[module])


def test_templates_import_no_part_of_symvi_but_each_other():
    for path in sorted((ROOT / "codegen_templates").glob("*.py")):
        for name, line, _ in imports(path):
            assert name.startswith("symvi.codegen_templates"), f"codegen_templates/{path.name}:{line} imports {name}"


def test_an_uphill_import_is_seen(tmp_path, monkeypatch):
    """The check itself: each way of writing an import of a later floor is found, also inside a function."""
    folder = tmp_path / "symvi" / "expr"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    lines = [
        "import symvi.fit",
        "import symvi as sv",
        "from symvi import fit",
        "from symvi.fit.result import Fit",
        "from ..fit import Fit",
        "def f():\n    from symvi.fit import Fit",
        "import importlib\nimportlib.import_module('symvi.fit')",
    ]
    for number, text in enumerate(lines):
        path = folder / f"case_{number}.py"
        path.write_text(text)
        assert len(uphill(path)) == 1, text
    path = folder / "fine.py"
    path.write_text("import numpy\nfrom symvi.errors import ShapeError\nfrom . import dims\nfrom symvi.expr.dims import Dim\n")
    assert not uphill(path)
    late = tmp_path / "symvi" / "array" / "late.py"
    late.parent.mkdir()
    late.write_text("def evaluate():\n    from symvi.fit import function")
    assert not uphill(late), "the one file of late imports may do so inside functions"
    late.write_text("from symvi.fit import function")
    assert uphill(late), "but not while it is imported itself"


def test_no_circles():
    """Among the imports that run while a module is imported; a package that holds a module does not count as imported by it."""
    edges = {module: set() for module in MODULES}
    for module, path in MODULES.items():
        for name, _, at_import in imports(path):
            if at_import and name in MODULES:
                parents = [".".join(name.split(".")[:k]) for k in range(1, name.count(".") + 1)]
                edges[module] |= {name} | {p for p in parents if p in MODULES and not f"{module}.".startswith(f"{p}.")}
    state: dict[str, int] = {}  # 1: being followed, 2: done
    for start in edges:
        trail = [(start, iter(sorted(edges[start])))] if start not in state else []
        state.setdefault(start, 1)
        while trail:
            module, rest = trail[-1]
            for following in rest:
                if state.get(following) == 1:
                    circle = [name for name, _ in trail]
                    raise AssertionError(" -> ".join([*circle[circle.index(following) :], following]))
                if following not in state:
                    state[following] = 1
                    trail.append((following, iter(sorted(edges[following]))))
                    break
            else:
                state[module] = 2
                trail.pop()


EACH_ALONE = """
import importlib, pathlib, sys, types
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root))
for folder in sys.argv[2:]:
    for name in [name for name in sys.modules if name == "symvi" or name.startswith("symvi.")]:
        del sys.modules[name]
    package = types.ModuleType("symvi")                 # not the real symvi/__init__.py: it would import everything in its own order
    package.__path__ = [str(root / "symvi")]
    sys.modules["symvi"] = package
    importlib.import_module(f"symvi.{folder}")
"""


def test_each_folder_can_be_imported_first():
    folders = [name for name in FLOORS if f"symvi.{name}" in MODULES]
    done = subprocess.run([sys.executable, "-c", EACH_ALONE, str(ROOT), *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
