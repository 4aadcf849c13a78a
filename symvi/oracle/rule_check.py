"""The automatic tests of a rule. Each finds out one thing and returns what is wrong, as sentences.

- `identity`: both sides agree to 50 digits at random points and shapes, extents 0 and 1 included;
- `rounding`: on a stress grid, the error of the right side in float64 is at most 4 ulp or that of the left side; a rule
  of kind reassociate may also err by 10 condition numbers, or by four times the error of the left side;
- `derivatives`: the gradients of both sides agree to 40 digits;
- `decrease`: the measure of each of its stages decreases;
- `firing`: it fires when its stages run on its examples, and stays silent where its condition fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import mpmath
import numpy as np

from symvi.calculus.reverse import gradients
from symvi.errors import ExpressionError
from symvi.expr.build import contract, read_own
from symvi.expr.facts import matrix_facts
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Input, Node, Operator, Tensor, Term, postorder
from symvi.oracle.interpreter import evaluate
from symvi.oracle.random_inputs import dims_of, leaves_of, random_sizes, random_values
from symvi.oracle.rule_examples import counterexamples_of, examples_of
from symvi.rewrite.engine import STAGES, decreases, run_stage
from symvi.rewrite.rule import Rule
from symvi.rewrite.trace import collect

__all__ = ["check_rule", "identity", "rounding", "derivatives", "decrease", "firing", "GRID"]

DIGITS = 50
TRUTH = 380  # digits: enough for 1 + 5e-324
MORE = 4800  # enough for 1 + e^-10000
AGREE = mpmath.mpf(10) ** -38
EPS = 2.0**-52
SMALLEST = 5e-324
POINTS, ROUNDS = 36, 2
ULPS = 4.0
_MAGNITUDES = (5e-324, 1e-310, 1e-300, 1e-17, 1e-8, 1e-3, 0.3, 1.0, 4.0, 30.0, 700.0, 745.0, 1e4)
GRID = np.array([0.0, np.inf, -np.inf, *_MAGNITUDES, *(-m for m in _MAGNITUDES)])


def check_rule(rule: Rule, seed: int = 0) -> list[str]:
    """Everything that is wrong with a rule; empty for a good one."""
    pairs = [(node, rule.apply(node)) for node in examples_of(rule)]
    if not pairs or any(after is None for _, after in pairs):
        return [f"{rule.name} does not apply to its example"]
    problems = []
    for before, after in pairs:
        rng = np.random.default_rng(seed)
        for check in (identity, rounding, derivatives, decrease):
            problems += [f"{rule.name}: {problem}" for problem in check(rule, before, after, rng)]
    return problems + [f"{rule.name}: {problem}" for problem in firing(rule)]


# -------------------------------------------------------------------------------------------------------------- identity
def _as_term(node: Node) -> Term:
    return node if node.is_term else read_own(node)


def _flat(before: Node, after: Node, values, sizes, precision) -> tuple[np.ndarray, np.ndarray]:
    """Both values on the axes of the left side."""
    left, right = _as_term(before), _as_term(after)
    a, b = evaluate([left, right], values, sizes, precision)
    if precision is not None:
        a, b = (x if x.dtype == object else np.vectorize(lambda v: mpmath.mpf(float(v)), otypes=[object])(x) for x in (a, b))
    axes = left.sorted_labels()
    kept = right.sorted_labels()
    b = b.reshape([b.shape[kept.index(label)] if label in kept else 1 for label in axes])
    return a.ravel(), np.broadcast_to(b, a.shape).ravel()


def _unlike(a, b) -> bool:
    """Do two numbers differ before the last dozen of 50 digits? They are taken as they are: a conversion would round them."""
    if mpmath.isnan(a) or mpmath.isnan(b):
        return bool(mpmath.isnan(a) != mpmath.isnan(b))
    if mpmath.isinf(a) or mpmath.isinf(b):
        return a != b
    return abs(a - b) > AGREE * max(1, abs(a))


def identity(rule: Rule, before: Node, after: Node, rng: np.random.Generator) -> Iterator[str]:
    """Both sides agree to 50 digits."""
    extents = (1, 2, 3) if _has_array_work(before) else (0, 1, 2, 3)
    compared = 0
    for _ in range(4):
        sizes = random_sizes([before, after], rng, extents)
        values = random_values([before, after], sizes, rng)
        a, b = _flat(before, after, values, sizes, DIGITS)
        for left, right in zip(a, b, strict=True):
            compared += not (mpmath.isnan(left) or mpmath.isnan(right))
            if _unlike(left, right):
                yield f"is no identity: {mpmath.nstr(left, 15)} on the left, {mpmath.nstr(right, 15)} on the right"
                return
    if not compared:
        yield "was never compared: both sides are nan at all random points"


def _has_array_work(node: Node) -> bool:
    return any(isinstance(n, Operator) for n in postorder((node,)))


# -------------------------------------------------------------------------------------------------------------- rounding
def rounding(rule: Rule, before: Node, after: Node, rng: np.random.Generator) -> Iterator[str]:
    """The right side errs no more than the left one."""
    if rule.kind == "approximate":
        return
    if _has_array_work(before):
        yield from _matrix_rounding(before, after, rng)
        return
    for round_ in range(ROUNDS):
        label_dims = {label.dim for label in _as_term(before).labels}
        extent = round(POINTS ** (1 / max(len(label_dims), 1)))
        sizes = {name.name: extent if d in label_dims else 3 for d in dims_of([before, after]) for name in d.names}
        values = {leaf: _stress(leaf, sizes, rng, round_, rule) for leaf in leaves_of([before, after])}
        left, right = _flat(before, after, values, sizes, None)
        truth = _truth(before, after, values, sizes)
        worse = [k for k in range(len(left)) if _error(right[k], truth[k]) > max(ULPS, _error(left[k], truth[k]))]
        if worse:
            nearby = _errors_nearby(before, values, sizes, rng)
            worse = [k for k in worse if _error(right[k], truth[k]) > nearby[k]]
        if worse and rule.kind == "reassociate":
            condition = _condition(before, values, sizes, truth)
            worse = [k for k in worse if _error(right[k], truth[k]) > max(10 * condition[k], 4 * nearby[k])]
        if worse:
            yield _rounding_message(worse[0], left, right, truth, values, sizes)
            return


def _errors_nearby(before: Node, values, sizes, rng) -> np.ndarray:
    """The largest error of the left side at inputs that differ in the last digits: at the point itself it may be lucky."""
    worst = None
    for _ in range(3):
        moved = dict(values)
        for leaf, value in values.items():
            if leaf.kind == "f":
                moved[leaf] = np.clip(value * (1 + 1e-11 * rng.standard_normal(np.shape(value))), *_interval(leaf))
        left, _ = _flat(before, before, moved, sizes, None)
        truth = _truth(before, before, moved, sizes)
        errors = np.array([_error(a, b) for a, b in zip(left, truth, strict=True)])
        worst = errors if worst is None else np.maximum(worst, errors)
    return worst


def _truth(before: Node, after: Node, values, sizes) -> np.ndarray:
    """The left side in high precision; in much higher precision where that was not enough for both sides to agree."""
    a, b = _flat(before, after, values, sizes, TRUTH)
    if any(_unlike(x, y) for x, y in zip(a, b, strict=True)):
        a, _ = _flat(before, after, values, sizes, MORE)
    return a


def _interval(leaf: Leaf):
    return getattr(leaf.support, "interval", None) or (-np.inf, np.inf)


def _rounding_message(k, left, right, truth, values, sizes) -> str:
    inputs = ", ".join(f"{leaf.name} = {_entry(value, k)}" for leaf, value in values.items())
    return (
        f"rounds worse: at {inputs} the value is {mpmath.nstr(truth[k], 17)}, the left side gives {left[k]!r} "
        f"({_error(left[k], truth[k]):.3g} ulp), the right side {right[k]!r} ({_error(right[k], truth[k]):.3g} ulp)"
    )


def _entry(value, k):
    value = np.asarray(value)
    return value[k].tolist() if value.ndim and len(value) > k else value.ravel()[:4].tolist()


def _stress(leaf: Leaf, sizes: Mapping[str, int], rng, round_: int, rule: Rule) -> np.ndarray:
    """Values of the grid inside the leaf's interval; after the first round each times a random mantissa in [1, 2)."""
    shape = tuple(d.size(sizes) for d in leaf.array_shape)
    lo, hi = _interval(leaf)
    if leaf.kind == "i":
        return rng.choice([max(0, lo), 1, 2, 7, 1000], shape).astype(np.int64)
    if leaf.kind == "b":
        return rng.random(shape) < 0.5
    points = GRID[(GRID >= lo) & (GRID <= hi)]
    if np.isfinite(hi):
        points = np.concatenate([points, hi - np.array([1e-16, 1e-9, 0.3])])
    if rule.bounded is not None:
        least, most = rule.bounded
        points = points[(np.abs(points) >= least) & (np.abs(points) <= most)]
    in_order = not round_ and len(shape) == 1
    chosen = points[np.arange(shape[0]) % len(points)] if in_order else rng.choice(points, shape)
    mantissas = rng.uniform(1, 2, shape) if round_ else np.ones(shape)
    return np.clip(np.where(np.abs(chosen) < 1e4, chosen * mantissas, chosen), lo, hi)


