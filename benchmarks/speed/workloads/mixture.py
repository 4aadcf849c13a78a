"""The marginal likelihood of a Gaussian mixture with diagonal covariances: Σ_n log Σ_k π_k Π_d N(x_nd | mu_kd, e^{2 s_kd})."""

from __future__ import annotations

import numpy as np

from benchmarks.speed.workload import Counts, Data, System, Workload

N, K, D = 100_000, 10, 2
HALF_LOG_2_PI = 0.5 * np.log(2 * np.pi)


def data() -> Data:
    rng = np.random.default_rng(0)
    centers = 3 * rng.normal(size=(K, D))
    return {"x": centers[rng.integers(K, size=N)] + 0.5 * rng.normal(size=(N, D))}


def point(data: Data) -> tuple[Data, Data]:
    rng = np.random.default_rng(1)
    return {"logits": rng.normal(size=K), "mu": 3 * rng.normal(size=(K, D)), "s": 0.3 * rng.normal(size=(K, D))}, {}


def ours(data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Evaluated

    n, k, d = sv.dim("N"), sv.dim("K", K), sv.dim("D", D)
    x, logits, mu, s = sv.data("x", n, d), sv.param("logits", k), sv.param("mu", k, d, init=0.0), sv.param("s", k, d, init=0.0)

    def value(draw):
        density = sv.sum(-0.5 * ((x[:, None, :] - mu) / sv.exp(s)) ** 2 - s - HALF_LOG_2_PI, axis=-1)
        return sv.sum(sv.logsumexp(sv.log_softmax(logits) + density, axis=-1))

    return Evaluated(value, data, point(data)[0], "mixture")


def jax(data: Data) -> System:
    import jax.numpy as jnp
    from jax.nn import log_softmax
    from jax.scipy.special import logsumexp

    from benchmarks.speed.peers import Jax

    def value(p, data):
        z = (data["x"][:, None, :] - p["mu"]) / jnp.exp(p["s"])
        density = (-0.5 * z**2 - p["s"] - HALF_LOG_2_PI).sum(-1)
        return logsumexp(log_softmax(p["logits"]) + density, axis=-1).sum()

    return Jax(value, data, point(data)[0])


def jax_expanded(data: Data) -> System:
    import jax.numpy as jnp
    from jax.nn import log_softmax
    from jax.scipy.special import logsumexp

    from benchmarks.speed.peers import Jax

    def value(p, data):
        x, precision = data["x"], jnp.exp(-2 * p["s"])
        square = (x**2) @ precision.T - 2 * x @ (p["mu"] * precision).T + (p["mu"] ** 2 * precision).sum(-1)
        density = -0.5 * square - (p["s"] + HALF_LOG_2_PI).sum(-1)
        return logsumexp(log_softmax(p["logits"]) + density, axis=-1).sum()

    return Jax(value, data, point(data)[0])


def counts(data: Data) -> Counts:
    return Counts(bytes=8 * N * D, flops=N * K * (4 * D + 6 + 4 * D), calls=N * (K + 1))


WORKLOADS = [
    Workload(
        "mixture", "Gaussian mixture N=100,000 K=10 D=2, value and gradient", data, point, ours,
        {"jax": jax, "jax, expanded squares": jax_expanded}, counts, {"jax": 18.0, "jax, expanded squares": 4.0},
    )
]  # fmt: skip
