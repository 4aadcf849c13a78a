"""The command line, with a kernel that only pretends."""

from __future__ import annotations

import sys
import textwrap

import pytest

from symvi import cli
from symvi.runtime import session

FAKE = """
from symvi.runtime import session

class Kernel:
    def __init__(self, name):
        self.name = name
    def inspect(self, what):
        return f"{what} of {self.name}, steps taken: {not session.inspect_only}"

class Fit:
    kernel = Kernel("third")

session.record("first", Kernel("first"))
session.record("second", Kernel("second"))
fit = Fit()
print("the file speaks")
"""


@pytest.fixture
def file(tmp_path):
    def make(text: str) -> str:
        path = tmp_path / "model.py"
        path.write_text(textwrap.dedent(text))
        return str(path)

    return make


def test_run_passes_arguments_on(file, capsys):
    path = file("import sys\nprint(__name__, sys.argv[1:])")
    argv, search = sys.argv[:], sys.path[:]
    assert cli.main(["run", path, "--steps", "3"]) == 0
    assert capsys.readouterr().out == "__main__ ['--steps', '3']\n"
    assert (sys.argv, sys.path) == (argv, search)


def test_run_finds_modules_beside_the_file(file, tmp_path, capsys):
    (tmp_path / "beside_model.py").write_text("VALUE = 5\n")
    assert cli.main(["run", file("from beside_model import VALUE\nprint(VALUE)")]) == 0
    assert capsys.readouterr().out == "5\n"


def test_an_error_of_symvi_is_one_message(file, capsys):
    path = file("""
        from symvi.errors import ShapeError
        raise ShapeError("X @ w: (N, D) and (K,)")
    """)
    assert cli.main(["run", path]) == 1
    error = capsys.readouterr().err
    assert error == "ShapeError: X @ w: (N, D) and (K,)\n  at model.py:3\n"
    assert cli.main(["run", "--traceback", path]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_message_that_names_the_line_is_not_repeated(file, capsys):
    path = file("from symvi.errors import DataError\nraise DataError('model.py:2: y has NaN at 7')")
    assert cli.main(["run", path]) == 1
    assert capsys.readouterr().err == "DataError: model.py:2: y has NaN at 7\n"


def test_another_error_keeps_the_part_of_the_traceback_that_is_the_users(file, capsys):
    assert cli.main(["run", file("def f():\n    return 1 / 0\nf()")]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error and "line 2, in f" in error and "runpy" not in error


def test_a_syntax_error_is_shown(file, capsys):
    assert cli.main(["run", file("def f(:\n")]) == 1
    assert "SyntaxError" in capsys.readouterr().err


def test_exit_codes(file, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["run", file("raise SystemExit(4)")])
    assert stopped.value.code == 4
    assert cli.main(["run", file("raise KeyboardInterrupt")]) == 130
    assert cli.main(["run", "nowhere.py"]) == 2
    assert "nowhere.py" in capsys.readouterr().err


@pytest.mark.parametrize(("show", "what"), cli.SHOW.items())
def test_inspect_shows_every_kernel_and_only_kernels(file, capsys, show, what):
    assert cli.main(["inspect", file(FAKE), "--show", show]) == 0
    seen = capsys.readouterr()
    assert seen.out == (
        f"# ======== first\n{what} of first, steps taken: False\n# ======== second\n{what} of second, steps taken: False\n"
    )
    assert "the file speaks" in seen.err, "what the file prints is kept apart from what is shown"
    assert session.inspect_only is False and session.kernels == []


@pytest.mark.parametrize(("name", "found"), [("second", "second"), ("fit", "third")])
def test_inspect_one(file, capsys, name, found):
    assert cli.main(["inspect", f"{file(FAKE)}:{name}"]) == 0
    assert capsys.readouterr().out == f"python of {found}, steps taken: False\n"


def test_inspect_an_unknown_name(file, capsys):
    assert cli.main(["inspect", f"{file(FAKE)}:frist"]) == 1
    assert "compiled: first, second" in capsys.readouterr().err


def test_inspect_a_file_that_ends_in_an_error(file, capsys):
    assert cli.main(["inspect", file(FAKE + "\nfrom symvi.errors import DataError\nraise DataError('no steps, no result')\n")]) == 0
    seen = capsys.readouterr()
    assert "python of first" in seen.out and "no steps, no result" in seen.err
    assert cli.main(["inspect", file("1 / 0")]) == 1


def test_kernels_are_not_kept_alive_outside_inspect():
    session.record("x", object())
    assert session.kernels == []


def test_cache(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SYMVI_CACHE_DIR", str(tmp_path / "cache"))
    bucket = tmp_path / "cache" / "3f"
    assert cli.main(["cache"]) == 0
    assert "0 files" in capsys.readouterr().out
    bucket.mkdir()
    (bucket / "symvi_m_3f.py").write_text("x")
    assert cli.main(["cache", "--clear"]) == 0
    assert "removed 1 files" in capsys.readouterr().out
    assert not bucket.exists()


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n    {word} " in text for word in ("run", "inspect", "cache"))
