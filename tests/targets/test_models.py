"""Models of many kinds: the emitted module agrees with the reference interpreter, in value and gradient."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv

MODELS = {}
SIZES = {
    "N": [0, 1, 3, 4, 9],
    "D": [2, 1, 0, 3, 2],
    "J": [1, 2, 3, 1, 2],
    "I": [2, 1, 3, 2, 1],
    "T": [2, 3, 5, 1, 9],
}


def model(function):
    """A model is a function that returns (outputs, parameters) and perhaps {leaf: value}, which holds for all sizes."""
    MODELS[function.__name__] = function
    return function


def dims():
    return sv.dims("N D")


# ------------------------------------------------------------------------------------------------- regressions, mixtures
@model
def logistic():
    N, D = dims()
    X, y, w = sv.data("X", N, D), sv.data("y", N), sv.param("w", D)
    p = 1 / (1 + sv.exp(-X @ w))
    return [sv.sum(y * sv.log(p) + (1 - y) * sv.log(1 - p)) - sv.sum(w**2)], [w]


@model
def logistic_with_particles():
    N, D = dims()
    S = sv.dim("S", 3)
    X, y, m, rho = sv.data("X", N, D), sv.data("y", N), sv.param("m", D), sv.param("rho", D)
    w = m + sv.exp(rho) * sv.noise("e", S, D)
    eta = w @ X.T
    return [sv.sum(y * eta - sv.softplus(eta)) / 3 + sv.sum(rho), eta], [m, rho]


@model
def full_covariance_guide():
    N, D = dims()
    X, y, m, L = sv.data("X", N, D), sv.data("y", N), sv.param("m", D), sv.param("L", D, D, init=sv.zeros and np.eye(2))
    factor = sv.tril(L, -1) + sv.diag(sv.exp(sv.linalg.diag(L)))
    w = m + factor @ sv.noise("e", D)
    eta = X @ w
    return [sv.sum(y * eta - sv.softplus(eta)) + sv.sum(sv.linalg.diag(L)) - sv.sum(factor**2) / 2], [m, L]


@model
def mixture():
    N, D = dims()
    K = sv.dim("K", 3)
    X, mu, logits, ls = sv.data("X", N, D), sv.param("mu", K, D, init=np.zeros((3, 2))), sv.param("logits", K), sv.param("ls", K)
    distance = sv.sum((X[:, None, :] - mu[None, :, :]) ** 2, axis=2)
    log_joint = sv.log_softmax(logits) - distance / (2 * sv.exp(2 * ls)) - 2 * ls
    return [sv.sum(sv.logsumexp(log_joint, axis=1)), sv.softmax(log_joint, axis=1)], [mu, logits, ls]


@model
def softmax_regression():
    N, D = dims()
    K = sv.dim("K")
    X, y, W = sv.data("X", N, D), sv.data("y", N, dtype=sv.index(K)), sv.param("W", D, K, init=np.zeros((2, 3)))
    log_p = sv.log_softmax(X @ W, axis=1)
    return [sv.sum(log_p[sv.arange(N), y]), sv.max(log_p, axis=1)], [W]


@model
def poisson_with_exposure():
    N, D = dims()
    X, y, t, w = sv.data("X", N, D), sv.data("y", N, dtype=int), sv.data("t", N), sv.param("w", D)
    eta = X @ w + t
    return [sv.sum(y * eta - sv.exp(eta) - sv.gammaln(y + 1.0))], [w]


@model
def student_t_noise():
    N, D = dims()
    X, y, w, s, nu = sv.data("X", N, D), sv.data("y", N), sv.param("w", D), sv.param("s"), sv.param("nu", init=1.0)
    df = sv.exp(nu)
    z = (y - X @ w) / sv.exp(s)
    normaliser = sv.gammaln((df + 1) / 2) - sv.gammaln(df / 2) - sv.log(df * sv.pi) / 2 - s
    return [sv.sum(normaliser - (df + 1) / 2 * sv.log1p(z**2 / df))], [w, s, nu]


@model
def heteroscedastic():
    N, D = dims()
    X, y, w, v = sv.data("X", N, D), sv.data("y", N), sv.param("w", D), sv.param("v", D)
    return [sv.sum(-((y - X @ w) ** 2) * sv.exp(-2 * (X @ v)) / 2 - X @ v)], [w, v]


@model
def perceptron():
    N, D = dims()
    H = sv.dim("H", 3)
    X, y = sv.data("X", N, D), sv.data("y", N)
    V, a, b, c = sv.param("V", D, H, init=np.ones((2, 3))), sv.param("a", H), sv.param("b", H), sv.param("c")
    hidden = sv.tanh(X @ V + a)
    return [sv.mean((hidden @ b + c - y) ** 2) + sv.sum(V**2), hidden], [V, a, b, c]


@model
def deep_perceptron():
    N, D = dims()
    H, G = sv.dim("H", 3), sv.dim("G", 2)
    X, y = sv.data("X", N, D), sv.data("y", N)
    U, V, w = sv.param("U", D, H, init=np.ones((2, 3))), sv.param("V", H, G, init=np.ones((3, 2))), sv.param("w", G)
    return [sv.sum((sv.maximum(sv.tanh(X @ U) @ V, 0) @ w - y) ** 2)], [U, V, w]


# --------------------------------------------------------------------------------------------------- groups and indices
@model
def groups():
    N, D = dims()
    J = sv.dim("J")
    X, y, g = sv.data("X", N, D), sv.data("y", N), sv.data("g", N, dtype=sv.index(J))
    a, b, m, s = sv.param("a", J), sv.param("b", D), sv.param("m"), sv.param("s")
    mu = (m + sv.exp(s) * a)[g] + X @ b
    return [-sv.sum((y - mu) ** 2) / 2 - sv.sum(a**2) / 2, mu], [a, b, m, s]


@model
def group_slopes():
    N, D = dims()
    J = sv.dim("J")
    X, y, g = sv.data("X", N, D), sv.data("y", N), sv.data("g", N, dtype=sv.index(J))
    B = sv.param("B", J, D, init=np.zeros((2, 2)))
    return [-sv.sum((y - sv.sum(X * B[g], axis=1)) ** 2)], [B]


@model
def nested_groups():
    N, _ = dims()
    J, I = sv.dims("J I")
    y, g, h = sv.data("y", N), sv.data("g", N, dtype=sv.index(J)), sv.data("h", J, dtype=sv.index(I))
    a, b = sv.param("a", J), sv.param("b", I)
    return [-sv.sum((y - a[g] - b[h][g]) ** 2) - sv.sum((a - b[h]) ** 2)], [a, b]


@model
def two_groupings():
    N, _ = dims()
    J, I = sv.dims("J I")
    y, g, h = sv.data("y", N), sv.data("g", N, dtype=sv.index(J)), sv.data("h", N, dtype=sv.index(I))
    a, b = sv.param("a", J), sv.param("b", I)
    c = sv.param("c", J, I, init=np.zeros((2, 2)))
    return [-sv.sum((y - a[g] * b[h] - c[g, h]) ** 2)], [a, b, c]


@model
def noisy_group_effects():
    N, _ = dims()
    J = sv.dim("J")
    y, g = sv.data("y", N), sv.data("g", N, dtype=sv.index(J))
    m, rho, x = sv.param("m", J), sv.param("rho", J), sv.data("x", J)
    a = m + sv.exp(rho) * sv.noise("e", J)
    return [-sv.sum((y - a[g]) ** 2) - sv.sum((a - x) ** 2) + sv.sum(rho)], [m, rho]


@model
def factorisation_of_users_and_items():
    N, _ = dims()
    J, I = sv.dims("J I")
    K = sv.dim("K", 2)
    r, u, v = sv.data("r", N), sv.data("u", N, dtype=sv.index(J)), sv.data("v", N, dtype=sv.index(I))
    U, V = sv.param("U", J, K, init=np.zeros((2, 2))), sv.param("V", I, K, init=np.zeros((2, 2)))
    return [-sv.sum((r - sv.sum(U[u] * V[v], axis=1)) ** 2) - sv.sum(U**2) - sv.sum(V**2)], [U, V]


@model
def two_plates():
    J, I = sv.dims("J I")
    K = sv.dim("K", 2)
    Y, x, z = sv.data("Y", J, I), sv.data("x", J), sv.data("z", I)
    U, V, b = sv.param("U", J, K, init=np.zeros((2, 2))), sv.param("V", I, K, init=np.zeros((2, 2))), sv.param("b")
    eta = U @ V.T + b * x[:, None] + z
    return [sv.sum(Y * eta - sv.softplus(eta)) + sv.sum((x * U[:, 0]) ** 2), sv.sum(eta, axis=0)], [U, V, b]


@model
def item_response():
    J, I = sv.dims("J I")
    Y = sv.data("Y", J, I)
    ability, easiness, slope = sv.param("ability", J), sv.param("easiness", I), sv.param("slope", I)
    eta = sv.exp(slope) * (ability[:, None] + easiness)
    return [sv.sum(Y * eta - sv.softplus(eta)) - sv.sum(ability**2) / 2], [ability, easiness, slope]


# ----------------------------------------------------------------------------------------------------------- local latents
@model
def local_latents():
    N, _ = dims()
    y, m, rho, mu, tau = sv.data("y", N), sv.param("m", N), sv.param("rho", N), sv.param("mu"), sv.param("tau")
    z = m + sv.exp(rho) * sv.noise("e", N)
    bound = -((z - mu) ** 2) * sv.exp(-2 * tau) / 2 - tau + y * z - sv.exp(z) + rho
    return [sv.sum(bound)], [m, rho, mu, tau]


@model
def local_latents_with_particles():
    N, D = dims()
    S = sv.dim("S", 2)
    Y, m, W = sv.data("Y", N, D), sv.param("m", N, 2, init=np.zeros((1, 2))), sv.param("W", 2, D, init=np.ones((2, 2)))
    z = m + sv.noise("e", S, N, 2)
    return [-sv.sum((Y - z @ W) ** 2) / 2 - sv.sum(z**2)], [m, W]


@model
def noise_of_every_kind():
    N, D = dims()
    y, w = sv.data("y", N), sv.param("w", D)
    a, b, c, d = (sv.noise(kind, N, D, kind=kind) for kind in ("normal", "uniform", "exponential", "rademacher"))
    v = w + sv.noise("global", D)
    return [sv.sum(y * sv.sum((a + b) * v + c * d * w**2, axis=1)), sv.sum(a + b, axis=1), c * d], [w]


@model
def amortised():
    N, D = dims()
    H, Q = sv.dim("H", 3), sv.dim("Q", 2)
    X, V, W = sv.data("X", N, D), sv.param("V", D, H, init=np.ones((2, 3))), sv.param("W", H, Q, init=np.ones((3, 2)))
    U = sv.param("U", Q, D, init=np.ones((2, 2)))
    hidden = sv.tanh(X @ V)
    z = hidden @ W + sv.noise("e", N, Q)
    eta = z @ U
    return [sv.sum(X * eta - sv.softplus(eta)) - sv.sum((hidden @ W) ** 2) / 2], [V, W, U]


# --------------------------------------------------------------------------------------------------------- linear algebra
def squared_distances(A, B):
    return sv.sum((A[:, None, :] - B[None, :, :]) ** 2, axis=2)


@model
def gaussian_process():
    N, D = dims()
    X, y, l, s = sv.data("X", N, D), sv.data("y", N), sv.param("l"), sv.param("s")
    K = sv.exp(l) * sv.exp(-squared_distances(X, X) / 2) + sv.exp(s) * sv.eye(N)
    return [-(y @ sv.linalg.inv(K) @ y + sv.log(sv.linalg.det(K))) / 2], [l, s]


@model
def deep_kernel():
    N, D = dims()
    H = sv.dim("H", 2)
    X, y, W, s = sv.data("X", N, D), sv.data("y", N), sv.param("W", D, H, init=np.ones((2, 2))), sv.param("s")
    phi = sv.tanh(X @ W)
    K = sv.exp(-squared_distances(phi, phi)) + sv.exp(s) * sv.eye(N)
    return [-(y @ sv.linalg.inv(K) @ y + sv.log(sv.linalg.det(K))) / 2], [W, s]


@model
def sparse_process():
    N, D = dims()
    M = sv.dim("M", 3)
    X, y = sv.data("X", N, D), sv.data("y", N)
    Z, m, l = sv.param("Z", M, D, init=np.ones((3, 2))), sv.param("m", M), sv.param("l", D)
    scale = sv.exp(l)
    Kmm = sv.exp(-squared_distances(Z / scale, Z / scale) / 2) + 0.1 * sv.eye(M)
    Knm = sv.exp(-squared_distances(X / scale, Z / scale) / 2)
    A = Knm @ sv.linalg.inv(Kmm)
    f = A @ m + sv.sqrt(sv.maximum(1.1 - sv.sum(A * Knm, axis=1), 1e-3)) * sv.noise("e", N)
    return [-sv.sum((y - f) ** 2) - (m @ sv.linalg.inv(Kmm) @ m + sv.linalg.logdet(Kmm)) / 2], [Z, m, l]


@model
def general_matrix():
    D = sv.dim("D")
    A, b = sv.param("A", D, D, init=np.eye(2)), sv.param("b", D)
    B = A + 5 * sv.eye(D)
    x = sv.linalg.solve(B, b)
    return [sv.sum(x**2) + sv.linalg.logdet(B) + sv.linalg.det(B) / 50 + sv.sum(sv.linalg.inv(B) * A), x], [A, b]


@model
def batched_matrices():
    J, D = sv.dims("J D")
    A, b = sv.param("A", J, D, D, init=np.zeros((1, 2, 2))), sv.data("b", J, D)
    K = A @ sv.swapaxes(A, 1, 2) + sv.eye(D)
    x = sv.linalg.solve(K, b[:, :, None])[:, :, 0]
    return [sv.sum(sv.sum(x * b, axis=1) + sv.linalg.logdet(K)), sv.linalg.inv(K)], [A]


@model
def cholesky_factor():
    D = sv.dim("D")
    A, x = sv.param("A", D, D, init=np.eye(2)), sv.data("x", D)
    L = sv.linalg.cholesky(A @ A.T + sv.eye(D))
    return [sv.sum(sv.linalg.solve_triangular(L, x) ** 2) + sv.sum(sv.log(sv.linalg.diag(L))), L], [A]


@model
def triangular_matrix():
    D = sv.dim("D")
    A, x = sv.param("A", D, D, init=np.eye(2)), sv.data("x", D)
    L = sv.tril(A, -1) + sv.diag(sv.exp(sv.linalg.diag(A)))
    return [sv.sum(sv.linalg.solve(L, x) ** 2) + sv.sum(sv.linalg.solve_triangular(L, x, trans=1)) + sv.linalg.logdet(L)], [A]


@model
def covariance_from_rows():
    N, D = dims()
    X, m, s = sv.data("X", N, D), sv.param("m", D), sv.param("s")
    C = (X - m).T @ (X - m) + sv.exp(s) * sv.eye(D)
    return [sv.linalg.logdet(C) + sv.trace(sv.linalg.inv(C)), C], [m, s]


@model
def normal_equations():
    N, D = dims()
    X, y, s = sv.data("X", N, D), sv.data("y", N), sv.param("s")
    w = sv.linalg.solve(X.T @ X + sv.exp(s) * sv.eye(D), X.T @ y)
    return [sv.sum((y - X @ w) ** 2), w], [s]


# ----------------------------------------------------------------------------------- slices, shifts, joining, reshaping
@model
def autoregression():
    T = sv.dim("T")
    y, a, s = sv.data("y", T), sv.param("a"), sv.param("s")
    return [-sv.sum((y[1:] - a * y[:-1]) ** 2) * sv.exp(-s) - y[0] ** 2], [a, s]


@model
def local_level():
    T = sv.dim("T")
    y, h, s = sv.data("y", T), sv.param("h", T), sv.param("s")
    return [-sv.sum((h[1:] - h[:-1]) ** 2) * sv.exp(-s) - sv.sum((y - h) ** 2) - (T - 1) * s / 2], [h, s]


@model
def second_order_differences():
    T = sv.dim("T")
    y, h = sv.data("y", T + 2), sv.param("h", T + 2)
    return [-sv.sum((h[2:] - 2 * h[1:-1] + h[:-2]) ** 2) - sv.sum((y - h) ** 2), h[1:] * y[:-1]], [h]


@model
def stochastic_volatility():
    T = sv.dim("T")
    y, m, rho, mu = sv.data("y", T), sv.param("m", T), sv.param("rho", T), sv.param("mu")
    h = m + sv.exp(rho) * sv.noise("e", T)
    step = (h[1:] - mu) - 0.9 * (h[:-1] - mu)
    return [-sv.sum(step**2) / 2 - sv.sum(h + y**2 * sv.exp(-h)) / 2 + sv.sum(rho)], [m, rho, mu]


@model
def joined_arrays():
    N, D = dims()
    X, y, w, b = sv.data("X", N, D), sv.data("y", N), sv.param("w", D + 1), sv.param("b")
    Z = sv.concatenate([sv.ones((N, 1)), X * b], axis=1)
    both = sv.concatenate([Z @ w, y])
    pair = sv.stack([y, Z @ w], axis=1)
    return [sv.sum((Z @ w - y) ** 2) + sv.sum(both**3) + sv.sum(pair[:, 0] * pair[:, 1]), both, pair], [w, b]


@model
def cumulative_sums():
    T = sv.dim("T")
    y, d = sv.data("y", T), sv.param("d", T)
    level = sv.cumsum(sv.exp(d))
    return [-sv.sum((y - level) ** 2), level, sv.cumsum(y)], [d]


@model
def rearranged():
    N, D = dims()
    X, w = sv.data("X", N, D), sv.param("w", D)
    Y = sv.reshape(X * w, (D, N))
    return [sv.sum(sv.flip(Y, 0) ** 3) + sv.sum(sv.ravel(X * w) ** 2), Y, sv.flip(X, 1), sv.triu(X.T @ X), (X * w).T], [w]


@model
def taken():
    N, D = dims()
    X, w = sv.data("X", N + 3, D + 2), sv.param("w", D + 2)
    eta = X[1:-1] @ w
    return [sv.sum(eta**2) + sv.sum(sv.take(w, np.array([1, 0, 1])) ** 3) + sv.sum(X[:, 1] * X[:, 0]) * w[0], w[-1] * X[0]], [w]


# --------------------------------------------------------------------------------------------------------------- reductions
@model
def reductions_over_the_plate():
    N, D = dims()
    X, w = sv.data("X", N + 1, D), sv.param("w", D)
    Z = sv.tanh(X * w)
    eta = sv.sum(Z, axis=1)
    extremes = sv.max(eta) + sv.min(eta) + sv.prod(1.5 + eta / 9)
    return [extremes, sv.any(X > 1, axis=0), sv.all(eta > -1), sv.prod(Z, axis=0), sv.min(Z, axis=0)], [w]


@model
def reductions_inside():
    N, D = dims()
    X, w = sv.data("X", N, D + 1), sv.param("w", D + 1)
    Z = X * w
    return [
        sv.sum(sv.max(Z, axis=1) + sv.min(Z, axis=1) + sv.prod(Z, axis=1)), sv.any(Z > 0, axis=1), sv.all(Z > 0, axis=1),
        sv.sum(Z > 0), sv.mean(Z, axis=1),
    ], [w]  # fmt: skip


@model
def logsumexp_over_the_plate():
    N, D = dims()
    X, w = sv.data("X", N, D), sv.param("w", D)
    return [sv.logsumexp(X @ w) + sv.sum(sv.logsumexp(X * w, axis=0)), sv.logsumexp(X)], [w]


@model
def softmax_over_the_plate():
    N, D = dims()
    X, y, w = sv.data("X", N, D), sv.data("y", N), sv.param("w", D)
    weight = sv.softmax(X @ w, axis=0)
    return [sv.sum(weight * y) + sv.sum(weight**2), weight], [w]


@model
def moments():
    N, D = dims()
    X, w = sv.data("X", N + 2, D), sv.param("w", D)
    Z = sv.sinh(X * w)
    return [sv.sum(sv.var(Z, axis=0)) + sv.sum((Z - sv.mean(Z, axis=0)) ** 4), sv.mean(Z, axis=0)], [w]


@model
def standardised_data():
    N, D = dims()
    X, y, w = sv.data("X", N + 2, D), sv.data("y", N + 2), sv.param("w", D)
    Z = (X - sv.mean(X, axis=0)) / sv.sqrt(sv.var(X, axis=0) + 1)
    return [sv.sum((y - Z @ w) ** 2)], [w]


# ------------------------------------------------------------------------------------------------- integers, masks, scalars
@model
def integer_and_boolean_data():
    N, D = dims()
    X, k, b, w = sv.data("X", N, D), sv.data("k", N, dtype=int), sv.data("b", N, dtype=bool), sv.param("w", D)
    eta = X @ w
    joined = sv.concatenate([k, b])
    value = sv.sum(sv.where(b, eta, 0.5 * k)) + sv.sum(k * eta)
    return [value, sv.sum(k), sv.sum(b), k % 2, k + 1, ~b, sv.max(k), b & (eta > 0), joined, sv.cumsum(k), sv.concatenate([k, eta])], [w]


@model
def masked():
    N, D = dims()
    X, y, w = sv.data("X", N, D), sv.data("y", N), sv.param("w", D)
    eta = X @ w
    safe = sv.where(eta > 0, sv.log(sv.where(eta > 0, eta, 1.0)), -eta)
    return [sv.sum(sv.where(y > 0, safe, 0.0)) + sv.sum(sv.clip(eta, -0.5, 0.5) * y), sv.abs(eta), sv.sign(eta), sv.floor(eta)], [w]


@model
def scalars_only():
    a, b = sv.param("a"), sv.param("b")
    return [a + a**10 + a**2 + 2 * a * b + b**2, a * b, sv.exp(a) / (1 + b**2), 3.0 + 0 * a], [a, b]


@model
def constants_and_sizes():
    N, D = dims()
    w = sv.param("w", D)
    y = sv.data("y", N)
    return [sv.sum(w) * N / 2 + N * D + 0 * sv.sum(y), sv.ones((N, D)), sv.eye(D), sv.arange(N), sv.full(3, 2.5)], [w]


@model
def derivatives():
    N, D = dims()
    X, w = sv.data("X", N, D), sv.param("w", D)
    cost = sv.sum(sv.softplus(X @ w)) + sv.sum(w**4)
    return [cost, sv.grad(cost, w), sv.hessian(cost, w), sv.jacobian(X @ w**2, w), sv.hvp(cost, w, w)], [w]


@model
def stopped_gradient():
    N, D = dims()
    X, w = sv.data("X", N, D), sv.param("w", D)
    return [sv.sum(sv.stop_gradient(sv.exp(X @ w)) * (X @ w))], [w]


@model
def einsum_of_three():
    N, D = dims()
    K = sv.dim("K", 2)
    X, A, B = sv.data("X", N, D), sv.param("A", D, K, init=np.ones((2, 2))), sv.param("B", D, K, init=np.ones((2, 2)))
    return [sv.sum(sv.einsum("nd,dk,nd,ek->nek", X, A, X, B) ** 2), sv.einsum("nd,ne->de", X, X), sv.einsum("dk,ek->de", A, B)], [A, B]


@model
def bilinear():
    N, D = dims()
    X, A = sv.data("X", N, D), sv.param("A", D, D, init=np.eye(2))
    return [sv.sum(sv.exp(-sv.sum((X @ A) * X, axis=1) / 9)), X @ A @ X.T], [A]


@model
def sum_over_the_plate_spread_over_it():
    """The gradient by B has in every column the same sum over all rows."""
    N, D = dims()
    X, y, B = sv.data("X", N, D), sv.data("y", N), sv.param("B", D, N, init=np.zeros((1, 1)))
    return [sv.sum(y @ (X @ B)), sv.sum(X * y[:, None], axis=0)], [B]


@model
def chain_of_products():
    N, D = dims()
    X, A, B, w = sv.data("X", N, D), sv.param("A", D, D, init=np.eye(2)), sv.param("B", D, D, init=np.eye(2)), sv.param("w", D)
    return [sv.sum((X @ A @ B @ w) ** 2) + sv.trace(A @ B @ A.T), sv.diag(A @ B @ A.T), X @ A @ B + X @ B], [A, B, w]


@model
def special_functions():
    N, D = dims()
    X, w = sv.data("X", N, D), sv.param("w", D)
    z = X * w
    normal = sv.log_ndtr(z) + sv.erf(z)
    return [sv.sum(normal + sv.logaddexp(z, w) + sv.xlogy(sv.exp(z), 1 + z**2) + sv.sin(z) * sv.arctan(z) + sv.log1p(z**2))], [w]


def build(name):
    outputs, parameters, *values = MODELS[name]()
    return outputs, parameters, values[0] if values else None


def all_sizes(names=("N", "D", "J", "I", "T", "K", "S", "H", "Q", "G", "M")):
    """Sizes for every model: five cases, with extents 0 and 1, multiples of the block and not."""
    return [{**{name: 2 for name in names}, **{name: SIZES[name][case] for name in SIZES}} for case in range(5)]


@pytest.mark.parametrize("name", MODELS)
def test_emitted(name, check_emitted):
    outputs, parameters, values = build(name)
    check_emitted(outputs, parameters, all_sizes(), values=values)


def test_emitted_in_float32(check_emitted):
    for name in ("logistic", "mixture", "groups", "gaussian_process", "local_latents", "integer_and_boolean_data", "joined_arrays"):
        outputs, parameters, values = build(name)
        emitted = check_emitted(outputs, parameters, all_sizes(), dtype="float32", values=values, tolerance=2e-3)
        assert "real64" not in emitted.module.source and "reals64" not in emitted.module.source


COMPILED = [
    "logistic_with_particles", "mixture", "noisy_group_effects", "two_plates", "noise_of_every_kind", "deep_kernel", "general_matrix",
    "batched_matrices", "cholesky_factor", "stochastic_volatility", "cumulative_sums", "reductions_over_the_plate",
    "integer_and_boolean_data", "special_functions",
]  # fmt: skip
LARGER = {"N": 300, "D": 3, "J": 140, "I": 5, "T": 260, "K": 3, "S": 2, "H": 2, "Q": 2, "G": 2, "M": 3}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled(name, check_compiled):
    outputs, parameters, values = build(name)
    cases = all_sizes()
    check_compiled(outputs, parameters, [cases[0], cases[1], cases[4], LARGER], values=values, name=name)


@pytest.mark.parametrize("name", ["local_latents"])
def test_compiled_in_float32(name, check_compiled):
    outputs, parameters, values = build(name)
    check_compiled(outputs, parameters, [all_sizes()[4], LARGER], dtype="float32", values=values, name=name, tolerance=2e-3)
