"""The categorical latent Gaussian process on the original Wisconsin breast cancer data (683 rows, ten categorical variables).

    x_n ~ N(0, I),   f_dk ~ GP(0, s_d² k),   y_nd ~ Softmax(f_d1(x_n), ..., f_dK(x_n))

Every row is a point in a small latent space, and every category of every variable a function on that space. A fifth of the cells
is held out: the fit does not see them, and predicts them by the mean of the softmax under the guide. `python examples/clgp.py`
prints the perplexity of the held-out cells, and that of the frequencies of each variable (multinomial), for seeds 0 to 4.
"""

import sys
import time
from pathlib import Path

import numpy as np

import symvi as sv

FILE = Path(__file__).parent / "data" / "breast_cancer_wisconsin_original.csv"


def model(variables: int = 10, categories: int = 10) -> tuple[sv.Expr, sv.Expr]:
    """The bound, and the probabilities of all categories of all cells. Scales may turn negative: their signs do not matter."""
    N, M, Q, D, K = *sv.dims("N M Q"), sv.dim("D", variables), sv.dim("K", categories)
    Y, absent = sv.data("Y", N, D, K), sv.data("absent", D, K)  # Y[n, d, k] is 1 where y_nd = k was seen, absent a large -c where k ≥ K_d
    m, sd = sv.param("m", N, Q, init=0.0), sv.param("sd", N, Q, init=0.1)  # x_n ~ N(m_n, sd_n²)
    mu, C = sv.param("mu", D, K, M, init=sv.init.normal(0.01)), sv.tril(sv.param("C", D, M, M, init=0.0))  # u_dk ~ N(mu_dk, C_d C_d')
    Z, l, s = sv.param("Z", M, Q, init=0.0), sv.param("l", Q, init=1.0), sv.param("s", D, init=1.0)

    def k(a, b):
        return sv.exp(-0.5 * sv.sum(((a[:, None] - b) / l) ** 2, axis=-1))

    x = m + sd * sv.noise("e_x", N, Q)
    u = mu + sv.noise("e_u", D, K, M) @ C.mT
    Kmm, Knm = k(Z, Z) + 1e-6 * sv.eye(M), k(x, Z)
    A = Knm @ sv.linalg.inv(Kmm)
    rest = sv.sqrt(sv.maximum(1 - sv.sum(A * Knm, axis=1), 1e-10))  # the root of K_nn - K_nM K_MM^-1 K_Mn
    f = s[:, None] * (sv.einsum("nm,dkm->ndk", A, u) + rest[:, None, None] * sv.noise("e_f", N, D, K)) + absent
    kl_x = 0.5 * sv.sum(m**2 + sd**2 - sv.log(sd**2) - 1)
    log_det = sv.log(sv.linalg.det(Kmm)) - sv.sum(sv.log(sv.diagonal(C) ** 2), axis=-1)
    kl_u = 0.5 * K * sv.sum(sv.trace(sv.linalg.inv(Kmm) @ C @ C.mT) - M + log_det) + 0.5 * sv.sum(mu * (mu @ sv.linalg.inv(Kmm)))
    return sv.sum(Y * sv.log_softmax(f)) - kl_x - kl_u, sv.softmax(f)


def load() -> tuple[np.ndarray, np.ndarray]:
    """The complete rows, every variable coded 0, 1, ...; the number of categories of each variable."""
    table = np.genfromtxt(FILE, delimiter=",", skip_header=1)[:, 1:]
    table = table[np.isfinite(table).all(axis=1)].astype(int)
    table[:, -1] //= 2  # the class is 2 or 4
    return table - 1, np.array([10] * 9 + [2])


def hold_out(codes: np.ndarray, seed: int) -> np.ndarray:
    """A fifth of the cells, drawn uniformly."""
    return np.random.default_rng(seed).permutation(codes.size).reshape(codes.shape) < codes.size // 5


def train(codes: np.ndarray, seen: np.ndarray, sizes: np.ndarray, seed=0, Q=3, M=20, rounds=20, steps=50):
    """The fit, the probabilities N × D × K and the history of the bound, from the cells that `seen` marks.

    RMSProp with agreement shrinks the rate of a coordinate whose steps disagree in sign, which in the end noise makes them do: every
    round gives all coordinates their first rate again.
    """
    rng = np.random.default_rng(seed)
    Y = (np.arange(sizes.max()) == codes[:, :, None]) & seen[:, :, None]
    absent = np.where(np.arange(sizes.max()) < sizes[:, None], 0.0, -1e3)
    values = np.where(seen, codes, np.nan)  # the latent points start at the principal components of the cells seen
    values = np.nan_to_num((values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0))
    m = np.linalg.svd(values, full_matrices=False)[0][:, :Q]
    m = np.clip(m / m.std(axis=0), -3, 3)
    Z = sv.init.kmeans(m + 0.05 * rng.standard_normal(m.shape))((M, Q), rng)

    bound, probabilities = model(*Y.shape[1:])
    start = {"m": m, "Z": Z, "C": sv.init.constant(0.1 * np.eye(M))}
    fit, history = None, []
    for r in range(rounds):
        fit = sv.maximize(bound, {"Y": Y.astype(float), "absent": absent}, optimizer=sv.optim.RMSProp(agreement=0.2), steps=steps,
                          seed=seed + 1000 * r, init=fit.params if fit else start, progress=False)  # fmt: skip
        history.append(fit.history)
    return fit, fit.eval(probabilities, n=100), np.concatenate(history)


def perplexity(probabilities: np.ndarray, codes: np.ndarray, cells: np.ndarray) -> float:
    """exp of minus the mean log probability of the cells."""
    return float(np.exp(-np.mean(np.log(np.take_along_axis(probabilities, codes[:, :, None], axis=2)[cells]))))


def multinomial(codes: np.ndarray, seen: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The frequencies of each variable in the cells seen, one count added, as probabilities N × D × K."""
    counts = ((np.arange(sizes.max()) == codes[:, :, None]) & seen[:, :, None]).sum(axis=0) + (np.arange(sizes.max()) < sizes[:, None])
    return np.broadcast_to(counts / counts.sum(axis=1, keepdims=True), (*codes.shape, sizes.max()))


def main(seeds: int = 5, rounds: int = 20) -> list[tuple[float, float]]:
    codes, sizes = load()
    found, start = [], time.perf_counter()
    for seed in range(seeds):
        held = hold_out(codes, seed)
        _, probabilities, history = train(codes, ~held, sizes, seed, rounds=rounds)
        found.append((perplexity(probabilities, codes, held), perplexity(multinomial(codes, ~held, sizes), codes, held)))
        print(f"seed {seed}: perplexity {found[-1][0]:.3f}, multinomial {found[-1][1]:.3f}, bound {history[-50:].mean():.0f}, "
              f"{time.perf_counter() - start:.1f} s so far", flush=True)  # fmt: skip
    ours, frequencies = np.mean(found, axis=0)
    seconds = time.perf_counter() - start
    print(f"mean: perplexity {ours:.3f}, multinomial {frequencies:.3f}: {1 - ours / frequencies:.1%} lower, {seconds:.1f} s")
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
