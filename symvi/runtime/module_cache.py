"""The content-addressed store of emitted modules.

A module with key k and name n is the file `<cache>/<k[:2]>/symvi_<n>_<k[:8]>.py`; modules of one key that are made for different sizes
are its variants `symvi_<n>_<k[:8]>_<v>.py`, where v is a digest of what they rely on. The file is the emitted source, followed by

    # ---- manifest, read by symvi without running this file
    MANIFEST = {'key': '3f2a...', 'variant': '', 'manifest': {...}}
    # sha256 9f2c...

`MANIFEST` is a literal and is read with `ast.literal_eval`; the last line is the seal (see `sealed_file`). A file that is damaged, that
belongs to somebody else, that others can write to, or that was made for another key is never run: it is removed, and the caller, who
gets None, emits it anew. If the directory is full or cannot be written, a temporary one serves, with one warning.
"""

from __future__ import annotations

import ast
import json
import os
import pprint
import re
from pathlib import Path
from types import ModuleType

from symvi.errors import CompileError
from symvi.runtime import helpers
from symvi.runtime.cache_directory import cache_directory, fall_back, private_subdirectory
from symvi.runtime.sealed_file import UNWRITABLE, discard_compiled, execute, read_sealed, remove, write_sealed

__all__ = ["file_name", "find", "find_variants", "load", "read_manifest", "remove", "source_of", "write"]

_MARK = "# ---- manifest, read by symvi without running this file\nMANIFEST = "


def file_name(key: str, name: str, variant: str = "") -> str:
    """The name of the file of one variant. `name` is the user's; what cannot stand in an identifier becomes `_`."""
    if not re.fullmatch(r"[0-9a-f]{8,}", key) or not re.fullmatch(r"[0-9a-f]*", variant):
        raise ValueError(f"a key or a variant is a hexadecimal digest, got {key!r} and {variant!r}")
    label = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:40] or "kernel"
    return f"symvi_{label}_{key[:8]}{f'_{variant[:8]}' if variant else ''}.py"


def write(key: str, name: str, source: str, manifest: dict, variant: str = "") -> Path:
    """Store an emitted module and return its path. `manifest` holds what JSON can hold, finite numbers only."""
    record = {"key": key, "variant": variant, "manifest": json.loads(json.dumps(manifest, allow_nan=False))}
    literal = pprint.pformat(record, width=120, sort_dicts=False)
    text = f"{source.rstrip()}\n\n\n{_MARK}{literal}\n"
    return _write(key[:2], file_name(key, name, variant), text)


def _write(bucket: str, name: str, text: str) -> Path:
    try:
        return write_sealed(private_subdirectory(bucket) / name, text)
    except OSError as reason:
        fall_back(reason)
    try:
        return write_sealed(private_subdirectory(bucket) / name, text)
    except OSError as reason:
        raise CompileError(f"no directory takes the emitted module: {reason}; set SYMVI_CACHE_DIR to one with free space") from reason


def find(key: str, name: str, variant: str = "") -> Path | None:
    """The path of a stored module that may be loaded, or None if it has to be emitted."""
    path = cache_directory() / key[:2] / file_name(key, name, variant)
    return path if _is_of(path, key) else None


def _is_of(path: Path, key: str) -> bool:
    """Is this the file of a module of `key`? What has its name and is not is removed."""
    text = read_sealed(path)
    record = _record(text) if text is not None else None
    if record is not None and record["key"] == key and path.name.endswith(f"_{(record['variant'] or key)[:8]}.py"):
        return True
    if os.path.lexists(path):
        remove(path)
    return False


def find_variants(key: str, name: str) -> list[Path]:
    """The stored variants of one key, in the order in which binding tries them."""
    stem = file_name(key, name).removesuffix(".py")
    return [path for path in sorted((cache_directory() / key[:2]).glob(f"{stem}_*.py")) if _is_of(path, key)]


def _record(text: str) -> dict | None:
    start = text.rfind(_MARK)
    if start < 0:
        return None
    try:
        record = ast.literal_eval(text[start + len(_MARK) :])
    except (ValueError, SyntaxError):
        return None
    return record if isinstance(record, dict) and {"key", "variant", "manifest"} <= record.keys() else None


def _verified(path: Path) -> str:
    text = read_sealed(Path(path))
    if text is None:
        raise CompileError(f"{path} is damaged or was not written by symvi for this user; it was not imported. Compile the model again")
    return text


def read_manifest(path: Path) -> dict:
    """The manifest that was given to `write`, read without running the file."""
    record = _record(_verified(path))
    if record is None:
        raise CompileError(f"{path} holds no manifest")
    return record["manifest"]


def source_of(path: Path) -> str:
    """The emitted source as it was given to `write`, without manifest and seal."""
    text = _verified(path)
    start = text.rfind(_MARK)
    return (text if start < 0 else text[:start]).rstrip() + "\n"


def load(path: Path) -> ModuleType:
    """Import a stored module. Its helper module is put into `sys.modules` first; functions with `cache=True` keep their machine code
    in `__pycache__` beside the file. A module that is loaded already is returned as it is."""
    path = Path(path)
    text = _verified(path)
    used = []
    for line in text.splitlines():
        if match := re.match(r"(?:from|import)\s+(symvi_helpers_[0-9a-f]+)\b", line):
            used.append(helpers.load_named(match[1]))
    try:
        return _compiled(path, text, used)
    except OSError as reason:  # Numba could not write its files: a full disk
        if reason.errno not in UNWRITABLE:
            raise
        if path.is_relative_to(fall_back(reason)):
            raise CompileError(f"no directory takes the compiled module: {reason}; set SYMVI_CACHE_DIR to one with free space") from reason
    return execute(_write(path.parent.name, path.name, text), text)


def _compiled(path: Path, text: str, used: list[ModuleType]) -> ModuleType:
    """Run a module, which compiles it. If that fails, once more without the machine code of its helpers, which may be what is damaged."""
    try:
        return execute(path, text)
    except (OSError, CompileError):
        raise
    except Exception:
        for module in used:
            discard_compiled(Path(module.__file__))
    try:
        return execute(path, text)
    except Exception as reason:
        from numba.core.errors import NumbaError  # numba is heavy, and here it is imported already

        if not isinstance(reason, NumbaError):
            raise
        said = f"{type(reason).__name__}: {' '.join(str(reason).split())[:300]}"
        raise CompileError(f"the emitted module {path} does not compile, which is a bug of symvi: {said}") from reason
