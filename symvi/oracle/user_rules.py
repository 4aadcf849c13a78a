"""Rules of users are tested while they are registered; the tests are imported when the first one comes."""

from __future__ import annotations

from symvi.rewrite.rule import Rule
from symvi.rewrite.user import set_check


def _check(rule: Rule) -> list[str]:
    from symvi.oracle.rule_check import check_rule

    return check_rule(rule)


set_check(_check)
