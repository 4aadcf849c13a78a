"""Every array atom: reference values, forward and reverse mode against a complex step and 50 digits, on shapes with 0 and 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import symvi.atoms.joining
import symvi.atoms.linear_algebra
import symvi.atoms.structured  # noqa: F401  (the atoms register themselves)
from symvi.atoms.array_atom import ARRAY_ATOMS
from symvi.expr import build
from symvi.expr.build import constant, contract, input_array, read_own, tensor
from symvi.expr.dims import dims
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import canonical_axes
from symvi.expr.leaf import Leaf
from symvi.oracle.gradient_check import check_gradient, check_tangent
from symvi.oracle.interpreter import evaluate, evaluate_one
from symvi.oracle.random_inputs import random_values

N, M, K, B, T = dims("N M K B T")


class Support(NamedTuple):
    """The part of a support that facts and random values see."""

    name: str
    matrix_facts: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None


SPD, SYMMETRIC, LOWER = Support("spd", ("spd",)), Support("symmetric", ("symmetric",)), Support("lower_cholesky", ("lower",))


def array(name, *shape, support=None, kind="f"):
    return input_array(Leaf("param", name, shape, kind, support=support))


def matrix(*batch, support=None):
    return array("A", *batch, N, N, support=support)


def solves(matrices):
    for support in matrices:
        for transposed in (False, True):
            yield (matrix(support=support), array("b", N)), (transposed, True)
            yield (matrix(support=support), array("b", N, K)), (transposed, False)
            yield (matrix(B, support=support), array("b", B, N)), (transposed, True)
            yield (matrix(B, support=support), array("b", B, N, K)), (transposed, False)
            yield (matrix(support=support), array("b", N, N)), (transposed, False)


def of_matrices(supports):
    for support in supports:
        yield (matrix(support=support),), ()
        yield (matrix(B, support=support),), ()
        yield (array("A", N, N, N, support=support),), ()  # the batch axis has the dim of the matrices


CASES = {
    "inverse": list(of_matrices([None, SYMMETRIC, SPD, LOWER])),
    "det": list(of_matrices([None, SPD])),
    "det_sign": list(of_matrices([None, SPD])),
    "logdet": list(of_matrices([None, SPD])),
    "kron": [
        ((array("u", N, M), array("v", K, N)), ()),
        ((array("u", B, N, N), array("v", B, N, N)), ()),
    ],
    "block_diagonal": [
        ((array("u", N, N), array("v", M, M)), ()),
        ((array("u", B, N, N), array("v", B, M, M), array("z", B, N, N)), ()),
    ],
    "cholesky": list(of_matrices([SPD])),
    "solve": list(solves([None, SPD, SYMMETRIC])),
    "solve_triangular": list(solves([LOWER])),
    "concatenate": [
        ((array("u", N), array("v", M)), (0,)),
        ((array("u", N, K), array("v", M, K), array("z", N, K)), (0,)),
        ((array("u", K, N), array("v", K, M)), (1,)),
        ((array("u", N), array("v", N)), (0,)),
    ],
    "cumsum": [((array("u", *shape),), (reverse,)) for shape in ((N,), (B, N), (N, N)) for reverse in (False, True)],
}


EACH_CASE = [
    pytest.param(name, arguments, attributes, id=f"{name}-{number}")
    for name in sorted(CASES)
    for number, (arguments, attributes) in enumerate(CASES[name])
]


def values_for(arguments, sizes, seed=0):
    rng = np.random.default_rng(seed)
    values = random_values(arguments, sizes, rng)
    for leaf, value in values.items():  # far from singular, so that the tolerance is about rounding
        if leaf.name == "A" and leaf.support is None and value.size:
            values[leaf] = value + 3.0 * np.eye(value.shape[-1])
        elif leaf.name == "A" and leaf.support == SYMMETRIC and value.size:
            values[leaf] = value + 4.0 * np.eye(value.shape[-1])
    return values


def scalar_of(result):
    """A scalar in which every entry of an array counts differently, and not linearly."""
    axes = canonical_axes(result.shape)
    weights = array("weights", *result.shape)
    term = read_own(result)
    return contract(axes, [(read_own(weights), 1), (term + constant(0.1) * term * term, 1)]), weights


def test_every_atom_has_cases():
    assert set(ARRAY_ATOMS) <= set(CASES) | {"scan", "external"}, "add cases for the new atom"


@pytest.mark.parametrize("name, arguments, attributes", EACH_CASE)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_both_modes_agree_with_the_reference(name, arguments, attributes, n):
    result = ARRAY_ATOMS[name](*arguments, attributes=attributes)
    scalar, weights = scalar_of(result)
    sizes = {"N": n, "M": 2, "K": 2, "B": 2}
    values = values_for([*arguments, weights], sizes)
    check_gradient(scalar, list(arguments), values, sizes, tolerance=1e-10).raise_if_failed()
    check_tangent([read_own(result), scalar], list(arguments), values, sizes, tolerance=1e-10).raise_if_failed()


@pytest.mark.parametrize("name, arguments, attributes", [case for case in EACH_CASE if case.id.endswith(("-0", "-3"))])
def test_both_modes_agree_with_50_digits(name, arguments, attributes):
    scalar, weights = scalar_of(ARRAY_ATOMS[name](*arguments, attributes=attributes))
    sizes = {"N": 2, "M": 1, "K": 2, "B": 1}
    values = values_for([*arguments, weights], sizes)
    check_gradient(scalar, list(arguments), values, sizes, tolerance=1e-10, method="mpmath").raise_if_failed()


@pytest.mark.parametrize("name, arguments, attributes", EACH_CASE)
@pytest.mark.parametrize("batch", [0, 2])
def test_reference_values_agree_with_each_other(name, arguments, attributes, batch):
    """NumPy's value and the one in 50 digits."""
    result = ARRAY_ATOMS[name](*arguments, attributes=attributes)
    sizes = {"N": 3, "M": 2, "K": 2, "B": batch}
    values = values_for(arguments, sizes)
    found, exact = evaluate_one(result, values, sizes), evaluate_one(result, values, sizes, precision=50)
    assert found.shape == exact.shape == tuple(dim.size(sizes) for dim in result.shape)
    np.testing.assert_allclose(found, exact.astype(float), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["inverse", "det", "logdet", "cholesky", "solve"])
