"""Names in emitted code: whatever the user calls things, the module is valid and says the user's names where it can."""

from __future__ import annotations

import symvi as sv


def test_names_that_python_numba_or_the_module_use(check_emitted):
    names = ["global", "lambda", "exp", "table", "float64", "rows", "n0", "BLOCK", "reals64", "range", "smallest", "value_0", "N"]
    N = sv.dim("N")
    data = [sv.data(name, N) for name in names]
    w = sv.param("def")
    total = sum(sv.exp(-(x**2) * (k + 1)) * w for k, x in enumerate(data))
    check_emitted([sv.sum(total), sv.max(data[0])], [w], [{"N": 5}, {"N": 0}])


def test_dims_with_names_of_the_language(check_emitted):
    rows, n, K = sv.dims("rows lambda table")
    X, w = sv.data("X", rows, n), sv.param("w", n)
    check_emitted([sv.sum(sv.tanh(X @ w)) + K * 0.5 * sv.sum(w), sv.ones((K, n))], [w], {"rows": 6, "lambda": 2, "table": 3})


def test_a_view_of_a_block_does_not_take_the_name_of_an_array(check_emitted):
    """The gradient by `b` is `g_b`, and so would be the block of `g`."""
    N, J = sv.dims("N J")
    g, y, a, b = sv.data("g", N, dtype=sv.index(J)), sv.data("y", N), sv.param("a", J), sv.param("b", N)
    check_emitted([-sv.sum((y - a[g] * b) ** 2)], [a, b], {"N": 7, "J": 2})


def test_variables_of_the_model_name_the_values(emit_model):
    N, D = sv.dims("N D")
    X, y, w = sv.data("X", N, D), sv.data("y", N), sv.param("w", D)
    eta = X @ w
    source = emit_model([sv.sum(y * eta - sv.softplus(eta))], [w]).module.source
    assert "eta[i] += X_b[d, i] * w[d]" in source and "g_eta[i] = " in source and "g_w[d]" in source


def test_a_value_keeps_its_name_when_a_rule_rewrites_it(emit_model):
    N, D = sv.dims("N D")
    X, w = sv.data("X", N, D), sv.param("w", D)
    probability = 1 / (1 + sv.exp(-(X @ w)))
    source = emit_model([sv.sum(sv.sin(probability) + probability**3)], [w]).module.source
    assert "probability" in source


def test_a_part_of_a_line_is_not_called_by_what_the_line_assigns(emit_model):
    """`level` is a sum that is written inline: the exponential in it must not take its name."""
    J, N = sv.dims("J N")
    a, s, g = sv.param("a", J), sv.param("s"), sv.data("g", N, dtype=sv.index(J))
    level = 1.0 + sv.exp(s) * a
    source = emit_model([sv.sum(sv.sin(level[g]))], [a, s]).module.source
    assert "level = exp" not in source and "level[0] = exp" not in source
