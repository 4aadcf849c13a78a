"""`sv.maximize` and `sv.minimize`: a bound of parameters, noise and data is trained by a compiled loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symvi.array.expression import mistake
from symvi.errors import ExpressionError, NonFiniteError
from symvi.expr.dims import Dim
from symvi.fit.checks import check_facts
from symvi.fit.compile import check_dtype
from symvi.fit.deterministic import Scipy, maximize_deterministic
from symvi.fit.leaves import Sizes, as_values
from symvi.fit.objective import Objective
from symvi.fit.optimum import Optimum
from symvi.fit.options import check_batch_size, check_optimizer, check_steps, check_target
from symvi.fit.progress import run_chunks
from symvi.fit.trainer import Trainer
from symvi.optim import Adam, Optimizer
from symvi.runtime import session

__all__ = ["maximize", "minimize", "Optimum"]

STEPS = 2000


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
    check: bool = False,
) -> Optimum:
    """Maximise a scalar bound over its parameters (`sv.param`).

    Args:
        data: arrays by leaf or name.
        optimizer: one of `sv.optim`; "lbfgs" or "newton" (SciPy) for deterministic bounds. Without it L-BFGS where the bound is
            deterministic, else Adam at rate 0.01.
        steps: how many (2,000 by default).
        batch_size: `{N: 256}` takes 256 rows of the plate N at every step and scales the terms summed over N.
        init: starting values by parameter, in the user's space; else the `init` of the parameters.
        average: return averages of the iterates of the second half instead of the last one.
        callbacks: called as `callback(step, bound)` about ten times a second.
        max_seconds: stop after this time.
        check: compare the facts stated by `sv.assume` with the data first.

    Errors: DataError, ShapeError, SupportError for data; PlateError for a dim that cannot be batched; NonFiniteError with
    the sub-expression if the bound becomes NaN or infinite: its attribute `fit` is the `Optimum` at the last finite state.
    """
    return _optimise(
        1, bound, data, optimizer, steps, batch_size, seed, init, sizes, average, callbacks, max_seconds, target, dtype, progress, name,
        check,
    )  # fmt: skip


def minimize(
    cost: Any,
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
    name: str = "cost",
    check: bool = False,
) -> Optimum:
    """Minimise a scalar; the arguments are those of `maximize`."""
    return _optimise(
        -1, cost, data, optimizer, steps, batch_size, seed, init, sizes, average, callbacks, max_seconds, target, dtype, progress, name,
        check,
    )  # fmt: skip


def _optimise(
    sign, bound, data, optimizer, steps, batch_size, seed, init, sizes, average, callbacks, max_seconds, target, dtype, progress, name,
    check,
) -> Optimum:
    start = time.perf_counter()
    check_target(target)
    check_steps(steps)
    check_batch_size(batch_size)
    objective = Objective(bound, name, check_dtype(dtype), batch_size, sign)
    if not objective.parameters:
        raise mistake("the bound has no parameters (sv.param) to be optimised", ExpressionError)
    method = _method(optimizer, objective.is_stochastic or bool(batch_size))
    steps = STEPS if steps is None else int(steps)
    given = as_values(data or {}, objective.user_leaves, "data")
    starting = as_values(init or {}, objective.parameters, "init")
    known = _sizes(objective, Sizes(sizes), given, starting)
    raw = objective.initial(known, seed, starting)
    loop_optimizer = Adam() if isinstance(method, Scipy) else method
    trainer = Trainer(objective, given, loop_optimizer, known, seed, raw, steps // 2 if average else float("inf"))
    result = Optimum(objective, trainer, sign, seed, average)
    session.record(name, trainer)
    if session.inspect_only:
        return result
    if check:
        check_facts(objective, trainer)
    try:
        if isinstance(method, Scipy):
            result.interrupted = maximize_deterministic(trainer, method, steps, callbacks, max_seconds, sign).interrupted
        else:
            result.interrupted = run_chunks(trainer, steps, callbacks, progress, max_seconds, sign) == "interrupted"
    except NonFiniteError as error:
        error.fit = result
        raise
    finally:
        result.seconds = time.perf_counter() - start
    return result


def _sizes(objective: Objective, known: Sizes, given: Mapping, starting: Mapping) -> Sizes:
    """Sizes from data, from arrays that stand in the bound and from starting values."""
    for leaf, value in given.items():
        known.learn_from(leaf, value)
    for leaf in objective.user_leaves:
        if leaf.role in ("anonymous", "shared"):
            known.learn_from(leaf, leaf.attributes["value"])
        if leaf.role == "param":
            known.learn_from(leaf, starting.get(leaf, leaf.init))
    for leaf in objective.parameters:
        known.require(leaf.shape)
    return known


def _method(optimizer: Any, stochastic: bool) -> Optimizer | Scipy:
    if optimizer is None:
        return Adam() if stochastic else Scipy("lbfgs")
    if optimizer in tuple(Scipy.METHODS):
        if stochastic:
            raise mistake(
                f"{optimizer!r} needs a deterministic bound: this one draws noise or minibatches; use an optimiser of sv.optim",
                ExpressionError,
            )
        return Scipy(optimizer)
    if isinstance(optimizer, str):
        raise mistake(f'optimizer is one of sv.optim, "lbfgs" or "newton", not {optimizer!r}', ExpressionError)
    check_optimizer(optimizer)
    return optimizer
