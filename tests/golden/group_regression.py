"""group_regression: emitted by symvi.

value = -0.5 exp(-2 log_noise) Σ_n (level + offset[g[n]] exp(log_spread) + Σ_d X[n,d] slope[d] - y[n])² - N log_noise - 0.5 Σ_j
    offset[j]²

relies on D < 17
"""

import numpy as np
from numba import cfunc
from symvi_helpers import BLOCK, KERNEL, PASS, exp, integers, real64, reals64, rows_from

float64 = np.float64


@cfunc(KERNEL, **PASS)
def parameters_1(n0, n1, table):
    """What depends on no plate, part 1 of 2.

        exp_log_noise = exp(-2 log_noise)
        exp_log_spread = exp(log_spread)
        sum_offset_squared = Σ_j offset[j]²
    """
    J = table[3]
    log_noise = real64(table, 23)                                               # log_noise
    log_spread = real64(table, 22)                                              # log_spread
    offset = reals64(table, 18, (J,))                                           # offset[j]
    exp_log_noise = reals64(table, 13, (1,))                                    # exp_log_noise  scratch
    exp_log_spread = reals64(table, 17, (1,))                                   # exp_log_spread  scratch
    sum_offset_squared = reals64(table, 28, (1,))                               # sum_offset_squared  scratch
    exp_log_noise[0] = exp(-2.0 * log_noise)                                    # models.py:47
    exp_log_spread[0] = exp(log_spread)                                         # models.py:45
    sum_offset_squared_value = 0.0
    for j in range(J):
        sum_offset_squared_value += offset[j] ** 2                              # models.py:48
    sum_offset_squared[0] = sum_offset_squared_value
    return 0


@cfunc(KERNEL, **PASS)
def plate_N(n0, n1, table):
    """Rows n0..n1 of plate N, pass 1 of 1.

        sum_level_squared = Σ_n level_sum[n]²
        offset_level = Σ_n offset[g[n]] level_sum[n]
        sum_level = Σ_n level_sum[n]
        X_level[d] = Σ_n X[n,d] level_sum[n]
        g_level_2[j] = Σ_n δ[j,g[n]] level_sum[n]
    """
    D = table[1]
    J = table[3]
    N = table[5]
    X = reals64(table, 16, (D, N))                                              # X[d,n]
    g = integers(table, 19, (N,))                                               # g[n]
    level = real64(table, 21)                                                   # level
    offset = reals64(table, 18, (J,))                                           # offset[j]
    slope = reals64(table, 15, (D,))                                            # slope[d]
    y = reals64(table, 20, (N,))                                                # y[n]
    X_level = reals64(table, 26, (D,))                                          # X_level[d]  scratch
    exp_log_spread = real64(table, 17)                                          # exp_log_spread  scratch
    g_level_2 = reals64(table, 27, (J,))                                        # g_level_2[j]  scratch
    offset_level = reals64(table, 24, (1,))                                     # offset_level  scratch
    sum_level = reals64(table, 25, (1,))                                        # sum_level  scratch
    sum_level_squared = reals64(table, 14, (1,))                                # sum_level_squared  scratch
    X_slope = reals64(table, 29, (BLOCK,))                                      # X_slope[n]  tile
    level_sum = reals64(table, 30, (BLOCK,))                                    # level_sum[n]  tile
    total_sum_level_squared = 0.0
    total_offset_level = 0.0
    total_sum_level = 0.0
    for j in range(J):
        g_level_2[j] = 0.0
    for d in range(D):
        X_level[d] = 0.0
    for lo in range(n0, n1, BLOCK):
        hi = min(lo + BLOCK, n1)
        rows = hi - lo
        X_b = rows_from(X, lo)
        g_b = g[lo:hi]
        y_b = y[lo:hi]
        for i in range(rows):
            X_slope[i] = 0.0
        for d in range(D):
            for i in range(rows):
                X_slope[i] += X_b[d, i] * slope[d]                              # Σ_d X[n,d] slope[d]    models.py:46
        block_sum_level_squared = 0.0
        block_offset_level = 0.0
        block_sum_level = 0.0
        for i in range(rows):
            # level + offset[g[n]] exp_log_spread + X_slope[n] - y[n]    models.py:47
            level_sum_i = level + offset[g_b[i]] * exp_log_spread + X_slope[i] - y_b[i]
            level_sum[i] = level_sum_i
            block_sum_level_squared += level_sum_i ** 2                         # Σ_n level_sum[n]²    models.py:47
            block_offset_level += offset[g_b[i]] * level_sum_i                  # Σ_n offset[g[n]] level_sum[n]    models.py:46
            block_sum_level += level_sum_i                                      # Σ_n level_sum[n]    models.py:47
            g_level_2[g_b[i]] += level_sum_i                                    # Σ_n δ[j,g[n]] level_sum[n]    models.py:46
        total_sum_level_squared += block_sum_level_squared
        total_offset_level += block_offset_level
        total_sum_level += block_sum_level
        for d in range(D):
            X_level_sum = 0.0
            for i in range(rows):
                X_level_sum += X_b[d, i] * level_sum[i]                         # Σ_n X[n,d] level_sum[n]    models.py:46
            X_level[d] += X_level_sum
    sum_level_squared[0] = total_sum_level_squared
    offset_level[0] = total_offset_level
    sum_level[0] = total_sum_level
    return 0


