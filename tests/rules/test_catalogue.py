"""Every registered rule is tested by being registered; rules that are wrong in one way or another are caught."""

from fractions import Fraction

import pytest

from symvi.atoms.elementwise import exp, expm1, log, log1p, sigmoid, sin, softplus
from symvi.expr.build import constant, surrogate, zero
from symvi.expr.dims import dim
from symvi.expr.facts import is_nonnegative
from symvi.oracle.rule_check import check_rule
from symvi.rewrite import RULES, rule
from symvi.rewrite.engine import STAGES
from symvi.rewrite.example import term

N = dim("N")


@pytest.mark.parametrize("name", list(RULES))
def test_rule(name):
    assert check_rule(RULES[name]) == []


@pytest.mark.parametrize("name", list(RULES))
def test_rule_is_documented_and_staged(name):
    each = RULES[name]
    assert "=" in each.identity and each.identity.endswith(".")
    assert set(each.stages) <= set(STAGES)
    assert each.source[0].endswith(".py")


def problems(name):
    return " ".join(check_rule(RULES[name]))


def test_a_wrong_rule_is_caught():
    @rule(stage="stable")
    def wrong(x):
        """log(1 + e^x) = softplus(-x): the sign is wrong."""
        return log(1 + exp(x)), softplus(-x)

    assert "is no identity" in problems("wrong")


def test_a_rule_that_is_wrong_in_the_thirtieth_digit_is_caught():
    @rule(stage="stable")
    def nearly(x):
        """log(1 + x) = log1p(x) + 1e-30."""
        return log(1 + x), log1p(x) + constant(Fraction(1, 10**30))

    assert "is no identity" in problems("nearly")


def test_a_rule_with_a_wrong_derivative_is_caught():
    @rule(stage="stable")
    def stopped(x):
        """log(1 + x) = log1p(x), and its derivative is gone."""
        return log(1 + x), surrogate(log1p(x), zero)

    assert "differs in the derivative" in problems("stopped")


def test_a_rule_that_worsens_rounding_is_caught():
    @rule(stage="stable", kind="exact")
    def unfold(x):
        """expm1(x) = e^x - 1: cancels near zero."""
        return expm1(x), exp(x) - 1

    assert "rounds worse" in problems("unfold")


def test_a_rule_that_overflows_is_caught():
    @rule(stage="stable", kind="exact")
    def unfold(x):
        """softplus(x) = log(1 + e^x): overflows."""
        return softplus(x), log(1 + exp(x))

    assert "rounds worse" in problems("unfold") and "does not decrease" in problems("unfold")


def test_a_pair_of_opposite_rules_is_caught():
    @rule(stage="stable")
    def there(x):
        """sigmoid(-x) = 1 - sigmoid(x), the other way."""
        return sigmoid(-x), 1 - sigmoid(x)

    assert "does not decrease the measure" in problems("there")


def test_a_condition_that_is_always_true_is_caught():
    @rule(stage="stable", when=lambda x: True)
    def unconditional(x):
        """log(1 + sin(x)) = log1p(sin(x)), under a condition that is none."""
        return log(1 + sin(x)), log1p(sin(x))

    assert "holds for every example" in problems("unconditional")


def test_a_procedure_that_forgets_its_condition_is_caught():
    @rule.procedure(
        head="exp", stage="simple", example=lambda: exp(log(term("x", N))), counterexample=lambda: exp(log(term("x", N)) / 2)
    )  # fmt: skip
    def careless(node):
        """e^(log x) = x, and of everything else."""
        return node.children[0]

    assert "fires where its condition fails" in problems("careless")


def test_a_rule_that_another_one_forestalls_is_caught():
    @rule(stage="stable", when=is_nonnegative)
    def zz_late(x):
        """log(1 + e^(e^x)) = softplus(e^x): softplus_fold was there before."""
        return log(1 + exp(x)), softplus(x)

    assert "does not fire in the stage stable: softplus_fold" in problems("zz_late")
