"""What every emitted module obeys: loops, scalar arithmetic, slices and names from a fixed list; no sizes; the same text always."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import symvi as sv
from symvi.atoms.scalar_function import TABLE
from symvi.runtime.helpers import helper_source

ROOT = Path(__file__).resolve().parents[2]
VIEWS = {"reals64", "reals32", "integers", "booleans", "real64", "real32", "integer", "boolean"}
CALLS = {*TABLE, *VIEWS, "range", "min", "abs", "float64", "float32", "draw_rows", "rows_from", "gemm", "gemm_nt", "gemm_tn"}
STATEMENTS = (ast.Assign, ast.AugAssign, ast.For, ast.Return, ast.Expr)
EXPRESSIONS = (
    ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Call, ast.Subscript, ast.Slice, ast.Tuple,
    ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context,
)  # fmt: skip
ARRAY_OPERATORS = (ast.MatMult, ast.In, ast.NotIn, ast.Is, ast.IsNot)


def breaches(source: str) -> list[str]:
    """Everything in the functions of an emitted module that is not a loop, scalar arithmetic, a slice or a call from the list."""
    found = []
    for function in (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)):
        for node in (inner for statement in function.body for inner in ast.walk(statement)):
            where = f"{function.name}, line {getattr(node, 'lineno', '?')}"
            if isinstance(node, ast.stmt):
                bare = isinstance(node, ast.Expr) and not isinstance(node.value, (ast.Constant, ast.Call))
                if bare or not isinstance(node, STATEMENTS):
                    found.append(f"{where}: the statement {ast.unparse(node)}")
            elif not isinstance(node, EXPRESSIONS) or isinstance(node, ARRAY_OPERATORS):
                found.append(f"{where}: {type(node).__name__}")
            if isinstance(node, ast.Call) and (not isinstance(node.func, ast.Name) or node.func.id not in CALLS):
                found.append(f"{where}: a call of {ast.unparse(node.func)}")
            if isinstance(node, ast.Assign) and any(isinstance(part, ast.Slice) for part in ast.walk(node)):
                if not isinstance(node.value, ast.Subscript):  # slices stand alone, as views of a block
                    found.append(f"{where}: arithmetic of slices, {ast.unparse(node)}")
            if isinstance(node, (ast.BinOp, ast.AugAssign)) and any(isinstance(part, ast.Slice) for part in ast.walk(node)):
                found.append(f"{where}: arithmetic of slices, {ast.unparse(node)}")
    return found


def logistic():
    N, D = sv.dims("N D")
    X, y, w = sv.data("X", N, D), sv.data("y", N), sv.param("w", D)
    eta = X @ w
    return sv.sum(y * eta - sv.softplus(eta)), [w]


def test_steps_are_loops_and_scalar_arithmetic(catalogue, emit_model):
    for name in catalogue.MODELS:
        outputs, parameters, _ = catalogue.build(name)
        source = emit_model(outputs, parameters).module.source
        assert not breaches(source), name
        assert max(map(len, source.splitlines())) <= 140, name
        for line in source.splitlines():
            before, mark, _ = line.partition("# ")
            assert not mark or not before.strip() or before.endswith("  "), line


@pytest.mark.parametrize(
    "fault",
    [
        "value[0] = np.sum(X)", "eta = X_b @ w", "X_b[0:4] = 1.0", "y = X[lo:hi] + 1.0", "v = [x for x in w]", "s = exp_all(w)", "del w",
        "w.sort()",
    ],  # fmt: skip
)
def test_array_code_is_seen(fault):
    source = f"def plate_N(n0, n1, table):\n    w = reals64(table, 1, (3,))\n    {fault}\n    return 0\n"
    assert breaches(source)


# ---------------------------------------------------------------------------------------------------------------- helpers
NUMBERS = {"empty", "int64", "int32", "int8", "uint64", "uint32", "float64", "float32", "inf", "nan", "pi", "iinfo"}
OF_ARRAYS = {"shape", "size", "strides", "itemsize", "ndim", "dtype", "reshape", "type"}


def reachable(start: set[str]) -> dict[str, ast.FunctionDef]:
    """The helper functions that `start` calls, directly or not."""
    functions = {node.name: node for node in ast.parse(helper_source()).body if isinstance(node, ast.FunctionDef)}
    found: dict[str, ast.FunctionDef] = {}
    made = {target.id: node.value for node in ast.parse(helper_source()).body if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Name) and isinstance(node.value, ast.Call)}  # fmt: skip
    waiting = [name for name in start if name in functions]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = functions[name]
            used = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
            used |= {node.id for each in used & made.keys() for node in ast.walk(made[each]) if isinstance(node, ast.Name)}
            waiting += sorted(used & functions.keys())
    return found


def compiles_to_code(function: ast.FunctionDef) -> bool:
    """Is the function itself compiled, rather than making code (an intrinsic) or running in Python?"""
    decorated = any("njit" in ast.unparse(decorator) for decorator in function.decorator_list) or function.name == "drawing_from"
    return decorated or function.name.startswith("operator_") and function.name != "operator_address"


def test_helpers_of_a_step_use_no_array_function_of_numpy():
    steps = {name for name in TABLE} | VIEWS | {"draw_rows", "run_program"}
    functions = {node.name for node in ast.parse(helper_source()).body if isinstance(node, ast.FunctionDef)}
    steps |= {name for name in functions if name.startswith("operator_")}
    found = reachable(steps)
    assert {"run_program", "cholesky", "drawing_from", "exp", "operator_factored_solve"} <= found.keys()
    for name, function in found.items():
        if compiles_to_code(function):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy", "scipy"):
                    assert node.attr in NUMBERS, f"{name} uses np.{node.attr}"
                assert not isinstance(node, ast.MatMult | ast.ListComp), name


# ---------------------------------------------------------------------------------------------------- sizes, determinism
def test_sizes_are_not_in_the_source():
    import numpy as np

    bound, (w,) = logistic()
    kernel = sv.compile(bound, name="sizes")
    rng = np.random.default_rng(0)
    for n, d in [(7, 3), (1543, 3), (1543, 11)]:
        kernel.value_and_grad({w: np.zeros(d)}, {"X": rng.standard_normal((n, d)), "y": rng.integers(0, 2, n)})
    assert "1543" not in kernel.result.compiled.source and "1543" not in str(kernel.result.compiled.manifest)
    other, (w,) = logistic()
    again = sv.compile(other, name="sizes")
    again.value_and_grad({w: np.zeros(5)}, {"X": rng.standard_normal((99, 5)), "y": rng.integers(0, 2, 99)})
    assert again.result.hit and again.path == kernel.path


PROGRAM = """
import hashlib, importlib.util, sys
def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
tools = load("tools", sys.argv[1] + "/conftest.py")
models = load("models", sys.argv[1] + "/test_models.py")
for name in models.MODELS:
    outputs, parameters, _ = models.build(name)
    emitted = tools.make_module(outputs, parameters)
    print(name, hashlib.sha256((emitted.module.source + repr(emitted.module.manifest)).encode()).hexdigest())
