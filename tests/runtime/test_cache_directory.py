from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

import pytest

from symvi.errors import CacheWarning
from symvi.runtime import cache_directory as cd

posix = pytest.mark.skipif(os.name != "posix", reason="owners and rights of POSIX")


def test_created_private(own_cache):
    assert cd.cache_directory() == own_cache.resolve()
    assert not cd.is_temporary()
    if os.name == "posix":
        assert stat.S_IMODE(own_cache.stat().st_mode) == 0o700


def test_default_location_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.delenv("SYMVI_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cd.cache_directory() == (tmp_path / "xdg" / "symvi").resolve()


@posix
def test_own_default_directory_is_narrowed(tmp_path, monkeypatch):
    monkeypatch.delenv("SYMVI_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "symvi").mkdir()
    (tmp_path / "symvi").chmod(0o777)
    assert cd.cache_directory() == (tmp_path / "symvi").resolve()
    assert stat.S_IMODE((tmp_path / "symvi").stat().st_mode) == 0o700


def test_a_change_of_the_variable_is_followed(tmp_path, monkeypatch, own_cache):
    first = cd.cache_directory()
    monkeypatch.setenv("SYMVI_CACHE_DIR", str(tmp_path / "other"))
    assert cd.cache_directory() != first


def assert_falls_back_with_one_warning():
    with pytest.warns(CacheWarning) as seen:
        path = cd.cache_directory()
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cd.cache_directory() == path
    assert cd.is_temporary() and path.is_dir() and cd.is_private(path)


def test_a_path_below_a_file_falls_back(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYMVI_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert_falls_back_with_one_warning()


def test_no_home_directory_falls_back(monkeypatch):
    monkeypatch.delenv("SYMVI_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert_falls_back_with_one_warning()


def test_a_directory_that_takes_no_file_falls_back(own_cache, monkeypatch):
    real = cd.tempfile.mkstemp

    def refuse(*args, dir=None, **kwargs):
        if dir is not None and Path(dir) == own_cache.resolve():
            raise PermissionError(13, "Permission denied", str(dir))
        return real(*args, dir=dir, **kwargs)

    monkeypatch.setattr(cd.tempfile, "mkstemp", refuse)
    assert_falls_back_with_one_warning()


@posix
def test_a_given_directory_that_others_can_write_falls_back(own_cache):
    own_cache.mkdir()
    own_cache.chmod(0o777)
    assert_falls_back_with_one_warning()
    assert stat.S_IMODE(own_cache.stat().st_mode) == 0o777, "a directory the user named is left as it is"


@posix
def test_a_directory_of_somebody_else_falls_back(own_cache, monkeypatch):
    own_cache.mkdir(mode=0o700)
    stranger, place, real = os.getuid() + 1, str(own_cache.resolve()), os.lstat

    def lstat(path, **kwargs):
        found = real(path, **kwargs)
        if os.fspath(path) != place:
            return found
        values = list(found)
        values[stat.ST_UID] = stranger
        return os.stat_result(values)

    resolved = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda self, strict=False: self if str(self) == place else resolved(self, strict))
    monkeypatch.setattr(cd.os, "lstat", lstat)
    assert_falls_back_with_one_warning()


@posix
def test_a_subdirectory_that_others_could_write_is_emptied(own_cache):
    bucket = cd.private_subdirectory("3f")
    (bucket / "symvi_planted.py").write_text("raise SystemExit")
    bucket.chmod(0o777)
    assert list(cd.private_subdirectory("3f").iterdir()) == []
    assert cd.is_private(bucket)


def test_clear_removes_only_what_symvi_wrote(own_cache):
    bucket = cd.private_subdirectory("3f")
    (bucket / "__pycache__").mkdir()
    (bucket / "symvi_a_3f.py").write_text("x" * 100)
    (bucket / "__pycache__" / "symvi_a_3f.f-1.py311.1.nbc").write_text("x" * 50)
    (bucket / "mine.txt").write_text("keep")
    (own_cache / "notes").mkdir()
    (own_cache / "notes" / "symvi_notes.py").write_text("keep")
    (cd.private_subdirectory("aa") / "symvi_b_aa.py").write_text("x")
    assert cd.size() == (3, 151)
    assert cd.clear() == (3, 151)
    assert cd.size() == (0, 0)
    left = {path.relative_to(own_cache).as_posix() for path in own_cache.rglob("*") if path.is_file()}
    assert left == {"3f/mine.txt", "notes/symvi_notes.py"}
    assert not (own_cache / "aa").exists()
