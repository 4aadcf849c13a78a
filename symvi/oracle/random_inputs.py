"""Random shapes with extents 0 to 3, and values that respect the supports of leaves and the domains of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf

import numpy as np

from symvi.errors import ShapeError
from symvi.expr.dims import Dim
from symvi.expr.facts import matrix_facts, stated_interval
from symvi.expr.labels import Label
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Apply, Array, Input, Node, Read, Size, Term, postorder

__all__ = ["leaves_of", "dims_of", "random_sizes", "random_values", "random_value", "points_in", "domain_points"]

EXTENTS = (0, 1, 2, 3)
FAR = 4.0  # values are standard normal within the interval, or uniform to a distance of FAR from a bound
ATTEMPTS = 1000

Interval = tuple[float, float]
EVERYTHING: Interval = (-inf, inf)


def leaves_of(nodes: Iterable[Node]) -> list[Leaf]:
    """The leaves below nodes, in the order in which they were made."""
    found = {node.leaf for node in postorder(nodes) if isinstance(node, Input)}
    return sorted(found, key=lambda leaf: leaf.serial)


def dims_of(nodes: Iterable[Node]) -> list[Dim]:
    """Every dim that occurs below nodes: of leaves, arrays, labels and sizes."""
    found: dict[Dim, None] = {}
    for node in postorder(nodes):
        if isinstance(node, Array):
            found.update(dict.fromkeys(node.shape))
        if isinstance(node, Size):
            found[node.dim] = None
        if isinstance(node, Input) and node.leaf.index_of is not None:
            found[node.leaf.index_of] = None
        labels = node.labels if isinstance(node, Term) else ()
        bound = [part for entry in node.payload if isinstance(entry, tuple) for part in entry if isinstance(part, Label)]
        found.update(dict.fromkeys(label.dim for label in (*labels, *bound)))
    return list(found)


def random_sizes(
    nodes: Iterable[Node],
    rng: np.random.Generator,
    extents: Iterable[int] = EXTENTS,
    guard: Callable[[Mapping[str, int]], bool] | None = None,
) -> dict[str, int]:
    """Sizes under which every dim is non-negative, every leaf has a value, and `guard` holds."""
    nodes, extents = list(nodes), list(extents)
    dims, leaves = dims_of(nodes), leaves_of(nodes)
    names = sorted({name.name for dim in dims for name in dim.names if name.known is None})
    for _ in range(ATTEMPTS):
        sizes = {name: int(rng.choice(extents)) for name in names}
        if any(dim.size(sizes) < 0 for dim in dims) or any(_has_no_value(leaf, sizes) for leaf in leaves):
            continue
        if guard is None or guard(sizes):
            return sizes
    raise ShapeError(f"no sizes among {extents} satisfy the guard and make the dims {', '.join(map(str, dims))} non-negative")


def _has_no_value(leaf: Leaf, sizes: Mapping[str, int]) -> bool:
    """An index into nothing; probabilities of no outcomes, which cannot sum to 1."""
    shape = [dim.size(sizes) for dim in leaf.array_shape]
    if leaf.index_of is not None and leaf.index_of.size(sizes) == 0:
        return 0 not in shape
    return getattr(leaf.support, "name", "") == "simplex" and bool(shape) and shape[-1] == 0


def random_values(nodes: Iterable[Node], sizes: Mapping[str, int], rng: np.random.Generator) -> dict[Leaf, np.ndarray]:
    """A value for every leaf below nodes, inside its support and the domains of the functions that read it directly."""
    nodes = list(nodes)
    domains = _domains_of_leaves(nodes)
    return {leaf: random_value(leaf, sizes, rng, domains.get(leaf, EVERYTHING)) for leaf in leaves_of(nodes)}


def _domains_of_leaves(nodes: Iterable[Node]) -> dict[Leaf, Interval]:
    """The intersection of the domains of functions applied to a leaf as it stands."""
    domains: dict[Leaf, Interval] = {}
    for node in postorder(nodes):
        if isinstance(node, Apply) and node.function.arity == 1:
            (child,) = node.children
            if isinstance(child, Read) and isinstance(child.array, Input):
                lo, hi = domains.get(child.array.leaf, EVERYTHING)
                domains[child.array.leaf] = max(lo, node.function.domain[0]), min(hi, node.function.domain[1])
    return domains


def random_value(leaf: Leaf, sizes: Mapping[str, int], rng: np.random.Generator, domain: Interval = EVERYTHING) -> np.ndarray:
    """A value of one leaf, in array shape."""
    shape = tuple(dim.size(sizes) for dim in leaf.array_shape)
    support = leaf.support
    lo, hi = getattr(support, "interval", None) or EVERYTHING
    stated = stated_interval(Input.make((leaf,), (), leaf=leaf)) or EVERYTHING
    interval = max(lo, domain[0], stated[0]), min(hi, domain[1], stated[1])
    if leaf.index_of is not None:
        return rng.integers(0, max(leaf.index_of.size(sizes), 1), shape)
    if leaf.kind == "b":
        return rng.random(shape) < 0.5
    if leaf.kind == "i" or getattr(support, "discrete", False):
        lo = int(max(interval[0], 0))
        value = rng.integers(lo, int(min(interval[1], lo + FAR)) + 1, shape)
        return value if leaf.kind == "i" else value.astype(float)  # counts meet logarithms: they are carried as real numbers
    facts = _matrix_facts(leaf, support)
    if facts and len(shape) >= 2:
        return _random_matrix(facts, shape, rng)
    if leaf.noise_kind == "rademacher":
        return rng.choice([-1.0, 1.0], shape)
    lo, hi = _NOISE.get(leaf.noise_kind, EVERYTHING)
    value = points_in((max(interval[0], lo), min(interval[1], hi)), rng, shape)
    kind = str(getattr(support, "name", support))
    if kind == "simplex" and shape and shape[-1]:
        value = rng.gamma(2.0, size=shape) + 0.1
        return value / value.sum(axis=-1, keepdims=True)
    return np.sort(value, axis=-1) if kind == "ordered" and shape else value


def _matrix_facts(leaf: Leaf, support) -> set[str]:
    return set(getattr(support, "matrix_facts", ())) | set(matrix_facts(Input.make((leaf,), (), leaf=leaf)))


def _random_matrix(facts: set[str], shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    matrix, eye = rng.standard_normal(shape), np.eye(shape[-1])
    if "diagonal" in facts:
        return (0.5 + np.abs(matrix)) * eye
    if facts & {"psd", "spd"}:
        product = matrix @ np.swapaxes(matrix, -1, -2)
        return (product + np.swapaxes(product, -1, -2)) / 2 + eye  # symmetric to the last bit
    if "lower" in facts or "upper" in facts:
        return (np.tril(matrix, -1) if "lower" in facts else np.triu(matrix, 1)) + (0.5 + np.abs(matrix)) * eye
    if "orthogonal" in facts:
        return np.linalg.qr(matrix)[0]
    return (matrix + np.swapaxes(matrix, -1, -2)) / 2 if "symmetric" in facts else matrix


def points_in(interval: Interval, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random points inside an open interval, none of them very close to a finite end."""
    lo, hi = interval
    if lo == -inf and hi == inf:
        return rng.standard_normal(shape)
    if hi == inf:
        return lo + 0.05 + rng.uniform(0.0, FAR, shape)
    if lo == -inf:
        return hi - 0.05 - rng.uniform(0.0, FAR, shape)
    return lo + (hi - lo) * rng.uniform(0.02, 0.98, shape)


