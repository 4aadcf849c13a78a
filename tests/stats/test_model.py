"""`Model`: what it collects, its joint density, observed and latent, and the errors about names."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.stats as st

from symvi.array.expression import array_of
from symvi.array.leaves import data, param
from symvi.array.substitution import rename
from symvi.errors import DataError, ModelError, NameClashError, SymviWarning
from symvi.expr.dims import dims
from symvi.oracle.interpreter import evaluate_one
from symvi.stats.discrete import Bernoulli
from symvi.stats.model import Model
from symvi.stats.named import deterministic, factor
from symvi.stats.normal import HalfNormal, Normal

N, D, J = dims("N D J")


def value(expression, values):
    return evaluate_one(array_of(expression), {leaf.leaf: v for leaf, v in values.items()})


def hierarchy():
    mu, tau = Normal("mu", 0, 5), HalfNormal("tau", 2)
    z = Normal("z", 0, 1, shape=J)
    theta = deterministic("theta", mu + tau * z)
    y = Normal("y", theta, data("sigma", J))
    return Model(y)


def test_it_collects_what_the_roots_reach():
    model = hierarchy()
    assert list(model.variables) == ["mu", "tau", "z", "y"]
    assert list(model.deterministics) == ["theta"] and list(model.data) == ["sigma"]
    assert model["theta"].shape == (J,)


def test_a_deterministic_inside_a_longer_expression_is_found():
    a = Normal("a")
    b = deterministic("b", 2 * a)
    assert list(Model(Normal("y", b + 1, 1)).deterministics) == ["b"]
    other = Normal("other")
    deterministic("c", a + other)
    assert list(Model(Normal("y", b + 1, 1)).deterministics) == ["b"], "it reads a variable that the model lacks"


def test_joint_density():
    model = hierarchy()
    v = {"mu": 0.3, "tau": 1.2, "z": np.array([0.1, -0.4]), "y": np.array([1.0, 2.0]), "sigma": np.array([0.5, 0.6])}
    leaves = {**model.variables, "sigma": next(x for x in model.logp.free_symbols if x.name == "sigma")}
    out = value(model.logp, {leaves[name]: np.asarray(x) for name, x in v.items()})
    theta = v["mu"] + v["tau"] * v["z"]
    expected = st.norm(0, 5).logpdf(v["mu"]) + st.halfnorm(scale=2).logpdf(v["tau"]) + st.norm.logpdf(v["z"]).sum()
    assert np.isclose(out, expected + st.norm(theta, v["sigma"]).logpdf(v["y"]).sum())
    partial = model.log_density({"mu": 0.3, "tau": 1.2})
    assert {x.name for x in partial.free_symbols} == {"z", "y", "sigma"}
    rest = {leaves[name]: v[name] for name in ("z", "y", "sigma")}
    assert np.isclose(value(partial, rest), out)


def test_factors():
    w = Normal("w", 0, 1, shape=D)
    penalty = factor("penalty", -(w**4))
    assert np.isclose(value(Model(w, penalty).logp, {w: np.array([1.0, 2.0])}), st.norm.logpdf([1, 2]).sum() - 17)
    with pytest.warns(SymviWarning, match="penalty.*not a root"):
        Model(w)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model(w, penalty)


def test_track():
    w = Normal("w")
    assert set(Model(w, track={"twice": 2 * w}).deterministics) == {"twice"}
    with pytest.raises(ModelError, match="needs a name"):
        Model(w, track=[w * 2])


def test_name_clashes_name_both_lines():
    a = Normal("a")
    with pytest.raises(NameClashError, match=r"'a'.*test_model.py:\d+.*test_model.py:\d+"):
        Model(Normal("y", a + Normal("a"), 1))
    with pytest.raises(NameClashError, match="'X'"):
        Model(Normal("y", data("X") + Normal("X"), 1))
    with pytest.raises(NameClashError, match="'s'"):
        Model(Normal("y", param("s") + param("s"), 1))
    b = Normal("b")
    deterministic("f", b + 1)
    deterministic("f", b + 2)
    with pytest.raises(NameClashError, match="'f'"):
        Model(Normal("y", b, 1))


def test_split_and_its_errors():
    X = data("X", N, D)
    w = Normal("w", 0, 1, shape=D)
    y = Bernoulli("y", logits=X @ w)
    model = Model(y)
    observed, latent = model.split([X, "y"])
    assert list(observed) == ["y"] and list(latent) == ["w"]
    for keys, message in [
        (["X", "yy"], "yy.*did you mean 'y'"),
        (["Xs", "y"], "Xs.*did you mean 'X'"),
        (["X"], "root 'y'.*no data.*X"),
        (["y"], "reads the data 'X'.*test_model.py"),
        ([data("X", N, D), y], "another leaf of that name"),
    ]:
        with pytest.raises(DataError, match=message):
            model.split(keys)
    with pytest.raises(DataError, match="not a random variable"):
        model.variable("z")
    with pytest.raises(NameClashError, match="did you mean 'w'"):
        model["ww"]


def test_roots_are_variables():
    with pytest.raises(ModelError, match="roots"):
        Model(data("X", N) * 2)
    with pytest.raises(ModelError, match="at least one"):
        Model()


def test_a_renamed_block_has_variables_of_its_own():
    model = hierarchy()
    y = model.variables["y"]
    copy = Model(rename(y, prefix="b."))
    assert list(copy.variables) == ["b.mu", "b.tau", "b.z", "b.y"] and list(copy.data) == ["sigma"]
    assert not {v.leaf for v in copy.variables.values()} & {v.leaf for v in model.variables.values()}
    Model(y, *copy.roots)


def test_observed_variables_have_one_data_twin():
    model = hierarchy()
    y = model.variables["y"]
    twins = model.twins([y])
    assert twins[y].leaf.role == "data" and twins[y].name == "y"
    assert model.twins([y])[y] == twins[y]
