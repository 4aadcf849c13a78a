"""One digest of everything, besides the model, that decides what is emitted and compiled."""

from __future__ import annotations

import hashlib
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from symvi.runtime.helpers import template_directory

__all__ = ["sources_digest", "toolchain_digest", "toolchain_versions"]


@lru_cache(maxsize=1)
def toolchain_versions() -> dict[str, str]:
    """Versions of Python (without the patch level) and of the packages whose code or addresses end in a kernel."""

    def installed(package: str) -> str:
        try:
            return version(package)  # read from the metadata: importing Numba would take half a second
        except PackageNotFoundError:
            return "unknown"

    python = f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, **{package: installed(package) for package in ("numba", "llvmlite", "scipy", "numpy")}}


@lru_cache(maxsize=1)
def sources_digest() -> str:
    """SHA-256 over the name and content of every source file of symvi and of its templates, read once per process."""
    package, templates = Path(__file__).resolve().parents[1], template_directory()
    files = {f"symvi/{path.relative_to(package).as_posix()}": path for path in package.rglob("*.py") if templates not in path.parents}
    files |= {f"codegen_templates/{path.relative_to(templates).as_posix()}": path for path in templates.rglob("*.py")}
    total = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


@lru_cache(maxsize=1)
def toolchain_digest() -> str:
    """SHA-256 of `toolchain_versions` and `sources_digest`: part of the key of every emitted module."""
    return hashlib.sha256(repr([*sorted(toolchain_versions().items()), sources_digest()]).encode()).hexdigest()
