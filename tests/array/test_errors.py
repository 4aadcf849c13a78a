"""Mistakes end in one sentence that names the user's line, the expression, its dims, and the mend; never in a NumPy traceback."""

from __future__ import annotations

import inspect
import math
import os
import re

import numpy as np
import pytest

import symvi as sv

N, D, K, J, T = sv.dims("N D K J T")
X, y, u = sv.data("X", N, D), sv.data("y", N, dtype=int), sv.param("u", D)  # the line of the leaves
LEAVES = inspect.currentframe().f_lineno - 1
w, a, x = sv.param("w", K), sv.param("a", J), sv.data("x")
W, B, g = sv.param("W", D, K, init=0.1), sv.data("B", K, D), sv.data("g", N, dtype=sv.index(J))
FILE = os.path.basename(__file__)

BUILDING = {
    "matrix product": (lambda: X @ w, sv.ShapeError, ["`@`", "dims D and K", "X[n,d] with dims (N, D)", "w[k] with dims (K,)"]),
    "matrix product, mended by a transpose": (lambda: X @ B, sv.ShapeError, ["did you mean X @ B.T?"]),
    "matrix product, the other way round": (lambda: u @ X, sv.ShapeError, ["did you mean X @ u?"]),
    "matrix product with a number": (lambda: X @ x, sv.ShapeError, ["at least one axis on both sides"]),
    "broadcasting": (lambda: X + w, sv.ShapeError, ["dims D and K", "`+`", "(N, D)", "(K,)", "literal 1"]),
    "broadcasting in a function": (lambda: sv.maximum(u, w), sv.ShapeError, ["`maximum`", "dims D and K"]),
    "an array of numbers": (lambda: X + np.ones(4), sv.ShapeError, ["dims D and 4", 'sv.dim("D", 4)']),
    "if": (lambda: 1 if x > 0 else 2, sv.ExpressionError, ["x > 0", "sv.where(condition, a, b)"]),
    "and": (lambda: (x > 0) and (x < 1), sv.ExpressionError, ["sv.where"]),
    "a chain of comparisons": (lambda: 0 < x < 1, sv.ExpressionError, ["sv.where"]),
    "equal to a number": (lambda: x == 3, sv.ExpressionError, ["x == 3", "sv.equal"]),
    "not equal to a number": (lambda: x != 3, sv.ExpressionError, ["sv.not_equal"]),
    "equal to an array": (lambda: X == np.ones((2, 2)), sv.ExpressionError, ["sv.equal"]),
    "equal to a dim": (lambda: x == N, sv.ExpressionError, ["sv.equal"]),
    "float": (lambda: float(x), sv.ExpressionError, ["x has no value yet", ".eval({...})"]),
    "int": (lambda: int(y.sum()), sv.ExpressionError, [".eval({...})"]),
    "math": (lambda: math.exp(x), sv.ExpressionError, [".eval({...})"]),
    "range": (lambda: range(y.sum()), sv.ExpressionError, [".eval({...})"]),
    "asarray": (lambda: np.asarray(X), sv.ExpressionError, ["X[n,d] is not an array of numbers", ".eval({...})"]),
    "a function of NumPy without a meaning": (lambda: np.sort(X), sv.ExpressionError, ["np.sort is not defined for expressions"]),
    "an option of NumPy": (lambda: np.sum(X, dtype=float), sv.ExpressionError, ["np.sum", "dtype"]),
    "a method of a ufunc": (lambda: np.add.reduce(X), sv.ExpressionError, ["np.add.reduce"]),
    "a ufunc without a meaning": (lambda: np.heaviside(x, 0.5), sv.ExpressionError, ["np.heaviside is not defined"]),
    "index by a float": (lambda: X[1.0], sv.ExpressionError, ["an index is an integer expression", "dtype=sv.index(N)"]),
    "index by real data": (lambda: X[X[:, 0]], sv.ExpressionError, ["an index is an integer expression", "X[n,0]"]),
    "index by a text": (lambda: X["first"], sv.ExpressionError, ["'first'"]),
    "mask": (lambda: X[X > 0], sv.ExpressionError, ["X[n,d] > 0", "sv.where(mask, a, b)"]),
    "mask of numbers": (lambda: X[np.array([True, False])], sv.ExpressionError, ["np.flatnonzero(mask)"]),
    "too many indices": (lambda: X[0, 0, 0], sv.ShapeError, ["X[n,d] with dims (N, D) has 2 axes, 3 are indexed"]),
    "two ellipses": (lambda: X[..., ...], sv.ExpressionError, ["one ellipsis"]),
    "an index outside": (lambda: sv.data("q", 3)[3], sv.ShapeError, ["index 3", "size 3"]),
    "indices outside": (lambda: sv.data("q", 3)[[0, -4]], sv.ShapeError, ["index -4", "size 3"]),
    "a slice by an expression": (lambda: X[x:], sv.ExpressionError, ["bounds of a slice", "not x"]),
    "a slice by a float": (lambda: X[1.5:], sv.ExpressionError, ["not 1.5"]),
    "a step over an unknown size": (lambda: X[::2], sv.ShapeError, ["step 2", "dim(name, size)"]),
    "the index of another dim": (lambda: u[g], sv.ShapeError, ["g[n] is an index of J", "dim D"]),
    "assignment": (lambda: X.__setitem__(0, 1.0), sv.ExpressionError, ["cannot be assigned to", "sv.where"]),
    "iteration": (lambda: list(X), sv.ExpressionError, ["(N, D)"]),
    "len": (lambda: len(X), sv.ExpressionError, ["the size of N is not known"]),
    "in": (lambda: 3 in X, sv.ExpressionError, [".has("]),
    "axis": (lambda: X.sum(axis=2), sv.ShapeError, ["sum: axis 2 is out of range", "(N, D)"]),
    "axis that is no integer": (lambda: X.sum(axis=1.0), sv.ShapeError, ["an axis is an integer, not 1.0"]),
    "reshape": (lambda: X.reshape(3, 4), sv.ShapeError, ["(N, D) has D*N entries, (3, 4) has 12"]),
    "reshape that cannot be decided": (lambda: X.reshape(-1, 7), sv.ShapeError, ["-1", "write the dim"]),
    "inverse": (lambda: sv.linalg.inv(X), sv.ShapeError, ["inv takes square matrices", "(N, D)"]),
    "solve": (lambda: sv.linalg.solve(X.T @ X, w), sv.ShapeError, ["solve", "(D, D)", "(K,)"]),
    "stack": (lambda: sv.stack([u, w]), sv.ShapeError, ["`stack`", "dims D and K"]),
    "concatenate": (lambda: sv.concatenate([X, u]), sv.ShapeError, ["(N, D)", "(D,)"]),
    "concatenate numbers": (lambda: sv.concatenate([x, x]), sv.ExpressionError, ["sv.stack"]),
    "einsum": (lambda: sv.einsum("ij,jk->ik", X, W.T), sv.ShapeError, ["letter j stands for the dims D and K"]),
    "einsum of too few axes": (lambda: sv.einsum("ij,jk->ik", X, u), sv.ShapeError, ["'jk' does not fit the dims (D,)"]),
    "einsum of an unknown letter": (lambda: sv.einsum("ij->k", X), sv.ExpressionError, ["at most once"]),
    "logic of numbers": (lambda: x & x, sv.ExpressionError, ["boolean expressions"]),
    "complex number": (lambda: x + 1j, sv.ExpressionError, ["1j of type complex"]),
    "a function of a text": (lambda: sv.exp("a"), sv.ExpressionError, ["'a' of type str"]),
    "arguments of a function": (lambda: sv.exp(x, x), sv.ExpressionError, ["exp takes 1 argument, not 2"]),
    "matrix parameter without init": (lambda: sv.param("A", N, D), sv.ExpressionError, ["'A' needs init=", "sv.init.normal(0.1)"]),
    "init outside the support": (lambda: sv.param("s", support=sv.positive, init=-1.0), sv.SupportError, ["'s'", "-1.0", "positive"]),
    "an entry of init outside": (
        lambda: sv.param("s", D, support=sv.positive, init=np.array([1.0, -2.0])),
        sv.SupportError,
        ["-2.0 (at index [1])"],
    ),
    "init of the wrong rank": (lambda: sv.param("s", D, init=np.ones((2, 2))), sv.ShapeError, ["2 axes", "(D,)"]),
    "init of the wrong size": (lambda: sv.param("s", sv.dim("Q", 3), init=np.ones(2)), sv.ShapeError, ["2 entries", "Q", "size 3"]),
    "init that is no number": (lambda: sv.param("s", D, init="small"), sv.ExpressionError, ["sv.init", "'small'"]),
    "init that is an expression": (lambda: sv.param("s", D, init=u), sv.ExpressionError, ["not the expression u[d]"]),
    "init that is nan": (lambda: sv.param("s", D, init=np.array([0.0, np.nan])), sv.DataError, ["nan at index [1]"]),
    "dtype": (lambda: sv.data("q", N, dtype=str), sv.ExpressionError, ["float, int, bool or sv.index(dim)", "str"]),
    "dtype that is a dim": (lambda: sv.data("q", N, dtype=J), sv.ExpressionError, ["sv.index(dim)"]),
    "index of a number": (lambda: sv.index(3), sv.ExpressionError, ["not 3"]),
    "no name": (lambda: sv.data(3, N), sv.ExpressionError, ["a name, not 3"]),
    "a dim that is a text": (lambda: sv.data("q", "N"), sv.ShapeError, ["sv.dim", "'N'"]),
    "a dim that is negative": (lambda: sv.data("q", -1), sv.ShapeError, ["not -1"]),
    "kind of noise": (lambda: sv.noise("e", N, kind="cauchy"), sv.ExpressionError, ["normal, uniform", "'cauchy'"]),
    "gradient of an array": (lambda: sv.grad(X @ u, u), sv.GradientError, ["(N,)", "sv.jacobian"]),
    "gradient by an expression": (lambda: sv.grad(sv.sum(u**2), u**2), sv.GradientError, ["leaves", "u[d]²"]),
    "gradient by integers": (lambda: sv.grad(sv.sum(y * 2.0), y), sv.GradientError, ["y holds int values", "dtype=float"]),
    "gradient of integers": (lambda: sv.grad(y.sum(), u), sv.GradientError, ["not real-valued"]),
    "replacing by another shape": (lambda: X.subs({u: w}), sv.ShapeError, ["dims D and K"]),
    "input of a function": (lambda: sv.function([X * 2], [X]), sv.ExpressionError, ["an input of a function is a leaf", "2 X[n,d]"]),
    "an input that is missing": (lambda: sv.function([], [X]), sv.DataError, ["X", "not among the inputs"]),
    "update of a parameter": (lambda: sv.function([], [], updates={u: u + 1}), sv.ExpressionError, ["updates change shared variables"]),
    "update of another shape": (
        lambda: sv.function([u], [], updates={sv.shared(np.zeros(3), "s"): u}),
        sv.ShapeError,
        ["`update`", "dims 3 and D"],
    ),
    "value of another shape": (lambda: sv.shared(np.zeros(3), "s").set_value(np.zeros(4)), sv.DataError, ["(3,)", "(4,)"]),
    "facts": (lambda: sv.assume(X.T @ X, "nice"), sv.ExpressionError, ["spd", "'nice'"]),
}


