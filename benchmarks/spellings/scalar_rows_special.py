"""Error functions, gamma functions, powers and roots, differences that cancel, choices and reductions."""

from __future__ import annotations

from math import inf

import numpy as np

from benchmarks.spellings.rows import FINITE, NONNEGATIVE, POSITIVE, REAL, Row, vector, within

__all__ = ["ROWS"]

ONE = {"x": REAL}
TAILS = {"x": within(-inf, inf, extra=(-40.0, -38.0, -9.0, 5.0, 9.0, 26.0, 27.0, 40.0))}
TWO = {"x": FINITE, "y": FINITE}
PAIR = {"x": POSITIVE, "y": POSITIVE}
SHAPE = within(5e-324, inf, infinite=False, largest=1e10, extra=(1e-3, 0.25, 1.5, 9.5, 200.0, 1e6))
SHAPES = {"x": SHAPE, "y": SHAPE}
COUNT = within(0.25, 1e10, extra=(1.5, 2.0, 9.5, 12.0, 200.0, 1e6, 1e10))
COUNTS = {"x": COUNT, "y": COUNT}
ANGLE = {"x": within(-1e4, 1e4)}
V, W = {"v": vector(3, largest=1e10)}, {"v": vector(4, 0.0, 1e10)}
NORM = {"v": vector(3, largest=1e10, extra=(1e-300,))}
FAR = {
    "v": np.array(
        [[1e8, 1e8 + 1, 1e8 - 2], [-1e6, -1e6 + 1e-3, -1e6], [1.0, 1.0 + 1e-8, 1.0 - 1e-8], [0.0, 3.0, -2.0], [1e150, 2e150, -1e150]]
    )
}


def _zero(*values) -> str | None:
    return "no derivative at 0" if not any(values) else None


def _short(x, y) -> str | None:
    return "a length of 0 has no direction" if not x and not y else _subnormal(x, y)


def _subnormal(*values) -> str | None:
    return "a subnormal number times a constant, or as a divisor, has no digits left" if any(0 < abs(v) < 1e-300 for v in values) else None


def _unscaled(v) -> str | None:
    if 0 < max(abs(v)) < 1e-150:
        return "squares below 1e-300: a sum over a vector is one pass, it is not scaled by a maximum found in another"
    return _zero(*v)


def _mean(f, v):
    return f.mean(v, axis=-1)


