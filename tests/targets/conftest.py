"""Models against the reference interpreter: emitted modules as plain Python (many, cheap), and compiled (fewer)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from symvi.array.expression import array_of, as_expr, leaf_expr
from symvi.calculus.reverse import gradients
from symvi.expr.build import tensor
from symvi.expr.labels import canonical_axes
from symvi.fit.function import bind, output_of
from symvi.fit.leaves import Sizes, bind_array, collect_leaves, unique_names
from symvi.fit.pipeline import Request, compile_request, lower_request
from symvi.oracle.emitted import run_emitted
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import random_values
from symvi.runtime import cache_directory
from symvi.targets.cpu.module import Module, emit


@dataclass
class Emitted:
    """An emitted model with what is needed to run it: its module, plan and request."""

    module: Module
    plan: object
    request: Request
    wrt: list
    names: dict = field(default_factory=dict)


def request_of(outputs, wrt, dtype: str, name: str = "model") -> Request:
    """The outputs value_0, value_1, ... and the gradient of the first by the variables that occur in it."""
    outputs = [as_expr(output) for output in outputs]
    request = Request([output_of(f"value_{k}", output) for k, output in enumerate(outputs)], name=name, dtype=dtype)
    request.gradients = [array_of(variable) for variable in wrt if variable.leaf in request.leaves]
    return request


def inputs_for(request: Request, sizes, rng, dtype: str, values=None) -> dict:
    """Random values of the leaves, on numbers that the dtype has exactly; arrays that stand in the model keep their value."""
    given = random_values([output.term for output in request.outputs], sizes, rng)
    given.update({leaf: leaf.attributes["value"] for leaf in given if leaf.role in ("anonymous", "shared")})
    given.update({variable.leaf: np.asarray(value) for variable, value in (values or {}).items()})
    if dtype == "float32":
        given = {leaf: np.float32(v).astype(float) if leaf.kind == "f" else v for leaf, v in given.items()}
    return given


def make_module(outputs, wrt=(), dtype: str = "float64", name: str = "model") -> Emitted:
    """The module of some expressions, and of the gradient of the first one."""
    request = request_of(outputs, wrt, dtype, name)
    names = unique_names(request.leaves)
    _, plan = lower_request(request)
    numbers = {leaf: number for number, leaf in enumerate(request.leaves)}
    originals = [output.term for output in request.outputs]
    module = emit(plan, name, f"{name}.", names, numbers, dtype, "symvi_helpers_0", originals)
    return Emitted(module, plan, request, list(wrt), names)


def expected_of(request: Request, values, sizes) -> list[np.ndarray]:
    """What the interpreter says of the expressions as the user wrote them."""
    nodes = [tensor(output.term, output.axes) for output in request.outputs]
    if request.gradients:
        terms = gradients(request.outputs[0].term, request.gradients)
        nodes += [tensor(term, canonical_axes(array.shape)) for term, array in zip(terms, request.gradients, strict=True)]
    return evaluate(nodes, values, sizes)


def agree(request: Request, found: dict, values, sizes, dtype: str, tolerance: float | None = None) -> None:
    """Compare every output, in the order of the request."""
    expected = expected_of(request, values, sizes)
    tolerance = tolerance or (1e-9 if dtype == "float64" else 2e-4)
    assert len(found) == len(expected)
    for (label, got), want in zip(found.items(), expected, strict=True):
        scale = max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0.0))) if want.dtype.kind == "f" else 1.0
        got, told = np.asarray(got, dtype=want.dtype), f"{label} with {sizes}"
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale, err_msg=told)


@pytest.fixture(scope="session", autouse=True)
def cold_cache(tmp_path_factory):
    """One empty kernel cache for the tests of this folder."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SYMVI_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
    cache_directory.reset()
    yield
    patch.undo()
    cache_directory.reset()


@pytest.fixture
def check_emitted():
    """Emit a model and compare it with the interpreter at random inputs of the given sizes, without a compiler."""

    def check(outputs, wrt=(), sizes=(), dtype="float64", block=4, values=None, tolerance=None, seed=0):
        emitted = make_module(outputs, wrt, dtype)
        rng = np.random.default_rng(seed)
        for chosen in [sizes] if isinstance(sizes, dict) else sizes:
            given = inputs_for(emitted.request, chosen, rng, dtype, values)
            entries = [entry for entry in emitted.module.manifest["buffers"] if "leaf" in entry]
            inputs = {entry["name"]: given[emitted.request.leaves[entry["leaf"]]] for entry in entries}
            found = run_emitted(emitted.module.source, emitted.module.manifest, inputs, chosen, block)
            agree(emitted.request, found, given, chosen, dtype, tolerance)
        return emitted

    return check


@pytest.fixture
def check_compiled():
    """Compile a model and compare it with the interpreter; noise is an output, so that both see the same."""

    def check(outputs, wrt=(), sizes=(), dtype="float64", values=None, tolerance=None, seed=0, name="model"):
        noise = [leaf for leaf in collect_leaves([as_expr(output).term for output in outputs]) if leaf.role == "noise"]
        request = request_of([*outputs, *(leaf_expr(leaf) for leaf in noise)], wrt, dtype, name)
        result = compile_request(request)
        rng = np.random.default_rng(seed)
        for chosen in [sizes] if isinstance(sizes, dict) else sizes:
            given = inputs_for(request, chosen, rng, dtype, values)
            known, real = Sizes(chosen), np.dtype(dtype)
            arrays = {number: bind_array(leaf, given[leaf], real) for number, leaf in enumerate(result.leaves) if leaf.role != "noise"}
            binding = bind(result, arrays, known)
            assert binding.run(seed=3, step=1) == 0
            given.update({leaf: binding.outputs[f"value_{len(outputs) + k}"].astype(float) for k, leaf in enumerate(noise)})
            agree(request, binding.outputs, given, chosen, dtype, tolerance)
        return result

    return check


@pytest.fixture
def emit_model():
    """The module of some expressions, and of the gradient of the first one."""
    return make_module


@pytest.fixture(scope="session")
def catalogue():
    """The models of test_models.py: MODELS and build(name)."""
    spec = importlib.util.spec_from_file_location("symvi_test_models", Path(__file__).parent / "test_models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
