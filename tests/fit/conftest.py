"""One kernel cache for the tests of this folder, and small data that several of them share."""

from __future__ import annotations

import numpy as np
import pytest

from symvi.runtime import cache_directory


@pytest.fixture(scope="session", autouse=True)
def cold_cache(tmp_path_factory):
    """An empty kernel cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SYMVI_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
    cache_directory.reset()
    yield
    patch.undo()
    cache_directory.reset()


@pytest.fixture(scope="session")
def rows():
    """40 rows of two covariates and labels that no plane separates."""
    rng = np.random.default_rng(7)
    covariates = rng.normal(size=(40, 2))
    labels = (rng.random(40) < 1 / (1 + np.exp(-covariates @ [1.0, -1.0] - 0.3))).astype(float)
    return covariates, labels