ERROR_FUNCTIONS = (
    Row("1 - erf(x)", lambda f, x: 1 - f.erf(x), TAILS, "erfc"),
    Row("1 + erf(x)", lambda f, x: 1 + f.erf(x), TAILS, "erfc(-x)"),
    Row("erf(x) - 1", lambda f, x: f.erf(x) - 1, TAILS, "-erfc"),
    Row("-erf(x) - 1", lambda f, x: -f.erf(x) - 1, TAILS, "-erfc(-x)"),
    Row("1 - erfc(x)", lambda f, x: 1 - f.erfc(x), TAILS, "erf"),
    Row("3 (1 - erf(x))", lambda f, x: 3 * (1 - f.erf(x)), TAILS, "erfc"),
    Row("1/2 - erf(x) / 2", lambda f, x: 0.5 - 0.5 * f.erf(x), TAILS, "0 at 6"),
    Row("1 - Φ(x)", lambda f, x: 1 - f.ndtr(x), TAILS, "0 at 9"),
    Row("log(1 - erf(x))", lambda f, x: f.log(1 - f.erf(x)), TAILS, "4-term series above 26"),
    Row("log(3 - 3 erf(x))", lambda f, x: f.log(3 - 3 * f.erf(x)), TAILS, "-inf: a factor blocks the rule"),
    Row("log(erfc(-x / sqrt 2) / 2)", lambda f, x: f.log(f.erfc(-x / f.sqrt(2.0)) / 2), TAILS, "-inf at -40, gradient nan"),
    Row("log((1 + erf(x)) / 2)", lambda f, x: f.log((1 + f.erf(x)) / 2), TAILS, "-inf at -30, gradient nan"),
    Row("log((1 + erf(x / sqrt 2)) / 2)", lambda f, x: f.log((1 + f.erf(x / f.sqrt(2.0))) / 2), TAILS, "-inf at -40, gradient nan"),
    Row("log(Φ(x))", lambda f, x: f.log(f.ndtr(x)), TAILS, "-inf at -40"),
    Row("log(1 - Φ(x))", lambda f, x: f.log(1 - f.ndtr(x)), TAILS, "-inf at 9"),
    Row("log(erfc(e^(-x/2) / sqrt 2))", lambda f, x: f.log(f.erfc(f.exp(-x / 2) / f.sqrt(2.0))), {"x": within(-18.0, 700.0)}, "-inf at -8"),
    Row("e^(x^2) erfc(x)", lambda f, x: f.exp(x**2) * f.erfc(x), {"x": within(-20.0, 1e3)}, "nan at 27"),
    Row("e^(-x^2/2) / Φ(x)", lambda f, x: f.exp(-(x**2) / 2) / f.ndtr(x), {"x": within(-1e3, 30.0, extra=(-40.0, -9.0))}, "nan at -40"),
)
POWERS = (
    Row("log(x^y)", lambda f, x, y: f.log(f.power(x, y)), {"x": POSITIVE, "y": FINITE}, "inf at 10^400", skip=lambda x, y: _subnormal(y)),
    Row("log(x^2)", lambda f, x: f.log(x**2), ONE, "2 log|x|"),
    Row("log(x^4)", lambda f, x: f.log(x**4), ONE, "log of inf at 1e100"),
    Row("log(sqrt(x))", lambda f, x: f.log(f.sqrt(x)), {"x": NONNEGATIVE}, "log(x) / 2"),
    Row("log(x y)", lambda f, x, y: f.log(x * y), PAIR, "inf at 1e300, 1e300"),
    Row("log(x / y)", lambda f, x, y: f.log(x / y), PAIR, "inf at 1e300, 1e-300"),
    Row("log(x^2 y)", lambda f, x, y: f.log(x**2 * y), {"x": POSITIVE, "y": POSITIVE}, "inf"),
    Row("log(1 / x)", lambda f, x: f.log(1 / x), {"x": POSITIVE}, "inf at 5e-324"),
    Row("sqrt(x^2)", lambda f, x: f.sqrt(x**2), ONE, "|x|", skip=_zero),
    Row("sqrt(x^4)", lambda f, x: f.sqrt(x**4), ONE, "inf at 1e100", skip=_zero),
    Row("sqrt(x^2 y)", lambda f, x, y: f.sqrt(x**2 * y), {"x": within(1e-300, inf), "y": within(1e-300, inf)}, "inf at 1e200"),
    Row("sqrt(e^x)", lambda f, x: f.sqrt(f.exp(x)), ONE, "inf at 745"),
    Row("sqrt(x)^2", lambda f, x: f.sqrt(x) ** 2, {"x": NONNEGATIVE}, "x"),
    Row("(e^x)^y", lambda f, x, y: f.power(f.exp(x), y), {"x": within(-1e4, 1e4), "y": within(-0.05, 0.05, extra=(0.03,))}, "inf at 745"),
    Row("x^a x^b", lambda f, x, y: f.power(x, y) * f.power(x, 2 - y), {"x": POSITIVE, "y": within(-400.0, 400.0)}, "x^(a + b)"),
    Row("x^a / x^b", lambda f, x, y: f.power(x, y) / f.power(x, y + 1), {"x": POSITIVE, "y": within(-400.0, 400.0)}, "x^(a - b)"),
    Row("x^2 / x", lambda f, x: x**2 / x, ONE, "x"),
    Row("x y / x", lambda f, x, y: x * y / x, TWO, "y"),
    Row("x / x", lambda f, x: x / x, ONE, "1"),
    Row("x - x", lambda f, x: x - x, ONE, "0"),
    Row("(x + y) - x", lambda f, x, y: (x + y) - x, TWO, "y"),
    Row("x y - x w", lambda f, x, y, w: x * y - x * w, {"x": FINITE, "y": FINITE, "w": FINITE}, "not factored"),
    Row("|x|^2", lambda f, x: f.absolute(x) ** 2, ONE, "x^2"),
    Row("|-3 |x||", lambda f, x: f.absolute(-3 * f.absolute(x)), ONE, "|x|", skip=_zero),
    Row("x sign(x)", lambda f, x: x * f.sign(x), ONE, "|x|", skip=_zero),
)
CANCELLATION = (
    Row("sqrt(1 + x) - 1", lambda f, x: f.sqrt(1 + x) - 1, {"x": within(-1.0, inf, extra=(-0.75,))}, "0 at 1e-17"),
    Row("1 - sqrt(1 - x)", lambda f, x: 1 - f.sqrt(1 - x), {"x": within(-inf, 1.0, extra=(0.75,))}, "0 at 1e-17"),
    Row("sqrt(4 + x) - 2", lambda f, x: f.sqrt(4 + x) - 2, {"x": within(-3.0, inf)}, "0 at 1e-17"),
    Row("1 - cos(x)", lambda f, x: 1 - f.cos(x), ANGLE, "0 at 1e-9"),
    Row("cos(x) - 1", lambda f, x: f.cos(x) - 1, ANGLE, "0 at 1e-9"),
    Row("1 - tanh(x)^2", lambda f, x: 1 - f.tanh(x) ** 2, ONE, "0 at 20"),
    Row("log(1 - tanh(x)^2)", lambda f, x: f.log(1 - f.tanh(x) ** 2), ONE, "-inf at 20"),
    Row("1 / cosh(x)^2", lambda f, x: 1 / f.cosh(x) ** 2, ONE, "gradient nan at 745"),
    Row("sin(x)^2 + cos(x)^2", lambda f, x: f.sin(x) ** 2 + f.cos(x) ** 2, ANGLE, "untouched"),
    Row("1 - cos(x)^2", lambda f, x: 1 - f.cos(x) ** 2, ANGLE, "0 at 1e-9"),
    Row("cosh(x)^2 - sinh(x)^2", lambda f, x: f.cosh(x) ** 2 - f.sinh(x) ** 2, {"x": within(-30.0, 30.0)}, "nan at 745"),
    Row("sqrt(x^2 + y^2)", lambda f, x, y: f.sqrt(x**2 + y**2), TWO, "inf at 1e300", skip=_short),
    Row("E[x^2] - E[x]^2", lambda f, v: _mean(f, v**2) - _mean(f, v) ** 2, V, "negative at 1e8", points=FAR),
    Row("E[(x - E[x])^2]", lambda f, v: _mean(f, (v - f.mean(v, axis=-1, keepdims=True)) ** 2), V, "right", points=FAR),
    Row("x log(x)", lambda f, x: x * f.log(x), {"x": NONNEGATIVE}, "nan at 0", skip=_zero),
    Row("-Σ p log(p)", lambda f, v: -f.sum(v * f.log(v), axis=-1), {"v": vector(3, 0.0, 1.0)}, "nan at 0"),
    Row("x log(x / y)", lambda f, x, y: x * f.log(x / y), PAIR, "nan at 0", skip=lambda x, y: _subnormal(x)),
)
GAMMA_FUNCTIONS = (
    Row("log(Γ(x))", lambda f, x: f.log(f.gamma(x)), {"x": POSITIVE}, "inf at 172"),
    Row("log Γ(x + 1) - log Γ(x)", lambda f, x: f.gammaln(x + 1) - f.gammaln(x), {"x": SHAPE}, "0 at 1e17"),
    Row("log Γ(x) - log Γ(x + 2)", lambda f, x: f.gammaln(x) - f.gammaln(x + 2), {"x": SHAPE}, "0 at 1e17"),
    Row("log Γ(x + y) - log Γ(x)", lambda f, x, y: f.gammaln(x + y) - f.gammaln(x), SHAPES, "0 at 1e17, 1e-3"),
    Row("log Γ(x) + log Γ(y) - log Γ(x + y)", lambda f, x, y: f.gammaln(x) + f.gammaln(y) - f.gammaln(x + y), SHAPES, "digits lost"),
    Row("log(Γ(x) Γ(y) / Γ(x + y))", lambda f, x, y: f.log(f.gamma(x) * f.gamma(y) / f.gamma(x + y)), SHAPES, "nan at 200"),
    Row(
        "log(n choose k)", lambda f, x, y: f.gammaln(x + y + 1) - f.gammaln(x + 1) - f.gammaln(y + 1), COUNTS, "digits lost at 1e10"
    ),
    Row("log B(x, y) - log B(x, y + 1)", lambda f, x, y: f.betaln(x, y) - f.betaln(x, y + 1), COUNTS, "digits lost at 1e10"),
)
CHOICES = (
    Row("where(x > 0, x, 0) y", lambda f, x, y: f.where(x > 0, x, 0) * y, TWO, "sunk", skip=_subnormal),
    Row("where(c, x, y) + where(c, 5 y, 5 x)", lambda f, x, y: f.where(x > 1, x, y) + f.where(x > 1, 5 * y, 5 * x), TWO, "merged"),
    Row("where(c, where(c, x, y), y)", lambda f, x, y: f.where(x > 1, f.where(x > 1, x, y), y), TWO, "merged"),
    Row("where(x > 0, log(x), y), x > 0", lambda f, x, y: f.where(x > 0, f.log(x), y), {"x": POSITIVE, "y": FINITE}, "kept"),
    Row("max(x, 0), x >= 0", lambda f, x: f.maximum(x, 0.0), {"x": POSITIVE}, "kept"),
)
REDUCTIONS = (
    Row("Σ c x^2", lambda f, v: f.sum(3 * v**2, axis=-1), V, "c Σ x^2"),
    Row("Π c x", lambda f, v: f.prod(3 * v, axis=-1), {"v": vector(3, largest=1e4)}, "c^n Π x"),
    Row("log Π x", lambda f, v: f.log(f.prod(v, axis=-1)), {"v": vector(4, 5e-324)}, "-inf at 1e-300"),
    Row("log Π e^v", lambda f, v: f.log(f.prod(f.exp(v), axis=-1)), V, "Σ v"),
    Row("max max x", lambda f, v: f.max(f.max(v, axis=-1, keepdims=True), axis=-1), V, "max x", points=FAR),
    Row("sqrt(Σ x^2)", lambda f, v: f.sqrt(f.sum(v**2, axis=-1)), NORM, "sqrt of a dot product", skip=_unscaled),
)



ROWS = (*ERROR_FUNCTIONS, *POWERS, *CANCELLATION, *GAMMA_FUNCTIONS, *CHOICES, *REDUCTIONS)
