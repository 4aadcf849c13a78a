"""`sv.maximize` and `sv.minimize`: a bound of parameters, noise and data is trained by a compiled loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symvi.array.expression import Expr, as_expr
from symvi.errors import ExpressionError
from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf
from symvi.fit.compile import check_dtype
from symvi.fit.deterministic import Scipy, maximize_deterministic
from symvi.fit.function import evaluate_many
from symvi.fit.leaves import Sizes, as_values
from symvi.fit.objective import Objective
from symvi.fit.progress import run_chunks
from symvi.fit.trainer import Trainer
from symvi.optim import Adam, Optimizer
from symvi.runtime import session

__all__ = ["maximize", "minimize", "Optimum"]


class Optimum:
    """The result of `maximize`: parameters in the user's space, the history of the bound, evaluation of expressions."""

    def __init__(self, objective: Objective, trainer: Trainer, sign: int, seed: int, averaged: bool):
        self.objective, self.trainer, self.sign, self.seed, self.averaged = objective, trainer, sign, seed, averaged
        self.seconds = 0.0
        self.interrupted = False
        self._values: dict[Leaf, np.ndarray] | None = None

    # -- parameters --------------------------------------------------------------------------------------------
    @property
    def values(self) -> dict[Leaf, np.ndarray]:
        if self._values is None:
            raw = self.trainer.raw_parameters(self.averaged and self.trainer.step > self.trainer.averaging[0])
            self._values = self.objective.constrain(raw, self.trainer.sizes)
        return self._values

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
        total = None
        for draw in range(n):
            value = self._evaluate(expression, data or {}, sizes, draw)
            total = value if total is None else total + value
        return total / n if n > 1 else total

    def _evaluate(self, expression: Expr, data: Mapping, sizes: Mapping | None, draw: int):
        from symvi.fit.leaves import collect_leaves

        leaves = collect_leaves([expression.term])
        known = Sizes(sizes)
        given = as_values(data, leaves, "data")
        for leaf, array in given.items():
            known.learn(leaf, np.asarray(array))
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
        return evaluate_many([expression], values, known, seed=self.seed, stream=2, step=draw)[0]

    def resume(self, steps: int, progress: bool = False) -> Optimum:
        """Go on from where the run ended."""
        self._values = None
        self.interrupted = run_chunks(self.trainer, steps, (), progress, None, self.sign)
        return self

    @property
    def kernel(self):
        """The compiled module of value and gradient."""
        return self.trainer.result.compiled

    def __repr__(self) -> str:
        return f"<symvi optimum: {self.trainer.step} steps, bound {self.value:.6g}, parameters {', '.join(self.params)}>"


def maximize(
    bound: Any,
    data: Mapping | None = None,
    optimizer: Optimizer | str | None = None,
    steps: int | None = None,
    batch_size: Mapping[Dim, int] | None = None,
    seed: int = 0,
    init: Mapping | None = None,
    sizes: Mapping | None = None,
    average: bool = False,
    callbacks: Sequence[Callable] = (),
    max_seconds: float | None = None,
    target: str = "cpu",
    dtype: Any = "float64",
    progress: bool = True,
    name: str = "bound",
) -> Optimum:
    """Maximise a scalar bound over all its parameters.

    Args:
        bound: a scalar expression of parameters (`sv.param`), noise and data.
        data: arrays by leaf or name.
        optimizer: one of `sv.optim`, or "lbfgs" / "newton" (SciPy) for a deterministic bound. By default Adam for a
            stochastic bound, L-BFGS for a deterministic one.
        steps: number of steps (default 2,000), or of iterations.
        batch_size: `{N: 256}` takes 256 distinct rows of N at every step and scales the terms summed over N.
        init: starting values by parameter, in the user's space; else the `init` of the parameters.
        average: return averages of the iterates of the second half instead of the last one.
        callbacks: called as `callback(step, bound)` about ten times a second.
        max_seconds: stop after this time.

    Errors: DataError, ShapeError, SupportError for data; PlateError for a dim that cannot be batched; NonFiniteError with
    the sub-expression if the bound becomes NaN or infinite.
    """
    return _optimise(bound, data, optimizer, steps, batch_size, seed, init, sizes, average, callbacks, max_seconds, target, dtype, progress, name, 1)


