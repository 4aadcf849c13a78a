"""Threads for compiled code: a pool of helpers that live in `serve` while a caller is inside a kernel.

Results never depend on the number of threads: shards follow from extents, and their sums are added in order. The helpers are daemon
threads of this process, started at the first call that can use them; a forked child starts its own. One caller at a time has them, any
other runs its shards itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from symvi.errors import SymviError

__all__ = ["set_threads", "get_threads", "helping"]

POOL_CALLERS, POOL_WORDS = 64, 80  # of codegen_templates/threads.py
_ALIGNMENT = 128  # bytes
_LIMITS = ("SYMVI_NUM_THREADS", "OMP_NUM_THREADS")


def _default() -> int:
    """The cores that this process may use, or fewer where the environment says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in _LIMITS:
        text = os.environ.get(name, "").split(",")[0]
        if text.isdigit() and int(text):
            return min(int(text), cores)
    return cores


class _Pool:
    """The shared words, the helpers that wait for a caller, and who has them."""

    def __init__(self):
        self.threads: int | None = None
        self.memory = np.zeros(0, dtype=np.int64)
        self.reset()

    def reset(self) -> None:
        """No helpers, nobody inside: at the start and in a forked child."""
        self.caller = threading.Lock()
        self.wanted = threading.Condition()
        self.round = 0
        self.helpers: list[threading.Thread] = []
        self.words[:] = 0

    @property
    def words(self) -> np.ndarray:
        if not self.memory.size:
            self.memory = np.zeros(POOL_WORDS + _ALIGNMENT // 8, dtype=np.int64)
        offset = (-self.memory.ctypes.data) % _ALIGNMENT // 8
        return self.memory[offset : offset + POOL_WORDS]

    def count(self) -> int:
        return _default() if self.threads is None else self.threads

    def start(self, helpers) -> None:
        for _ in range(self.count() - 1 - len(self.helpers)):
            thread = threading.Thread(target=self._live, args=(helpers, len(self.helpers)), name="symvi", daemon=True)
            self.helpers.append(thread)
            thread.start()

    def _live(self, helpers, number: int) -> None:
        seen, address = 0, self.words.ctypes.data
        while True:
            with self.wanted:
                while self.round == seen or number >= self.count() - 1:
                    seen = self.round
                    self.wanted.wait()
                seen = self.round
            helpers.serve(address)


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)


def set_threads(threads: int | None) -> None:
    """How many threads kernels may use; None: as many as the process has cores. Results are the same bits for any number."""
    if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool) or threads < 1):
        raise SymviError(f"the number of threads is a positive integer or None, not {threads!r}")
    _pool.threads = threads


def get_threads() -> int:
    """How many threads kernels use."""
    return _pool.count()


@contextmanager
def helping(helpers, wanted: bool) -> Iterator[int]:
    """Inside, the helpers serve: gives the address of the pool, 0 where there is nobody to help or somebody else has the pool."""
    if not wanted or _pool.count() < 2 or not _pool.caller.acquire(blocking=False):
        yield 0
        return
    try:
        _pool.start(helpers)
        words = _pool.words
        words[POOL_CALLERS] = 1
        with _pool.wanted:
            _pool.round += 1
            _pool.wanted.notify_all()
        try:
            yield words.ctypes.data
        finally:
            words[POOL_CALLERS] = 0
    finally:
        _pool.caller.release()
