"""mixture: emitted by symvi.

value = Σ_n logsumexp_k(logits[k] - logsumexp_k(logits[k]) - D log_scale[k] - 0.5 exp(-2 log_scale[k]) Σ_d (X[n,d] - mu[k,d])²)
"""

import numpy as np
from numba import cfunc
from symvi_helpers import BLOCK, KERNEL, PASS, exp, log, maximum, real64, reals64

float64 = np.float64
inf, nan = np.inf, np.nan


@cfunc(KERNEL, **PASS)
def parameters_1(n0, n1, table):
    """What depends on no plate, part 1 of 2.

        exp_log_scale[k] = exp(-2 log_scale[k])
        log_logits = log(sum_exp_logits)
        shift_logits = (max_logits if |max_logits| < ∞ else 0)
        exp_logits[k] = exp(logits[k] - shift_logits)
        norm_logits = (sum_exp_logits if 0 < sum_exp_logits else 1)
    """
    K = table[3]
    log_scale = reals64(table, 18, (K,))                                        # log_scale[k]
    logits = reals64(table, 19, (K,))                                           # logits[k]
    exp_log_scale = reals64(table, 12, (K,))                                    # exp_log_scale[k]  scratch
    exp_logits = reals64(table, 20, (K,))                                       # exp_logits[k]  scratch
    log_logits = reals64(table, 16, (1,))                                       # log_logits  scratch
    norm_logits = reals64(table, 21, (1,))                                      # norm_logits  scratch
    shift_logits = reals64(table, 17, (1,))                                     # shift_logits  scratch
    max_logits = -inf
    for k in range(K):
        exp_log_scale[k] = exp(-2.0 * log_scale[k])                             # models.py:27
        max_logits = maximum(max_logits, logits[k])                             # max_k(logits[k])    models.py:27
    shift_logits_value = max_logits if abs(max_logits) < inf else 0.0           # models.py:27
    shift_logits[0] = shift_logits_value
    sum_exp_logits = 0.0
    for k in range(K):
        exp_logits_i = exp(logits[k] - shift_logits_value)                      # models.py:27
        exp_logits[k] = exp_logits_i
        sum_exp_logits += exp_logits_i                                          # Σ_k exp_logits[k]    models.py:27
    log_logits[0] = log(sum_exp_logits)                                         # models.py:27
    norm_logits[0] = sum_exp_logits if 0.0 < sum_exp_logits else 1.0            # models.py:27
    return 0


