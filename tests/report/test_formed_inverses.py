"""The plan says which inverses are formed, and what for; those that became solves are not there."""

import symvi as sv
from symvi.array.expression import array_of
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, lower_request
from symvi.report.explain import explain_plan

N = sv.dim("N")
x, y, s = sv.data("x", N), sv.data("y", N), sv.param("s")
K = sv.exp(-((x[:, None] - x[None, :]) ** 2) / 2) + sv.exp(s) * sv.eye(N)
quadratic = y @ sv.linalg.inv(K) @ y


def plan_text(bound, *parameters) -> str:
    request = Request([output_of("value", bound)], [array_of(parameter) for parameter in parameters])
    return explain_plan(lower_request(request)[1])


def test_an_inverse_that_an_elementwise_derivative_reads_is_named_with_its_reader():
    told = [line for line in plan_text(sv.linalg.logdet(K), s).splitlines() if line.startswith("inverse formed: ")]
    assert len(told) == 1 and "exp(s)" in told[0] and "⁻¹[n,n]" in told[0].split("one by one")[1]


def test_an_inverse_that_becomes_a_solve_is_not_formed():
    assert "inverse formed" not in plan_text(quadratic)
    assert "inverse formed" not in plan_text(quadratic, s)
