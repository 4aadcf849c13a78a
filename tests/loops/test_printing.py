"""Expressions as text: precedence, literals of the module's dtype, long lines."""

from __future__ import annotations

from fractions import Fraction

import pytest

from symvi.expr.dims import dims
from symvi.loops.ast import Add, Cast, Extent, Let, Load, Multiply, Name, Number, Power, Select
from symvi.targets.cpu.printer import WIDTH, Printer

a, b, c = Name("a"), Name("b"), Name("c")
half = Number(Fraction(1, 2), "f")


def printed(expression, dtype: str = "float64") -> str:
    return Printer(dtype, {}, {}, {}).expression(expression)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (Add(((1, a), (-1, Add(((1, b), (-1, c)), "f"))), "f"), "a - (b - c)"),
        (Multiply((a, Add(((1, b), (1, c)), "f")), (b, c), "f"), "a * (b + c) / (b * c)"),
        (Multiply((a,), (Multiply((b, c), (), "f"),), "f"), "a / (b * c)"),
        (Power(Add(((-1, a),), "f"), 2, "f"), "(-a) ** 2"),
        (Add(((-1, Power(a, 2, "f")),), "f"), "-a ** 2"),
        (Multiply((half, Select(Name("t", "b"), a, b, "f")), (), "f"), "0.5 * (a if t else b)"),
        (Load("x", (Add(((1, Name("lo", "i")), (1, Name("i", "i"))), "i"),), "f"), "x[lo + i]"),
        (Cast(Name("k", "i")), "float64(k)"),
    ],
)
def test_text(expression, text):
    assert printed(expression) == text


def test_literals_of_a_float32_module_are_float32():
    assert printed(Multiply((half, a), (), "f"), "float32") == "float32(0.5) * a"


def test_extents_are_polynomials_of_sizes():
    N, M = dims("N M")
    text = Printer("float64", {N: "n_rows", M: "M"}, {}, {}).expression(Extent(N * M + 2 * N - 1))
    assert eval(text, {"n_rows": 5, "M": 3}) == 24


def test_long_lines_are_folded_and_mean_the_same():
    names = [f"a_rather_long_name_{k}" for k in range(14)]
    values = {name: float(k + 1) for k, name in enumerate(names)}
    product = Multiply(tuple(Name(name) for name in names[:4]), (Name(names[5]),), "f")
    total = Add((*((1, Name(name)) for name in names), (-1, product)), "f")
    lines = Printer("float64", {}, {}, {}).statements([Let("x", total, "what it means")], 1)
    assert len(lines) > 3 and max(map(len, lines)) <= WIDTH
    scope = dict(values)
    exec("if True:\n" + "\n".join(lines), {}, scope)
    assert scope["x"] == sum(values.values()) - 24.0 / 6.0
