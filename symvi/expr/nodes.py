"""The nodes: terms (scalar-valued, with free labels) and arrays (with a shape, no free labels).

Nodes are immutable and hash-consed: `Node.make` returns the one node with the given fields, so identity is equality.
This file only stores; what is canonical is decided by the constructors in `build.py`, the one place that makes nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from weakref import WeakValueDictionary

from symvi.expr import provenance
from symvi.expr.dims import Dim
from symvi.expr.labels import Label, label_key

__all__ = [
    "Node", "Term", "Array", "Constant", "NamedConstant", "Size", "Iota", "Delta", "Read", "Apply", "Sum", "Contract",
    "Reduce", "Surrogate", "Input", "Tensor", "Operator", "live_nodes", "postorder", "order_key",
]  # fmt: skip

_table: WeakValueDictionary = WeakValueDictionary()


class Node:
    """A hash-consed node. `children` are nodes; everything else that identifies it is in `payload` and the dtype kind."""

    __slots__ = ("children", "payload", "digest", "_order", "__weakref__", "memo")
    rank = 0
    is_term = False

    @classmethod
    def make(cls, payload: tuple, children: tuple, **attributes):
        kind = attributes.get("kind", "")  # `1` and `1.0` are two constants, `n + m` and `n + m + 0.0` two sums
        key = (cls, kind, payload, children)
        node = _table.get(key)
        if node is not None:
            return node
        node = cls.__new__(cls)
        node.payload, node.children = payload, children
        node._order = None
        node.memo = {}
        hasher = hashlib.blake2b(f"{cls.__name__}|{kind}|".encode(), digest_size=12)
        hasher.update(node._payload_text().encode())
        for child in children:
            hasher.update(child.digest)
        node.digest = hasher.digest()
        node._finish(**attributes)
        _table[key] = node
        provenance.record(node)
        return node

    def _payload_text(self) -> str:
        return "|".join(map(repr, self.payload))  # repr: the label 1 of N and the label 0 of a dim named N1 differ

    def _finish(self, **attributes) -> None:
        raise AssertionError

    @property
    def name(self) -> str:
        """The name that decides the order among nodes of one kind."""
        return ""


class Term(Node):
    """Scalar-valued with free labels. `kind` is the dtype kind: b, i or f."""

    __slots__ = ("labels", "kind", "light", "extended")
    is_term = True

    def _set(self, labels: Iterable[Label], kind: str, light: bool, extended: bool = False) -> None:
        self.labels = frozenset(labels)
        self.kind = kind
        self.light = light
        self.extended = extended

    def sorted_labels(self) -> tuple[Label, ...]:
        return tuple(sorted(self.labels, key=label_key))


class Array(Node):
    """Has a shape (a tuple of dims, none of them a literal 1) and no free labels."""

    __slots__ = ("shape", "kind")


# ---------------------------------------------------------------------------------------------------------------- terms
class Constant(Term):
    """A number: a Fraction (all finite values, kept exactly) or the floats inf, -inf, nan."""

    __slots__ = ()
    rank = 1

    @property
    def value(self) -> Fraction | float:
        return self.payload[0]

    def _finish(self, kind: str) -> None:
        self._set((), kind, True, extended=isinstance(self.value, float))


class NamedConstant(Term):
    """An exact mathematical constant: pi."""

    __slots__ = ()
    rank = 2

    @property
    def name(self) -> str:
        return self.payload[0]

    def _finish(self) -> None:
        self._set((), "f", True)


class Size(Term):
    """The full size of a dim as a number, also under minibatching; or, with `rows`, how many of its rows a call sees."""

    __slots__ = ()
    rank = 3

    @property
    def dim(self) -> Dim:
        return self.payload[0]

    @property
    def rows(self) -> bool:
        return len(self.payload) > 1

    @property
    def name(self) -> str:
        return str(self.dim)

    def _finish(self) -> None:
        self._set((), "i", True)


class Iota(Term):
    """The value of a label: 0, 1, ..., size - 1."""

    __slots__ = ()
    rank = 4

    @property
    def label(self) -> Label:
        return self.payload[0]

    @property
    def name(self) -> str:
        return str(self.label)

    def _finish(self) -> None:
        self._set((self.label,), "i", True)


class Delta(Term):
    """1 where two indices are equal, else 0; never materialised. An index is a label or an integer term."""

    __slots__ = ("left", "right")
    rank = 5

    def _finish(self, left, right) -> None:
        self.left, self.right = left, right
        labels: set[Label] = set()
        for index in (left, right):
            labels |= {index} if isinstance(index, Label) else index.labels
        self._set(labels, "i", True)


class Read(Term):
    """An array read at indices: labels, or integer terms (a gather, a shift). `array` is the first child."""

    __slots__ = ("indices",)
    rank = 6

    @property
    def array(self) -> Array:
        return self.children[0]

    @property
    def name(self) -> str:
        return self.array.name

    def _finish(self, indices) -> None:
        self.indices = indices
        labels: set[Label] = set()
        for index in indices:
            labels |= {index} if isinstance(index, Label) else index.labels
        array = self.array
        extended = isinstance(array, Tensor) and array.term.extended
        self._set(labels, array.kind, True, extended)

    @property
    def plain(self) -> bool:
        """True when every index is a label over the whole axis and no label repeats: a label of another dim is a slice."""
        pairs = zip(self.indices, self.array.shape, strict=True)
        return all(isinstance(index, Label) and index.dim == dim for index, dim in pairs) and len(set(self.indices)) == len(self.indices)


class Apply(Term):
    """A scalar function of the table `symvi.atoms`, applied label by label."""

    __slots__ = ("function",)
    rank = 7

    def _finish(self, function, kind: str) -> None:
        self.function = function
        labels = frozenset().union(*(child.labels for child in self.children))
        light = function.light
        self._set(labels, kind, light, any(child.extended for child in self.children))

    @property
    def name(self) -> str:
        return self.payload[0]


class Sum(Term):
    """A flat sum with rational coefficients: `payload[0][i] * children[i]`, operands in normal order."""

    __slots__ = ()
    rank = 10

    @property
    def terms(self) -> tuple[tuple[Fraction, Term], ...]:
        return tuple(zip(self.payload[0], self.children, strict=True))

    def _finish(self, kind: str) -> None:
        labels = frozenset().union(*(child.labels for child in self.children))
        self._set(labels, kind, True, any(child.extended for child in self.children))


class Contract(Term):
    """A sum over bound labels of a product of powers; without bound labels a plain product.

    `payload` is (bound labels, exponents).
    """

    __slots__ = ()
    rank = 9

    @property
    def bound(self) -> tuple[Label, ...]:
        return self.payload[0]

    @property
    def factors(self) -> tuple[tuple[Term, int], ...]:
        return tuple(zip(self.children, self.payload[1], strict=True))

    def _finish(self, kind: str) -> None:
        labels = frozenset().union(*(child.labels for child in self.children)) - set(self.bound)
        self._set(labels, kind, not self.bound, any(child.extended for child in self.children))


class Reduce(Term):
    """max, min, prod, logsumexp, any or all over bound labels. `payload` is (operation, bound labels)."""

    __slots__ = ()
    rank = 8

    @property
    def operation(self) -> str:
        return self.payload[0]

    @property
    def bound(self) -> tuple[Label, ...]:
        return self.payload[1]

    @property
    def name(self) -> str:
        return self.payload[0]

    def _finish(self, kind: str) -> None:
        self._set(self.children[0].labels - set(self.bound), kind, False, self.children[0].extended)


class Surrogate(Term):
    """Evaluates as its first child and is differentiated as its second: `stop_gradient(x) = surrogate(x, 0)`."""

    __slots__ = ()
    rank = 11

    def _finish(self) -> None:
        value, derivative = self.children
        self._set(value.labels | derivative.labels, value.kind, True, value.extended)


# --------------------------------------------------------------------------------------------------------------- arrays
class Input(Array):
    """A leaf: data, a parameter, a draw, shared state, a random variable. Compares by the identity of its leaf."""

    __slots__ = ("leaf",)
    rank = 1

    @property
    def name(self) -> str:
        return self.leaf.name

    def _payload_text(self) -> str:
        return self.payload[0].text

    def _finish(self, leaf) -> None:
        self.leaf = leaf
        self.shape = leaf.array_shape
        self.kind = leaf.kind


class Tensor(Array):
    """A term closed over labels in axis order."""

    __slots__ = ()
    rank = 2

    @property
    def term(self) -> Term:
        return self.children[0]

    @property
    def axes(self) -> tuple[Label, ...]:
        return self.payload[0]

    def _finish(self) -> None:
        self.shape = tuple(label.dim for label in self.axes)
        self.kind = self.term.kind


class Operator(Array):
    """An atom that takes and gives whole arrays (factor, solve, concatenation, ...). `payload` is (atom name, attributes)."""

    __slots__ = ("atom",)
    rank = 3

    @property
    def name(self) -> str:
        return self.payload[0]

    @property
    def attributes(self) -> tuple:
        return self.payload[1]

    def _finish(self, atom, shape, kind: str) -> None:
        self.atom = atom
        self.shape = shape
        self.kind = kind


# ------------------------------------------------------------------------------------------------------------ traversal
def live_nodes() -> list[Node]:
    """Every node in use."""
    return list(_table.values())


def children_of(node: Node) -> tuple[Node, ...]:
    return node.children


def postorder(roots: Iterable[Node], children: Callable[[Node], Iterable[Node]] = children_of) -> Iterator[Node]:
    """Every node below `roots` once, children first. Iterative: depth is no limit."""
    seen: set[Node] = set()
    for root in roots:
        stack: list[tuple[Node, bool]] = [(root, False)]
        while stack:
            node, expanded = stack.pop()
            if expanded:
                yield node
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(tuple(children(node))) if child not in seen)


def order_key(node: Node) -> tuple:
    """The normal order of commutative operands: kind, name, then structure."""
    if node._order is None:
        node._order = (node.rank, node.name, node.digest)
    return node._order
