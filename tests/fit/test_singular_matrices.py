"""A singular matrix under `inv` or `solve`, or one that is not positive definite, is named at run time with the user's line."""

import inspect

import numpy as np
import pytest

import symvi as sv
from symvi.errors import NonFiniteError, NotPositiveDefiniteError

M = sv.dim("M")
SINGULAR, VECTOR = np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([1.0, -1.0])


def line():
    return f"test_singular_matrices.py:{inspect.currentframe().f_back.f_lineno}"


def test_an_inverse_in_a_function():
    A = sv.data("A_inverse", M, M)
    inverse = sv.function([A], sv.linalg.inv(A)); at = line()  # noqa: E702
    with pytest.raises(NonFiniteError, match="the matrix A_inverse is singular") as error:
        inverse(SINGULAR)
    assert f"[{at}]" in str(error.value)
    assert np.allclose(inverse(SINGULAR + np.eye(2)), np.linalg.inv(SINGULAR + np.eye(2))), "and the function is still usable"


def test_an_inverse_that_became_a_solve_names_the_line_of_the_inverse():
    A, w = sv.data("A_form", M, M), sv.param("w", M)
    precision = sv.linalg.inv(A); at = line()  # noqa: E702
    kernel = sv.compile(w @ precision @ w)
    with pytest.raises(NonFiniteError, match="the matrix A_form is singular") as error:
        kernel.value_and_grad({w: VECTOR}, {A: SINGULAR})
    assert f"[{at}]" in str(error.value)


def test_a_covariance_that_is_no_covariance():
    A, b = sv.data("A_covariance", M, M), sv.data("b", M)
    S = sv.assume(A @ A.T - 2 * sv.eye(M), sv.spd)
    density = sv.function([A, b], -(b @ sv.linalg.inv(S) @ b + sv.log(sv.linalg.det(S))) / 2)
    with pytest.raises(NotPositiveDefiniteError, match=r"is not positive definite: its Cholesky .*test_singular_matrices\.py:\d+"):
        density(np.eye(2), VECTOR)


def test_a_parameter_that_makes_a_matrix_singular_while_training():
    s, b = sv.param("s", init=0.0), sv.data("b", M)
    S = s * sv.ones(M, M) + s * sv.eye(M)
    with pytest.raises(NonFiniteError, match=r"test_singular_matrices\.py:\d+"):
        sv.minimize(b @ sv.linalg.solve(S, b), {b: VECTOR}, steps=3)
