"""`check=True` tells which stated fact the data contradict: the expression, the line, the worst element. True facts pass."""

from __future__ import annotations

import re

import numpy as np
import pytest

import symvi as sv
from symvi.fit.fact_check import FactCheck

K, N = sv.dims("K N")
ROTATION = np.array([[0.6, -0.8], [0.8, 0.6]])
ONE = np.eye(2)


def put(value, index, entry):
    out = np.array(value, dtype=float)
    out[index] = entry
    return out


CASES = {  # fact: (values for which it holds, values for which it does not, what is told)
    "spd": (sv.spd, [[2.0, 1.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]], "smallest eigenvalue is -1 "),
    "singular": (sv.spd, [[1.0, 0.0], [0.0, 1e-12]], [[1.0, 1.0], [1.0, 1.0]], "no Cholesky factor"),
    "psd": (sv.psd, [[1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, -0.03]], "smallest eigenvalue is -0.03 "),
    "not symmetric": (sv.spd, ONE, [[1.0, 0.5], [0.2, 1.0]], "not symmetric: entry [0, 1] is 0.5, its mirror image 0.2"),
    "symmetric": (sv.symmetric, ROTATION @ ROTATION.T, ROTATION, "not symmetric: entry [0, 1] is -0.8"),
    "lower": (sv.lower, [[1.0, 0.0], [3.0, -1.0]], [[1.0, 1e-3], [0.0, 1.0]], "entry [0, 1] is 0.001"),
    "upper": (sv.upper, [[1.0, 2.0], [0.0, 1.0]], [[1.0, 0.0], [7.0, 1.0]], "entry [1, 0] is 7"),
    "diagonal": (sv.diagonal, np.diag([3.0, -1.0]), [[1.0, 0.0], [2.0, 1.0]], "entry [1, 0] is 2"),
    "orthogonal": (sv.orthogonal, ROTATION, 1.01 * ROTATION, "entry [0, 0] is 1.0201 in Q' Q"),
    "lower_cholesky": (sv.lower_cholesky, [[1.0, 0.0], [3.0, 2.0]], [[1.0, 0.0], [3.0, -2.0]], "diagonal entry [1] is -2"),
    "positive": (sv.positive, ONE + 1, put(ONE + 1, (1, 0), 0.0), "entry [1, 0] is 0"),
    "nonnegative": (sv.nonnegative, ONE, put(ONE, (0, 1), -1e-9), "entry [0, 1] is -1e-09"),
    "unit interval": (sv.unit_interval, ONE, put(ONE, (0, 0), 1.5), "entry [0, 0] is 1.5"),
    "interval": (sv.interval(-1, 2), 2 * ONE, 3 * ONE, "entry [0, 0] is 3"),
    "greater than": (sv.greater_than(0.5), ONE + 1, ONE, "entry [0, 1] is 0"),
    "not a number": (sv.nonnegative, ONE, put(ONE, (1, 1), np.nan), "entry [1, 1] is nan"),
}


@pytest.mark.parametrize("case", CASES)
def test_facts_of_data(case):
    fact, right, wrong, message = CASES[case]
    A = sv.data("A", K, K)
    check = FactCheck([sv.sum(sv.assume(A, fact) ** 2).term])
    check({A.leaf: np.array(right, dtype=float)}, {"K": 2})
    with pytest.raises(sv.DataError, match=re.escape(message)) as caught:
        check({A.leaf: np.array(wrong, dtype=float)}, {"K": 2})
    assert re.search(r"A was assumed .*test_fact_check\.py:\d+\]", str(caught.value))


@pytest.mark.parametrize("case", CASES)
def test_matrices_without_entries_contradict_nothing(case):
    fact = CASES[case][0]
    A = sv.data("A", K, K)
    FactCheck([sv.sum(sv.assume(A, fact) ** 2).term])({A.leaf: np.zeros((0, 0))}, {"K": 0})


GOOD, BAD = np.array([0.1, 0.2]), np.array([1.0, 4.0])
TOLD = r"B = .* was assumed spd, but its smallest eigenvalue is -15 for these data  \[test_fact_check\.py:\d+\]"


def assumed(x):
    """Definite where |x|² < 2."""
    B = 2 * sv.eye(N) - x[:, None] * x[None, :]
    return sv.assume(B, sv.spd)


def test_a_function_compares_facts_with_its_arguments():
    x = sv.data("x", N)
    f = sv.function([x], sv.linalg.logdet(assumed(x)), check=True)
    assert f(GOOD) == pytest.approx(np.log(2 * (2 - GOOD @ GOOD)), rel=1e-12)
    with pytest.raises(sv.DataError, match=TOLD):
        f(BAD)


def test_a_kernel_compares_facts_when_it_is_bound():
    x, s = sv.data("x", N), sv.param("s", support=sv.positive, init=1.0)
    bound = -s * sv.linalg.logdet(assumed(x)) - s**2
    k = sv.compile(bound, check=True)
    k.value_and_grad({s: 1.0}, {x: GOOD})
    with pytest.raises(sv.DataError, match=TOLD):
        k.value_and_grad({s: 1.0}, {x: BAD})


def test_optimisers_compare_facts_with_all_rows():
    x, s = sv.data("x", N), sv.param("s", support=sv.positive, init=1.0)
    p = sv.assume(x, sv.interval(0, 1))
    bound = -sv.sum((s - p) ** 2)
    with pytest.raises(sv.DataError, match=r"entry \[49\] is 7"):
        sv.maximize(bound, {x: put(np.full(50, 0.5), 49, 7.0)}, check=True, progress=False)


def test_a_fit_compares_facts_with_all_rows():
    x = sv.data("x", N)
    z = sv.Normal("z", 0, 1)
    y = sv.Normal("y", z * sv.assume(x, sv.nonnegative), 1, shape=N)
    rows = np.ones(20)
    with pytest.raises(sv.DataError, match=r"x was assumed nonnegative, but entry \[17\] is -2"):
        sv.fit(y, {x: put(rows, 17, -2.0), y: rows}, check=True, steps=1, progress=False)


def test_facts_of_what_depends_on_parameters_and_noise():
    """Facts follow an expression into unconstrained parameters; noise is drawn."""
    s, e = sv.param("s", support=sv.positive, init=4.0), sv.noise("e")
    inner = sv.assume(3 - s, sv.positive)
    with pytest.raises(sv.DataError, match=r"was assumed positive, but it is -1"):
        sv.maximize(sv.log(inner) + e - s, check=True, steps=1, progress=False)


def test_without_check_nothing_is_compared():
    x = sv.data("x", N)
    assert sv.function([x], sv.sum(sv.assume(x, sv.positive)))(-GOOD) == pytest.approx(-0.3)
