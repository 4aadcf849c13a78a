"""The reference interpreter against plain NumPy, and its corners: empty axes, infinities, complex and 50-digit numbers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import symvi.atoms.linear_algebra  # noqa: F401  (the atoms register themselves)
from symvi.atoms import elementwise as el
from symvi.atoms.array_atom import ARRAY_ATOMS
from symvi.errors import DataError, ShapeError
from symvi.expr.build import as_term, constant, contract, delta, input_array, iota, read, read_own, reduce, surrogate, tensor
from symvi.expr.dims import Dim, dims
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.oracle.interpreter import evaluate, evaluate_one

N, D, J, T = dims("N D J T")
n, d, j, t = Label(N), Label(D), Label(J), Label(T)


def array(name, *shape, kind="f", **attributes):
    return input_array(Leaf("data", name, shape, kind, **attributes))


X, w, v, s = array("X", N, D), array("w", D), array("v", N), array("s")
x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]])


def test_axes_of_terms_are_their_sorted_labels():
    assert evaluate_one(read(X, (n, d)), {X: x}).shape == (2, 3), "D comes before N"
    np.testing.assert_array_equal(evaluate_one(read(X, (n, d)), {X: x}), x.T)
    np.testing.assert_array_equal(evaluate_one(X, {X: x}), x)
    np.testing.assert_array_equal(evaluate_one(tensor(read(X, (n, d)), (d, n)), {X: x}), x.T)


def test_contraction_and_broadcasting():
    values = {X: x, w: np.array([1.0, -1.0]), v: np.array([1.0, 2.0, 3.0])}
    eta = contract({d}, [(read(X, (n, d)), 1), (read(w, (d,)), 1)])
    np.testing.assert_allclose(evaluate_one(eta, values), x @ values[w])
    term = read(X, (n, d)) ** 2 * read(v, (n,)) ** -1 + read(w, (d,))
    np.testing.assert_allclose(evaluate_one(term, values), (x**2 / values[v][:, None] + values[w]).T)
    np.testing.assert_allclose(evaluate_one(contract({n, d}, [(term, 1)]), values), (x**2 / values[v][:, None] + values[w]).sum())


def test_several_roots_and_leaf_keys():
    a, b = evaluate([read(v, (n,)), contract({n}, [(read(v, (n,)), 1)])], {v.leaf: [1.0, 2.0]})
    np.testing.assert_array_equal(a, [1.0, 2.0])
    assert b == 3.0 and b.shape == ()


@pytest.mark.parametrize("precision", [None, 50])
@pytest.mark.parametrize(
    "operation, empty, infinite",
    [("max", -np.inf, -np.inf), ("min", np.inf, -np.inf), ("prod", 1.0, np.inf), ("logsumexp", -np.inf, -np.inf)],
)
def test_reductions(operation, empty, infinite, precision):
    term = reduce(operation, {n}, read(v, (n,)))
    plain = {"max": np.max, "min": np.min, "prod": np.prod, "logsumexp": np.logaddexp.reduce}[operation]
    value = np.array([0.5, -2.0, 3.0, 3.0])
    np.testing.assert_allclose(evaluate_one(term, {v: value}, precision=precision).astype(float), plain(value))
    assert float(evaluate_one(term, {v: np.zeros(0)}, precision=precision)) == empty
    assert float(evaluate_one(term, {v: np.full(2, -np.inf)}, precision=precision)) == infinite
    if operation == "logsumexp":
        assert float(evaluate_one(term, {v: [1e4, 1e4]}, precision=precision)) == pytest.approx(1e4 + np.log(2))


def test_boolean_reductions():
    b = array("b", N, D, kind="b")
    value = np.array([[True, False], [True, True]])
    np.testing.assert_array_equal(evaluate_one(reduce("all", {n}, read(b, (n, d))), {b: value}), [True, False])
    np.testing.assert_array_equal(evaluate_one(reduce("any", {d}, read(b, (n, d))), {b: value[:, 1:]}), [False, True])
    assert evaluate_one(contract({n, d}, [(read(b, (n, d)), 1)]), {b: value}) == 3, "booleans count"
    assert not evaluate_one(reduce("any", {n}, read(b, (n, d))), {b: np.zeros((0, 1), dtype=bool)}).any()


@pytest.mark.parametrize("extents", [(0, 0), (0, 2), (2, 0), (1, 1)])
def test_empty_and_unit_extents(extents):
    values = {X: np.ones(extents), w: np.ones(extents[1])}
    eta = contract({d}, [(read(X, (n, d)), 1), (read(w, (d,)), 1)])
    np.testing.assert_array_equal(evaluate_one(eta, values), np.full(extents[0], float(extents[1])))
    assert evaluate_one(contract({n}, [(el.exp(eta), 1)]), values, precision=30) == pytest.approx(extents[0] * np.exp(extents[1]))


def test_iota_delta_size():
    np.testing.assert_array_equal(evaluate_one(iota(n), {}, {"N": 3}), [0, 1, 2])
    np.testing.assert_array_equal(evaluate_one(delta(n, Label(N, 1)), {}, {"N": 3}), np.eye(3))
    np.testing.assert_array_equal(evaluate_one(delta(n, iota(Label(N, 1)) + 1), {}, {"N": 3}), np.eye(3, k=-1))
    assert evaluate_one(as_term(N * D - 1), {}, {"N": 3, "D": 4}) == 11


def test_gather_and_scatter():
    mu, g = array("mu", J), array("g", N, kind="i", index_of=J)
    values = {mu: np.array([1.0, 10.0, 100.0]), g: np.array([2, 0, 2, 1])}
    np.testing.assert_array_equal(evaluate_one(read(mu, (read(g, (n,)),)), values), [100.0, 1.0, 100.0, 10.0])
    counted = contract({n}, [(delta(j, read(g, (n,))), 1)])
    np.testing.assert_array_equal(evaluate_one(counted, values), [1, 1, 2])
    two = read(X, (read(g, (n,)), iota(d)))
    assert evaluate_one(two, {X: x, g: np.array([2, 0, 1])}).shape == (2, 3)


def test_slices_and_reads_outside():
    short = Label(T - 1)
    h = array("h", T)
    difference = read(h, (iota(short) + 1,)) - read(h, (short,))
    np.testing.assert_array_equal(evaluate_one(difference, {h: np.array([1.0, 4.0, 9.0])}), [3.0, 5.0])
    shifted = read(h, (iota(t) - 1,))
    np.testing.assert_array_equal(evaluate_one(shifted, {h: np.array([1.0, 4.0])}), [np.nan, 1.0])
    masked = el.where(el.greater(iota(t), 0), shifted, 0)
    np.testing.assert_array_equal(evaluate_one(masked, {h: np.array([1.0, 4.0])}), [0.0, 1.0])


def test_diagonal_reads():
    A = array("A", N, N)
    np.testing.assert_array_equal(evaluate_one(read(A, (n, n)), {A: np.arange(9.0).reshape(3, 3)}), [0.0, 4.0, 8.0])


def test_infinities_and_nan_are_values():
    term = 1 / read(v, (n,))
    np.testing.assert_array_equal(evaluate_one(term, {v: [0.0, 2.0]}), [np.inf, 0.5])
    assert [float(z) for z in evaluate_one(term, {v: [0.0, 2.0]}, precision=30)] == [np.inf, 0.5]
    for precision in (None, 30):
        log = evaluate_one(el.log(read(v, (n,))), {v: [0.0, -1.0, 1.0]}, precision=precision).astype(float)
        np.testing.assert_array_equal(log, [-np.inf, np.nan, 0.0])


@pytest.mark.parametrize("precision", [None, 30])
def test_functions_of_booleans_and_integers(precision):
    b, g = array("b", N, kind="b"), array("g", N, kind="i")
    values = {b: np.array([True, False]), g: np.array([2, 3])}
    truth, count = read(b, (n,)), read(g, (n,))
    for term, expected in (
        (el.exp(truth), [np.e, 1.0]),
        (el.sigmoid(truth), [1 / (1 + np.exp(-1.0)), 0.5]),
        (el.log(count), np.log([2.0, 3.0])),
        (el.maximum(truth, count), [2, 3]),
        (el.where(truth, count, 0), [2, 0]),
        (truth + truth, [2, 0]),
        (el.as_float(truth) / 2, [0.5, 0.0]),
        (el.less(truth, count), [True, True]),
    ):
        np.testing.assert_allclose(evaluate_one(term, values, precision=precision).astype(float), expected, rtol=1e-15)


def test_a_surrogate_is_its_value():
    term = surrogate(read(s, ()), read(v, (n,)))
    np.testing.assert_array_equal(evaluate_one(term, {s: 2.0, v: np.zeros(3)}), [2.0, 2.0, 2.0])


def test_complex_steps_pass_through():
    A = array("A", N, N)
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    term = contract({n}, [(el.softplus(read(A, (n, n))), 1)]) + read_own(ARRAY_ATOMS["logdet"](A))
    value = evaluate_one(term, {A: matrix + 1e-30j * np.eye(2)})
    expected = sum(1 / (1 + np.exp(-np.diag(matrix)))) + np.trace(np.linalg.inv(matrix))
    assert value.imag / 1e-30 == pytest.approx(expected, rel=1e-14)
    maxima = reduce("max", {n}, read(v, (n,)))
    assert evaluate_one(maxima, {v: np.array([1 + 1j, 3 + 2j, 2 + 5j])}) == 3 + 2j


def test_precision_is_in_digits():
    term = contract({n}, [(el.exp(read(v, (n,))), 1)]) / 3
    with mpmath.workdps(60):
        exact = (mpmath.exp(mpmath.mpf("0.5")) + mpmath.exp(1)) / 3
        assert abs(evaluate_one(term, {v: [0.5, 1.0]}, precision=60) - exact) < mpmath.mpf(10) ** -58
        pi = evaluate_one(el.pi * 1, {}, precision=60)
        assert abs(pi - mpmath.pi) < mpmath.mpf(10) ** -58


def test_sizes_are_inferred_and_checked():
    h, u = array("h", T - 1), array("u", Dim(2) * N)
    assert evaluate_one(as_term(T), {h: np.zeros(3)}) == 4
    assert evaluate_one(as_term(N), {u: np.zeros(6)}) == 3
    with pytest.raises(ShapeError, match="its value has 2"):
        evaluate_one(X, {X: x, v: np.zeros(2)})
    with pytest.raises(ShapeError, match="not known"):
        evaluate_one(iota(n), {})
    with pytest.raises(DataError, match="data X"):
        evaluate_one(X, {})
    with pytest.raises(DataError, match="axes"):
        evaluate_one(X, {X: np.zeros(3)})


def test_literal_ones_of_the_user_are_accepted():
    column = array("column", N, Dim(1))
    np.testing.assert_array_equal(evaluate_one(read(column, (n,)), {column: np.ones((3, 1))}), np.ones(3))


def test_depth_is_no_limit():
    term = read(s, ())
    for _ in range(5000):
        term = el.sin(term) + constant(0.5)
    assert np.isfinite(evaluate_one(term, {s: 0.1}))


@pytest.mark.parametrize("precision", [None, 30])
def test_integers_stay_integers(precision):
    g = array("g", N, kind="i")
    term = read(g, (n,)) * 2 + 1
    value = evaluate_one(term, {g: np.array([1, 2])}, precision=precision)
    assert value.dtype == np.int64 and value.tolist() == [3, 5]
    half = evaluate_one(read(g, (n,)) / 2, {g: np.array([1, 2])}, precision=precision)
    assert [float(z) for z in half] == [0.5, 1.0]
    rest = evaluate_one(el.remainder(read(g, (n,)), constant(2)), {g: np.array([3, 4])}, precision=precision)
    assert rest.dtype == np.int64 and rest.tolist() == [1, 0]
