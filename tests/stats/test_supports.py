"""Every support: what it contains, its transform, its log-determinant, its name as a fact."""

from __future__ import annotations

import numpy as np
import pytest

from symvi.array.expression import array_of
from symvi.array.leaves import data, param
from symvi.array.linalg import assume
from symvi.array.substitution import leaves_of
from symvi.errors import DataError, SupportError
from symvi.expr.dims import dim
from symvi.expr.facts import interval, matrix_facts
from symvi.oracle.interpreter import evaluate_one
from symvi.stats import supports as s

SUPPORTS = {
    "real": (s.real, (3,)),
    "positive": (s.positive, (3,)),
    "nonnegative": (s.nonnegative, (3,)),
    "unit_interval": (s.unit_interval, (3,)),
    "interval": (s.interval(-1.0, 2.5), (3,)),
    "greater_than": (s.greater_than(2.0), (3,)),
    "less_than": (s.less_than(-1.0), (3,)),
    "simplex": (s.simplex, (2, 4)),
    "simplex of two": (s.simplex, (2, 2)),
    "ordered": (s.ordered, (2, 4)),
    "lower_cholesky": (s.lower_cholesky, (2, 3, 3)),
    "spd": (s.spd, (3, 3)),
    "spd of one": (s.spd, (1, 1)),
}


def value(expression, values=None, sizes=None):
    given = {leaf: leaf.value for leaf in leaves_of(expression) if leaf.role == "anonymous"}
    out = evaluate_one(array_of(expression), given | {leaf.leaf: v for leaf, v in (values or {}).items()}, sizes)
    return out.reshape([d.size(sizes or {}) for d in expression.shape])


def used(support, raw):
    """The entries of one event's unconstrained array that are used."""
    if support.redundant:
        return np.tril_indices(raw.shape[-1])
    return tuple(np.indices(raw.shape[raw.ndim - support.event_rank :]).reshape(support.event_rank, -1)) if support.event_rank else ()


@pytest.mark.parametrize("name", SUPPORTS)
def test_transform(name):
    support, shape = SUPPORTS[name]
    raw_shape = tuple(d.value for d in support.unconstrained_shape(tuple(dim(f"d{n}", n) if n != 1 else n * dim("one", 1) for n in shape)))
    raw = data("raw", *raw_shape)
    forward, log_det = support.forward(raw), support.log_abs_det(raw)
    numbers = np.random.default_rng(1).normal(size=raw_shape)
    image = value(forward, {raw: numbers})
    assert image.shape == shape
    assert support.contains(image)
    back = support.inverse(image)
    if support.redundant:
        back, numbers_ = np.tril(back), np.tril(numbers)
    else:
        numbers_ = numbers
    assert np.allclose(back, numbers_, atol=1e-9)
    # the log-determinant against central differences, event by event
    batch = raw_shape[: len(raw_shape) - support.event_rank]
    assert np.shape(value(log_det, {raw: numbers})) == batch
    place = used(support, numbers)
    for index in np.ndindex(batch):
        columns = []
        for k in range(len(place[0]) if place else 1):
            step = np.zeros(raw_shape)
            step[(*index, *(p[k] for p in place))] = 1e-6
            change = value(forward, {raw: numbers + step}) - value(forward, {raw: numbers - step})
            columns.append(np.ravel(change[index])[_free(support, change[index])] / 2e-6)
        jacobian = np.array(columns).reshape(len(columns), -1)
        expected = np.linalg.slogdet(jacobian)[1]
        assert np.isclose(value(log_det, {raw: numbers})[index], expected, atol=1e-6)


def _free(support, event):
    """The coordinates of an event that determine it."""
    if support.event_rank == 2:
        n = event.shape[-1]
        return np.ravel_multi_index(np.tril_indices(n), (n, n))
    return slice(0, event.size - 1) if support == s.simplex else slice(None)


OUTSIDE = [
    (s.real, [0.0, np.nan], (1,)),
    (s.positive, [1.0, 0.0], (1,)),
    (s.nonnegative, [0.0, -1.0], (1,)),
    (s.unit_interval, [0.0, 1.0, 1.5], (2,)),
    (s.interval(-1, 2), [[0.0, 1.0], [1.0, 3.0]], (1, 1)),
    (s.simplex, [[0.5, 0.5], [0.7, 0.4]], (1,)),
    (s.ordered, [[0.0, 1.0], [1.0, 1.0]], (1,)),
    (s.lower_cholesky, [[1.0, 0.5], [0.0, 1.0]], ()),
    (s.spd, [[1.0, 2.0], [2.0, 1.0]], ()),
    (s.nonnegative_integer, [0, 3, -1], (2,)),
    (s.nonnegative_integer, [0.0, 0.5], (1,)),
    (s.boolean, [0, 1, 2], (2,)),
    (s.category(3), [0, 3], (1,)),
]


@pytest.mark.parametrize("support, values, index", OUTSIDE, ids=lambda x: str(x))
def test_first_violation_and_check(support, values, index):
    values = np.array(values)
    assert support.first_violation(values) == index and not support.contains(values)
    with pytest.raises(SupportError, match="^y.*outside its support"):
        support.check("y", values)


def test_defaults_lie_inside():
    for support, shape in SUPPORTS.values():
        default = support.default(shape) if callable(support.default) else np.full(shape, support.default)
        assert support.contains(default), support


def test_float_labels_are_refused():
    with pytest.raises(DataError, match="integers"):
        s.category(3).check("y", np.array([0.0, 1.0]))


def test_facts():
    M, N = dim("M"), dim("N")
    assert interval(param("a", N, support=s.positive).term)[0] > 0
    assert interval(s.positive.forward(data("x", N)).term)[0] > 0
    lower = param("L", M, M, support=s.lower_cholesky)
    assert "lower" in matrix_facts(array_of(lower))
    assert "lower" in matrix_facts(array_of(s.lower_cholesky.forward(data("R", M, M))))
    assert "spd" in matrix_facts(array_of(assume(data("K", M, M), s.spd)))
    assert interval(assume(data("z", N), s.positive).term)[0] > 0


def test_bounds_may_be_expressions():
    N = dim("N")
    low, raw = data("low"), data("raw", N)
    support = s.interval(low, low + 2)
    numbers = np.array([-1.0, 0.3])
    image = value(support.forward(raw), {raw: numbers, low: np.array(5.0)}, {"N": 2})
    assert ((image > 5) & (image < 7)).all()
    with pytest.raises(SupportError, match="empty"):
        s.interval(2, 1)
