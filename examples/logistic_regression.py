"""Bayesian logistic regression with a full covariance guide on the diagnostic breast cancer data (569 rows, 30 features).

    y_n ~ Bernoulli(σ(x_n · w)),   w ~ N(0, I)

The columns are standardised and an intercept is added as the last column.
"""

from pathlib import Path

import numpy as np

import symvi as sv

FILE = Path(__file__).parent / "data" / "breast_cancer_wisconsin_diagnostic.csv"


def load() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Standardised features with an intercept, labels (1 benign), names of the coefficients."""
    table = np.genfromtxt(FILE, delimiter=",", names=True)
    names = list(table.dtype.names[:-1])
    features = np.column_stack([table[name] for name in names])
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return np.column_stack([features, np.ones(len(features))]), table["benign"], [*names, "intercept"]


def main() -> sv.Fit:
    Xv, yv, names = load()

    N, D = sv.dims("N D")
    X = sv.data("X", N, D)
    w = sv.Normal("w", 0, 1, shape=D)
    y = sv.Bernoulli("y", logits=X @ w)

    fit = sv.fit(y, {X: Xv, y: yv}, coords={D: names})

    print(fit.summary())
    accuracy = np.mean((fit.mean(sv.sigmoid(X @ w)) > 0.5) == yv)
    print(f"accuracy on the training rows: {accuracy:.3f}")
    return fit


if __name__ == "__main__":
    main()
