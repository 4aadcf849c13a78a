"""The table of a fit: one row per entry of every latent and deterministic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

__all__ = ["Summary", "summarise"]

LONGEST = 60  # rows that are printed
PROBABILITIES = (0.05, 0.5, 0.95)


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
            lines.append(f"... {len(self.rows) - LONGEST:,} more rows; summary[name] has the arrays")
        return "\n".join(lines)

    __repr__ = __str__


def summarise(fit, n: int) -> Summary:
    """Posterior moments and quantiles of everything that the model names."""
    rows, arrays = [], {}
    posterior = fit.posterior
    for name, expression in {**fit.observations.latent, **fit.model.deterministics}.items():
        mean, sd = posterior.moments(expression, {}, n, None)
        low, middle, high = np.quantile(posterior.draws(expression, {}, n, None), PROBABILITIES, axis=0)
        arrays[name] = {"mean": mean, "sd": sd, "q05": low, "q50": middle, "q95": high}
        rows += [
            (entry, *(float(np.asarray(array)[index]) for array in arrays[name].values()))
            for entry, index in _entries(fit, name, expression)
        ]
    return Summary(rows, arrays, fit.closing(kernel=False))


def _entries(fit, name: str, expression) -> Iterator[tuple[str, tuple[int, ...]]]:
    """`w[mean_radius]` and its index, for every entry; labels from the coordinates where there are any."""
    shape = tuple(dim.size(fit.sizes.values) for dim in expression.shape)
    labels = [fit.coords.get(str(dim), range(size)) for dim, size in zip(expression.shape, shape, strict=True)]
    for index in np.ndindex(shape):
        shown = ", ".join(str(own[i]) for own, i in zip(labels, index, strict=True))
        yield f"{name}[{shown}]" if index else name, index