"""


def test_the_text_does_not_depend_on_the_hash_seed():
    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    first, second = run("1"), run("271828")
    assert len(first.splitlines()) > 40
    assert first == second


def test_the_same_model_twice_is_the_same_text(emit_model):
    def digest() -> str:
        bound, parameters = logistic()
        return hashlib.sha256(emit_model([bound], parameters).module.source.encode()).hexdigest()

    assert digest() == digest()


# ---------------------------------------------------------------------------------------------------------------- sharing
def steps_of(emitted, kind: str) -> list[str]:
    return [step["operator"] for step in emitted.module.manifest["steps"] if step.get("operator", "").startswith(kind)]


def test_one_factor_per_operator(emit_model):
    N, D = sv.dims("N D")
    X, y, s = sv.data("X", N, D), sv.data("y", N), sv.param("s")
    K = sv.exp(-sv.sum((X[:, None, :] - X[None, :, :]) ** 2, axis=2)) + sv.exp(s) * sv.eye(N)
    bound = y @ sv.linalg.inv(K) @ y + sv.linalg.logdet(K) + sv.sum(sv.linalg.solve(K, y)) + sv.trace(sv.linalg.inv(K))
    emitted = emit_model([bound], [s])
    assert [name for name in steps_of(emitted, "cholesky") if name == "cholesky"] == ["cholesky"]
    assert not steps_of(emitted, "lu")


def test_one_lu_per_general_matrix(emit_model):
    D = sv.dim("D")
    A, b = sv.data("A", D, D), sv.param("b", D)
    bound = sv.sum(sv.linalg.solve(A, b) ** 2) + sv.sum(sv.linalg.inv(A) @ b) + sv.linalg.logdet(A)
    assert [name for name in steps_of(emit_model([bound], [b]), "lu") if name == "lu"] == ["lu"]


def test_softplus_and_sigmoid_share_one_exponential(emit_model):
    bound, parameters = logistic()
    source = emit_model([bound], parameters).module.source
    assert source.count("exp(-abs(") == 1 and "log1p_of_exp(" in source
    code = source[source.index("import numpy") :]
    assert not re.search(r"^(?!.*#.*softplus).*(sigmoid|softplus)\(", code, re.MULTILINE)
