"""`sv.fit`: a model and its data in, an approximate posterior out, with an honest verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symvi.array.expression import Expr
from symvi.errors import ExpressionError, ModelError, NonFiniteError
from symvi.expect.plates import find_plates
from symvi.expr import provenance
from symvi.expr.dims import Dim, dim
from symvi.fit.compile import check_dtype
from symvi.fit.converge import Convergence, adaptive_optimizer, converge
from symvi.fit.laplace import Laplace, LogJoint, block_covariances, find_mode
from symvi.fit.leaves import Sizes, as_values
from symvi.fit.maximize import _Inspectable
from symvi.fit.objective import Objective
from symvi.fit.observations import Observations, observe
from symvi.fit.progress import run_chunks
from symvi.fit.result import Fit
from symvi.fit.trainer import Trainer
from symvi.optim import Optimizer
from symvi.runtime import session
from symvi.stats.model import Model
from symvi.vi.approximate import approximate
from symvi.vi.elbo import elbo
from symvi.vi.guides import FULL_RANK_LIMIT, FullRank, Guide, LowRank, MeanField, Mode

__all__ = ["fit"]

DRAWS = dim("draws")


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
        max_seconds: stop after this time; the verdict says what was reached.
        check: test gradients and passes of the bound against the reference interpreter first.

    Returns a `Fit`. Errors: DataError, ShapeError, SupportError, PlateError, ModelError, NonFiniteError.
    """
    return _Fitting(locals()).run()


