"""mixture: emitted by symvi.

value = Σ_n logsumexp_k(logits[k] - logsumexp_k(logits[k]) - D log_scale[k] - 0.5 exp(-2 log_scale[k]) Σ_d (X[n,d] - mu[k,d])²)
"""

import numpy as np
from numba import cfunc
from symvi_helpers import BLOCK, KERNEL, PASS, booleans, exp, log1p, maximum, minus_in_order, real64, reals64

float64 = np.float64
inf, nan = np.inf, np.nan


@cfunc(KERNEL, **PASS)
def parameters_1(n0, n1, table):
    """What depends on no plate, part 1 of 2.

        exp_log_scale[k] = exp(-2 log_scale[k])
        minus_in_order_logits[k] = minus_in_order(logits[k], max_logits, log1p_count_logits)
        exp_logits[k] = exp(logits[k] - shift_logits)
        norm_logits = (sum_exp_logits_sum if 0 < sum_exp_logits_sum else 1)
    """
    K = table[3]
    log_scale = reals64(table, 17, (K,))                                        # log_scale[k]
    logits = reals64(table, 18, (K,))                                           # logits[k]
    exp_log_scale = reals64(table, 12, (K,))                                    # exp_log_scale[k]  scratch
    exp_logits = reals64(table, 19, (K,))                                       # exp_logits[k]  scratch
    minus_in_order_logits = reals64(table, 14, (K,))                            # minus_in_order_logits[k]  scratch
    norm_logits = reals64(table, 20, (1,))                                      # norm_logits  scratch
    max_logits = -inf
    for k in range(K):
        exp_log_scale[k] = exp(-2.0 * log_scale[k])                             # models.py:27
        max_logits = maximum(max_logits, logits[k])                             # max_k(logits[k])    models.py:27
    shift_logits = max_logits if abs(max_logits) < inf else 0.0                 # (max_logits if |max_logits| < ∞ else 0)    models.py:27
    count_logits = 0.0
    sum_exp_logits = 0.0
    for k in range(K):
        exp_logits_i = exp(logits[k] - shift_logits)                            # models.py:27
        exp_logits[k] = exp_logits_i
        less_exp_logits = exp_logits_i < 1.0                                    # exp_logits[k] < 1    models.py:27
        count_logits += 0.0 if less_exp_logits else 1.0                         # Σ_k (0 if less_exp_logits[k] else 1)    models.py:27
        # Σ_k (exp_logits[k] if less_exp_logits[k] else 0)    models.py:27
        sum_exp_logits += exp_logits_i if less_exp_logits else 0.0
    # log1p((sum_exp_logits if count_logits = 1 else sum_exp_logits + count_logits - 1))    models.py:27
    log1p_count_logits = log1p(sum_exp_logits if count_logits == 1.0 else sum_exp_logits + count_logits - 1.0)
    sum_exp_logits_sum = sum_exp_logits + count_logits                          # sum_exp_logits + count_logits    models.py:27
    norm_logits[0] = sum_exp_logits_sum if 0.0 < sum_exp_logits_sum else 1.0    # models.py:27
    for k in range(K):
        minus_in_order_logits[k] = minus_in_order(logits[k], max_logits, log1p_count_logits)  # models.py:27
    return 0


