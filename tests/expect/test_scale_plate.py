"""Minibatch scaling: the mean over all batches is the full bound, for the value and the gradient; what mixes rows is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from symvi.array import functions as f
from symvi.array import linalg
from symvi.array import reductions as r
from symvi.array.creation import arange, eye
from symvi.array.expression import leaf_expr
from symvi.array.leaves import data, index, param
from symvi.array.substitution import leaves_of
from symvi.calculus.reverse import gradients
from symvi.errors import PlateError
from symvi.expect.minibatch import scale_plate
from symvi.expect.plates import find_plates, plate_obstacle
from symvi.expr.dims import dims
from symvi.expr.nodes import Input
from symvi.oracle.interpreter import evaluate
from symvi.stats import supports as s
from symvi.stats.discrete import Bernoulli, Categorical
from symvi.stats.model import Model
from symvi.stats.normal import HalfNormal, MvNormal, Normal
from symvi.vi.elbo import elbo
from symvi.vi.guides import FullRank, MeanField

N, D, J, K = dims("N D J K")
SIZES = {"N": 4, "D": 2, "J": 3, "K": 2}


def logistic():
    X = data("X", N, D)
    w, b = Normal("w", 0, 1, shape=D), Normal("b", 0, 1)
    return elbo(Bernoulli("y", logits=X @ w + b), FullRank(), particles=2)


def local_latents():
    w = Normal("w", 0, 1, shape=(K, D))
    z = Normal("z", 0, 1, shape=(N, K))
    return elbo(Normal("y", z @ w, 0.5), FullRank(), plates=[N])


def groups():
    g = data("g", N, dtype=index(J))
    mu, tau = Normal("mu", 0, 5), HalfNormal("tau", 2.0)
    theta = Normal("theta", mu, tau, shape=J)
    return elbo(Normal("y", theta[g], 1.0), MeanField(), plates=[J], particles=2)


def nested():
    """Rows nested in groups by axes, labels, and a term that is nonlinear in a row."""
    theta = Normal("theta", 0, 1, shape=(J, K))
    logits = theta[:, None, :] * data("x", J, N, 1)
    return elbo(Categorical("y", logits=logits), MeanField(), plates=[J])


def kernels():
    """Every row has a small kernel matrix of its own: batched linear algebra inside a plate."""
    x = data("x", N, K)
    m = Normal("m", 0, 1)
    cov = f.exp(-0.5 * (x[:, :, None] - x[:, None, :]) ** 2) + 0.3 * eye(K)
    return elbo(MvNormal("y", m, covariance=cov, shape=(N, K)), MeanField())


CASES = [(logistic, N), (local_latents, N), (groups, N), (groups, J), (nested, J), (nested, N), (kernels, N)]


def numbers(leaf, rng):
    shape = [dim.size(SIZES) for dim in leaf.shape]
    if leaf.index_of is not None:
        return rng.integers(0, leaf.index_of.size(SIZES), size=shape)
    if leaf.support is not None and leaf.role == "data":
        return rng.integers(0, 2, size=shape).astype(float) if leaf.support == s.boolean else np.abs(rng.normal(size=shape)) + 0.1
    if leaf.support is not None and not leaf.support.is_identity:
        raw = rng.normal(size=[dim.size(SIZES) for dim in leaf.support.unconstrained_shape(leaf.shape)])
        return (
            np.tril(raw, -1) + np.exp(np.tril(raw) * np.eye(raw.shape[-1])) * np.eye(raw.shape[-1])
            if leaf.support.redundant
            else np.exp(raw)
        )
    return rng.normal(size=shape)


@pytest.mark.parametrize("build, plate", CASES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_mean_over_all_batches_is_the_full_bound(build, plate):
    bound = build().term
    factor = data("factor")
    leaves = leaves_of(type(factor)(bound, ()))
    rng = np.random.default_rng(5)
    values = {leaf: numbers(leaf, rng) for leaf in leaves}
    # sizes in the bound are full sizes, also under minibatching: fix them before rows are taken
    params = [Input.make((leaf,), (), leaf=leaf) for leaf in leaves if leaf.role == "param" and not any(d == plate for d in leaf.shape)]
    total = SIZES[str(plate)]
    full = evaluate([with_full_sizes(bound), *gradients(with_full_sizes(bound), params)], values)
    scaled = with_full_sizes(scale_plate(bound, plate, factor.term))
    roots = [scaled, *gradients(scaled, params)]
    sums = None
    batches = list(itertools.combinations(range(total), 2))
    for batch in batches:
        given = {leaf: take(leaf, v, plate, np.array(batch), values) for leaf, v in values.items()}
        out = evaluate(roots, {**given, factor.leaf: np.array(total / 2)}, {**SIZES, str(plate): 2, **row_sizes(given, plate)})
        sums = out if sums is None else [a + b for a, b in zip(sums, out, strict=True)]
    for mean, exact in zip([a / len(batches) for a in sums], full, strict=True):
        assert np.allclose(mean, exact, rtol=1e-10, atol=1e-12)


def with_full_sizes(term):
    """Sizes as the numbers they have for the full data."""
    from symvi.expr.build import constant
    from symvi.expr.nodes import Size, postorder
    from symvi.expr.substitute import substitute

    sizes = {node: constant(node.dim.size(SIZES)) for node in postorder([term]) if isinstance(node, Size)}
    return substitute([term], sizes)[0]


def take(leaf, value, plate, batch, values):
    """The rows of the batch, of every leaf that has the plate; the rows that belong to it; index data renumbered."""
    owner = next((other for other in values if other.index_of == plate), None)
    if owner is not None and plate == J:
        rows = np.flatnonzero(np.isin(values[owner], batch))
        for axis, dim in enumerate(leaf.shape):
            if dim in owner.shape:
                value = np.take(value, rows, axis)
        if leaf is owner:
            return np.searchsorted(batch, value)
    for axis, dim in enumerate(leaf.shape):
        if dim == plate:
            value = np.take(value, batch, axis)
    return value


def row_sizes(given, plate):
    owner = next((leaf for leaf in given if leaf.index_of == plate), None)
    return {str(owner.shape[0]): len(given[owner])} if owner is not None else {}


x, X, a = data("x", N), data("X", N, D), param("a", N)
MIXED = {
    "log of a sum": (f.log(r.sum(x)), "inside log"),
    "square of a sum": (r.sum(x) ** 2, "multiplied"),
    "logsumexp": (r.logsumexp(x), "logsumexp mixes"),
    "maximum": (r.max(x), "max mixes"),
    "shift": (r.sum(x[1:] * x[:-1]), "joint axis|another index"),
    "reversed": (r.sum(f.exp(x) * x[::-1]), "another index"),
    "centred": (r.sum((x - r.mean(x)) ** 2), "inside the expression of one row"),
    "kernel": (linalg.logdet(f.exp(x[:, None] * x)), "logdet mixes"),
    "quadratic form": (x @ f.exp(x[:, None] * x) @ x, "inside the expression of one row"),
    "one row": (x[0] * 2, "not a row's own"),
    "cumulative sum": (r.cumsum(x).sum(), "cumsum mixes"),
    "plain gather": (r.sum(x[data("h", K, dtype=int)]), "another index|not a row's own"),
    "position": (r.sum(x * f.exp(-1.0 * arange(N))), "position"),
    "nested": (r.sum(f.softplus(X @ (X.T @ x))), "inside the expression"),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_rows_is_refused_by_name(name):
    expression, message = MIXED[name]
    with pytest.raises(PlateError, match=f"^N cannot be minibatched: .*({message}).*test_scale_plate.py:\\d+"):
        scale_plate(expression.term, N, data("factor").term)


def test_terms_without_the_plate_stay_and_full_sizes_too():
    factor = data("factor")
    bound = r.mean(x) + f.exp(data("c")) * r.sum(a) + f.log(r.sum(data("v", D))) + N * 2.0
    scaled = leaf_expr(factor.leaf)
    scaled = type(scaled)(scale_plate(bound.term, N, factor.term), ())
    expected = factor * r.mean(x) + factor * f.exp(next(q for q in bound.free_symbols if q.name == "c")) * r.sum(a)
    difference = scaled - expected
    assert {q.name for q in difference.free_symbols} == {"v"}


def test_a_joint_guide_that_crosses_the_plate_is_named():
    g = data("g", N, dtype=index(J))
    theta = Normal("theta", Normal("mu"), 1.0, shape=J)
    bound = elbo(Normal("y", theta[g], 1.0), FullRank())
    scale_plate(bound.term, N, data("factor").term)
    with pytest.raises(PlateError, match="joint axis J \\+ 1"):
        scale_plate(bound.term, J, data("factor").term)


def test_plates_of_models():
    X = data("X", N, D)
    w = Normal("w", 0, 1, shape=D)
    model = Model(Bernoulli("y", logits=X @ w))
    assert find_plates(model) == {N}
    assert find_plates(model, among=[D]) == set()
    assert "softplus" in plate_obstacle(model, D) and "test_scale_plate.py" in plate_obstacle(model, D)
    g = data("g", N, dtype=index(J))
    theta = Normal("theta", Normal("mu"), HalfNormal("tau"), shape=J)
    assert find_plates(Model(Normal("y", theta[g], 1.0))) == {N, J}
    loose = data("loose", N, dtype=int)
    assert find_plates(Model(Normal("y", theta[loose], 1.0))) == {N}, "an index that is not declared is no membership"
    gp = Model(MvNormal("y", 0, covariance=f.exp(-((x[:, None] - x) ** 2)) + eye(N)))
    assert find_plates(gp) == set()
