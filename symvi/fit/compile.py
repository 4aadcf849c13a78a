"""`sv.compile`: a bound as a kernel that gives its value and the gradient by every parameter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symvi.array.expression import array_of, as_expr, leaf_expr, mistake, shape_text
from symvi.errors import ExpressionError
from symvi.expr.printing import text
from symvi.fit.bounds import ReadBounds
from symvi.fit.fact_check import FactCheck
from symvi.fit.function import Function, bind, gather_inputs, output_of, raise_status
from symvi.fit.inspection import explain_result, inspect_result
from symvi.fit.leaves import Sizes, as_values, unique_names
from symvi.fit.pipeline import Request, Result
from symvi.fit.variants import Variants
from symvi.runtime import session
from symvi.runtime.binding import Binding

__all__ = ["compile", "Kernel", "check_dtype"]


def check_dtype(dtype: Any) -> str:
    """float64 or float32."""
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = None
    if name not in ("float64", "float32"):
        raise ExpressionError(f"dtype is float64 or float32, not {dtype!r}")
    return name


class Kernel:
    """A compiled bound: `value_and_grad`, the emitted source, where it is stored."""

    def __init__(self, bound: Any, name: str = "kernel", target: str = "cpu", dtype: Any = "float64", check: bool = False):
        bound = as_expr(bound)
        if any(dim != 1 for dim in bound.shape):
            raise mistake(f"a bound is a scalar, {text(bound)} has dims {shape_text(bound.shape)}")
        if target != "cpu":
            raise ExpressionError(f'target is "cpu", not {target!r}')
        self.bound, self.name, self.target, self.dtype = bound, name, target, np.dtype(check_dtype(dtype))
        request = Request([output_of("value", bound)], name=name, dtype=self.dtype.name)
        self.bounds = ReadBounds([bound.term])
        self.facts = FactCheck([bound.term] if check else (), self.dtype.name)
        self.parameters = [leaf for leaf in request.leaves if leaf.role == "param"]
        request.gradients = [array_of(leaf_expr(leaf)) for leaf in self.parameters]
        self.variants = Variants(request)
        self.leaves = request.leaves
        self.names = unique_names(self.leaves)
        session.record(name, self)

    def bind(self, parameters: Mapping[Any, Any], data: Mapping[Any, Any] | None = None, sizes: Mapping | None = None) -> Binding:
        """The kernel on these values, ready to run many times."""
        known = Sizes(sizes)
        given = {**as_values(parameters, self.leaves, "the parameters"), **as_values(data or {}, self.leaves, "data")}
        arrays = gather_inputs(self.leaves, given, known, self.dtype)
        self.bounds.check(known, self.leaves, arrays)
        self.facts({self.leaves[number]: array for number, array in arrays.items()}, known.values)
        return bind(self.variants.at(known.values), arrays, known)

    def value_and_grad(
        self,
        parameters: Mapping[Any, Any],
        data: Mapping[Any, Any] | None = None,
        sizes: Mapping | None = None,
        seed: int = 0,
        step: int = 0,
    ):
        """(value, {parameter: gradient}) at these parameters and data, with the draws of (seed, step)."""
        binding = self.bind(parameters, data, sizes)
        status = binding.run(seed, 0, step)
        if status:
            raise_status(binding, status)
        gradients = {}
        for leaf in self.parameters:
            expression = leaf_expr(leaf)
            gradients[expression] = Function._shaped(binding.outputs[f"g_{self.names[leaf]}"], expression)
        return binding.output("value"), gradients

    @property
    def result(self) -> Result:
        """The compiled module in use: the one of the last binding."""
        return self.variants.result

    @property
    def source(self) -> str:
        """One self-contained file: the kernel with the helpers that it uses; it runs where symvi is not installed."""
        from symvi.runtime.standalone import standalone_source

        return standalone_source(self.result.compiled)

    @property
    def path(self) -> str:
        """The emitted module in the cache."""
        return self.result.compiled.path

    def inspect(self, what: str = "python", timing: bool = False) -> str:
        """The emitted code ("python", "llvm", "asm"), or what led to it ("math", "rules" with hits and times on request, "plan")."""
        return inspect_result(self.result, what, timing)

    def explain(self, timing: bool = False, as_text: bool = False) -> str | None:
        """Print which rule changed what, in mathematics, with your line; with hits and time per rule on request. Or give it as text."""
        return explain_result(self.result, timing, as_text)

    def save(self, path: str | Path) -> Path:
        """Write the self-contained source to a file."""
        path = Path(path)
        path.write_text(self.source, encoding="utf-8")
        return path

    def __repr__(self) -> str:
        return f"<symvi kernel {self.name}: {text(self.bound, 60)}; gradients by {', '.join(leaf.name for leaf in self.parameters)}>"


def compile(bound: Any, name: str = "kernel", target: str = "cpu", dtype: Any = "float64", check: bool = False) -> Kernel:  # noqa: A001 - the API's name
    """Compile a scalar bound and its gradient by every parameter in it.

    The kernel takes parameters in the user's space; noise is drawn inside it from (seed, step). New data of any size need
    no new compilation, unless they break an inequality between sizes that the kernel relies on (its source begins with them):
    then a variant is compiled and both are kept. `dtype` is float64 or float32. With `check` every binding compares the facts stated
    by `sv.assume` with the values given (DataError).
    """
    return Kernel(bound, name, target, dtype, check)
