"""The report of rules: which rule changed what, in mathematics, with the user's line."""

import inspect
import sys

import pytest

import symvi as sv
from symvi import cli

N, D, K = sv.dims("N D K")


def here():
    return f"test_rule_report.py:{inspect.currentframe().f_back.f_lineno}"


def logistic():
    X, y, w = sv.data("X", N, D), sv.data("y", N), sv.param("w", D)
    eta = X @ w
    p = 1 / (1 + sv.exp(-eta)); at = here()  # noqa: E702
    return (y * sv.log(p) + (1 - y) * sv.log(1 - p)).sum(), w, at


def test_a_line_names_the_users_line_the_rule_and_both_sides():
    cost, _, at = logistic()
    lines = [" ".join(line.split()) for line in cost.explain(as_text=True).splitlines()]
    assert lines[0].startswith("stable: ")
    assert f"{at} sigmoid_fold 1 / (1 + exp(-eta)) → σ(eta)" in lines
    assert any("log_sigmoid log(σ(-eta)) → -softplus(eta)" in line for line in lines)
    assert "result" in lines and "where eta = Σ_d X[n,d] w[d]" in lines


def test_gradients_are_explained_on_request():
    cost, w, _ = logistic()
    assert "g_w" not in cost.explain(as_text=True)
    assert "g_w[d] = " in cost.explain(wrt=w, as_text=True)


def test_hits_and_times_are_told_on_request():
    cost, _, _ = logistic()
    assert "milliseconds" not in cost.explain(as_text=True)
    told = cost.explain(timing=True, as_text=True).splitlines()
    fired = {line.split()[0]: line.split()[1] for line in told[-5:]}
    assert fired["log_sigmoid"] == "2" and fired["all"] == "4"
    assert any("rules that did not fire" in line for line in told)


def test_applications_that_read_alike_are_counted_and_many_are_abridged():
    x = sv.param("x", N)
    node = sum((sv.log(1 + sv.exp(x * (k + 2))) for k in range(8)), sv.zeros())
    text = node.sum().explain(as_text=True)
    assert text.count("softplus_fold") == 4 and "and 5 more" in text


def test_nothing_to_do_is_said():
    assert sv.param("x", N).sum().explain(as_text=True).startswith("no rule fired")


def test_an_explanation_is_printed_and_the_width_is_kept(capsys):
    cost, _, _ = logistic()
    assert cost.explain() is None
    printed = capsys.readouterr().out
    assert printed.rstrip("\n") == cost.explain(as_text=True)
    rows = [line for line in printed.splitlines() if "test_rule_report" in line]
    assert rows and all(len(row) <= 140 for row in rows)


def test_a_terminal_gets_a_table(capsys, monkeypatch):
    cost, _, _ = logistic()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cost.explain(timing=True)
    shown = capsys.readouterr().out
    assert "sigmoid_fold" in shown and "→ σ(eta)" in shown and "milliseconds" in shown


def test_a_chain_of_matrices_shows_its_order():
    A, B, v = sv.data("A", N, D), sv.data("B", D, K), sv.data("v", K)
    told = ((A @ B @ v) ** 2).sum().explain(as_text=True)
    assert "contractions in another order\n  Σ_k v[k] Σ_d A[n,d] B[d,k] → Σ_d A[n,d] Σ_k B[d,k] v[k]" in told


def test_what_a_choice_by_size_relies_on_is_told():
    U, y, s = sv.data("U", N, K), sv.data("y", N), sv.param("s", init=1.0)
    S = U @ U.T + sv.exp(s) * sv.eye(N)
    told = (y @ sv.linalg.solve(S, y)).explain(as_text=True)
    assert "matrix_inversion_lemma" in told and "relies on\n  4*K < N" in told


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text('import symvi as sv\nx = sv.param("x", sv.dim("N"))\ncost = sv.log(1 + sv.exp(x)).sum()\nkernel = sv.compile(cost)\n')
    return path


def test_the_command_line_shows_rules_and_times(model, capsys):
    assert cli.main(["inspect", f"{model}:kernel", "--show", "rules"]) == 0
    shown = capsys.readouterr().out
    assert "model.py:3  softplus_fold  log(1 + exp(x[n])) → softplus(x[n])" in shown and "milliseconds" not in shown
    assert cli.main(["inspect", f"{model}:kernel", "--show", "rules", "--timing"]) == 0
    assert "milliseconds" in capsys.readouterr().out


def test_a_kernel_and_a_function_explain_themselves_also_from_the_cache():
    x = sv.param("x", N)
    cost = sv.log(1 + sv.exp(x)).sum()
    for _ in range(2):
        kernel = sv.compile(cost, name="explained")
        assert "softplus_fold" in kernel.explain(as_text=True) and "g_x[n]" in kernel.explain(as_text=True)
    assert "softplus_fold" in sv.function([x], cost).explain(timing=True, as_text=True)
