import pytest

import symvi.rewrite.engine as engine
import symvi.rules  # noqa: F401  registers the catalogue
from symvi.rewrite.rule import RULES, remove


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Every application in these tests is checked to decrease its measure; rules of a test go with it."""
    monkeypatch.setattr(engine, "CHECK", True)
    known = set(RULES)
    yield
    for name in set(RULES) - known:
        remove(name)