@cfunc(KERNEL, **PASS)
def plate_N(n0, n1, table):
    """Rows n0..n1 of plate N, pass 1 of 1.

        value = Σ_n (log(sum_exp_joint[n]) + shift_joint[n])
        sum_logits[k] = Σ_n exp_joint[k,n] / norm_joint[n]
        logits_distance[k] = Σ_n exp_joint[k,n] distance[k,n] / norm_joint[n]
        sum_logits_2 = Σ_k,n exp_joint[k,n] / norm_joint[n]
        logits_X[d,k] = Σ_n (X[n,d] - mu[k,d]) exp_joint[k,n] / norm_joint[n]
    """
    D = table[1]
    size_D = table[2]
    K = table[3]
    N = table[5]
    X = reals64(table, 15, (N, D))                                              # X[n,d]
    log_scale = reals64(table, 18, (K,))                                        # log_scale[k]
    logits = reals64(table, 19, (K,))                                           # logits[k]
    mu = reals64(table, 14, (K, D))                                             # mu[k,d]
    exp_log_scale = reals64(table, 12, (K,))                                    # exp_log_scale[k]  scratch
    log_logits = real64(table, 16)                                              # log_logits  scratch
    logits_X = reals64(table, 23, (D, K))                                       # logits_X[d,k]  scratch
    logits_distance = reals64(table, 13, (K,))                                  # logits_distance[k]  scratch
    shift_logits = real64(table, 17)                                            # shift_logits  scratch
    sum_logits = reals64(table, 11, (K,))                                       # sum_logits[k]  scratch
    sum_logits_2 = reals64(table, 22, (1,))                                     # sum_logits_2  scratch
    distance = reals64(table, 24, (K, BLOCK))                                   # distance[k,n]  tile
    exp_joint = reals64(table, 28, (K, BLOCK))                                  # exp_joint[k,n]  tile
    exp_log_scale_distan = reals64(table, 25, (K, BLOCK))                       # exp_log_scale_distan[k,n]  tile
    max_joint = reals64(table, 26, (BLOCK,))                                    # max_joint[n]  tile
    norm_joint = reals64(table, 30, (BLOCK,))                                   # norm_joint[n]  tile
    shift_joint = reals64(table, 27, (BLOCK,))                                  # shift_joint[n]  tile
    sum_exp_joint = reals64(table, 29, (BLOCK,))                                # sum_exp_joint[n]  tile
    value = reals64(table, 7, (1,))                                             # value  result
    total_value = 0.0
    for k in range(K):
        sum_logits[k] = 0.0
    for k in range(K):
        logits_distance[k] = 0.0
    total_sum_logits_2 = 0.0
    for d in range(D):
        for k in range(K):
            logits_X[d, k] = 0.0
    for lo in range(n0, n1, BLOCK):
        hi = min(lo + BLOCK, n1)
        rows = hi - lo
        X_b = X[lo:hi]
        for i in range(rows):
            for k in range(K):
                distance_sum = 0.0
                for d in range(D):
                    distance_sum += (X_b[i, d] - mu[k, d]) ** 2                 # Σ_d (X[n,d] - mu[k,d])²    models.py:26
                distance[k, i] = distance_sum
        for k in range(K):
            for i in range(rows):
                exp_log_scale_distan[k, i] = exp_log_scale[k] * distance[k, i]  # exp_log_scale[k] distance[k,n]    models.py:27
        for i in range(rows):
            max_joint[i] = -inf
        for k in range(K):
            for i in range(rows):
                # max_k(logits[k] - log_logits - shift_logits - … … - 0.5 exp_log_scale_distan[k,n])    models.py:28
                max_joint[i] = (
                    maximum(max_joint[i], logits[k] - log_logits - shift_logits - float64(size_D) * log_scale[k] - 0.5
                    * exp_log_scale_distan[k, i])
                )
        for i in range(rows):
            # (max_joint[n] if |max_joint[n]| < ∞ else 0)    models.py:28
            shift_joint[i] = max_joint[i] if abs(max_joint[i]) < inf else 0.0
        for k in range(K):
            for i in range(rows):
                # exp(… - log_logits - shift_logits - shift_joint[n] - … - 0.5 exp_log_scale_distan[k,n])    models.py:28
                exp_joint[k, i] = (
                    exp(logits[k] - log_logits - shift_logits - shift_joint[i] - float64(size_D) * log_scale[k] - 0.5
                    * exp_log_scale_distan[k, i])
                )
        for i in range(rows):
            sum_exp_joint[i] = 0.0
        for k in range(K):
            for i in range(rows):
                sum_exp_joint[i] += exp_joint[k, i]                             # Σ_k exp_joint[k,n]    models.py:28
        block_value = 0.0
        for i in range(rows):
            # Σ_n (log(sum_exp_joint[n]) + shift_joint[n])    models.py:28
            block_value += log(sum_exp_joint[i]) + shift_joint[i]
            # (sum_exp_joint[n] if 0 < sum_exp_joint[n] else 1)    models.py:28
            norm_joint[i] = sum_exp_joint[i] if 0.0 < sum_exp_joint[i] else 1.0
        total_value += block_value
        block_sum_logits_2 = 0.0
        for k in range(K):
            sum_logits_part = 0.0
            logits_distance_sum = 0.0
            for i in range(rows):
                sum_logits_part += exp_joint[k, i] / norm_joint[i]              # Σ_n exp_joint[k,n] / norm_joint[n]    models.py:27
                # Σ_n exp_joint[k,n] distance[k,n] / norm_joint[n]    models.py:27
                logits_distance_sum += exp_joint[k, i] * distance[k, i] / norm_joint[i]
                block_sum_logits_2 += exp_joint[k, i] / norm_joint[i]           # Σ_k,n exp_joint[k,n] / norm_joint[n]    models.py:27
            sum_logits[k] += sum_logits_part
            logits_distance[k] += logits_distance_sum
        total_sum_logits_2 += block_sum_logits_2
        for d in range(D):
            for k in range(K):
                logits_X_sum = 0.0
                for i in range(rows):
                    # Σ_n (X[n,d] - mu[k,d]) exp_joint[k,n] / norm_joint[n]    models.py:26
                    logits_X_sum += exp_joint[k, i] * (X_b[i, d] - mu[k, d]) / norm_joint[i]
                logits_X[d, k] += logits_X_sum
    value[0] = total_value
    sum_logits_2[0] = total_sum_logits_2
    return 0


@cfunc(KERNEL, **PASS)
def parameters_2(n0, n1, table):
    """What depends on no plate, part 2 of 2.

        g_mu[k,d] = exp_log_scale[k] logits_X[d,k]
        g_logits[k] = sum_logits[k] - exp_logits[k] sum_logits_2 / norm_logits
        g_log_scale[k] = exp_log_scale[k] logits_distance[k] - D sum_logits[k]
    """
    D = table[1]
    size_D = table[2]
    K = table[3]
    exp_log_scale = reals64(table, 12, (K,))                                    # exp_log_scale[k]  scratch
    exp_logits = reals64(table, 20, (K,))                                       # exp_logits[k]  scratch
    logits_X = reals64(table, 23, (D, K))                                       # logits_X[d,k]  scratch
    logits_distance = reals64(table, 13, (K,))                                  # logits_distance[k]  scratch
    norm_logits = real64(table, 21)                                             # norm_logits  scratch
    sum_logits = reals64(table, 11, (K,))                                       # sum_logits[k]  scratch
    sum_logits_2 = real64(table, 22)                                            # sum_logits_2  scratch
    g_log_scale = reals64(table, 10, (K,))                                      # g_log_scale[k]  result
    g_logits = reals64(table, 9, (K,))                                          # g_logits[k]  result
    g_mu = reals64(table, 8, (K, D))                                            # g_mu[k,d]  result
    for d in range(D):
        for k in range(K):
            g_mu[k, d] = exp_log_scale[k] * logits_X[d, k]                      # models.py:26
    for k in range(K):
        g_logits[k] = sum_logits[k] - exp_logits[k] * sum_logits_2 / norm_logits  # models.py:25
        g_log_scale[k] = exp_log_scale[k] * logits_distance[k] - float64(size_D) * sum_logits[k]  # models.py:25
    return 0


# What the driver runs, in order: functions above, over the rows of a plate; operations on whole arrays; draws.
STEPS = (
    ("parameters_1",),
    ("plate_N", "N"),
    ("parameters_2",),
)
