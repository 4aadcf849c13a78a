"""Linear algebra on the last two axes of arrays; leading axes are batches.

Every adjoint closes in the same atoms: the reverse of a solve is a solve with the same operator, the adjoint of
log det is a virtual inverse. Adjoints of symmetric operators are symmetrised once (Giles 2008; Murray 2016).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from symvi.atoms.array_atom import ArrayAtom, axes_of, register
from symvi.atoms.elementwise import greater_equal, where
from symvi.expr.build import constant, contract, delta, iota, read, read_own, rename, tensor
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import Label
from symvi.expr.nodes import Array, Operator, Read, Tensor, Term

HALF = Fraction(1, 2)


class Matrix:
    """A term read as a stack of matrices: two labels for row and column, the rest are batch labels."""

    def __init__(self, term: Term, row: Label, column: Label):
        self.term, self.row, self.column = term, row, column

    @classmethod
    def of(cls, array: Array) -> Matrix:
        axes = axes_of(array)
        return cls(read_own(array), axes[-2], axes[-1])

    @property
    def T(self) -> Matrix:
        return Matrix(self.term, self.column, self.row)

    def on(self, row: Label, column: Label) -> Term:
        """The matrix on other labels."""
        return rename(self.term, {self.row: row, self.column: column})


def product(*factors: Matrix) -> Matrix:
    """A B C ...: matrix products from left to right, batch labels shared."""
    result = factors[0]
    for factor in factors[1:]:
        avoid = (result.term, factor.term)
        row = _far(result.row.dim, 0, avoid)
        inner = _far(result.column.dim, 1, avoid)
        column = _far(factor.column.dim, 2, avoid)
        term = contract([inner], [(result.on(row, inner), 1), (factor.on(inner, column), 1)])
        result = Matrix(term, row, column)
    return result


def _far(dim, offset: int, terms) -> Label:
    top = max((label.number for term in terms for label in term.labels if label.dim == dim), default=-1)
    return Label(dim, top + 1 + offset)


def on_axes(matrix: Matrix, array: Array) -> Term:
    """The matrix on the canonical axes of `array`."""
    axes = axes_of(array)
    return matrix.on(axes[-2], axes[-1])


def symmetrised(matrix: Matrix) -> Matrix:
    """(A + A') / 2, once."""
    flipped = matrix.on(matrix.column, matrix.row)
    if flipped is matrix.term:
        return matrix
    return Matrix((matrix.term + flipped) * HALF, matrix.row, matrix.column)


def is_symmetric(array: Array) -> bool:
    return "symmetric" in matrix_facts(array)


def is_spd(array: Array) -> bool:
    return "psd" in matrix_facts(array)


def transpose(array: Array) -> Array:
    axes = axes_of(array)
    swap = {axes[-2]: axes[-1], axes[-1]: axes[-2]}
    return tensor(rename(read_own(array), swap), axes)


def untransposed(array: Array) -> Array | None:
    """The transpose of `array`, where that is what the operation should see: an array of its own, or a lower triangle."""
    if not isinstance(array, Tensor) or "lower" in matrix_facts(array):
        return None
    flipped = transpose(array)
    if not isinstance(flipped, Tensor) or "lower" in matrix_facts(flipped):
        return flipped
    return flipped if isinstance(array.term, Read) and not isinstance(flipped.term, Read) else None


def diagonal(array: Array) -> Term:
    """The diagonals, on the batch labels and the row label of the last two axes."""
    axes = axes_of(array)
    return read(array, (*axes[:-1], axes[-2]))


def _mp_batched(function, *arrays, out_rank):
    """Apply a function of object matrices over leading batch axes; a matrix result has the shape of the last argument."""
    batch = arrays[0].shape[:-2]
    if not batch:
        return function(*arrays)
    out = np.empty(arrays[-1].shape if out_rank else batch, dtype=object)
    for index in np.ndindex(batch):
        out[index] = function(*(a[index] for a in arrays))
    return out


def _mp_lu_solve(a, b):
    """A^-1 B by Gaussian elimination with partial pivoting, on object arrays."""
    a, b = a.copy(), b.copy()
    n = a.shape[0]
    for k in range(n):
        pivot = max(range(k, n), key=lambda r: abs(a[r, k]))
        a[[k, pivot]], b[[k, pivot]] = a[[pivot, k]], b[[pivot, k]]
        for r in range(k + 1, n):
            factor = a[r, k] / a[k, k]
            a[r, k:] = a[r, k:] - a[k, k:] * factor  # the array first: mpmath would try to read it as a number
            b[r] = b[r] - b[k] * factor
    for k in reversed(range(n)):
        b[k] = (b[k] - (a[k, k + 1 :, None] * b[k + 1 :]).sum(axis=0) if k + 1 < n else b[k]) / a[k, k]
    return b


def _mp_eye(n):
    import mpmath

    return np.array([[mpmath.mpf(int(i == j)) for j in range(n)] for i in range(n)], dtype=object).reshape(n, n)


def _mp_cholesky(a):
    import mpmath

    n = a.shape[0]
    out = _mp_eye(n) * 0
    for i in range(n):
        for j in range(i + 1):
            rest = a[i, j] - sum((out[i, k] * out[j, k] for k in range(j)), mpmath.mpf(0))
            out[i, j] = mpmath.sqrt(rest) if i == j else rest / out[j, j]
    return out


def _mp_determinant(a):
    import mpmath

    a, sign, total = a.copy(), 1, mpmath.mpf(1)
    for k in range(a.shape[0]):
        pivot = max(range(k, a.shape[0]), key=lambda r: abs(a[r, k]))
        if pivot != k:
            a[[k, pivot]], sign = a[[pivot, k]], -sign
        total *= a[k, k]
        for r in range(k + 1, a.shape[0]):
            a[r] = a[r] - a[k] * (a[r, k] / a[k, k])
    return sign * total


@register
class _Inverse(ArrayAtom):
    """A^-1. Cholesky for positive definite operators, LU otherwise; rules contract it away where they can."""

    name = "inverse"
    latex = "{0}^{{-1}}"

    def shape(self, arguments, attributes):
        return arguments[0].shape

    def simplify(self, arguments, attributes):
        inner = arguments[0]
        if isinstance(inner, Operator) and inner.name == "inverse":
            return inner.children[0]
        flipped = untransposed(inner)
        return transpose(inverse(flipped)) if flipped is not None else None

    def facts(self, node):
        known = matrix_facts(node.children[0])
        kept = {"symmetric", "lower", "upper", "orthogonal"} & known
        if kept & {"lower", "upper"} and "positive_diagonal" in known:
            kept.add("positive_diagonal")
        return kept | {"spd"} if "psd" in known else kept  # an inverse exists, so psd is spd

    def vjp(self, node, adjoint):
        inverse = Matrix.of(node)
        axes = axes_of(node)
        g = Matrix(adjoint, axes[-2], axes[-1])
        if is_symmetric(node):
            g = symmetrised(g)
            result = product(inverse, g, inverse)
        else:
            result = product(inverse.T, g, inverse.T)
        return (-on_axes(result, node),)

    def jvp(self, node, tangents):
        inverse = Matrix.of(node)
        axes = axes_of(node)
        return -on_axes(product(inverse, Matrix(tangents[0], axes[-2], axes[-1]), inverse), node)

    def numpy(self, attributes, a):
        return np.linalg.inv(a)

    def mpmath(self, attributes, a):
        return _mp_batched(lambda m: _mp_lu_solve(m, _mp_eye(m.shape[0])), a, out_rank=2)


inverse = _Inverse


@register
class _Solve(ArrayAtom):
    """A^-1 B, or A^-T B. Attributes: (transposed, vector). B is (..., n, k), or (..., n) when `vector`."""

    name = "solve"
    latex = "{0}^{{-1}}{1}"

    def shape(self, arguments, attributes):
        return arguments[1].shape

    def simplify(self, arguments, attributes):
        (matrix, right), (transposed, vector) = arguments, attributes
        if transposed and is_symmetric(matrix):
            return solve(matrix, right, attributes=(False, vector))
        flipped = untransposed(matrix)
        return solve(flipped, right, attributes=(not transposed, vector)) if flipped is not None else None

    def _operands(self, node):
        a, b = node.children
        transposed, vector = node.attributes
        return a, b, transposed, vector

    def vjp(self, node, adjoint):
        a, b, transposed, vector = self._operands(node)
        axes = axes_of(node)
        flipped = transposed if is_symmetric(a) else not transposed
        gb_array = solve(a, tensor(adjoint, axes), attributes=(flipped, vector))
        gb, x = read_own(gb_array), read_own(node)
        return (self._adjoint_of_matrix(a, gb, x, axes, transposed, vector), gb)

    def _adjoint_of_matrix(self, a, gb, x, axes, transposed, vector):
        """-gB X' summed over the right-hand sides, symmetrised where the operator is symmetric."""
        n_axis = axes[-1] if vector else axes[-2]
        i, j = axes_of(a)[-2:]
        row, column = _far(n_axis.dim, 0, (gb, x)), _far(n_axis.dim, 1, (gb, x))
        bound = [] if vector else [axes[-1]]
        term = -contract(bound, [(rename(gb, {n_axis: row}), 1), (rename(x, {n_axis: column}), 1)])
        matrix = Matrix(term, row, column)
        if transposed and not is_symmetric(a):
            matrix = matrix.T
        if is_symmetric(a):
            matrix = symmetrised(matrix)
        return matrix.on(i, j)

    def jvp(self, node, tangents):
        a, b, transposed, vector = self._operands(node)
        axes = axes_of(node)
        right = tangents[1] if tangents[1] is not None else None
        if tangents[0] is not None:
            i, j = axes_of(a)[-2:]
            da = Matrix(tangents[0], i, j)
            if transposed and not is_symmetric(a):
                da = da.T
            x = read_own(node)
            n_axis = axes[-1] if vector else axes[-2]
            row, column = _far(n_axis.dim, 0, (da.term, x)), _far(n_axis.dim, 1, (da.term, x))
            moved = contract([column], [(da.on(row, column), 1), (rename(x, {n_axis: column}), 1)])
            moved = rename(moved, {row: n_axis})
            right = -moved if right is None else right - moved
        return read_own(solve(a, tensor(right, axes), attributes=(transposed, vector)))

    def numpy(self, attributes, a, b):
        transposed, vector = attributes
        a = np.swapaxes(a, -1, -2) if transposed else a
        return np.linalg.solve(a, b[..., None])[..., 0] if vector else np.linalg.solve(a, b)

    def mpmath(self, attributes, a, b):
        transposed, vector = attributes
        a = np.swapaxes(a, -1, -2) if transposed else a
        b = b[..., None] if vector else b
        out = _mp_batched(_mp_lu_solve, a, b, out_rank=2)
        return out[..., 0] if vector else out


solve = _Solve


@register
class _LogDet(ArrayAtom):
    """log |det A| over the last two axes; A positive definite by Cholesky, else by LU."""

    name = "logdet"
    latex = r"\log\left|{0}\right|"

    def shape(self, arguments, attributes):
        return arguments[0].shape[:-2]

    def simplify(self, arguments, attributes):
        flipped = untransposed(arguments[0])
        return logdet(flipped) if flipped is not None else None

    def vjp(self, node, adjoint):
        a = node.children[0]
        inv = Matrix.of(inverse(a))
        term = inv.term if is_symmetric(a) else inv.on(inv.column, inv.row)
        return (_to_batch(adjoint, node, a) * term,)

    def jvp(self, node, tangents):
        a = node.children[0]
        i, j = axes_of(a)[-2:]
        inv = Matrix.of(inverse(a))
        return _from_batch(contract([i, j], [(inv.on(j, i), 1), (tangents[0], 1)]), node, a)

    def numpy(self, attributes, a):
        if np.iscomplexobj(a):
            return np.log(np.linalg.det(a) * np.sign(np.linalg.det(a).real))
        return np.linalg.slogdet(a)[1]

    def mpmath(self, attributes, a):
        import mpmath

        return _mp_batched(lambda m: mpmath.log(abs(_mp_determinant(m))), a, out_rank=0)


logdet = _LogDet


def _to_batch(term: Term, node: Operator, a: Array) -> Term:
    """A term on the axes of a batch of scalars, on the batch axes of the matrices."""
    return rename(term, dict(zip(axes_of(node), axes_of(a)[:-2], strict=True)))


def _from_batch(term: Term, node: Operator, a: Array) -> Term:
    return rename(term, dict(zip(axes_of(a)[:-2], axes_of(node), strict=True)))


@register
class _Det(ArrayAtom):
    """det A. `log(det(A))` becomes `logdet(A)` before anything is differentiated."""

    name = "det"
    latex = r"\left|{0}\right|"

    def shape(self, arguments, attributes):
        return arguments[0].shape[:-2]

    def simplify(self, arguments, attributes):
        flipped = untransposed(arguments[0])
        return det(flipped) if flipped is not None else None

    def vjp(self, node, adjoint):
        a = node.children[0]
        inv = Matrix.of(inverse(a))
        return (_to_batch(adjoint * read_own(node), node, a) * inv.on(inv.column, inv.row),)

    def jvp(self, node, tangents):
        a = node.children[0]
        i, j = axes_of(a)[-2:]
        inv = Matrix.of(inverse(a))
        return read_own(node) * _from_batch(contract([i, j], [(inv.on(j, i), 1), (tangents[0], 1)]), node, a)

    def numpy(self, attributes, a):
        return np.linalg.det(a)

    def mpmath(self, attributes, a):
        return _mp_batched(_mp_determinant, a, out_rank=0)


det = _Det


@register
class _DetSign(ArrayAtom):
    """The sign of det A, also where the determinant itself over- or underflows."""

    name = "det_sign"
    latex = r"\mathrm{{sign}}\left|{0}\right|"

    def shape(self, arguments, attributes):
        return arguments[0].shape[:-2]

    def simplify(self, arguments, attributes):
        flipped = untransposed(arguments[0])
        return det_sign(flipped) if flipped is not None else None

    def vjp(self, node, adjoint):
        return (None,)

    def jvp(self, node, tangents):
        return constant(0.0)

    def numpy(self, attributes, a):
        return np.linalg.slogdet(np.real(a))[0]

    def mpmath(self, attributes, a):
        import mpmath

        return _mp_batched(lambda m: mpmath.sign(_mp_determinant(m)), a, out_rank=0)


det_sign = _DetSign


@register
class _Cholesky(ArrayAtom):
    """The lower triangular L with L L' = A."""

    name = "cholesky"
    latex = r"\mathrm{{chol}}({0})"

    def shape(self, arguments, attributes):
        return arguments[0].shape

    def facts(self, node):
        return {"lower", "positive_diagonal"}

    def vjp(self, node, adjoint):
        """A' = sym(L^-T Φ(L' L̄) L^-1), Φ the lower triangle with a halved diagonal (Murray 2016, eq. 8)."""
        factor = Matrix.of(node)
        i, j = axes_of(node)[-2:]
        middle = product(factor.T, Matrix(_lower(adjoint, i, j), i, j))
        inner = tensor(_halved_lower(middle.on(i, j), i, j), axes_of(node))
        left = solve_triangular(node, inner, attributes=(True, False))
        right = solve_triangular(node, transpose(left), attributes=(True, False))
        return (on_axes(symmetrised(Matrix.of(right)), node),)

    def jvp(self, node, tangents):
        """L' = L Φ(L^-1 A' L^-T)."""
        axes = axes_of(node)
        i, j = axes[-2:]
        left = solve_triangular(node, tensor(tangents[0], axes), attributes=(False, False))
        right = solve_triangular(node, transpose(left), attributes=(False, False))
        return on_axes(product(Matrix.of(node), Matrix(_halved_lower(read_own(right), i, j), i, j)), node)

    def numpy(self, attributes, a):
        if np.iscomplexobj(a):
            return _complex_cholesky(a)
        return np.linalg.cholesky(a)

    def mpmath(self, attributes, a):
        return _mp_batched(_mp_cholesky, a, out_rank=2)


cholesky = _Cholesky


def _complex_cholesky(a):
    """L L' = A without conjugation, so that a complex step passes through."""
    out = np.zeros_like(a)
    for index in np.ndindex(a.shape[:-2]):
        for i in range(a.shape[-1]):
            for j in range(i + 1):
                rest = a[index][i, j] - (out[index][i, :j] * out[index][j, :j]).sum()
                out[index][i, j] = np.sqrt(rest) if i == j else rest / out[index][j, j]
    return out


def _lower(term: Term, i: Label, j: Label) -> Term:
    return where(greater_equal(iota(i), iota(j)), term, 0)


def _halved_lower(term: Term, i: Label, j: Label) -> Term:
    """Φ: the lower triangle, the diagonal halved."""
    return _lower(term - HALF * term * delta(i, j), i, j)


@register
class _SolveTriangular(ArrayAtom):
    """L^-1 B, or L^-T B, for lower triangular L. Attributes: (transposed, vector)."""

    name = "solve_triangular"
    latex = "{0}^{{-1}}{1}"

    def shape(self, arguments, attributes):
        return arguments[1].shape

    def facts(self, node):
        factor, right = node.children
        transposed, vector = node.attributes
        known = matrix_facts(right)
        return {"lower"} if not vector and not transposed and "lower" in known and factor.shape[-2:] == right.shape[-2:] else set()

    def vjp(self, node, adjoint):
        factor, right = node.children
        transposed, vector = node.attributes
        axes = axes_of(node)
        gb = read_own(solve_triangular(factor, tensor(adjoint, axes), attributes=(not transposed, vector)))
        x = read_own(node)
        n_axis = axes[-1] if vector else axes[-2]
        i, j = axes_of(factor)[-2:]
        row, column = _far(n_axis.dim, 0, (gb, x)), _far(n_axis.dim, 1, (gb, x))
        term = -contract([] if vector else [axes[-1]], [(rename(gb, {n_axis: row}), 1), (rename(x, {n_axis: column}), 1)])
        matrix = Matrix(term, column, row) if transposed else Matrix(term, row, column)
        return (_lower(matrix.on(i, j), i, j), gb)

    def jvp(self, node, tangents):
        factor, _ = node.children
        transposed, vector = node.attributes
        axes = axes_of(node)
        right = tangents[1]
        if tangents[0] is not None:
            i, j = axes_of(factor)[-2:]
            df = Matrix(_lower(tangents[0], i, j), i, j)
            df = df.T if transposed else df
            x = read_own(node)
            n_axis = axes[-1] if vector else axes[-2]
            row, column = _far(n_axis.dim, 0, (df.term, x)), _far(n_axis.dim, 1, (df.term, x))
            moved = rename(contract([column], [(df.on(row, column), 1), (rename(x, {n_axis: column}), 1)]), {row: n_axis})
            right = -moved if right is None else right - moved
        return read_own(solve_triangular(factor, tensor(right, axes), attributes=(transposed, vector)))

    def numpy(self, attributes, factor, b):
        transposed, vector = attributes
        factor = np.tril(factor)
        return _Solve.numpy((transposed, vector), factor, b)

    def mpmath(self, attributes, factor, b):
        n = factor.shape[-1]
        return _Solve.mpmath(attributes, factor * np.tril(np.ones((n, n), dtype=int)), b)


solve_triangular = _SolveTriangular

