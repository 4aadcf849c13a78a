"""How typical models read: one line of index notation, and LaTeX as a textbook sets it."""

from __future__ import annotations

import pytest

import symvi as sv
from symvi.expr.printing import text

N, D, K, M, T = sv.dims("N D K M T")
X, y, z, A = sv.data("X", N, D), sv.data("y", N), sv.data("z", T), sv.data("A", N, N)
w, b, sigma = sv.param("w", D), sv.param("b"), sv.param("sigma", support=sv.positive)
mu, alpha, V = sv.param("mu", K, D, init=0.0), sv.param("alpha1", K), sv.data("V", N, M)
g = sv.data("g", N, dtype=sv.index(K))
p = sv.sigmoid(X @ w + b)

MODELS = {
    "tutorial": (b + b**10, "b + b¹⁰", r"b + b^{10}"),
    "predictor": (X @ w + b, "b + Σ_d X[n,d] w[d]", r"b + \sum_{d} X_{nd} w_{d}"),
    "logistic cost": (
        -sv.mean(y * sv.log(p) + (1 - y) * sv.log(1 - p)) + 0.01 * sv.sum(w**2),
        "0.01 Σ_d w[d]² - (Σ_n ((1 - y[n]) log(1 - σ(b + Σ_d X[n,d] w[d])) + y[n] log(σ(b + Σ_d X[n,d] w[d])))) / N",
        r"0.01 \sum_{d} w_{d}^{2} - \frac{1}{N} \sum_{n} \left(\left(1 - y_{n}\right)"
        r" \log\left(1 - \sigma\left(b + \sum_{d} X_{nd} w_{d}\right)\right)"
        r" + y_{n} \log\left(\sigma\left(b + \sum_{d} X_{nd} w_{d}\right)\right)\right)",
    ),
    "logistic likelihood": (
        sv.sum(y * (X @ w) - sv.softplus(X @ w)),
        "Σ_n (y[n] Σ_d X[n,d] w[d] - softplus(Σ_d X[n,d] w[d]))",
        r"\sum_{n} \left(y_{n} \sum_{d} X_{nd} w_{d} - \operatorname{softplus}\left(\sum_{d} X_{nd} w_{d}\right)\right)",
    ),
    "Gaussian likelihood": (
        -0.5 * sv.sum((y - X @ w) ** 2) / sigma**2 - N * sv.log(sigma),
        "-(Σ_n (y[n] - Σ_d X[n,d] w[d])²) / (2 sigma²) - N log(sigma)",
        r"-\frac{1}{2 \sigma^{2}} \sum_{n} \left(y_{n} - \sum_{d} X_{nd} w_{d}\right)^{2} - N \log\left(\sigma\right)",
    ),
    "Gaussian density": (
        sv.exp(-(b**2) / (2 * sigma**2)) / sv.sqrt(2 * sv.pi * sigma**2),
        "exp(-b² / (2 sigma²)) / sqrt(2 π sigma²)",
        r"\frac{\exp\left(-\frac{b^{2}}{2 \sigma^{2}}\right)}{\sqrt{2 \pi \sigma^{2}}}",
    ),
    "Gaussian process": (
        -0.5 * y @ sv.linalg.inv(A + sigma**2 * sv.eye(N)) @ y - 0.5 * sv.linalg.logdet(A + sigma**2 * sv.eye(N)),
        "-0.5 log|A + sigma² I| - 0.5 yᵀ (A + sigma² I)⁻¹ y",
        r"-\frac{1}{2} \log\left|A + \sigma^{2} I\right| - \frac{1}{2} y^{\top} \left(A + \sigma^{2} I\right)^{-1} y",
    ),
    "ridge regression": (
        sv.linalg.solve(X.T @ X + sv.eye(D), X.T @ y),
        "((I + Xᵀ X)⁻¹ Xᵀ y)[d]",
        r"\left(\left(I + X^{\top} X\right)^{-1} X^{\top} y\right)_{d}",
    ),
    "low rank": (
        sv.linalg.logdet(sv.eye(M) + V.T @ sv.linalg.inv(A) @ V),
        "log|I + Vᵀ A⁻¹ V|",
        r"\log\left|I + V^{\top} A^{-1} V\right|",
    ),
    "kernel": (
        sigma**2 * sv.exp(-0.5 * ((X[:, None, :] - X[None, :, :]) ** 2).sum(-1)),
        "sigma² exp(-0.5 Σ_d (X[n',d] - X[n,d])²)",
        r"\sigma^{2} \exp\left(-\frac{1}{2} \sum_{d} \left(X_{n'd} - X_{nd}\right)^{2}\right)",
    ),
    "mixture": (
        sv.logsumexp(-0.5 * ((X[:, None, :] - mu) ** 2).sum(-1), axis=1).sum(),
        "Σ_n logsumexp_k(-0.5 Σ_d (X[n,d] - mu[k,d])²)",
        r"\sum_{n} \operatorname{logsumexp}_{k}\left(-\frac{1}{2} \sum_{d} \left(X_{nd} - \mu_{kd}\right)^{2}\right)",
    ),
    "choice": (
        sv.where(y > 0, sv.log(y), -1.0),
        "(log(y[n]) if y[n] > 0 else -1)",
        r"\begin{cases}\log\left(y_{n}\right) & \text{if } y_{n} > 0\\ -1 & \text{otherwise}\end{cases}",
    ),
    "gather": (alpha[g] * y, "alpha1[g[n]] y[n]", r"\alpha_{1,g_{n}} y_{n}"),
    "autoregression": (sv.sum((z[1:] - z[:-1]) ** 2), "Σ_t (z[t] - z[t + 1])²", r"\sum_{t} \left(z_{t} - z_{t + 1}\right)^{2}"),
    "entropy": (
        -0.5 * sv.sum(1 + sv.log(mu**2)) + 1e-6 + b / 3,
        "1e-06 + b / 3 - 0.5 Σ_d,k (1 + log(mu[k,d]²))",
        r"10^{-6} + \frac{b}{3} - \frac{1}{2} \sum_{d,k} \left(1 + \log\left(\mu_{kd}^{2}\right)\right)",
    ),
    "factor": (
        sv.linalg.solve_triangular(sv.linalg.cholesky(A), y),
        "(chol(A)⁻¹ y)[n]",
        r"\left(\operatorname{chol}\left(A\right)^{-1} y\right)_{n}",
    ),
    "square of a sum": ((X @ w).sum() ** 2 * b, "b (Σ_n Σ_d X[n,d] w[d])²", r"b \left(\sum_{n} \sum_{d} X_{nd} w_{d}\right)^{2}"),
    "order and logic": ((y > 0) & (y <= 1), "(y[n] > 0) ∧ (y[n] ≤ 1)", r"\left(y_{n} > 0\right) \land \left(y_{n} \le 1\right)"),
    "power and product": (sv.prod(y) * b**sigma, "b^sigma Π_n y[n]", r"b^{\sigma} \prod_{n} y_{n}"),
}