@pytest.mark.parametrize("name", BUILDING)
def test_while_building(name):
    action, kind, fragments = BUILDING[name]
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message
    assert f"{FILE}:{action.__code__.co_firstlineno}" in message, "the user's own line"
    assert "\n" not in message and len(message) < 600


BINDING = {
    "an unknown key": (lambda: sv.sum(X).eval({"Xx": np.ones((2, 2))}), sv.DataError, ["'Xx'", "did you mean 'X'?"]),
    "a key of another expression": (lambda: sv.sum(X).eval({X: np.ones((2, 2)), u: np.ones(2)}), sv.DataError, ["u", "does not occur"]),
    "a key that is no leaf": (lambda: sv.sum(X).eval({X * 2: np.ones((2, 2))}), sv.DataError, ["leaf or its name", "2 X[n,d]"]),
    "a missing value": (lambda: sv.sum(X * u).eval({u: np.ones(2)}), sv.DataError, ["no value is given for X", "(N, D)"]),
    "contradicting sizes": (
        lambda: sv.sum(X @ u).eval({X: np.ones((2, 3)), u: np.ones(2)}), sv.ShapeError,
        ["the array for u", "2 entries along D", "D is 3 by the array for X"],
    ),
    "a rank": (lambda: sv.sum(X).eval({X: np.ones(3)}), sv.ShapeError, ["(N, D)", "(3,)"]),
    "an extent of 1 at run time": (
        lambda: (X + u).eval({X: np.ones((2, 3)), u: np.ones(1)}), sv.ShapeError,
        ["the array for u", "1 entries along D", "D is 3", "declared"],
    ),
    "an index outside": (
        lambda: a[g].eval({a: np.ones(3), g: np.array([0, 3])}), sv.DataError, ["g indexes J of size 3", "3 at index 1", "0..2"],
    ),
    "an integer outside": (
        lambda: a[y].eval({a: np.ones(3), y: np.array([0, -1])}), sv.DataError, ["y indexes J of size 3", "-1 at index 1"],
    ),
    "a number that is no integer": (lambda: y.eval({y: np.array([0.0, 0.5])}), sv.DataError, ["y takes integers", "0.5 at index 1"]),
    "texts": (lambda: X.sum().eval({X: [["a"]]}), sv.DataError, ["X takes numbers"]),
    "rows of different lengths": (lambda: X.sum().eval({X: [[1.0, 2.0], [3.0]]}), sv.DataError, ["X", "different lengths"]),
    "None": (lambda: X.sum().eval({X: None}), sv.DataError, ["X takes numbers, not None"]),
    "nan": (lambda: sv.compile(sv.sum(u)).bind({u: np.array([0.0, np.nan])}), sv.DataError, ["u takes finite numbers", "nan at index 1"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BINDING)
def test_while_binding(name):
    action, kind, fragments = BINDING[name]
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message
    assert re.search(rf"{FILE}:\d+", message) or name == "a key that is no leaf", "the line of the leaf"
    assert "\n" not in message


def test_reads_that_leave_their_axis():
    """Sizes are names while a model is built; the inequalities hold before a kernel reads."""
    for expression, fragments in [
        (u[:5], ["reads entries 0 to 4 of an axis D, which has only 3"]),
        (u[5], ["reads entry 5 of an axis D"]),
        (u[4:], ["is -1 (D = 3)"]),
        (u[-5] * 2, ["reads entry D - 5 of an axis D"]),
        (a[np.array([0, 5])] * u[0], ["indexes J of size 3", "5 at index 1"]),
    ]:
        with pytest.raises((sv.ShapeError, sv.DataError)) as caught:
            expression.eval({u: np.ones(3)} | ({a: np.ones(3)} if expression.has(a) else {}))
        for fragment in [*fragments, FILE]:
            assert fragment in str(caught.value)


def test_a_size_that_nothing_tells():
    with pytest.raises(sv.ShapeError, match=r"the size of the dim T is not known.*sizes=\{T: \.\.\.\}"):
        sv.arange(T).sum().eval({})


def test_two_leaves_of_one_name():
    first = sv.param("weight", D)
    second = sv.param("weight", D)
    line = inspect.currentframe().f_lineno
    with pytest.raises(sv.NameClashError) as caught:
        sv.sum(first * second).eval({first: np.ones(2)})
    message = str(caught.value)
    assert f"{FILE}:{line - 2}" in message and f"{FILE}:{line - 1}" in message and "sv.rename" in message


def test_the_line_is_the_caller_of_a_block():
    """A mistake inside a user's function names the line of that function, where the operation stands."""

    def block(left, right):
        return left @ right

    with pytest.raises(sv.ShapeError, match=f"{FILE}:{block.__code__.co_firstlineno + 1}"):
        block(X, w)
