"""Rules of users: written with the front, tested while they are registered, refused with the point where they fail."""

import re

import pytest

import symvi as sv
from symvi.errors import ExpressionError
from symvi.rewrite.rule import RULES, fingerprint

N, M = sv.dims("N M")


def fired(expression):
    with sv.rewrite.collect() as trace:
        sv.rewrite.stabilise([expression.term])
    return trace.rules()


def test_a_rule_of_the_user_is_written_with_the_front():
    @sv.rewrite.rule(stage="stable", kind="exact")
    def floor_and_ceiling(x):
        """floor(x) + ceil(-x) = 0."""
        return sv.floor(x) + sv.ceil(-x), 0

    z = sv.param("z", N)
    assert fired(z + 3 * sv.ceil(-2 * z) + 3 * sv.floor(2 * z)) == ["floor_and_ceiling"]


def test_matrices_and_vectors():
    @sv.rewrite.rule(stage="stable", kind="stabilise")
    def solve_with_an_inverse(A: sv.rewrite.Matrix, b: sv.rewrite.Vector = "A"):
        """solve(A^-1, sin(b)) = A sin(b)."""
        return sv.linalg.solve(sv.linalg.inv(A), sv.sin(b)), A @ sv.sin(b)

    A, b = sv.data("A", M, M), sv.param("b", M)
    assert RULES["solve_with_an_inverse"].kind == "stabilise"
    assert "solve_with_an_inverse" in fired(sv.linalg.solve(sv.linalg.inv(A), sv.sin(b)))


def test_a_vector_is_reduced():
    @sv.rewrite.rule(stage="stable")
    def floor_and_ceiling_of_sums(x: sv.rewrite.Vector):
        """floor(Σ x) + ceil(-Σ x) = 0."""
        return sv.floor(sv.sum(x)) + sv.ceil(-sv.sum(x)), 0

    z = sv.data("z", N, M)
    row = sv.sum(sv.exp(z), axis=1)
    assert fired(sv.floor(row) + sv.ceil(-row)) == ["floor_and_ceiling_of_sums"]


def test_a_condition_is_asked():
    @sv.rewrite.rule(when=lambda x: sv.rewrite.interval(x)[0] >= 0 and sv.rewrite.interval(x)[1] <= 1)
    def arc_of_its_cosine(x):
        """arccos(cos(x)) = x for 0 <= x <= 1."""
        return sv.arccos(sv.cos(x)), x

    z = sv.param("z", N)
    assert fired(sv.arccos(sv.cos(sv.sigmoid(z)))) == ["arc_of_its_cosine"]
    assert fired(sv.arccos(sv.cos(sv.tanh(z)))) == []


REFUSED = {}


def refused(problem):
    def note(register):
        REFUSED[register.__name__] = (register, problem)
        return register

    return note


@refused(r"is no identity: at x = -?[\d.e-]+ the left side is -?[\d.]+, the right side")
def wrong():
    @sv.rewrite.rule(stage="stable")
    def wrong_sign(x):
        """sin(tanh(x)) = sin(-tanh(x))."""
        return sv.sin(sv.tanh(x)), sv.sin(-sv.tanh(x)) + 1


@refused(r"rounds worse in float64: at x = .* the left side gives .* ulp\), the right side")
def rounding():
    @sv.rewrite.rule(stage="stable")
    def cancelling(x):
        """expm1(x) = e^x - 1."""
        return sv.expm1(x), sv.exp(x) - 1


@refused("differs in the derivative by x")
def derivative():
    @sv.rewrite.rule(stage="stable")
    def constant_slope(x):
        """sin(tanh(x)) = sin(tanh(x)), without its derivative."""
        return sv.sin(sv.tanh(x)), sv.stop_gradient(sv.sin(sv.tanh(x)))


@refused("does not decrease the measure of the stage stable")
def opposite():
    @sv.rewrite.rule(stage="stable")
    def unfolded(x):
        """sigmoid(-x) = 1 - sigmoid(x)."""
        return sv.sigmoid(-x), 1 - sv.sigmoid(x)


@refused("no docstring")
def undocumented():
    @sv.rewrite.rule(stage="stable")
    def nameless(x):
        return sv.sin(sv.tanh(x)), sv.sin(x)


@refused("at least one head other than sum and product")
def headless():
    @sv.rewrite.rule(stage="stable")
    def distributed(x, y):
        """x y + x = x (y + 1)."""
        return x * y + x, x * (y + 1)


@refused("returns its two sides")
def one_sided():
    @sv.rewrite.rule(stage="stable")
    def half(x):
        """sin(x)."""
        return sv.sin(x)


@refused("fires where its condition fails")
def careless_procedure():
    z = sv.param("z", N)

    @sv.rewrite.rule.procedure(head="exp", stage="simple", example=lambda: sv.exp(sv.log(z)), counterexample=lambda: sv.exp(sv.sin(z)))
    def any_exponential(node):
        """e^(log x) = x, and of everything else."""
        return node.children[0]


@pytest.mark.parametrize("name", REFUSED)
def test_a_rule_that_fails_is_refused(name):
    register, problem = REFUSED[name]
    before = dict(RULES)
    with pytest.raises(ExpressionError) as error:
        register()
    message = str(error.value)
    assert re.search(problem, message), message
    assert re.search(r"\[test_user_rules\.py:\d+\]$", message), message
    assert dict(RULES) == before, "and it is not in use"


def test_approximate_rules_are_off_unless_asked():
    @sv.rewrite.rule(kind="approximate")
    def small_angle(x):
        """sin(x) = x, nearly. (The identity of an approximate rule is not tested.)"""
        return sv.sin(x), x

    z = sv.param("z", N)
    assert fired(sv.sin(z)) == []
    with sv.rewrite.with_approximate("small_angle"):
        assert fired(sv.sin(z)) == ["small_angle"]
    assert fired(sv.sin(z)) == []
    with pytest.raises(ExpressionError, match="not of the kind approximate"), sv.rewrite.with_approximate("softplus_fold"):
        pass


def test_rules_are_switched_off_locally():
    cost = sv.log(1 + sv.exp(sv.param("z", N)))
    with sv.rewrite.without("softplus_fold"):
        assert "softplus_fold" not in fired(cost)
    assert fired(cost) == ["softplus_fold"]
    with pytest.raises(ExpressionError, match="there is no rule softplus_fol; did you mean softplus_fold"):
        sv.rewrite.remove("softplus_fol")


def test_a_compiled_kernel_depends_on_the_rules_in_use():
    assert fingerprint() == []
    z = sv.param("z", N)
    cost = sv.log(1 + sv.exp(sv.tanh(z))).sum()
    paths = {sv.compile(cost, name="ruled").path}
    with sv.rewrite.without("softplus_fold", "log1p_fold", "log_of_added_exponentials", "log_add_exp"):
        kernel = sv.compile(cost, name="ruled")
        assert "softplus" not in kernel.inspect("math").split("g_z")[0]
        paths.add(kernel.path)
    assert len(paths) == 2
    assert fingerprint() == []
