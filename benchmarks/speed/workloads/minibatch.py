"""Minibatch logistic regression: the model of `logistic.py`, 1,024 of a million rows (or ten) at each step."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.speed.workload import Counts, Data, System, Workload
from benchmarks.speed.workloads import logistic

ROWS, WIDTH = 1_024, 50


def ours(name: str, data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Trained

    N, D = sv.dims("N D")
    X, y = sv.data("X", N, D), sv.data("y", N)
    loc, scale = sv.param("loc", D), sv.param("scale", D, support=sv.positive)

    def bound(draw):
        eps = draw("eps", D)
        w = loc + scale * eps
        eta = X @ w
        return sv.sum(y * eta - sv.softplus(eta)) - 0.5 * sv.sum(w**2) + 0.5 * sv.sum(eps**2) + sv.sum(sv.log(scale))

    return Trained(bound, data, {"loc": np.zeros(WIDTH), "scale": np.full(WIDTH, 0.1)}, name, batch_size=lambda sv: {N: ROWS})


def point(data: Data) -> tuple[Data, Data]:
    parameters, draws = logistic.point(1, data)
    return parameters, {"eps": draws["eps"][0]}


def numpyro(data: Data) -> System:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer.autoguide import AutoNormal
    from numpyro.infer.util import log_density

    from benchmarks.speed.peers import Numpyro

    def model(X, y, batch=ROWS):
        w = numpyro.sample("w", dist.Normal(0.0, 1.0).expand([X.shape[1]]).to_event(1))
        with numpyro.plate("rows", X.shape[0], subsample_size=batch):
            X_b, y_b = numpyro.subsample(X, event_dim=1), numpyro.subsample(y, event_dim=0)
            numpyro.sample("y", dist.Bernoulli(logits=X_b @ w), obs=y_b)

    def bound(parameters, draws):
        w = parameters["loc"] + parameters["scale"] * draws["eps"]
        density = log_density(lambda X, y: model(X, y, None), (data["X"], data["y"]), {}, {"w": w})[0]
        return density - dist.Normal(parameters["loc"], parameters["scale"]).log_prob(w).sum()

    return Numpyro(model, AutoNormal(model), (jnp.asarray(data["X"]), jnp.asarray(data["y"])), bound)


def counts(data: Data) -> Counts:
    return Counts(bytes=8 * ROWS * (WIDTH + 1), flops=4 * ROWS * WIDTH, calls=2 * ROWS)


def workload(name: str, N: int) -> Workload:
    return Workload(
        name, f"minibatches of 1,024, logistic regression N={N:,} D=50", partial(logistic.data, N, WIDTH), point, partial(ours, name),
        {"numpyro": numpyro}, counts, {"numpyro": 3.0},
    )  # fmt: skip


WORKLOADS = [workload("minibatch", 1_000_000), workload("minibatch_large", 10_000_000)]
