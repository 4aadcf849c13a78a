"""gaussian_process: emitted by symvi.

value = -0.5 log(|[exp(amplitude - 0.5 exp(-2 lengthscale) Σ_d (X[n',d] - X[n,d])²) + δ[n,n'] exp(noise)]|) - 0.5 yᵀ
    [exp(amplitude - 0.5 exp(-2 lengthscale) Σ_d (X[n',d] - X[n,d])²) + δ[n,n'] exp(noise)]⁻¹ y
"""

import numpy as np
from numba import cfunc
from symvi_helpers import BLOCK, KERNEL, PASS, exp, real64, reals64, rows_from

float64 = np.float64


@cfunc(KERNEL, **PASS)
def parameters_1(n0, n1, table):
    """What depends on no plate, part 1 of 2.

        exp_noise = exp(noise)
        exp_lengthscale = exp(-2 lengthscale)
    """
    lengthscale = real64(table, 21)                                             # lengthscale
    noise = real64(table, 22)                                                   # noise
    exp_lengthscale = reals64(table, 18, (1,))                                  # exp_lengthscale  scratch
    exp_noise = reals64(table, 9, (1,))                                         # exp_noise  scratch
    exp_noise[0] = exp(noise)                                                   # models.py:36
    exp_lengthscale[0] = exp(-2.0 * lengthscale)                                # models.py:36
    return 0


@cfunc(KERNEL, **PASS)
def plate_N_1(n0, n1, table):
    """Rows n0..n1 of plate N, pass 1 of 2.

        K[n2,n] = exp(amplitude - 0.5 exp_lengthscale distance[n,n2]) + δ[n,n2] exp_noise
    """
    D = table[1]
    N = table[3]
    X = reals64(table, 19, (D, N))                                              # X[d,n]
    amplitude = real64(table, 20)                                               # amplitude
    K = reals64(table, 16, (N, N))                                              # K[n',n]  scratch
    exp_lengthscale = real64(table, 18)                                         # exp_lengthscale  scratch
    exp_noise = real64(table, 9)                                                # exp_noise  scratch
    distance = reals64(table, 26, (N, BLOCK))                                   # distance[n',n]  tile
    for lo in range(n0, n1, BLOCK):
        hi = min(lo + BLOCK, n1)
        rows = hi - lo
        X_b = rows_from(X, lo)
        K_b = rows_from(K, lo)
        for n2 in range(N):
            for i in range(rows):
                distance[n2, i] = 0.0
        for n2 in range(N):
            for d in range(D):
                for i in range(rows):
                    distance[n2, i] += (X[d, n2] - X_b[d, i]) ** 2              # Σ_d (X[n2,d] - X[n,d])²    models.py:35
        for n2 in range(N):
            for i in range(rows):
                K_b[n2, i] = exp(amplitude - 0.5 * exp_lengthscale * distance[n2, i]) + (exp_noise if lo + i == n2 else 0.0)  # models.py:36
    return 0


