"""Standard noise for draws of a fitted guide: a function of seed, stream and the name of the leaf, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import numpy as np

from symvi.expr.dims import Dim
from symvi.expr.leaf import Leaf

__all__ = ["NoiseSource", "generator_of"]


def generator_of(seed: int, stream: int, name: str) -> np.random.Generator:
    """A counter-based generator of its own for every (seed, stream, name)."""
    word = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.Philox(key=[(seed * 16 + stream) % 2**64, word]))


class NoiseSource:
    """Noise for successive chunks of draws. The chunks do not change the numbers, as long as all but the last are even.

    Normal and uniform noise comes in antithetic pairs (2 i, 2 i + 1), so odd moments are exact; `antithetic=False` for independent draws.
    """

    def __init__(self, particles: Dim, seed: int, stream: int, antithetic: bool = True):
        self.particles, self.seed, self.stream, self.antithetic = particles, seed, stream, antithetic
        self.generators: dict[Leaf, np.random.Generator] = {}
        self.fixed: dict[Leaf, np.ndarray] = {}

    def draw(self, leaf: Leaf, shape: tuple[int, ...]) -> np.ndarray:
        """The next draws of a leaf; noise without an axis of draws is the same in every chunk."""
        generator = self.generators.setdefault(leaf, generator_of(self.seed, self.stream, leaf.name))
        if not leaf.array_shape or leaf.array_shape[0] != self.particles:
            if leaf not in self.fixed:
                self.fixed[leaf] = _standard(leaf.noise_kind, generator)(shape)
            return self.fixed[leaf]
        if not self.antithetic or leaf.noise_kind not in ("normal", "uniform"):
            return _standard(leaf.noise_kind, generator)(shape)
        half = _standard(leaf.noise_kind, generator)((-(-shape[0] // 2), *shape[1:]))
        other = -half if leaf.noise_kind == "normal" else 1.0 - half
        return np.stack([half, other], axis=1).reshape(2 * half.shape[0], *shape[1:])[: shape[0]]


def _standard(kind: str, generator: np.random.Generator) -> Callable[[tuple[int, ...]], np.ndarray]:
    """A function of the shape that draws standard noise of a kind."""
    if kind == "normal":
        return generator.standard_normal
    if kind == "uniform":
        return lambda shape: np.clip(generator.random(shape), 1e-300, 1.0 - 1e-16)
    if kind == "exponential":
        return generator.standard_exponential
    return lambda shape: np.where(generator.random(shape) < 0.5, -1.0, 1.0)
