"""Running a stage: fixpoint, memory, depth, measure, errors, trace."""

import inspect

import pytest

import symvi.rewrite.engine as engine
from symvi.atoms.elementwise import erf, exp, log, sigmoid, sin, softplus, sqrt, tanh
from symvi.calculus.reverse import gradients
from symvi.errors import ExpressionError
from symvi.expr.build import contract, surrogate, zero
from symvi.expr.dims import dim
from symvi.expr.facts import assert_fact
from symvi.expr.nodes import postorder
from symvi.expr.provenance import site_of
from symvi.rewrite import Guard, Index, Indexed, collect
from symvi.rewrite.engine import run_stage
from symvi.rewrite.example import term
from symvi.rewrite.rule import rule
from symvi.rules import simplify, stabilise

N, K, J = dim("N"), dim("K"), dim("J")


def test_the_result_is_a_fixpoint():
    x, y = term("x", N), term("y", N)
    p = 1 / (1 + exp(-x))
    cost = contract(x.labels, [(y * log(p) + (1 - y) * log(1 - p), 1)])
    (once,) = stabilise([cost])
    assert once is contract(x.labels, [(-y * softplus(-x) - (1 - y) * softplus(x), 1)])
    assert stabilise([once]) == [once]
    with collect() as trace:
        assert stabilise([once]) == [once]
    assert not len(trace)


def test_a_second_run_is_remembered(monkeypatch):
    x = term("x", N)
    node = x
    for _ in range(150):
        node = sin(log(1 + exp(node)) + 1 / (1 + exp(-node)))
    (first,) = stabilise([node])
    finished = []
    finish = engine._Run._finish
    monkeypatch.setattr(engine._Run, "_finish", lambda run, *nodes: (finished.append(nodes), finish(run, *nodes)))
    assert stabilise([node]) == [first]
    assert not finished
    stabilise([sin(node)])
    assert 1 <= len(finished) <= 3


def test_work_grows_with_the_nodes():
    """Rules are tried where their head stands: a few tries per node, however large the graph."""

    def tries(size):
        node = term("x", N)
        while sum(1 for _ in postorder((node,))) < size:
            node = log(1 + exp(node)) * (1 - 1 / (1 + exp(-node))) + tanh(node) / 3
        with collect() as trace:  # uses no memory
            stabilise([node])
        return sum(trace.tries.values()) / size

    assert tries(500) < 20
    assert tries(1000) < 1.2 * tries(250)


def test_depth_is_no_limit():
    node = term("x", N)
    for _ in range(3000):
        node = softplus(sin(node)) + 1
    deep = log(1 + exp(node))
    assert stabilise([deep]) == [softplus(node)]


def test_many_rewritten_levels():
    node = wanted = term("x", N)
    for _ in range(400):
        node, wanted = sin(log(1 + exp(node))), sin(softplus(wanted))
    assert stabilise([node]) == [wanted]


def test_what_a_rule_returns_is_rewritten_too():
    x = term("x", N)
    assert stabilise([log(1 - 1 / (1 + exp(-x)))]) == [-softplus(x)]


def test_a_surrogate_is_opaque_but_rewritten_inside():
    x = term("x", N)
    stopped = surrogate(exp(x), zero)
    assert stabilise([log(1 + stopped)])[0] is not softplus(x)
    assert stabilise([surrogate(log(1 + exp(x)), zero)]) == [surrogate(softplus(x), zero)]


def test_opposite_rules_are_caught_by_the_measure():
    @rule(stage="stable")
    def there(x):
        """sin(x) = tanh(x), one way."""
        return sin(x), tanh(x)

    @rule(stage="stable")
    def back(x):
        """tanh(x) = sin(x), the other way."""
        return tanh(x), sin(x)

    with pytest.raises(AssertionError, match="does not decrease the measure"):
        stabilise([sin(term("x", N))])


def test_opposite_rules_are_caught_without_the_measure(monkeypatch):
    monkeypatch.setattr(engine, "CHECK", False)

    @rule(stage="stable")
    def there(x):
        """sin(x) = tanh(x), one way."""
        return sin(x), tanh(x)

    @rule(stage="stable")
    def back(x):
        """tanh(x) = sin(x), the other way."""
        return tanh(x), sin(x)

    with pytest.raises(ExpressionError, match="back, there of the stage stable turn a node back into itself at test_engine.py"):
        stabilise([sin(term("x", N))])


