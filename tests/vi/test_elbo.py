"""The bound against closed forms and against itself: draws one by one, closed forms against draws, landing gradients."""

from __future__ import annotations

import numpy as np
import pytest

from symvi.array import functions as f
from symvi.array import linalg
from symvi.array.creation import eye
from symvi.array.expression import Expr, array_of, leaf_expr
from symvi.array.leaves import data, index, param
from symvi.array.substitution import leaves_of
from symvi.calculus.reverse import gradients
from symvi.errors import ModelError, SymviWarning
from symvi.expr.dims import dims
from symvi.oracle.interpreter import evaluate, evaluate_one
from symvi.stats import supports as s
from symvi.stats.continuous import Exponential, Flat, Gamma, HalfCauchy, Uniform
from symvi.stats.discrete import Bernoulli, Categorical, Poisson
from symvi.stats.model import Model
from symvi.stats.named import factor
from symvi.stats.normal import HalfNormal, LogNormal, MvNormal, Normal
from symvi.vi.elbo import elbo
from symvi.vi.guides import Delta, FullRank, LowRank, MeanField, Mode, Prior

N, D, J, K, S = dims("N D J K S")
SIZES = {"N": 4, "D": 2, "J": 3, "K": 3}


def shape_of(leaf, sizes):
    return [axis.size(sizes) for axis in leaf.shape]


def numbers(leaf, rng, sizes):
    """Values for a leaf of a bound: parameters and coordinates in their supports, noise of its kind, data in range."""
    shape = shape_of(leaf, sizes)
    if leaf.index_of is not None:
        return rng.integers(0, leaf.index_of.size(sizes), size=shape)
    if leaf.noise_kind in ("uniform", "exponential"):
        return rng.random(shape) if leaf.noise_kind == "uniform" else rng.standard_exponential(shape)
    support = leaf.support
    if support is not None and support.discrete:
        return rng.integers(0, 2, size=shape).astype(float)
    if support is not None and not support.is_identity:
        raw = data("raw", *[int(axis.size(sizes)) for axis in support.unconstrained_shape(leaf.shape)])
        image = evaluate_one(array_of(support.forward(raw)), {raw.leaf: 0.5 * rng.normal(size=shape_of(raw.leaf, {}))})
        return image.reshape(shape)
    return rng.normal(size=shape)


def value(expression, values, sizes=None):
    return float(evaluate_one(array_of(expression), values, sizes))


# ------------------------------------------------------------------------------------------------------- exact answers
def test_conjugate_normal_is_log_evidence_at_the_posterior():
    """T1: x ~ N(0, 1), y ~ N(x, 0.5), y = 10: posterior N(8, 0.447214), log Z = -41.030510."""
    x = Normal("x", 0, 1)
    y = Normal("y", x, 0.5)
    m, sd = param("m"), param("sd", support=s.positive)
    posterior = {m: 8.0, sd: np.sqrt(0.2)}
    antithetic = np.array([1.0, -1.0])  # two draws whose first two moments are exact: quadratic factors are exact
    for options in ({}, {"closed": False}, {"entropy": "stick"}):
        bound = elbo(y, {x: Normal("q", m, sd)}, particles=2, **options)
        given = {leaf: {"m": 8.0, "sd": posterior[sd], "y": 10.0, "eps_x": antithetic}[leaf.name] for leaf in leaves_of(bound)}
        assert np.isclose(value(bound, given), -41.030510, atol=1e-6), options
    for guide in (MeanField(), FullRank(), LowRank(1)):
        bound = elbo(y, guide, particles=2, reference=True)
        settings = {
            "x_loc": 0.0,
            "x_scale": 1.0,
            "x_scale_tril": 1.0,
            "x_center": 8.0,
            "x_unit": np.sqrt(0.2),
            "x_factor": 0.0,
            "y": 10.0,
            "eps_x": antithetic,
            "eta_x": antithetic,
        }
        given = {leaf: np.full(shape_of(leaf, {}), 0.0) + np.reshape(settings[leaf.name], shape_of(leaf, {})) for leaf in leaves_of(bound)}
        assert np.isclose(value(bound, given), -41.030510, atol=1e-6), guide


