"""The regression examples, against reference posteriors that were not computed here."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def _example(name: str):
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _reference(name: str) -> list[dict[str, str]]:
    with open(ROOT / "tests" / "data" / name, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def radon():
    return _example("radon").main()


def test_logistic_regression_prints_and_is_right(capsys):
    fit = _example("logistic_regression").main()
    printed = capsys.readouterr().out
    assert "569 observations, 31 latents | guide: full rank (auto)" in printed
    assert "w[mean_radius]" in printed and "accuracy" in printed
    rows = _reference("t6_reference.csv")
    mean, sd = (np.array([float(row[f"posterior_{what}"]) for row in rows]) for what in ("mean", "sd"))
    assert fit.verdict == "converged"
    assert np.abs((fit.mean("w") - mean) / sd).max() < 0.1
    assert abs(np.median(fit.sd("w") / sd) - 0.99) < 0.02


def test_radon_agrees_with_the_reference(radon):
    """Means of the county effects and weights. A block per county keeps the effects apart from their scale, which is less certain."""
    reference = {row["name"]: (float(row["mean"]), float(row["sd"])) for row in _reference("radon_reference.csv")}
    effects = [reference[f"county_effect[{j + 1}]"] for j in range(85)]
    mean, sd = np.array(effects).T
    assert radon.verdict == "converged"
    assert np.abs((radon.mean("effect") - mean) / sd).max() < 0.3
    for name, entry in (("mean", "county_effect_mean"), ("noise", "log_radon_scale"), ("spread", "county_effect_scale")):
        mean, sd = reference[entry]
        assert abs(radon.mean(name) - mean) < 0.35 * sd, name
    weights = np.array([reference[f"weight[{k + 1}]"] for k in range(3)])
    assert np.abs((radon.mean("weights") - weights[:, 0]) / weights[:, 1]).max() < 0.2


def test_radon_in_minibatches_of_rows():
    """Minibatched rows reach the same posterior."""
    fit = _example("radon").main(batch_size=229)
    reference = {row["name"]: (float(row["mean"]), float(row["sd"])) for row in _reference("radon_reference.csv")}
    for name, entry in (("mean", "county_effect_mean"), ("noise", "log_radon_scale")):
        mean, sd = reference[entry]
        assert abs(fit.mean(name) - mean) < 0.5 * sd, name
