"""mixture: emitted by symvi.

value = Σ_n logsumexp_k(logits[k] - logsumexp_k(logits[k]) - D log_scale[k] - 0.5 exp(-2 log_scale[k]) Σ_d (X[n,d] - mu[k,d])²)
"""

import numpy as np
from numba import cfunc
from symvi_helpers import BLOCK, KERNEL, PASS, booleans, deviation, exp, log1p, maximum, minus_in_order, real64, reals64, rows_from

float64 = np.float64
inf, nan = np.inf, np.nan


@cfunc(KERNEL, **PASS)
def parameters_1(n0, n1, table):
    """What depends on no plate, part 1 of 2.

        exp_log_scale[k] = exp(-2 log_scale[k])
        minus_in_order_logits[k] = minus_in_order(logits[k], max_logits, log1p_count_logits)
        exp_logits[k] = exp(deviation(logits[k], shift_logits))
        norm_logits = (count_logits_sum if 0 < count_logits_sum else 1)
    """
    K = table[3]
    log_scale = reals64(table, 17, (K,))                                        # log_scale[k]
    logits = reals64(table, 18, (K,))                                           # logits[k]
    exp_log_scale = reals64(table, 11, (K,))                                    # exp_log_scale[k]  scratch
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
        exp_logits_i = exp(deviation(logits[k], shift_logits))                  # models.py:27
        exp_logits[k] = exp_logits_i
        less_exp_logits = exp_logits_i < 1.0                                    # exp_logits[k] < 1    models.py:27
        count_logits += 0.0 if less_exp_logits else 1.0                         # Σ_k (0 if less_exp_logits[k] else 1)    models.py:27
        # Σ_k (exp_logits[k] if less_exp_logits[k] else 0)    models.py:27
        sum_exp_logits += exp_logits_i if less_exp_logits else 0.0
    # log1p((sum_exp_logits if count_logits = 1 else count_logits + sum_exp_logits - 1))    models.py:27
    log1p_count_logits = log1p(sum_exp_logits if count_logits == 1.0 else count_logits + sum_exp_logits - 1.0)
    count_logits_sum = count_logits + sum_exp_logits                            # count_logits + sum_exp_logits    models.py:27
    norm_logits[0] = count_logits_sum if 0.0 < count_logits_sum else 1.0        # models.py:27
    for k in range(K):
        minus_in_order_logits[k] = minus_in_order(logits[k], max_logits, log1p_count_logits)  # models.py:27
    return 0


