"""What goes wrong at run time or in the cache: an error of symvi that names the place, or a rebuild."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import symvi as sv
from symvi.fit.function import bind, output_of
from symvi.fit.leaves import Sizes
from symvi.fit.pipeline import Request, compile_request
from symvi.runtime import module_cache
from symvi.targets.cpu import module as emission


def kernel_matrix():
    D = sv.dim("D")
    A, x = sv.data("A", D, D), sv.data("x", D)
    K = sv.assume(A + A.T, sv.spd)
    quadratic = x @ sv.linalg.inv(K) @ x  # the line that the error names
    return A, x, quadratic


def test_a_matrix_that_is_not_positive_definite_is_named_with_its_line():
    A, x, quadratic = kernel_matrix()
    f = sv.function([A, x], quadratic)
    assert f(np.eye(3), np.ones(3)) == pytest.approx(1.5)
    with pytest.raises(sv.NotPositiveDefiniteError, match=r"A.*not positive definite.*test_failures\.py:\d+"):
        f(-np.eye(3), np.ones(3))
    assert f(np.eye(3), np.ones(3)) == pytest.approx(1.5)


def test_a_singular_matrix_is_named():
    D = sv.dim("D")
    A, x = sv.data("A", D, D), sv.data("x", D)
    f = sv.function([A, x], sv.linalg.solve(A, x))
    with pytest.raises(sv.NonFiniteError, match=r"A.*singular.*test_failures\.py:\d+"):
        f(np.zeros((2, 2)), np.ones(2))


def test_a_determinant_of_a_singular_matrix_is_zero():
    D = sv.dim("D")
    A = sv.data("A", D, D)
    f = sv.function([A], [sv.linalg.det(A), sv.linalg.logdet(A)])
    assert f(np.zeros((2, 2))) == [0.0, -np.inf]


def test_a_module_that_does_not_compile_is_a_compile_error_that_names_the_file(monkeypatch):
    """Planted: the printer writes a name that nobody defines."""
    monkeypatch.setattr(emission.Printer, "_cast", lambda self, node: ("undefined_name", 9))
    k = sv.data("k", sv.dim("N"), dtype=int)
    with pytest.raises(sv.CompileError, match=r"symvi_function_\w+\.py"):
        sv.function([k], sv.sum(0.5 * k))


def small():
    N = sv.dim("N")
    x, w = sv.data("x", N), sv.param("w")
    return Request([output_of("value", sv.sum(sv.exp(-x * w)) + 0 * sv.sum(sv.cumsum(x)))], name="small")


PROGRAM = """
import sys, importlib.util
spec = importlib.util.spec_from_file_location("failures", sys.argv[1])
failures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(failures)
result = failures.compile_request(failures.small())
known = failures.Sizes({"N": 2})
arrays = {k: failures.np.ones([2] if leaf.name == "x" else []) for k, leaf in enumerate(result.leaves)}
binding = failures.bind(result, arrays, known)
assert binding.run() == 0
print(result.hit, result.compiled.path, round(float(binding.outputs["value"]), 6))
"""


def run_small() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, __file__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_truncated_machine_code_is_compiled_again():
    """Numba's files beside the module are cut short; the next process rebuilds them and gets the same value."""
    _, path, value = run_small()
    compiled = [file for file in Path(path).parents[1].glob("*/__pycache__/*") if file.suffix in (".nbi", ".nbc")]
    assert any(file.name.startswith("symvi_small") for file in compiled) and any("helpers" in file.name for file in compiled)
    for file in compiled:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert run_small() == ["True", path, value]


def test_a_damaged_module_is_emitted_again():
    result = compile_request(small())
    path = Path(result.compiled.path)
    path.write_text(path.read_text().replace("exp(", "sin(", 1))
    assert module_cache.find(small().key(), "small") is None
    assert not compile_request(small()).hit


def test_bindings_run_in_threads_at_once():
    """Each thread has a binding of its own; LAPACK and draws included."""
    N = sv.dim("N")
    y, m = sv.data("y", N), sv.param("m", N)
    K = sv.exp(-((y[:, None] - y[None, :]) ** 2)) + 0.5 * sv.eye(N)
    z = m + sv.noise("e", N)
    request = Request([output_of("value", z @ sv.linalg.inv(K) @ z + sv.sum(sv.exp(z)))], name="threads")
    result = compile_request(request)
    values = np.random.default_rng(0).standard_normal((8, 60))

    def once(row: np.ndarray) -> float:
        arrays = {k: row if leaf.name == "y" else 0.1 * row for k, leaf in enumerate(result.leaves) if leaf.role != "noise"}
        binding = bind(result, arrays, Sizes({"N": 60}))
        for _ in range(20):
            assert binding.run(seed=1, step=5) == 0
        return float(binding.outputs["value"])

    expected = [once(row) for row in values]
    found: dict[int, float] = {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: once(values[k])})) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[k] for k in range(8)] == expected