def test_second_derivatives(name):
    arguments, attributes = CASES[name][-1]
    scalar, weights = scalar_of(ARRAY_ATOMS[name](*arguments, attributes=attributes))
    from symvi.calculus.reverse import gradients

    (gradient,) = gradients(scalar, arguments[:1])
    axes = canonical_axes(arguments[0].shape)
    other = array("other", *arguments[0].shape, support=arguments[0].leaf.support)
    again = contract(axes, [(gradient, 1), (read_own(other), 1)])
    sizes = {"N": 2, "K": 1, "B": 1}
    values = values_for([*arguments, weights, other], sizes)
    check_gradient(again, list(arguments), values, sizes, tolerance=1e-9).raise_if_failed()


def test_mathematical_identities_of_the_reference():
    A = matrix(support=SPD)
    values = values_for([A], {"N": 3})
    a = values[A.leaf]
    inverse, logdet, det, factor = (ARRAY_ATOMS[name](A) for name in ("inverse", "logdet", "det", "cholesky"))
    inv, log, d, lower = evaluate([inverse, logdet, det, factor], values)
    np.testing.assert_allclose(inv @ a, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.log(d), log)
    np.testing.assert_allclose(lower @ lower.T, a)
    assert (np.triu(lower, 1) == 0).all()


def test_facts_of_results():
    A = matrix(support=SPD)
    assert "spd" in matrix_facts(ARRAY_ATOMS["inverse"](A))
    assert "lower" in matrix_facts(ARRAY_ATOMS["cholesky"](A))
    assert "spd" not in matrix_facts(ARRAY_ATOMS["inverse"](matrix(support=SYMMETRIC)))


def test_the_inverse_of_an_inverse_is_the_matrix():
    A = matrix()
    inverse = ARRAY_ATOMS["inverse"]
    assert inverse(inverse(A)) is A


def test_a_triangular_solve_reads_one_triangle_only():
    L, b = matrix(support=LOWER), array("b", N)
    x = ARRAY_ATOMS["solve_triangular"](L, b, attributes=(False, True))
    values = values_for([L, b], {"N": 3})
    expected = evaluate_one(x, values)
    values[L.leaf] = values[L.leaf] + np.triu(np.ones((3, 3)), 1)
    np.testing.assert_array_equal(evaluate_one(x, values), expected)


def test_a_matrix_that_is_not_positive_definite_gives_nan():
    A = matrix(support=SPD)
    assert np.isnan(evaluate_one(ARRAY_ATOMS["cholesky"](A), {A: -np.eye(2)})).all()
    general = matrix()
    assert np.isnan(evaluate_one(ARRAY_ATOMS["inverse"](general), {general: np.zeros((2, 2))})).all()


def test_pieces_of_a_concatenation():
    """Reading the adjoint of a whole at an offset: an index of a shorter dim is a slice, not the whole array."""
    u, v = array("u", N), array("v", M)
    both = ARRAY_ATOMS["concatenate"](u, v, attributes=(0,))
    short = build.Label(N)
    head = tensor(build.read(both, (short,)), (short,))
    assert head is not both
    np.testing.assert_array_equal(evaluate_one(head, {u: np.array([1.0, 2.0]), v: np.array([3.0])}), [1.0, 2.0])
