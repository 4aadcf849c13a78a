"""The protocol of a scalar function: everything that symvi knows about `exp` is in one declaration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from symvi.expr import build
from symvi.expr.nodes import Constant, Term

__all__ = ["ScalarFunction", "TABLE", "register", "never_simplify"]


def never_simplify(arguments: tuple[Term, ...]) -> Term | None:
    return None


def _float_kind(kinds: tuple[str, ...]) -> str:
    return "f"


@dataclass(frozen=True, eq=False)
class ScalarFunction:
    """One row of the table of scalar functions.

    `derivative(*arguments)` gives one term per argument (None where the derivative is zero almost everywhere).
    `text` is the emitted expression with `{0}`, `{1}` for the operands; without it the function is called by name.
    `numpy` and `mpmath` evaluate it for the oracle. `range` bounds its values, `monotone` (+1, -1, 0) its direction; f(-x) = `parity` f(x).
    `cost` is in multiplications. `light` functions are rebuilt under a renaming instead of being viewed.
    """

    name: str
    derivative: Callable[..., tuple]
    numpy: Callable
    mpmath: Callable
    arity: int = 1
    text: str | None = None
    latex: str | None = None
    unicode: str | None = None
    cost: int = 10
    light: bool = False
    commutative: bool = False
    monotone: int = 0
    parity: int = 0
    range: tuple[float, float] = (-inf, inf)
    domain: tuple[float, float] = (-inf, inf)
    kind_of: Callable[[tuple[str, ...]], str] = _float_kind
    at: dict | None = None
    rewrite: Callable[[tuple[Term, ...]], Term | None] = never_simplify
    holomorphic: bool = True

    def simplify(self, arguments: tuple[Term, ...]) -> Term | None:
        """Exact values at constants (`at`), and identities that hold by construction."""
        if self.at and len(arguments) == 1 and isinstance(arguments[0], Constant):
            value = self.at.get(arguments[0].value)
            if value is not None:
                return build.constant(value, self.kind_of((arguments[0].kind,)))
        return self.rewrite(arguments)

    def __call__(self, *arguments: Term) -> Term:
        """The function applied to terms."""
        return build.apply(self, *(build.as_term(argument) for argument in arguments))


TABLE: dict[str, ScalarFunction] = {}


def register(name: str, **fields) -> ScalarFunction:
    """Declare a scalar function; it is tested by being in the table."""
    function = ScalarFunction(name=name, **fields)
    assert name not in TABLE, name
    TABLE[name] = function
    return function
