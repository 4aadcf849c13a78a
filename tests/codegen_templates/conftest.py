"""The helper module of the loop, joined as in production and compiled once per session, and updates written by hand."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from numba import njit

from symvi.runtime.helpers import helper_source

OPTIONS = dict(error_model="numpy", nogil=True, fastmath={"reassoc", "nsz", "contract"})


@pytest.fixture(scope="session")
def helper_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("helpers") / "joined_helpers.py"
    path.write_text(helper_source())
    return path


@pytest.fixture(scope="session")
def helpers(helper_file):
    spec = importlib.util.spec_from_file_location("joined_helpers", helper_file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["joined_helpers"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["joined_helpers"]


@pytest.fixture(scope="session")
def momentum(helpers):
    """v = 0.5 v + rate g, theta = theta + v; the rate is 0.1 / (1 + step), all of size table[0]."""
    real64_at = helpers.real64_at

    @njit(helpers.ENTRY.signature, **OPTIONS)
    def momentum(table):
        theta, gradient, velocity = real64_at(table[1], table[0]), real64_at(table[2], table[0]), real64_at(table[3], table[0])
        step = real64_at(table[4], 1)
        for i in range(theta.size):
            velocity[i] = 0.5 * velocity[i] + 0.1 / (1.0 + step[0]) * gradient[i] * (1e10 if gradient[i] > 1e300 else 1.0)
            theta[i] += velocity[i]
        return 0

    return momentum


@pytest.fixture(scope="session")
def still(helpers):
    """An update that changes nothing."""

    @njit(helpers.ENTRY.signature, **OPTIONS)
    def still(table):
        return 0

    return still
