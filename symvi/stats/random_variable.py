"""Random variables: leaves that carry their distribution. Observed or latent is decided by the data of a fit."""

from __future__ import annotations

from symvi.array.expression import Expr, axes_for, leaf_expr
from symvi.expr import build
from symvi.expr.leaf import Leaf
from symvi.stats.distribution import Distribution

__all__ = ["RandomVariable", "random_variable", "variable_of", "data_twin"]


class RandomVariable(Expr):
    """An expression that stands for the value of a random variable of a model."""

    __slots__ = ()

    @property
    def dist(self) -> Distribution:
        """Its distribution given the other variables."""
        return self.leaf.distribution

    @property
    def support(self):
        return self.leaf.support


def random_variable(name: str, distribution: Distribution) -> RandomVariable:
    """A new variable; its shape, kind and support are those of the distribution."""
    support = distribution.support
    return _of_leaf(Leaf("latent", name, distribution.shape, support.kind, support=support, distribution=distribution))


def _of_leaf(leaf: Leaf) -> RandomVariable:
    axes = axes_for(leaf.shape)
    term = build.read(build.input_array(leaf), [axis for axis in axes if axis is not None])
    return RandomVariable(term, axes, leaf.shape)


def variable_of(leaf: Leaf) -> RandomVariable:
    """The random variable of its leaf."""
    return _of_leaf(leaf)


def data_twin(variable: Expr) -> Expr:
    """The data leaf that stands for an observed variable in a bound: one per variable, of the same name, kind and support."""
    leaf = variable.leaf
    twin = leaf.attributes.get("twin")
    if twin is None:
        attributes = {"support": leaf.support}
        classes = getattr(leaf.support, "classes", None)
        if classes is not None:
            attributes["index_of"] = classes
        twin = Leaf("data", leaf.name, leaf.shape, leaf.kind, **attributes)
        twin.site = leaf.site
        leaf.attributes["twin"] = twin
    return leaf_expr(twin)