@cfunc(KERNEL, **PASS)
def plate_N_2(n0, n1, table):
    """Rows n0..n1 of plate N, pass 2 of 2.

        g_amplitude = -Σ_n,n2 (0.5 inv_K[n,n2] - 0.5 solve_y[n2] solve_y[n]) exp_amplitude[n,n2]
        sum_K = Σ_n (0.5 inv_K[n,n] - 0.5 solve_y[n]²)
        amplitude_inv_K = Σ_n,n2 (0.5 inv_K[n,n2] - 0.5 solve_y[n2] solve_y[n]) exp_amplitude[n,n2] distance[n,n2]
        solve_y_y = yᵀ solve_y
    """
    D = table[1]
    N = table[3]
    X = reals64(table, 19, (D, N))                                              # X[d,n]
    amplitude = real64(table, 20)                                               # amplitude
    y = reals64(table, 12, (N,))                                                # y[n]
    amplitude_inv_K = reals64(table, 23, (1,))                                  # amplitude_inv_K  scratch
    exp_lengthscale = real64(table, 18)                                         # exp_lengthscale  scratch
    inv_K = reals64(table, 17, (N, N))                                          # inv_K[n',n]  scratch
    solve_y = reals64(table, 11, (N,))                                          # solve_y[n]  scratch
    solve_y_y = reals64(table, 24, (1,))                                        # solve_y_y  scratch
    sum_K = reals64(table, 10, (1,))                                            # sum_K  scratch
    distance = reals64(table, 26, (N, BLOCK))                                   # distance[n',n]  tile
    exp_amplitude = reals64(table, 27, (N, BLOCK))                              # exp_amplitude[n',n]  tile
    g_amplitude = reals64(table, 7, (1,))                                       # g_amplitude  result
    total_g_amplitude = 0.0
    total_amplitude_inv_K = 0.0
    total_sum_K = 0.0
    total_solve_y_y = 0.0
    for lo in range(n0, n1, BLOCK):
        hi = min(lo + BLOCK, n1)
        rows = hi - lo
        X_b = rows_from(X, lo)
        inv_K_b = rows_from(inv_K, lo)
        solve_y_b = solve_y[lo:hi]
        y_b = y[lo:hi]
        for n2 in range(N):
            for i in range(rows):
                distance[n2, i] = 0.0
        for n2 in range(N):
            for d in range(D):
                for i in range(rows):
                    distance[n2, i] += (X[d, n2] - X_b[d, i]) ** 2              # Σ_d (X[n2,d] - X[n,d])²    models.py:35
        for n2 in range(N):
            for i in range(rows):
                # exp(amplitude - 0.5 exp_lengthscale distance[n,n2])    models.py:36
                exp_amplitude[n2, i] = exp(amplitude - 0.5 * exp_lengthscale * distance[n2, i])
        block_g_amplitude = 0.0
        block_amplitude_inv_K = 0.0
        for n2 in range(N):
            for i in range(rows):
                # Σ_n,n2 (0.5 inv_K[n,n2] - 0.5 solve_y[n2] solve_y[n]) exp_amplitude[n,n2]    models.py:36
                block_g_amplitude += exp_amplitude[n2, i] * (0.5 * inv_K_b[n2, i] - 0.5 * solve_y[n2] * solve_y_b[i])
                # Σ_n,n2 (0.5 inv_K[n,n2] - 0.5 solve_y[n2] solve_y[n]) exp_amplitude[n,n2] distance[n,n2]    models.py:36
                block_amplitude_inv_K += exp_amplitude[n2, i] * distance[n2, i] * (0.5 * inv_K_b[n2, i] - 0.5 * solve_y[n2] * solve_y_b[i])
        total_g_amplitude += block_g_amplitude
        total_amplitude_inv_K += block_amplitude_inv_K
        block_sum_K = 0.0
        block_solve_y_y = 0.0
        for i in range(rows):
            block_sum_K += 0.5 * inv_K[lo + i, lo + i] - 0.5 * solve_y_b[i] ** 2  # Σ_n (0.5 inv_K[n,n] - 0.5 solve_y[n]²)    models.py:36
            block_solve_y_y += solve_y_b[i] * y_b[i]                            # yᵀ solve_y    models.py:37
        total_sum_K += block_sum_K
        total_solve_y_y += block_solve_y_y
    g_amplitude[0] = -total_g_amplitude
    amplitude_inv_K[0] = total_amplitude_inv_K
    sum_K[0] = total_sum_K
    solve_y_y[0] = total_solve_y_y
    return 0


@cfunc(KERNEL, **PASS)
def parameters_2(n0, n1, table):
    """What depends on no plate, part 2 of 2.

        value = -0.5 logdet_K - 0.5 solve_y_y
        g_lengthscale = -exp_lengthscale amplitude_inv_K
        g_noise = -exp_noise sum_K
    """
    amplitude_inv_K = real64(table, 23)                                         # amplitude_inv_K  scratch
    exp_lengthscale = real64(table, 18)                                         # exp_lengthscale  scratch
    exp_noise = real64(table, 9)                                                # exp_noise  scratch
    logdet_K = real64(table, 25)                                                # logdet_K  scratch
    solve_y_y = real64(table, 24)                                               # solve_y_y  scratch
    sum_K = real64(table, 10)                                                   # sum_K  scratch
    g_lengthscale = reals64(table, 6, (1,))                                     # g_lengthscale  result
    g_noise = reals64(table, 8, (1,))                                           # g_noise  result
    value = reals64(table, 5, (1,))                                             # value  result
    value[0] = -0.5 * logdet_K - 0.5 * solve_y_y                                # models.py:37
    g_lengthscale[0] = -exp_lengthscale * amplitude_inv_K                       # models.py:36
    g_noise[0] = -exp_noise * sum_K                                             # models.py:36
    return 0


# What the driver runs, in order: functions above, over the rows of a plate; operations on whole arrays; draws.
STEPS = (
    ("parameters_1",),
    ("plate_N_1", "N"),
    ("cholesky", "K", "chol_K", "low_K", "notes_K"),
    ("factored_inverse", "chol_K", "low_K", "notes_K", "inv_K"),
    ("factored_logdet", "chol_K", "low_K", "notes_K", "logdet_K"),
    ("factored_solve", "chol_K", "low_K", "notes_K", "y", "solve_y"),
    ("plate_N_2", "N"),
    ("parameters_2",),
)
