from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from symvi.errors import CacheWarning, CompileError
from symvi.runtime import cache_directory, helpers, module_cache, sealed_file

KEY = "3f2a9c41" + "0" * 56
SOURCE = '''"""A kernel."""

LIMIT = 3


def triple(x):
    return LIMIT * x
'''
NUMBA_SOURCE = """from numba import njit


@njit("float64(float64)", cache=True, error_model="numpy")
def square(x):
    return x * x
"""
MANIFEST = {"guards": [["M", "<", "N/4"]], "names": {"w": "ω"}, "sizes": {}, "text": "line 1\nline 2", "flags": [True, None, 0.5]}


def compiled_files(path: Path) -> set[str]:
    return {found.name for found in (path.parent / "__pycache__").glob("*.nb*")}


def test_round_trip(own_cache):
    path = module_cache.write(KEY, "logistic", SOURCE, MANIFEST)
    assert path == own_cache.resolve() / "3f" / "symvi_logistic_3f2a9c41.py"
    assert module_cache.find(KEY, "logistic") == path
    assert module_cache.read_manifest(path) == MANIFEST
    assert module_cache.source_of(path) == SOURCE
    module = module_cache.load(path)
    assert module.triple(2) == 6 and module.__file__ == str(path)
    assert sys.modules["symvi_logistic_3f2a9c41"] is module
    assert module_cache.load(path) is module


def test_names_that_are_no_identifiers():
    assert module_cache.file_name(KEY, "my model/2 (β)") == "symvi_my_model_2_3f2a9c41.py"
    assert module_cache.file_name(KEY, "β") == "symvi_kernel_3f2a9c41.py"
    with pytest.raises(ValueError):
        module_cache.file_name("../../etc", "x")


def test_the_manifest_is_read_without_running_the_file():
    path = module_cache.write(KEY, "bomb", "raise SystemExit('it ran')", MANIFEST)
    assert module_cache.find(KEY, "bomb") == path
    assert module_cache.read_manifest(path) == MANIFEST


def test_a_manifest_that_json_cannot_hold_is_refused():
    with pytest.raises(ValueError):
        module_cache.write(KEY, "m", SOURCE, {"bound": float("nan")})
    with pytest.raises(TypeError):
        module_cache.write(KEY, "m", SOURCE, {"array": object()})


def test_variants_in_order():
    digests = [digit * 64 for digit in "9ab"]
    paths = [module_cache.write(KEY, "m", SOURCE, {"guard": digest[0]}, digest) for digest in reversed(digests)][::-1]
    assert [path.name for path in paths] == [f"symvi_m_{KEY[:8]}_{digest[:8]}.py" for digest in digests]
    assert module_cache.find_variants(KEY, "m") == paths
    assert [module_cache.read_manifest(path)["guard"] for path in paths] == ["9", "a", "b"]
    assert module_cache.find(KEY, "m", digests[1]) == paths[1]
    assert module_cache.find(KEY, "m", "c" * 64) is None and module_cache.find(KEY, "m") is None


def test_a_variant_under_the_name_of_another_is_not_taken():
    path = module_cache.write(KEY, "m", SOURCE, {}, "a" * 64)
    path.rename(path.with_name(module_cache.file_name(KEY, "m", "b" * 64)))
    assert module_cache.find_variants(KEY, "m") == []


