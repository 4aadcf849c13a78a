"""Rows as kernels: value and gradient compiled by the product's own pipeline, many rows in one module.

Each row has leaves of its own. The module's first output is the sum of all rows, so that one reverse sweep gives every gradient; the
others are the values of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import symvi as sv
from benchmarks.spellings.rows import Leaf, Row
from benchmarks.spellings.spelled import Style, Swapped, spell
from symvi.array.expression import Expr, array_of, leaf_expr
from symvi.calculus.reverse import gradients
from symvi.expr.build import tensor
from symvi.expr.dims import dim
from symvi.expr.labels import canonical_axes
from symvi.expr.leaf import Leaf as Variable
from symvi.fit.function import bind, gather_inputs, output_of
from symvi.fit.leaves import Sizes
from symvi.fit.pipeline import Request
from symvi.fit.variants import Variants
from symvi.oracle.interpreter import evaluate as interpreted
from symvi.plan.reductions import open_reductions
from symvi.rewrite.example import Stated
from symvi.rules import simplify, stabilise

__all__ = ["Form", "FORMS", "Spelling", "spelling", "Results", "evaluate", "interpret", "SCALE", "BATCH", "weights_of"]

SCALE = -0.37
BATCH = 4
P, Q, B = dim("P"), dim("Q"), dim("B")


@dataclass(frozen=True)
class Form:
    """How a row is tried: the axes before those of its leaves, the style of its operations, a constant factor."""

    name: str
    axes: tuple = (P,)
    style: Callable[[], Style] = Style
    scale: float = 1.0


FORMS = (
    Form("plain"),
    Form("swapped", style=Swapped),
    Form("scaled", scale=SCALE),
    Form("batch", (Q, B)),
    Form("single", ()),
)


@dataclass
class Spelling:
    """A row built in one form: its expression, its leaves, and the weighted sum that is differentiated."""

    row: Row
    form: Form
    expression: Expr
    cost: Expr
    leaves: dict[str, Variable]
    weights: Variable

    @property
    def parameters(self) -> list[str]:
        """The leaves that a gradient is taken by."""
        return [name for name, leaf in self.row.leaves.items() if leaf.kind == "f"] if self.row.gradient else []


def weights_of(spelling: Spelling) -> np.ndarray:
    """The adjoint of a row's value."""
    return np.resize([0.7, -1.3, 2.1, 0.45], spelling.row.width) if spelling.weights.shape else np.array(1.0)


def _variable(name: str, leaf: Leaf, axes: tuple) -> Variable:
    shape = (*axes, dim(f"V{leaf.extent}")) if leaf.extent else axes
    role = "param" if leaf.kind == "f" else "data"
    return Variable(role, name, shape, leaf.kind, init=0.0, support=Stated((leaf.low, leaf.high)) if leaf.kind == "f" else None)


def spelling(row: Row, form: Form, suffix: str = "") -> Spelling:
    """A row in one form, on fresh leaves."""
    leaves = {name: _variable(f"{name}{suffix}", leaf, form.axes) for name, leaf in row.leaves.items()}
    expression = spell(row.build, form.style, sv, {name: leaf_expr(leaf) for name, leaf in leaves.items()})
    expression = sv.multiply(form.scale, expression) if form.scale != 1 else expression
    weights = Variable("data", f"weights{suffix}", expression.shape[len(form.axes) :], "f")  # beside other rows, a row is no bare summand
    return Spelling(row, form, expression, (expression * leaf_expr(weights)).sum(), leaves, weights)


@dataclass
class Results:
    """Values and gradients of one spelling at all points, points along axis 0."""

    values: np.ndarray
    gradients: dict[str, np.ndarray]