def test_linear_regression_full_rank_is_exact():
    """The bound at the exact posterior of a Gaussian linear model is the log evidence."""
    rng = np.random.default_rng(0)
    X_, y_ = rng.normal(size=(5, 2)), rng.normal(size=5)
    X = data("X", N, D)
    w = Normal("w", 0, 2.0, shape=D)
    y = Normal("y", X @ w, 0.7)
    precision = X_.T @ X_ / 0.49 + np.eye(2) / 4
    covariance = np.linalg.inv(precision)
    mean = covariance @ X_.T @ y_ / 0.49
    evidence_cov = 4 * X_ @ X_.T + 0.49 * np.eye(5)
    evidence = -0.5 * (y_ @ np.linalg.solve(evidence_cov, y_) + np.linalg.slogdet(evidence_cov)[1] + 5 * np.log(2 * np.pi))
    tril = np.linalg.cholesky(covariance)
    moments = np.sqrt(2) * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # four draws with exact first two moments
    bound = elbo(y, FullRank(), particles=4)
    given = {leaf: {"X": X_, "y": y_, "w_loc": mean, "w_scale_tril": tril, "eps_w": moments}[leaf.name] for leaf in leaves_of(bound)}
    assert np.isclose(value(bound, given), evidence)
    # the landing gradient is 0 draw by draw at the optimum of a family that holds the posterior (T3)
    landing = elbo(y, FullRank(), particles=3, entropy="stick")
    draws = rng.normal(size=(3, 2))
    given = {leaf: {"X": X_, "y": y_, "w_loc": mean, "w_scale_tril": tril, "eps_w": draws}[leaf.name] for leaf in leaves_of(landing)}
    params = [leaf_term(leaf) for leaf in leaves_of(landing) if leaf.role == "param"]
    for gradient, leaf in zip(evaluate(gradients(landing.term, params), given), params, strict=True):
        gradient = np.tril(gradient) if gradient.ndim == 2 else gradient
        assert np.abs(gradient).max() < 1e-10, leaf.name
    assert np.isclose(value(landing, given), evidence)


def leaf_term(leaf):
    return leaf_expr(leaf).term.array


# ------------------------------------------------------------------------------------------------ models of many kinds
def logistic():
    w, b = Normal("w", 0, 1, shape=D), Normal("b", 0, 2)
    return Bernoulli("y", logits=data("X", N, D) @ w + b)


def scales():
    a, b, c, d = HalfNormal("a", 2.0), LogNormal("b", 0.1, 0.5), Gamma("c", 2.0, rate=1.5), Exponential("d", rate=0.7)
    return Normal("y", a - b, c + d, shape=N)


def hierarchy():
    g = data("g", N, dtype=index(J))
    mu, tau = Normal("mu", 0, 5), HalfCauchy("tau", 2.0)
    return Normal("y", Normal("theta", mu, tau, shape=J)[g], 1.0)


def shapes():
    """Matrices, simplices, ordered values and intervals with a latent bound among the latents."""
    W = Normal("W", 0, 1, shape=(D, K))
    p = Flat("p", shape=K, support=s.simplex)
    o = Normal("o", 0, 2, shape=K, support=s.ordered)
    top = LogNormal("top", 0.0, 0.3)
    u = Uniform("u", 0, top)
    return Categorical("y", logits=data("X", N, D) @ W + f.log(p) + o * u)


def process():
    """A Gaussian process: linear algebra on a matrix that depends on a latent."""
    x = data("x", N)
    length = LogNormal("length", 0, 1)
    kernel = f.exp(-0.5 * ((x[:, None] - x) / length) ** 2) + 0.1 * eye(N)
    z = MvNormal("z", 0, covariance=kernel)
    return Poisson("y", log_rate=z)


