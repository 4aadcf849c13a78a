"""`sv.function`: compiled functions of expressions, with several outputs and simultaneous updates of shared variables."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symvi.array.expression import Expr, as_expr, broadcast, mistake, shape_text
from symvi.errors import DataError, ExpressionError, NonFiniteError, NotPositiveDefiniteError
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.printing import text
from symvi.fit.bounds import ReadBounds
from symvi.fit.fact_check import FactCheck
from symvi.fit.leaves import Sizes, as_values, bind_array, check_index
from symvi.fit.pipeline import Request, Result, compile_request
from symvi.fit.variants import Variants
from symvi.plan.regions import Output
from symvi.runtime import session
from symvi.runtime.binding import Binding

__all__ = ["function", "Function", "evaluate", "output_of", "gather_inputs", "raise_status"]


def output_of(name: str, expression: Expr) -> Output:
    """An expression as an output of a kernel; axes of extent 1 are put back afterwards."""
    axes: tuple[Label, ...] = tuple(axis for axis in expression.axes if axis is not None)
    return Output(name, expression.term, axes)


def gather_inputs(
    leaves: Sequence[Leaf], given: Mapping[Leaf, Any], sizes: Sizes, dtype: np.dtype, finite: bool = True
) -> dict[int, np.ndarray]:
    """Arrays by the number of their leaf: given values, shared state, anonymous data. Sizes are learnt and checked."""
    arrays: dict[int, np.ndarray] = {}
    missing = []
    for number, leaf in enumerate(leaves):
        if leaf.role == "noise":
            continue
        if leaf in given:
            value = given[leaf]
        elif leaf.role in ("shared", "anonymous"):
            value = leaf.attributes["value"]
        elif leaf.role == "param" and isinstance(leaf.init, (int, float, np.ndarray)):
            value = leaf.init
        else:
            missing.append(leaf)
            continue
        array = bind_array(leaf, value, dtype, finite)
        if leaf.role == "param" and array.ndim == 0 and leaf.shape:
            arrays[number] = array
            continue
        sizes.learn(leaf, array)
        arrays[number] = array.reshape([n for n, dim in zip(array.shape, leaf.shape, strict=True) if dim != 1])
    if missing:
        names = ", ".join(leaf.name for leaf in missing)
        place = f"  [{missing[0].site}]" if missing[0].site else ""
        raise DataError(f"no value is given for {names}; its dims are {shape_text(missing[0].shape)}{place}")
    for number, leaf in enumerate(leaves):
        sizes.require(leaf.shape)
        if number in arrays:
            if arrays[number].ndim == 0 and leaf.array_shape:
                arrays[number] = np.full([dim.size(sizes.values) for dim in leaf.array_shape], arrays[number], dtype=dtype)
            if leaf.index_of is not None:
                sizes.require([leaf.index_of])
                check_index(leaf, arrays[number], leaf.index_of.size(sizes.values))
    return arrays


def bind(result: Result, arrays: Mapping[int, np.ndarray], sizes: Sizes) -> Binding:
    """The compiled module on these arrays, by the number of their leaf."""
    compiled = result.compiled
    inputs = {entry["name"]: arrays[number] for number, entry in compiled.inputs.items() if entry["role"] == "input"}
    return Binding(compiled, sizes.values, inputs)


def raise_status(binding: Binding, status: int, where: str = "") -> None:
    """The error behind a bad status: names the operation, the matrix and the user's line."""
    step = binding.failed_step(status)
    site = f"  [{step['site']}]" if step.get("site") else ""
    if step.get("operator") in ("cholesky", "lower_factor"):
        raise NotPositiveDefiniteError(
            f"the matrix {step['about']} is not positive definite{where}: its Cholesky factorisation failed at order {status >> 32}. "
            f"Add jitter (+ 1e-6 * sv.eye(M)) where rounding can make it singular{site}"
        )
    if "operator" in step:
        raise NonFiniteError(f"the matrix {step['about']} is singular{where} ({step['operator']}){site}")
    raise NonFiniteError(f"{step.get('function', 'the kernel')} stopped{where}")