def _error(value: float, truth) -> float:
    """In units of the last place; an infinite or nan value that should be another counts as infinitely wrong."""
    if mpmath.isnan(truth):
        return 0.0
    expected = float(truth)
    if not np.isfinite(expected) or not np.isfinite(value):
        return 0.0 if value == expected else np.inf
    return float(abs(mpmath.mpf(float(value)) - truth) / max(EPS * abs(expected), SMALLEST))


def _condition(before: Node, values, sizes, truth) -> list[float]:
    """Σ |x ∂f/∂x| / |f| by relative steps of 1e-60 in high precision."""
    step = mpmath.mpf(10) ** -60
    total = [0.0] * len(truth)
    for leaf, value in values.items():
        if leaf.kind != "f":
            continue
        value = np.asarray(value, dtype=float)
        for column in range(1 if value.ndim < 2 else value.shape[-1]):
            with mpmath.workdps(TRUTH):
                moved = np.array([mpmath.mpf(v) * (1 + step) for v in value.ravel()], dtype=object).reshape(value.shape)
                if value.ndim >= 2:
                    kept = np.array([mpmath.mpf(v) for v in value.ravel()], dtype=object).reshape(value.shape)
                    kept[..., column] = moved[..., column]
                    moved = kept
            shifted, _ = _flat(before, before, {**values, leaf: moved}, sizes, TRUTH)
            with mpmath.workdps(TRUTH):
                for k, (a, b) in enumerate(zip(shifted, truth, strict=True)):
                    if mpmath.isfinite(a) and mpmath.isfinite(b):
                        total[k] += float(abs(a - b) / step / max(abs(b), mpmath.mpf(SMALLEST)))
    return total


