"""The peers' side: NumPyro as its documentation recommends (jitted updates under `lax.scan`), JAX with `jit(value_and_grad)`."""

from __future__ import annotations

import numpy as np

__all__ = ["setup", "Numpyro", "Jax", "JaxTrained"]


def setup(dtype: str) -> None:
    """Double precision where the workload has it; to be called before anything is traced."""
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")


class Numpyro:
    """Stochastic variational inference with an automatic guide.

    `bound(parameters, draws)` is the same ELBO at given draws, built from NumPyro's own log density of `model`.
    """

    def __init__(self, model, guide, arguments, bound, rate=1e-3, particles=1, **options):
        import jax
        from numpyro.infer import SVI, Trace_ELBO
        from numpyro.optim import Adam

        self.jax, self.bound, self.arguments = jax, bound, tuple(jax.device_put(a) for a in arguments)
        self.svi = SVI(model, guide, Adam(rate), Trace_ELBO(num_particles=particles), **options)
        self.state = self.svi.init(jax.random.PRNGKey(0), *self.arguments)
        self.compiled = {}
        self.run(1)

    def agree(self, parameters, draws):
        value, gradient = self.jax.jit(self.jax.value_and_grad(self.bound))(parameters, draws)
        return float(value), {name: np.asarray(g) for name, g in gradient.items()}

    def run(self, steps: int) -> None:
        jax = self.jax
        if steps not in self.compiled:

            def body(state, _):
                state, loss = self.svi.update(state, *self.arguments)
                return state, loss

            self.compiled[steps] = jax.jit(lambda state: jax.lax.scan(body, state, None, length=steps))
        self.state, losses = self.compiled[steps](self.state)
        jax.block_until_ready(losses)


class Jax:
    """`jit(value_and_grad(value))` of parameters, with data as arguments. `hand` gives both without automatic differentiation."""

    def __init__(self, value, data, start, hand=None):
        import jax

        self.jax = jax
        self.data = {name: jax.device_put(array) for name, array in data.items()}
        self.start = {name: jax.device_put(array) for name, array in start.items()}
        self.function = jax.jit(hand or jax.value_and_grad(value))
        self.run(1)

    def agree(self, parameters, draws):
        value, gradient = self.function(parameters, {**self.data, **draws})
        return float(value), {name: np.asarray(g) for name, g in gradient.items()}

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.jax.block_until_ready(self.function(self.start, self.data))


class JaxTrained(Jax):
    """A whole step under `lax.scan`: draws by `normals(key)`, value and gradient, Adam."""

    def __init__(self, value, data, start, normals, rate=1e-3):
        import jax
        import jax.numpy as jnp

        self.normals, self.rate, self.jnp, self.compiled, self.value = normals, rate, jnp, {}, value
        zeros = {name: np.zeros_like(array) for name, array in start.items()}
        self.state = (jax.random.PRNGKey(0), start, zeros, dict(zeros), jnp.zeros(()))
        super().__init__(value, data, start)

    def _step(self, state, _):
        jax, jnp = self.jax, self.jnp
        key, theta, first, second, step = state
        key, now = jax.random.split(key)
        value, g = jax.value_and_grad(self.value)(theta, {**self.data, **self.normals(now)})
        step = step + 1
        first = {k: 0.9 * first[k] + 0.1 * g[k] for k in g}
        second = {k: 0.999 * second[k] + 0.001 * g[k] ** 2 for k in g}
        move = {k: first[k] / (1 - 0.9**step) / (jnp.sqrt(second[k] / (1 - 0.999**step)) + 1e-8) for k in g}
        theta = {k: theta[k] + self.rate * move[k] for k in g}
        return (key, theta, first, second, step), value

    def run(self, steps: int) -> None:
        jax = self.jax
        if steps not in self.compiled:
            self.compiled[steps] = jax.jit(lambda state: jax.lax.scan(self._step, state, None, length=steps))
        self.state, values = self.compiled[steps](self.state)
        jax.block_until_ready(values)
