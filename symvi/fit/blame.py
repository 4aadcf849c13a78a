"""Which sub-expression is the first that is not finite: the bound, evaluated by the reference interpreter at the bad step."""

from __future__ import annotations

import numpy as np

from symvi.expr.nodes import Constant, Input, postorder
from symvi.expr.printing import text
from symvi.expr.provenance import site_of

__all__ = ["first_non_finite"]

LARGEST = 2_000_000  # entries; beyond it the interpreter would need too much memory


def first_non_finite(trainer) -> str:
    """One phrase that names the sub-expression, its value and the user's line."""
    from symvi.oracle.interpreter import evaluate

    values = {}
    for entry in trainer.result.compiled.inputs.values():
        leaf = trainer.objective.leaves[entry["leaf"]]
        array = trainer.binding.arrays[entry["name"]]
        if entry["block"] >= 0 or array.size > LARGEST:
            return "a sub-expression of the bound is not finite"
        values[leaf] = array
    order = [node for node in postorder([trainer.objective.term]) if node.is_term and not isinstance(node, Constant)]
    try:
        results = evaluate(order, values, sizes=trainer.binding.sizes)
    except (MemoryError, ArithmeticError, ValueError, KeyError):
        return "a sub-expression of the bound is not finite"
    for node, result in zip(order, results, strict=True):
        result = np.asarray(result)
        if result.dtype.kind == "f" and not np.isfinite(result).all() and not all(isinstance(child, Input) for child in node.children):
            bad = result[~np.isfinite(result)].flat[0]
            site = site_of(node)
            return f"the first sub-expression that is not finite is {text(node, 80)} = {bad}" + (f"  [{site}]" if site else "")
    return "no sub-expression is non-finite at the present parameters; the gradient overflows"
