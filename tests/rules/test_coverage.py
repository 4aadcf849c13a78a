"""Every rule fires in something that a user would type: in a model, in the tables of spellings, or in the table beside this file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import symvi.rewrite.engine as engine
from symvi.array.expression import leaf_expr
from symvi.expr.nodes import Input, postorder
from symvi.rewrite.rule import RULES

ROOT = Path(__file__).parents[2]


def load(path: str):
    """A module of the repository that no package holds."""
    spec = importlib.util.spec_from_file_location(f"covered_{Path(path).stem}", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def parameters_of(expression):
    leaves = [node.leaf for node in postorder((expression.term,)) if isinstance(node, Input)]
    return [leaf_expr(leaf) for leaf in leaves if leaf.role == "param" and leaf.kind == "f"]


class Fired:
    """{rule: where it fired first}, and what went wrong on the way."""

    def __init__(self, traced):
        self.traced = traced
        self.where: dict[str, str] = {}
        self.failures: list[str] = []

    def run(self, name, cost, wrt, others=()):
        try:
            for rule in self.traced(cost, wrt, others).rules():
                self.where.setdefault(rule, name)
        except AssertionError as error:
            self.failures.append(f"{name}: {error}")


def all_fired() -> Fired:
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.rules import spellings, traced
    finally:
        sys.path.remove(str(ROOT))
    found = Fired(traced)
    for name, build in load("tests/targets/test_models.py").MODELS.items():
        outputs, parameters, *_ = build()
        found.run(f"the model {name}", outputs[0], parameters, outputs[1:])
    for name, expression in load("tests/rules/rule_spellings.py").SPELLINGS.items():
        found.run(name, expression.sum(), parameters_of(expression), [expression])
    for name, expression, cost, parameters in spellings():
        found.run(name, cost.sum(), parameters, [expression])
    return found


def test_every_rule_fires_in_what_users_type_and_decreases_its_measure(monkeypatch):
    monkeypatch.setattr(engine, "CHECK", True)
    fired = all_fired()
    assert not fired.failures
    assert len(fired.where) > 100, "the tables were found"
    silent = sorted(set(RULES) - set(fired.where))
    assert not silent, f"{', '.join(silent)}: give each a spelling in rule_spellings.py, or remove it"
