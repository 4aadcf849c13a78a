"""Every registered rule is tested by being registered; rules that are wrong in one way or another are caught."""

from fractions import Fraction

import numpy as np
import pytest

from symvi.atoms.elementwise import exp, expm1, less, log, log1p, maximum, sigmoid, sin, softplus, sqrt, tanh, where
from symvi.expr.build import constant, surrogate, zero
from symvi.expr.dims import dim
from symvi.expr.facts import interval, is_nonnegative
from symvi.oracle.rule_check import check_rule, rounding
from symvi.rewrite.engine import STAGES
from symvi.rewrite.example import POSITIVE, term
from symvi.rewrite.rule import RULES, Rule, rule
from symvi.rules.left_out import LEFT_OUT

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


@pytest.mark.parametrize("row", LEFT_OUT, ids=lambda row: row.identity)
def test_what_is_left_out_rounds_worse(row):
    left, right = row.sides(*(term(name, N, stated=POSITIVE) for name in "xy"))
    neutral = Rule("left_out", ("stable",), "exact", row.identity, (), lambda node: right)
    assert list(rounding(neutral, left, right, np.random.default_rng(0)))


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


def test_a_rule_that_worsens_float32_alone_is_caught():
    @rule(stage="simple", kind="exact")
    def detour(x):
        """3 + tanh(x) = log(e^(200 + 50 tanh(x)) e^(100 + 50 tanh(x))) / 100: no digit is lost, but e^200 is no number of float32."""
        return 3 + tanh(x), log(exp(200 + 50 * tanh(x)) * exp(100 + 50 * tanh(x))) / 100

    found = problems("detour")
    assert "rounds worse in float32" in found and "rounds worse in float64" not in found


def test_a_condition_that_is_too_wide_is_caught():
    @rule(stage="stable", when=lambda x: interval(x)[0] >= -1)
    def subtle(x):
        """log(sin(x)^2) = 2 log(sin(x)) for x >= 0, asked for x >= -1."""
        return log(sin(x) ** 2), 2 * log(sin(x))

    found = problems("subtle")
    assert "is no identity: at x = -" in found


def test_a_condition_on_one_variable_leaves_the_others_free():
    @rule(stage="stable", kind="stabilise", when=lambda x: is_nonnegative(x))
    def subtle(x, p):
        """log(sqrt(x)^2 sqrt(p)^2) = log(x) + log(p) for x, p >= 0, asked of x alone."""
        return log(sqrt(x * x) * sqrt(p * p)), log(x) + log(p)

    assert "is no identity" in problems("subtle")


def test_a_rule_that_repeats_an_operand_needs_more_than_fewer_nodes():
    @rule(stage="stable")
    def spread(x):
        """max(max(max(x, 1), 2), 3) = 3 for x < 3, else x."""
        return maximum(maximum(maximum(x, 1), 2), 3), where(less(x, 3), 3, x)

    assert "repeats an operand" in problems("spread")


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
