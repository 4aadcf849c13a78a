"""Models against the reference interpreter: emitted modules as plain Python (many, cheap), and compiled (fewer)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from symvi.array.expression import array_of, as_expr
from symvi.calculus.reverse import gradients
from symvi.expr.build import tensor
from symvi.expr.labels import canonical_axes
from symvi.fit.function import output_of
from symvi.fit.leaves import unique_names
from symvi.fit.pipeline import Request, lower_request
from symvi.oracle.emitted import run_emitted
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import random_values
from symvi.targets.cpu.module import Module, emit


@dataclass
class Emitted:
    """An emitted model with what is needed to run it: its module, plan and request."""

    module: Module
    plan: object
    request: Request
    wrt: list
    names: dict = field(default_factory=dict)


def emit_model(outputs, wrt=(), dtype: str = "float64", name: str = "model") -> Emitted:
    """The module of some expressions, and of the gradient of the first one."""
    outputs = [as_expr(output) for output in outputs]
    request = Request([output_of(f"value_{k}", output) for k, output in enumerate(outputs)], name=name, dtype=dtype)
    request.gradients = [array_of(variable) for variable in wrt if variable.leaf in request.leaves]
    names = unique_names(request.leaves)
    _, plan = lower_request(request)
    numbers = {leaf: number for number, leaf in enumerate(request.leaves)}
    return Emitted(emit(plan, name, f"{name}.", names, numbers, dtype, "symvi_helpers_0"), plan, request, list(wrt), names)


def expected_of(emitted: Emitted, values, sizes) -> list[np.ndarray]:
    """What the interpreter says of the expressions as the user wrote them."""
    nodes = [tensor(output.term, output.axes) for output in emitted.request.outputs]
    if emitted.request.gradients:
        terms = gradients(emitted.request.outputs[0].term, emitted.request.gradients)
        nodes += [tensor(term, canonical_axes(array.shape)) for term, array in zip(terms, emitted.request.gradients, strict=True)]
    return evaluate(nodes, values, sizes)


def agree(emitted: Emitted, found: dict, values, sizes, tolerance: float) -> None:
    """Compare every output, in the order of the request."""
    expected = expected_of(emitted, values, sizes)
    assert len(found) == len(expected)
    for (label, got), want in zip(found.items(), expected, strict=True):
        scale = max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0.0))) if want.dtype.kind == "f" else 1.0
        np.testing.assert_allclose(np.asarray(got, dtype=want.dtype), want, rtol=tolerance, atol=tolerance * scale, err_msg=f"{label} with {sizes}")


@pytest.fixture
def check_emitted():
    """Emit a model and compare it with the interpreter at random inputs of the given sizes, without a compiler."""

    def check(outputs, wrt=(), sizes=(), dtype="float64", block=4, values=None, tolerance=None, seed=0):
        emitted = emit_model(outputs, wrt, dtype)
        rng = np.random.default_rng(seed)
        for chosen in [sizes] if isinstance(sizes, dict) else sizes:
            given = random_values([output.term for output in emitted.request.outputs], chosen, rng)
            given.update({variable.leaf: np.asarray(value) for variable, value in (values or {}).items()})
            if dtype == "float32":
                given = {leaf: np.float32(v).astype(float) if leaf.kind == "f" else v for leaf, v in given.items()}
            inputs = {emitted.names[leaf]: value for leaf, value in given.items()}
            found = run_emitted(emitted.module.source, emitted.module.manifest, inputs, chosen, block)
            agree(emitted, found, given, chosen, tolerance or (1e-9 if dtype == "float64" else 2e-4))
        return emitted

    return check
