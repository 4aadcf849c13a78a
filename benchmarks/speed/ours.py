"""symvi's side of a workload: a bound that is trained, or a kernel of value and gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["Trained", "Evaluated"]


class _Kernel:
    """A bound whose draws are data, so that they can be given."""

    def __init__(self, build: Callable, data: Mapping[str, np.ndarray], name: str, dtype: str):
        import symvi as sv

        self.build, self.data, self.name, self.dtype = build, data, name, dtype
        self.sv = sv

    def given_draws(self):
        data = self.sv.data
        return self.build(lambda name, *dims: data(name, *dims))

    def agree(self, parameters, draws):
        kernel = self.sv.compile(self.given_draws(), name=f"{self.name}_given_draws", dtype=self.dtype)
        value, gradients = kernel.value_and_grad(parameters, {**self.data, **draws})
        return float(value), {leaf.leaf.name: np.asarray(gradient) for leaf, gradient in gradients.items()}


class Trained(_Kernel):
    """Draws, value, gradient and Adam in the compiled loop. `build(draw)` is the bound, `draw(name, *dims)` its standard normal draws."""

    def __init__(self, build, data, start, name, rate=1e-3, batch_size=None, dtype="float64"):
        super().__init__(build, data, name, dtype)
        noise = self.sv.noise
        bound = build(lambda name, *dims: noise(name, *dims))
        batches = batch_size(self.sv) if batch_size else None
        self.optimum = self.sv.maximize(
            bound,
            dict(data),
            optimizer=self.sv.optim.Adam(rate),
            steps=1,
            init=start,
            batch_size=batches,
            progress=False,
            dtype=dtype,
            name=name,
        )

    def run(self, steps: int) -> None:
        self.optimum.trainer.run(steps)


class Evaluated(_Kernel):
    """Value and gradient at fixed parameters."""

    def __init__(self, build, data, start, name, dtype="float64"):
        super().__init__(build, data, name, dtype)
        self.kernel = self.sv.compile(self.given_draws(), name=name, dtype=dtype)
        self.binding = self.kernel.bind(start, data)
        self.run(1)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.binding.run()
