"""One request, several modules: which one binding takes, when one is made, what a second process finds."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import symvi as sv
from symvi.fit.data_binding import bind_data
from symvi.fit.leaves import Sizes
from symvi.fit.objective import Objective
from symvi.fit.trainer import Trainer
from symvi.rewrite import remove
from symvi.runtime import cache_directory

objective_module, variants_module = import_module("symvi.fit.objective"), import_module("symvi.fit.variants")
N = sv.dim("N")
PROBLEM = """
import numpy as np, symvi as sv
from symvi.atoms.elementwise import cos, sin
from symvi.expr.build import contract
from symvi.expr.dims import Dim
from symvi.expr.nodes import Apply
from symvi.rewrite.guard import Guard, ask
from symvi.rewrite.rule import rule

def problem():
    x, w = sv.data("x", sv.dim("N")), sv.param("w", init=0.5)
    return sv.sin(w * x).sum()

def inputs(n):
    return {"w": 0.7}, {"x": np.linspace(0.5, 1.0, n)}

def choose():
    @rule.procedure(head="product", stage="structure", kind="reassociate", guarded=True, example=lambda: [])
    def long_sums(node):
        \"\"\"Σ sin(x) = 2 Σ sin(x / 2) cos(x / 2) for more than 4 terms: of no use, but seen in the code.\"\"\"
        (term, exponent), *more = node.factors
        if more or exponent != 1 or not isinstance(term, Apply) or term.name != "sin" or not ask(Guard(Dim(4), node.bound[0].dim)):
            return None
        (x,) = term.children
        return 2 * contract(node.bound, [(sin(x / 2), 1), (cos(x / 2), 1)])
"""
exec(PROBLEM)


def expected(n):
    parameters, data = inputs(n)  # noqa: F821 - of PROBLEM
    w, x = parameters["w"], data["x"]
    return np.sin(w * x).sum(), (x * np.cos(w * x)).sum()


def form(kernel):
    return [text for _, _, text in kernel.result.compiled.manifest["guards"]]


def run(kernel, n):
    value, gradients = kernel.value_and_grad(*inputs(n))  # noqa: F821
    wanted, by_u = expected(n)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(next(iter(gradients.values())), by_u, rtol=1e-10)
    return form(kernel)


@pytest.fixture(autouse=True, scope="module")
def rule_that_chooses():
    choose()  # noqa: F821
    yield
    remove("long_sums")


@pytest.fixture(scope="module")
def kernel():
    return sv.compile(problem(), name="variants")  # noqa: F821


def test_a_kernel_is_made_for_the_sizes_it_meets_and_kept(kernel, monkeypatch):
    assert run(kernel, 3) == ["N < 5"]
    assert run(kernel, 10) == ["4 < N"]
    assert "relies on 4 < N" in kernel.source.split('"""')[1] and "relies on: 4 < N" in kernel.inspect("plan")
    paths = {kernel.path}
    with monkeypatch.context() as patch:
        patch.setattr(variants_module, "lower_request", lambda *_: pytest.fail("lowered again"))
        patch.setattr(variants_module, "load_module", lambda *_: pytest.fail("loaded again"))
        assert run(kernel, 4) == ["N < 5"], "another size that the guards allow is the same module"
        paths.add(kernel.path)
        assert run(kernel, 5) == ["4 < N"]
    assert len(paths) == 2 and len({Path(path).name.rsplit("_", 1)[0] for path in paths}) == 1


def test_a_second_kernel_finds_both_in_the_cache(kernel, monkeypatch):
    run(kernel, 3), run(kernel, 10)
    monkeypatch.setattr(variants_module, "lower_request", lambda *_: pytest.fail("lowered again"))
    again = sv.compile(problem(), name="variants")  # noqa: F821
    for n, relied_on in ((10, ["4 < N"]), (3, ["N < 5"]), (20, ["4 < N"])):
        assert run(again, n) == relied_on and again.result.hit


SECOND = (
    PROBLEM
    + """
from importlib import import_module
def refuse(*_):
    raise AssertionError("lowered again")
import_module("symvi.fit.variants").lower_request = refuse
choose()
kernel = sv.compile(problem(), name="variants")
for n in (3, 10):
    value, _ = kernel.value_and_grad(*inputs(n))
    print(kernel.result.hit, repr(value))
"""
)


def test_a_second_process_finds_both(kernel):
    run(kernel, 3), run(kernel, 10)
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "SYMVI_CACHE_DIR": str(cache_directory.cache_directory())}
    done = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, text=True, env=environment)
    found = [line.split() for line in done.stdout.splitlines()]
    assert [hit for hit, _ in found] == ["True", "True"], done.stderr
    np.testing.assert_allclose([float(value) for _, value in found], [expected(n)[0] for n in (3, 10)], rtol=1e-12)


def test_before_any_sizes_the_guards_are_assumed(kernel):
    fresh = sv.compile(problem(), name="variants")  # noqa: F821
    assert form(fresh) == ["4 < N"]


def test_a_function_changes_its_module_with_the_sizes_of_a_call():
    x = sv.data("x", N)
    total = sv.function([x], sv.sin(x).sum(), name="variants_of_a_function")
    taken = []
    for n in (3, 10, 4, 3):
        values = np.linspace(0.0, 1.0, n)
        np.testing.assert_allclose(total(values), np.sin(values).sum(), rtol=1e-14)
        taken += form(total)
    assert taken == ["N < 5", "4 < N", "N < 5", "N < 5"]


def test_a_request_without_choices_is_compiled_at_once():
    x = sv.param("x", init=1.0)
    plain = sv.compile(-(x**2), name="plain")
    assert plain.variants._results and form(plain) == []


# ------------------------------------------------------------------------------------------- the sizes that decide a fit
class Seen(Exception):
    """Raised in the place of a compilation."""


def sizes_seen(monkeypatch, bound, data, **options):
    """The sizes at which the kernel of a training run is compiled."""

    def refuse(request, sizes=None):
        raise Seen(dict(sizes))

    monkeypatch.setattr(objective_module, "compile_request", refuse)
    objective = Objective(bound, **options)
    given = {leaf: data[leaf.name] for leaf in objective.user_leaves if leaf.name in data}
    sizes = Sizes()
    bind_data(objective, given, sizes)
    with pytest.raises(Seen) as seen:
        Trainer(objective, given, sv.optim.Adam(), sizes)
    return seen.value.args[0]


def test_training_is_compiled_for_the_rows_of_a_step(monkeypatch):
    y, mu = sv.data("y", N), sv.param("mu", init=0.0)
    bound = -((y - mu) ** 2).sum()
    assert sizes_seen(monkeypatch, bound, {"y": np.ones(50)})["N"] == 50
    assert sizes_seen(monkeypatch, bound, {"y": np.ones(50)}, batch_size={N: 8})["N"] == 8
