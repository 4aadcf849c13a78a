"""What users type at which a rule fires that the tables of spellings and the models of the tests leave out."""

from __future__ import annotations

import symvi as sv

N, M = sv.dims("N M")


def _leaves():
    x, y = sv.param("x", N, init=1.0), sv.param("y", N, init=1.0)
    p, q = sv.param("p", N, support=sv.unit_interval), sv.param("q", N, support=sv.unit_interval)
    a, b = sv.param("a", N, support=sv.positive), sv.param("b", N, support=sv.positive)
    return x, y, p, q, a, b


def _definite(name):
    A = sv.param(name, M, M, init=1.0)
    sv.assume(A, sv.spd)
    return A


def _elementwise():
    x, y, p, q, a, b = _leaves()
    return {
        "log of a product of probabilities": sv.log(p * q),
        "logit of the logistic function": sv.logit(1 / (1 + sv.exp(-x))),
        "exponential of a logarithm of a tail": sv.exp(sv.log(sv.ndtr(x))),
        "density over its tail": sv.exp(-(x**2)) / sv.erfc(x),
        "complement of a tail": 2 - sv.erfc(x),
        "products of masks": sv.where(x > 0, y, 0) * sv.where(x > 0, sv.exp(y), 0),
        "an exponential that the derivative of erf takes back": sv.exp(x**2) * sv.erf(x),
        "a probability and its complement": x * sv.sigmoid(y) + x * sv.sigmoid(-y),
        "the sine of its square": 1 - sv.sin(x) ** 2,
        "sign of what is positive": sv.sign(1 + sv.exp(x)) * y,
        "powers of exponentials": sv.exp(x) ** 2 + sv.exp(y) - 1,
        "a logarithm in other units": sv.log(3 * x) - sv.log(3),
        "a logarithm taken back": sv.exp(sv.log(a * b)) + sv.exp(sv.log(a / b)),
        "log of a density of the logistic kind": sv.log(1 / sv.cosh(x)),
        "the logarithm of a share": sv.log(sv.exp(x) + sv.exp(y)) - x,
        "odds of an exponential": sv.exp(-sv.log(1 - sv.exp(-a))),
        "an exponential over cosh": sv.exp(x) / sv.cosh(x),
        "a distance from one": sv.log((1 - x) ** 2),
        "the reciprocal of tanh": sv.cosh(x) / sv.sinh(x),
        "odds with one half opened": sv.sigmoid(x) * (1 + sv.exp(x)),
        "a probability over an exponential": sv.sigmoid(x) / sv.exp(x),
        "a probability over itself": sv.sigmoid(-x) * (1 + sv.exp(x)),
    }


def _matrices():
    A, S = sv.param("A", M, M, init=1.0), _definite("S")
    b, d = sv.param("b", M), sv.param("d", M, support=sv.positive)
    U, y, s = sv.param("U", N, M, init=1.0), sv.data("y", N), sv.param("s", support=sv.positive)
    Q = sv.param("Q", M, M, init=1.0)
    sv.assume(Q, sv.orthogonal)
    L = sv.linalg.cholesky(S)
    noisy = U @ U.T + s * sv.eye(N)
    half = sv.linalg.solve_triangular(L, b)
    return {
        "a density with U U' + s I": y @ sv.linalg.solve(noisy, y) + sv.linalg.logdet(noisy),
        "the inverse of U U' + s I": sv.linalg.inv(noisy),
        "a factor of its determinant": sv.linalg.logdet(L),
        "both factors, one after the other": sv.linalg.solve_triangular(L, half, trans=1),
        "the inverse of a square product": sv.linalg.inv(A @ A.T),
        "a diagonal solve": sv.linalg.solve(sv.diag(d), b),
        "a quadratic form of residuals": (b - d) @ sv.linalg.solve(S, b - d) / 2,
        "an orthogonal solve": sv.linalg.solve(Q, b),
        "sign of the determinant of an inverse": sv.linalg.slogdet(sv.linalg.inv(A))[0],
        "sign of a determinant": sv.sign(sv.linalg.det(A)),
        "one matrix for many right sides": sv.linalg.solve(A, sv.data("Y", N, M, N)),
        "a matrix repeated along an axis": sv.linalg.inv(sv.broadcast_to(A, (N, M, M))),
        "whitened residuals with their determinant": (half**2 / 2 + sv.log(sv.diagonal(L))).sum(),
    }


SPELLINGS = {**_elementwise(), **_matrices()}
"""{what it is: an expression in the user's words}."""
