"""Saving and loading fits as .npz files of plain arrays: nothing in a file is executed."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from symvi.errors import DataError

__all__ = ["save", "load", "SavedFit"]

FORMAT = 1
STORED_DRAWS = 2000


def save(fit, path: str | Path) -> Path:
    """Parameters, draws of the latents, history and verdict of a fit."""
    path = Path(path)
    if path.suffix != ".npz":
        path = path.with_suffix(path.suffix + ".npz")
    head = {
        "format": FORMAT, "verdict": fit.verdict, "advice": fit.advice, "seed": fit.seed, "steps": fit.trainer.step, "seconds": fit.seconds,
        "elbo": [fit.estimate.value, fit.estimate.error] if fit.estimate else None, "sizes": fit.sizes.values, "guide": fit.guide_text(),
        "headline": fit.headline(),
    }  # fmt: skip
    arrays = {f"param:{name}": array for name, array in fit.params.items()}
    arrays |= {f"raw:{leaf.name}": array for leaf, array in fit.trainer.raw_parameters(fit.averaged).items()}
    arrays |= {f"reference:{leaf.name}": fit.trainer.data[leaf] for leaf in fit.reference if leaf in fit.trainer.data}
    arrays |= {f"draw:{name}": array for name, array in fit.sample(STORED_DRAWS).items()}
    with open(path, "wb") as file:
        np.savez_compressed(file, head=np.array(json.dumps(head)), history=fit.history, **arrays)
    return path


class SavedFit:
    """What a file holds: `params`, `sample(n)`, `history`, `verdict`, `elbo`.

    `restore(fit)` puts the parameters into a fit of the same model, to resume it.
    """

    def __init__(self, head: dict, arrays: dict[str, np.ndarray]):
        self.head = head
        self.history = arrays.pop("history")
        self.params = {name.removeprefix("param:"): array for name, array in arrays.items() if name.startswith("param:")}
        self.raw = {name.removeprefix("raw:"): array for name, array in arrays.items() if name.startswith("raw:")}
        self.reference = {name.removeprefix("reference:"): array for name, array in arrays.items() if name.startswith("reference:")}
        self.stored = {name.removeprefix("draw:"): array for name, array in arrays.items() if name.startswith("draw:")}
        self.verdict, self.advice, self.seed = head["verdict"], head["advice"], head["seed"]

    @property
    def elbo(self) -> float | None:
        """The bound when it was saved."""
        return head[0] if (head := self.head["elbo"]) else None

    def sample(self, n: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """The stored draws, or n of them drawn with replacement."""
        if n is None:
            return dict(self.stored)
        count = len(next(iter(self.stored.values()), ()))
        rows = np.random.default_rng(seed).integers(0, max(count, 1), n)
        return {name: array[rows] for name, array in self.stored.items()}

    def mean(self, name: str) -> np.ndarray:
        """Posterior mean of a latent by its stored draws."""
        return self._of(name).mean(axis=0)

    def sd(self, name: str) -> np.ndarray:
        """Posterior sd of a latent by its stored draws."""
        return self._of(name).std(axis=0, ddof=1)

    def _of(self, name: str) -> np.ndarray:
        if name not in self.stored:
            raise DataError(f"the file has no latent {name!r}; it has {', '.join(self.stored)}")
        return self.stored[name]

    def restore(self, fit):
        """Put the saved parameters into a fit of the same model, so that `fit.resume()` goes on from there."""
        raw = {leaf: self.raw[leaf.name] for leaf in fit.trainer.raw_parameters() if leaf.name in self.raw}
        shapes = {leaf.name: array.shape for leaf, array in fit.trainer.raw_parameters().items()}
        if shapes != {name: array.shape for name, array in self.raw.items()}:
            raise DataError("the file was saved by a fit of another model, guide or size")
        self._check_coordinates(fit)
        fit.trainer.set_parameters(raw)
        fit.averaged = False
        fit.forget()
        return fit

    def _check_coordinates(self, fit) -> None:
        """The parameters are coordinates relative to a Laplace approximation: it must be that of the file."""
        own = {leaf.name: array for leaf, array in fit.trainer.data.items() if leaf in fit.reference}
        for name, array in self.reference.items():
            if name not in own or not np.allclose(own[name], array, rtol=1e-4, atol=1e-6):
                raise DataError(f"the file was saved by a fit to other data: its coordinates {name} differ")

    def __repr__(self) -> str:
        return f"<saved symvi fit: {self.verdict}; {', '.join(self.stored)}>"


def load(path: str | Path) -> SavedFit:
    """Read a fit that `fit.save(path)` wrote. Loading executes nothing from the file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        head = json.loads(str(arrays.pop("head")))
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a fit saved by symvi, or it is damaged ({error})") from None
    if not isinstance(head, dict) or "history" not in arrays:
        raise DataError(f"{path} is not a fit saved by symvi")
    if head.get("format") != FORMAT:
        raise DataError(f"{path} has the format {head.get('format')}; this version reads {FORMAT}")
    return SavedFit(head, arrays)
