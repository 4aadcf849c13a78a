"""The rewrite engine: patterns, rules, stages and their trace. The catalogue of rules stands in `symvi.rules`.

For users: `rule` registers a rule of their own, `remove` takes it back, `without` and `with_approximate` switch rules locally,
`collect` gives the trace of what the rules did.
"""

from symvi.expr.facts import interval, is_nonnegative, is_positive
from symvi.rewrite.guard import Guard
from symvi.rewrite.rule import RULES, Rule, remove, with_approximate, without
from symvi.rewrite.stages import ORDER, simplify, stabilise
from symvi.rewrite.trace import Entry, Trace, collect
from symvi.rewrite.user import rule
from symvi.rewrite.variables import Index, Indexed, Matrix, Vector

__all__ = [
    "ORDER", "RULES", "Entry", "Guard", "Index", "Indexed", "Matrix", "Rule", "Trace", "Vector", "collect", "interval", "is_nonnegative",
    "is_positive", "remove", "rule", "simplify", "stabilise", "with_approximate", "without",
]  # fmt: skip