@pytest.mark.parametrize("name", MODELS)
def test_text(name):
    expression, expected, _ = MODELS[name]
    assert text(expression) == expected
    assert repr(expression) == expected


@pytest.mark.parametrize("name", MODELS)
def test_latex(name):
    expression, _, expected = MODELS[name]
    assert sv.latex(expression) == expected
    assert expression._repr_latex_() == f"$\\displaystyle {expected}$"
    assert expected.count("{") == expected.count("}") and expected.count(r"\left") == expected.count(r"\right")


def test_pprint(capsys):
    sv.pprint(X @ w + b)
    sv.pprint(b**2)
    assert capsys.readouterr().out == "b + Σ_d X[n,d] w[d]    [N]\nb²\n"


def test_names_in_latex():
    for name, expected in {
        "w": "w", "sigma": r"\sigma",
        "beta0": r"\beta_{0}", "w_1": "w_{1}", "mu_x": r"\mu_{x}", "scale": r"\mathrm{scale}", "λ": r"\lambda",
        "log_sd": r"\mathrm{log\_sd}", "m_loc": r"m_{\mathrm{loc}}", "layer1.w": r"\mathrm{layer1.w}",
    }.items():  # fmt: skip
        assert sv.latex(sv.param(name)) == expected


def test_bound_labels_never_capture_free_ones():
    """K[n',n'] under a sum over n' of another matrix gets a letter of its own."""
    inner = sv.exp(A).sum(axis=1)
    expression = (inner[:, None] * inner[None, :]) * A
    written = text(expression)
    assert written.count("Σ") == 2 and "Σ_n' exp(A[n',n'])" not in written and "Σ_n exp(A[n,n])" not in written


def test_long_expressions_are_elided():
    deep = b
    for _ in range(60):
        deep = sv.sin(deep) + w.sum()
    assert len(text(deep, limit=80)) <= 80 and "…" in text(deep, limit=80)


def test_dims_without_names():
    assert text(sv.data("q", 4, 5)) == "q[i,j]"
    assert text(sv.data("q", 4, 4)) == "q[i,i']"
