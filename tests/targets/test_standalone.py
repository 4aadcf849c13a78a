"""`k.source`: one file that runs where symvi is not installed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import numpy as np
import pytest

import symvi as sv

PROGRAM = """
import importlib.util, json, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "symvi" or name.startswith("symvi_helpers"):
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Blocker())
spec = importlib.util.spec_from_file_location("kernel", sys.argv[1])
kernel = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kernel)
inputs = json.loads(sys.argv[2])
value, gradients = kernel.value_and_grad(inputs, seed=3, step=2)
print(json.dumps([value, {name: array.tolist() for name, array in gradients.items()}]))
"""


def logistic():
    N, D = sv.dims("N D")
    X, y, m, rho = sv.data("X", N, D), sv.data("y", N), sv.param("m", D), sv.param("rho", D)
    eta = X @ (m + sv.exp(rho) * sv.noise("e", D)) + 0.1 * sv.noise("local", N)
    return sv.sum(y * eta - sv.softplus(eta)) + sv.sum(rho), "float64", {"X": (40, 3), "y": (40,), "m": (3,), "rho": (3,)}


def process():
    N, D = sv.dims("N D")
    X, y, a = sv.data("X", N, D), sv.data("y", N), sv.param("a")
    K = sv.exp(-sv.sum((X[:, None, :] - X[None, :, :]) ** 2, axis=2)) + 0.1 * sv.eye(N)
    return -sv.exp(a) * (y @ sv.linalg.solve(K, y)), "float32", {"X": (12, 2), "y": (12,), "a": ()}


@pytest.mark.parametrize("model", [logistic, process])
def test_the_file_runs_alone(model, tmp_path):
    bound, dtype, shapes = model()
    kernel = sv.compile(bound, name=model.__name__, dtype=dtype)
    rng = np.random.default_rng(1)
    inputs = {name: (0.3 * rng.standard_normal(shape)).astype(dtype) for name, shape in shapes.items()}
    parameters = {leaf.name for leaf in kernel.parameters}
    given = {name: array for name, array in inputs.items() if name in parameters}
    data = {name: array for name, array in inputs.items() if name not in parameters}
    value, gradients = kernel.value_and_grad(given, data, seed=3, step=2)
    path = kernel.save(tmp_path / "kernel.py")
    told = json.dumps({name: np.asarray(array, dtype=float).tolist() for name, array in inputs.items()})
    done = subprocess.run([sys.executable, "-I", "-c", PROGRAM, str(path), told], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, slopes = json.loads(done.stdout)
    assert found == pytest.approx(value, rel=1e-12 if dtype == "float64" else 1e-6)
    for expression, expected in gradients.items():
        np.testing.assert_allclose(slopes[expression.name], expected, rtol=1e-10 if dtype == "float64" else 1e-5)
    assert ("scipy" in path.read_text()) == (model is process), "SciPy serves LAPACK and BLAS alone"


def test_only_what_is_needed_is_in_the_file():
    source = sv.compile(logistic()[0], name="logistic").source
    names = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert {"plate_N", "run_program", "exp", "operator_draw_normal", "value_and_grad"} <= names
    assert not names & {"cholesky", "lu_solve", "gemm", "sigmoid", "trigamma", "operator_concatenate", "operator_draw_uniform"}
    assert "symvi" not in "\n".join(line for line in source.splitlines() if line.startswith(("import", "from")))
    compile(source, "kernel", "exec")


INSPECT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("models", sys.argv[1])
models = importlib.util.module_from_spec(spec)
spec.loader.exec_module(models)
kernel = models.sv.compile(models.logistic()[0], name="inspected")
assert "plate_N" in kernel.inspect("python") and "define" in kernel.inspect("llvm") and "ret" in kernel.inspect("asm")
print(kernel.result.hit, kernel.result.compiled.module.plate_N.cache_hits)
"""


def test_inspection_shows_llvm_and_assembly_also_after_a_load_from_the_cache():
    for expected in ("False 0", "True 1"):
        done = subprocess.run([sys.executable, "-c", INSPECT, __file__], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == expected
