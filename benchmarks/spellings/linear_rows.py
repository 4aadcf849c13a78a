"""Rows of linear algebra: expressions as a user would type them, and what PyTensor 3.3.7 makes of them.

A letter says what a leaf is (`LEAVES`). `f` is a namespace of functions: symvi's, or plain ones on arrays of mpmath numbers. In the
form "batch" the square matrices get a leading axis; so rows write `.mT` for a transpose. `other` is the row with commutative operands
exchanged. `shows` names what must be left of the array atoms, value and gradients together, or "-" for none. `batch=False` is for rows
that NumPy's rules do not let act on stacks of matrices.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Row", "Leaf", "LEAVES", "ROWS"]


class Leaf(NamedTuple):
    """What a letter stands for: a sort of matrix or vector, its extents by name, and whether a batch gets one per element."""

    sort: str
    shape: tuple[str, ...]
    stacked: bool = False


LEAVES = {
    **dict.fromkeys("ACE", Leaf("general", ("M", "M"), True)),
    **dict.fromkeys("GH", Leaf("general", ("N", "N"), True)),
    **dict.fromkeys("KS", Leaf("spd", ("M", "M"), True)),
    "J": Leaf("spd", ("N", "N"), True),
    "L": Leaf("lower", ("M", "M"), True),
    "Q": Leaf("orthogonal", ("M", "M"), True),
    **dict.fromkeys("bxy", Leaf("vector", ("M",))),
    "d": Leaf("positive", ("M",)),
    "e": Leaf("vector", ("M",)),
    "X": Leaf("rectangular", ("M", "N")),
    "W": Leaf("rectangular", ("M", "R")),
    "T": Leaf("rectangular", ("R", "M", "N")),
    "v": Leaf("vector", ("MN",)),
    "u": Leaf("vector", ("M+N",)),
    "c": Leaf("scalar", ()),
    "s": Leaf("positive", ()),
}


@dataclass(frozen=True)
class Row:
    """One spelling. `shows` is a set of names of array atoms, separated by spaces."""

    name: str
    build: Callable
    pytensor: str = ""
    shows: str | None = None
    other: Callable | None = None
    batch: bool = True

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.build).parameters)[1:]


MATCH, LEFT = "as wished", "left as is"

INVERSES = (
    Row("inv(A) @ b", lambda f, A, b: f.inv(A) @ b, MATCH, "solve"),
    Row("inv(K) @ b", lambda f, K, b: f.inv(K) @ b, MATCH, "solve"),
    Row("inv(A) @ W", lambda f, A, W: f.inv(A) @ W, MATCH, "solve"),
    Row("b @ inv(A)", lambda f, A, b: b @ f.inv(A), MATCH, "solve"),
    Row("inv(A)' @ b", lambda f, A, b: f.inv(A).mT @ b, MATCH, "solve"),
    Row("inv(A') @ b", lambda f, A, b: f.inv(A.mT) @ b, MATCH, "solve"),
    Row("b' inv(K) b", lambda f, K, b: b @ f.inv(K) @ b, MATCH, "solve"),
    Row("x' inv(A) y", lambda f, A, x, y: x @ f.inv(A) @ y, MATCH, "solve"),
    Row("sum(b * (inv(K) @ b))", lambda f, K, b: f.sum(b * (f.inv(K) @ b), -1), MATCH, "solve",
        lambda f, K, b: f.sum((f.inv(K) @ b) * b, -1)),
    Row("b' solve(K, b)", lambda f, K, b: f.sum(b * f.solve(K, b), -1), MATCH, "solve"),
    Row("inv inv A", lambda f, A: f.inv(f.inv(A)), MATCH, "-"),
    Row("inv(A)", lambda f, A: f.inv(A)),
    Row("inv(K)", lambda f, K: f.inv(K)),
    Row("A inv(A)", lambda f, A: A @ f.inv(A), LEFT, "-"),
    Row("inv(A) A", lambda f, A: f.inv(A) @ A, LEFT, "-"),
    Row("inv(A) A b", lambda f, A, b: f.inv(A) @ A @ b, LEFT, "-"),
    Row("solve(A, A)", lambda f, A: f.solve(A, A), LEFT, "-"),
    Row("A solve(A, b)", lambda f, A, b: A @ f.solve(A, b), LEFT, "-", batch=False),
    Row("A solve(A, W)", lambda f, A, W: A @ f.solve(A, W), LEFT, "-"),
    Row("A' solve(A', b)", lambda f, A, b: A.mT @ f.solve(A.mT, b), LEFT, "-", batch=False),
    Row("solve(A, A b)", lambda f, A, b: f.solve(A, A @ b), LEFT, "-", batch=False),
    Row("solve(A, A W)", lambda f, A, W: f.solve(A, A @ W), LEFT, "-"),
    Row("inv(A C) b", lambda f, A, C, b: f.inv(A @ C) @ b, LEFT, "solve"),
    Row("inv(A C)", lambda f, A, C: f.inv(A @ C), LEFT),
    Row("inv(A A') b", lambda f, A, b: f.inv(A @ A.mT) @ b, LEFT, "solve"),
    Row("inv(c A) b", lambda f, A, c, b: f.inv(c * A) @ b, LEFT, "solve", lambda f, A, c, b: f.inv(A * c) @ b),
    Row("inv(c A)", lambda f, A, c: f.inv(c * A), LEFT, None, lambda f, A, c: f.inv(A * c)),
    Row("solve(A, c W)", lambda f, A, c, W: f.solve(A, c * W), LEFT, "solve", lambda f, A, c, W: f.solve(A, W * c)),
    Row("x' solve(K, b) + y' solve(K, 2 b)", lambda f, K, b, x, y: f.sum(x * f.solve(K, b) + y * f.solve(K, 2 * b), -1), LEFT, "solve",
        lambda f, K, b, x, y: f.sum(f.solve(K, b * 2) * y + f.solve(K, b) * x, -1)),
    Row("inv(K) @ stack of right sides", lambda f, K, T: f.inv(K)[..., None, :, :] @ T, LEFT, "solve"),
    Row("inv(A) (C - A) inv(C)", lambda f, A, C: f.inv(A) @ (C - A) @ f.inv(C), LEFT, "solve",
        lambda f, A, C: f.inv(A) @ (-A + C) @ f.inv(C)),
    Row("solve(A, solve(C, b))", lambda f, A, C, b: f.solve(A, f.solve(C, b)[..., None]), LEFT, "solve"),
    Row("diag(inv K)", lambda f, K: f.diagonal(f.inv(K)), LEFT),
    Row("trace(inv(K) S)", lambda f, K, S: f.trace(f.inv(K) @ S), LEFT, "solve"),
    Row("solve(X X' + I, b)", lambda f, X, b: f.solve(X @ X.mT + f.eye(X), b), MATCH, None,
        lambda f, X, b: f.solve(f.eye(X) + X @ X.mT, b)),
    Row("solve(K + s I, b)", lambda f, K, s, b: f.solve(K + s * f.eye(K), b), MATCH, None, lambda f, K, s, b: f.solve(f.eye(K) * s + K, b)),
    Row("solve(A + A', b)", lambda f, A, b: f.solve(A + A.mT, b), LEFT, "solve", lambda f, A, b: f.solve(A.mT + A, b)),
)

DETERMINANTS = (
    Row("logdet K", lambda f, K: f.logdet(K), LEFT, "logdet inverse"),
    Row("log det K", lambda f, K: f.log(f.det(K)), LEFT, "logdet inverse"),
    Row("log |det A|", lambda f, A: f.log(f.abs(f.det(A))), LEFT, "logdet inverse"),
    Row("slogdet K", lambda f, K: f.slogdet(K)[0] * f.slogdet(K)[1], LEFT, "logdet inverse",
        lambda f, K: f.slogdet(K)[1] * f.slogdet(K)[0]),
    Row("sign and log of slogdet A", lambda f, A: f.slogdet(A)[0] * f.slogdet(A)[1], LEFT),
    Row("logdet(S) + sum chol(S)", lambda f, S: f.logdet(S) + f.sum(f.cholesky(S), (-1, -2)), MATCH),
    Row("2 sum log diag chol K", lambda f, K: 2 * f.sum(f.log(f.diagonal(f.cholesky(K))), -1), MATCH, "logdet inverse"),
    Row("logdet(inv A)", lambda f, A: f.logdet(f.inv(A)), MATCH, "logdet inverse"),
    Row("logdet(L L')", lambda f, L: f.logdet(L @ L.mT), LEFT, "-"),
    Row("logdet L", lambda f, L: f.logdet(L), MATCH, "-"),
    Row("logdet(A A')", lambda f, A: f.logdet(A @ A.mT), LEFT, "logdet inverse"),
    Row("log det diag(d)", lambda f, d: f.log(f.det(f.diag(d))), LEFT, "-"),
    Row("logdet(A C)", lambda f, A, C: f.logdet(A @ C), LEFT, "logdet inverse"),
    Row("logdet(c A)", lambda f, A, c: f.logdet(c * A), LEFT, "logdet inverse", lambda f, A, c: f.logdet(A * c)),
    Row("logdet(exp(c) K)", lambda f, K, c: f.logdet(f.exp(c) * K), LEFT, "logdet inverse", lambda f, K, c: f.logdet(K * f.exp(c))),
    Row("logdet(diag(d) A diag(d))", lambda f, A, d: f.logdet(f.diag(d) @ A @ f.diag(d)), LEFT, "logdet inverse"),
    Row("logdet(A')", lambda f, A: f.logdet(A.mT), LEFT, "logdet inverse"),
    Row("logdet(inv(K) S)", lambda f, K, S: f.logdet(f.inv(K) @ S), LEFT, "logdet inverse"),
    Row("det A", lambda f, A: f.det(A)),
    Row("det(A')", lambda f, A: f.det(A.mT), LEFT, "det inverse"),
    Row("det(c A)", lambda f, A, c: f.det(c * A), LEFT, "det inverse", lambda f, A, c: f.det(A * c)),
    Row("det(-A)", lambda f, A: f.det(-A), LEFT, "det inverse"),
    Row("det(A C)", lambda f, A, C: f.det(A @ C), LEFT, "det inverse"),
    Row("det(inv A)", lambda f, A: f.det(f.inv(A)), MATCH, "det inverse"),
)

STRUCTURED = (
    Row("slogdet(block_diag(A, G))", lambda f, A, G: f.slogdet(f.block_diag(A, G))[1], "-inf for 1e-3 I", "logdet inverse"),
    Row("slogdet(kron(A, G))", lambda f, A, G: f.slogdet(f.kron(A, G))[1], "-inf for 1e-3 I", "logdet inverse"),
    Row("log det block_diag(K, J)", lambda f, K, J: f.log(f.det(f.block_diag(K, J))), LEFT, "logdet inverse"),
    Row("log det kron(K, J)", lambda f, K, J: f.log(f.det(f.kron(K, J))), LEFT, "logdet inverse"),
    Row("det(kron(A, G))", lambda f, A, G: f.det(f.kron(A, G)), MATCH, "det inverse"),
    Row("det(block_diag(A, G))", lambda f, A, G: f.det(f.block_diag(A, G)), MATCH, "det inverse"),
    Row("chol(kron(K, J))", lambda f, K, J: f.cholesky(f.kron(K, J)), MATCH, "cholesky solve_triangular"),
    Row("chol(block_diag(K, J))", lambda f, K, J: f.cholesky(f.block_diag(K, J)), LEFT),
    Row("inv(kron(A, G))", lambda f, A, G: f.inv(f.kron(A, G)), MATCH),
    Row("inv(kron(A, G)) v", lambda f, A, G, v: f.inv(f.kron(A, G)) @ v, "loses the factors", "solve"),
    Row("inv(block_diag(A, G)) u", lambda f, A, G, u: f.inv(f.block_diag(A, G)) @ u, MATCH, "solve concatenate"),
    Row("inv(block_diag(A, G))", lambda f, A, G: f.inv(f.block_diag(A, G)), LEFT),
    Row("solve(kron(A, G), v)", lambda f, A, G, v: f.solve(f.kron(A, G), v), LEFT, "solve"),
    Row("solve(kron(K, J), v)", lambda f, K, J, v: f.solve(f.kron(K, J), v), LEFT, "solve"),
    Row("solve(block_diag(A, G), u)", lambda f, A, G, u: f.solve(f.block_diag(A, G), u), MATCH, "solve concatenate"),
    Row("kron(A, G) v", lambda f, A, G, v: f.kron(A, G) @ v, LEFT, "-"),
    Row("v kron(A, G)", lambda f, A, G, v: v @ f.kron(A, G), LEFT, "-"),
    Row("v' kron(A, G) v", lambda f, A, G, v: v @ f.kron(A, G) @ v, LEFT, "-"),
    Row("v' inv(kron(K, J)) v", lambda f, K, J, v: v @ f.inv(f.kron(K, J)) @ v, LEFT, "solve"),
    Row("kron(A, G) kron(C, H)", lambda f, A, G, C, H: f.kron(A, G) @ f.kron(C, H), LEFT, "-"),
    Row("block_diag(A, G) u", lambda f, A, G, u: f.block_diag(A, G) @ u, LEFT, "concatenate"),
    Row("u' block_diag(A, G) u", lambda f, A, G, u: u @ f.block_diag(A, G) @ u, LEFT),
    Row("trace(kron(A, G))", lambda f, A, G: f.trace(f.kron(A, G)), LEFT, "-"),
    Row("trace(block_diag(A, G))", lambda f, A, G: f.trace(f.block_diag(A, G)), LEFT, "-"),
    Row("logdet(kron(K, J) + s I)", lambda f, K, J, s: f.logdet(f.kron(K, J) + s * f.eye(f.kron(K, J))), LEFT),
    Row("solve(block_diag(K, J) + s I, u)", lambda f, K, J, s, u: f.solve(f.block_diag(K, J) + s * f.eye(f.block_diag(K, J)), u), LEFT),
    Row("chol(chol(S) chol(S)')", lambda f, S: f.cholesky(f.cholesky(S) @ f.cholesky(S).mT), MATCH, "cholesky solve_triangular"),
    Row("chol(tril(A) tril(A)')", lambda f, A: f.cholesky(f.tril(A) @ f.tril(A).mT), LEFT, "-"),
    Row("chol(L L'), any signs", lambda f, L: f.cholesky(L @ L.mT), "L, wrong for negative diagonals", "-"),
    Row("chol(diag(d))", lambda f, d: f.cholesky(f.diag(d)), MATCH, "-"),
    Row("chol(s K)", lambda f, K, s: f.cholesky(s * K), LEFT, "cholesky solve_triangular", lambda f, K, s: f.cholesky(K * s)),
    Row("tril(tril(A))", lambda f, A: f.tril(f.tril(A)), LEFT, "-"),
    Row("inv(L)", lambda f, L: f.inv(L), MATCH),
    Row("inv(L) b", lambda f, L, b: f.inv(L) @ b, MATCH, "solve"),
    Row("solve(L, b)", lambda f, L, b: f.solve(L, b), MATCH, "solve"),
    Row("solve(L', b)", lambda f, L, b: f.solve(L.mT, b), MATCH, "solve"),
    Row("solve(triu(A), b)", lambda f, A, b: f.solve(f.triu(A), b), LEFT, "solve"),
    Row("solve(L L', b)", lambda f, L, b: f.solve(L @ L.mT, b), LEFT, "solve"),
    Row("diag(d) A", lambda f, A, d: f.diag(d) @ A, MATCH, "-"),
    Row("inv(diag(d)) b", lambda f, d, b: f.inv(f.diag(d)) @ b, MATCH, "-"),
    Row("solve(diag(d) A, b)", lambda f, A, d, b: f.solve(f.diag(d) @ A, b), LEFT, "solve"),
    Row("inv(diag(d) A diag(d)) b", lambda f, A, d, b: f.inv(f.diag(d) @ A @ f.diag(d)) @ b, LEFT, "solve"),
    Row("inv(Q) b, Q orthogonal", lambda f, Q, b: f.inv(Q) @ b, MATCH, "-"),
    Row("Q Q' b, Q orthogonal", lambda f, Q, b: Q @ Q.mT @ b, MATCH, "-"),
    Row("logdet Q + b' b, Q orthogonal", lambda f, Q, b: f.logdet(Q) + f.sum(b * b, -1), LEFT, "-"),
)

PRODUCTS = (
    Row("diag(A C)", lambda f, A, C: f.diagonal(A @ C), MATCH, "-"),
    Row("trace(A C)", lambda f, A, C: f.trace(A @ C), MATCH, "-"),
    Row("b' A' A b", lambda f, A, b: f.sum(b @ A.mT * (A @ b), -1), LEFT, "-", lambda f, A, b: f.sum((A @ b) * (b @ A.mT), -1)),
    Row("b' (A' (A b))", lambda f, A, b: f.sum(b * (A.mT @ (A @ b)[..., None])[..., 0], -1), LEFT, "-"),
    Row("x' A' x + sum(A x) + sum(A' x)", lambda f, A, x: x @ A.mT @ x + f.sum(A @ x + A.mT @ x, -1), LEFT, "-"),
    Row("(A C)' b", lambda f, A, C, b: (A @ C).mT @ b, MATCH, "-"),
)

ROWS = (*INVERSES, *DETERMINANTS, *STRUCTURED, *PRODUCTS)
