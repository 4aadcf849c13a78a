"""The automatic tests of a rule. Each finds out one thing and returns what is wrong, as sentences.

- `identity`: both sides agree to 50 digits at random points and shapes, extents 0 and 1 included;
- `rounding` (rule_rounding.py): on stress grids of float64 and float32, the error of the right side is at most 4 ulp or
  that of the left side; a rule of kind reassociate may also err by 10 condition numbers;
- `derivatives`: the gradients of both sides agree to 38 digits;
- `decrease`: the measure of each of its stages decreases, before the count of nodes where the rule repeats an operand;
- `firing`: it fires when its stages run on its examples, and stays silent where its condition fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext

import mpmath
import numpy as np

from symvi.calculus.reverse import gradients
from symvi.errors import ExpressionError
from symvi.expr.build import contract, read_own
from symvi.expr.facts import matrix_facts
from symvi.expr.nodes import Input, Node, Read, Tensor, postorder
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import leaves_of, random_sizes, random_values
from symvi.oracle.rule_examples import counterexamples_of, examples_of
from symvi.oracle.rule_rounding import rounding
from symvi.oracle.rule_sides import Sides, agree, as_term, shown_inputs
from symvi.rewrite.engine import STAGES, decreases, run_stage
from symvi.rewrite.example import array
from symvi.rewrite.guard import Decisions, deciding
from symvi.rewrite.rule import Rule, with_approximate
from symvi.rewrite.trace import collect

__all__ = ["check_rule", "identity", "rounding", "derivatives", "decrease", "firing"]

DIGITS = 50
AGREE = mpmath.mpf(10) ** -38


def check_rule(rule: Rule, seed: int = 0) -> list[str]:
    """Everything that is wrong with a rule; empty for a good one. Guards that it asks for are assumed."""
    with deciding(Decisions()):
        return _check(rule, seed)


def _check(rule: Rule, seed: int) -> list[str]:
    pairs = [(node, rule.apply(node)) for node in examples_of(rule)]
    if not pairs or any(after is None for _, after in pairs):
        return [f"{rule.name} does not apply to its example"]
    problems = []
    for before, after in pairs:
        rng = np.random.default_rng(seed)
        unequal = [] if rule.kind == "approximate" else list(identity(rule, before, after, rng))
        equal = not unequal and rule.kind != "approximate"  # what is no identity has nothing to round or to differentiate
        checks = (rounding, derivatives, decrease) if equal else (decrease,)
        found = [*unequal, *(problem for check in checks for problem in check(rule, before, after, rng))]
        problems += [f"{rule.name}: {problem}" for problem in found]
    return problems + [f"{rule.name}: {problem}" for problem in firing(rule)]


# -------------------------------------------------------------------------------------------------------------- identity
def identity(rule: Rule, before: Node, after: Node, rng: np.random.Generator) -> Iterator[str]:
    """Both sides agree to 50 digits."""
    sides, compared = Sides(before, after), 0
    for extents in ((1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3), (0, 1)):
        sizes = random_sizes([before, after], rng, extents)
        values = random_values([before], sizes, rng)  # in the domains of the left side: what the right one asks is the rule's condition
        a, b = sides.at(values, sizes, DIGITS)
        for row, (lefts, rights) in enumerate(zip(a, b, strict=True)):
            for left, right in zip(lefts, rights, strict=True):
                compared += not (mpmath.isnan(left) or mpmath.isnan(right))
                if not agree(left, right, AGREE, AGREE):
                    at = shown_inputs(sides, values, row)
                    yield f"is no identity: at {at} the left side is {mpmath.nstr(left, 15)}, the right side {mpmath.nstr(right, 15)}"
                    return
    if not compared:
        yield "was never compared: both sides are nan at all random points"


# ----------------------------------------------------------------------------------------------------------- derivatives
def derivatives(rule: Rule, before: Node, after: Node, rng: np.random.Generator) -> Iterator[str]:
    """The gradients of both sides agree, also of sums over nothing and over one."""
    left, right = as_term(before), as_term(after)
    if left.kind != "f" and right.kind != "f":
        return
    weight = read_own(array("weight", *(label.dim for label in left.sorted_labels())))
    scalars = [contract(left.labels, [(side, 1), (weight, 1)]) for side in (left, right)]
    inputs = [n for n in postorder([left, right]) if isinstance(n, Input) and n.kind == "f"]
    sides = [gradients(scalar, inputs) for scalar in scalars]
    pairs = [(Tensor.make((_axes(a),), (x,)), Tensor.make((_axes(a),), (y,))) for a, x, y in zip(inputs, *sides, strict=True)]
    for extents in ((2, 3), (0, 1)):
        sizes = random_sizes([*scalars], rng, extents)
        values = random_values(scalars[:1], sizes, rng)
        found = evaluate([part for pair in pairs for part in pair], values, sizes, DIGITS)
        for by, a, b in zip(inputs, found[::2], found[1::2], strict=True):
            for x, y in zip(_structural(by, a).ravel(), _structural(by, b).ravel(), strict=True):
                if not mpmath.isnan(x) and not agree(x, y, AGREE, AGREE):
                    at = shown_inputs(Sides(before, after), {leaf: values[leaf] for leaf in leaves_of([before, after])}, 0)
                    left, right = mpmath.nstr(x, 15), mpmath.nstr(y, 15)
                    yield f"differs in the derivative by {by.name}: {left} on the left, {right} on the right, at {at}"
                    return


def _structural(array: Input, gradient: np.ndarray) -> np.ndarray:
    """The part of a gradient that exists: of a structured matrix only along matrices of its structure."""
    facts = matrix_facts(array)
    if "diagonal" in facts:
        return gradient * np.eye(gradient.shape[-1], dtype=int)
    if "lower" in facts:
        return gradient * np.tril(np.ones(gradient.shape[-2:], dtype=int))
    if "upper" in facts:
        return gradient * np.triu(np.ones(gradient.shape[-2:], dtype=int))
    with mpmath.workdps(DIGITS):
        return (gradient + np.swapaxes(gradient, -1, -2)) / 2 if "symmetric" in facts else gradient


def _axes(array):
    return read_own(array).indices


# --------------------------------------------------------------------------------------------------- measure and firing
def decrease(rule: Rule, before: Node, after: Node, rng=None) -> Iterator[str]:
    """The measure of each stage of the rule decreases; in an entry before the count of nodes if the rule repeats an operand.

    An operand that is written more often on the right than on the left is a node at the rule's example and may be a large
    expression elsewhere: a count of nodes that decreases at the example says nothing about that.
    """
    for name in rule.stages:
        smaller, gone, come = decreases(STAGES[name], before, after)
        if not smaller:
            yield f"does not decrease the measure of the stage {name}: {gone} -> {come}"
        elif gone[:-1] == come[:-1] and _repeats(before, after):
            yield f"repeats an operand and decreases no entry of the measure of the stage {name} but the number of nodes: {gone} -> {come}"


def _repeats(before: Node, after: Node) -> bool:
    uses = [Counter(child for node in postorder((side,)) for child in node.children if _is_leaf(child)) for side in (before, after)]
    return any(count > uses[0][leaf] for leaf, count in uses[1].items())


def _is_leaf(node: Node) -> bool:
    return isinstance(node, Input) or (isinstance(node, Read) and isinstance(node.array, Input))


def firing(rule: Rule) -> Iterator[str]:
    """It fires in its stages on its examples, and not where its condition fails."""
    for name in rule.stages:
        for node in examples_of(rule):
            try:
                with collect() as trace, with_approximate(rule.name) if rule.kind == "approximate" else nullcontext():
                    run_stage(name, [node])
            except (AssertionError, ExpressionError) as error:  # the engine noticed first
                yield str(error)
                break
            if rule.name not in trace.rules():
                yield f"does not fire in the stage {name}: {', '.join(trace.rules()) or 'nothing does'}"
                break
    silent = counterexamples_of(rule)
    if rule.when is not None and not silent:
        yield "has a condition that holds for every example tried"
    for node in silent:
        if rule.apply(node) is not None:
            yield "fires where its condition fails"
