"""`Fit`: an approximate posterior that can be asked for anything the model names.

Everything is in the user's space and reproducible from the seed. Expressions of the model's variables are evaluated at draws of
the guide; `data=` may bring arrays of other sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from symvi.array.expression import Expr, as_expr
from symvi.errors import DataError, NonFiniteError
from symvi.expr.leaf import Leaf
from symvi.fit.converge import Convergence
from symvi.fit.diagnostics import khat_limit, psis
from symvi.fit.estimate import FEWEST, MOST, Estimate, estimate_bound
from symvi.fit.headline import bound_text, counted, guide_text, home_path
from symvi.fit.laplace import Laplace
from symvi.fit.observations import Observations
from symvi.fit.options import Options
from symvi.fit.posterior import Posterior
from symvi.fit.storage import save
from symvi.fit.summary import Summary, summarise
from symvi.fit.trainer import Trainer
from symvi.fit.training import train_default, train_steps
from symvi.fit.weights import log_weights, weight_draws

__all__ = ["Fit"]

SUMMARY_DRAWS = 4000


class Fit:
    """The result of `sv.fit`."""

    def __init__(
        self,
        model,
        bound,
        trainer: Trainer,
        observations: Observations,
        options: Options,
        guide: Any,
        plates: frozenset,
        laplace: Laplace | None,
    ):
        self.model, self.bound, self.trainer, self.observations = model, bound, trainer, observations
        self.options, self.guide, self.plates, self.laplace = options, guide, plates, laplace
        self.coords = {str(dim): list(names) for dim, names in (options.coords or {}).items()}
        self.convergence = Convergence(why="no step was taken")
        self.averaged = False
        self.seconds = self.compile_seconds = 0.0
        self.estimate: Estimate | None = None

    # -- what was fitted ---------------------------------------------------------------------------------------
    @property
    def objective(self):
        return self.trainer.objective

    @property
    def sizes(self):
        return self.trainer.sizes

    @property
    def seed(self) -> int:
        return self.options.seed

    @property
    def reference(self) -> list[Leaf]:
        """The data leaves that hold the coordinates of the guide."""
        return [expression.leaf for expression in self.bound.approximation.reference]

    @property
    def scale(self) -> dict[str, Any]:
        """For `converge`: are coordinates in units of posterior sd, how wide is the largest joint block, what may rotate."""
        joint = [block for block in self.bound.approximation.blocks if block.family not in ("mean field", "point", "prior")]
        width = max([block.size.size(self.sizes.values) for block in joint], default=1)
        low_rank = [block for block in joint if block.family.startswith("low rank")]
        turning = [parameter.leaf for block in low_rank for parameter in block.parameters[1:]]  # scale and factor share the variance
        return {"measured": self.laplace is not None and self.laplace.found, "width": width, "unjudged": turning}

    @cached_property
    def values(self) -> dict[Leaf, np.ndarray]:
        """The guide's parameters by leaf, in the user's space."""
        return self.objective.constrain(self.trainer.raw_parameters(self.averaged), self.sizes)

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

    def draws(self, expression: Any, data: Mapping | None = None, n: int = SUMMARY_DRAWS, seed: int | None = None) -> np.ndarray:
        """n draws of an expression, in the first axis."""
        return self.posterior.draws(self._expression(expression), data or {}, n, seed)

    def mean(self, expression: Any, data: Mapping | None = None, n: int = SUMMARY_DRAWS, seed: int | None = None) -> np.ndarray:
        """The posterior mean: exact for an unconstrained latent under a Gaussian guide, else over `n` draws."""
        return self.posterior.moments(self._expression(expression), data or {}, n, seed)[0]

    eval = mean

    def sd(self, expression: Any, data: Mapping | None = None, n: int = SUMMARY_DRAWS, seed: int | None = None) -> np.ndarray:
        """The posterior standard deviation."""
        return self.posterior.moments(self._expression(expression), data or {}, n, seed)[1]

    def quantiles(
        self, expression: Any, probabilities: Sequence[float] = (0.05, 0.5, 0.95), data: Mapping | None = None, n: int = SUMMARY_DRAWS,
        seed: int | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Posterior quantiles; the probabilities are the first axis."""
        return np.quantile(self.draws(expression, data, n, seed), probabilities, axis=0)

    def predict(self, variable: Any = None, data: Mapping | None = None, n: int = 1000, seed: int | None = None) -> np.ndarray:
        """Posterior predictive draws of an observed variable (the first by default), in the first axis. `data` may bring new covariates."""
        variable = self.model.variable(variable if variable is not None else next(iter(self.observations.observed.values())))
        if variable.name not in self.observations.observed:
            raise DataError(f"{variable.name} is a latent; fit.sample() and fit.draws({variable.name}) draw it")
        return self.posterior.predict(variable, data or {}, n, seed)

    def elbo(self, n: int = 10_000) -> float:
        """The bound by n draws (rounded up to whole steps) at the fitted parameters."""
        return estimate_bound(self.trainer, self.averaged, n, n).value

    @cached_property
    def khat(self) -> float:
        """Pareto k-hat of the importance weights (Vehtari et al. 2024): below 0.7 the guide's draws can be trusted. NaN if not known."""
        try:
            weights = log_weights(self, self.khat_draws)
        except NonFiniteError:
            return float("inf")
        return float("nan") if weights is None else float(psis(weights).khat)

    @property
    def khat_draws(self) -> int:
        return weight_draws(self.observations.rows())

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
        if self.khat > khat_limit(self.khat_draws):
            why = f"; {self.laplace.why}" if self.laplace is not None and not self.laplace.found else ""
            return f"the guide misses mass of the posterior (k-hat){why}; a richer guide or another parametrisation would help"
        return "means are accurate to 0.02 posterior sd of the best member of the family"

    def headline(self) -> str:
        """What was chosen, printed before the fit starts."""
        latents = sum(int(np.prod([d.size(self.sizes.values) for d in v.shape])) for v in self.observations.latent.values())
        compiled = "cached kernel" if self.trainer.result.hit else f"compiled in {self.compile_seconds:.1f} s"
        counts = f"{counted(self.observations.count(), 'observation')}, {counted(latents, 'latent')}"
        return f"{counts} | guide: {self.guide_text()} | {self.bound_text()} | {compiled}"

    def guide_text(self) -> str:
        return guide_text(self.bound.approximation.blocks, self.options.guide == "auto")

    def bound_text(self) -> str:
        return bound_text(self.bound.resolution, counted(self.trainer.particles, "draw"))

    def closing(self, kernel: bool = True) -> str:
        """The last line of a fit."""
        place = f" | kernel: {home_path(self.kernel.path)}" if kernel else ""
        if self.estimate is None:
            return f"{self.verdict}: {self.advice}{place}"
        text = f"{self.verdict}: ELBO {self.estimate}"
        if not np.isnan(self.khat):
            text += f", k-hat {max(self.khat, 0.0):.2f} ({'good' if self.khat < khat_limit(self.khat_draws) else 'high'})"
        text += f", {self.seconds:.1f} s"
        return f"{text}{'' if self.verdict == 'converged' else '; ' + self.advice}{place}"

    def conclude(self, progress: bool) -> None:
        """Estimate bound and k-hat if there is something to judge; say how it went."""
        self.forget()
        if self.trainer.step and self.verdict != "ill_posed":
            try:
                self.estimate = estimate_bound(self.trainer, self.averaged, most=MOST if self.convergence.converged else FEWEST)
            except NonFiniteError as error:
                self.convergence.converged, self.convergence.why = False, f"the bound cannot be estimated: {error}"
        if progress:
            print(self.closing())

    def summary(self, n: int = SUMMARY_DRAWS) -> Summary:
        """Mean, sd and quantiles of every latent and deterministic, as a table that prints and indexes by name."""
        return summarise(self, n)

    def explain(self, timing: bool = False, as_text: bool = False) -> str | None:
        """Print which rule changed what on the way from the bound to its kernel, with your line; or give it as text."""
        return self.trainer.explain(timing, as_text)

    # -- going on ----------------------------------------------------------------------------------------------
    def resume(self, steps: int | None = None, max_seconds: float | None = None, callbacks: Sequence = (), progress: bool = False) -> Fit:
        """Continue from the last finite state: a number of steps, or until convergence if the fit chose its own rate."""
        trainer = self.trainer
        self.forget()
        try:
            if steps is None and self.options.optimizer is None:
                self.convergence = train_default(trainer, max_seconds, callbacks, progress, **self.scale)
            else:
                self.convergence = train_steps(trainer, steps or len(self.history) or 1000, max_seconds, callbacks, progress)
        except NonFiniteError as error:
            self.convergence = Convergence(why=str(error), steps=trainer.step)
            error.fit = self
            raise
        self.averaged = bool(self.convergence.windows) or trainer.step > trainer.averaging[0] > 0
        self.conclude(progress)
        return self

    def forget(self) -> None:
        """Drop what was computed from parameters that have changed."""
        self.estimate = None
        for name in ("values", "khat"):
            self.__dict__.pop(name, None)

    def save(self, path: str | Path) -> Path:
        """Store parameters, sizes, draws and history in a .npz file that `sv.load(path)` reads. No pickles."""
        return save(self, path)

    def _expression(self, expression: Any) -> Expr:
        if isinstance(expression, str):
            return self.model[expression]
        expression = as_expr(expression)
        if not expression.free_symbols and not expression.shape:
            raise DataError("the expression has no variables of the model")
        return expression

    def __repr__(self) -> str:
        bound = f", ELBO {self.estimate}" if self.estimate else ""
        return f"<symvi fit: {self.verdict}{bound}; {', '.join(self.observations.latent)}>"