@cfunc(KERNEL, **PASS)
def plate_N(n0, n1, table):
    """Rows n0..n1 of plate N, pass 1 of 1.

        value = Σ_n (log1p((sum_exp_joint[n] if … else …)) + max_joint[n])
        sum_logits[k] = Σ_n exp_joint_norm_joint[k,n]
        distance_logits[k] = Σ_n distance[k,n] exp_joint_norm_joint[k,n]
        sum_minus_in_order_logits = Σ_k,n exp_joint_norm_joint[k,n]
        X_minus_in_order_log[d,k] = Σ_n (X[n,d] - mu[k,d]) exp_joint_norm_joint[k,n]
    """
    D = table[1]
    size_D = table[2]
    K = table[3]
    N = table[5]
    X = reals64(table, 16, (N, D))                                              # X[n,d]
    log_scale = reals64(table, 17, (K,))                                        # log_scale[k]
    mu = reals64(table, 15, (K, D))                                             # mu[k,d]
    X_minus_in_order_log = reals64(table, 22, (D, K))                           # X_minus_in_order_log[d,k]  scratch
    distance_logits = reals64(table, 13, (K,))                                  # distance_logits[k]  scratch
    exp_log_scale = reals64(table, 12, (K,))                                    # exp_log_scale[k]  scratch
    minus_in_order_logits = reals64(table, 14, (K,))                            # minus_in_order_logits[k]  scratch
    sum_logits = reals64(table, 11, (K,))                                       # sum_logits[k]  scratch
    sum_minus_in_order_logits = reals64(table, 21, (1,))                        # sum_minus_in_order_logits  scratch
    count_joint = reals64(table, 29, (BLOCK,))                                  # count_joint[n]  tile
    distance = reals64(table, 23, (K, BLOCK))                                   # distance[k,n]  tile
    exp_joint = reals64(table, 27, (K, BLOCK))                                  # exp_joint[k,n]  tile
    exp_joint_norm_joint = reals64(table, 32, (K, BLOCK))                       # exp_joint_norm_joint[k,n]  tile
    exp_log_scale_distan = reals64(table, 24, (K, BLOCK))                       # exp_log_scale_distan[k,n]  tile
    less_exp_joint = booleans(table, 28, (K, BLOCK))                            # less_exp_joint[k,n]  tile
    max_joint = reals64(table, 25, (BLOCK,))                                    # max_joint[n]  tile
    norm_joint = reals64(table, 31, (BLOCK,))                                   # norm_joint[n]  tile
    shift_joint = reals64(table, 26, (BLOCK,))                                  # shift_joint[n]  tile
    sum_exp_joint = reals64(table, 30, (BLOCK,))                                # sum_exp_joint[n]  tile
    value = reals64(table, 7, (1,))                                             # value  result
    total_value = 0.0
    for k in range(K):
        sum_logits[k] = 0.0
    for k in range(K):
        distance_logits[k] = 0.0
    total_sum_minus_in_order_logits = 0.0
    for d in range(D):
        for k in range(K):
            X_minus_in_order_log[d, k] = 0.0
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
                # max_k(minus_in_order_logits[k] - D log_scale[k] - 0.5 exp_log_scale_distan[k,n])    models.py:28
                max_joint[i] = (
                    maximum(max_joint[i], minus_in_order_logits[k] - float64(size_D) * log_scale[k] - 0.5 * exp_log_scale_distan[k, i])
                )
        for i in range(rows):
            # (max_joint[n] if |max_joint[n]| < ∞ else 0)    models.py:28
            shift_joint[i] = max_joint[i] if abs(max_joint[i]) < inf else 0.0
        for k in range(K):
            for i in range(rows):
                # exp(minus_in_order_logits[k] - shift_joint[n] - … … - 0.5 exp_log_scale_distan[k,n])    models.py:28
                exp_joint_i = (
                    exp(minus_in_order_logits[k] - shift_joint[i] - float64(size_D) * log_scale[k] - 0.5 * exp_log_scale_distan[k, i])
                )
                exp_joint[k, i] = exp_joint_i
                less_exp_joint[k, i] = exp_joint_i < 1.0                        # exp_joint[k,n] < 1    models.py:28
        for i in range(rows):
            count_joint[i] = 0.0
        for i in range(rows):
            sum_exp_joint[i] = 0.0
        for k in range(K):
            for i in range(rows):
                count_joint[i] += 0.0 if less_exp_joint[k, i] else 1.0          # Σ_k (0 if less_exp_joint[k,n] else 1)    models.py:28
                # Σ_k (exp_joint[k,n] if less_exp_joint[k,n] else 0)    models.py:28
                sum_exp_joint[i] += exp_joint[k, i] if less_exp_joint[k, i] else 0.0
        block_value = 0.0
        for i in range(rows):
            # Σ_n (log1p((sum_exp_joint[n] if … else …)) + max_joint[n])    models.py:28
            block_value += log1p(sum_exp_joint[i] if count_joint[i] == 1.0 else sum_exp_joint[i] + count_joint[i] - 1.0) + max_joint[i]
            sum_exp_joint_sum = sum_exp_joint[i] + count_joint[i]               # sum_exp_joint[n] + count_joint[n]    models.py:28
            # (sum_exp_joint_sum[n] if 0 < sum_exp_joint_sum[n] else 1)    models.py:28
            norm_joint[i] = sum_exp_joint_sum if 0.0 < sum_exp_joint_sum else 1.0
        total_value += block_value
        for k in range(K):
            for i in range(rows):
                exp_joint_norm_joint[k, i] = exp_joint[k, i] / norm_joint[i]    # exp_joint[k,n] / norm_joint[n]    models.py:26
        block_sum_minus_in_order_logits = 0.0
        for k in range(K):
            sum_logits_part = 0.0
            distance_logits_sum = 0.0
            for i in range(rows):
                sum_logits_part += exp_joint_norm_joint[k, i]                   # Σ_n exp_joint_norm_joint[k,n]    models.py:27
                # Σ_n distance[k,n] exp_joint_norm_joint[k,n]    models.py:27
                distance_logits_sum += distance[k, i] * exp_joint_norm_joint[k, i]
                block_sum_minus_in_order_logits += exp_joint_norm_joint[k, i]   # Σ_k,n exp_joint_norm_joint[k,n]    models.py:27
            sum_logits[k] += sum_logits_part
            distance_logits[k] += distance_logits_sum
        total_sum_minus_in_order_logits += block_sum_minus_in_order_logits
        for d in range(D):
            for k in range(K):
                X_minus_in_order_log_sum = 0.0
                for i in range(rows):
                    # Σ_n (X[n,d] - mu[k,d]) exp_joint_norm_joint[k,n]    models.py:26
                    X_minus_in_order_log_sum += (X_b[i, d] - mu[k, d]) * exp_joint_norm_joint[k, i]
                X_minus_in_order_log[d, k] += X_minus_in_order_log_sum
    value[0] = total_value
    sum_minus_in_order_logits[0] = total_sum_minus_in_order_logits
    return 0


