"""What is installed: the templates are found, the wheel holds the package and nothing beside it, the commands of the README are true."""

from __future__ import annotations

import configparser
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "codegen_templates"


def configuration() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg", encoding="utf-8")
    return parsed


def is_installed() -> bool:
    try:
        importlib.metadata.distribution("symvi")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_every_folder_is_in_the_list_of_packages():
    listed = set(configuration()["options"]["packages"].split())
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "symvi").rglob("*.py")}
    assert listed == folders | {"symvi.codegen_templates"}
    for folder in sorted(listed - {"symvi.codegen_templates"}):
        assert (ROOT / folder.replace(".", "/") / "__init__.py").is_file(), f"{folder} has no __init__.py"
    assert (TEMPLATES / "__init__.py").is_file()


def test_templates_are_found_without_importing_them():
    from symvi.runtime.helpers import HELPER_FILES, helper_files, template_directory

    assert {path.name for path in template_directory().glob("*.py")} == {path.name for path in TEMPLATES.glob("*.py")}
    assert [path.stem for path in helper_files()] == list(HELPER_FILES)


@pytest.mark.skipif(not is_installed(), reason="run from a source tree, symvi is not installed")
def test_templates_are_importable_from_the_active_installation():
    package = importlib.import_module("symvi.codegen_templates")
    found = {path.name for folder in package.__path__ for path in Path(folder).glob("*.py")}
    assert found == {path.name for path in TEMPLATES.glob("*.py")}
    for name in sorted(found - {"__init__.py"}):
        spec = importlib.util.find_spec(f"symvi.codegen_templates.{name[:-3]}")
        assert spec is not None and Path(spec.origin).name == name


@pytest.mark.skipif(not is_installed(), reason="run from a source tree, symvi is not installed")
def test_console_script():
    scripts = importlib.metadata.distribution("symvi").entry_points.select(group="console_scripts")
    assert {script.name: script.value for script in scripts} == {"symvi": "symvi.cli:main"}


def can_build() -> bool:
    try:
        major, minor = (int(part) for part in importlib.metadata.version("setuptools").split(".")[:2])
    except importlib.metadata.PackageNotFoundError:
        return False
    return (major, minor) >= (70, 1)


@pytest.mark.slow
@pytest.mark.skipif(not can_build(), reason="needs setuptools 70.1, which the extra `test` brings")
def test_wheel_holds_the_package_and_nothing_beside_it(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in ("symvi", "codegen_templates", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), "."]
    built = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("symvi-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"symvi"}
    inside = {name for name in names if name.startswith("symvi/")}
    expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / "symvi").rglob("*.py")}
    expected |= {f"symvi/codegen_templates/{path.name}" for path in TEMPLATES.glob("*.py")}
    assert inside == expected
    assert any(name.endswith("LICENSE") for name in names)


def test_continuous_integration_runs_the_test_command_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (command,) = set(re.findall(r"\.venv/bin/python (-m pytest .*)", readme))
    assert script.rstrip().endswith(command)
    assert "ruff\" check ." in script