def domain_points(function, rng: np.random.Generator, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Random arguments for a scalar function of the table."""
    if function.name in ("logical_and", "logical_or", "logical_not"):
        return [rng.random(shape) < 0.5 for _ in range(function.arity)]
    points = [points_in(_DOMAINS.get((function.name, position), function.domain), rng, shape) for position in range(function.arity)]
    if function.name == "where":
        points[0] = points[0] > 0
    return points


_NOISE: dict[str, Interval] = {"uniform": (0.0, 1.0), "exponential": (0.0, inf)}

_POSITIVE_PAIRS = ("log_product", "log_ratio", "rel_entr", "gammaln_difference", "digamma_difference", "trigamma_difference", "betaln")
# Arguments whose domain a single interval in the table cannot say.
_DOMAINS: dict[tuple[str, int], Interval] = {
    ("power", 0): (0.0, inf),
    ("xlogy", 1): (0.0, inf),
    ("xlog1py", 1): (-1.0, inf),
    ("gammaln", 0): (0.0, inf),
    ("digamma", 0): (0.0, inf),
    ("trigamma", 0): (0.0, inf),
    ("polygamma2", 0): (0.0, inf),
    ("gamma", 0): (0.0, inf),
    ("log_mixture", 0): (0.0, 1.0),
    **{(name, k): (0.0, inf) for name in _POSITIVE_PAIRS for k in (0, 1)},
}
