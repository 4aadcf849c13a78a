"""The log marginal likelihood of Gaussian process regression, RBF kernel with a lengthscale per input, and its gradient."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.speed.workload import Counts, Data, System, Workload

D = 5


def data(N: int) -> Data:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    return {"X": X, "y": np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.1 * rng.normal(size=N)}


def point(data: Data) -> tuple[Data, Data]:
    return {"log_length": np.linspace(0.2, 0.8, D), "log_variance": np.array(0.3), "log_noise": np.array(-1.5)}, {}


def ours(name: str, data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Evaluated

    N, D_ = sv.dims("N D")
    X, y = sv.data("X", N, D_), sv.data("y", N)
    log_length, log_variance, log_noise = sv.param("log_length", D_), sv.param("log_variance"), sv.param("log_noise")

    def value(draw):
        z = X / sv.exp(log_length)
        distance = sv.sum((z[:, None] - z) ** 2, axis=-1)
        K = sv.exp(log_variance - 0.5 * distance) + sv.exp(log_noise) * sv.eye(N)
        return -0.5 * y @ sv.linalg.inv(K) @ y - 0.5 * sv.log(sv.linalg.det(K)) - 0.5 * N * np.log(2 * np.pi)

    return Evaluated(value, data, point(data)[0], name)


def jax(data: Data) -> System:
    import jax.numpy as jnp
    from jax.scipy.linalg import cho_solve

    from benchmarks.speed.peers import Jax

    def value(p, data):
        K = _kernel(p, data["X"]) + jnp.exp(p["log_noise"]) * jnp.eye(len(data["y"]))
        L = jnp.linalg.cholesky(K)
        quad = data["y"] @ cho_solve((L, True), data["y"])
        return -0.5 * quad - jnp.log(jnp.diag(L)).sum() - 0.5 * len(data["y"]) * np.log(2 * np.pi)

    return Jax(value, data, point(data)[0])


def _kernel(p, X):
    import jax.numpy as jnp

    z = X / jnp.exp(p["log_length"])
    return jnp.exp(p["log_variance"] - 0.5 * ((z[:, None] - z) ** 2).sum(-1))


def jax_by_hand(data: Data) -> System:
    import jax.numpy as jnp
    from jax.scipy.linalg import cho_solve

    from benchmarks.speed.peers import Jax

    def hand(p, data):
        X, y = data["X"], data["y"]
        noise, kernel, identity = jnp.exp(p["log_noise"]), _kernel(p, X), jnp.eye(len(y))
        L = jnp.linalg.cholesky(kernel + noise * identity)
        alpha, inverse = cho_solve((L, True), y), cho_solve((L, True), identity)
        value = -0.5 * y @ alpha - jnp.log(jnp.diag(L)).sum() - 0.5 * len(y) * np.log(2 * np.pi)
        G = 0.5 * (jnp.outer(alpha, alpha) - inverse)
        weighted = G * kernel
        z = X / jnp.exp(p["log_length"])
        by_length = 2 * ((z**2 * weighted.sum(1)[:, None]).sum(0) - (z * (weighted @ z)).sum(0))
        return value, {"log_length": by_length, "log_variance": weighted.sum(), "log_noise": noise * jnp.trace(G)}

    return Jax(None, data, point(data)[0], hand=hand)


def counts(data: Data) -> Counts:
    N = len(data["y"])
    return Counts(bytes=8 * 2 * N * N, flops=N**3 + 4 * D * N * N, calls=N * (N - 1) / 2)


def workload(N: int, automatic: float, hand: float) -> Workload:
    name = f"gaussian_process_{N}"
    return Workload(
        name, f"Gaussian process n={N:,} D=5, value and gradient", partial(data, N), point, partial(ours, name),
        {"jax": jax, "jax, gradient by hand": jax_by_hand}, counts, {"jax": automatic, "jax, gradient by hand": hand},
    )  # fmt: skip


WORKLOADS = [workload(500, 4.0, 2.5), workload(1_000, 6.0, 3.0)]
