"""Held-out perplexity of the categorical latent Gaussian process and of two tables: `python benchmarks/clgp.py`.

The tables are the frequencies of each variable (multinomial), and the frequencies of each variable within bins of the mean of
the row's cells that were seen; one count is added to every category.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import clgp  # noqa: E402

BINS = (1, 2, 3, 4, 5, 6, 8, 10)


def row_means(codes: np.ndarray, seen: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The mean over the cells of a row that were seen, every variable scaled to [0, 1]; the overall mean for a row without any."""
    total, count = np.where(seen, codes / (sizes - 1), 0.0).sum(axis=1), seen.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), total.sum() / count.sum())


def table(codes: np.ndarray, seen: np.ndarray, sizes: np.ndarray, bins: int) -> np.ndarray:
    """Frequencies by bins of equal numbers of rows, as probabilities N × D × K."""
    means = row_means(codes, seen, sizes)
    edges = np.unique(np.quantile(means, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, means, side="right")
    result = np.zeros((*codes.shape, sizes.max()))
    for b in range(len(edges) + 1):
        rows = place == b
        if rows.any():
            result[rows] = clgp.multinomial(codes[rows], seen[rows], sizes)
    return result


def main(seeds: int = 5) -> None:
    codes, sizes = clgp.load()
    start = time.perf_counter()
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        held = clgp.hold_out(codes, seed)
        for bins in BINS:
            name = "multinomial" if bins == 1 else f"table of {bins} bins"
            found.setdefault(name, []).append(clgp.perplexity(table(codes, ~held, sizes, bins), codes, held))
        begun = time.perf_counter()
        _, probabilities, _ = clgp.train(codes, ~held, sizes, seed)
        found.setdefault("clgp", []).append(clgp.perplexity(probabilities, codes, held))
        found.setdefault("seconds of clgp", []).append(time.perf_counter() - begun)
    for name, values in found.items():
        print(f"{name:<20}" + "".join(f"{value:9.3f}" for value in values) + f"   mean {np.mean(values):.3f}")
    print(f"{time.perf_counter() - start:.1f} s in all")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
