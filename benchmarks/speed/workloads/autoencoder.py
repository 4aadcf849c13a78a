"""A variational autoencoder 784-200-10-200-784 with Bernoulli pixels, one batch of 128, float32."""

from __future__ import annotations

import numpy as np

from benchmarks.speed.workload import Counts, Data, System, Workload

BATCH, PIXELS, HIDDEN, CODE = 128, 784, 200, 10
LAYERS = {"1": (PIXELS, HIDDEN), "m": (HIDDEN, CODE), "s": (HIDDEN, CODE), "2": (CODE, HIDDEN), "3": (HIDDEN, PIXELS)}


def data() -> Data:
    return {"x": (np.random.default_rng(0).random((BATCH, PIXELS)) < 0.2).astype(np.float32)}


def point(data: Data) -> tuple[Data, Data]:
    rng = np.random.default_rng(1)
    parameters = {}
    for name, (inputs, outputs) in LAYERS.items():
        parameters[f"W{name}"] = (rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32)
        parameters[f"b{name}"] = np.zeros(outputs, dtype=np.float32)
    return parameters, {"eps": rng.normal(size=(BATCH, CODE)).astype(np.float32)}


def ours(data: Data) -> System:
    import symvi as sv
    from benchmarks.speed.ours import Trained

    n, extents = sv.dim("N"), {"P": PIXELS, "H": HIDDEN, "Z": CODE}
    p, h, z = (sv.dim(name, size) for name, size in extents.items())
    x = sv.data("x", n, p)
    dims = {"1": (p, h), "m": (h, z), "s": (h, z), "2": (z, h), "3": (h, p)}
    W = {name: sv.param(f"W{name}", *shape, init=0.0) for name, shape in dims.items()}
    b = {name: sv.param(f"b{name}", shape[1]) for name, shape in dims.items()}

    def bound(draw):
        hidden = sv.tanh(x @ W["1"] + b["1"])
        mean, log_sd = hidden @ W["m"] + b["m"], hidden @ W["s"] + b["s"]
        code = mean + sv.exp(log_sd) * draw("eps", n, z)
        logits = sv.tanh(code @ W["2"] + b["2"]) @ W["3"] + b["3"]
        kl = 0.5 * sv.sum(mean**2 + sv.exp(2 * log_sd) - 2 * log_sd - 1)
        return sv.sum(x * logits - sv.softplus(logits)) - kl

    return Trained(bound, data, point(data)[0], "autoencoder", dtype="float32")


def jax(data: Data) -> System:
    import jax
    import jax.numpy as jnp

    from benchmarks.speed.peers import JaxTrained

    def value(p, data):
        hidden = jnp.tanh(data["x"] @ p["W1"] + p["b1"])
        mean, log_sd = hidden @ p["Wm"] + p["bm"], hidden @ p["Ws"] + p["bs"]
        code = mean + jnp.exp(log_sd) * data["eps"]
        logits = jnp.tanh(code @ p["W2"] + p["b2"]) @ p["W3"] + p["b3"]
        kl = 0.5 * (mean**2 + jnp.exp(2 * log_sd) - 2 * log_sd - 1).sum()
        return (data["x"] * logits - jax.nn.softplus(logits)).sum() - kl

    return JaxTrained(value, data, point(data)[0], lambda key: {"eps": jax.random.normal(key, (BATCH, CODE), dtype=jnp.float32)})


def counts(data: Data) -> Counts:
    weights = sum(a * b for a, b in LAYERS.values())
    inner = PIXELS * HIDDEN  # no gradient by the data
    return Counts(
        bytes=4 * (BATCH * PIXELS + 7 * weights),
        flops=BATCH * (6 * weights - 2 * inner),
        calls=BATCH * (2 * HIDDEN + 2 * CODE + 2 * PIXELS),
    )


TITLE = "variational autoencoder 784-200-10-200-784, batch 128, float32"
WORKLOADS = [Workload("autoencoder", TITLE, data, point, ours, {"jax": jax}, counts, {"jax": 1.2}, 1e-4, "float32")]
