"""The workloads by name, in the order of the table. Modules are imported when asked for: a peer's environment has no symvi."""

from __future__ import annotations

from importlib import import_module

from benchmarks.speed.workload import Workload

__all__ = ["MODULES", "all_workloads", "find"]

MODULES = ("logistic", "minibatch", "groups", "mixture", "gaussian_process", "sparse_gaussian_process", "autoencoder", "local_latents")


def all_workloads() -> list[Workload]:
    """Every row of the table."""
    return [row for name in MODULES for row in import_module(f"benchmarks.speed.workloads.{name}").WORKLOADS]


def find(name: str) -> Workload:
    """The workload of that name."""
    return next(row for row in all_workloads() if row.name == name)
