"""The catalogue of rules, one file per topic. Importing it registers them; so the stages are run through here."""

from symvi.rewrite.stages import restructure, simplify, stabilise
from symvi.rules import (
    algebra,
    block_diagonals,
    cancellation,
    choices,
    exponentials,
    factors,
    forms,
    gamma,
    inverses,
    kronecker,
    log_products,
    log_sums,
    logistic,
    low_rank,
    matrix_products,
    normal,
    operators,
    orthogonal,
    pairs,
    powers,
    repeated,
)

__all__ = ["restructure", "simplify", "stabilise"]