def inverse_typed():
    x = data("x", N)
    length = LogNormal("length", 0, 1)
    kernel = f.exp(-0.5 * ((x[:, None] - x) / length) ** 2) + 0.1 * eye(N)
    y = data("y0", N)
    w = Normal("w", 0, 1)
    return [factor("fit", -0.5 * y @ linalg.inv(kernel) @ y - 0.5 * f.log(linalg.det(kernel)) + w), Normal("v", w, 1.0)]


def joint_prior():
    K0 = data("K0", D, D, dtype=float)
    return Normal("y", data("X", N, D) @ MvNormal("w", 0.3, covariance=linalg.assume(K0 @ K0.T + eye(D), s.spd)), 1.0)


MODELS = [logistic, scales, hierarchy, shapes, process, inverse_typed, joint_prior]
GUIDES = {"mean field": MeanField, "full rank": FullRank, "low rank": lambda: LowRank(2)}


def build(make, **options):
    root = make()
    return elbo(Model(*root) if isinstance(root, list) else root, **options)


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("make", MODELS, ids=lambda m: m.__name__)
def test_several_draws_are_the_average_of_single_ones(make, guide):
    """The particle axis passes through every kind of node: the bound with S draws is the mean of S bounds with one."""
    rng = np.random.default_rng(2)
    several = build(make, guide=GUIDES[guide](), particles=S, reference=True, plates=[J])
    single = build(make, guide=GUIDES[guide](), particles=1, reference=True, plates=[J])
    sizes = {**SIZES, "S": 3}
    given = {leaf: numbers(leaf, rng, sizes) for leaf in leaves_of(several)}
    by_name = {leaf.name: v for leaf, v in given.items()}
    parts = []
    for k in range(3):
        each = {leaf: by_name[leaf.name][k] if leaf.role == "noise" else by_name[leaf.name] for leaf in leaves_of(single)}
        parts.append(value(single, each, SIZES))
    assert np.isfinite(parts).all()
    assert np.isclose(value(several, given, sizes), np.mean(parts), rtol=1e-9)


def non_centred():
    g = data("g", N, dtype=index(J))
    mu, tau, z = Normal("mu", 0, 5), LogNormal("tau", 0, 0.3), Normal("z", 0, 1, shape=J)
    return Normal("y", (mu + tau * z)[g], 1.0)


def factors():
    """Loadings are points, scores are local: affine in the scores given the loadings."""
    return Normal("y", Normal("z", 0, 1, shape=(N, K)) @ param("W", K, D, init=0.0) + Normal("b", 0, 1), HalfNormal("sd"))


CLOSED = [logistic, scales, hierarchy, joint_prior, non_centred, factors]


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("make", CLOSED, ids=lambda m: m.__name__)
def test_closed_forms_agree_with_draws(make, guide):
    """Term by term, to five standard errors of the mean over draws."""
    rng = np.random.default_rng(4)
    sizes = {**SIZES, "S": 4000}
    options = {"guide": GUIDES[guide](), "particles": S, "reference": True, "plates": [J, N]}
    closed, drawn = build(make, **options), build(make, closed=False, **options)
    assert any("closed form" in entry.how for entry in closed.resolution if entry.part == "prior")
    base = {leaf.name: numbers(leaf, rng, sizes) for leaf in leaves_of(drawn)}
    for leaf in leaves_of(drawn):  # narrow guides: the averages over draws have finite variances
        if leaf.role == "param" or leaf.name.endswith(("_unit", "_center")):
            base[leaf.name] = 0.3 * base[leaf.name]
    repeats = []
    for _ in range(8):
        for leaf in leaves_of(drawn):
            if leaf.role == "noise":
                base[leaf.name] = numbers(leaf, rng, sizes)
        both = [
            [value(bound.terms[k], {leaf: base[leaf.name] for leaf in leaves_of(bound.terms[k])}, sizes) for k in drawn.terms]
            for bound in (closed, drawn)
        ]
        repeats.append(both)
    (a, b), (a_sd, b_sd) = np.mean(repeats, axis=0), np.std(repeats, axis=0)
    assert (np.abs(a - b) <= 5 * np.hypot(a_sd, b_sd) / np.sqrt(7) + 1e-9 * np.abs(a)).all(), dict(zip(drawn.terms, zip(a, b)))


