from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from symvi.errors import CompileError
from symvi.runtime import helpers, sealed_file

FIRST = '''"""Scalar functions."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["half", "LIMIT"]

LIMIT = 2.0  # a comment that stays


@njit(error_model="numpy")
def half(x):
    """x / 2."""
    return x / LIMIT
'''
SECOND = '''"""Support."""

from __future__ import annotations

from numba import njit, prange

import numpy as np
from symvi.codegen_templates.scalar_math import (
    LIMIT,
    half,
)

__all__ = ["quarter"]


@njit(error_model="numpy")
def quarter(x):
    return half(half(x)) + 0.0 * LIMIT * np.pi
'''


def test_joined_source_is_one_self_contained_module(tmp_path):
    source = helpers.join_sources({"scalar_math": FIRST, "support": SECOND})
    assert "symvi" not in "".join(line for line in source.splitlines() if "import" in line)
    assert source.count("import numpy as np") == 1
    assert "from numba import njit, prange" in source
    assert source.index("from __future__") < source.index("import math") < source.index("# ======== scalar_math: Scalar functions.")
    assert "# a comment that stays" in source
    (exported,) = [s for s in ast.parse(source).body if isinstance(s, ast.Assign) and s.targets[0].id == "__all__"]
    assert ast.literal_eval(exported.value) == ["half", "LIMIT", "quarter"]
    file = tmp_path / "joined.py"
    file.write_text(source + "\nassert quarter(8.0) == 2.0\n")
    done = subprocess.run([sys.executable, "-I", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("LIMIT = 3.0\n", "defined in two templates"),
        ("from symvi.codegen_templates.scalar_math import half as h\n", "without `as`"),
        ("from symvi.codegen_templates import scalar_math\n", "without `as`"),
        ("from symvi.codegen_templates.training import run\n", "stands before it"),
        ("import numpy as math\n", "two different things"),
        ("import symvi.expr\n", "may not import symvi"),
        ("def njit():\n    pass\n", "both import and define"),
        ("x = 1; import os\n", "shares its line"),
    ],
)
def test_what_cannot_be_joined_is_refused(second, message):
    with pytest.raises(CompileError, match=message):
        helpers.join_sources({"scalar_math": FIRST, "support": second})


def test_nothing_to_join_is_a_valid_module():
    ast.parse(helpers.join_sources({}))


def test_the_helpers_of_this_version_compile_and_stand_alone():
    source = helpers.helper_source()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(name.split(".")[0] == "symvi" for name in names)
    compile(source, "helpers", "exec")
    assert helpers.helper_name() == f"symvi_helpers_{sealed_file.digest_of(source)[:16]}"


def test_a_function_of_the_helper_module_runs(monkeypatch, own_cache):
    source = helpers.join_sources({"scalar_math": FIRST, "support": SECOND})
    monkeypatch.setattr(helpers, "helper_source", lambda: source)
    module = helpers.helper_module()
    assert module.quarter(8.0) == 2.0
    assert sys.modules[helpers.helper_name()] is module is helpers.helper_module()
    assert (own_cache / "helpers" / f"{helpers.helper_name()}.py").is_file()


def test_the_helper_module_of_this_version_is_imported(own_cache):
    module = helpers.helper_module()
    for file in helpers.helper_files():
        for name in exported_by(file):
            assert hasattr(module, name), f"{file.name} exports {name}"


def exported_by(file) -> list[str]:
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name) and statement.targets[0].id == "__all__":
            return ast.literal_eval(statement.value)
    return []
