"""Matrix expressions of SymPy (`MatrixSymbol`, products, inverses, traces, determinants) as expressions.

Matrices are matrices on both sides. A column `MatrixSymbol("x", n, 1)` may stand for a vector: it enters as the column x[:, None].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from symvi.array import functions
from symvi.array.creation import eye, ones, zeros
from symvi.array.expression import Expr, mistake
from symvi.array.linalg import det, inv, kron
from symvi.array.matrices import diag, diagonal
from symvi.array.products import trace
from symvi.errors import ExpressionError
from symvi.expr.dims import Dim

__all__ = ["MatrixReader"]


class MatrixReader:
    """Reads the matrix nodes of one SymPy expression; sizes are those of what stands for its matrix symbols."""

    def __init__(self, sympy: Any, root: Any, known: Mapping[str, Any], convert: Callable[[Any, Mapping[str, Expr]], Expr]):
        self.sympy, self.known, self.convert = sympy, known, convert
        self.kinds = (sympy.MatrixExpr, sympy.Trace, sympy.Determinant, sympy.matrices.expressions.matexpr.MatrixElement)
        self.sizes = {name: value for name, value in known.items() if isinstance(value, Dim)}
        for symbol in root.atoms(sympy.MatrixSymbol) if hasattr(root, "atoms") else ():
            value = known.get(symbol.name)
            for extent, dim in zip(symbol.shape, getattr(value, "shape", ()), strict=False):
                if extent.is_Symbol and isinstance(dim, Dim):
                    self.sizes.setdefault(extent.name, dim)

    def reads(self, node: Any) -> bool:
        """Is this a node of matrix algebra?"""
        return isinstance(node, self.kinds)

    def operands(self, node: Any) -> list:
        """The parts of a node that are expressions themselves."""
        name = type(node).__name__
        if name in _LEAVES:
            return []
        if name == "ElementwiseApplyFunction":
            return [node.expr]
        return list(node.args[:1]) if name in ("MatPow", "Inverse", "MatrixElement") else list(node.args)

    def read(self, node: Any, arguments: list[Expr]) -> Expr:
        """The expression for a node, given those of its operands."""
        name = type(node).__name__
        if name == "MatrixSymbol":
            return self._symbol(node)
        if name in ("Identity", "ZeroMatrix", "OneMatrix"):
            rows, columns = (self._size(extent) for extent in node.shape)
            return eye(rows) if name == "Identity" else (zeros if name == "ZeroMatrix" else ones)((rows, columns))
        if name == "ElementwiseApplyFunction":
            (variable,) = node.function.variables
            return self.convert(node.function.expr, {str(variable): arguments[0]})
        if name in ("MatPow", "Inverse"):
            return self._power(node, arguments[0])
        if name == "MatrixElement":
            return arguments[0][tuple(self._position(index) for index in node.args[1:])]
        if name not in _OPERATIONS:
            raise mistake(f"from_sympy: {name} in {node} has no counterpart", ExpressionError)
        return _OPERATIONS[name](*arguments)

    def _symbol(self, node: Any) -> Expr:
        value = self.known.get(node.name)
        if value is None:
            raise mistake(f"from_sympy: nothing is given for the matrix {node}; pass symbols={{{node}: ...}}", ExpressionError)
        if value.ndim == 1 and node.shape[1] == 1:
            return value[:, None]
        if value.ndim != 2:
            raise mistake(f"from_sympy: {node} is a matrix, what is given for it has {value.ndim} axes", ExpressionError)
        return value

    def _size(self, extent: Any) -> Dim:
        if extent.is_Integer:
            return Dim(int(extent))
        if extent.is_Symbol and extent.name in self.sizes:
            return self.sizes[extent.name]
        if isinstance(extent, (self.sympy.Add, self.sympy.Mul)):
            parts = [self._size(part) for part in extent.args]
            return reduce((lambda a, b: a + b) if isinstance(extent, self.sympy.Add) else (lambda a, b: a * b), parts)
        raise mistake(f"from_sympy: the size {extent} is not known; pass symbols={{{extent}: sv.dim(...)}}", ExpressionError)

    def _power(self, node: Any, base: Expr) -> Expr:
        exponent = node.exp
        if not exponent.is_Integer:
            raise mistake(f"from_sympy: {node} has a power that is not an integer", ExpressionError)
        if exponent == 0:
            return eye(base.shape[-1])
        base = inv(base) if exponent < 0 else base
        return reduce(lambda a, b: a @ b, [base] * abs(int(exponent)))

    def _position(self, index: Any) -> int:
        if not index.is_Integer:
            raise mistake(f"from_sympy: an entry is read at integers, not at {index}", ExpressionError)
        return int(index)


_LEAVES = ("MatrixSymbol", "Identity", "ZeroMatrix", "OneMatrix")


def _product(*factors: Expr) -> Expr:
    """Numbers scale, matrices multiply."""
    return reduce(lambda a, b: a * b if not (a.ndim and b.ndim) else a @ b, factors)


_OPERATIONS: dict[str, Callable[..., Expr]] = {
    "MatAdd": lambda *terms: reduce(lambda a, b: a + b, terms),
    "MatMul": _product,
    "HadamardProduct": lambda *factors: reduce(lambda a, b: a * b, factors),
    "HadamardPower": functions.power,
    "KroneckerProduct": lambda *factors: reduce(kron, factors),
    "Transpose": lambda a: a.T,
    "Adjoint": lambda a: a.T,  # everything is real
    "Trace": trace,
    "Determinant": det,
    "DiagMatrix": lambda a: diag(a[:, 0] if a.shape[1] == 1 else a[0]),
    "DiagonalMatrix": lambda a: a * eye(a.shape[-1]),
    "DiagonalOf": lambda a: diagonal(a)[:, None],
    "DotProduct": lambda a, b: (a * b).sum(),
}
