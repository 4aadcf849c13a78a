"""Draws of a fitted guide and of expressions at them, by the reference interpreter: vectorised over draws, no compilation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from symvi.array.expression import Expr, leaf_expr
from symvi.array.substitution import leaves_of
from symvi.expect.lift import lift
from symvi.expr.labels import Label, sort_labels
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Term
from symvi.fit.leaves import Sizes, as_values, collect_leaves
from symvi.oracle.interpreter import evaluate
from symvi.stats.random_variable import RandomVariable, data_twin
from symvi.vi.context import Context

__all__ = ["Posterior"]

CHUNK = 4_000_000  # numbers in one array over draws
STREAM_SAMPLE = 4


class Posterior:
    """The guide of a fit at its parameters."""

    def __init__(self, model, approximation, observations, values: Mapping[Leaf, np.ndarray], data: Mapping[Leaf, np.ndarray], sizes: Sizes, seed: int):
        self.model, self.approximation, self.observations = model, approximation, observations
        self.values, self.data, self.sizes, self.seed = values, data, sizes, seed
        self.particles = approximation.particles
        self.label = Label(self.particles, 0)
        self.rule = {**approximation.observed, **{leaf_expr(leaf): draw for leaf, draw in approximation.draws.items()}}

    # -- evaluation --------------------------------------------------------------------------------------------
    def _evaluate(self, terms: Iterable[Term], data: Mapping[Any, Any], n: int, stream: int, fixed: Mapping[Leaf, np.ndarray] | None = None) -> list[np.ndarray]:
        """Terms with the draws in the first axis; axes in the order of their labels."""
        terms = list(terms)
        leaves = collect_leaves(terms)
        given = as_values(data, [*leaves, *(v.leaf for v in self.model.variables.values())], "data")
        twins = {variable.leaf: data_twin(variable).leaf for variable in self.model.variables.values()}
        given = {twins.get(leaf, leaf): np.asarray(array) for leaf, array in given.items()}
        sizes = Sizes()
        for leaf, array in given.items():
            sizes.learn(leaf, array)
        for name, size in self.sizes.values.items():
            if name not in sizes.values:
                sizes.set(name, size, "the fit")
        sizes.values[str(self.particles)] = n
        values: dict[Leaf, np.ndarray] = {}
        for leaf in leaves:
            shape = tuple(dim.size(sizes.values) for dim in leaf.array_shape)
            if leaf.role == "noise":
                values[leaf] = (fixed or {}).get(leaf) if fixed and leaf in fixed else self._noise(leaf, shape, stream)
            elif leaf in given:
                values[leaf] = given[leaf].reshape(shape)
            elif leaf in self.values:
                values[leaf] = self.values[leaf].reshape(shape)
            elif leaf in self.data:
                values[leaf] = self.data[leaf].reshape(shape)
            elif leaf.attributes.get("value") is not None:
                values[leaf] = np.asarray(leaf.attributes["value"]).reshape(shape)
        results = evaluate(terms, values, sizes=dict(sizes.values))
        return [self._draws_first(term, result, n) for term, result in zip(terms, results, strict=True)]

    def _draws_first(self, term: Term, result: np.ndarray, n: int) -> np.ndarray:
        labels = sort_labels(term.labels)
        if self.label not in labels:
            return np.broadcast_to(result, (n, *np.shape(result)))
        return np.moveaxis(result, labels.index(self.label), 0)

    def _noise(self, leaf: Leaf, shape: tuple[int, ...], stream: int) -> np.ndarray:
        """Antithetic pairs of standard noise, a function of seed, stream and the leaf's name."""
        word = int.from_bytes(leaf.name.encode()[:16].ljust(16, b"\0"), "little") % 2**63
        generator = np.random.Generator(np.random.Philox(key=[(self.seed * 16 + stream) % 2**64, word]))
        if leaf.noise_kind == "normal":
            return self._antithetic(generator.standard_normal, shape, lambda e: -e)
        if leaf.noise_kind == "uniform":
            return self._antithetic(lambda s: np.clip(generator.random(s), 1e-300, None), shape, lambda u: 1 - u)
        if leaf.noise_kind == "exponential":
            return generator.standard_exponential(shape)
        return np.where(generator.random(shape) < 0.5, -1.0, 1.0)

    @staticmethod
    def _antithetic(draw, shape, mirror) -> np.ndarray:
        if not shape or shape[0] < 2:
            return draw(shape)
        half = draw((shape[0] // 2, *shape[1:]))
        rest = draw((shape[0] - 2 * half.shape[0], *shape[1:]))
        return np.concatenate([half, mirror(half), rest])

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

    # -- questions ---------------------------------------------------------------------------------------------
    def draws(self, expression: Expr, data: Mapping[Any, Any], n: int, seed: int | None, stream: int = STREAM_SAMPLE) -> np.ndarray:
        """n draws of an expression of the model's variables."""
        posterior = self if seed is None else self._with_seed(seed)
        (term,) = lift([expression], posterior.rule, posterior.particles)
        (result,) = posterior._evaluate([term], data, n, stream)
        result = posterior._ordered(expression, term, result)
        return np.array(np.broadcast_to(result, (n, *self._shape(expression, result))))

    def _shape(self, expression: Expr, result: np.ndarray) -> tuple[int, ...]:
        return result.shape[1:]

    def _with_seed(self, seed: int) -> Posterior:
        return Posterior(self.model, self.approximation, self.observations, self.values, self.data, self.sizes, seed)

    def sample(self, n: int, seed: int | None) -> dict[str, np.ndarray]:
        """Joint draws of every latent."""
        return {name: self.draws(variable, {}, n, seed) for name, variable in self.observations.latent.items()}

    def moments(self, expression: Expr, data: Mapping[Any, Any], n: int, seed: int | None) -> tuple[np.ndarray, np.ndarray]:
        """(mean, sd): exact for an unconstrained latent under a Gaussian block, else from draws."""
        exact = self._exact(expression) if not data else None
        if exact is not None:
            return exact
        draws = self.draws(expression, data, n, seed).astype(float)
        mean = draws.mean(axis=0)
        sd = draws.std(axis=0, ddof=1)
        return (mean, sd) if np.ndim(mean) else (float(mean), float(sd))

    def _exact(self, expression: Expr) -> tuple[np.ndarray, np.ndarray] | None:
        leaf = expression.leaf
        block = self.approximation.block_of(leaf) if leaf is not None else None
        if block is None or leaf not in block.moments or not leaf.support.is_identity or block.reads:
            return None
        moments = block.moments[leaf]
        results = []
        for part in (moments.mean, moments.variance):
            (result,) = self._evaluate([part.term], {}, 1, STREAM_SAMPLE)
            full = self._ordered(part, part.term, result)[0]
            shape = tuple(dim.size(self.sizes.values) for dim in expression.shape)
            results.append(np.array(np.broadcast_to(full, shape)))
        mean, sd = results[0], np.sqrt(results[1])
        return (mean, sd) if mean.ndim else (float(mean), float(sd))

    def predict(self, variable: RandomVariable, data: Mapping[Any, Any], n: int, seed: int | None) -> np.ndarray:
        """Draws of an observed variable at draws of the latents: by its pathwise sampler, else by NumPy's."""
        from symvi.fit.predictive import sample_distribution

        posterior = self if seed is None else self._with_seed(seed)
        names = [name for name, value in variable.dist.parameters.items() if value is not None]
        context = Context({k: v for k, v in self.approximation.observed.items() if k != variable}, frozenset(), self.particles)
        context.draws = dict(self.approximation.draws)
        resolved = context.resolve_distribution(variable.dist)
        parameters = {}
        for name in names:
            expression = resolved.parameters[name]
            (result,) = posterior._evaluate([expression.term], data, n, STREAM_SAMPLE)
            inner = Expr(expression.term, expression.axes[1:] if expression.axes and expression.axes[0] == self.label else expression.axes)
            parameters[name] = posterior._ordered(inner, expression.term, result)
        sizes = Sizes(self.sizes.values)
        for key, array in data.items():
            leaf = key.leaf if isinstance(key, Expr) else next(leaf for leaf in leaves_of(self.model.logp) if leaf.name == key)
            for dim, length in zip(leaf.shape, np.shape(array), strict=True):
                if dim.is_name:
                    sizes.values[str(dim)] = length
        shape = tuple(dim.size(sizes.values) for dim in variable.shape)
        generator = np.random.Generator(np.random.Philox(key=[(posterior.seed * 16 + 5) % 2**64, 7]))
        return sample_distribution(variable.dist, parameters, (n, *shape), generator)

    def log_weights(self, bound, n: int) -> np.ndarray | None:
        """log p(data, z) - log q(z) at n draws of the guide, independent draws."""
        weights = getattr(bound, "log_weight", None)
        if weights is None:
            return None
        (result,) = self._evaluate([weights.term], {}, n, STREAM_SAMPLE + 2)
        return np.array(result, dtype=float)
