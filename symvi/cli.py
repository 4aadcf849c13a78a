"""The command line: `symvi run`, `symvi inspect`, `symvi cache`."""

from __future__ import annotations

import argparse
import os
import re
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from symvi.errors import SymviError, location
from symvi.runtime import cache_directory, session

__all__ = ["main"]

SHOW = {"source": "python", "llvm": "llvm", "asm": "asm", "ptx": "ptx", "math": "math", "rules": "rules", "plan": "plan"}
"""What `--show` offers, and what a kernel's `inspect` calls it."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 for an error in the file, 2 for a wrong command, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    return options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="symvi", description="A symbolic compiler for variational inference.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a Python file; errors of symvi are one readable message")
    run.add_argument("--traceback", action="store_true", help="show the whole traceback of an error")
    run.add_argument("file", metavar="FILE.py")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the file")
    run.set_defaults(command=_run)

    inspect = commands.add_parser("inspect", help="compile the models of a file without taking a step, and show a kernel")
    inspect.add_argument("target", metavar="FILE.py[:NAME]", help="NAME: a kernel, or a variable of the file that holds a fit or a kernel")
    inspect.add_argument("--show", choices=SHOW, default="source")
    inspect.add_argument("--timing", action="store_true", help="with --show rules: hits and time per rule")
    inspect.add_argument("--traceback", action="store_true", help="show the whole traceback of an error")
    inspect.set_defaults(command=_inspect)

    cache = commands.add_parser("cache", help="where compiled kernels are kept, and how much there is")
    cache.add_argument("--clear", action="store_true", help="remove them all")
    cache.set_defaults(command=_cache)
    return parser


@contextmanager
def _as_script(file: str, arguments: list[str]) -> Iterator[None]:
    """`sys.argv` and `sys.path` as they are when Python itself runs `file`."""
    argv, path = sys.argv[:], sys.path[:]
    sys.argv = [file, *arguments]
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path


def _message(error: BaseException, file: str) -> str:
    """One readable message: what, and the line of the user's file if the text does not name one already."""
    text, line = str(error), None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if os.path.abspath(frame.f_code.co_filename) == os.path.abspath(file):
            line = number
    where = location(file, line) if line else ""
    if where and not re.search(rf"{re.escape(where)}\b", text):
        text = f"{text}\n  at {where}"
    return f"{type(error).__name__}: {text}"


def _print_error(error: BaseException, file: str, whole: bool) -> None:
    """A mistake that symvi explains is one message; an error of the file itself is a traceback that begins in the file."""
    if isinstance(error, SymviError) and not whole:
        print(_message(error, file), file=sys.stderr)
        return
    tb = error.__traceback__
    while tb is not None and not whole and os.path.abspath(tb.tb_frame.f_code.co_filename) != os.path.abspath(file):
        tb = tb.tb_next
    traceback.print_exception(type(error), error, tb or (error.__traceback__ if whole else None))


def _missing(file: str) -> bool:
    if os.path.isfile(file):
        return False
    print(f"symvi: there is no file {file}", file=sys.stderr)
    return True


def _run(options: argparse.Namespace) -> int:
    if _missing(options.file):
        return 2
    try:
        with _as_script(options.file, options.arguments):
            runpy.run_path(options.file, run_name="__main__")
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        _print_error(error, options.file, options.traceback)
        return 1
    return 0


def _inspect(options: argparse.Namespace) -> int:
    file, name = _split_target(options.target)
    if _missing(file):
        return 2
    variables, stopped = {}, False
    with session.inspecting() as kernels:
        try:
            with _as_script(file, []), redirect_stdout(sys.stderr):  # what is shown can be piped
                variables = runpy.run_path(file, run_name="__main__")
        except KeyboardInterrupt:
            return 130
        except (Exception, SystemExit) as error:
            if not isinstance(error, SystemExit):
                stopped = True
                _print_error(error, file, options.traceback)
        chosen = kernels[:] if name is None else _named(name, kernels, variables)
        if not chosen:
            known = ", ".join(label for label, _ in kernels) or "none"
            print(f"symvi: {file} compiled no kernel{f' named {name}' if name else ''}; compiled: {known}", file=sys.stderr)
            return 1
        if stopped:
            print("symvi: the file ended in the error above; these kernels were compiled before it", file=sys.stderr)
        try:
            asked = {"timing": True} if options.timing and options.show == "rules" else {}
            shown = [(label, str(kernel.inspect(SHOW[options.show], **asked))) for label, kernel in chosen]
        except SymviError as error:
            _print_error(error, file, options.traceback)
            return 1
    for label, text in shown:
        if len(shown) > 1:
            print(f"# ======== {label}")
        print(text.rstrip("\n"))
    return 0


def _split_target(target: str) -> tuple[str, str | None]:
    """`FILE.py:NAME` in its two parts; a colon elsewhere in a path is left alone."""
    match = re.fullmatch(r"(.+\.py):(\w+)", target)
    return (match[1], match[2]) if match else (target, None)


def _named(name: str, kernels: list, variables: dict) -> list:
    """Kernels recorded as `name`; else the variable `name` of the file: a kernel, or something that has one."""
    found = [(label, kernel) for label, kernel in kernels if label == name]
    if not found and name in variables:
        value = variables[name]
        value = value if hasattr(value, "inspect") else getattr(value, "kernel", None)
        found = [(name, value)] if hasattr(value, "inspect") else []
    return found


def _cache(options: argparse.Namespace) -> int:
    directory = cache_directory.cache_directory()
    count, length = cache_directory.clear() if options.clear else cache_directory.size()
    print(f"{directory}: {'removed ' if options.clear else ''}{count} files, {length / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
