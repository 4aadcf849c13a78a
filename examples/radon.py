"""Hierarchical regression: radon in 919 houses of 85 Minnesota counties.

    log_radon_n ~ N(effect[county_n] + weights · x_n, noise),   effect_j = mean + spread z_j,   z_j ~ N(0, 1)

The county effects are written non-centred: z is what the guide approximates, one block per county. Rows can be
minibatched; `county` says which rows belong to which county.
"""

import csv
import sys
from pathlib import Path

import numpy as np

import symvi as sv

FILE = Path(__file__).parent / "data" / "radon.csv"


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Covariates (log uranium, floor, share of first floors in the county), response, county of each house, county names."""
    with open(FILE, newline="") as file:
        rows = list(csv.DictReader(file))
    counties = sorted({row["county"] for row in rows})
    covariates = np.array([[float(row[name]) for name in ("log_uranium", "floor", "floor_by_county")] for row in rows])
    response = np.array([float(row["log_radon"]) for row in rows])
    return covariates, response, np.array([counties.index(row["county"]) for row in rows]), counties


def main(batch_size: int | None = None) -> sv.Fit:
    Xv, yv, countyv, counties = load()

    N, J, D = sv.dims("N J D")
    X = sv.data("X", N, D)
    county = sv.data("county", N, dtype=sv.index(J))

    mean = sv.Normal("mean", 0, 1)
    spread = sv.HalfNormal("spread", 1)
    z = sv.Normal("z", 0, 1, shape=J)
    weights = sv.Normal("weights", 0, 1, shape=D)
    noise = sv.HalfNormal("noise", 1)
    effect = sv.deterministic("effect", mean + spread * z)
    log_radon = sv.Normal("log_radon", effect[county] + X @ weights, noise)

    fit = sv.fit(
        log_radon,
        {X: Xv, county: countyv, log_radon: yv},
        sizes={J: len(counties)},
        coords={J: counties, D: ["log_uranium", "floor", "floor_by_county"]},
        batch_size={N: batch_size} if batch_size else None,
    )
    print(fit.summary())
    return fit


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
