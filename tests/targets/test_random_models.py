"""Random expressions, hundreds of them: the emitted module agrees with the reference interpreter."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv

SIZES = [{"N": 5, "D": 2, "J": 3}, {"N": 1, "D": 3, "J": 1}, {"N": 0, "D": 1, "J": 2}, {"N": 8, "D": 0, "J": 2}]
UNARY = [sv.tanh, sv.sigmoid, sv.softplus, sv.sin, sv.abs, lambda x: sv.exp(sv.tanh(x)), lambda x: sv.log1p(x**2), lambda x: x**2]
BINARY = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - 2 * b, lambda a, b: a / (1 + b**2), sv.maximum]
STEPS = "unary binary binary reduce reduce matmul gather slice where softmax joined outer scan".split()


class Source:
    """Random expressions over a fixed set of leaves."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        N, D = self.N, self.D = sv.dims("N D")
        J = self.J = sv.dim("J")
        g = sv.data("g", N, dtype=sv.index(J))
        self.g = g
        self.parameters = [sv.param("w", D), sv.param("a", J), sv.param("c"), sv.param("A", D, D, init=np.eye(2)), sv.param("m", N)]
        X, k, b = sv.data("X", N, D), sv.data("k", N, dtype=int), sv.data("b", N, dtype=bool)
        noise = [sv.noise("e", N), sv.noise("f", D)]
        self.pool = [X, sv.data("y", N), *self.parameters, *noise, 1.0 * k, sv.where(b, 1.0, -0.5), self.parameters[1][g]]

    def choose(self, options):
        return options[self.rng.integers(len(options))]

    def some(self, shape=None):
        fitting = [x for x in self.pool if shape is None or x.shape == shape]
        return self.choose(fitting) if fitting else None

    def step(self):
        """One more expression, made from earlier ones."""
        x = self.some()
        kind = self.choose(STEPS)
        if kind == "unary":
            return self.choose(UNARY)(x)
        if kind == "binary":
            other = self.some(x.shape) if self.rng.random() < 0.6 else self.some(())
            return self.choose(BINARY)(x, other)
        if kind == "reduce" and x.ndim:
            axis = int(self.rng.integers(x.ndim))
            return self.choose([sv.sum, sv.sum, sv.logsumexp, sv.mean])(sv.tanh(x), axis=axis)
        if kind == "matmul" and x.ndim and x.shape[-1] == self.D:
            return x @ self.some((self.D,)) if self.rng.random() < 0.6 else x @ self.some((self.D, self.D))
        if kind == "gather" and x.shape and x.shape[0] == self.J:
            return x[self.g]
        if kind == "slice" and x.shape and x.shape[0] == self.N:
            y = sv.concatenate([sv.zeros((1, *x.shape[1:])), x])  # N + 1 rows, then shifted against each other
            return self.choose([lambda: y[1:] - y[:-1], lambda: y[:-1] * x, lambda: sv.flip(x, 0)])()
        if kind == "where":
            return sv.where(x > 0, x, 0.1 * x)
        if kind == "softmax" and x.ndim:
            return self.choose([sv.softmax, sv.log_softmax])(sv.tanh(x), axis=int(self.rng.integers(x.ndim)))
        if kind == "joined" and x.ndim == 1:
            return sv.stack([x, self.some(x.shape)], axis=0)[self.rng.integers(2)]
        if kind == "outer" and x.shape == (self.D,):
            return sv.outer(x, self.some((self.D,)))
        if kind == "scan" and x.ndim == 1:
            return sv.cumsum(sv.tanh(x))
        return sv.tanh(x) + 0.5

    def model(self, steps: int):
        for _ in range(steps):
            self.pool.append(self.step())
        value = sum(sv.sum(sv.tanh(x)) for x in self.pool[-4:])
        return [value, *(self.pool[-k] for k in (1, 2, 3))], self.parameters


@pytest.mark.parametrize("seed", range(120))
def test_random_model(seed, check_emitted):
    outputs, parameters = Source(seed).model(4 + seed % 9)
    check_emitted(outputs, parameters, SIZES, seed=seed)
