"""The models whose emitted modules are kept as golden files. Each returns a bound and its parameters."""

from __future__ import annotations

import numpy as np

import symvi as sv


def logistic_mean_field():
    N, D = sv.dims("N D")
    S = sv.dim("S")
    X, y = sv.data("X", N, D), sv.data("y", N)
    m, rho = sv.param("m", D), sv.param("rho", D)
    w = m + sv.exp(rho) * sv.noise("e", S, D)
    eta = w @ X.T
    loglik = sv.sum(y * eta - sv.softplus(eta)) / S
    divergence = sv.sum(sv.exp(2 * rho) + m**2 - 1) / 2 - sv.sum(rho)
    return loglik - divergence, [m, rho]


def mixture():
    N, D, K = sv.dims("N D K")
    X = sv.data("X", N, D)
    mu, logits, log_scale = sv.param("mu", K, D, init=np.zeros((1, 1))), sv.param("logits", K), sv.param("log_scale", K)
    distance = sv.sum((X[:, None, :] - mu) ** 2, axis=2)
    joint = sv.log_softmax(logits) - distance * sv.exp(-2 * log_scale) / 2 - D * log_scale
    return sv.sum(sv.logsumexp(joint, axis=1)), [mu, logits, log_scale]


def gaussian_process():
    N, D = sv.dims("N D")
    X, y = sv.data("X", N, D), sv.data("y", N)
    lengthscale, amplitude, noise = sv.param("lengthscale"), sv.param("amplitude"), sv.param("noise")
    distance = sv.sum((X[:, None, :] - X[None, :, :]) ** 2, axis=2)
    K = sv.exp(amplitude - distance * sv.exp(-2 * lengthscale) / 2) + sv.exp(noise) * sv.eye(N)
    return -(y @ sv.linalg.inv(K) @ y + sv.log(sv.linalg.det(K))) / 2, [lengthscale, amplitude, noise]


def group_regression():
    N, D, J = sv.dims("N D J")
    X, y, g = sv.data("X", N, D), sv.data("y", N), sv.data("g", N, dtype=sv.index(J))
    offset, slope = sv.param("offset", J), sv.param("slope", D)
    level, log_spread, log_noise = sv.param("level"), sv.param("log_spread"), sv.param("log_noise")
    intercept = level + sv.exp(log_spread) * offset
    residual = y - intercept[g] - X @ slope
    loglik = -sv.sum(residual**2) * sv.exp(-2 * log_noise) / 2 - N * log_noise
    return loglik - sv.sum(offset**2) / 2, [offset, slope, level, log_spread, log_noise]


MODELS = (logistic_mean_field, mixture, gaussian_process, group_regression)
