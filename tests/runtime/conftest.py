"""Every test of the cache has a directory of its own, and leaves the process as it found it."""

from __future__ import annotations

import sys

import pytest

from symvi.runtime import cache_directory


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """The cache directory of this test (not made yet)."""
    path = tmp_path / "cache"
    monkeypatch.setenv("SYMVI_CACHE_DIR", str(path))
    kept = (dict(cache_directory._chosen), cache_directory._temporary, cache_directory._warned)
    cache_directory.reset()
    yield path
    cache_directory._chosen.clear()
    cache_directory._chosen.update(kept[0])
    cache_directory._temporary, cache_directory._warned = kept[1:]
    for name in [name for name in sys.modules if name.startswith("symvi_")]:
        del sys.modules[name]
