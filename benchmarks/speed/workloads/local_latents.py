"""Probabilistic principal components with a mean-field guide over every latent: z_n ~ N(0, I), x_n ~ N(W z_n, σ² I)."""

from __future__ import annotations

import numpy as np

from benchmarks.speed.workload import Counts, Data, System, Workload

N, D, Q = 50_000, 50, 5
LOG_2_PI = np.log(2 * np.pi)


def data() -> Data:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(N, Q)) @ rng.normal(size=(Q, D)) + 0.3 * rng.normal(size=(N, D))}


def point(data: Data) -> tuple[Data, Data]:
    rng = np.random.default_rng(1)
    parameters = {
        "loc": rng.normal(size=(N, Q)), "scale": rng.uniform(0.1, 0.5, (N, Q)), "W": rng.normal(size=(D, Q)), "log_noise": np.array(-0.5),
    }  # fmt: skip
    return parameters, {"eps": rng.normal(size=(N, Q))}


def ours(data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Trained

    n, d, q = sv.dim("N"), sv.dim("D", D), sv.dim("Q", Q)
    x, W, log_noise = sv.data("x", n, d), sv.param("W", d, q, init=0.0), sv.param("log_noise")
    loc, scale = sv.param("loc", n, q, init=0.0), sv.param("scale", n, q, support=sv.positive, init=0.1)

    def bound(draw):
        eps = draw("eps", n, q)
        z = loc + scale * eps
        residual = (x - z @ W.mT) / sv.exp(log_noise)
        likelihood = sv.sum(-0.5 * residual**2 - log_noise - 0.5 * LOG_2_PI)
        return likelihood - 0.5 * sv.sum(z**2) + sv.sum(sv.log(scale) + 0.5 * eps**2)

    start = point(data)[0]
    return Trained(bound, data, start, "local_latents")


def numpyro(data: Data) -> System:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer.autoguide import AutoNormal
    from numpyro.infer.util import log_density

    from benchmarks.speed.peers import Numpyro

    def model(x):
        W = numpyro.param("W", jnp.asarray(point(data)[0]["W"]))
        log_noise = numpyro.param("log_noise", jnp.asarray(-0.5))
        with numpyro.plate("rows", x.shape[0]):
            z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([Q]).to_event(1))
            numpyro.sample("x", dist.Normal(z @ W.T, jnp.exp(log_noise)).to_event(1), obs=x)

    def bound(parameters, draws):
        z = parameters["loc"] + parameters["scale"] * draws["eps"]
        values = {"z": z, "W": parameters["W"], "log_noise": parameters["log_noise"]}
        density = log_density(model, (data["x"],), {}, values)[0]
        return density - dist.Normal(parameters["loc"], parameters["scale"]).log_prob(z).sum()

    return Numpyro(model, AutoNormal(model), (jnp.asarray(data["x"]),), bound)


def counts(data: Data) -> Counts:
    return Counts(bytes=8 * N * (D + 2 * Q * 6), flops=N * D * Q * 6, calls=N * Q * 5)


WORKLOADS = [
    Workload(
        "local_latents", "probabilistic PCA N=50,000 D=50 Q=5, mean field over all z", data, point, ours, {"numpyro": numpyro}, counts,
        {"numpyro": 3.0},
    )
]  # fmt: skip
