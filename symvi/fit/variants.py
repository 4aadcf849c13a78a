"""The modules of one request: one for each outcome of the choices that were made by size."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from symvi.fit.pipeline import Request, Result, load_module, lower_request, store_module, stored_module
from symvi.plan.regions import Plan
from symvi.runtime import module_cache

__all__ = ["Variants"]


class Variants:
    """Compiles a request when its sizes become known, and again when they break what was relied on.

    A request that makes no choice by size is compiled at once. Any other is lowered at once, so that errors come where the user
    wrote it, and compiled at the first sizes; asked for a module before, it gives the one in which all guards are assumed to hold.
    """

    def __init__(self, request: Request):
        self.request = request
        self._results: list[Result] = []  # the one in use first
        self._assumed: tuple[str, Plan] | None = None  # under which key
        start, key = time.perf_counter(), request.key()
        path = stored_module(request, key, None)
        if path is not None:
            self._take(path, True, start, None)
        elif not module_cache.find_variants(key, request.name):
            _, plan = lower_request(request)
            if plan.guards:
                self._assumed = (key, plan)
            else:
                self._take(store_module(request, key, plan), False, start, None)

    @property
    def result(self) -> Result:
        """The module in use."""
        if not self._results:
            self._compile(None)
        return self._results[0]

    def at(self, sizes: Mapping[str, int]) -> Result:
        """The module for these sizes, found in memory, in the cache, or compiled now."""
        for position, result in enumerate(self._results):
            if result.compiled.suits(sizes):
                if position:
                    self._results.insert(0, self._results.pop(position))
                return result
        return self._compile(sizes)

    def _compile(self, sizes: Mapping[str, int] | None) -> Result:
        start, key = time.perf_counter(), self.request.key()
        path = stored_module(self.request, key, sizes)
        if path is not None:
            return self._take(path, True, start, sizes)
        plan, known = self._planned(key, sizes), module_cache.find_variants(key, self.request.name)
        path = store_module(self.request, key, plan)
        return self._take(path, path in known, start, sizes)

    def _planned(self, key: str, sizes: Mapping[str, int] | None) -> Plan:
        """The plan in which guards were assumed, if it is of these rules and right at these sizes; else one that is."""
        if self._assumed is not None and self._assumed[0] == key:
            plan = self._assumed[1]
            if sizes is None or all(guard.at(sizes) for guard in plan.guards):
                return plan
        return lower_request(self.request, sizes)[1]

    def _take(self, path: Path, hit: bool, start: float, sizes: Mapping[str, int] | None) -> Result:
        result = load_module(self.request, path, hit, time.perf_counter() - start, None if sizes is None else dict(sizes))
        self._results.insert(0, result)
        return result
