"""T15: the mean of the minibatch bound and gradient over all index sets of a size is the full one, rows chosen by the caller."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import symvi as sv
from symvi.fit.objective import Objective
from symvi.runtime.binding import Binding

RNG = np.random.default_rng(8)
ROWS, BATCH = 6, 2


def normal_regression():
    """Unknown weights and an unknown scale, whose derivative sums a constant over the rows."""
    N, D = sv.dims("N D")
    X, y = sv.data("X", N, D), sv.data("y", N)
    w, log_scale = sv.param("w", D), sv.param("log_scale")
    bound = sv.Normal.dist(X @ w, sv.exp(log_scale)).logp(y).sum() - 0.5 * sv.sum(w**2)
    return bound, N, {}, {"X": RNG.normal(size=(ROWS, 3)), "y": RNG.normal(size=ROWS), "w": RNG.normal(size=3), "log_scale": np.array(0.3)}


def local_parameters():
    """A parameter per row, which travels with its row."""
    N = sv.dim("N")
    y, z, m = sv.data("y", N), sv.param("z", N), sv.param("m")
    bound = -0.5 * sv.sum((y - z) ** 2) - 0.5 * sv.sum((z - m) ** 2) - 0.5 * m**2
    return bound, N, {}, {"y": RNG.normal(size=ROWS), "z": RNG.normal(size=ROWS), "m": np.array(0.4)}


def rows_of_groups():
    """Groups are chosen, and the rows that belong to them come along."""
    N, J = sv.dims("N J")
    g, y, a, s = sv.data("g", N, dtype=sv.index(J)), sv.data("y", N), sv.param("a", J), sv.param("s")
    bound = sv.Normal.dist(a[g], sv.exp(s)).logp(y).sum() - 0.5 * sv.sum(a**2)
    index = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4, 5, 5])
    return bound, J, {"N": index}, {"g": index, "y": RNG.normal(size=11), "a": RNG.normal(size=ROWS), "s": np.array(-0.2)}


@pytest.mark.parametrize("make", [normal_regression, local_parameters, rows_of_groups])
def test_all_index_sets(make):
    bound, dim, owners, values = make()
    full = _run(Objective(bound, "full"), values, {})
    objective = Objective(bound, "batched", batch_size={dim: BATCH})
    subsets = [np.array(rows) for rows in combinations(range(ROWS), BATCH)]
    total = {name: np.zeros_like(array) for name, array in full.items()}
    for chosen in subsets:
        rows = {str(dim): chosen} | {name: np.flatnonzero(np.isin(index, chosen)) for name, index in owners.items()}
        found = _run(objective, values, rows)
        for name, array in found.items():
            total[name][_place(objective, name, rows)] += array / len(subsets)
    for name, array in full.items():
        np.testing.assert_allclose(total[name], array, rtol=1e-11, atol=1e-12, err_msg=name)


def _dims_of(objective: Objective, name: str):
    leaf = next(leaf for leaf in objective.leaves if leaf.name == name.removeprefix("g_"))
    return [str(dim) for dim in leaf.array_shape]


def _place(objective: Objective, name: str, rows: dict):
    """Where the gradient of a batch belongs: a parameter over a batched plate has that of its own rows."""
    if name == "value":
        return ()
    return tuple(rows.get(dim, slice(None)) for dim in _dims_of(objective, name))


def _run(objective: Objective, values: dict, rows: dict) -> dict[str, np.ndarray]:
    """Value and gradients of the kernel on the chosen rows."""
    compiled = objective.compile().compiled
    sizes: dict[str, int] = {}
    inputs: dict[str, np.ndarray] = {}
    for number, entry in compiled.inputs.items():
        leaf = objective.leaves[number]
        if leaf in objective.scales.values():
            inputs[entry["name"]] = np.array(ROWS / BATCH)
            continue
        array = values[leaf.name][tuple(rows.get(str(dim), slice(None)) for dim in leaf.array_shape)]
        if leaf.index_of is not None and str(leaf.index_of) in rows:
            array = np.searchsorted(rows[str(leaf.index_of)], array)
        sizes.update({str(dim): length for dim, length in zip(leaf.array_shape, array.shape, strict=True)})
        inputs[entry["name"]] = np.ascontiguousarray(array).reshape(array.shape)
    full = {str(dim): len(values[leaf.name]) for leaf in objective.leaves if leaf.name in values for dim in leaf.array_shape[:1]}
    binding = Binding(compiled, sizes, inputs, full_sizes=full)
    assert binding.run() == 0
    return {name: array.copy() for name, array in binding.outputs.items()}