def test_affine_likelihoods_need_no_draws():
    how = lambda make, **options: {e.name: e.how for e in build(make, **options).resolution if e.part == "likelihood"}["y"]  # noqa: E731
    assert how(hierarchy, guide=MeanField()) == "closed form"
    assert how(non_centred, guide=MeanField()) == "closed form given draws of tau"
    assert how(factors, guide=FullRank(), plates=[N]) == "1 draw", "b and sd share a block"
    bound = build(joint_prior, guide=FullRank())
    assert "D times the work of a draw" in next(e.rejected[0] for e in bound.resolution if e.part == "likelihood")
    assert how(joint_prior, guide=MeanField()) == "closed form"


def test_a_prior_that_reads_its_own_block_is_taken_by_draws():
    bound = build(hierarchy, guide=FullRank())
    entry = next(entry for entry in bound.resolution if entry.name == "theta")
    assert entry.how == "1 draw" and "mu is not independent of theta" in entry.rejected[0]
    bound = build(hierarchy, guide=FullRank(), plates=[J])
    entry = next(entry for entry in bound.resolution if entry.name == "theta")
    assert entry.how == "closed form given draws of mu, tau"


def test_the_account_of_a_bound():
    bound = build(logistic, guide=FullRank(), particles=4)
    assert bound.describe() == "KL: closed form, likelihood: 4 draws"
    assert set(bound.terms) == {"w", "b", "y", "entropy of q"}
    assert sum(bound.terms.values()) == Expr(bound.term, bound.axes)
    assert [str(entry) for entry in bound.resolution][0] == "prior of w: closed form"
    assert bound.approximation.report() == ["q: full rank, D + 1 dims (w, b)"]


def test_landing_needs_no_closed_form_to_be_unbiased():
    """The value of the landing bound is a Monte Carlo estimate of the same bound."""
    rng = np.random.default_rng(8)
    sizes = {**SIZES, "S": 20000}
    for guide in (MeanField(), FullRank()):
        bounds = [build(logistic, guide=guide, particles=S, entropy=how, reference=True) for how in ("closed", "stick")]
        base = {leaf.name: numbers(leaf, rng, sizes) for leaf in leaves_of(bounds[0])}
        out = [value(b, {leaf: base[leaf.name] for leaf in leaves_of(b)}, sizes) for b in bounds]
        assert np.isclose(*out, rtol=0.02), guide


# ------------------------------------------------------------------------------------------------------- other guides
def test_delta_is_the_joint_density_at_the_point():
    rng = np.random.default_rng(1)
    root = scales()
    bound = elbo(root, Delta())
    model = bound.model
    by_name = {leaf.name: numbers(leaf, rng, SIZES) for leaf in leaves_of(bound)}
    given = {leaf: by_name[leaf.name] for leaf in leaves_of(bound)}
    joint = {leaf: by_name.get(leaf.name, by_name.get(f"{leaf.name}_point")) for leaf in leaves_of(model.logp)}
    assert np.isclose(value(bound, given, SIZES), value(model.logp, joint, SIZES))
    assert bound.describe() == "KL: at the point, likelihood: at the point"
    elbo(shapes(), Delta())


def test_prior_cancels():
    root = hierarchy()
    model = Model(root)
    theta = model.variables["theta"]
    bound = elbo(model, {theta: Prior()}, particles=2)
    assert "theta" not in bound.terms and any(entry.how == "cancels" for entry in bound.resolution)
    rng = np.random.default_rng(3)
    sizes = {**SIZES, "S": 2}
    by_name = {leaf.name: numbers(leaf, rng, sizes) for leaf in leaves_of(bound)}
    likelihood = value(bound.terms["y"], {leaf: by_name[leaf.name] for leaf in leaves_of(bound.terms["y"])}, sizes)
    q, e = by_name["q_loc"], by_name["eps_q"] @ by_name["q_scale_tril"].T
    mu, tau = q[0] + e[:, 0], np.exp(q[1] + e[:, 1])
    drawn = mu[:, None] + tau[:, None] * by_name["eps_theta"]
    residual = by_name["y"] - drawn[:, by_name["g"]]
    assert np.isclose(likelihood, (-0.5 * residual**2 - 0.5 * np.log(2 * np.pi)).sum(1).mean())
    with pytest.raises(ModelError, match="Gamma has no draw"):
        elbo(scales(), {"c": Prior()})


