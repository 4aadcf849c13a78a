"""The categorical latent Gaussian process in a short form: gradients, a rising bound, cells that stay held out, probabilities."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from symvi.array.expression import array_of, leaf_expr
from symvi.calculus.reverse import gradients
from symvi.expr.build import tensor
from symvi.expr.labels import canonical_axes
from symvi.fit.function import output_of
from symvi.fit.leaves import unique_names
from symvi.fit.pipeline import Request, lower_request
from symvi.oracle.emitted import run_emitted
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import random_values
from symvi.targets.cpu.module import emit

FILE = Path(__file__).parents[2] / "examples" / "clgp.py"
SHORT = {"Q": 2, "M": 4, "rounds": 2, "steps": 40}


@pytest.fixture(scope="module")
def clgp():
    spec = importlib.util.spec_from_file_location("clgp", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cells(clgp):
    """60 rows of three variables with three categories, two for the last; which cells are seen."""
    codes, _ = clgp.load()
    codes = np.column_stack([np.minimum(codes[:60, 0] // 3, 2), np.minimum(codes[:60, 1] // 3, 2), codes[:60, 9]])
    return codes, ~clgp.hold_out(codes, 0), np.array([3, 3, 2])


@pytest.fixture(scope="module")
def trained(clgp, cells):
    codes, seen, sizes = cells
    return clgp.train(codes, seen, sizes, **SHORT)


def test_rows_and_categories(clgp):
    codes, sizes = clgp.load()
    assert codes.shape == (683, 10)
    assert codes.min() == 0
    np.testing.assert_array_equal(codes.max(axis=0) + 1, sizes)
    for seed in range(3):
        assert clgp.hold_out(codes, seed).mean() == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("N", [1, 9])
def test_emitted_gradients_agree_with_the_interpreter(clgp, N):
    """The module's text, run as plain Python with blocks of four rows, against the reference interpreter."""
    bound, _ = clgp.model(3, 2)
    parameters = [leaf for leaf in bound.free_symbols if leaf.leaf.role == "param"]
    request = Request([output_of("value", bound)], name="bound", dtype="float64")
    request.gradients = [array_of(parameter) for parameter in parameters]
    names = unique_names(request.leaves)
    _, plan = lower_request(request)
    module = emit(plan, "bound", "bound.", names, {leaf: k for k, leaf in enumerate(request.leaves)}, "float64", "symvi_helpers_0")

    sizes = {"N": N, "M": 3, "Q": 2}
    values = random_values([bound.term], sizes, np.random.default_rng(1))
    found = run_emitted(module.source, module.manifest, {names[leaf]: value for leaf, value in values.items()}, sizes, block=4)

    terms = gradients(bound.term, request.gradients)
    nodes = [tensor(bound.term, ())] + [tensor(term, canonical_axes(array.shape)) for term, array in zip(terms, request.gradients)]
    for got, want in zip(found.values(), evaluate(nodes, values, sizes), strict=True):
        np.testing.assert_allclose(np.asarray(got).reshape(want.shape), want, rtol=1e-8, atol=1e-8 * max(1.0, np.abs(want).max()))
    assert {leaf_expr(leaf).name for leaf in values} >= {"Y", "absent", "m", "sd", "Z", "mu", "C", "l", "s", "e_x", "e_u", "e_f"}


def test_bound_rises(trained):
    fit, _, history = trained
    assert np.isfinite(history).all()
    assert history[-20:].mean() > history[:5].mean() + 20
    assert all(np.isfinite(array).all() for array in fit.params.values())


def test_predictions_are_probabilities(trained, cells):
    _, probabilities, _ = trained
    _, _, sizes = cells
    np.testing.assert_allclose(probabilities.sum(axis=2), 1.0, rtol=1e-12)
    assert (probabilities >= 0).all()
    assert (probabilities[:, sizes[:, None] <= np.arange(3)] == 0).all()
    assert probabilities[:, 0].std() > 0


def test_predicts_better_than_frequencies(clgp, trained, cells):
    codes, seen, sizes = cells
    _, probabilities, _ = trained
    assert clgp.perplexity(probabilities, codes, seen) < clgp.perplexity(clgp.multinomial(codes, seen, sizes), codes, seen)


def test_held_out_cells_are_not_touched(clgp, trained, cells):
    """Other values in the held-out cells: the same fit, the same predictions, to the last bit."""
    codes, seen, sizes = cells
    changed = np.where(seen, codes, (codes + 1) % sizes)
    assert (changed != codes).any()
    fit, probabilities, history = clgp.train(changed, seen, sizes, **SHORT)
    np.testing.assert_array_equal(history, trained[2])
    np.testing.assert_array_equal(probabilities, trained[1])
    for name, array in trained[0].params.items():
        np.testing.assert_array_equal(fit.params[name], array)
