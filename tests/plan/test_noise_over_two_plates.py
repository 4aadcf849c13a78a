"""Noise over two plates is drawn block by block only where the plate's own regions read it at their own rows."""

from __future__ import annotations

import numpy as np

import symvi as sv
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, lower_request


def _plan(bound):
    return lower_request(Request([output_of("value", bound)]))[1]


def test_noise_read_by_a_pass_over_another_plate_is_stored():
    N, V = sv.dims("N V")
    y, c, e = sv.data("y", N), sv.data("c", V), sv.noise("e", N, V)
    bound = sv.sum(y * sv.softplus(sv.sum(c * e, axis=1)))
    values = [sv.compile(bound).value_and_grad({}, {y: np.ones(700), c: np.ones(10)})[0] for _ in range(2)]
    assert values[0] == values[1]
    assert 700 * 0.3 < values[0] < 700 * 3
    assert not _plan(bound).block_draws


def test_the_rows_of_the_widest_table_come_first():
    N, D = sv.dims("N D")
    Y, cat, a, e = sv.data("Y", N, D), sv.data("cat", D), sv.param("a", D), sv.noise("e", N, D)
    bound = sv.sum(Y * sv.softplus(a * e + cat))
    plan = _plan(bound)
    assert [label.dim for label in plan.plates] == [N, D]
    assert [array.leaf.name for array in plan.block_draws] == ["e"]
    value = sv.compile(bound).value_and_grad({a: np.ones(10)}, {Y: np.ones((700, 10)), cat: np.zeros(10)})[0]
    assert 7000 * 0.7 < value < 7000 * 0.9  # E softplus(e) = 0.806
