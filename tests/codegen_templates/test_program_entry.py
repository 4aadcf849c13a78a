"""A program of C functions as the kernel and the update of the training loop."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from numba import cfunc

from symvi.fit import loop_layout as layout
from symvi.fit.loop_layout import Segment
from symvi.optim.averaging import NEVER
from symvi.runtime.helpers import helper_source


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "joined_program_helpers.py"
    path.write_text(helper_source())
    spec = importlib.util.spec_from_file_location("joined_program_helpers", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["joined_program_helpers"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["joined_program_helpers"]


def test_training_with_programs(joined):
    """-theta^2 / 2 by gradient ascent of rate 1/2: theta is halved; the third value is refused by the kernel."""

    @cfunc(joined.KERNEL, error_model="numpy")
    def bound(n0, n1, table):
        theta, gradient = joined.reals64(table, 0, (1,)), joined.reals64(table, 1, (1,))
        value = joined.reals64(table, 2, (1,))
        value[0] = -0.5 * theta[0] ** 2
        gradient[0] = -theta[0]
        return 7 if theta[0] < 0.2 else 0

    @cfunc(joined.KERNEL, error_model="numpy")
    def halve(n0, n1, table):
        theta, gradient = joined.reals64(table, 0, (1,)), joined.reals64(table, 1, (1,))
        theta[0] += 0.5 * gradient[0]
        return 0

    theta, gradient, value, visits, kept = np.ones(1), np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)
    main = np.array([a.ctypes.data for a in (theta, gradient, value)])

    def table_of(function):
        program = np.array([[function.address, main.ctypes.data, -1]])
        return program, np.array([program.ctypes.data, *program.shape, main.ctypes.data, main.size])

    program, table = table_of(bound)
    update, update_table = table_of(halve)
    segments = Segment(theta, gradient, visits, kept=kept).row()[None]
    history, state = np.zeros(10), np.zeros(layout.STATE_FIELDS, np.int64)
    good = joined.training_loop(False)(
        joined.program_entry, table, joined.program_entry, update_table[None].copy(), segments, np.zeros(3, np.int64), value, np.zeros(1),
        0, 10, history, NEVER.settings(), state, None, None, None)  # fmt: skip
    assert good == 3 and theta[0] == 0.25 and visits[0] == 3
    assert history[:3].tolist() == [-0.5, -0.125, -0.03125]
    assert state[layout.STATE_CODE] == (7 << 32) | 1, "the status of the program: its code, and 1 + the step of the program"
