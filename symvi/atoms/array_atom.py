"""The protocol of an array atom: an operation that takes and gives whole arrays (a factor, a solve, a concatenation)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import inf

from symvi.expr import build
from symvi.expr.dims import Dim
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.nodes import Array, Operator, Term

__all__ = ["ArrayAtom", "ARRAY_ATOMS", "register", "axes_of"]


class ArrayAtom(ABC):
    """Base class of array atoms; a subclass is one declaration: shape, facts, derivative, reference value, helper call.

    `vjp(node, adjoint)` receives the adjoint as a term on the canonical axes of the result and returns, per argument,
    the adjoint of that argument as a term on its canonical axes (or None). `jvp(node, tangents)` does the same forwards.
    """

    name = ""
    latex = ""

    @abstractmethod
    def shape(self, arguments: Sequence[Array], attributes: tuple) -> tuple[Dim, ...]:
        """The dims of the result."""

    def kind(self, arguments: Sequence[Array]) -> str:
        return "f"

    def simplify(self, arguments: Sequence[Array], attributes: tuple) -> Array | None:
        """An array that the application equals by construction."""
        return None

    def facts(self, node: Operator) -> set[str]:
        """Matrix facts of the result."""
        return set()

    def interval(self, known: Sequence[tuple[float, float]]) -> tuple[float, float]:
        """Bounds of the entries of the result, from those of the arguments."""
        return -inf, inf

    @abstractmethod
    def vjp(self, node: Operator, adjoint: Term) -> tuple[Term | None, ...]:
        """The adjoints of the arguments."""

    @abstractmethod
    def jvp(self, node: Operator, tangents: Sequence[Term | None]) -> Term:
        """The tangent of the result."""

    @abstractmethod
    def numpy(self, attributes: tuple, *arguments):
        """The reference value with NumPy arrays (float or complex)."""

    @abstractmethod
    def mpmath(self, attributes: tuple, *arguments):
        """The reference value with object arrays of mpmath numbers."""

    def __call__(self, *arguments: Array, attributes: tuple = ()) -> Array:
        return build.operator(self, arguments, attributes)


ARRAY_ATOMS: dict[str, ArrayAtom] = {}


def register(atom_class: type[ArrayAtom]) -> ArrayAtom:
    """Declare an array atom (used as a class decorator); it is tested by being registered."""
    atom = atom_class()
    assert atom.name not in ARRAY_ATOMS, atom.name
    ARRAY_ATOMS[atom.name] = atom
    return atom


def axes_of(array: Array) -> tuple[Label, ...]:
    """The canonical labels of an array's axes."""
    return canonical_axes(array.shape)