def test_absent():
    assert module_cache.find(KEY, "nothing") is None
    assert module_cache.find_variants(KEY, "nothing") == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"LIMIT = 3", b"LIMIT = 4"),
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data + b"import os\n",
        lambda data: data[:50] + b"\xff" + data[51:],
        lambda data: data.rsplit(b"# sha256", 1)[0],
    ],
)
def test_a_damaged_file_is_never_imported_but_rebuilt(damage):
    path = module_cache.write(KEY, "m", SOURCE, {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CompileError, match="not imported"):
        module_cache.load(path)
    assert module_cache.find(KEY, "m") is None
    assert not path.exists()
    assert module_cache.load(module_cache.write(KEY, "m", SOURCE, {})).triple(1) == 3


def test_a_file_of_another_key_is_not_taken():
    other = KEY[:8] + "1" * 56
    module_cache.write(other, "m", SOURCE, {})
    assert module_cache.find(KEY, "m") is None


@pytest.mark.skipif(os.name != "posix", reason="owners and rights of POSIX")
@pytest.mark.parametrize("mode", [0o660, 0o602])
def test_a_file_that_others_can_write_is_refused(mode):
    path = module_cache.write(KEY, "m", SOURCE, {})
    path.chmod(mode)
    with pytest.raises(CompileError):
        module_cache.load(path)
    assert module_cache.find(KEY, "m") is None and not path.exists()


@pytest.mark.skipif(os.name != "posix", reason="owners and rights of POSIX")
def test_a_file_of_somebody_else_is_refused(monkeypatch):
    path = module_cache.write(KEY, "m", SOURCE, {})
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(CompileError):
        module_cache.load(path)
    assert module_cache.find(KEY, "m") is None


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_link_is_refused_and_its_target_left_alone(tmp_path):
    path = module_cache.write(KEY, "m", SOURCE, {})
    target = tmp_path / "target.py"
    path.rename(target)
    path.symlink_to(target)
    assert module_cache.find(KEY, "m") is None
    assert target.exists() and not path.is_symlink()


def test_load_leaves_a_file_that_is_not_its_own_alone(tmp_path):
    foreign = tmp_path / "model.py"
    foreign.write_text("raise SystemExit('it ran')")
    with pytest.raises(CompileError):
        module_cache.load(foreign)
    assert foreign.exists()


def test_numba_keeps_its_code_beside_the_file_and_a_second_process_compiles_nothing(own_cache):
    path = module_cache.write(KEY, "m", NUMBA_SOURCE, {})
    module = module_cache.load(path)
    assert module.square(3.0) == 9.0 and compiled_files(path)
    script = (
        "from symvi.runtime import module_cache; m = module_cache.load(module_cache.find(%r, 'm'));"
        "assert m.square(4.0) == 16.0; stats = m.square.stats; print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))"
    )
    done = subprocess.run([sys.executable, "-c", script % KEY], capture_output=True, text=True, env=environment(own_cache))
    assert done.stdout.split() == ["1", "0"], done.stderr


def environment(cache: Path) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "SYMVI_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(paths)}


def test_writing_the_same_again_keeps_compiled_code_valid():
    first = module_cache.write(KEY, "m", NUMBA_SOURCE, {}).stat()
    second = module_cache.write(KEY, "m", NUMBA_SOURCE, {}).stat()
    third = module_cache.write(KEY, "m", NUMBA_SOURCE.replace("x * x", "x + x"), {}).stat()
    assert first.st_mtime == second.st_mtime != third.st_mtime


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_damaged_machine_code_is_compiled_again(suffix):
    path = module_cache.write(KEY, "m", NUMBA_SOURCE, {})
    module_cache.load(path)
    del sys.modules[path.stem]
    for file in (path.parent / "__pycache__").glob(f"*{suffix}"):
        file.write_bytes(file.read_bytes()[:40])
    assert module_cache.load(path).square(3.0) == 9.0


@pytest.mark.skipif(os.name != "posix", reason="owners and rights of POSIX")
def test_compiled_code_that_others_could_write_is_thrown_away():
    path = module_cache.write(KEY, "m", NUMBA_SOURCE, {})
    module_cache.load(path)
    before = {file: file.stat().st_mtime_ns for file in (path.parent / "__pycache__").glob("*.nb*")}
    del sys.modules[path.stem]
    (path.parent / "__pycache__").chmod(0o777)
    assert module_cache.load(path).square(3.0) == 9.0
    assert cache_directory.is_private(path.parent / "__pycache__")
    assert {file: file.stat().st_mtime_ns for file in (path.parent / "__pycache__").glob("*.nb*")} != before


def test_a_module_that_cannot_run_is_not_left_behind():
    path = module_cache.write(KEY, "m", "1 / 0", {})
    with pytest.raises(ZeroDivisionError):
        module_cache.load(path)
    assert path.stem not in sys.modules


def test_a_read_only_directory_falls_back(own_cache, monkeypatch):
    cache_directory.cache_directory()
    real = sealed_file.os.replace

    def refuse(source, target):
        if Path(target).is_relative_to(own_cache.resolve()):
            raise OSError(errno.EROFS, "Read-only file system", str(target))
        return real(source, target)

    monkeypatch.setattr(sealed_file.os, "replace", refuse)
    assert_written_elsewhere(own_cache)
    assert not [file for file in own_cache.rglob("*") if file.is_file()], "nothing half written is left"


def test_a_full_disk_falls_back(own_cache, monkeypatch):
    cache_directory.cache_directory()
    real = sealed_file.os.fdopen

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def fdopen(handle, *args, **kwargs):
        file = real(handle, *args, **kwargs)
        return Full(file) if not cache_directory.is_temporary() else file

    monkeypatch.setattr(sealed_file.os, "fdopen", fdopen)
    assert_written_elsewhere(own_cache)
    assert not [file for file in own_cache.rglob("*") if file.is_file()], "nothing half written is left"


def assert_written_elsewhere(own_cache):
    with pytest.warns(CacheWarning, match="kernel cache"):
        path = module_cache.write(KEY, "m", SOURCE, MANIFEST)
    assert not path.is_relative_to(own_cache.resolve())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module_cache.find(KEY, "m") == path
        assert module_cache.load(path).triple(1) == 3
        module_cache.write(KEY, "n", SOURCE, MANIFEST)


def test_no_directory_at_all_is_an_error_of_symvi(monkeypatch):
    cache_directory.cache_directory()

    def refuse(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sealed_file.os, "replace", refuse)
    with pytest.warns(CacheWarning), pytest.raises(CompileError, match="SYMVI_CACHE_DIR"):
        module_cache.write(KEY, "m", SOURCE, {})


def test_a_disk_that_fills_up_while_numba_writes_moves_the_module(own_cache):
    source = (
        "from pathlib import Path\n"
        f"if Path(__file__).is_relative_to({str(own_cache.resolve())!r}):\n"
        "    raise OSError(28, 'No space left on device')\n" + SOURCE
    )
    path = module_cache.write(KEY, "m", source, {})
    with pytest.warns(CacheWarning):
        module = module_cache.load(path)
    assert module.triple(2) == 6 and not Path(module.__file__).is_relative_to(own_cache.resolve())


WORK = """
import sys
from symvi.runtime import module_cache
key, source = sys.argv[1:]
for _ in range(20):
    module_cache.write(key, "m", source, {"by": "anyone"})
    path = module_cache.find(key, "m")
    assert path is not None and module_cache.read_manifest(path) == {"by": "anyone"}
print(module_cache.load(path).square(3.0))
"""


def test_four_processes_write_and_compile_the_same_model(own_cache):
    command = [sys.executable, "-W", "error", "-c", WORK, KEY, NUMBA_SOURCE]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment(own_cache), **streams) for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert outputs == [("9.0\n", "")] * 4
    assert [file.name for file in (own_cache / "3f").iterdir() if file.is_file()] == ["symvi_m_3f2a9c41.py"]
    script = "import sys; from symvi.runtime import module_cache as c; print(c.load(c.find(sys.argv[1], 'm')).square.stats.cache_hits)"
    done = subprocess.run([sys.executable, "-c", script, KEY], capture_output=True, text=True, env=environment(own_cache))
    assert done.stdout.strip() != "Counter()", f"what the four left behind is used by a fifth: {done.stderr}"


def test_a_kernel_finds_its_helpers_by_name(own_cache, monkeypatch):
    text = '"""H."""\n\n\ndef twice(x):\n    return 2 * x\n'
    monkeypatch.setattr(helpers, "helper_source", lambda: text)
    source = f"from {helpers.helper_name()} import twice\n\n\ndef four(x):\n    return twice(twice(x))\n"
    path = module_cache.write(KEY, "m", source, {})
    assert module_cache.load(path).four(1) == 4
    assert helpers.helper_name() in sys.modules
    assert not any(str(own_cache) in entry for entry in sys.path)
    helper_file = own_cache / "helpers" / f"{helpers.helper_name()}.py"
    helper_file.write_text(helper_file.read_text().replace("2 * x", "3 * x"))
    for name in (path.stem, helpers.helper_name()):
        del sys.modules[name]
    assert module_cache.load(path).four(1) == 4, "a damaged helper module is rebuilt"
    stale = module_cache.write(KEY, "old", "from symvi_helpers_0123456789abcdef import twice\n", {})
    with pytest.raises(CompileError, match="compile the model again"):
        module_cache.load(stale)
