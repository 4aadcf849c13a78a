"""logistic_mean_field: emitted by symvi.

value = Σ_d rho[d] - 0.5 Σ_d (exp(2 rho[d]) + m[d]² - 1) - (Σ_n,s (softplus(Σ_d X[n,d] (m[d] + e[s,d] exp(rho[d]))) - y[n] Σ_d
    X[n,d] (m[d] + e[s,d] exp(rho[d])))) / S

relies on 7 < S, 7 < D
"""

import numpy as np
from numba import cfunc
from symvi_helpers import BLOCK, KERNEL, PASS, exp, gemm, gemm_nt, log1p_of_exp, maximum, real64, reals64, rows_from

float64 = np.float64


@cfunc(KERNEL, **PASS)
def parameters_1(n0, n1, table):
    """What depends on no plate, part 1 of 2.

        exp_rho[d] = exp(2 rho[d])
        exp_rho_2[d] = exp(rho[d])
        w[s,d] = m[d] + e[s,d] exp_rho_2[d]
        sum_exp_rho = Σ_d (exp_rho[d] + m[d]² - 1)
        sum_rho = Σ_d rho[d]
    """
    D = table[1]
    S = table[5]
    m = reals64(table, 18, (D,))                                                # m[d]
    rho = reals64(table, 17, (D,))                                              # rho[d]
    e = reals64(table, 13, (S, D))                                              # e[s,d]  noise
    exp_rho = reals64(table, 10, (D,))                                          # exp_rho[d]  scratch
    exp_rho_2 = reals64(table, 11, (D,))                                        # exp_rho_2[d]  scratch
    sum_exp_rho = reals64(table, 19, (1,))                                      # sum_exp_rho  scratch
    sum_rho = reals64(table, 20, (1,))                                          # sum_rho  scratch
    w = reals64(table, 14, (S, D))                                              # w[s,d]  scratch
    sum_exp_rho_value = 0.0
    sum_rho_value = 0.0
    for d in range(D):
        exp_rho_i = exp(2.0 * rho[d])                                           # models.py:18
        exp_rho[d] = exp_rho_i
        exp_rho_2[d] = exp(rho[d])                                              # models.py:15
        sum_exp_rho_value += exp_rho_i + m[d] ** 2 - 1.0                        # models.py:18
        sum_rho_value += rho[d]                                                 # models.py:18
    sum_exp_rho[0] = sum_exp_rho_value
    sum_rho[0] = sum_rho_value
    for s in range(S):
        for d in range(D):
            w[s, d] = m[d] + e[s, d] * exp_rho_2[d]                             # models.py:15
    return 0


@cfunc(KERNEL, **PASS)
def plate_N(n0, n1, table):
    """Rows n0..n1 of plate N, pass 1 of 1.

        g_w[s,d] = Σ_n X[n,d] g_eta[n,s]
        sum_eta = Σ_n,s (log1p_of_exp(exp_eta[n,s]) + maximum(eta[n,s], 0) - y[n] eta[n,s])
    """
    D = table[1]
    N = table[3]
    S = table[5]
    X = reals64(table, 15, (D, N))                                              # X[d,n]
    y = reals64(table, 16, (N,))                                                # y[n]
    g_w = reals64(table, 12, (S, D))                                            # g_w[s,d]  scratch
    sum_eta = reals64(table, 21, (1,))                                          # sum_eta  scratch
    w = reals64(table, 14, (S, D))                                              # w[s,d]  scratch
    eta = reals64(table, 22, (S, BLOCK))                                        # eta[s,n]  tile
    g_eta = reals64(table, 23, (S, BLOCK))                                      # g_eta[s,n]  tile
    total_sum_eta = 0.0
    for s in range(S):
        for d in range(D):
            g_w[s, d] = 0.0
    for lo in range(n0, n1, BLOCK):
        hi = min(lo + BLOCK, n1)
        rows = hi - lo
        X_b = rows_from(X, lo)
        y_b = y[lo:hi]
        gemm(w, X_b[:, :rows], eta[:, :rows], 1.0, 0.0)                         # Σ_d X[n,d] w[s,d]    models.py:16
        block_sum_eta = 0.0
        for s in range(S):
            for i in range(rows):
                exp_eta = exp(-abs(eta[s, i]))                                  # exp(-|eta[n,s]|)    models.py:17
                # y[n] - (1 if eta[n,s] ≥ 0 else exp_eta[n,s]) / (1 + exp_eta[n,s])    models.py:16
                g_eta[s, i] = y_b[i] - (1.0 if eta[s, i] >= 0.0 else exp_eta) / (exp_eta + 1.0)
                # Σ_n,s (log1p_of_exp(exp_eta[n,s]) + maximum(eta[n,s], 0) - y[n] eta[n,s])    models.py:17
                block_sum_eta += log1p_of_exp(exp_eta) + maximum(eta[s, i], 0.0) - y_b[i] * eta[s, i]
        total_sum_eta += block_sum_eta
        gemm_nt(g_eta[:, :rows], X_b[:, :rows], g_w, 1.0, 1.0)                  # Σ_n X[n,d] g_eta[n,s]    models.py:16
    sum_eta[0] = total_sum_eta
    return 0


