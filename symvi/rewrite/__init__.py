"""The rewrite engine: patterns, rules, stages and their trace. The catalogue of rules stands in `symvi.rules`."""

from symvi.rewrite.guard import Guard
from symvi.rewrite.rule import RULES, Rule, rule
from symvi.rewrite.stages import ORDER, simplify, stabilise
from symvi.rewrite.trace import Entry, Trace, collect
from symvi.rewrite.variables import Index, Indexed, Matrix

__all__ = ["ORDER", "RULES", "Entry", "Guard", "Index", "Indexed", "Matrix", "Rule", "Trace", "collect", "rule", "simplify", "stabilise"]
