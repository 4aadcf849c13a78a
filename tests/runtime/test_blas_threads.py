"""Kernels run BLAS on one thread, and put the setting of the process back."""

import pytest
import scipy.linalg  # noqa: F401 - loads the library

from symvi.runtime import blas_threads


def test_one_thread_inside_and_as_before_after(monkeypatch):
    calls = []
    state = [4]
    controls = (lambda: state[0], lambda n: (calls.append(n), state.__setitem__(0, n)))
    monkeypatch.setattr(blas_threads, "_controls", lambda: controls)
    with blas_threads.one_thread():
        assert state[0] == 1
    assert calls == [1, 4]


def test_the_library_of_scipy_obeys():
    controls = blas_threads._controls()
    if controls is None:
        pytest.skip("SciPy was built without an OpenBLAS of its own")
    before = controls[0]()
    with blas_threads.one_thread():
        assert controls[0]() == 1
    assert controls[0]() == before
