"""Emitted modules are as they were when last looked at; `python -m tests.golden.regenerate` writes them anew."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def _load(name: str):
    spec = importlib.util.spec_from_file_location(f"golden_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


models, regenerate = _load("models"), _load("regenerate")


@pytest.mark.parametrize("model", models.MODELS, ids=lambda model: model.__name__)
def test_golden(model):
    kept, now = regenerate.path_of(model).read_text(encoding="utf-8"), regenerate.emitted(model)
    difference = "\n".join(difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "now", lineterm="", n=1))
    assert kept == now, f"{difference}\nif this is meant: python -m tests.golden.regenerate"
