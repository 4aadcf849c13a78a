"""Compares compiled rows with their reference: values and gradients, in every form, point by point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import mpmath
import numpy as np

from benchmarks.spellings.kernels import FORMS, Form, P, Results, Spelling, evaluate, spelling, weights_of
from benchmarks.spellings.reference import DIGITS, Namespace, Numbers, Reference, evaluate_exactly
from benchmarks.spellings.rows import Row, points_of
from benchmarks.spellings.spelled import spell
from symvi.array.expression import array_of, leaf_expr
from symvi.calculus.reverse import gradients

__all__ = ["Outcome", "check_rows", "TOLERANCE"]

TOLERANCE = 1e-9
UNIT = 5e-324
UNITS = 4  # of 5e-324, for results that are subnormal
SMALLEST_NORMAL = 2.2250738585072014e-308
LARGEST = 1.7976931348623157e308
ROWS_PER_MODULE = 8
SAMPLES = 6  # points at which derivatives are compared with differences


@dataclass
class Outcome:
    """What came of a row: the worst errors, what failed first, why points were left out."""

    row: Row
    value: float = 0.0
    gradient: float = 0.0
    points: int = 0
    skipped: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    forms: dict[str, bool] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.failures and self.points > 0


@dataclass
class _Truth:
    values: np.ndarray
    gradients: dict[str, np.ndarray]
    reasons: list[str | None]


def check_rows(
    rows: Sequence[Row], forms: Iterable[Form] = FORMS, most: int | None = None, run: Callable[..., list[Results]] = evaluate
) -> list[Outcome]:
    """Every row in every form. With `most`, only that many points of each row, spread over all of them; `run` evaluates spellings."""
    outcomes, truths, points = [Outcome(row) for row in rows], [], []
    for outcome in outcomes:
        given = _thinned(points_of(outcome.row), most)
        points.append(given)
        truths.append(_truth(outcome, given))
    for form in forms:
        for start in range(0, len(rows), ROWS_PER_MODULE):
            part = slice(start, start + ROWS_PER_MODULE)
            spellings = [spelling(row, form, f"_{k}") for k, row in enumerate(rows[part])]
            found = run(spellings, points[part])
            for outcome, truth, given, result in zip(outcomes[part], truths[part], points[part], found, strict=True):
                _compare(outcome, form, truth, given, result)
    return outcomes


def _thinned(points: dict[str, np.ndarray], most: int | None) -> dict[str, np.ndarray]:
    count = len(next(iter(points.values())))
    if most is None or count <= most:
        return points
    kept = np.linspace(0, count - 1, most).round().astype(int)
    return {name: value[kept] for name, value in points.items()}


# --------------------------------------------------------------------------------------------------------------- the truth
def _truth(outcome: Outcome, points: dict[str, np.ndarray]) -> _Truth:
    row = outcome.row
    plain = spelling(row, FORMS[0])
    names = plain.parameters
    arrays = [array_of(leaf_expr(plain.leaves[name])) for name in names]
    roots = [plain.expression.term, *gradients(plain.cost.term, arrays)] if names else [plain.expression.term]
    sizes = {f"V{leaf.extent}": leaf.extent for leaf in row.leaves.values() if leaf.extent}
    leaves = dict(plain.leaves)
    reference = evaluate_exactly(roots, leaves, points, sizes, str(P), {plain.weights: weights_of(plain)})
    _compare_with_plain_numbers(outcome, plain, points, reference)
    count = len(reference.digits)
    reasons = [_reason(row, points, reference, k) for k in range(count)]
    return _Truth(reference.values[0], dict(zip(names, reference.values[1:], strict=True)), reasons)


def _reason(row: Row, points: dict[str, np.ndarray], reference: Reference, k: int) -> str | None:
    if row.skip is not None:
        reason = row.skip(*(value[k] for value in points.values()))
        if reason is not None:
            return reason
    if reference.digits[k]:
        return None
    infinite = any(not np.isfinite(value[k]).all() for value in points.values())
    return "no value or no derivative at infinity" if infinite else "no value or no derivative, or more digits needed than there are"


def _compare_with_plain_numbers(outcome: Outcome, plain: Spelling, points: dict[str, np.ndarray], reference: Reference) -> None:
    """The same spelling on plain numbers: its values at all points, its differences at some."""
    row = outcome.row
    for digits, more in zip(DIGITS[:3], (*DIGITS[1:3], DIGITS[2]), strict=True):
        chosen = [k for k in np.flatnonzero(reference.digits == digits) if all((np.abs(v[k]) < 2e4).all() for v in points.values())]
        if not chosen:
            continue
        with mpmath.workdps(more):
            found = _plain(row, points, chosen)
            expected = reference.values[0][chosen]
            for a, b, k in zip(np.broadcast_to(found, expected.shape), expected, chosen, strict=True):
                if not all(_close(x, y) for x, y in zip(np.ravel(a), np.ravel(b), strict=True)):
                    outcome.failures.append(f"the reference is in doubt at {_inputs(points, k)}: {_short(a)} and {_short(b)}")
                    return
    finite = [k for k in np.flatnonzero((reference.digits > 0) & (reference.digits <= 400)) if _ordinary(row, points, k)]
    for position, name in enumerate(plain.parameters, 1):
        for k in finite[:: max(1, len(finite) // SAMPLES)]:
            differences = _differences(plain, points, name, k)
            for a, b in zip(differences, np.ravel(reference.values[position][k]), strict=True):
                if mpmath.isfinite(b) and not mpmath.isnan(a) and abs(a - b) > mpmath.mpf(10) ** -10 * max(abs(b), mpmath.mpf(10) ** -15):
                    outcome.failures.append(f"the derivative by {name} is in doubt at {_inputs(points, k)}: {_short(a)} and {_short(b)}")
                    return


def _ordinary(row: Row, points: dict[str, np.ndarray], k: int) -> bool:
    return all((np.abs(value[k]) < 1e3).all() and (np.abs(value[k]) > 1e-20).all() for value in points.values())


def _plain(row: Row, points: dict[str, np.ndarray], chosen, moved: dict | None = None) -> np.ndarray:
    numbers = {name: np.vectorize(mpmath.mpf, otypes=[object])(value[chosen]) for name, value in points.items()}
    numbers.update(moved or {})
    return np.asarray(spell(row.build, Numbers, Namespace(), numbers))


def _differences(plain: Spelling, points: dict[str, np.ndarray], name: str, k: int) -> list:
    """Central differences of the weighted value by the entries of one leaf."""
    row, found = plain.row, []
    with mpmath.workdps(800):
        value = points[name][[k]]
        weights = np.ravel(weights_of(plain))
        for entry in np.ndindex(value.shape):
            step = abs(mpmath.mpf(float(value[entry]))) * mpmath.mpf(10) ** -150
            ends = []
            for sign in (1, -1):
                moved = np.vectorize(mpmath.mpf, otypes=[object])(value)
                moved[entry] += sign * step
                end = np.ravel(_plain(row, points, [k], {name: moved}))
                ends.append(sum(w * e for w, e in zip(weights, end, strict=True)))
            found.append((ends[0] - ends[1]) / (2 * step))
    return found


def _close(a, b) -> bool:
    if mpmath.isnan(a) or mpmath.isnan(b):
        return True
    if mpmath.isinf(a) or mpmath.isinf(b):
        return a == b
    return abs(a - b) <= mpmath.mpf(10) ** -12 * abs(b) or max(abs(a), abs(b)) < mpmath.mpf(10) ** -330


# ----------------------------------------------------------------------------------------------------------- the comparison
def _compare(outcome: Outcome, form: Form, truth: _Truth, points: dict[str, np.ndarray], result: Results) -> None:
    before = len(outcome.failures)
    if form.name == "plain":
        outcome.points = sum(reason is None for reason in truth.reasons)
        outcome.skipped = Counter(reason for reason in truth.reasons if reason is not None)
    for k, reason in enumerate(truth.reasons):
        if reason is not None:
            continue
        error = _worst(outcome, form, points, k, "value", result.values[k], truth.values[k])
        outcome.value = max(outcome.value, error)
        for name, expected in truth.gradients.items():
            error = _worst(outcome, form, points, k, f"derivative by {name}", result.gradients[name][k], expected[k])
            outcome.gradient = max(outcome.gradient, error)
    outcome.forms[form.name] = len(outcome.failures) == before


def _worst(outcome: Outcome, form: Form, points, k: int, what: str, found, expected) -> float:
    worst = 0.0
    for a, b in zip(np.ravel(found), np.ravel(expected), strict=True):
        b = b * mpmath.mpf(form.scale)
        error = error_of(float(a), b)
        if error > TOLERANCE:
            outcome.failures.append(f"{form.name}: {what} at {_inputs(points, k)} is {float(a)!r}, not {_short(b)}")
        worst = max(worst, error)
    return worst


def error_of(found: float, expected) -> float:
    """The relative error; 0 within a few units of 5e-324 of a subnormal result; infinite where infinity or nan stands wrongly."""
    if abs(expected) > LARGEST * (1 - TOLERANCE):
        if np.isinf(found):
            return 0.0 if (found > 0) == (expected > 0) else np.inf
        if mpmath.isinf(expected) or abs(expected) > LARGEST * (1 + TOLERANCE):
            return np.inf
    if not np.isfinite(found):
        return np.inf
    difference = abs(mpmath.mpf(found) - expected)
    if abs(expected) < SMALLEST_NORMAL and difference <= UNITS * mpmath.mpf(UNIT):
        return 0.0
    return float(difference / abs(expected)) if expected else np.inf


def _inputs(points: dict[str, np.ndarray], k: int) -> str:
    return ", ".join(f"{name} = {value[k].tolist()}" for name, value in points.items())


def _short(value) -> str:
    return ", ".join(mpmath.nstr(v, 12) for v in np.ravel(value))
