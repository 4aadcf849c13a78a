"""`sv.block_diag` and `sv.kron`: values, shapes, mistakes, compiled code."""

import numpy as np
import pytest
import scipy.linalg

import symvi as sv

M, N, B = sv.dims("M N B")
A, G = sv.param("A", M, M, init=1.0), sv.param("G", N, N, init=1.0)
D, R = sv.param("D", B, M, M, init=1.0), sv.param("R", M, N, init=1.0)
rng = np.random.default_rng(0)
values = {A: rng.standard_normal((3, 3)), G: rng.standard_normal((2, 2)), D: rng.standard_normal((2, 3, 3)), R: rng.standard_normal((3, 2))}


def test_values():
    row = sv.param("row", 1, M, init=1.0)
    expected = {
        sv.block_diag(A, G, A): scipy.linalg.block_diag(values[A], values[G], values[A]),
        sv.block_diag(D, G): [scipy.linalg.block_diag(each, values[G]) for each in values[D]],
        sv.kron(R, G): np.kron(values[R], values[G]),
        sv.linalg.kron(D, G): [np.kron(each, values[G]) for each in values[D]],
        sv.linalg.kron(row, G): np.kron(np.ones((1, 3)), values[G]),
    }
    found = sv.function([A, G, D, R, row], list(expected))(values[A], values[G], values[D], values[R], np.ones((1, 3)))
    for result, wanted in zip(found, expected.values(), strict=True):
        assert result.shape == np.shape(wanted) and np.allclose(result, wanted, rtol=1e-15)


def test_shapes():
    assert sv.block_diag(A, G, A).shape == (2 * M + N, 2 * M + N)
    assert sv.linalg.block_diag(A).shape == (M, M)
    assert sv.linalg.kron(D, R).shape == (B, M * M, M * N)


@pytest.mark.parametrize("blocks, words", [((R,), ["block_diag", "square", "(M, N)"]), ((), ["block_diag", "at least one"])])
def test_mistakes(blocks, words):
    with pytest.raises(sv.SymviError) as caught:
        sv.block_diag(*blocks)
    assert all(word in str(caught.value) for word in words)


def test_stacks_that_do_not_fit():
    with pytest.raises(sv.ShapeError, match="kron"):
        sv.linalg.kron(D, sv.param("E", N, M, M, init=1.0))


def test_the_sign_of_a_determinant_that_underflows():
    sign, logarithm = sv.linalg.slogdet(A)
    found = sv.function([A], [sign, logarithm])(-1e-3 * np.eye(201))
    assert found[0] == -1.0 and abs(found[1] - 201 * np.log(1e-3)) < 1e-10


def test_an_identity_stays_real():
    found = sv.function([A], A @ sv.linalg.inv(A))(values[A])
    assert found.dtype == np.float64 and np.array_equal(found, np.eye(3))
