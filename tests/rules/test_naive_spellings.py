"""What users type, at the inputs where it breaks: value and gradient after the stabilise stage are finite and right."""

import mpmath
import numpy as np
import pytest

from symvi.atoms.elementwise import cosh, erf, erfc, exp, log, log1p, ndtr, power, sigmoid, sinh, sqrt, tanh
from symvi.calculus.reverse import gradients
from symvi.expr.build import contract, named_constant, reduce, size, tensor
from symvi.expr.dims import dim
from symvi.oracle.interpreter import evaluate
from symvi.rewrite.example import POSITIVE, term
from symvi.rules import simplify, stabilise

N, K = dim("N"), dim("K")
pi = named_constant("pi")
WIDE = [-900.0, -40.0, -1e-18, 1e-9, 0.3, 40.0, 900.0]
TAIL = [-40.0, -9.0, -1.0, 1e-9, 1.0, 5.0]
SMALL = [-1e-18, -1e-9, 1e-18, 1e-5, 0.5]
HUGE = [1e-200, 3e-160, 0.2, 7.0, 1e170]


def total(x):
    return contract(x.labels, [(exp(x), 1)])


def softmax_first(x):
    return exp(x) / (exp(x) + exp(2 * x) + 1)


SPELLINGS = {
    "softplus": (lambda x: log(1 + exp(x)), WIDE),
    "softplus, other order": (lambda x: log(exp(-x) + 1), WIDE),
    "log1p(exp)": (lambda x: log1p(exp(x)), WIDE),
    "logistic": (lambda x: 1 / (1 + exp(-x)), WIDE),
    "logistic, quotient": (lambda x: exp(x) / (1 + exp(x)), WIDE),
    "logistic, twice": (lambda x: exp(x) / (1 + exp(x)) ** 2, WIDE),
    "p (1 - p)": (lambda x: sigmoid(x) * (1 - sigmoid(x)), WIDE),
    "log of the logistic": (lambda x: log(1 / (1 + exp(-x))), WIDE),
    "log of its complement": (lambda x: log(1 - 1 / (1 + exp(-x))), WIDE),
    "cross entropy": (lambda x: -0.25 * log(1 / (1 + exp(-x))) - 0.75 * log(1 - 1 / (1 + exp(-x))), WIDE),
    "log odds": (lambda x: log(sigmoid(x) / (1 - sigmoid(x))), WIDE),
    "expm1": (lambda x: exp(x) - 1, SMALL),
    "1 - exp": (lambda x: 1 - exp(x), SMALL),
    "log1mexp": (lambda x: log(1 - exp(-(x**2))), [1e-9, 0.5, 20.0, 40.0]),
    "log1p": (lambda x: log(1 + x), SMALL),
    "erfc": (lambda x: 1 - erf(x), TAIL),
    "log of the normal cdf": (lambda x: log(ndtr(x)), TAIL),
    "log of the normal cdf by erfc": (lambda x: log(erfc(-x / sqrt(2)) / 2), TAIL),
    "log of the normal cdf by erf": (lambda x: log((1 + erf(x / sqrt(2))) / 2), TAIL),
    "log of erfc": (lambda x: log(erfc(x)), [-5.0, -1e-9, 1e-9, 1.0, 30.0]),
    "log of the survival function": (lambda x: log(1 - ndtr(x)), [-5.0, 1.0, 9.0, 40.0]),
    "log cosh": (lambda x: log(cosh(x)), [-900.0, -3.0, 0.5, 900.0]),
    "log cosh by exponentials": (lambda x: log((exp(x) + exp(-x)) / 2), [-900.0, -3.0, 0.5, 900.0]),
    "tanh by exponentials": (lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)), [-900.0, -3.0, 1e-9, 2.0, 900.0]),
    "tanh by one exponential": (lambda x: (exp(2 * x) - 1) / (exp(2 * x) + 1), [-900.0, -3.0, 1e-9, 2.0, 900.0]),
    "sinh / cosh": (lambda x: sinh(x) / cosh(x), [-900.0, -3.0, 1e-9, 2.0, 900.0]),
    "log of a normal density": (lambda x: log(exp(-(x**2) / 2) / sqrt(2 * pi)), [-60.0, -1.0, 0.5, 60.0]),
    "log of a scaled exponential": (lambda x: log(3 * exp(x)), WIDE),
    "log of a root of exponentials": (lambda x: log(sqrt(exp(x) / 2)), WIDE),
    "log of a power": (lambda x: log(x**4), HUGE),
    "root of a square": (lambda x: sqrt(x**2), HUGE),
    "1 + e^x + e^2x": (lambda x: log(1 + exp(x) + exp(2 * x)), WIDE),
    "mixture of two": (lambda x: log(0.25 * exp(-(x**2)) + 0.75 * exp(-((x - 1) ** 2))), [-60.0, -1.0, 0.5, 60.0]),
    "three classes": (softmax_first, [-900.0, -40.0, 0.3, 900.0]),
    "log of three classes": (lambda x: log(softmax_first(x)), WIDE),
    "two classes": (lambda x: exp(x) / (exp(x) + exp(-x)), WIDE),
    "exp of the log of the logistic": (lambda x: exp(-log(1 + exp(-x))), WIDE),
    "log of a variable power": (lambda x: log(power(exp(x), term_of_positive())), WIDE),
}
ZERO_CROSSING = ("logistic, twice", "p (1 - p)", "log of three classes", "1 + e^x + e^2x")  # the gradient vanishes near zero
_POSITIVE = term("a", stated=POSITIVE)