def minimize(bound: Any, data: Mapping | None = None, **options: Any) -> Optimum:
    """Minimise a scalar; the arguments are those of `maximize`."""
    defaults = dict(optimizer=None, steps=None, batch_size=None, seed=0, init=None, sizes=None, average=False, callbacks=(), max_seconds=None,
                    target="cpu", dtype="float64", progress=True, name="cost")  # fmt: skip
    unknown = set(options) - set(defaults)
    if unknown:
        raise TypeError(f"minimize() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    o = {**defaults, **options}
    return _optimise(bound, data, o["optimizer"], o["steps"], o["batch_size"], o["seed"], o["init"], o["sizes"], o["average"], o["callbacks"],
                     o["max_seconds"], o["target"], o["dtype"], o["progress"], o["name"], -1)  # fmt: skip


def _optimise(bound, data, optimizer, steps, batch_size, seed, init, sizes, average, callbacks, max_seconds, target, dtype, progress, name, sign) -> Optimum:
    if target != "cpu":
        raise ExpressionError(f'target is "cpu", not {target!r}')
    start = time.perf_counter()
    objective = Objective(bound, name, check_dtype(dtype), batch_size, sign)
    stochastic = objective.is_stochastic or bool(batch_size)
    method = _method(optimizer, stochastic)
    steps = 2000 if steps is None else int(steps)
    known = Sizes(sizes)
    given = as_values(data or {}, objective.user_leaves, "data")
    for leaf, array in given.items():
        known.learn(leaf, np.asarray(array))
    for leaf in objective.user_leaves:
        if leaf.role in ("anonymous", "shared"):
            known.learn(leaf, leaf.attributes["value"])
        if leaf.role == "param" and isinstance(leaf.init, np.ndarray):
            known.learn(leaf, leaf.init)
    starting = as_values(init or {}, objective.parameters, "init")
    for leaf, array in starting.items():
        if np.ndim(array):
            known.learn(leaf, np.asarray(array))
    for leaf in objective.parameters:
        known.require(leaf.shape)
    raw = objective.initial(known, seed, starting)
    average_from = steps // 2 if average else np.inf
    trainer = Trainer(objective, given, Adam() if isinstance(method, Scipy) else method, known, seed, raw, average_from)
    result = Optimum(objective, trainer, sign, seed, average)
    session.record(name, _Inspectable(trainer))
    if session.inspect_only:
        return result
    if isinstance(method, Scipy):
        maximize_deterministic(trainer, method, steps, callbacks, max_seconds, sign)
    else:
        result.interrupted = run_chunks(trainer, steps, callbacks, progress, max_seconds, sign)
    result.seconds = time.perf_counter() - start
    return result


def _method(optimizer: Any, stochastic: bool) -> Optimizer | Scipy:
    if optimizer is None:
        return Adam() if stochastic else Scipy("lbfgs")
    if isinstance(optimizer, str):
        if optimizer in Scipy.METHODS:
            if stochastic:
                raise ExpressionError(f"{optimizer!r} needs a deterministic bound: this one draws noise or minibatches; use an optimiser of sv.optim")
            return Scipy(optimizer)
        raise ExpressionError(f'optimizer is one of sv.optim, "lbfgs" or "newton", not {optimizer!r}')
    if not isinstance(optimizer, Optimizer):
        raise ExpressionError(f'optimizer is one of sv.optim, "lbfgs" or "newton", not {optimizer!r}')
    return optimizer


class _Inspectable:
    """What `symvi inspect` sees of a fit."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def inspect(self, what: str = "python") -> str:
        from symvi.fit.inspection import inspect_result

        return inspect_result(self.trainer.result, what)


