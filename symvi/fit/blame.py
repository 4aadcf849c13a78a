"""Which sub-expression is the first that is not finite: the bound, evaluated by the reference interpreter at the bad step."""

from __future__ import annotations

import numpy as np

from symvi.expr.nodes import Constant, Input, postorder
from symvi.expr.printing import text
from symvi.expr.provenance import site_of

__all__ = ["blame"]

LARGEST = 2_000_000  # entries; beyond it the interpreter would need too much memory


UNKNOWN = "a sub-expression of the bound is not finite"


def blame(objective, result, binding) -> str | None:
    """One phrase that names the sub-expression, its value and the user's line; None if all of them are finite."""
    from symvi.oracle.interpreter import evaluate

    values = {}
    for entry in result.compiled.inputs.values():
        array = binding.arrays[entry["name"]]
        if entry["block"] >= 0 or array.size > LARGEST:
            return UNKNOWN
        values[result.leaves[entry["leaf"]]] = array
    order = [node for node in postorder([objective.term]) if node.is_term and not isinstance(node, Constant)]
    try:
        results = evaluate(order, values, sizes=binding.sizes)
    except (MemoryError, ArithmeticError, ValueError, KeyError):
        return UNKNOWN
    for node, value in zip(order, results, strict=True):
        value = np.asarray(value)
        if value.dtype.kind == "f" and not np.isfinite(value).all() and not all(isinstance(child, Input) for child in node.children):
            bad = value[~np.isfinite(value)].flat[0]
            site = site_of(node)
            return f"the first sub-expression that is not finite is {text(node, 80)} = {bad}" + (f"  [{site}]" if site else "")
    return None