class _Fitting:
    """The stages of one call of `fit`."""

    def __init__(self, options: dict[str, Any]):
        self.options = options
        self.start = time.perf_counter()
        o = self.o = _Namespace(options)
        _check_options(o)
        self.model = o.model if isinstance(o.model, Model) else Model(o.model)
        self.sizes = Sizes(o.sizes)
        self.observations = observe(self.model, o.data, self.sizes, o.missing)
        site = provenance.here()
        self.name = _kernel_name(site.file if site else "model")
        self.dtype = check_dtype(o.dtype)

    @property
    def deadline(self) -> float | None:
        return None if self.o.max_seconds is None else self.start + self.o.max_seconds

    @property
    def left(self) -> float | None:
        return None if self.deadline is None else max(self.deadline - time.perf_counter(), 0.0)

    def run(self) -> Fit:
        o, observations = self.o, self.observations
        self._learn_anonymous()
        plates = self._plates()
        guide = self._guide(plates)
        joint = not isinstance(guide, MeanField)
        reference = isinstance(guide, (MeanField, FullRank, LowRank)) and not self.model.parameters
        stick = o.estimator != "pathwise" and isinstance(guide, (MeanField, FullRank))
        self.sizes.values["draws"] = particles = self._particles()
        approximation = approximate(
            self.model, guide, observations.observed.values(), DRAWS, plates, reference, stick, guide if isinstance(guide, Guide) else "auto"
        )
        bound = elbo(
            self.model, observed=list(observations.observed.values()), particles=DRAWS, entropy="stick" if stick else "closed",
            missing=list(observations.missing.values()), approximation=approximation,
        )  # fmt: skip
        objective = Objective(bound, self.name, self.dtype, o.batch_size)
        laplace, reference_data = self._laplace(bound, plates, joint) if reference and not session.inspect_only else (None, {})
        given = {**observations.values, **self._reference_values(approximation, reference_data)}
        raw = objective.initial(self.sizes, o.seed)
        default = o.optimizer is None and o.steps is None
        optimizer = o.optimizer if o.optimizer is not None else adaptive_optimizer()
        trainer = Trainer(objective, given, optimizer, self.sizes, o.seed, raw, rate=0.02, incomplete=observations.incomplete)
        session.record(self.name, _Inspectable(trainer))
        result = Fit(self.model, bound, objective, trainer, observations, self.sizes, laplace, guide, particles, o.seed, o.coords)
        result.compile_seconds = time.perf_counter() - self.start
        if session.inspect_only:
            return result
        self._announce(result, o.progress)
        if o.check:
            from symvi.fit.checks import check_bound

            check_bound(trainer)
        self._train(trainer, result, default, laplace)
        result.seconds = time.perf_counter() - self.start
        result.conclude(o.progress)
        return result

    # -- choices -----------------------------------------------------------------------------------------------
    def _learn_anonymous(self) -> None:
        from symvi.array.substitution import leaves_of

        for leaf in leaves_of(self.model.logp):
            if leaf.role == "anonymous":
                self.sizes.learn(leaf, leaf.attributes["value"])
            if leaf.role == "param" and isinstance(leaf.init, np.ndarray):
                self.sizes.learn(leaf, leaf.init)
        for variable in self.model.variables.values():
            self.sizes.require(variable.shape)

    def _plates(self) -> frozenset[Dim]:
        dims = {d for leaf in self.observations.values for d in leaf.shape if d.is_name}
        dims |= {d for v in self.observations.latent.values() for d in v.shape if d.is_name}
        return find_plates(self.model, dims)

    def _particles(self) -> int:
        if self.o.particles != "auto":
            return int(self.o.particles)
        rows = max((v.shape[0] for v in self.observations.values.values() if v.ndim), default=1)
        return 8 if rows <= 20_000 or self.o.batch_size else 2

    def _guide(self, plates: frozenset[Dim]) -> Any:
        guide = self.o.guide
        if guide == "auto":
            size = 0
            for variable in self.observations.latent.values():
                shape = [d for d in variable.support.unconstrained_shape(variable.shape) if d not in plates]
                size += int(np.prod([d.size(self.sizes.values) for d in shape], dtype=np.int64))
            return FullRank() if size <= FULL_RANK_LIMIT else LowRank(8)
        named = {"meanfield": MeanField, "fullrank": FullRank}
        if isinstance(guide, str) and guide in named:
            return named[guide]()
        if guide == "lowrank":
            return LowRank(8)
        if isinstance(guide, type) and issubclass(guide, Guide):
            return guide()
        return guide

    # -- the Laplace approximation -----------------------------------------------------------------------------
    def _laplace(self, bound, plates: frozenset[Dim], joint: bool) -> tuple[Laplace | None, dict[str, np.ndarray]]:
        density = elbo(
            self.model, Mode(joint), list(self.observations.observed.values()), plates=plates, missing=list(self.observations.missing.values())
        )  # fmt: skip
        problem = LogJoint(density, self.observations.values, self.sizes, f"{self.name}_mode", incomplete=self.observations.incomplete)
        self._starting_point(problem, density)
        laplace = find_mode(problem, deadline=self.deadline)
        values: dict[str, np.ndarray] = {}
        if laplace.found:
            covariances = block_covariances(problem, laplace)
            for leaf in problem.parameters:
                name = leaf.name.removesuffix("_mode")
                values[f"{name}_center"] = problem.part(laplace.mode, leaf).copy()
                values[f"{name}_unit"] = np.linalg.cholesky(covariances[leaf]) if joint else self._conditional_sd(problem, laplace, leaf, covariances[leaf])
        return laplace, values

    @staticmethod
    def _conditional_sd(problem: LogJoint, laplace: Laplace, leaf, covariance: np.ndarray) -> np.ndarray:
        """What a mean-field guide finds for a Gaussian posterior: the sd of each value given all others."""
        if laplace.hessian is None:
            return np.sqrt(np.ascontiguousarray(np.diagonal(covariance, axis1=-2, axis2=-1)))
        return 1.0 / np.sqrt(problem.part(np.diagonal(laplace.hessian).copy(), leaf))

    def _starting_point(self, problem: LogJoint, density) -> None:
        starting = as_values(self.o.init or {}, [v.leaf for v in self.observations.latent.values()], "init")
        for block in density.approximation.blocks:
            for latent in block.latents:
                if latent.leaf not in starting:
                    continue
                value = latent.support.inverse(np.asarray(starting[latent.leaf], dtype=float))
                leaf = next(p for p in problem.parameters if p.name == f"{block.name}_mode")
                if block.places and not block.plates:
                    offset, shape = block.places[latent.name]
                    begin = offset.size(self.sizes.values)
                    problem.part(problem.theta, leaf).reshape(-1)[begin : begin + value.size] = value.ravel()
                elif len(block.latents) == 1 and problem.part(problem.theta, leaf).size == value.size:
                    problem.part(problem.theta, leaf)[...] = value.reshape(problem.part(problem.theta, leaf).shape)

    def _reference_values(self, approximation, found: Mapping[str, np.ndarray]) -> dict:
        """Centre and unit of every block, from the Laplace approximation or their defaults."""
        values = {}
        for expression, default in approximation.reference.items():
            leaf = expression.leaf
            shape = tuple(d.size(self.sizes.values) for d in leaf.shape)
            array = found.get(leaf.name)
            if array is None or array.size != int(np.prod(shape)):
                array = default(shape) if array is None or "unit" not in leaf.name else _unit_of_shape(array, shape)
            values[leaf] = np.ascontiguousarray(array).reshape(shape)
        return values

    # -- training ----------------------------------------------------------------------------------------------
    def _announce(self, result: Fit, progress: bool) -> None:
        if progress:
            print(result.headline())

    def _train(self, trainer: Trainer, result: Fit, default: bool, laplace: Laplace | None) -> None:
        if laplace is not None and laplace.ill_posed:
            result.convergence = Convergence(why=laplace.why)
            return
        try:
            if default and not trainer.objective.is_stochastic and not trainer.objective.batch_size:
                from symvi.fit.deterministic import Scipy, maximize_deterministic

                outcome = maximize_deterministic(trainer, Scipy("lbfgs"), 2000, self.o.callbacks, self.left)
                result.convergence = Convergence(outcome is not None and bool(outcome.success), "" if outcome is not None else "the time was up", 0.0, trainer.step)
            elif default:
                result.convergence = converge(
                    trainer, max_seconds=self.left, callbacks=self.o.callbacks, progress=self.o.progress, width=_width(result.bound, self.sizes)
                )
                result.averaged = bool(result.convergence.windows)
            else:
                steps = 2000 if self.o.steps is None else int(self.o.steps)
                trainer.averaging[:] = (trainer.step + steps // 2, 0.0)
                interrupted = run_chunks(trainer, steps, self.o.callbacks, self.o.progress, self.left)
                result.averaged = trainer.step > trainer.averaging[0]
                result.convergence = _judge_run(trainer, interrupted)
        except NonFiniteError as error:
            result.error = error
            result.convergence = Convergence(why=str(error), steps=trainer.step)
            if trainer.step == 0:
                raise


def _width(bound, sizes: Sizes) -> int:
    """The size of the largest joint block."""
    blocks = bound.approximation.blocks
    return max([block.size.size(sizes.values) for block in blocks if block.family not in ("mean field", "point", "prior")], default=1)


def _judge_run(trainer: Trainer, interrupted: bool) -> Convergence:
    """A run of a given number of steps has converged if the second half of its history does not drift."""
    from symvi.fit.diagnostics import drift

    history = trainer.history[len(trainer.history) // 2 :]
    if interrupted or len(history) < 40:
        return Convergence(False, "interrupted" if interrupted else "too few steps to judge", steps=trainer.step, interrupted=interrupted)
    trend = drift(history)
    steady = trend.stationary(tolerance=1e-8 * max(1.0, abs(float(history.mean()))))
    why = "" if steady else f"the bound still moved by {trend.change:.3g} over the last {len(history):,} steps"
    return Convergence(steady, why, steps=trainer.step)


class _Namespace:
    def __init__(self, options: Mapping[str, Any]):
        self.__dict__.update(options)


def _check_options(o: Any) -> None:
    if o.target != "cpu":
        raise ExpressionError(f'target is "cpu", not {o.target!r}')
    if o.objective != "elbo":
        raise ExpressionError(f'objective is "elbo", not {o.objective!r}')
    if o.estimator not in (None, "pathwise", "stick"):
        raise ExpressionError(f'estimator is None, "pathwise" or "stick", not {o.estimator!r}')
    if o.noise != "auto":
        raise ExpressionError(f'noise is "auto", not {o.noise!r}')
    if o.restarts != 1:
        raise ModelError("restarts other than 1 are not available")
    if o.particles != "auto" and (isinstance(o.particles, bool) or not isinstance(o.particles, (int, np.integer)) or o.particles < 1):
        raise ExpressionError(f'particles is "auto" or a positive number of draws, not {o.particles!r}')


def _unit_of_shape(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A low-rank guide takes standard deviations where the Laplace approximation gives a factor."""
    if array.ndim == len(shape) + 1:
        return np.sqrt((array**2).sum(axis=-1)).reshape(shape)
    return array.reshape(shape)


def _kernel_name(file: str) -> str:
    stem = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
    name = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in stem).strip("_") or "model"
    return name if not name[0].isdigit() else f"m{name}"
