"""The table of a fit: one row per entry of every latent and deterministic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

__all__ = ["Summary", "summarise"]

LONGEST = 60  # rows that are printed


@dataclass
class Summary:
    """Rows by name: mean, sd, 5%, 50%, 95%. `summary["w"]` gives the arrays of a variable."""

    rows: list[tuple[str, float, float, float, float, float]]
    arrays: dict[str, dict[str, np.ndarray]]
    title: str

    def __getitem__(self, name: str) -> dict[str, np.ndarray]:
        return self.arrays[name]

    def __str__(self) -> str:
        width = max([len(row[0]) for row in self.rows] + [8])
        lines = [self.title, f"{'':{width}} {'mean':>10} {'sd':>10} {'5%':>10} {'50%':>10} {'95%':>10}"]
        for name, *numbers in islice(self.rows, LONGEST):
            lines.append(f"{name:{width}} " + " ".join(f"{number:10.4g}" for number in numbers))
        if len(self.rows) > LONGEST:
            lines.append(f"... {len(self.rows) - LONGEST} more rows")
        return "\n".join(lines)

    __repr__ = __str__


def summarise(fit, n: int) -> Summary:
    """Posterior moments and quantiles of everything that the model names."""
    targets = {**fit.observations.latent, **fit.model.deterministics}
    rows, arrays = [], {}
    for name, expression in targets.items():
        mean, sd = fit.posterior.moments(expression, {}, n, None)
        quantiles = np.quantile(fit.posterior.draws(expression, {}, n, None), (0.05, 0.5, 0.95), axis=0)
        arrays[name] = {"mean": mean, "sd": sd, "q05": quantiles[0], "q50": quantiles[1], "q95": quantiles[2]}
        labels = [fit.coords.get(str(dim)) for dim in expression.shape]
        for index in np.ndindex(np.shape(mean)):
            shown = ", ".join(str(labels[k][i]) if labels[k] is not None else str(i) for k, i in enumerate(index))
            at = (lambda a, index=index: float(np.asarray(a)[index]))
            rows.append((f"{name}[{shown}]" if index else name, at(mean), at(sd), at(quantiles[0]), at(quantiles[1]), at(quantiles[2])))
    return Summary(rows, arrays, fit.closing().split(" | kernel")[0])
