"""The plan of what a minibatch copies: the table of groups, and mistakes that are named."""

from __future__ import annotations

import numpy as np
import pytest

from symvi.errors import DataError, PlateError
from symvi.fit.batch_plan import BatchPlan, rows_by_group


def test_rows_by_group():
    offsets, order = rows_by_group("g", np.array([2, 0, 2, 3, 0]), 5)
    assert offsets.tolist() == [0, 2, 2, 4, 5, 5] and order.tolist() == [1, 4, 0, 2, 3]
    offsets, order = rows_by_group("g", np.array([], int), 2)
    assert offsets.tolist() == [0, 0, 0] and order.size == 0


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([0, 3, 1], "g holds 3 at 1; its values lie in 0..2"),
        ([0, -1], "g holds -1 at 1"),
        ([0.0, 1.0], "holds integers"),
        ([[0]], "2 axes"),
    ],
)
def test_index_values_are_checked(index, message):
    with pytest.raises(DataError, match=message):
        rows_by_group("g", np.array(index), 3)


def test_mistakes_in_a_plan_are_named():
    plan = BatchPlan()
    plan.sample("N", 10, 20)
    assert plan.capacity("N") == 10 and plan.scale("N") == 1.0
    with pytest.raises(PlateError, match="N is batched twice"):
        plan.sample("N", 10, 2)
    with pytest.raises(DataError, match="batch size of M"):
        plan.sample("M", 10, 0)
    with pytest.raises(PlateError, match="J is not batched"):
        plan.belonging("M", "J", np.zeros(3, int))
    with pytest.raises(DataError, match="axis 0 of x has 9 rows, the dim N 10"):
        plan.carry("x", np.zeros(9), {0: "N"})
    with pytest.raises(DataError, match="not contiguous"):
        plan.carry("x", np.zeros((10, 3)).T, {1: "N"})
    with pytest.raises(PlateError, match="belong to no batched dim"):
        plan.positions("N")
    read_only = np.zeros(10)
    read_only.flags.writeable = False
    plan.carry("x", read_only, {0: "N"})
    with pytest.raises(DataError, match="read-only"):
        plan.carry("x", read_only, {0: "N"}, scatter=True)