def test_guides_written_as_variables():
    """An amortised guide whose parameters read data and another latent."""
    X = data("X", N, D)
    mu = Normal("mu", 0, 1)
    z = Normal("z", mu, 1, shape=N)
    y = Normal("y", z, 0.3)
    W = param("W", D, init=0.0)
    bound = elbo(y, {mu: Normal("q_mu", param("m"), 0.5), z: Normal("q_z", X @ W + 0.1 * mu + 0.2 * y, 0.4)}, particles=S)
    how = {entry.name: entry.how for entry in bound.resolution if entry.part != "entropy"}
    assert how["z"] == "closed form given draws of mu", "z given mu is Normal, whatever q(z) reads"
    assert how["y"] == "closed form"
    rng = np.random.default_rng(6)
    sizes = {**SIZES, "S": 40000}
    v = {leaf.name: numbers(leaf, rng, sizes) for leaf in leaves_of(bound)}
    v["eps_z"] = rng.normal(size=(40000, SIZES["N"]))
    out = value(bound, {leaf: v[leaf.name] for leaf in leaves_of(bound)}, sizes)
    mu_ = v["m"] + 0.5 * v["eps_mu"]
    loc = (v["X"] @ v["W"])[None] + 0.1 * mu_[:, None] + 0.2 * v["y"]
    z_ = loc + 0.4 * v["eps_z"]
    normal = lambda x, m, s_: -0.5 * ((x - m) / s_) ** 2 - np.log(s_) - 0.5 * np.log(2 * np.pi)  # noqa: E731
    total = (
        normal(mu_, 0, 1) - normal(mu_, v["m"], 0.5) + (normal(z_, mu_[:, None], 1) - normal(z_, loc, 0.4) + normal(v["y"], z_, 0.3)).sum(1)
    )
    assert abs(out - total.mean()) < 5 * total.std() / 200
    # one guide variable may read another: it stands for the draw of its latent
    q_mu = Normal("q_mu", param("m"), 0.5)
    elbo(y, {mu: q_mu, z: Normal("q_z", q_mu, 0.4, shape=N)})


def test_the_landing_of_written_guides():
    x = Normal("x", 0, 1)
    y = Normal("y", x, 0.5)
    m, sd = param("m"), param("sd", support=s.positive)
    bound = elbo(y, {x: Normal("q", m, sd)}, particles=3, entropy="stick")
    given = {leaf: {"m": 8.0, "sd": np.sqrt(0.2), "y": 10.0, "eps_x": np.array([0.3, -1.2, 2.0])}[leaf.name] for leaf in leaves_of(bound)}
    for gradient in evaluate(gradients(bound.term, [m.term.array, sd.term.array]), given):
        assert abs(gradient) < 1e-9


def test_errors_of_guides():
    root = hierarchy()
    model = Model(root)
    mu, theta = model.variables["mu"], model.variables["theta"]
    for guide, message in [
        ("mean_field", "did you mean 'meanfield'"),
        ({root: MeanField()}, "observed"),
        ({mu: Normal("q", 0, 1, shape=J)}, "dims"),
        ({"tau": Normal("q", 0, 1)}, "lives on real.*nonnegative"),
        ({(mu, theta): Normal("q")}, "FullRank"),
        ({mu: Normal("q", Normal("stranger"), 1)}, "stranger.*does not have"),
        ({mu: Normal("q_mu", theta[0], 1), theta: Normal("q_theta", mu, 1, shape=J)}, "circle"),
    ]:
        with pytest.raises(ModelError, match=message):
            elbo(model, guide)
    with pytest.raises(ModelError, match="'k'.*discrete"):
        k = Categorical("k", probs=[0.5, 0.5])
        elbo(Normal("y", data("c", 2)[k], 1.0), MeanField())
    with pytest.raises(ModelError, match="no Gaussian guide"):
        elbo(Normal("y", Flat("L", shape=(D, D), support=s.lower_cholesky).sum(), 1.0))


