"""symvi: write a model and a bound as on paper; get its gradients, made stable, as a readable Numba module that trains.

    import symvi as sv

    w = sv.Normal("w", 0, 1, shape=D)
    y = sv.Bernoulli("y", logits=X @ w)
    fit = sv.fit(y, {X: Xv, y: yv})
"""

from __future__ import annotations

from symvi import optim, rewrite
from symvi import rules as _rules  # noqa: F401 - registers the catalogue
from symvi.array import initialisers as init
from symvi.array import linalg
from symvi.array.assumptions import assume, lower, orthogonal, psd, symmetric, upper
from symvi.array.creation import *  # noqa: F403
from symvi.array.expression import Expr
from symvi.array.functions import *  # noqa: F403
from symvi.array.functions import stop_gradient, surrogate
from symvi.array.indexing import *  # noqa: F403
from symvi.array.leaves import IndexOf, data, index, noise, param, shared
from symvi.array.linalg import block_diag
from symvi.array.products import *  # noqa: F403
from symvi.array.reductions import *  # noqa: F403
from symvi.array.substitution import rename
from symvi.array.sympy_bridge import from_sympy, to_sympy
from symvi.calculus.derivatives import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from symvi.errors import *  # noqa: F403
from symvi.expect.divergence import entropy, kl
from symvi.expect.expectation import expect
from symvi.expr.dims import Dim, dim, dims
from symvi.expr.printing import latex, pprint
from symvi.fit.check_grad import check_grad
from symvi.fit.compile import Kernel, compile
from symvi.fit.fitting import fit
from symvi.fit.function import function
from symvi.fit.maximize import Optimum, maximize, minimize
from symvi.fit.result import Fit
from symvi.fit.storage import SavedFit, load
from symvi.oracle import user_rules as _user_rules  # noqa: F401 - rules of users are tested
from symvi.report.graph import plot_graph
from symvi.runtime.threads import get_threads, set_threads
from symvi.stats.continuous import *  # noqa: F403
from symvi.stats.discrete import *  # noqa: F403
from symvi.stats.model import Model
from symvi.stats.named import deterministic, factor
from symvi.stats.normal import *  # noqa: F403
from symvi.stats.random_variable import RandomVariable
from symvi.stats.supports import (
    boolean,
    category,
    greater_than,
    interval,
    less_than,
    lower_cholesky,
    nonnegative,
    nonnegative_integer,
    ordered,
    positive,
    real,
    simplex,
    spd,
    unit_interval,
)
from symvi.vi.elbo import elbo
from symvi.vi.guides import Delta, FullRank, Guide, LowRank, MeanField, Prior

__version__ = "0.1.0"
