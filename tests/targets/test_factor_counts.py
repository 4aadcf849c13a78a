"""The log-density of a Gaussian process and its gradient: one Cholesky factor, one inverse, whatever the spelling. Counted at run time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from symvi.array.expression import array_of
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, lower_request
from symvi.plan.program import OperatorCall

ROOT = Path(__file__).resolve().parents[2]
COUNTED = ("inverse_and_determinant", "cholesky_and_two_solves")
SMALL = 16  # up to this order the factors are loops, and LAPACK is not called


@pytest.fixture(scope="module")
def rows():
    """One row per spelling and size, counted in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.gaussian_process_counts", "--json", *COUNTED, "two_matrices"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of(rows, spelling):
    return [row for row in rows if row["spelling"] == spelling]


@pytest.mark.parametrize("spelling", COUNTED)
def test_one_cholesky_factor_one_inverse_no_lu(rows, spelling):
    for row in of(rows, spelling):
        kinds = row["kinds"]
        assert kinds["cholesky"] == 1 and kinds["inverse"] == 1 and "lu" not in kinds, row
        assert 2 <= kinds["triangular solve"] <= 4, row
        if row["rows"] > SMALL:
            assert row["symbols"] == {"potrf": 1, "potri": 1, "trsv": 2}, row
        else:
            assert not row["symbols"], row


def test_two_matrices_count_two_factors(rows):
    """Planted: what cannot be shared counts twice, so the counter sees every call."""
    for row in of(rows, "two_matrices"):
        assert row["kinds"]["cholesky"] == 2 and row["kinds"]["triangular solve"] > 4, row
    assert of(rows, "two_matrices")[0]["symbols"]["potrf"] == 2


def test_both_have_the_same_value_and_gradients(rows):
    for first, second in zip(*(of(rows, spelling) for spelling in COUNTED), strict=True):
        assert second["value"] == pytest.approx(first["value"], rel=1e-12)
        for name, gradient in first["gradients"].items():
            assert np.allclose(second["gradients"][name], gradient, rtol=1e-10), name


def test_every_spelling_is_planned_with_the_same_calls():
    """What is counted for two spellings holds for all of them."""
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.gaussian_process_counts import PLANTED, SPELLINGS, Process
    finally:
        sys.path.remove(str(ROOT))
    planned = {}
    for spelling in (*SPELLINGS, *PLANTED):
        process = Process()
        parameters = [array_of(p) for p in (process.variance, process.noise, process.lengthscales)]
        _, plan = lower_request(Request([output_of("value", spelling(process))], parameters))
        planned[spelling.__name__] = [step.helper for step in plan.steps if isinstance(step, OperatorCall)]
    assert len(SPELLINGS) == 5
    for spelling in SPELLINGS:
        assert planned[spelling.__name__] == ["cholesky", "factored_inverse", "factored_logdet", "factored_solve"]
    assert planned["two_matrices"].count("cholesky") == 2