class Function:
    """A compiled function: call it with its inputs; shared variables are read, and updated after all outputs are computed."""

    def __init__(
        self,
        inputs: Sequence[Expr],
        outputs: Any,
        updates: Mapping[Expr, Any] | None = None,
        name: str = "function",
        dtype: str = "float64",
        check: bool = False,
    ):
        self.inputs = [self._leaf(expression) for expression in inputs]
        self.single = not isinstance(outputs, (list, tuple))
        self.outputs = [as_expr(output) for output in ([outputs] if self.single else outputs)]
        self.updates = self._updates(updates or {})
        expressions = [*self.outputs, *(new for _, new in self.updates)]
        names = [f"output_{k + 1}" for k in range(len(self.outputs))] + [f"new_{leaf.name}" for leaf, _ in self.updates]
        self.names = names
        request = Request([output_of(n, e) for n, e in zip(names, expressions, strict=True)], name=name, dtype=dtype)
        self._check_inputs(request.leaves)
        self.bounds = ReadBounds([output.term for output in request.outputs])
        self.facts = FactCheck([output.term for output in request.outputs] if check else (), dtype)
        self.variants = Variants(request)
        self.leaves = request.leaves
        self.dtype = np.dtype(dtype)
        self.calls = 0
        self.name = name
        self._bound: tuple | None = None
        self._calling = threading.Lock()
        session.record(name, self)

    @staticmethod
    def _leaf(expression: Any) -> Leaf:
        if not isinstance(expression, Expr) or expression.leaf is None:
            raise mistake(f"an input of a function is a leaf, not {expression!r}", ExpressionError)
        return expression.leaf

    @staticmethod
    def _updates(updates: Mapping[Expr, Any]) -> list[tuple[Leaf, Expr]]:
        result = []
        for variable, new in updates.items():
            leaf = variable.leaf if isinstance(variable, Expr) else None
            if leaf is None or leaf.role != "shared":
                raise mistake(f"updates change shared variables, not {variable!r}", ExpressionError)
            new = as_expr(new)
            _, axes, (_, term) = broadcast(variable, new, operation="update")
            if axes != variable.axes:
                raise mistake(f"the update of {leaf.name} has dims {shape_text(new.shape)}, the variable {shape_text(variable.shape)}")
            result.append((leaf, Expr(term, variable.axes, variable.shape)))
        return result

    def _check_inputs(self, leaves: Sequence[Leaf]) -> None:
        for leaf in leaves:
            if leaf.role in ("data", "param", "latent") and leaf not in self.inputs:
                raise mistake(f"{leaf.name} (from {leaf.site}) occurs in an output but is not among the inputs of the function", DataError)

    def __call__(self, *values: Any, sizes: Mapping | None = None, seed: int = 0):
        if len(values) != len(self.inputs):
            told = f"{len(self.inputs)} input{'' if len(self.inputs) == 1 else 's'} ({', '.join(leaf.name for leaf in self.inputs)})"
            raise mistake(f"the function takes {told}, not {len(values)}", DataError)
        known = Sizes(sizes)
        given = dict(zip(self.inputs, values, strict=True))
        arrays = gather_inputs(self.leaves, {k: v for k, v in given.items() if k in self.leaves}, known, self.dtype, finite=False)
        self.bounds.check(known, self.leaves, arrays)
        self.facts({self.leaves[number]: array for number, array in arrays.items()}, known.values)
        with self._calling:  # calls from several threads use one set of arrays
            results = self._run(self._binding(arrays, known), seed)
        return results[0] if self.single and results else results

    def _run(self, binding: Binding, seed: int) -> list:
        """The outputs at the arrays of the binding; shared variables get their new values."""
        status = binding.run(seed, 0, self.calls)
        self.calls += 1
        if status:
            raise_status(binding, status)
        results = [self._shaped(binding.outputs[name], expression) for name, expression in zip(self.names, self.outputs, strict=False)]
        for (leaf, _), name in zip(self.updates, self.names[len(self.outputs) :], strict=True):
            leaf.attributes["value"] = binding.outputs[name].reshape(leaf.attributes["value"].shape).astype(leaf.attributes["value"].dtype)
        return results

    def _binding(self, arrays: Mapping[int, np.ndarray], sizes: Sizes) -> Binding:
        """The binding of the last call, with new arrays, where the sizes are the same."""
        if self._bound is not None and self._bound[0] == sizes.values:
            binding = self._bound[1]
            for number, entry in binding.compiled.inputs.items():
                if entry["role"] == "input":
                    binding.replace(entry["name"], arrays[number])
            return binding
        binding = bind(self.variants.at(sizes.values), arrays, sizes)
        self._bound = (dict(sizes.values), binding)
        return binding

    @staticmethod
    def _shaped(array: np.ndarray, expression: Expr) -> Any:
        lengths = iter(array.shape)
        shape = tuple(1 if axis is None else next(lengths) for axis in expression.axes)
        return array.reshape(shape).copy() if shape else array.item()

    @property
    def result(self) -> Result:
        """The compiled module in use: the one of the last sizes."""
        return self.variants.result

    @property
    def source(self) -> str:
        """The emitted module."""
        return self.result.compiled.source

    def inspect(self, what: str = "python", timing: bool = False) -> str:
        """The emitted code ("python", "llvm", "asm"), or what led to it ("math", "rules" with hits and times on request, "plan")."""
        from symvi.fit.inspection import inspect_result

        return inspect_result(self.result, what, timing)

    def explain(self, timing: bool = False, as_text: bool = False) -> str | None:
        """Print which rule changed what, in mathematics, with your line; with hits and time per rule on request. Or give it as text."""
        from symvi.fit.inspection import explain_result

        return explain_result(self.result, timing, as_text)

    def __repr__(self) -> str:
        return f"<symvi function ({', '.join(leaf.name for leaf in self.inputs)}) -> {', '.join(text(o, 40) for o in self.outputs)}>"


