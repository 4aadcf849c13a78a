"""What is known about values without evaluating them: intervals of terms, definiteness and triangularity of matrices.

Facts propagate by rule from the leaves and can be asserted by `sv.assume`. They license rewrites (the Cholesky factor
for the inverse of a positive definite matrix) and remove run-time checks.
"""

from symvi.expr.facts import definite, intervals, matrices  # noqa: F401 - they register what they know
from symvi.expr.facts.assertions import (
    MATRIX_FACTS,
    TINY,
    Interval,
    assert_fact,
    assert_interval,
    asserted,
    inherit,
    keep,
    stated_below,
    stated_interval,
    stated_site,
)
from symvi.expr.facts.questions import interval, is_nonnegative, is_positive, matrix_facts

__all__ = [
    "MATRIX_FACTS", "TINY", "Interval", "interval", "is_positive", "is_nonnegative", "matrix_facts", "assert_fact", "assert_interval",
    "asserted", "inherit", "keep", "stated_below", "stated_interval", "stated_site",
]  # fmt: skip
