"""Minibatches: multiply exactly the terms of a bound that are summed over a plate, once.

The bound must be linear in its sums over the plate, and inside such a sum every array over the plate is read at the row's
own index. Then the sum over a batch, times N / |B|, has the full sum as its mean. Everything else is a PlateError that
names the expression and the user's line: there is no user-written scale and no way to get it wrong.

Rows that belong to elements of a batched plate (`g = sv.data("g", N, dtype=sv.index(J))`, batching J) are taken with
their elements, so sums over N scale with J.
"""

from __future__ import annotations

from collections.abc import Iterable

from symvi.errors import PlateError
from symvi.expr import build, provenance
from symvi.expr.dims import Dim
from symvi.expr.labels import Label
from symvi.expr.nodes import (
    Apply,
    Array,
    Contract,
    Delta,
    Input,
    Iota,
    Node,
    Operator,
    Read,
    Reduce,
    Sum,
    Surrogate,
    Tensor,
    Term,
    postorder,
)
from symvi.expr.printing import text

__all__ = ["scale_plate", "check_plate", "carried_dims"]

LINEAR_FUNCTIONS = ("as_float",)
CORE_AXES = {"inverse": 2, "cholesky": 2, "logdet": 0, "det": 0, "cumsum": 1}


def scale_plate(bound: Term, dim: Dim, factor: Term) -> Term:
    """The bound with its sums over `dim` (and over the rows that belong to its elements) multiplied by `factor`.

    `bound` is a scalar term, `factor` a term without labels (N / |B|). PlateError where `dim` is not a plate of the bound.
    """
    return _Plate(bound, dim).scaled(factor)


def check_plate(bound: Term, dim: Dim) -> None:
    """PlateError, naming the expression, if `dim` is not a plate of the bound."""
    _Plate(bound, dim).scaled(build.one)


def carried_dims(bound: Term, dim: Dim) -> frozenset[Dim]:
    """The dims whose rows belong to elements of `dim`, by data declared with `sv.index(dim)`."""
    leaves = [node.leaf for node in postorder([bound]) if isinstance(node, Input)]
    return frozenset(own for leaf in leaves if leaf.index_of == dim for own in leaf.array_shape)