@cfunc(KERNEL, **PASS)
def plate_N(n0, n1, table):
    """Rows n0..n1 of plate N, pass 1 of 1.

        value = Σ_n (log1p((sum_exp_joint[n] if … else …)) + max_joint[n])
        distance_joint[k] = Σ_n distance[k,n] exp_joint_norm_joint[k,n]
        sum_joint[k] = Σ_n exp_joint_norm_joint[k,n]
        sum_joint_2 = Σ_k,n exp_joint_norm_joint[k,n]
        X_joint[d,k] = Σ_n (X[n,d] - mu[k,d]) exp_joint_norm_joint[k,n]
    """
    D = table[1]
    size_D = table[2]
    K = table[3]
    N = table[5]
    X = reals64(table, 16, (D, N))                                              # X[d,n]
    log_scale = reals64(table, 17, (K,))                                        # log_scale[k]
    mu = reals64(table, 15, (K, D))                                             # mu[k,d]
    X_joint = reals64(table, 22, (D, K))                                        # X_joint[d,k]  scratch
    distance_joint = reals64(table, 12, (K,))                                   # distance_joint[k]  scratch
    exp_log_scale = reals64(table, 11, (K,))                                    # exp_log_scale[k]  scratch
    minus_in_order_logits = reals64(table, 14, (K,))                            # minus_in_order_logits[k]  scratch
    sum_joint = reals64(table, 13, (K,))                                        # sum_joint[k]  scratch
    sum_joint_2 = reals64(table, 21, (1,))                                      # sum_joint_2  scratch
    count_joint = reals64(table, 29, (BLOCK,))                                  # count_joint[n]  tile
    distance = reals64(table, 23, (K, BLOCK))                                   # distance[k,n]  tile
    exp_joint = reals64(table, 27, (K, BLOCK))                                  # exp_joint[k,n]  tile
    exp_joint_norm_joint = reals64(table, 32, (K, BLOCK))                       # exp_joint_norm_joint[k,n]  tile
    joint = reals64(table, 24, (K, BLOCK))                                      # joint[k,n]  tile
    less_exp_joint = booleans(table, 28, (K, BLOCK))                            # less_exp_joint[k,n]  tile
    max_joint = reals64(table, 25, (BLOCK,))                                    # max_joint[n]  tile
    norm_joint = reals64(table, 31, (BLOCK,))                                   # norm_joint[n]  tile
    shift_joint = reals64(table, 26, (BLOCK,))                                  # shift_joint[n]  tile
    sum_exp_joint = reals64(table, 30, (BLOCK,))                                # sum_exp_joint[n]  tile
    value = reals64(table, 7, (1,))                                             # value  result
    total_value = 0.0
    for k in range(K):
        distance_joint[k] = 0.0
    for k in range(K):
        sum_joint[k] = 0.0
    total_sum_joint_2 = 0.0
    for d in range(D):
        for k in range(K):
            X_joint[d, k] = 0.0
    for lo in range(n0, n1, BLOCK):
        hi = min(lo + BLOCK, n1)
        rows = hi - lo
        X_b = rows_from(X, lo)
        for k in range(K):
            for i in range(rows):
                distance[k, i] = 0.0
        for k in range(K):
            for d in range(D):
                for i in range(rows):
                    distance[k, i] += (X_b[d, i] - mu[k, d]) ** 2               # Σ_d (X[n,d] - mu[k,d])²    models.py:26
        for k in range(K):
            for i in range(rows):
                # minus_in_order_logits[k] - D log_scale[k] - 0.5 exp_log_scale[k] distance[k,n]    models.py:27
                joint[k, i] = minus_in_order_logits[k] - float64(size_D) * log_scale[k] - 0.5 * exp_log_scale[k] * distance[k, i]
        for i in range(rows):
            max_joint[i] = -inf
        for k in range(K):
            for i in range(rows):
                max_joint[i] = maximum(max_joint[i], joint[k, i])               # max_k(joint[k,n])    models.py:28
        for i in range(rows):
            # (max_joint[n] if |max_joint[n]| < ∞ else 0)    models.py:28
            shift_joint[i] = max_joint[i] if abs(max_joint[i]) < inf else 0.0
        for k in range(K):
            for i in range(rows):
                exp_joint_i = exp(deviation(joint[k, i], shift_joint[i]))       # exp(deviation(joint[k,n], shift_joint[n]))    models.py:28
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
            block_value += log1p(sum_exp_joint[i] if count_joint[i] == 1.0 else count_joint[i] + sum_exp_joint[i] - 1.0) + max_joint[i]
            count_joint_sum = count_joint[i] + sum_exp_joint[i]                 # count_joint[n] + sum_exp_joint[n]    models.py:28
            # (count_joint_sum[n] if 0 < count_joint_sum[n] else 1)    models.py:28
            norm_joint[i] = count_joint_sum if 0.0 < count_joint_sum else 1.0
        total_value += block_value
        for k in range(K):
            for i in range(rows):
                exp_joint_norm_joint[k, i] = exp_joint[k, i] / norm_joint[i]    # exp_joint[k,n] / norm_joint[n]    models.py:26
        block_sum_joint_2 = 0.0
        for k in range(K):
            distance_joint_sum = 0.0
            sum_joint_part = 0.0
            for i in range(rows):
                # Σ_n distance[k,n] exp_joint_norm_joint[k,n]    models.py:27
                distance_joint_sum += distance[k, i] * exp_joint_norm_joint[k, i]
                sum_joint_part += exp_joint_norm_joint[k, i]                    # Σ_n exp_joint_norm_joint[k,n]    models.py:27
                block_sum_joint_2 += exp_joint_norm_joint[k, i]                 # Σ_k,n exp_joint_norm_joint[k,n]    models.py:27
            distance_joint[k] += distance_joint_sum
            sum_joint[k] += sum_joint_part
        total_sum_joint_2 += block_sum_joint_2
        for d in range(D):
            for k in range(K):
                X_joint_sum = 0.0
                for i in range(rows):
                    # Σ_n (X[n,d] - mu[k,d]) exp_joint_norm_joint[k,n]    models.py:26
                    X_joint_sum += (X_b[d, i] - mu[k, d]) * exp_joint_norm_joint[k, i]
                X_joint[d, k] += X_joint_sum
    value[0] = total_value
    sum_joint_2[0] = total_sum_joint_2
    return 0


@cfunc(KERNEL, **PASS)
def parameters_2(n0, n1, table):
    """What depends on no plate, part 2 of 2.

        g_mu[k,d] = exp_log_scale[k] X_joint[d,k]
        g_logits[k] = sum_joint[k] - exp_logits[k] sum_joint_2 / norm_logits
        g_log_scale[k] = exp_log_scale[k] distance_joint[k] - D sum_joint[k]
    """
    D = table[1]
    size_D = table[2]
    K = table[3]
    X_joint = reals64(table, 22, (D, K))                                        # X_joint[d,k]  scratch
    distance_joint = reals64(table, 12, (K,))                                   # distance_joint[k]  scratch
    exp_log_scale = reals64(table, 11, (K,))                                    # exp_log_scale[k]  scratch
    exp_logits = reals64(table, 19, (K,))                                       # exp_logits[k]  scratch
    norm_logits = real64(table, 20)                                             # norm_logits  scratch
    sum_joint = reals64(table, 13, (K,))                                        # sum_joint[k]  scratch
    sum_joint_2 = real64(table, 21)                                             # sum_joint_2  scratch
    g_log_scale = reals64(table, 10, (K,))                                      # g_log_scale[k]  result
    g_logits = reals64(table, 9, (K,))                                          # g_logits[k]  result
    g_mu = reals64(table, 8, (K, D))                                            # g_mu[k,d]  result
    for d in range(D):
        for k in range(K):
            g_mu[k, d] = exp_log_scale[k] * X_joint[d, k]                       # models.py:26
    for k in range(K):
        g_logits[k] = sum_joint[k] - exp_logits[k] * sum_joint_2 / norm_logits  # models.py:25
        g_log_scale[k] = exp_log_scale[k] * distance_joint[k] - float64(size_D) * sum_joint[k]  # models.py:25
    return 0


# What the driver runs, in order: functions above, over the rows of a plate; operations on whole arrays; draws.
STEPS = (
    ("parameters_1",),
    ("plate_N", "N"),
    ("parameters_2",),
)
