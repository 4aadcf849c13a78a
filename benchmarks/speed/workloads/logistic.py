"""Bayesian logistic regression, mean field, pathwise: w ~ N(0, I), y_n ~ Bernoulli(σ(x_n · w))."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.speed.workload import Counts, Data, System, Workload


def data(N: int, D: int) -> Data:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    y = rng.random(N) < 1 / (1 + np.exp(-X @ rng.normal(size=D) / np.sqrt(D)))
    return {"X": X, "y": y.astype(float)}


def point(S: int, data: Data) -> tuple[Data, Data]:
    rng = np.random.default_rng(1)
    D = data["X"].shape[1]
    return {"loc": rng.normal(size=D), "scale": rng.uniform(0.5, 1.5, D)}, {"eps": rng.normal(size=(S, D))}


def ours(S: int, name: str, data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Trained

    N, D, S_ = *sv.dims("N D"), sv.dim("S", S)
    X, y = sv.data("X", N, D), sv.data("y", N)
    loc, scale = sv.param("loc", D), sv.param("scale", D, support=sv.positive)

    def bound(draw):
        eps = draw("eps", S_, D)
        w = loc + scale * eps
        eta = w @ X.mT
        likelihood = sv.sum(y * eta - sv.softplus(eta))
        return (likelihood - 0.5 * sv.sum(w**2) + 0.5 * sv.sum(eps**2)) / S_ + sv.sum(sv.log(scale))

    D_ = data["X"].shape[1]
    return Trained(bound, data, {"loc": np.zeros(D_), "scale": np.full(D_, 0.1)}, name)


def numpyro(S: int, data: Data) -> System:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer.autoguide import AutoNormal
    from numpyro.infer.util import log_density

    from benchmarks.speed.peers import Numpyro

    def model(X, y):
        w = numpyro.sample("w", dist.Normal(0.0, 1.0).expand([X.shape[1]]).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=X @ w), obs=y)

    def bound(parameters, draws):
        total = 0.0
        for eps in draws["eps"]:
            w = parameters["loc"] + parameters["scale"] * eps
            density = log_density(model, (data["X"], data["y"]), {}, {"w": w})[0]
            total += density - dist.Normal(parameters["loc"], parameters["scale"]).log_prob(w).sum()
        return total / S

    return Numpyro(model, AutoNormal(model), (jnp.asarray(data["X"]), jnp.asarray(data["y"])), bound, particles=S)


def counts(S: int, data: Data) -> Counts:
    N, D = data["X"].shape
    return Counts(bytes=8 * (N * D + N), flops=4 * S * N * D, calls=2 * S * N)


def workload(name: str, title: str, N: int, D: int, S: int, bar: float) -> Workload:
    return Workload(
        name, title, partial(data, N, D), partial(point, S), partial(ours, S, name), {"numpyro": partial(numpyro, S)}, partial(counts, S),
        {"numpyro": bar},
    )  # fmt: skip


WORKLOADS = [
    workload("logistic", "logistic regression N=100,000 D=50, 1 draw", 100_000, 50, 1, 3.8),
    workload("logistic_10_draws", "the same, 10 draws", 100_000, 50, 10, 3.0),
    workload("logistic_small", "logistic regression N=500 D=10", 500, 10, 1, 4.0),
]
