"""Where emitted modules are kept: one private directory per user, and a temporary one when that cannot be used.

`SYMVI_CACHE_DIR` names the directory itself; without it, it is `symvi` in the user's cache directory (`XDG_CACHE_HOME`, or what the
platform calls it). Kernels are code that will be imported, so the directory must belong to the user and nobody else may write to it.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import warnings
from pathlib import Path

from symvi.errors import CacheWarning, CompileError

__all__ = ["cache_directory", "clear", "fall_back", "is_private", "is_temporary", "private_subdirectory", "reset", "size"]

_BUCKET = re.compile(r"[0-9a-f]{2}|helpers")
_OWN_FILE = re.compile(r"\.?symvi_")

_lock = threading.RLock()
_chosen: dict[str | None, Path] = {}  # value of SYMVI_CACHE_DIR -> directory in use
_temporary: Path | None = None
_warned = False


def _default_location() -> Path:
    """`<user cache>/symvi`, which need not exist yet."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "symvi"
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "symvi"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "symvi" / "cache"
    return home / ".cache" / "symvi"


def is_private(path: Path) -> bool:
    """True if `path` is a plain file or directory of this user that nobody else can write to. Links are refused."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return False
    if os.name != "posix":
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _prepare(path: Path, may_narrow: bool) -> None:
    """Make `path` a private, writable directory, or raise OSError. `may_narrow`: an existing one may lose the rights of others."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = path.resolve()  # the directory itself may be reached by a link; what counts is where it ends
    if not is_private(path) and may_narrow and os.lstat(path).st_uid == os.getuid():
        path.chmod(0o700)
    if not is_private(path):
        raise PermissionError(f"{path} belongs to, or can be written by, somebody else")
    handle, probe = tempfile.mkstemp(prefix=".symvi_probe_", dir=path)
    os.close(handle)
    os.unlink(probe)


def cache_directory() -> Path:
    """The private directory of this process's kernels. Chosen at the first call, and again when SYMVI_CACHE_DIR changes."""
    override = os.environ.get("SYMVI_CACHE_DIR") or None
    with _lock:
        if override not in _chosen:
            try:
                location = Path(override).expanduser() if override else _default_location()
                _prepare(location, may_narrow=override is None)
                _chosen[override] = location.resolve()
            except (OSError, RuntimeError) as reason:  # RuntimeError: no home directory
                fall_back(reason)
        return _chosen[override]


def fall_back(reason: BaseException | str) -> Path:
    """From now on use a private temporary directory, removed when the process ends. Warns once per process, with the reason."""
    global _temporary, _warned
    with _lock:
        if _temporary is None:
            owner = os.getpid()
            try:
                _temporary = Path(tempfile.mkdtemp(prefix="symvi_")).resolve()  # mkdtemp makes it 0700
            except OSError as error:
                raise CompileError(f"there is no directory for emitted modules: {reason}; and no temporary one: {error}") from error
            atexit.register(lambda path=_temporary: os.getpid() == owner and shutil.rmtree(path, ignore_errors=True))
        _chosen[os.environ.get("SYMVI_CACHE_DIR") or None] = _temporary
        if not _warned:
            _warned = True
            warnings.warn(
                f"the kernel cache cannot be used ({reason}); kernels of this process go to {_temporary} and are compiled again next time. "
                "Set SYMVI_CACHE_DIR to a directory of your own to keep them.",
                CacheWarning,
                stacklevel=2,
            )
        return _temporary


def is_temporary() -> bool:
    """True if the directory in use disappears with the process."""
    return cache_directory() == _temporary


def reset() -> None:
    """Forget the directory that was chosen and that a warning was given (the next call looks again)."""
    global _temporary, _warned
    with _lock:
        _chosen.clear()
        _temporary, _warned = None, False


def private_subdirectory(name: str) -> Path:
    """The directory `name` of the cache, private. One that others could write to is emptied first. OSError if that fails."""
    path = cache_directory() / name
    path.mkdir(mode=0o700, exist_ok=True)
    if not is_private(path):
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)
        path.mkdir(mode=0o700)
    return path


def _own_files() -> list[Path]:
    """Every file in the cache that symvi, or Numba on its behalf, wrote."""
    found = []
    for bucket in cache_directory().iterdir():
        if _BUCKET.fullmatch(bucket.name) and bucket.is_dir() and not bucket.is_symlink():
            for folder in (bucket, bucket / "__pycache__"):
                if folder.is_dir() and not folder.is_symlink():
                    found += [path for path in folder.iterdir() if _OWN_FILE.match(path.name) and not path.is_dir()]
    return found


def size() -> tuple[int, int]:
    """Number of files in the cache and their size in bytes."""
    total = count = 0
    for path in _own_files():
        try:
            total += path.lstat().st_size
            count += 1
        except OSError:  # another process removed it meanwhile
            continue
    return count, total


def clear() -> tuple[int, int]:
    """Remove what symvi wrote, and nothing else. Returns the number of files removed and their size in bytes."""
    removed = freed = 0
    for path in _own_files():
        try:
            length = path.lstat().st_size
            path.unlink()
        except OSError:
            continue
        removed, freed = removed + 1, freed + length
    for bucket in cache_directory().iterdir():
        if _BUCKET.fullmatch(bucket.name):
            for folder in (bucket / "__pycache__", bucket):
                try:
                    folder.rmdir()  # only an empty one goes
                except OSError:
                    continue
    return removed, freed
