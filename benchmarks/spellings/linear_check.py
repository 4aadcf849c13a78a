"""Compares rows of linear algebra with high-precision arithmetic: value and gradient, as compiled by the product, in four forms.

The reference is the spelling as it was typed, with 60 digits; its value is compared with the same spelling on plain mpmath matrices and
its derivative with differences of that. An error is relative to the largest entry of a result. It may be max(1e-9, 10 cond eps), where
cond is how far a relative disturbance of the leaves moves the result, relatively: measured, and only where the first does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import mpmath
import numpy as np

import symvi as sv
from benchmarks.spellings.linear_plain import PLAIN, exact
from benchmarks.spellings.linear_rows import LEAVES, ROWS, Row
from symvi.array.expression import Expr, array_of
from symvi.calculus.reverse import gradients
from symvi.errors import SymviError
from symvi.expr.build import tensor
from symvi.expr.dims import Dim, dim
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Operator, postorder
from symvi.fit.function import bind, gather_inputs, output_of
from symvi.fit.leaves import Sizes
from symvi.fit.pipeline import Request
from symvi.fit.variants import Variants
from symvi.oracle.interpreter import evaluate
from symvi.rules import simplify, stabilise

__all__ = ["Outcome", "check_linear_rows", "check_and_print", "FORMS", "FAMILIES"]

DIGITS = 60
TOLERANCE, SAFETY, EPS = 1e-9, 10, 2.0**-52
RANGE = (mpmath.mpf(10) ** -290, mpmath.mpf(10) ** 290)  # of results whose error is measured
FACTOR = -0.37
FORMS = ("plain", "swapped", "scaled", "batch")
FAMILIES = {  # condition and scale of the matrices
    "plain": (10.0, 1.0), "cond 1e8": (1e8, 1.0), "cond 1e14": (1e14, 1.0), "times 1e150": (10.0, 1e150), "times 1e-150": (10.0, 1e-150),
}  # fmt: skip
SIZES = ((5, 3), (2, 2), (1, 2), (7, 1), (0, 2))
ROWS_PER_MODULE = 8
M, N, R, B = (dim(name) for name in "MNRB")
EXTENTS = {"M": M, "N": N, "R": R, "MN": M * N, "M+N": M + N}
FACTS = {"spd": sv.spd, "lower": sv.lower, "orthogonal": sv.orthogonal}

SYMBOLIC = SimpleNamespace(
    inv=sv.linalg.inv, det=sv.linalg.det, logdet=sv.linalg.logdet, slogdet=sv.linalg.slogdet, cholesky=sv.linalg.cholesky,
    solve=sv.linalg.solve, kron=sv.linalg.kron, block_diag=sv.block_diag, trace=sv.linalg.trace, diag=sv.diag, diagonal=sv.diagonal,
    tril=sv.tril, triu=sv.triu, eye=lambda like: sv.eye(like.shape[-2]), sum=sv.sum, exp=sv.exp, log=sv.log, abs=sv.abs,
)  # fmt: skip


@dataclass
class Spelling:
    """A row in one form on fresh leaves: its expression, and the weighted sum that is differentiated."""

    row: Row
    form: str
    expression: Expr
    cost: Expr
    leaves: dict[str, Expr]
    weights: Expr | None

    @property
    def parameters(self) -> list[str]:
        return [letter for letter in self.leaves if LEAVES[letter].sort != "orthogonal"]


@dataclass
class Outcome:
    """What came of a row: the worst errors relative to what is allowed, the forms that passed, what failed."""

    row: Row
    value: float = 0.0
    gradient: float = 0.0
    points: int = 0
    forms: dict[str, bool] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.failures and self.points > 0


def spelling(row: Row, form: str, suffix: str = "") -> Spelling:
    """The row in a form; leaves are parameters with the facts of their letter."""
    leaves = {}
    for letter in row.letters:
        leaf = LEAVES[letter]
        shape = [EXTENTS[name] for name in leaf.shape]
        shape = [B, *shape] if leaf.stacked and form == "batch" else shape
        support = {"support": sv.positive} if leaf.sort == "positive" else {}
        leaves[letter] = sv.param(f"{letter}{suffix}", *shape, init=1.0, **support)
        if leaf.sort in FACTS:
            sv.assume(leaves[letter], FACTS[leaf.sort])
    build = row.other if form == "swapped" and row.other is not None else row.build
    expression = build(SYMBOLIC, *leaves.values())
    expression = FACTOR * expression if form == "scaled" else expression
    weights = sv.data(f"weights{suffix}", *expression.shape) if expression.shape else None
    cost = sv.sum(expression * weights) if weights is not None else expression
    return Spelling(row, form, expression, cost, leaves, weights)


# ------------------------------------------------------------------------------------------------------------------ points
def values_of(spelled: Spelling, family: str, sizes: tuple[int, int], seed: int) -> dict[str, np.ndarray]:
    """Values of the leaves: matrices of the condition and the scale of a family."""
    condition, scale = FAMILIES[family]
    rng = np.random.default_rng(seed)
    known = _known(sizes)
    return {letter: _value(LEAVES[letter].sort, _shape(leaf, known), condition, scale, rng) for letter, leaf in spelled.leaves.items()}


def _known(sizes: tuple[int, int]) -> dict[str, int]:
    return {"M": sizes[0], "N": sizes[1], "R": 2, "B": 2}


def _shape(expression: Expr, known: dict[str, int]) -> tuple[int, ...]:
    return tuple(Dim(d).size(known) if not isinstance(d, Dim) else d.size(known) for d in expression.shape)


def _value(sort: str, shape: tuple[int, ...], condition: float, scale: float, rng) -> np.ndarray:
    if sort in ("vector", "rectangular", "scalar"):
        return np.asarray(rng.standard_normal(shape))
    if sort == "positive":
        return np.asarray(rng.uniform(0.5, 2.0, shape))
    n = shape[-1]
    if sort == "lower":
        return scale * (np.tril(rng.standard_normal(shape), -1) * 0.3 + np.eye(n) * rng.choice([-1.0, 1.0], (*shape[:-2], 1, n)))
    left = np.linalg.qr(rng.standard_normal(shape))[0] if n else np.zeros(shape)
    if sort == "orthogonal":
        return left
    right = left if sort == "spd" else np.linalg.qr(rng.standard_normal(shape))[0] if n else np.zeros(shape)
    values = np.geomspace(1.0, 1.0 / condition, n) if n > 1 else np.ones(n)
    matrix = scale * (left * values) @ np.swapaxes(right, -1, -2)
    return (matrix + np.swapaxes(matrix, -1, -2)) / 2 if sort == "spd" else matrix


def weights_of(shape: tuple[int, ...]) -> np.ndarray:
    """The adjoint of a result."""
    return np.resize([0.75, -1.25, 2.0, 0.5, -0.375], shape)


# ----------------------------------------------------------------------------------------------------------------- results
def compiled(spellings: Sequence[Spelling]) -> Variants:
    """One module for several rows: their values and all gradients."""
    total = sum((s.cost.sum() for s in spellings[1:]), spellings[0].cost.sum())
    request = Request([output_of("total", total), *(output_of(f"row_{k}", s.expression) for k, s in enumerate(spellings))], name="matrices")
    present = set(request.leaves)
    request.gradients = [array_of(s.leaves[letter]) for s in spellings for letter in s.parameters if s.leaves[letter].leaf in present]
    return Variants(request)


def run(variants: Variants, spellings: Sequence[Spelling], points: Sequence[dict], sizes: tuple[int, int]) -> list[dict] | str:
    """Value and gradients of every row at its point, or what went wrong."""
    known = _known(sizes)
    given: dict[Leaf, np.ndarray] = {}
    for s, point in zip(spellings, points, strict=True):
        given |= {s.leaves[letter].leaf: value for letter, value in point.items()}
        if s.weights is not None:
            given[s.weights.leaf] = weights_of(_shape(s.expression, known))
    learnt, leaves = Sizes(known), variants.request.leaves
    arrays = gather_inputs(leaves, {leaf: given[leaf] for leaf in leaves}, learnt, np.dtype("float64"), finite=False)
    binding = bind(variants.at(learnt.values), arrays, learnt)
    status = binding.run(0, 0, 0)
    if status:
        step = binding.failed_step(status)
        return f"{step.get('operator', step)} of {step.get('about', '')} fails"
    outputs = {name: np.array(value) for name, value in binding.outputs.items()}
    results = []
    for k, (s, point) in enumerate(zip(spellings, points, strict=True)):
        found = {"value": outputs[f"row_{k}"].reshape(_shape(s.expression, known))}
        for letter in s.parameters:
            name = f"g_{s.leaves[letter].leaf.name}"
            found[letter] = outputs[name].reshape(point[letter].shape) if name in outputs else np.zeros(point[letter].shape)
        results.append(found)
    return results


class Truth:
    """The spelling as it was typed, at any precision."""

    def __init__(self, spelled: Spelling):
        self.spelled = spelled
        arrays = [array_of(spelled.leaves[letter]) for letter in spelled.parameters]
        axes = [axis for axis in spelled.expression.axes if axis is not None]
        self.roots = [tensor(spelled.expression.term, axes)]
        for array, gradient in zip(arrays, gradients(spelled.cost.term, arrays), strict=True):
            own = [axis for axis in spelled.leaves[array.name[0]].axes if axis is not None]
            self.roots.append(tensor(gradient, own))

    def at(self, point: dict, sizes: tuple[int, int]) -> dict:
        known = _known(sizes)
        values = {self.spelled.leaves[letter].leaf: value for letter, value in point.items()}
        if self.spelled.weights is not None:
            values[self.spelled.weights.leaf] = weights_of(_shape(self.spelled.expression, known))
        found = evaluate(self.roots, values, known, DIGITS)
        return dict(zip(("value", *self.spelled.parameters), map(exact, found), strict=True))


def structured(letter: str, gradient: np.ndarray) -> np.ndarray:
    """The part of a gradient that exists: of a structured matrix only along matrices of its structure."""
    sort = LEAVES[letter].sort if letter != "value" else ""
    if sort == "spd":
        return (gradient + np.swapaxes(gradient, -1, -2)) / 2
    return np.tril(gradient) if sort == "lower" else gradient


# -------------------------------------------------------------------------------------------------------------- comparison
def check_linear_rows(rows: Sequence[Row] = ROWS, families: Sequence[str] = tuple(FAMILIES), sizes=SIZES) -> list[Outcome]:
    """Every row in every form, at matrices of every family and size."""
    outcomes = [Outcome(row) for row in rows]
    for form in FORMS:
        for start in range(0, len(rows), ROWS_PER_MODULE):
            part = [o for o in outcomes[start : start + ROWS_PER_MODULE] if _has_form(o.row, form)]
            if part:
                _check_module(part, form, families, sizes)
    return outcomes


def _has_form(row: Row, form: str) -> bool:
    return row.other is not None if form == "swapped" else row.batch or form != "batch"


def _check_module(outcomes: Sequence[Outcome], form: str, families: Sequence[str], sizes) -> None:
    spellings = [spelling(o.row, form, f"_{k}") for k, o in enumerate(outcomes)]
    before = [len(o.failures) for o in outcomes]
    truths = [Truth(s) for s in spellings]
    if form == "plain":
        for outcome, truth in zip(outcomes, truths, strict=True):
            _check_reference(outcome, truth)
            _check_atoms(outcome)
    module = compiled(spellings)
    for number, family in enumerate(families):
        for size in sizes if family == "plain" else sizes[:1]:
            points = [values_of(s, family, size, 100 * number + k) for k, s in enumerate(spellings)]
            found = run(module, spellings, points, size)
            if isinstance(found, str):  # which row it is shows when each runs by itself
                found = [_alone(s.row, form, point, size) for s, point in zip(spellings, points, strict=True)]
            for outcome, truth, point, result in zip(outcomes, truths, points, found, strict=True):
                _compare(outcome, truth, point, result, family, size)
    for outcome, count in zip(outcomes, before, strict=True):
        outcome.forms[form] = len(outcome.failures) == count


def _alone(row: Row, form: str, point: dict, sizes) -> dict | str:
    single = spelling(row, form)
    try:
        found = run(compiled([single]), [single], [point], sizes)
    except SymviError as error:
        return str(error)
    return found if isinstance(found, str) else found[0]


def _compare(outcome: Outcome, truth: Truth, point: dict, found: dict | str, family: str, size) -> None:
    where = f"{truth.spelled.form}, {family}, {size}"
    if isinstance(found, str):
        outcome.failures.append(f"{where}: {found}")
        return
    expected = truth.at(point, size)
    moved = None
    outcome.points += 1
    for name, value in expected.items():
        value = structured(name, value)
        error = error_of(structured(name, found[name]), value)
        allowed = TOLERANCE
        if error > allowed:
            moved = moved or [truth.at(_disturbed(truth.spelled, point, seed), size) for seed in range(3)]
            allowed = max(allowed, SAFETY * EPS * max(float(error_of(structured(name, m[name]), value)) / 1e-30 for m in moved))
        if error > allowed:
            outcome.failures.append(f"{where}: {name} errs by {error:.1e}, allowed {allowed:.1e}")
        share = float(error / allowed)
        if name == "value":
            outcome.value = max(outcome.value, share)
        else:
            outcome.gradient = max(outcome.gradient, share)


def error_of(found: np.ndarray, expected: np.ndarray):
    """The largest error over the largest entry; 0 where that is beyond the range of the numbers in use."""
    if not expected.size:
        return 0.0 if found.size == 0 else np.inf
    scale = max(abs(x) for x in expected.ravel())
    if scale == 0:
        return 0.0 if not np.any(found) else np.inf
    if not RANGE[0] < scale < RANGE[1]:
        return 0.0
    if not all(mpmath.isfinite(x) for x in found.ravel()):
        return np.inf
    return float(max(abs(a - b) for a, b in zip(exact(found).ravel(), expected.ravel(), strict=True)) / scale)


def _disturbed(spelled: Spelling, point: dict, seed: int) -> dict:
    """The point with every matrix moved by 1e-30 of its largest entry, within its structure."""
    rng = np.random.default_rng(seed)
    moved = {}
    with mpmath.workdps(DIGITS):
        for letter, value in point.items():
            change = structured(letter, rng.uniform(-1, 1, value.shape))
            if LEAVES[letter].sort == "orthogonal":
                change = np.zeros(value.shape)
            step = mpmath.mpf(10) ** -30 * mpmath.mpf(float(np.abs(value).max(initial=0.0)))
            moved[letter] = exact(value) + exact(change) * step
    return moved


def _check_reference(outcome: Outcome, truth: Truth) -> None:
    """The reference against plain mpmath matrices, and against differences along a random direction of each leaf."""
    spelled, size = truth.spelled, (3, 2)
    point = values_of(spelled, "plain", size, 5)
    expected = truth.at(point, size)
    rng = np.random.default_rng(1)
    with mpmath.workdps(DIGITS):
        plain = np.asarray(outcome.row.build(PLAIN, *(exact(value) for value in point.values())))
        if error_of(plain, expected["value"]) > 1e-40:
            outcome.failures.append("the value of the reference is in doubt")
        weights = exact(weights_of(plain.shape)) if plain.shape else mpmath.mpf(1)
        step = mpmath.mpf(10) ** -20
        for letter in spelled.parameters:
            direction = structured(letter, rng.standard_normal(point[letter].shape))
            ends = []
            for sign in (1, -1):
                moved = {name: exact(value) + (sign * step * exact(direction) if name == letter else 0) for name, value in point.items()}
                ends.append(np.sum(weights * outcome.row.build(PLAIN, *moved.values())))
            difference, slope = (ends[0] - ends[1]) / (2 * step), np.sum(expected[letter] * exact(direction))
            if abs(difference - slope) > mpmath.mpf(10) ** -25 * max(1, abs(slope)):
                outcome.failures.append(f"the derivative of the reference by {letter} is in doubt")


def _check_atoms(outcome: Outcome) -> None:
    """What is left of the array atoms."""
    if outcome.row.shows is None:
        return
    single = spelling(outcome.row, "plain")
    (stable,) = stabilise([single.cost.term])
    left = simplify([stable, *gradients(stable, [array_of(single.leaves[letter]) for letter in single.parameters])])
    found = {node.name for node in postorder(left) if isinstance(node, Operator)}
    if found != set(outcome.row.shows.replace("-", "").split()):
        outcome.failures.append(f"left are {' '.join(sorted(found)) or 'none'}, not {outcome.row.shows}")


# ------------------------------------------------------------------------------------------------------------------- print
def check_and_print(only: str = "", failures: int = 3) -> list[bool]:
    """The table; which rows pass."""
    outcomes = check_linear_rows([row for row in ROWS if only in row.name or only in "linear"])
    if outcomes:
        print("\nlinear: errors as shares of max(1e-9, 10 cond eps)")
        print(f"{'spelling':44} {'value':>9} {'gradient':>9} points  {'':4}  {'PyTensor 3.3.7':30}  tried as")
    for outcome in outcomes:
        forms = " ".join(name if good else f"{name}!" for name, good in outcome.forms.items())
        verdict = "pass" if outcome.passed else "FAIL"
        row = outcome.row
        errors = f"{outcome.value:9.1e} {outcome.gradient:9.1e} {outcome.points:6d}"
        print(f"{row.name:44.44} {errors}  {verdict}  {row.pytensor:30.30}  {forms}")
        for failure in outcome.failures[:failures]:
            print(f"    {failure}")
    return [outcome.passed for outcome in outcomes]


if __name__ == "__main__":
    import sys

    check_and_print(*sys.argv[1:])
