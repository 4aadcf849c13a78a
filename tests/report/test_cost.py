"""The planned cost: counts that can be done by hand, and that no helper is forgotten."""

import ast

import pytest

import symvi as sv
from symvi.expr.dims import dim
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, lower_request
from symvi.report.cost import HELPERS, Polynomial, cost_of
from symvi.runtime.helpers import template_directory

N, M = sv.dims("N M")
MOVES = ("tiles", "cumsum", "concatenate", "draw_", "block_diagonal")  # helpers that do no arithmetic to speak of


def cost(*expressions):
    outputs = [output_of(f"value_{k}", expression) for k, expression in enumerate(expressions)]
    return cost_of(lower_request(Request(outputs))[1])


def test_polynomials():
    size = dim("K", 3) * N * N + 2 * M + 4
    found = Polynomial.of(size, 2)
    assert found.at({"N": 10, "M": 5}) == 2 * (3 * 100 + 10 + 4)
    assert found.degree("N") == 2 and found.degree("M") == 1 and found.degree("D") == 0
    assert str(found) == "6 N N + 4 M + 8" and str(Polynomial()) == "0"
    assert (found + Polynomial.of(N * N, -6)).degree("N") == 0


def test_a_matrix_times_a_vector():
    A, x = sv.data("A", N, M), sv.data("x", M)
    found = cost(A @ x)
    assert str(found.flops) == "2 M N" and str(found.moved) == "8 M N + 8 M + 8 N" and str(found.kept) == "0"


def test_a_solve_with_its_factor():
    A, b = sv.assume(sv.data("A", M, M), "spd"), sv.data("b", M)
    found = cost(sv.linalg.solve(A, b))
    assert found.flops.terms[("M",) * 3] * 3 == 1 and found.flops.terms[("M",) * 2] == 2
    assert found.kept.degree("M") == 2


def test_functions_count_by_their_table():
    x = sv.data("x", N)
    assert cost(sv.exp(x)).flops.at({"N": 1}) == 8
    assert cost(sv.exp(x), sv.exp(x) + 1).flops.at({"N": 1}) == 9, "a value that two outputs share is computed once"


@pytest.mark.parametrize("name", sorted(HELPERS))
def test_helpers_of_the_table_exist(name):
    assert name in operators()


def test_every_helper_that_calculates_is_in_the_table():
    assert {name for name in operators() if not name.startswith(MOVES)} <= set(HELPERS)


def operators():
    """The names in the table OPERATORS of the helper library."""
    tree = ast.parse((template_directory() / "operators.py").read_text())
    table = next(n.value for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "OPERATORS")
    return {key.value for key in table.keys}