@cfunc(KERNEL, **PASS)
def parameters_2(n0, n1, table):
    """What depends on no plate, part 2 of 2.

        g_mu[k,d] = exp_log_scale[k] X_minus_in_order_log[d,k]
        g_logits[k] = sum_logits[k] - exp_logits[k] sum_minus_in_order_logits / norm_logits
        g_log_scale[k] = exp_log_scale[k] distance_logits[k] - D sum_logits[k]
    """
    D = table[1]
    size_D = table[2]
    K = table[3]
    X_minus_in_order_log = reals64(table, 22, (D, K))                           # X_minus_in_order_log[d,k]  scratch
    distance_logits = reals64(table, 13, (K,))                                  # distance_logits[k]  scratch
    exp_log_scale = reals64(table, 12, (K,))                                    # exp_log_scale[k]  scratch
    exp_logits = reals64(table, 19, (K,))                                       # exp_logits[k]  scratch
    norm_logits = real64(table, 20)                                             # norm_logits  scratch
    sum_logits = reals64(table, 11, (K,))                                       # sum_logits[k]  scratch
    sum_minus_in_order_logits = real64(table, 21)                               # sum_minus_in_order_logits  scratch
    g_log_scale = reals64(table, 10, (K,))                                      # g_log_scale[k]  result
    g_logits = reals64(table, 9, (K,))                                          # g_logits[k]  result
    g_mu = reals64(table, 8, (K, D))                                            # g_mu[k,d]  result
    for d in range(D):
        for k in range(K):
            g_mu[k, d] = exp_log_scale[k] * X_minus_in_order_log[d, k]          # models.py:26
    for k in range(K):
        g_logits[k] = sum_logits[k] - exp_logits[k] * sum_minus_in_order_logits / norm_logits  # models.py:25
        g_log_scale[k] = exp_log_scale[k] * distance_logits[k] - float64(size_D) * sum_logits[k]  # models.py:25
    return 0


# What the driver runs, in order: functions above, over the rows of a plate; operations on whole arrays; draws.
STEPS = (
    ("parameters_1",),
    ("plate_N", "N"),
    ("parameters_2",),
)
