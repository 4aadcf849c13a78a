"""Canonical forms: equal mathematics is one node."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from symvi.atoms.elementwise import absolute, equal, exp, log, sigmoid, tanh, where
from symvi.expr import build
from symvi.expr.build import add, as_term, constant, contract, delta, input_array, iota, multiply, read, read_own, reduce, rename, tensor
from symvi.expr.dims import Dim, dim, dims
from symvi.expr.facts import interval, matrix_facts
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Constant, Contract, Input, Read, Size, postorder
from symvi.expr.substitute import substitute
from symvi.oracle.interpreter import evaluate_one

N, M, K = dims("N M K")
n, m, k = Label(N), Label(M), Label(K)
n1, n2 = Label(N, 1), Label(N, 2)


def array(name, *shape, kind="f", **attributes):
    return input_array(Leaf("data", name, shape, kind, **attributes))


x, y, z = (array(name, N) for name in "xyz")
A, B, C = (array(name, N, N) for name in "ABC")


def at(a, *labels):
    return read(a, labels)


def test_hash_consing_is_identity():
    assert read(x, (n,)) is read(x, (n,))
    assert exp(at(x, n)) is exp(at(x, n))
    assert at(x, n) + 1 is at(x, n) + Fraction(1)
    assert array("x", N) is not array("x", N), "named leaves are new at every call"


def test_sums_and_products_in_any_order():
    terms = [at(x, n), at(y, n), exp(at(z, n)), 2 * at(x, n) * at(y, n), constant(3.0)]
    sums = {sum(order[1:], order[0]) for order in itertools.permutations(terms)}
    assert len(sums) == 1
    products = set()
    for order in itertools.permutations(terms):
        product = order[0]
        for factor in order[1:]:
            product = product * factor
        products.add(product)
    assert len(products) == 1


def test_grouping_of_sums_and_products_does_not_matter():
    a, b, c = at(x, n), at(y, n), at(z, n)
    assert (a + b) + c is a + (b + c)
    assert (a * b) * c is a * (b * c)
    assert (a - b) - (a - c) is c - b
    assert 2 * (a + b) is 2 * a + 2 * b


def test_cancellation():
    a, b = at(x, n), at(y, n)
    assert (a - a).value == 0
    assert (a / a).value == 1
    assert (0 * a).value == 0
    assert a * b / a is b
    assert a**3 / a is a * a
    assert (a - b) ** 2 is (b - a) ** 2
    assert (a - b) ** 3 is -((b - a) ** 3)
    assert 1 / (1 / a) is a
    assert 1 / (a - b) is -1 / (b - a)


def test_terms_that_may_be_infinite_do_not_cancel():
    masked = where(at(array("c", N, kind="b"), n), at(x, n), constant(float("-inf")))
    for term in (masked - masked, 0 * masked, masked + 0 * masked):
        assert not isinstance(term, Constant)
        assert term is not masked
        leaves = {node.leaf for node in postorder((term,)) if hasattr(node, "leaf")}
        values = {leaf: np.array([False]) if leaf.kind == "b" else np.array([1.0]) for leaf in leaves}
        assert np.isnan(evaluate_one(term, values)).all()


def test_division_by_the_number_zero_is_infinite():
    assert evaluate_one(1 / constant(0.0), {}) == np.inf
    term = 1 / (0 * where(at(array("c", kind="b")), at(array("s")), constant(float("inf"))))
    assert not isinstance(term, Constant)


def test_cyclic_contraction_in_all_orders_is_one_node():
    """Σ_ijk A[i,j] B[j,k] C[k,i], built 200 times in random order with random labels."""
    rng = random.Random(0)
    labels = [Label(N, number) for number in range(6)]
    found = set()
    for _ in range(200):
        i, j, l = rng.sample(labels, 3)
        factors = [(at(A, i, j), 1), (at(B, j, l), 1), (at(C, l, i), 1)]
        rng.shuffle(factors)
        found.add(contract({i, j, l}, factors))
    assert len(found) == 1


def test_a_kernel_matrix_is_one_node_however_it_is_read():
    D = dim("D")
    X, d = array("X", M, D), Label(D)
    m1 = Label(M, 1)

    def kernel(a, b):
        difference = read(X, (a, d)) - read(X, (b, d))
        return exp(Fraction(-1, 2) * contract({d}, [(difference, 2)]))

    assert kernel(m, m1) is kernel(m1, m)
    other = kernel(Label(M, 4), Label(M, 2))
    assert isinstance(other, Read) and other.array.term is kernel(m, m1)
    assert other is kernel(Label(M, 2), Label(M, 4))
    kept = tensor(kernel(m, m1), (m, m1))
    assert tensor(kernel(m1, m), (m, m1)) is kept and tensor(kernel(m, m1), (m1, m)) is kept


def test_a_matrix_that_is_not_symmetric_is_not_taken_for_one():
    i, j = n, n1
    term = tanh(at(x, i) - 2 * at(y, j))
    assert term is not rename(term, {i: j, j: i})
    assert tensor(term, (i, j)) is not tensor(term, (j, i))


def test_a_heavy_node_exists_once_for_all_labelings():
    row, column = (tanh(at(A, i, j)) for i, j in ((n, n1), (Label(N, 5), Label(N, 3))))
    heavy = {node for node in postorder([row, column]) if node.is_term and not node.light}
    assert len(heavy) == 1


def test_delta_is_substituted():
    assert contract({n1}, [(delta(n, n1), 1), (at(x, n1), 1)]) is at(x, n)
    assert contract({n1}, [(delta(n, n1), 1), (at(x, n1) + delta(n, n1), 1)]) is at(x, n) + 1
    assert delta(n, n) is build.one
    assert delta(n, n1) is delta(n1, n)
    assert delta(n, n1) * delta(n, n1) is delta(n, n1)
    assert contract({n, n1}, [(delta(n, n1), 1)]) is Size.make((N,), ())
    assert delta(iota(n) + 1, iota(n) + 2) is build.zero


def test_a_delta_between_dims_of_different_extent_stays():
    """The adjoint of x[1:] and of x[:-1]: the index of the longer axis is not an index of the shorter one."""
    short = Label(N - 1)
    term = contract({short}, [(at(array("g", N - 1), short), 1), (delta(n, short), 1)])
    values = {node.leaf: np.array([5.0, 7.0]) for node in postorder((term,)) if hasattr(node, "leaf")}
    np.testing.assert_array_equal(evaluate_one(term, values, {"N": 3}), [5.0, 7.0, 0.0])


def test_an_absent_label_contributes_its_size():
    size = Size.make((M,), ())
    assert contract({n, m}, [(at(x, n), 1)]) is size * contract({n}, [(at(x, n), 1)])
    assert contract({m}, [(constant(2.0), 1)]) is 2.0 * size
    assert contract({k}, []) is Size.make((K,), ())
    assert contract({Label(Dim(3))}, []).value == 3


@pytest.mark.parametrize("operation, expected", [("logsumexp", 1.0 + np.log(4)), ("prod", 1.0), ("max", 1.0), ("min", 1.0)])
def test_reductions_over_absent_labels(operation, expected):
    s = array("s")
    np.testing.assert_allclose(evaluate_one(reduce(operation, {n}, read(s, ())), {s: 1.0}, {"N": 4}), expected)


def test_factors_free_of_bound_labels_leave_the_sum():
    assert contract({n}, [(at(x, n), 1), (at(y, n1), 1)]) is at(y, n1) * contract({n}, [(at(x, n), 1)])
    v = array("v", M)
    total = contract({n, m}, [(at(x, n), 1), (at(v, m), 1)])
    assert total is contract({n}, [(at(x, n), 1)]) * contract({m}, [(at(v, m), 1)])


def test_products_are_not_flattened_through_contractions():
    inner = contract({n1}, [(at(A, n, n1), 1), (at(x, n1), 1)])
    outer = contract({n}, [(at(y, n), 1), (inner, 1)])
    assert isinstance(outer, Contract) and len(outer.bound) == 1


def test_nested_bound_labels_of_one_name_do_not_collide():
    """Σ_n x[n] (Σ_n y[n]) and (Σ_n x[n])^2: a bound label is not seen from outside."""
    total = contract({n}, [(at(x, n), 1)])
    assert contract({n}, [(at(x, n), 1), (total, 1)]) is total * total
    values = {x: np.array([1.0, 2.0, 4.0]), A: np.arange(9.0).reshape(3, 3)}
    row_sums = contract({n1}, [(at(A, n, n1), 1)])
    nested = contract({n1}, [(rename(row_sums, {n: n1}), 1), (at(x, n1), 1)])
    np.testing.assert_allclose(evaluate_one(nested, values), (values[A].sum(1) * values[x]).sum())
    moved = rename(contract({n1}, [(at(A, n, n1), 1), (at(x, n1), 1)]), {n: n1})
    np.testing.assert_allclose(evaluate_one(moved, values), values[A] @ values[x])


def test_bound_labels_take_the_smallest_free_number():
    term = contract({Label(N, 7)}, [(at(A, n, Label(N, 7)), 1)])
    assert term.bound == (n1,)
    assert contract({Label(N, 7)}, [(at(x, Label(N, 7)), 1)]).bound == (n,)


def test_views():
    assert tensor(at(A, n, n1), (n, n1)) is A
    transposed = tensor(at(A, n, n1), (n1, n))
    assert transposed is not A
    assert read(transposed, (n, n1)) is at(A, n1, n), "a light term is read by renaming it"
    assert tensor(at(transposed, n, n1), (n1, n)) is A
    short = Label(N - 1)
    assert tensor(read(x, (short,)), (short,)) is not x, "x[:-1] is not x"
    assert tensor(at(A, n, n), (n,)) is not A


def test_the_kind_of_a_constant_is_part_of_it():
    assert constant(1) is not constant(1.0) and constant(True) is not constant(1)
    assert (constant(1).kind, constant(1.0).kind, constant(True).kind) == ("i", "f", "b")
    condition = equal(at(x, n), at(y, n))
    assert where(condition, at(x, n), constant(0)) is where(condition, at(x, n), constant(0.0))
    assert where(condition, constant(1.0), constant(0)).kind == "f"
    assert where(condition, constant(1), constant(0)).kind == "i"
    counts = at(array("i", N, kind="i"), n)
    assert (counts + constant(2)).kind == "i" and (counts + constant(2.0)).kind == "f"
    assert (counts * constant(2)).kind == "i" and (counts * constant(2.0)).kind == "f"
    assert (counts / 2).kind == "f" and (counts / counts).kind == "f"


def test_rename_with_index_terms():
    g = array("g", N, kind="i")
    row = tanh(at(A, n, n1))
    gathered = rename(row, {n: read(g, (n2,))})
    assert gathered.labels == {n1, n2}
    values = {A: np.arange(9.0).reshape(3, 3), g: np.array([2, 0, 2])}
    np.testing.assert_allclose(evaluate_one(gathered, values), np.tanh(values[A][values[g]]).T)


def test_simultaneous_renaming():
    term = at(x, n) * at(y, n1)
    assert rename(term, {n: n1, n1: n}) is at(x, n1) * at(y, n)
    assert rename(term, {n: n1}) is at(x, n1) * at(y, n1)


def test_chains_of_5000_nodes_do_not_recurse():
    light = heavy = at(x, n)
    for _ in range(5000):
        heavy = tanh(heavy)
        light = absolute(light - 1)
    for term in (heavy, light, log(heavy * light)):
        moved = rename(term, {n: n1})
        assert moved.labels == {n1} and tensor(moved, (n1,)) is tensor(term, (n,))
        assert np.isfinite(evaluate_one(term, {x: np.array([0.3])})).all()
        assert interval(moved) == interval(term)
        assert isinstance(matrix_facts(tensor(moved * at(y, n2), (n1, n2))), frozenset)
    (replaced,) = substitute([heavy], {x: y})
    assert {node for node in postorder([replaced]) if isinstance(node, Input)} == {y}


PROGRAM = """
from fractions import Fraction
from symvi.atoms.elementwise import exp, tanh, where, greater
from symvi.expr.build import *
from symvi.expr.dims import dims
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
N, M = dims("N M")
i, j, k = (Label(N, c) for c in range(3))
A, B, x = (input_array(Leaf("data", s, shape, "f")) for s, shape in (("A", (N, N)), ("B", (N, N)), ("x", (N,))))
a = contract({j, k}, [(read(A, (i, j)), 1), (read(B, (j, k)), 1), (tanh(read(x, (k,))), 2)])
b = where(greater(read(x, (i,)), 0), exp(a) - 3 * a + Fraction(1, 3), float("inf"))
print(reduce("logsumexp", {i}, b * read(x, (j,))).digest.hex(), delta(i, iota(j) + 1).digest.hex())
"""


def test_digests_are_the_same_in_every_process():
    root = str(Path(__file__).resolve().parents[2])
    found = set()
    for seed in ("0", "1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root}
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


def test_digests_tell_labels_apart():
    """The label 1 of N and the label 0 of a dim named N1; a dim of known size and another of the same name."""
    one, other = iota(Label(N, 1)), iota(Label(dim("N1")))
    assert one.digest != other.digest
    assert iota(Label(dim("J", 2))).digest != iota(Label(dim("J", 3))).digest
    assert constant(1).digest != constant(1.0).digest


def test_sizes_are_polynomials():
    term = as_term(2 * N * M - 3)
    assert evaluate_one(term, {}, {"N": 4, "M": 5}) == 37
    assert term is add([(Fraction(2), multiply([(as_term(N), 1), (as_term(M), 1)])), (Fraction(1), constant(-3))])


def test_canonical_axes():
    assert canonical_axes((N, M, N)) == (n, m, n1)
    assert read_own(A).sorted_labels() == (n, n1)


def test_sigmoid_of_permuted_arguments_is_shared():
    a, b = at(x, n), at(y, n1)
    assert sigmoid(a + b) is sigmoid(b + a)
    assert sigmoid(a * b) is sigmoid(b * a)