def _matrix_rounding(before: Node, after: Node, rng) -> Iterator[str]:
    """Norms of errors at random matrices, some of them badly conditioned."""
    for _ in range(4):
        sizes = random_sizes([before, after], rng, (2, 3, 4))
        values = random_values([before, after], sizes, rng)
        left, right = _flat(before, after, values, sizes, None)
        truth = np.array([float(t) for t in _flat(before, before, values, sizes, DIGITS)[0]])
        if not np.isfinite(truth).all():
            continue
        scale = np.abs(truth).max(initial=0.0) + SMALLEST
        errors = [np.abs(side - truth).max(initial=0.0) / scale for side in (left, right)]
        if not errors[1] <= max(200 * EPS, 20 * errors[0]):
            yield f"rounds worse: relative error {errors[1]:.2g} on the right, {errors[0]:.2g} on the left"
            return


# ----------------------------------------------------------------------------------------------------------- derivatives
def derivatives(rule: Rule, before: Node, after: Node, rng: np.random.Generator) -> Iterator[str]:
    """The gradients of both sides agree."""
    left, right = _as_term(before), _as_term(after)
    if left.kind != "f" and right.kind != "f":
        return
    weight = read_own(_weight(left))
    scalars = [contract(left.labels, [(side, 1), (weight, 1)]) for side in (left, right)]
    inputs = [n for n in postorder([left, right]) if isinstance(n, Input) and n.kind == "f"]
    sides = [gradients(scalar, inputs) for scalar in scalars]
    pairs = [(Tensor.make((_axes(a),), (x,)), Tensor.make((_axes(a),), (y,))) for a, x, y in zip(inputs, *sides, strict=True)]
    sizes = random_sizes([*scalars], rng, (2, 3))
    values = random_values([*scalars], sizes, rng)
    found = evaluate([part for pair in pairs for part in pair], values, sizes, DIGITS)
    for array, a, b in zip(inputs, found[::2], found[1::2], strict=True):
        a, b = _structural(array, a), _structural(array, b)
        for x, y in zip(a.ravel(), b.ravel(), strict=True):
            if not mpmath.isnan(x) and _unlike(x, y):
                yield f"differs in the derivative by {array.name}: {mpmath.nstr(x, 15)} on the left, {mpmath.nstr(y, 15)} on the right"
                return


def _structural(array: Input, gradient: np.ndarray) -> np.ndarray:
    """The part of a gradient that exists: of a structured matrix only along matrices of its structure."""
    facts = matrix_facts(array)
    if "diagonal" in facts:
        return gradient * np.eye(gradient.shape[-1], dtype=int)
    if "lower" in facts:
        return gradient * np.tril(np.ones(gradient.shape[-2:], dtype=int))
    return (gradient + np.swapaxes(gradient, -1, -2)) / 2 if "symmetric" in facts else gradient


def _axes(array):
    return read_own(array).indices


def _weight(term: Term):
    from symvi.rewrite.example import array

    return array("weight", *(label.dim for label in term.sorted_labels()))


# --------------------------------------------------------------------------------------------------- measure and firing
def decrease(rule: Rule, before: Node, after: Node, rng=None) -> Iterator[str]:
    """The measure of each stage of the rule decreases."""
    for name in rule.stages:
        smaller, gone, come = decreases(STAGES[name], before, after)
        if not smaller:
            yield f"does not decrease the measure of the stage {name}: {gone} -> {come}"


def firing(rule: Rule) -> Iterator[str]:
    """It fires in its stages on its examples, and not where its condition fails."""
    for name in rule.stages:
        for node in examples_of(rule):
            try:
                with collect() as trace:
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