@pytest.mark.parametrize("cap", [50])
def test_growth_without_end_is_caught(monkeypatch, cap):
    monkeypatch.setattr(engine, "CHECK", False)
    monkeypatch.setattr(engine, "CAP", cap)

    @rule(stage="stable")
    def growing(x):
        """sin(x) = sin(x + sqrt(x)), for ever."""
        return sin(x), sin(x + sqrt(x))

    with pytest.raises(ExpressionError, match="growing of the stage stable"):
        stabilise([sin(term("x", N))])


def test_a_new_rule_is_used_on_nodes_seen_before():
    node = sin(term("x", N))
    assert stabilise([node]) == [node]

    @rule(stage="stable")
    def shorter(x):
        """sin(x) = x for the small angles of a test."""
        return sin(x), x

    assert stabilise([node]) == [node.children[0]]


def test_approximate_rules_are_off():
    @rule(stage="stable", kind="approximate")
    def shorter(x):
        """sin(x) = x for small angles."""
        return sin(x), x

    node = sin(term("x", N))
    assert stabilise([node]) == [node]


def test_a_stage_without_rules_says_what_to_import():
    engine.declare_stage("empty", "nothing", lambda node: (1,))
    with pytest.raises(ExpressionError, match="import symvi.rules"):
        run_stage("empty", [term("x", N)])
    del engine.STAGES["empty"]


def test_guards_compare_dims():
    @rule(stage="stable", kind="reassociate", guard=lambda k: Guard(k * 2, N))
    def few(x: Indexed, k: Index):
        """log Σ sin(x) = Σ x where K < N / 2, which is wrong, but short."""
        return log(contract([k], [(sin(x[k]), 1)])), contract([k], [(x[k], 1)])

    x = term("x", K)
    guards = []
    (after,) = run_stage("stable", [log(contract(x.labels, [(sin(x), 1)]))], guards)
    assert after is contract(x.labels, [(x, 1)])
    assert [str(guard) for guard in guards] == ["2*K < N"]
    guards.clear()
    other = term("x", J)
    node = log(contract(other.labels, [(sin(other), 1)]))
    assert run_stage("stable", [node], guards, holds=lambda guard: False) == [node]
    assert [str(guard) for guard in guards] == ["N < 2*J + 1"]
    guards.clear()
    wide = term("x", N)
    node = log(contract(wide.labels, [(sin(wide), 1)]))
    assert run_stage("stable", [node], guards) == [node], "2 N < N holds at no size"
    assert guards == []


def test_the_trace_names_rule_line_and_both_sides():
    x = term("x", N)
    line = inspect.currentframe().f_lineno + 1
    node = log(1 + exp(x)) + erf(x)
    with collect() as trace:
        (after,) = stabilise([node])
    (entry,) = trace
    assert entry.rule == "softplus_fold" and entry.stage == "stable"
    assert entry.before is log(1 + exp(x)) and entry.after is softplus(x)
    assert entry.site.line == line and entry.site.file == __file__
    assert trace.hits["softplus_fold"] == 1 and trace.tries["softplus_fold"] >= 1
    assert trace.statistics()[0][3] > 0
    assert site_of(after).line == line


def test_the_trace_is_complete_although_results_are_remembered():
    x = term("x", N)
    node = sigmoid(x) * log(1 + exp(x))
    stabilise([node])
    for _ in range(2):
        with collect() as trace:
            stabilise([node])
        assert trace.rules() == ["softplus_fold"]


def test_derivatives_belong_to_the_line_of_their_value():
    x = term("x", N)
    line = inspect.currentframe().f_lineno + 1
    (stable,) = stabilise([contract(x.labels, [(log(1 + exp(x * x)), 1)])])
    (gradient,) = gradients(stable, [x.array])
    assert site_of(gradient).line == line
    (simple,) = simplify([gradient])
    assert site_of(simple).line == line


def test_a_fact_stated_later_is_used():
    x = term("x", N)
    node = exp(log(2 * x))
    assert stabilise([node]) == [node]
    assert_fact(x, "positive")
    assert stabilise([node]) == [2 * x]