class _Plate:
    """One walk over a bound for one plate."""

    def __init__(self, bound: Term, dim: Dim):
        self.bound, self.dim = bound, dim
        self.own = carried_dims(bound, dim) | {dim}
        names = {name for own in self.own for name in own.names}
        self.names = names
        self.touching = self._find_touching()

    def involves(self, dim: Dim) -> bool:
        """Does an axis of this dim change its extent when the plate is batched?"""
        return dim in self.own or any(name in self.names for name in dim.names)

    def _labels(self, labels: Iterable[Label]) -> list[Label]:
        return [label for label in labels if self.involves(label.dim)]

    def _find_touching(self) -> set[Node]:
        """Nodes below which something has an axis over the plate, or is summed over it."""
        touching: set[Node] = set()
        for node in postorder([self.bound]):
            if isinstance(node, Input):
                hit = any(self.involves(dim) for dim in node.shape)
            else:
                hit = any(child in touching for child in node.children) or bool(self._labels(getattr(node, "labels", ())))
                hit = hit or (isinstance(node, (Contract, Reduce)) and bool(self._labels(node.bound)))
            if hit:
                touching.add(node)
        return touching

    def mistake(self, why: str, node: Node) -> PlateError:
        site = provenance.site_of(node)
        place = f"  [{site}]" if site else ""
        return PlateError(f"{self.dim} cannot be minibatched: {why} in `{text(node)}`{place}")

    # -- the linear part: what stands outside every sum over the plate --------------------------------------------
    def scaled(self, factor: Term) -> Term:
        done: dict[Node, Term] = {}
        for node in postorder([self.bound], self._linear_parts):
            if node not in self.touching:
                done[node] = node
                continue
            with provenance.within(provenance.site_of(node)):
                if isinstance(node, Contract) and self._labels(node.bound):
                    done[node] = build.multiply([(node, 1), (factor, 1)])
                elif isinstance(node, Read):
                    inner = build.tensor(done[node.array.term], node.array.axes)
                    done[node] = build.read(inner, node.indices)
                else:
                    done[node] = build.rebuild(node, tuple(done.get(child, child) for child in node.children))
        return done[self.bound]

    def _linear_parts(self, node: Node) -> list[Node]:
        """The operands in which a term outside the sums is linear; the first sums over the plate are checked here."""
        if node not in self.touching:
            return []
        if isinstance(node, Contract):
            return self._linear_factor(node)
        if isinstance(node, Sum):
            return list(node.children)
        if isinstance(node, Surrogate):
            return list(node.children)
        if isinstance(node, Apply) and node.function.name in LINEAR_FUNCTIONS:
            return list(node.children)
        if isinstance(node, Apply) and node.function.name == "where" and node.children[0] not in self.touching:
            return list(node.children[1:])
        if isinstance(node, Read) and isinstance(node.array, Tensor) and not any(child in self.touching for child in node.children[1:]):
            if not any(self.involves(axis.dim) for axis in node.array.axes):
                return [node.array.term]
        if isinstance(node, Apply):
            raise self.mistake(f"a sum over {self._which(node)} stands inside {node.function.name}", node)
        if isinstance(node, Reduce):
            raise self.mistake(f"{node.operation} mixes the rows of {self._which(node)}", node)
        if isinstance(node, Read) and isinstance(node.array, Operator):
            raise self.mistake(f"{node.array.name} mixes the rows of {self._which(node)}", node)
        joint = [dim for dim in (node.array.shape if isinstance(node, Read) else ()) if self.involves(dim) and dim not in self.own]
        if joint:
            raise self.mistake(f"the joint axis {joint[0]} holds {self.dim} together with others (a joint guide crosses the plate)", node)
        raise self.mistake(f"a row of {self._which(node)} is read that is not a row's own", node)

    def _linear_factor(self, node: Contract) -> list[Node]:
        bound = self._labels(node.bound)
        if bound:
            if len(bound) > 1:
                raise self.mistake(f"pairs of rows of {' and '.join(sorted({str(label.dim) for label in bound}))} are summed", node)
            self._check_rows(node.children, bound[0], node)
            return []
        parts = [(base, exponent) for base, exponent in node.factors if base in self.touching]
        if len(parts) > 1 or parts[0][1] != 1:
            raise self.mistake(f"sums over {self._which(node)} are multiplied with each other, or raised to a power", node)
        return [parts[0][0]]

    def _which(self, node: Node) -> str:
        """The plate (or the rows that belong to it) that occurs below a node."""
        found = set()
        for below in postorder([node]):
            labels = getattr(below, "bound", ()) if isinstance(below, (Contract, Reduce)) else ()
            shape = below.shape if isinstance(below, Input) else ()
            found |= {dim for dim in (*[label.dim for label in labels], *shape) if dim in self.own}
        return " and ".join(sorted(map(str, found))) or str(self.dim)

    # -- inside a sum over the plate: only the row's own index ------------------------------------------------------
    def _check_rows(self, factors: Iterable[Term], label: Label, owner: Node) -> None:
        if label.dim not in self.own:
            raise self.mistake(f"a joint axis {label.dim} holds {self.dim} together with others", owner)
        pending: list[tuple[Node, frozenset[Label]]] = [(factor, frozenset({label})) for factor in factors]
        seen = set(pending)
        while pending:
            node, rows = pending.pop()
            if node not in self.touching:
                continue
            for item in self._inside(node, rows):
                if item not in seen:
                    seen.add(item)
                    pending.append(item)

    def _inside(self, node: Term, rows: frozenset[Label]) -> list[tuple[Node, frozenset[Label]]]:
        if isinstance(node, (Contract, Reduce)):
            if self._labels(node.bound):
                what = "a sum" if isinstance(node, Contract) else node.operation
                raise self.mistake(f"{what} over {self._which(node)} stands inside the expression of one row", node)
        elif isinstance(node, (Iota, Delta)):
            raise self.mistake("the position of a row is used as a number", node)
        elif isinstance(node, Read):
            own = self._check_read(node, rows)
            below = [(child, rows) for child in node.children[1:]]
            return below + self._array(node.array, own, node)
        return [(child, rows) for child in node.children]

    def _check_read(self, node: Read, rows: frozenset[Label]) -> frozenset[int]:
        """The positions of the plate's axes of the array that is read; each must be read at the row itself."""
        own = set()
        for position, (index, dim) in enumerate(zip(node.indices, node.array.shape, strict=True)):
            if not self.involves(dim):
                continue
            if dim not in self.own:
                raise self.mistake(f"the joint axis {dim} holds {self.dim} together with others (a joint guide crosses the plate)", node)
            if not (index in rows or self._belongs(index, dim, rows)):
                raise self.mistake(f"an array over {dim} is read at another index than the row's own", node)
            own.add(position)
        return frozenset(own)

    def _belongs(self, index: Label | Term, dim: Dim, rows: frozenset[Label]) -> bool:
        """Is the index the element that the row belongs to: `g[n]` of data declared with `sv.index(dim)`?"""
        if dim != self.dim or not isinstance(index, Read) or not isinstance(index.array, Input):
            return False
        return index.array.leaf.index_of == dim and all(inner in rows for inner in index.indices)

    def _array(self, array: Array, own: frozenset[int], reader: Node) -> list[tuple[Node, frozenset[Label]]]:
        """What stands below an array whose axes `own` are read at the row's own index."""
        found, pending = [], [array]
        while pending:
            array = pending.pop()
            if array not in self.touching or isinstance(array, Input):
                continue
            if isinstance(array, Tensor):
                found.append((array.term, frozenset(array.axes[position] for position in own)))
                continue
            assert isinstance(array, Operator)
            core = self._core(array)
            if any(self.involves(dim) and (position not in own or position in core) for position, dim in enumerate(array.shape)):
                raise self.mistake(f"{array.name} mixes the rows of {self.dim}", reader)
            for child in array.children:
                if any(self.involves(dim) and position not in own for position, dim in enumerate(child.shape)):
                    raise self.mistake(f"{array.name} mixes the rows of {self.dim}", reader)
            pending.extend(array.children)
        return found

    @staticmethod
    def _core(array: Operator) -> set[int]:
        """The axes that an array atom mixes; the axes before them are batches."""
        rank = len(array.shape)
        if array.name == "concatenate":
            return {array.attributes[0]}
        if array.name in ("solve", "solve_triangular"):
            count = 1 if array.attributes[-1] else 2
        else:
            count = CORE_AXES.get(array.name, rank)
        return set(range(rank - count, rank))
