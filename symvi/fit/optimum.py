"""The result of `maximize`: parameters in the user's space, the history of the bound, evaluation of expressions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from symvi.array.expression import Expr, as_expr
from symvi.errors import NonFiniteError
from symvi.expr.leaf import Leaf
from symvi.fit.function import evaluate_many
from symvi.fit.leaves import Sizes, as_values, collect_leaves
from symvi.fit.objective import Objective
from symvi.fit.progress import run_chunks
from symvi.fit.trainer import Trainer

__all__ = ["Optimum"]

STREAM_EVAL = 2


class Optimum:
    """What `sv.maximize` and `sv.minimize` return: `optimum[w]`, `params`, `history`, `value`, `eval(expression)`, `resume(steps)`."""

    def __init__(self, objective: Objective, trainer: Trainer, sign: int, seed: int, averaged: bool):
        self.objective, self.trainer, self.sign, self.seed, self.averaged = objective, trainer, sign, seed, averaged
        self.seconds = 0.0
        self.interrupted = False

    # -- parameters --------------------------------------------------------------------------------------------
    @cached_property
    def values(self) -> dict[Leaf, np.ndarray]:
        """Every parameter by leaf, in the user's space."""
        raw = self.trainer.raw_parameters(self.averaged and self.trainer.step > self.trainer.averaging[0])
        return self.objective.constrain(raw, self.trainer.sizes)

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Every parameter by name, in the user's space."""
        return {leaf.name: array for leaf, array in self.values.items()}

    def __getitem__(self, parameter: Expr | str) -> np.ndarray:
        (leaf,) = as_values({parameter: None}, list(self.values), "the parameters")
        return self.values[leaf]

    @property
    def history(self) -> np.ndarray:
        """The bound at every step."""
        return self.sign * self.trainer.history

    @property
    def value(self) -> float:
        """The mean of the bound over the last tenth of the steps (at most 100), or its value if it is deterministic."""
        if not self.objective.is_stochastic and not self.objective.batch_size:
            return float(self.sign * self.trainer.evaluate(1)[0])
        window = max(1, min(100, len(self.history) // 10))
        return float(self.history[-window:].mean())

    # -- use ---------------------------------------------------------------------------------------------------
    def eval(self, expression: Any, data: Mapping | None = None, n: int = 1, sizes: Mapping | None = None):
        """The value of an expression at the fitted parameters: the mean over `n` draws of its noise.

        `data` replaces arrays of the fit, also by arrays of other sizes.
        """
        expression = as_expr(expression)
        values, known = self._arrays(expression, data or {}, Sizes(sizes))
        draws = (evaluate_many([expression], values, known, seed=self.seed, stream=STREAM_EVAL, step=draw)[0] for draw in range(n))
        return sum(draws) / n if n > 1 else next(draws)

    def _arrays(self, expression: Expr, data: Mapping, known: Sizes) -> tuple[dict[Leaf, Any], Sizes]:
        """Arrays and sizes for an expression: the caller's, else those of the fit."""
        leaves = collect_leaves([expression.term])
        given = as_values(data, leaves, "data")
        for leaf, value in given.items():
            known.learn_from(leaf, value)
        values: dict[Leaf, Any] = {}
        for leaf in leaves:
            if leaf in given:
                values[leaf] = given[leaf]
            elif leaf in self.values:
                values[leaf] = self.values[leaf]
            elif leaf in self.trainer.data:
                values[leaf] = self.trainer.data[leaf].reshape([d.size(self.trainer.sizes.values) for d in leaf.shape])
        for name, size in self.trainer.sizes.values.items():
            if name not in known.values:
                known.set(name, size, "the fit")
        return values, known

    def resume(self, steps: int, max_seconds: float | None = None, progress: bool = False) -> Optimum:
        """Go on from the last finite state."""
        self.__dict__.pop("values", None)
        try:
            self.interrupted = run_chunks(self.trainer, steps, (), progress, max_seconds, self.sign) == "interrupted"
        except NonFiniteError as error:
            error.fit = self
            raise
        return self

    @property
    def kernel(self):
        """The compiled module of value and gradient."""
        return self.trainer.result.compiled

    def __repr__(self) -> str:
        return f"<symvi optimum after {self.trainer.step:,} steps: {', '.join(self.params)}>"