def term_of_positive():
    return _POSITIVE


def value_and_gradient(node, x, values, precision=None):
    scalar = contract(node.labels, [(node, 1)])
    (gradient,) = gradients(scalar, [x.array])
    (gradient,) = simplify([gradient]) if precision is None else [gradient]
    found = evaluate([node, tensor(gradient, tuple(x.sorted_labels()))], values, None, precision)
    return [part.ravel() for part in found]


def close(found, truth, tolerance=1e-13, floor=1e-300):
    for a, b in zip(found, truth, strict=True):
        assert np.isfinite(a), (found, truth)
        assert abs(mpmath.mpf(float(a)) - b) <= max(tolerance * abs(b), mpmath.mpf(floor)), (float(a), mpmath.nstr(b, 17))


@pytest.mark.parametrize("name", SPELLINGS)
def test_elementwise(name):
    build, points = SPELLINGS[name]
    x = term("x", N)
    node = build(x)
    (stable,) = stabilise([node])
    assert stabilise([stable]) == [stable]
    values = {x.array.leaf: np.array(points), _POSITIVE.array.leaf: np.array(1.5)}
    truth = value_and_gradient(node, x, values, 2400)
    found = value_and_gradient(stable, x, values)
    close(found[0], truth[0], 1e-13)
    close(found[1], truth[1], 3e-13, 1e-16 if name in ZERO_CROSSING else 1e-300)


SUMS = {
    "log sum exp": lambda x, w, k: log(contract([k], [(exp(x), 1)])),
    "log mean exp": lambda x, w, k: log(contract([k], [(exp(x), 1)]) / size(K)),
    "weighted": lambda x, w, k: log(contract([k], [(exp(x), 1), (w, 1)])),
    "softmax": lambda x, w, k: exp(x) / contract([k], [(exp(x), 1)]),
    "log softmax": lambda x, w, k: log(exp(x) / contract([k], [(exp(x), 1)])),
    "responsibilities": lambda x, w, k: w * exp(x) / contract([k], [(exp(x), 1), (w, 1)]),
    "log of a product": lambda x, w, k: log(reduce("prod", [k], exp(x))),
    "log of densities": lambda x, w, k: log(contract([k], [(exp(-(x**2) / 2) / sqrt(2 * pi), 1), (w, 1)])),
    "softplus of a sum": lambda x, w, k: log(1 + contract([k], [(exp(x), 1)])),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_over_labels(name):
    x, w = term("x", N, K), term("w", K, stated=POSITIVE)
    (k,) = w.labels
    node = SUMS[name](x, w, k)
    (stable,) = stabilise([node])
    rows = [[-900.0, -901.0, -899.5], [800.0, 799.0, -3.0], [0.1, -0.2, 0.3], [-60.0, 50.0, 55.0]]
    values = {x.array.leaf: np.array(rows), w.array.leaf: np.array([0.2, 0.5, 0.3])}
    if name == "log of densities":
        values[x.array.leaf] = np.array(rows) / 10
    truth = value_and_gradient(node, x, values, 800)
    found = value_and_gradient(stable, x, values)
    close(found[0], truth[0], 1e-12)
    for a, b in zip(found[1], truth[1], strict=True):
        assert abs(mpmath.mpf(float(a)) - b) <= 1e-12 * max(abs(b), 1), (float(a), mpmath.nstr(b, 17))


def test_tanh_is_left_an_atom():
    x = term("x", N)
    assert stabilise([tanh(x)]) == [tanh(x)]
