from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import symvi.errors
from symvi.runtime import versions

PACKAGE = Path(symvi.errors.__file__).parent


def test_digest_is_stable_and_cached():
    first = versions.toolchain_digest()
    assert len(first) == 64 and versions.toolchain_digest() == first
    assert set(versions.toolchain_versions()) == {"python", "numba", "llvmlite", "scipy", "numpy"}
    assert "unknown" not in versions.toolchain_versions().values()


def test_sources_are_read_once_per_process():
    versions.toolchain_digest()
    before = versions.sources_digest.cache_info()
    versions.toolchain_digest.cache_clear()
    versions.toolchain_digest()
    after = versions.sources_digest.cache_info()
    assert after.misses == before.misses and after.hits == before.hits + 1


def digest_in(tree: Path) -> str:
    code = "import sys; from symvi.runtime import versions; print(versions.sources_digest()); assert 'numba' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_digest_follows_every_source_but_not_where_they_are(tmp_path):
    trees = [tmp_path / "one", tmp_path / "two"]
    for tree in trees:
        (tree / "symvi" / "runtime").mkdir(parents=True)
        (tree / "codegen_templates").mkdir()
        (tree / "symvi" / "__init__.py").write_text("")
        shutil.copy(PACKAGE / "errors.py", tree / "symvi")
        for file in (PACKAGE / "runtime").glob("*.py"):
            shutil.copy(file, tree / "symvi" / "runtime")
        (tree / "codegen_templates" / "support.py").write_text("A = 1\n")
    first = digest_in(trees[0])
    assert digest_in(trees[1]) == first
    (trees[0] / "codegen_templates" / "support.py").write_text("A = 2\n")
    second = digest_in(trees[0])
    (trees[0] / "symvi" / "errors.py").write_text((PACKAGE / "errors.py").read_text() + "\n")
    assert len({first, second, digest_in(trees[0])}) == 3