def function(
    inputs: Sequence[Expr] = (),
    outputs: Any = (),
    updates: Mapping[Expr, Any] | None = None,
    name: str = "function",
    dtype: str = "float64",
    check: bool = False,
) -> Function:
    """Compile a function of leaves. `outputs` is an expression or a list; `updates` maps shared variables to new values.

    All right sides see the old values of the shared variables. With `check` every call first compares the facts stated by
    `sv.assume` with its arguments (DataError).
    """
    return Function(list(inputs), outputs, updates, name, dtype, check)


def evaluate(expression: Expr, values: Mapping[Any, Any], sizes: Mapping | None = None, seed: int = 0, dtype: str = "float64"):
    """The value of an expression for given leaves."""
    request = Request([output_of("value", expression)], name="value", dtype=dtype)
    known = Sizes(sizes)
    arrays = gather_inputs(request.leaves, as_values(values, request.leaves, "eval"), known, np.dtype(dtype), finite=False)
    ReadBounds([expression.term]).check(known, request.leaves, arrays)
    result = compile_request(request, known.values)  # after the checks: a mistake in the data is told at once
    binding = bind(result, arrays, known)
    status = binding.run(seed, 0, 0)
    if status:
        raise_status(binding, status)
    return Function._shaped(binding.outputs["value"], expression)


def evaluate_many(
    expressions: Sequence[Expr],
    values: Mapping[Leaf, Any],
    sizes: Sizes,
    name: str = "values",
    seed: int = 0,
    stream: int = 2,
    step: int = 0,
    dtype: str = "float64",
) -> list:
    """Values of several expressions at once, for given leaves and known sizes."""
    request = Request([output_of(f"value_{k + 1}", e) for k, e in enumerate(expressions)], name=name, dtype=dtype)
    known = Sizes(sizes.values)
    arrays = gather_inputs(request.leaves, values, known, np.dtype(dtype), finite=False)
    binding = bind(compile_request(request, known.values), arrays, known)
    status = binding.run(seed, stream, step)
    if status:
        raise_status(binding, status)
    return [Function._shaped(binding.outputs[f"value_{k + 1}"], e) for k, e in enumerate(expressions)]
