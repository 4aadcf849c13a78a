"""`sv.fit`: a model and its data in, an approximate posterior out, with an honest verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symvi.array.expression import Expr
from symvi.array.substitution import leaves_of
from symvi.errors import DataError, NonFiniteError
from symvi.expect.plates import find_plates
from symvi.expr import provenance
from symvi.expr.dims import Dim, dim
from symvi.fit.converge import Convergence, adaptive_optimizer
from symvi.fit.coordinates import laplace_coordinates, reference_values
from symvi.fit.laplace import Laplace
from symvi.fit.leaves import Sizes
from symvi.fit.objective import Objective
from symvi.fit.observations import observe
from symvi.fit.options import Options
from symvi.fit.result import Fit
from symvi.fit.trainer import Trainer
from symvi.fit.training import train_default, train_steps
from symvi.optim import Optimizer
from symvi.runtime import session
from symvi.stats.model import Model
from symvi.vi.approximate import approximate, as_guide
from symvi.vi.elbo import elbo
from symvi.vi.guides import FULL_RANK_LIMIT, FullRank, Guide, LowRank, MeanField

__all__ = ["fit"]

DRAWS = dim("draws")
GAUSSIAN = (MeanField, FullRank, LowRank)
RANK = 8
MANY_ROWS = 20_000
STEPS = 2000


def fit(
    model: Model | Expr,
    data: Mapping[Any, Any],
    guide: Any = "auto",
    objective: str = "elbo",
    optimizer: Optimizer | None = None,
    steps: int | None = None,
    batch_size: Mapping[Dim, int] | None = None,
    particles: int | str = "auto",
    estimator: str | None = None,
    noise: str = "auto",
    init: Mapping | None = None,
    restarts: int = 1,
    missing: str = "error",
    sizes: Mapping | None = None,
    coords: Mapping | None = None,
    callbacks: Sequence[Callable] = (),
    check: bool = False,
    max_seconds: float | None = None,
    seed: int = 0,
    target: str = "cpu",
    dtype: Any = "float64",
    progress: bool = True,
) -> Fit:
    """Fit an approximate posterior to the latents of a model.

    Args:
        model: the observed random variable(s), or a `Model`.
        data: arrays by node or name; variables given here are observed, the others latent.
        guide: "auto", "meanfield", "fullrank", "lowrank", a guide object, or a dict from latents to random variables or guides.
        optimizer, steps: by default none is needed: the guide starts at a Laplace approximation and trains until the Monte
            Carlo error of every mean is below 0.02 posterior sd.
        batch_size: `{N: 256}` for minibatches over a plate.
        particles: draws per step.
        estimator: "pathwise" takes what it can in closed form, "stick" sticks the landing; by default the second.
        init: starting values of latents by node or name, in the user's space.
        missing: "error", or "drop" to leave missing entries of observed variables out of the likelihood.
        sizes: sizes of dims that no array tells. coords: labels of a dim's entries, for the summary.
        callbacks: called as `callback(step, bound)` after every chunk of steps; KeyboardInterrupt in one ends the fit as Ctrl-C does.
        max_seconds: stop after this time; the verdict says what was reached.
        check: test gradients of the bound, and facts that were asserted, against the reference interpreter first.
        dtype: float64 or float32 for the kernel. progress: print what was chosen and how it ended.

    Returns a `Fit`. Errors: DataError, ShapeError, SupportError, PlateError, ModelError; NonFiniteError if the bound becomes NaN or
    infinite: its attribute `fit` holds the fit at the last finite state, and `error.fit.resume()` continues.
    """
    options = Options(
        guide=guide, objective=objective, optimizer=optimizer, steps=steps, batch_size=batch_size, particles=particles, estimator=estimator,
        noise=noise, init=init, restarts=restarts, missing=missing, sizes=sizes, coords=coords, callbacks=callbacks, check=check,
        max_seconds=max_seconds, seed=seed, target=target, dtype=dtype, progress=progress,
    ).checked()  # fmt: skip
    return _Fitting(model, data, options).run()


class _Fitting:
    """The stages of one call of `fit`."""

    def __init__(self, model: Model | Expr, data: Mapping[Any, Any], options: Options):
        self.start = time.perf_counter()
        self.options = options
        self.deadline = None if options.max_seconds is None else self.start + options.max_seconds
        self.model = model if isinstance(model, Model) else Model(model)
        if not isinstance(data, Mapping):
            raise DataError(f"data is a dictionary from variables or their names to arrays, not {type(data).__name__}")
        self.sizes = Sizes(options.sizes)
        self.observations = observe(self.model, data, self.sizes, options.missing)
        self.observed = list(self.observations.observed.values())
        self.name = _kernel_name()
        self._learn_sizes()
        self.plates = self._plates()
        self.guide = self._guide()

    @property
    def left(self) -> float | None:
        """Seconds until the deadline."""
        return None if self.deadline is None else max(self.deadline - time.perf_counter(), 0.0)

    def run(self) -> Fit:
        options, fitted = self.options, self._build()
        if session.inspect_only:
            return fitted
        if options.progress:
            print(fitted.headline())
        if options.check:
            from symvi.fit.checks import check_bound

            check_bound(fitted)
        try:
            fitted.convergence = self._train(fitted)
        except NonFiniteError as error:
            fitted.convergence = Convergence(why=str(error), steps=fitted.trainer.step)
            error.fit = fitted
            raise
        finally:
            fitted.seconds = time.perf_counter() - self.start
        fitted.averaged = bool(fitted.convergence.windows) or fitted.trainer.step > fitted.trainer.averaging[0] > 0
        fitted.conclude(options.progress)
        return fitted

    # -- building ----------------------------------------------------------------------------------------------
    def _build(self) -> Fit:
        options = self.options
        self.sizes.values[str(DRAWS)] = self._particles()
        stick = options.estimator != "pathwise" and isinstance(self.guide, (MeanField, FullRank))
        reference = isinstance(self.guide, GAUSSIAN) and not self.model.parameters
        approximation = approximate(self.model, self.guide, self.observed, DRAWS, self.plates, reference, stick, self.default_guide)
        missing = list(self.observations.missing.values())
        entropy = "stick" if stick else "closed"
        bound = elbo(self.model, observed=self.observed, particles=DRAWS, entropy=entropy, missing=missing, approximation=approximation)
        objective = Objective(bound, self.name, options.dtype, options.batch_size)
        laplace, found = self._laplace() if reference and not session.inspect_only else (None, {})
        data = {**self.observations.values, **reference_values(approximation, found, self.sizes)}
        raw = objective.initial(self.sizes, options.seed, {} if reference else self._given_parameters(objective))
        optimizer = options.optimizer if options.optimizer is not None else adaptive_optimizer()
        incomplete = self.observations.incomplete
        trainer = Trainer(objective, data, optimizer, self.sizes, options.seed, raw, rate=0.02, incomplete=incomplete)
        session.record(self.name, trainer)
        fitted = Fit(self.model, bound, trainer, self.observations, options, self.guide, self.plates, laplace)
        fitted.compile_seconds = time.perf_counter() - self.start
        return fitted

    @property
    def default_guide(self) -> Any:
        """What latents get that a dict of guides does not name."""
        return self.guide if isinstance(self.guide, Guide) else "auto"

    def _given_parameters(self, objective: Objective) -> dict:
        """Starting values of free parameters from `init`, by leaf."""
        given = self.options.init or {}
        named = {key if isinstance(key, str) else getattr(key, "name", None): value for key, value in given.items()}
        return {leaf: named[leaf.name] for leaf in objective.parameters if leaf.name in named}

    def _laplace(self) -> tuple[Laplace, dict[str, np.ndarray]]:
        joint = not isinstance(self.guide, MeanField)
        return laplace_coordinates(
            self.model, self.observations, self.sizes, self.plates, joint, self.name, self.options.init, self.deadline
        )

    def _learn_sizes(self) -> None:
        """Sizes from arrays that stand in the model and from initial values."""
        for leaf in leaves_of(self.model.logp):
            if leaf.role == "anonymous":
                self.sizes.learn(leaf, leaf.attributes["value"])
            if leaf.role == "param" and isinstance(leaf.init, np.ndarray):
                self.sizes.learn(leaf, leaf.init)
        for variable in self.model.variables.values():
            self.sizes.require(variable.shape)

    def _plates(self) -> frozenset[Dim]:
        dims = {d for leaf in self.observations.values for d in leaf.shape if d.is_name}
        dims |= {d for variable in self.observations.latent.values() for d in variable.shape if d.is_name}
        return find_plates(self.model, dims)

    def _particles(self) -> int:
        if self.options.particles != "auto":
            return int(self.options.particles)
        return 8 if self.observations.rows() <= MANY_ROWS or self.options.batch_size else 2

    def _guide(self) -> Any:
        guide = self.options.guide
        if isinstance(guide, Mapping):
            return guide
        if guide == "auto":
            return FullRank() if self._global_size() <= FULL_RANK_LIMIT else LowRank(RANK)
        return LowRank(min(RANK, max(1, self._global_size() // 2))) if guide == "lowrank" else as_guide(guide)

    def _global_size(self) -> int:
        """Unconstrained values of all latents, per element of their plates."""
        size = 0
        for variable in self.observations.latent.values():
            shape = [d for d in variable.support.unconstrained_shape(variable.shape) if d not in self.plates]
            size += int(np.prod([d.size(self.sizes.values) for d in shape], dtype=np.int64))
        return size

    # -- training ----------------------------------------------------------------------------------------------
    def _train(self, fitted: Fit) -> Convergence:
        options, laplace = self.options, fitted.laplace
        if laplace is not None and laplace.ill_posed:
            return Convergence(why=laplace.why)
        if options.is_default:
            return train_default(fitted.trainer, self.left, options.callbacks, options.progress, **fitted.scale)
        return train_steps(fitted.trainer, options.steps or STEPS, self.left, options.callbacks, options.progress)


def _kernel_name() -> str:
    """The name of the kernel's file: the stem of the user's file."""
    site = provenance.here()
    stem = (site.file if site else "model").replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
    name = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in stem).strip("_") or "model"
    return name if not name[0].isdigit() else f"m{name}"
