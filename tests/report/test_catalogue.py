"""docs/rules.md says what the registry holds."""

from pathlib import Path

import pytest

from symvi.report.catalogue import catalogue, condition_of
from symvi.rewrite.rule import RULES

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == catalogue(), "run: python -m symvi.report.catalogue > docs/rules.md"


def test_every_rule_has_a_row_with_an_example():
    rows = {line.split("`")[1]: line for line in catalogue().splitlines() if line.startswith("| `")}
    assert set(rows) == set(RULES)
    assert all("→" in row for row in rows.values())


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.when is not None])
def test_a_condition_is_said_in_words(name):
    assert condition_of(RULES[name])


def test_a_guard_is_shown():
    rows = [line for line in catalogue().splitlines() if line.startswith("| `matrix_inversion_lemma`")]
    assert len(rows) == 1 and " < " in rows[0]
