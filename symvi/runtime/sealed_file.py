"""Files of Python source that are imported only if they are exactly as they were written.

A sealed file is its text and one last line with the SHA-256 digest of that text:

    ...
    # sha256 9f2c...

It is written under a temporary name and renamed, so that a reader meets a whole file or none. Its time of modification is computed from
the digest: two processes that write the same text leave the same file, and compiled code that Numba keeps beside it stays valid.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import tempfile
import threading
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from symvi.runtime.cache_directory import is_private

__all__ = ["UNWRITABLE", "digest_of", "discard_compiled", "execute", "read_sealed", "remove", "write_sealed"]

UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO})
"""Error numbers that say: not in this directory."""

_MARK = "# sha256 "
_loading = threading.RLock()


def digest_of(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_sealed(path: Path, text: str) -> Path:
    """Write `text` with its seal to `path`, in one step as other processes see it. OSError if the directory does not take it."""
    if not text.endswith("\n"):
        text += "\n"
    digest = digest_of(text)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}_", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(f"{text}{_MARK}{digest}\n".encode())
        moment = 1_000_000_000 + int(digest[:7], 16)  # a moment between 2001 and 2010
        os.utime(temporary, (moment, moment))
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise
    return path


def read_sealed(path: Path) -> str | None:
    """The text of a sealed file without its seal; None if it is absent, damaged, foreign, or writable by others."""
    if not (is_private(path.parent) and is_private(path)):
        return None
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
    start = text.rfind(_MARK)
    if start > 0 and text[start - 1] == "\n" and text[start + len(_MARK) :] == digest_of(text[:start]) + "\n":
        return text[:start]
    return None


def remove(path: Path) -> None:
    """Remove a file of the cache and what was compiled from it; what cannot be removed is left and will be refused again."""
    discard_compiled(path)
    try:
        path.unlink()
    except OSError:
        pass


def discard_compiled(path: Path) -> None:
    """Remove the machine code that Numba keeps for the module at `path`."""
    folder = path.parent / "__pycache__"
    if folder.is_symlink():
        return
    for compiled in folder.glob(f"{path.stem}.*"):
        try:
            compiled.unlink()
        except OSError:
            pass


def execute(path: Path, text: str) -> ModuleType:
    """Run `text`, the verified content of `path`, as the module named by the file, and register it in `sys.modules`.

    The bytes that were verified are the bytes that run: the file is not opened again. The name is the same in every process, since Numba
    records it in what it caches. If running fails, the compiled files are thrown away and it is tried once more, because they may be
    what is damaged. A module that is already loaded from the same text is returned as it is.
    """
    name, digest = path.stem, digest_of(text)
    with _loading:
        present = sys.modules.get(name)
        if present is not None and getattr(present, "__symvi_digest__", None) == digest and Path(present.__file__) == path:
            return present
        pycache = path.parent / "__pycache__"
        if os.path.lexists(pycache) and not is_private(pycache):
            pycache.unlink() if pycache.is_symlink() else shutil.rmtree(pycache, ignore_errors=True)
        code = compile(text, str(path), "exec", dont_inherit=True)
        spec = spec_from_file_location(name, path)
        try:
            return _run(spec, code, digest)
        except Exception as reason:
            if isinstance(reason, OSError) and reason.errno in UNWRITABLE:
                raise  # a full disk, not a damaged file: the caller moves elsewhere
            discard_compiled(path)
            return _run(spec, code, digest)


def _run(spec: ModuleSpec, code, digest: str) -> ModuleType:
    module = ModuleType(spec.name)
    module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
    module.__symvi_digest__ = digest
    before = sys.modules.get(spec.name)
    sys.modules[spec.name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        if before is None:
            del sys.modules[spec.name]
        else:
            sys.modules[spec.name] = before
        raise
    return module
