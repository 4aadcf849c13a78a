"""Draws of a fitted guide and of expressions at them, by the reference interpreter: vectorised over draws, no compilation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from symvi.array.expression import Expr, leaf_expr
from symvi.errors import DataError
from symvi.expect.lift import lift
from symvi.expr.labels import Label, sort_labels
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Contract, Reduce, Term, postorder
from symvi.fit.leaves import Sizes, as_values, bind_array, collect_leaves
from symvi.fit.noise import NoiseSource, generator_of
from symvi.fit.predictive import sample_distribution
from symvi.oracle.interpreter import evaluate
from symvi.stats.random_variable import RandomVariable, data_twin
from symvi.vi.context import Context

__all__ = ["Posterior"]

CHUNK = 4_000_000  # numbers in one array over draws
STREAM_SAMPLE, STREAM_PREDICT = 4, 5

Data = Mapping[Any, Any]


class Posterior:
    """The guide of a fit at its parameters: `values` by leaf, `data` of the fit by leaf."""

    def __init__(
        self,
        model,
        approximation,
        observations,
        values: Mapping[Leaf, np.ndarray],
        data: Mapping[Leaf, np.ndarray],
        sizes: Sizes,
        seed: int,
    ):
        self.model, self.approximation, self.observations = model, approximation, observations
        self.values, self.data, self.sizes, self.seed = values, data, sizes, seed
        self.particles = approximation.particles
        self.label = Label(self.particles, 0)
        self.rule = {**approximation.observed, **{leaf_expr(leaf): draw for leaf, draw in approximation.draws.items()}}

    # -- questions ---------------------------------------------------------------------------------------------
    def draws(self, expression: Expr, data: Data, n: int, seed: int | None) -> np.ndarray:
        """n draws of an expression of the model's variables, in the first axis."""
        (term,) = lift([expression], self.rule, self.particles)
        (result,) = self._evaluate([term], data, n, self._noise(seed, STREAM_SAMPLE))
        return np.array(self._ordered(expression, term, result))

    def sample(self, n: int, seed: int | None) -> dict[str, np.ndarray]:
        """Joint draws of every latent."""
        return {name: self.draws(variable, {}, n, seed) for name, variable in self.observations.latent.items()}

    def moments(self, expression: Expr, data: Data, n: int, seed: int | None) -> tuple[Any, Any]:
        """(mean, sd): exact for an unconstrained latent under a Gaussian block, else from draws."""
        exact = self._exact(expression) if not data else None
        if exact is not None:
            return exact
        draws = self.draws(expression, data, n, seed).astype(float)
        mean, sd = draws.mean(axis=0), draws.std(axis=0, ddof=1) if n > 1 else np.zeros(draws.shape[1:])
        return (mean, sd) if np.ndim(mean) else (float(mean), float(sd))

    def predict(self, variable: RandomVariable, data: Data, n: int, seed: int | None) -> np.ndarray:
        """Draws of an observed variable at draws of the latents, by NumPy."""
        context = Context({k: v for k, v in self.approximation.observed.items() if k != variable}, frozenset(), self.particles)
        context.draws = dict(self.approximation.draws)
        resolved = context.resolve_distribution(variable.dist).parameters
        results = self._evaluate([expression.term for expression in resolved.values()], data, n, self._noise(seed, STREAM_SAMPLE))
        parameters = {}
        for (name, expression), result in zip(resolved.items(), results, strict=True):
            inner = Expr(expression.term, expression.axes[1:] if expression.axes and expression.axes[0] == self.label else expression.axes)
            parameters[name] = self._ordered(inner, expression.term, result)
        _, sizes = self._known(data, [])
        shape = tuple(dim.size(sizes.values) for dim in variable.shape)
        generator = generator_of(self.seed if seed is None else seed, STREAM_PREDICT, variable.name)
        return sample_distribution(variable.dist, parameters, (n, *shape), generator)

    def weights(self, log_weight: Expr, n: int, stream: int) -> np.ndarray:
        """An expression over the axis of draws, at n independent draws."""
        (result,) = self._evaluate([log_weight.term], {}, n, NoiseSource(self.particles, self.seed, stream, antithetic=False))
        return np.array(result, dtype=float)

    def _noise(self, seed: int | None, stream: int) -> NoiseSource:
        return NoiseSource(self.particles, self.seed if seed is None else seed, stream)

    def _exact(self, expression: Expr) -> tuple[Any, Any] | None:
        leaf = expression.leaf
        block = self.approximation.block_of(leaf) if leaf is not None else None
        if block is None or leaf not in block.moments or not leaf.support.is_identity or block.reads:
            return None
        moments = block.moments[leaf]
        shape = tuple(dim.size(self.sizes.values) for dim in expression.shape)
        results = []
        for part in (moments.mean, moments.variance):
            (result,) = self._evaluate([part.term], {}, 1, self._noise(None, STREAM_SAMPLE))
            results.append(np.array(np.broadcast_to(self._ordered(part, part.term, result)[0], shape)))
        mean, sd = results[0], np.sqrt(results[1])
        return (mean, sd) if mean.ndim else (float(mean), float(sd))

    # -- evaluation --------------------------------------------------------------------------------------------
    def _known(self, data: Data, leaves: Iterable[Leaf]) -> tuple[dict[Leaf, np.ndarray], Sizes]:
        """The caller's arrays by leaf, and all sizes: theirs, else those of the fit."""
        variables = [variable.leaf for variable in self.model.variables.values()]
        twins = {variable.leaf: data_twin(variable).leaf for variable in self.model.variables.values()}
        known = dict.fromkeys([*leaves, *variables, *self.model.data.values()])
        taken = {leaf.name for leaf in variables}
        named = as_values(data, [leaf for leaf in known if leaf.name not in taken or leaf in twins], "data")
        sizes, given = Sizes(), {}
        for leaf, value in named.items():
            leaf = twins.get(leaf, leaf)
            given[leaf] = bind_array(leaf, value, np.dtype(float))
            sizes.learn(leaf, given[leaf])
        for name, size in self.sizes.values.items():
            if name not in sizes.values:
                sizes.set(name, size, "the fit")
        return given, sizes

    def _evaluate(self, terms: Iterable[Term], data: Data, n: int, noise: NoiseSource) -> list[np.ndarray]:
        """Terms with the draws in the first axis, the others in the order of their labels; evaluated in chunks of draws."""
        terms = list(terms)
        leaves = collect_leaves(terms)
        given, sizes = self._known(data, leaves)
        values = {leaf: self._value(leaf, given, sizes) for leaf in leaves if leaf.role != "noise"}
        values = {leaf: value for leaf, value in values.items() if value is not None}
        chunk = _chunk(terms, self.label, sizes.values)
        parts = []
        for start in range(0, n, chunk):
            count = min(chunk, n - start)
            extents = {**sizes.values, str(self.particles): count}
            for leaf in leaves:
                if leaf.role == "noise":
                    values[leaf] = noise.draw(leaf, tuple(dim.size(extents) for dim in leaf.array_shape))
            results = evaluate(terms, values, sizes=extents)
            parts.append([self._draws_first(term, result, count) for term, result in zip(terms, results, strict=True)])
        return [np.concatenate(column) if len(parts) > 1 else column[0] for column in zip(*parts, strict=True)]

    def _value(self, leaf: Leaf, given: Mapping[Leaf, np.ndarray], sizes: Sizes) -> np.ndarray | None:
        """The array of a leaf: the caller's, else the fit's (parameters by leaf or by name)."""
        by_name = {other.name: array for other, array in self.values.items()}
        for table, key in ((given, leaf), (self.values, leaf), (self.data, leaf), (by_name, leaf.name)):
            if key in table:
                array = table[key]
                break
        else:
            array = next((a for other, a in self.data.items() if other.name == leaf.name), leaf.attributes.get("value"))
        if array is None:
            return None
        shape = tuple(dim.size(sizes.values) for dim in leaf.array_shape)
        if np.size(array) != prod(shape):
            sized = {name.name for dim in leaf.shape for name in dim.names}
            names = {name for name in sized if sizes.values.get(name) != self.sizes.values.get(name)}
            told = ", ".join(f"{name} = {sizes.values[name]} instead of {self.sizes.values.get(name)}" for name in sorted(names))
            hint = "give it in data too" if leaf.role == "data" and leaf in self.data else "what is fitted for them has no value for others"
            raise DataError(f"the new data have {told}, but {leaf.name} is that of the fit: {hint}")
        return np.asarray(array).reshape(shape)

    def _draws_first(self, term: Term, result: np.ndarray, n: int) -> np.ndarray:
        labels = sort_labels(term.labels)
        if self.label not in labels:
            return np.broadcast_to(result, (n, *np.shape(result)))
        return np.moveaxis(result, labels.index(self.label), 0)

    def _ordered(self, expression: Expr, term: Term, result: np.ndarray) -> np.ndarray:
        """Axes in the order of the expression, extents of 1 put back, the draws first."""
        labels = [label for label in sort_labels(term.labels) if label != self.label]
        wanted = [axis for axis in expression.axes if axis is not None]
        missing = [axis for axis in wanted if axis not in labels]
        result = result.reshape(*result.shape, *[1] * len(missing))
        labels = [*labels, *missing]
        result = np.transpose(result, [0, *(1 + labels.index(axis) for axis in wanted)])
        shape = iter(result.shape[1:])
        return result.reshape(result.shape[0], *(1 if axis is None else next(shape) for axis in expression.axes))


def _chunk(terms: Iterable[Term], label: Label, sizes: Mapping[str, int]) -> int:
    """How many draws (an even number) keep the largest intermediate array below `CHUNK` numbers."""
    largest = 1
    for node in postorder(terms):
        if isinstance(node, Term):
            labels = node.labels | frozenset(node.bound) if isinstance(node, (Contract, Reduce)) else node.labels
            if label in labels or any(label in child.labels for child in node.children if isinstance(child, Term)):
                largest = max(largest, prod(axis.dim.size(sizes) for axis in labels if axis != label))
    return max(2, CHUNK // largest // 2 * 2)
