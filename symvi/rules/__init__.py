"""The catalogue of rules, one file per topic. Importing it registers them; so the stages are run through here."""

from symvi.rewrite.stages import simplify, stabilise
from symvi.rules import algebra, exponentials, inverses, log_products, log_sums, logistic, normal, operators

__all__ = ["simplify", "stabilise"]
