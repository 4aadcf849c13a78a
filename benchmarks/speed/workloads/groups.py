"""Hierarchical regression with 85 groups, non-centred: y_n ~ N(mean + spread z_g(n) + x_n · weights, noise); mean field over everything."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from benchmarks.speed.workload import Counts, Data, System, Workload

FILE = Path(__file__).parents[3] / "examples" / "data" / "radon.csv"
GROUPS = 85
LATENTS = {"mean": (), "spread": (), "z": (GROUPS,), "weights": (3,), "noise": ()}


def data() -> Data:
    with open(FILE, newline="") as file:
        rows = list(csv.DictReader(file))
    counties = sorted({row["county"] for row in rows})
    return {
        "X": np.array([[float(row[name]) for name in ("log_uranium", "floor", "floor_by_county")] for row in rows]),
        "y": np.array([float(row["log_radon"]) for row in rows]),
        "group": np.array([counties.index(row["county"]) for row in rows]),
    }


def point(data: Data) -> tuple[Data, Data]:
    rng = np.random.default_rng(1)
    parameters, draws = {}, {}
    for name, shape in LATENTS.items():
        parameters[f"loc_{name}"] = 0.3 * rng.normal(size=shape)
        parameters[f"scale_{name}"] = rng.uniform(0.2, 0.6, shape)
        draws[f"eps_{name}"] = rng.normal(size=shape)
    return parameters, draws


def ours(data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Trained

    N, J, D = sv.dim("N"), sv.dim("J", GROUPS), sv.dim("D", 3)
    X, y, group = sv.data("X", N, D), sv.data("y", N), sv.data("group", N, dtype=sv.index(J))
    dims = {"mean": (), "spread": (), "z": (J,), "weights": (D,), "noise": ()}
    loc = {name: sv.param(f"loc_{name}", *shape) for name, shape in dims.items()}
    scale = {name: sv.param(f"scale_{name}", *shape, support=sv.positive) for name, shape in dims.items()}

    def bound(draw):
        eps = {name: draw(f"eps_{name}", *shape) for name, shape in dims.items()}
        u = {name: loc[name] + scale[name] * eps[name] for name in dims}
        spread, noise = sv.exp(u["spread"]), sv.exp(u["noise"])
        residual = (y - u["mean"] - spread * u["z"][group] - X @ u["weights"]) / noise
        likelihood = sv.sum(-0.5 * residual**2 - u["noise"] - 0.5 * np.log(2 * np.pi))
        normal = -0.5 * (u["mean"] ** 2 + sv.sum(u["z"] ** 2) + sv.sum(u["weights"] ** 2)) - 0.5 * (GROUPS + 4) * np.log(2 * np.pi)
        half = 2 * (np.log(2) - 0.5 * np.log(2 * np.pi)) - 0.5 * (spread**2 + noise**2) + u["spread"] + u["noise"]
        entropy = sum(sv.sum(sv.log(scale[name]) + 0.5 * eps[name] ** 2) for name in dims) + 0.5 * (GROUPS + 6) * np.log(2 * np.pi)
        return likelihood + normal + half + entropy

    start = {f"loc_{name}": np.zeros(shape) for name, shape in LATENTS.items()}
    start |= {f"scale_{name}": np.full(shape, 0.1) for name, shape in LATENTS.items()}
    return Trained(bound, data, start, "groups")


def numpyro(data: Data) -> System:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer.autoguide import AutoNormal
    from numpyro.infer.util import log_density

    from benchmarks.speed.peers import Numpyro

    def model(X, y, group):
        mean, spread = numpyro.sample("mean", dist.Normal(0.0, 1.0)), numpyro.sample("spread", dist.HalfNormal(1.0))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([GROUPS]).to_event(1))
        weights = numpyro.sample("weights", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        noise = numpyro.sample("noise", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(mean + spread * z[group] + X @ weights, noise), obs=y)

    def bound(parameters, draws):
        u = {name: parameters[f"loc_{name}"] + parameters[f"scale_{name}"] * draws[f"eps_{name}"] for name in LATENTS}
        latents = {name: jnp.exp(value) if name in ("spread", "noise") else value for name, value in u.items()}
        density = log_density(model, (data["X"], data["y"], data["group"]), {}, latents)[0] + u["spread"] + u["noise"]
        guide = sum(dist.Normal(parameters[f"loc_{name}"], parameters[f"scale_{name}"]).log_prob(u[name]).sum() for name in LATENTS)
        return density - guide

    return Numpyro(model, AutoNormal(model), tuple(jnp.asarray(data[name]) for name in ("X", "y", "group")), bound)


def counts(data: Data) -> Counts:
    N = len(data["y"])
    return Counts(bytes=8 * 5 * N, flops=20 * N, calls=0)


WORKLOADS = [
    Workload("groups", "hierarchical regression, 85 groups (radon)", data, point, ours, {"numpyro": numpyro}, counts, {"numpyro": 4.0})
]
