"""A bound over unconstrained parameters: supports become transforms, batched plates get their scale, the kernel is compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symvi.array.expression import Expr, array_of, as_expr, leaf_expr, mistake, shape_text
from symvi.errors import PlateError
from symvi.expect.minibatch import carried_dims, scale_plate
from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Term
from symvi.expr.printing import text
from symvi.expr.substitute import substitute
from symvi.fit.leaves import Sizes, collect_leaves, unique_names
from symvi.fit.pipeline import Request, Result, compile_request
from symvi.oracle.interpreter import evaluate
from symvi.plan.regions import Output

__all__ = ["Objective", "initial_array"]


class Objective:
    """A scalar bound to be maximised over its parameters.

    `raw` maps each parameter leaf to the leaf of its unconstrained value; a parameter without support is its own.
    `batch_size` maps plates to the number of rows of a step; `scales` are the scalar leaves N / |B|, one per sampled plate.
    """

    def __init__(self, bound: Any, name: str = "bound", dtype: str = "float64", batch_size: Mapping[Dim, int] | None = None, sign: int = 1):
        bound = as_expr(bound)
        if any(dim != 1 for dim in bound.shape):
            raise mistake(f"a bound is a scalar, {text(bound)} has dims {shape_text(bound.shape)}; sum or average it first")
        self.bound, self.name, self.dtype = bound, name, np.dtype(dtype)
        self.user_leaves = collect_leaves([bound.term])
        self.parameters = [leaf for leaf in self.user_leaves if leaf.role == "param"]
        self.raw: dict[Leaf, Leaf] = {}
        self.values: dict[Leaf, Expr] = {}
        term = self._unconstrained(bound.term if sign > 0 else (-bound).term)
        self.scales: dict[Dim, Leaf] = {}
        self.batch_size = dict(batch_size or {})
        for dim in self.batch_size:
            term = self._scaled(term, dim)
        request = Request([Output("value", term, ())], name=name, dtype=dtype, batched=tuple(self.batched_dims(term)))
        request.gradients = [array_of(leaf_expr(self.raw[leaf])) for leaf in self.parameters if self.raw[leaf] in request.leaves]
        self.term, self.request = term, request
        self.leaves = request.leaves
        self.names = unique_names(self.leaves)

    def _unconstrained(self, term: Term) -> Term:
        replacements = {}
        for leaf in self.parameters:
            support = leaf.support
            if support is None or support.is_identity:
                self.raw[leaf], self.values[leaf] = leaf, leaf_expr(leaf)
                continue
            raw = Leaf("param", f"{leaf.name}_raw", support.unconstrained_shape(leaf.shape), "f")
            self.raw[leaf], self.values[leaf] = raw, support.forward(leaf_expr(raw))
            replacements[array_of(leaf_expr(leaf))] = array_of(self.values[leaf])
        return substitute([term], replacements)[0] if replacements else term

    def _scaled(self, term: Term, dim: Dim) -> Term:
        if not isinstance(dim, Dim):
            raise PlateError(f"batch_size maps dims to numbers of rows, {dim!r} is not a dim")
        known = {d for leaf in self.user_leaves for d in leaf.shape}
        if dim not in known:
            raise PlateError(f"no leaf of the bound has the dim {dim}, so it cannot be minibatched")
        if dim.value is not None:
            advice = f"declare it by sv.dim({str(dim)!r})"
            raise PlateError(f"the size {dim.value} of {dim} is fixed in the model, so it cannot be minibatched; {advice}")
        leaf = Leaf("data", f"scale_{dim}", (), "f")
        self.scales[dim] = leaf
        return scale_plate(term, dim, leaf_expr(leaf).term)

    def batched_dims(self, term: Term | None = None) -> dict[Dim, Dim]:
        """Every dim whose extent a batch changes -> the sampled dim it goes with."""
        result = {}
        for dim in self.batch_size:
            result[dim] = dim
            for other in carried_dims(self.term if term is None else term, dim):
                result.setdefault(other, dim)
        return result

    def compile(self, sizes: Mapping[str, int] | None = None) -> Result:
        """The kernel of value and gradient, made for these sizes where it makes choices by size."""
        return compile_request(self.request, sizes)

    @property
    def is_stochastic(self) -> bool:
        """Does the bound draw noise?"""
        return any(leaf.role == "noise" for leaf in self.leaves)

    def initial(self, sizes: Sizes, seed: int = 0, given: Mapping[Leaf, Any] | None = None) -> dict[Leaf, np.ndarray]:
        """Unconstrained starting values by parameter leaf, float64."""
        generator = np.random.default_rng(seed)
        result = {}
        for leaf in self.parameters:
            shape = tuple(dim.size(sizes.values) for dim in leaf.shape)
            value = initial_array(leaf, shape, generator, (given or {}).get(leaf))
            support = leaf.support
            if support is not None and leaf in (given or {}):
                support.check(f"init of {leaf.name}: {leaf.name}", np.asarray(value, dtype=float), leaf.site)
            raw = value if support is None or support.is_identity else support.inverse(value)
            result[leaf] = np.ascontiguousarray(raw, dtype=np.float64).reshape([d.size(sizes.values) for d in self.raw[leaf].array_shape])
        return result

    def constrain(self, raw: Mapping[Leaf, np.ndarray], sizes: Sizes) -> dict[Leaf, np.ndarray]:
        """Parameters in the user's space from unconstrained values."""
        leaves = list(raw)
        arrays = evaluate(
            [array_of(self.values[leaf]) for leaf in leaves], {self.raw[leaf]: raw[leaf] for leaf in leaves}, sizes=dict(sizes.values)
        )
        shapes = [[dim.size(sizes.values) for dim in leaf.shape] for leaf in leaves]
        return {leaf: np.array(array, dtype=float).reshape(shape) for leaf, array, shape in zip(leaves, arrays, shapes, strict=True)}


def initial_array(leaf: Leaf, shape: Sequence[int], generator: np.random.Generator, given: Any = None) -> np.ndarray:
    """The starting value of a parameter: a number, an array, or an initialiser called with (shape, generator)."""
    init = leaf.init if given is None else given
    if callable(init):
        return np.asarray(init(tuple(shape), generator), dtype=np.float64)
    if init is None:
        init = getattr(leaf.support, "default", 0.0)
    array = np.asarray(init, dtype=np.float64)
    if array.ndim == 0 and shape:
        if leaf.support is not None and "lower" in leaf.support.matrix_facts:
            return np.broadcast_to(float(array or 1.0) * np.eye(shape[-1]), shape).copy()
        return np.full(shape, float(array))
    return array