@cfunc(KERNEL, **PASS)
def parameters_2(n0, n1, table):
    """What depends on no plate, part 2 of 2.

        value = -0.5 exp_log_noise sum_level_squared - N log_noise - 0.5 sum_offset_squared
        g_offset[j] = -offset[j] - exp_log_noise exp_log_spread g_level_2[j]
        g_slope[d] = -exp_log_noise X_level[d]
        g_level = -exp_log_noise sum_level
        g_log_spread = -exp_log_noise exp_log_spread offset_level
        g_log_noise = exp_log_noise sum_level_squared - N
    """
    D = table[1]
    J = table[3]
    size_N = table[6]
    log_noise = real64(table, 23)                                               # log_noise
    offset = reals64(table, 18, (J,))                                           # offset[j]
    X_level = reals64(table, 26, (D,))                                          # X_level[d]  scratch
    exp_log_noise = real64(table, 13)                                           # exp_log_noise  scratch
    exp_log_spread = real64(table, 17)                                          # exp_log_spread  scratch
    g_level_2 = reals64(table, 27, (J,))                                        # g_level_2[j]  scratch
    offset_level = real64(table, 24)                                            # offset_level  scratch
    sum_level = real64(table, 25)                                               # sum_level  scratch
    sum_level_squared = real64(table, 14)                                       # sum_level_squared  scratch
    sum_offset_squared = real64(table, 28)                                      # sum_offset_squared  scratch
    g_level = reals64(table, 10, (1,))                                          # g_level  result
    g_log_noise = reals64(table, 12, (1,))                                      # g_log_noise  result
    g_log_spread = reals64(table, 11, (1,))                                     # g_log_spread  result
    g_offset = reals64(table, 8, (J,))                                          # g_offset[j]  result
    g_slope = reals64(table, 9, (D,))                                           # g_slope[d]  result
    value = reals64(table, 7, (1,))                                             # value  result
    value[0] = -0.5 * exp_log_noise * sum_level_squared - float64(size_N) * log_noise - 0.5 * sum_offset_squared  # models.py:48
    g_level[0] = -exp_log_noise * sum_level                                     # models.py:47
    g_log_spread[0] = -exp_log_noise * exp_log_spread * offset_level            # models.py:45
    g_log_noise[0] = exp_log_noise * sum_level_squared - float64(size_N)        # models.py:44
    for j in range(J):
        g_offset[j] = -offset[j] - exp_log_noise * exp_log_spread * g_level_2[j]  # models.py:48
    for d in range(D):
        g_slope[d] = -exp_log_noise * X_level[d]                                # models.py:46
    return 0


# What the driver runs, in order: functions above, over the rows of a plate; operations on whole arrays; draws.
STEPS = (
    ("parameters_1",),
    ("plate_N", "N"),
    ("parameters_2",),
)
