"""`Fit`: an approximate posterior that can be asked for anything the model names.

Everything is in the user's space and reproducible from the seed. Expressions of the model's variables are evaluated at draws of
the guide; `data=` may bring arrays of other sizes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symvi.array.expression import Expr, as_expr
from symvi.errors import DataError
from symvi.expr.leaf import Leaf
from symvi.fit.converge import Convergence, converge
from symvi.fit.diagnostics import khat_limit, psis
from symvi.fit.posterior import Posterior
from symvi.fit.summary import Summary, summarise

__all__ = ["Fit"]

ELBO_DRAWS = 2000
SUMMARY_DRAWS = 4000


class Fit:
    """The result of `sv.fit`."""

    def __init__(self, model, bound, objective, trainer, observations, sizes, laplace, guide, particles: int, seed: int, coords: Mapping | None):
        self.model, self.bound, self.objective, self.trainer = model, bound, objective, trainer
        self.observations, self.sizes, self.laplace, self.guide = observations, sizes, laplace, guide
        self.particles, self.seed = particles, seed
        self.coords = {str(dim): list(names) for dim, names in (coords or {}).items()}
        self.convergence = Convergence(why="no step was taken")
        self.averaged = False
        self.error: Exception | None = None
        self.seconds = self.compile_seconds = 0.0
        self._values: dict[Leaf, np.ndarray] | None = None
        self._khat: float | None = None
        self._elbo: tuple[float, float] | None = None

    # -- what was fitted ---------------------------------------------------------------------------------------
    @property
    def values(self) -> dict[Leaf, np.ndarray]:
        """The guide's parameters by leaf, in the user's space."""
        if self._values is None:
            self._values = self.objective.constrain(self.trainer.raw_parameters(self.averaged), self.sizes)
        return self._values

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The guide's parameters (and free parameters of the model) by name."""
        return {leaf.name: array for leaf, array in self.values.items()}

    @property
    def posterior(self) -> Posterior:
        return Posterior(self.model, self.bound.approximation, self.observations, self.values, self.trainer.data, self.sizes, self.seed)

    @property
    def history(self) -> np.ndarray:
        """The bound at every step."""
        return self.trainer.history

    @property
    def kernel(self):
        """The compiled module of the bound and its gradients."""
        return self.trainer.result.compiled

    # -- questions ---------------------------------------------------------------------------------------------
    def sample(self, n: int = 1000, seed: int | None = None) -> dict[str, np.ndarray]:
        """n draws of every latent by name: arrays with the draws in the first axis."""
        return self.posterior.sample(n, seed)

    def eval(self, expression: Any, data: Mapping | None = None, n: int = SUMMARY_DRAWS, seed: int | None = None) -> np.ndarray:
        """The posterior mean of an expression of the model's variables: over `n` draws."""
        return self.mean(expression, data, n, seed)

    def draws(self, expression: Any, data: Mapping | None = None, n: int = SUMMARY_DRAWS, seed: int | None = None) -> np.ndarray:
        """n draws of an expression, in the first axis."""
        return self.posterior.draws(self._expression(expression), data or {}, n, seed)

    def mean(self, expression: Any, data: Mapping | None = None, n: int = SUMMARY_DRAWS, seed: int | None = None) -> np.ndarray:
        """The posterior mean; exact for an unconstrained latent under a Gaussian guide."""
        return self.posterior.moments(self._expression(expression), data or {}, n, seed)[0]

    def sd(self, expression: Any, data: Mapping | None = None, n: int = SUMMARY_DRAWS, seed: int | None = None) -> np.ndarray:
        """The posterior standard deviation."""
        return self.posterior.moments(self._expression(expression), data or {}, n, seed)[1]

    def quantiles(self, expression: Any, probabilities: Sequence[float] = (0.05, 0.5, 0.95), data: Mapping | None = None, n: int = SUMMARY_DRAWS):
        """Posterior quantiles; the probabilities are the first axis."""
        return np.quantile(self.draws(expression, data, n), probabilities, axis=0)

    def predict(self, variable: Any = None, data: Mapping | None = None, n: int = 1000, seed: int | None = None) -> np.ndarray:
        """Posterior predictive draws of an observed variable (the first root by default), in the first axis. `data` may bring new covariates."""
        variable = self.model.variable(variable if variable is not None else next(iter(self.observations.observed.values())))
        return self.posterior.predict(variable, data or {}, n, seed)

    def elbo(self, n: int = 10_000) -> float:
        """The bound by n draws (rounded up to whole steps) at the fitted parameters."""
        return self._estimate(n)[0]

    def _estimate(self, n: int, stream: int = 1) -> tuple[float, float]:
        """(ELBO, Monte Carlo standard error)."""
        trainer = self.trainer
        kept = trainer.raw_parameters()
        if self.averaged:
            trainer.set_parameters(trainer.raw_parameters(averaged=True))
        steps = max(2, -(-n // self.particles)) if trainer.objective.is_stochastic or trainer.objective.batch_size else 1
        try:
            history = trainer.evaluate(steps, stream)
        finally:
            trainer.set_parameters(kept)
        error = float(history.std(ddof=1) / np.sqrt(steps)) if steps > 1 else 0.0
        return float(history.mean()), error

    @property
    def khat(self) -> float:
        """Pareto k-hat of the importance weights of the guide (Vehtari et al. 2024): below 0.7 its draws can be trusted."""
        if self._khat is None:
            self._khat = self._tail()
        return self._khat

    def _tail(self) -> float:
        if self.trainer.objective.batch_size or not self.trainer.objective.is_stochastic:
            return float("nan")
        weights = self.posterior.log_weights(self.bound, ELBO_DRAWS)
        return float(psis(weights).khat) if weights is not None else float("nan")

    # -- verdict -----------------------------------------------------------------------------------------------
    @property
    def verdict(self) -> str:
        """converged, not_converged or ill_posed."""
        if self.laplace is not None and self.laplace.ill_posed:
            return "ill_posed"
        return "converged" if self.convergence.converged else "not_converged"

    @property
    def advice(self) -> str:
        """One sentence: the evidence, and what to do."""
        if self.verdict == "ill_posed":
            return f"{self.laplace.why}; give it a proper prior, or more data"
        if self.verdict == "not_converged":
            return f"{self.convergence.why or 'the run ended early'}; fit.resume() continues"
        khat = self.khat
        if khat > khat_limit(ELBO_DRAWS):
            return "the guide misses mass of the posterior (k-hat); a richer guide would help where its sd matters"
        return "means are accurate to 0.02 posterior sd of the best member of the family"

    def headline(self) -> str:
        """What was chosen, printed before the fit starts."""
        latents = sum(int(np.prod([d.size(self.sizes.values) for d in v.shape])) for v in self.observations.latent.values())
        observed = self.observations.count()
        compiled = "cached kernel" if self.trainer.result.hit else f"compiled in {self.compile_seconds:.1f} s"
        plural = "" if latents == 1 else "s"
        return f"{observed:,} observation{'' if observed == 1 else 's'}, {latents:,} latent{plural} | guide: {self.guide_text()} | {self.bound_text()} | {compiled}"

    def guide_text(self) -> str:
        families = dict.fromkeys(block.family for block in self.bound.approximation.blocks)
        return ", ".join(families)

    def bound_text(self) -> str:
        return self.bound.describe().replace("draws draws", f"{self.particles} draws")

    def conclude(self, progress: bool) -> None:
        """Estimate bound and k-hat; say how it went."""
        if self.error is None and self.verdict != "ill_posed":
            self._elbo = self._estimate(ELBO_DRAWS)
        if progress:
            print(self.closing())

    def closing(self) -> str:
        """The last line of a fit."""
        kernel = self.kernel.path.replace(os.path.expanduser("~"), "~")
        if self._elbo is None:
            return f"{self.verdict}: {self.advice} | kernel: {kernel}"
        khat = self.khat
        good = f", k-hat {khat:.2f} ({'good' if khat < khat_limit(ELBO_DRAWS) else 'high'})" if khat == khat else ""
        text = f"{self.verdict}: ELBO {self._elbo[0]:.2f} ± {self._elbo[1]:.2f}{good}, {self.seconds:.1f} s"
        if self.verdict != "converged":
            text += f"; {self.advice}"
        return f"{text} | kernel: {kernel}"

    def summary(self, n: int = SUMMARY_DRAWS) -> Summary:
        """Mean, sd and quantiles of every latent and deterministic, as a table that prints and indexes by name."""
        return summarise(self, n)

    # -- going on ----------------------------------------------------------------------------------------------
    def resume(self, steps: int | None = None, max_seconds: float | None = None, progress: bool = True) -> Fit:
        """Continue from the last finite state: a number of steps, or until convergence."""
        from symvi.fit.progress import run_chunks

        self._values = self._khat = None
        self.error = None
        if steps is None:
            self.convergence = converge(self.trainer, max_seconds=max_seconds, progress=progress)
            self.averaged = bool(self.convergence.windows)
        else:
            self.averaged = False
            interrupted = run_chunks(self.trainer, steps, (), progress, max_seconds)
            self.convergence = Convergence(False, f"{steps:,} more steps were taken", steps=self.trainer.step, interrupted=interrupted)
        self.conclude(progress)
        return self

    def save(self, path: str | Path) -> Path:
        """Store parameters, sizes and history in a .npz file; `sv.load(path, model)` reads it. No pickles."""
        from symvi.fit.storage import save

        return save(self, path)

    def _expression(self, expression: Any) -> Expr:
        if isinstance(expression, str):
            return self.model[expression]
        expression = as_expr(expression)
        if not expression.free_symbols and not expression.shape:
            raise DataError("the expression has no variables of the model")
        return expression

    def __repr__(self) -> str:
        elbo = f", ELBO {self._elbo[0]:.2f}" if self._elbo else ""
        return f"<symvi fit: {self.verdict}{elbo}; {', '.join(self.observations.latent)}>"