def test_names_do_not_clash():
    w = Normal("w", 0, 1)
    w_loc = Normal("w_loc", w, 1)
    names = [leaf.name for leaf in leaves_of(elbo(Normal("y", w_loc, 1), MeanField()))]
    assert len(names) == len(set(names))


def test_missing_entries_are_left_out():
    x = Normal("x", 0, 1)
    y = Normal("y", x, 0.5, shape=N)
    rng = np.random.default_rng(0)
    bound = elbo(y, MeanField(), missing=[y])
    by_name = {leaf.name: numbers(leaf, rng, SIZES) for leaf in leaves_of(bound)}
    by_name["y"][1] = np.nan
    given = {leaf: by_name[leaf.name] for leaf in leaves_of(bound)}
    kept = elbo(y, MeanField())
    fewer = {leaf: np.delete(by_name["y"], 1) if leaf.name == "y" else by_name[leaf.name] for leaf in leaves_of(kept)}
    assert np.isclose(value(bound, given), value(kept, fewer))
    grads = evaluate(gradients(bound.term, [leaf_term(leaf) for leaf in given if leaf.role == "param"]), given)
    assert all(np.isfinite(g) for g in grads)
    c = Categorical("c", logits=Normal("l", 0, 1, shape=(N, 3)))
    masked = elbo(c, MeanField(), missing=["c"])
    values = {leaf: numbers(leaf, rng, SIZES) for leaf in leaves_of(masked)}
    label = next(leaf for leaf in values if leaf.name == "c")
    values[label] = np.array([0, -1, 2, 1])
    assert np.isfinite(value(masked, values))


def test_a_jump_in_a_latent_is_not_silent():
    t = data("t", N)
    switch = Normal("switch", 0, 1)
    with pytest.warns(SymviWarning, match="test_elbo.py"):
        elbo(Normal("y", f.where(t > switch, 1.0, 2.0), 1.0), MeanField())


@pytest.mark.parametrize("make", [scales, shapes, hierarchy, factors], ids=lambda m: m.__name__)
def test_the_mode_lives_in_the_coordinates_of_the_guides(make):
    """At zero noise, without entropy, a Gaussian guide is the mode's objective at its location."""
    rng = np.random.default_rng(0)
    for mode, guide in ((Mode(), FullRank()), (Mode(joint=False), MeanField())):
        at_mode = build(make, guide=mode, plates=[N])
        drawn = build(make, guide=guide, closed=False, plates=[N])
        v = {leaf.name: numbers(leaf, rng, SIZES) for leaf in leaves_of(drawn)}
        v.update({name.replace("_loc", "_mode"): x for name, x in v.items() if name.endswith("_loc")})
        v.update({name: 0 * x for name, x in v.items() if name.startswith("eps_")})
        terms = [term for name, term in drawn.terms.items() if not name.startswith("entropy")]
        total = sum(value(term, {leaf: v[leaf.name] for leaf in leaves_of(term)}, SIZES) for term in terms)
        assert np.isclose(value(at_mode, {leaf: v[leaf.name] for leaf in leaves_of(at_mode)}, SIZES), total)
    block = build(shapes, guide=Mode()).approximation.blocks[0]
    assert [str(offset) for offset, _ in block.places.values()][:2] == ["0", "D*K"]


def test_reference_defaults():
    bound = build(logistic, guide=FullRank(), reference=True)
    made = {leaf.name: default([axis.size(SIZES) for axis in leaf.shape]) for leaf, default in bound.approximation.reference.items()}
    assert np.array_equal(made["q_center"], np.zeros(3)) and np.array_equal(made["q_unit"], np.eye(3))