def request_of(spellings: Sequence[Spelling], name: str = "spellings") -> Request:
    """One module for all spellings."""
    total = sum((s.cost for s in spellings[1:]), spellings[0].cost)
    request = Request([output_of("total", total), *(output_of(f"row_{k}", s.expression) for k, s in enumerate(spellings))], name=name)
    present = set(request.leaves)  # x - x does not hold x
    request.gradients = [array_of(leaf_expr(s.leaves[p])) for s in spellings for p in s.parameters if s.leaves[p] in present]
    return request


def evaluate(spellings: Sequence[Spelling], points: Sequence[dict[str, np.ndarray]]) -> list[Results]:
    """Compile spellings of one form together and run them at the points of each."""
    (form,) = {s.form for s in spellings}
    variants = Variants(request_of(spellings))
    counts = [len(next(iter(p.values()))) for p in points]
    rows = -(-max(counts) // BATCH) * BATCH
    padded = [{name: np.resize(value, (rows, *value.shape[1:])) for name, value in p.items()} for p in points]
    if not form.axes:
        single = [_run(variants, spellings, [{name: value[k] for name, value in p.items()} for p in padded]) for k in range(max(counts))]
        return [_stacked([run[position] for run in single[:count]]) for position, count in enumerate(counts)]
    axes = (rows,) if len(form.axes) == 1 else (rows // BATCH, BATCH)
    shaped = [{name: value.reshape(*axes, *value.shape[1:]) for name, value in p.items()} for p in padded]
    return [_flat(r, rows, len(axes), count) for r, count in zip(_run(variants, spellings, shaped), counts, strict=True)]


def _run(variants: Variants, spellings: Sequence[Spelling], points: Sequence[dict[str, np.ndarray]]) -> list[Results]:
    leaves = variants.request.leaves
    given = {s.leaves[name]: value for s, p in zip(spellings, points, strict=True) for name, value in p.items()}
    given |= {s.weights: weights_of(s) for s in spellings}
    sizes = Sizes(None)
    arrays = gather_inputs(leaves, {leaf: given[leaf] for leaf in leaves}, sizes, np.dtype("float64"), finite=False)
    binding = bind(variants.at(sizes.values), arrays, sizes)
    binding.run(0, 0, 0)
    outputs = {name: np.array(value) for name, value in binding.outputs.items()}
    results = []
    for k, s in enumerate(spellings):
        found = {name: outputs.get(f"g_{s.leaves[name].name}", np.zeros(np.shape(given[s.leaves[name]]))) for name in s.parameters}
        results.append(Results(outputs[f"row_{k}"], found))
    return results


def _flat(result: Results, rows: int, axes: int, count: int) -> Results:
    """The points in one axis again, padding dropped."""

    def flat(value: np.ndarray) -> np.ndarray:
        return value.reshape(rows, *value.shape[axes:])[:count]

    return Results(flat(result.values), {name: flat(value) for name, value in result.gradients.items()})


def _stacked(results: Sequence[Results]) -> Results:
    names = results[0].gradients
    return Results(np.stack([r.values for r in results]), {n: np.stack([r.gradients[n] for r in results]) for n in names})


def interpret(spellings: Sequence[Spelling], points: Sequence[dict[str, np.ndarray]]) -> list[Results]:
    """The same passes, evaluated in float64 by the reference interpreter in place of a compiled module."""
    results = []
    for s, given in zip(spellings, points, strict=True):
        value, cost = stabilise([s.expression.term, s.cost.term])
        arrays = [array_of(leaf_expr(s.leaves[name])) for name in s.parameters]
        terms = open_reductions(simplify([value, *gradients(cost, arrays)]))
        axes = [tuple(axis for axis in s.expression.axes if axis is not None), *(canonical_axes(array.shape) for array in arrays)]
        values = {**{s.leaves[name]: value for name, value in given.items()}, s.weights: weights_of(s)}
        sizes = {f"V{s.row.width}": s.row.width, "P": len(next(iter(given.values())))}
        found = interpreted([tensor(term, a) for term, a in zip(terms, axes, strict=True)], values, sizes)
        results.append(Results(found[0], dict(zip(s.parameters, found[1:], strict=True))))
    return results