@cfunc(KERNEL, **PASS)
def parameters_2(n0, n1, table):
    """What depends on no plate, part 2 of 2.

        value = sum_rho - sum_eta / S - 0.5 sum_exp_rho
        g_m[d] = sum_g_w[d] / S - m[d]
        g_rho[d] = 1 + exp_rho_2[d] g_exp_rho_2[d] / S - exp_rho[d]
    """
    D = table[1]
    S = table[5]
    size_S = table[6]
    m = reals64(table, 18, (D,))                                                # m[d]
    e = reals64(table, 13, (S, D))                                              # e[s,d]  noise
    exp_rho = reals64(table, 10, (D,))                                          # exp_rho[d]  scratch
    exp_rho_2 = reals64(table, 11, (D,))                                        # exp_rho_2[d]  scratch
    g_exp_rho_2 = reals64(table, 25, (D,))                                      # g_exp_rho_2[d]  scratch
    g_w = reals64(table, 12, (S, D))                                            # g_w[s,d]  scratch
    sum_eta = real64(table, 21)                                                 # sum_eta  scratch
    sum_exp_rho = real64(table, 19)                                             # sum_exp_rho  scratch
    sum_g_w = reals64(table, 24, (D,))                                          # sum_g_w[d]  scratch
    sum_rho = real64(table, 20)                                                 # sum_rho  scratch
    g_m = reals64(table, 8, (D,))                                               # g_m[d]  result
    g_rho = reals64(table, 9, (D,))                                             # g_rho[d]  result
    value = reals64(table, 7, (1,))                                             # value  result
    value[0] = sum_rho - sum_eta / float64(size_S) - 0.5 * sum_exp_rho          # models.py:19
    for d in range(D):
        sum_g_w[d] = 0.0
    for d in range(D):
        g_exp_rho_2[d] = 0.0
    for s in range(S):
        for d in range(D):
            sum_g_w[d] += g_w[s, d]                                             # Σ_s g_w[s,d]    models.py:15
            g_exp_rho_2[d] += e[s, d] * g_w[s, d]                               # Σ_s e[s,d] g_w[s,d]    models.py:15
    for d in range(D):
        g_m[d] = sum_g_w[d] / float64(size_S) - m[d]                            # models.py:14
        g_rho[d] = exp_rho_2[d] * g_exp_rho_2[d] / float64(size_S) + 1.0 - exp_rho[d]  # models.py:14
    return 0


# What the driver runs, in order: functions above, over the rows of a plate; operations on whole arrays; draws.
STEPS = (
    ("draw_normal", "e"),
    ("parameters_1",),
    ("plate_N", "N"),
    ("parameters_2",),
)
