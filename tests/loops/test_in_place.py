"""Results written over the inputs they replace: only where no element is read after it was replaced, and with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, compile_request
from symvi.loops.ast import Add, Assign, BlockLoop, For, Function, Load, Name, View
from symvi.loops.in_place import write_in_place
from symvi.loops.naming import Names
from symvi.runtime.binding import Binding

SIZE = 300  # more than two blocks
I, J = Name("i", "i"), Name("j", "i")
ROWS = Name("rows", "i")


# ---------------------------------------------------------------------------------------------------------- whole requests
def ran(outputs, into, values):
    """Which results were written in place, and the arrays after one run: inputs by name, results by name."""
    request = Request([output_of(name, value) for name, value in outputs.items()], name="in_place", into=into)
    compiled = compile_request(request).compiled
    arrays = {name: np.array(value) for name, value in values.items()}
    granted = compiled.manifest["in_place"]
    results = {result: arrays[source] for result, source in granted.items()}
    binding = Binding(compiled, {"P": SIZE}, arrays, outputs=results)
    assert binding.run() == 0
    return granted, arrays, binding.outputs


@pytest.fixture
def leaves():
    P = sv.dim("P")
    rng = np.random.default_rng(0)
    return [sv.data(name, P) for name in "abc"], {name: rng.uniform(1.0, 2.0, SIZE) for name in "abc"}


def test_an_update_is_one_pass_over_its_own_arrays(leaves):
    (a, b, c), values = leaves
    mean = 0.9 * b + 0.1 * c
    outputs = {"new_a": a + mean / (1.0 + sv.sqrt(b)), "new_b": mean, "kept": a + 0.0, "total": sv.sum(a + mean / (1.0 + sv.sqrt(b)))}
    granted, arrays, results = ran(outputs, {"new_a": "a", "new_b": "b"}, values)
    assert granted == {"new_a": "a", "new_b": "b"}
    new_b = 0.9 * values["b"] + 0.1 * values["c"]
    new_a = values["a"] + new_b / (1.0 + np.sqrt(values["b"]))
    np.testing.assert_allclose(arrays["a"], new_a, rtol=1e-15)
    np.testing.assert_allclose(arrays["b"], new_b, rtol=1e-15)
    np.testing.assert_array_equal(results["kept"], values["a"])
    np.testing.assert_allclose(results["total"], new_a.sum(), rtol=1e-13)


def test_an_exchange_reads_both_before_it_writes(leaves):
    (a, b, c), values = leaves
    granted, arrays, _ = ran({"new_a": b + c, "new_b": a - c}, {"new_a": "a", "new_b": "b"}, values)
    assert granted == {"new_a": "a", "new_b": "b"}
    np.testing.assert_array_equal(arrays["a"], values["b"] + values["c"])
    np.testing.assert_array_equal(arrays["b"], values["a"] - values["c"])


def test_what_other_elements_need_is_left_alone(leaves):
    (a, b, _), values = leaves
    granted, arrays, results = ran({"new_a": a / sv.sum(a), "new_b": b + b[::-1]}, {"new_a": "a", "new_b": "b"}, values)
    assert granted == {}
    np.testing.assert_array_equal(arrays["a"], values["a"])
    np.testing.assert_allclose(results["new_a"], values["a"] / values["a"].sum(), rtol=1e-13)
    np.testing.assert_array_equal(results["new_b"], values["b"] + values["b"][::-1])


# ------------------------------------------------------------------------------------------------- faults planted in loop programs
def loop(*body, index="i"):
    return For(index, ROWS, list(body), rows=True)


def function(*nests, views=("x", "new_x")):
    listed = [View(f"{name}_b", name, 0, 1) for name in views]
    return Function("f", None, [], [], [BlockLoop([*listed, *nests])])


def load(array, index=I):
    return Load(array, (index,), "f")


def store(array, value, index=I):
    return Assign(array, (index,), value)


def total(*terms):
    return Add(tuple((1, term) for term in terms), "f")


def granted(*functions):
    return write_in_place(functions, {"new_x": "x"}, Names())


def test_the_plain_case_is_rewritten():
    plain = function(loop(store("new_x_b", total(load("x_b"), load("y")))))
    assert granted(plain) == {"new_x": "x"}
    views, (nest,) = plain.body[0].body[:1], plain.body[0].body[1:]
    assert [view.name for view in views] == ["x_b"]
    first, second = nest.body
    assert first.value == load("x_b") and second.array == "x_b" and second.value == total(Name(first.name), load("y"))


@pytest.mark.parametrize(
    "unsafe",
    [
        lambda: [function(loop(store("new_x_b", load("x_b", Add(((1, I), (1, J)), "i")))))],  # a neighbour
        lambda: [function(loop(store("new_x_b", load("x"))))],  # the whole array, indexed by what is not its row
        lambda: [function(loop(store("new_x_b", load("y"))), loop(store("z", load("x_b"))))],  # read by a later loop
        lambda: [function(loop(store("new_x_b", load("x_b")), store("z", load("new_x_b"))))],  # the result is read again
        lambda: [function(loop(store("new_x_b", load("x_b")), store("new_x_b", load("y"))))],  # stored twice
        lambda: [function(loop(loop(store("new_x_b", load("x_b")), index="j")))],  # every element once for each j
        lambda: [function(loop(store("new_x_b", load("x_b")))), function(loop(store("z", load("x_b"))), views=("x",))],  # read elsewhere
        lambda: [function(loop(loop(store("z", load("y")), index="j"), store("new_x_b", load("x_b"))))],  # not a perfect nest
    ],
)
def test_unsafe_loops_are_left_as_they_are(unsafe):
    functions, untouched = unsafe(), unsafe()
    assert granted(*functions) == {}
    assert functions == untouched
