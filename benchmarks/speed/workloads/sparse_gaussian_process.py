"""Sparse Gaussian processes under a softmax: the likelihood term alone, and a whole step of the categorical latent Gaussian process.

f_nc = k_n' K^-1 u_c + sqrt(1 - k_n' K^-1 k_n) e_nc,   Σ_n log softmax(f_n)[y_n],   k_n = k(x_n, Z),  K = k(Z, Z)
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.speed.workload import Counts, Data, System, Workload

EXAMPLES = Path(__file__).parents[3] / "examples"
N, M, C, Q = 100_000, 20, 10, 2
JITTER, LEAST = 1e-6, 1e-10


def data() -> Data:
    rng = np.random.default_rng(0)
    return {"Y": np.eye(C)[rng.integers(C, size=N)], "e": rng.normal(size=(N, C))}


def point(data: Data) -> tuple[Data, Data]:
    rng = np.random.default_rng(1)
    return {"x": rng.normal(size=(N, Q)), "Z": 1.5 * rng.normal(size=(M, Q)), "U": rng.normal(size=(C, M)), "l": np.array([1.0, 0.8])}, {}


def ours(data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Evaluated

    n, m, c, q = sv.dim("N"), sv.dim("M"), sv.dim("C", C), sv.dim("Q", Q)
    Y, e = sv.data("Y", n, c), sv.data("e", n, c)
    x, Z, U = (sv.param(name, *dims, init=0.0) for name, dims in {"x": (n, q), "Z": (m, q), "U": (c, m)}.items())
    l = sv.param("l", q)

    def value(draw):
        def k(a, b):
            return sv.exp(-0.5 * sv.sum(((a[:, None] - b) / l) ** 2, axis=-1))

        Knm, A = k(x, Z), k(x, Z) @ sv.linalg.inv(k(Z, Z) + JITTER * sv.eye(m))
        rest = sv.sqrt(sv.maximum(1 - sv.sum(A * Knm, axis=1), LEAST))
        return sv.sum(Y * sv.log_softmax(A @ U.mT + rest[:, None] * e))

    return Evaluated(value, data, point(data)[0], "sparse_gp")


def _jax_value(p, data, weights):
    import jax.numpy as jnp
    from jax.nn import log_softmax

    def k(a, b):
        return jnp.exp(-0.5 * (((a[:, None] - b) / p["l"]) ** 2).sum(-1))

    Knm, Kmm = k(p["x"], p["Z"]), k(p["Z"], p["Z"]) + JITTER * jnp.eye(M)
    A = weights(Kmm, Knm)
    rest = jnp.sqrt(jnp.maximum(1 - (A * Knm).sum(1), LEAST))
    return (data["Y"] * log_softmax(A @ p["U"].T + rest[:, None] * data["e"])).sum()


def jax(explicit: bool, data: Data) -> System:
    import jax.numpy as jnp
    from jax.scipy.linalg import cho_factor, cho_solve

    from benchmarks.speed.peers import Jax

    def solved(Kmm, Knm):
        return cho_solve(cho_factor(Kmm, lower=True), Knm.T).T

    def inverted(Kmm, Knm):
        return Knm @ jnp.linalg.inv(Kmm)

    return Jax(lambda p, d: _jax_value(p, d, inverted if explicit else solved), data, point(data)[0])


def counts(data: Data) -> Counts:
    return Counts(bytes=8 * N * (2 * C + 2 * Q), flops=N * (4 * M * M + 6 * M * C + 10 * M * Q), calls=N * (M + C + 1))


# ------------------------------------------------------------------------------------------------------ the whole step
ROWS, D, K, M_, Q_ = 683, 10, 10, 20, 3


def clgp_data() -> Data:
    table = np.genfromtxt(EXAMPLES / "data" / "breast_cancer_wisconsin_original.csv", delimiter=",", skip_header=1)[:, 1:]
    table = table[np.isfinite(table).all(axis=1)].astype(int)
    table[:, -1] //= 2
    codes, sizes = table - 1, np.array([10] * 9 + [2])
    return {
        "Y": (np.arange(K) == codes[:, :, None]).astype(float),
        "absent": np.where(np.arange(K) < sizes[:, None], 0.0, -1e3),
    }


def clgp_point(data: Data) -> tuple[Data, Data]:
    rng = np.random.default_rng(1)
    parameters = {
        "m": rng.normal(size=(ROWS, Q_)), "sd": rng.uniform(0.05, 0.2, (ROWS, Q_)), "mu": 0.1 * rng.normal(size=(D, K, M_)),
        "C": 0.1 * np.eye(M_) + 0.01 * np.tril(rng.normal(size=(D, M_, M_))),
        "Z": 1.5 * rng.normal(size=(M_, Q_)), "l": np.array([1.0, 0.9, 1.1]), "s": rng.uniform(0.8, 1.2, D),
    }  # fmt: skip
    draws = {"e_x": rng.normal(size=(ROWS, Q_)), "e_u": rng.normal(size=(D, K, M_)), "e_f": rng.normal(size=(ROWS, D, K))}
    return parameters, draws


def clgp_ours(data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Trained

    sys.path.insert(0, str(EXAMPLES))
    import clgp

    def bound(draw):
        noise, sv.noise = sv.noise, draw
        try:
            return clgp.model()[0]
        finally:
            sv.noise = noise

    return Trained(bound, data, clgp_point(data)[0], "clgp")


def clgp_jax(data: Data) -> System:
    import jax
    import jax.numpy as jnp
    from jax.nn import log_softmax
    from jax.scipy.linalg import cho_factor, cho_solve

    from benchmarks.speed.peers import JaxTrained

    def k(a, b, l):
        return jnp.exp(-0.5 * (((a[:, None] - b) / l) ** 2).sum(-1))

    def value(p, data):
        C = jnp.tril(p["C"])
        x = p["m"] + p["sd"] * data["e_x"]
        u = p["mu"] + jnp.einsum("dkm,djm->dkj", data["e_u"], C)
        Kmm, Knm = k(p["Z"], p["Z"], p["l"]) + 1e-6 * jnp.eye(M_), k(x, p["Z"], p["l"])
        factor = cho_factor(Kmm, lower=True)
        A = cho_solve(factor, Knm.T).T
        rest = jnp.sqrt(jnp.maximum(1 - (A * Knm).sum(1), 1e-10))
        f = p["s"][:, None] * (jnp.einsum("nm,dkm->ndk", A, u) + rest[:, None, None] * data["e_f"]) + data["absent"]
        kl_x = 0.5 * (p["m"] ** 2 + p["sd"] ** 2 - jnp.log(p["sd"] ** 2) - 1).sum()
        log_det = 2 * jnp.log(jnp.diag(factor[0])).sum() - jnp.log(jnp.diagonal(C, axis1=1, axis2=2) ** 2).sum(-1)
        solved = jax.vmap(lambda c: cho_solve(factor, c @ c.T))(C)
        kl_u = 0.5 * K * (jnp.trace(solved, axis1=1, axis2=2) - M_ + log_det).sum()
        kl_u += 0.5 * (p["mu"] * cho_solve(factor, p["mu"].reshape(-1, M_).T).T.reshape(p["mu"].shape)).sum()
        return (data["Y"] * log_softmax(f)).sum() - kl_x - kl_u

    shapes = {name: array.shape for name, array in clgp_point(data)[1].items()}

    def normals(key):
        keys = jax.random.split(key, len(shapes))
        return {name: jax.random.normal(one, shape) for one, (name, shape) in zip(keys, shapes.items(), strict=True)}

    return JaxTrained(value, data, clgp_point(data)[0], normals)


def clgp_counts(data: Data) -> Counts:
    products = 4 * M_ * M_ + 6 * M_ * D * K + 10 * M_ * Q_
    return Counts(bytes=8 * ROWS * (2 * D * K + 8 * Q_), flops=ROWS * products, calls=ROWS * (M_ + D * K + D))


WORKLOADS = [
    Workload(
        "sparse_gp", "sparse GP softmax N=100,000 M=20 C=10 Q=2, value and gradient", data, point, ours,
        {"jax": partial(jax, False), "jax, explicit inverse": partial(jax, True)}, counts, {"jax": 15.0, "jax, explicit inverse": 4.5},
    ),
    Workload(
        "clgp", "categorical latent Gaussian process, Wisconsin data", clgp_data, clgp_point, clgp_ours, {"jax": clgp_jax}, clgp_counts,
        {"jax": 3.0},
    ),
]  # fmt: skip
