"""SymPy's protocol for trees on expressions: func, args, has, subs, free_symbols, diff; identity and order."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv

N, D = sv.dims("N D")
X, y = sv.data("X", N, D), sv.data("y", N)
w, b = sv.param("w", D), sv.param("b")


def test_args_and_func():
    cost = sv.sum((X @ w) ** 2)
    assert sv.exp(b).func is type(sv.exp(b).term) and sv.exp(b).args == (b,)
    assert set((b + b**2).args) == {b, b**2}
    assert w.args[0] == w or w.name == "w"
    assert all(isinstance(part, sv.Expr) for part in cost.args)


def test_free_symbols_are_the_leaves():
    s = sv.shared(np.zeros(2), "s")
    assert (X @ w + b * s.sum()).free_symbols == {X, w, b, s}
    assert sv.as_expr(2.0).free_symbols == set() if hasattr(sv, "as_expr") else True
    assert sv.eye(N).free_symbols == set()


def test_has():
    cost = sv.sum(y * sv.log(sv.sigmoid(X @ w)))
    assert cost.has(w) and cost.has(X) and cost.has(y, b) and not cost.has(b)
    assert cost.has(sv.sigmoid(X @ w)) and not cost.has(sv.exp(b))


def test_xreplace_and_subs(value):
    v, c = sv.data("v", D), sv.data("c")
    x, z = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    sizes = {"N": 2, "D": 3}
    eta = X @ w + b
    assert eta.xreplace({w: v}) == X @ v + b
    assert eta.subs({w: v, b: c}) == X @ v + c
    assert eta.subs({w: w}) is not None and eta.subs({w: w}) == eta
    assert eta.subs(b, c) == X @ w + c, "SymPy's form with two arguments"
    swapped = (w - 2 * v).subs({w: v, v: w})
    assert swapped == v - 2 * w, "simultaneous"
    np.testing.assert_allclose(value(eta.subs({w: v**2, b: 1.0}), {X: x, v: z}, sizes), x @ z**2 + 1)
    assert sv.exp(eta).subs({eta: y}) == sv.exp(y), "whole subexpressions"
    with pytest.raises(sv.ShapeError, match="dims D and N"):
        eta.subs({w: y})


def test_diff(value):
    x, z = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    values, sizes = {X: x, w: z}, {"N": 2, "D": 3}
    cost = sv.sum((X @ w) ** 2)
    assert cost.diff(w) == sv.grad(cost, w)
    np.testing.assert_allclose(value(cost.diff(w), values, sizes), 2 * x.T @ (x @ z))
    assert (b**3).diff(b) == 3 * b**2
    np.testing.assert_allclose(value((b**3).diff(b).diff(b), {b: 2.0}), 12.0)


def test_identity_is_equality():
    assert X @ w + b == b + X @ w and hash(X @ w + b) == hash(b + X @ w)
    assert X + 1 != X + 2 and X != w and X != "X" and not X == None  # noqa: E711
    assert (b - b) == (w - w).sum() * 0 or (b - b).term.kind == "f"
    assert len({b + 1, 1 + b, b + 1.0}) <= 2
    assert sv.param("b") != b, "leaves are new at every call"


def test_new_leaves_of_a_renamed_block(value):
    def block(x):
        W = sv.param("W", D, 2, init=0.5)
        return sv.tanh(x @ W)

    first = block(X)
    second = sv.rename(first, prefix="second.")
    assert {leaf.name for leaf in second.free_symbols} == {"X", "second.W"}
    both = first + second
    assert len(both.free_symbols) == 3
    assert sv.rename({"a": first, "b": second}, prefix="p.")["a"].free_symbols != first.free_symbols


def test_shape_kind_and_size():
    assert X.shape == (N, D) and X.ndim == 2 and X.size == N * D and X.kind == "f" and X.dtype is float
    assert (X > 0).dtype is bool and sv.arange(N).dtype is int and len(sv.zeros(3, N)) == 3
    assert [part.shape for part in sv.zeros(2, N)] == [(N,), (N,)]


def test_undecidable_branches():
    assert bool(N == N) and N != D and N + 1 != N
    with pytest.raises(sv.ExpressionError, match="truth value"):
        bool(N)
