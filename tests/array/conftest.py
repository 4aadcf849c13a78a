"""Every case is a function of a module (NumPy or symvi) and arrays; symvi is evaluated by the reference interpreter."""

from __future__ import annotations

import numpy as np
import pytest

import symvi as sv
from symvi.array.expression import array_of, as_expr
from symvi.expr.dims import Dim
from symvi.expr.nodes import Input, postorder
from symvi.oracle.interpreter import evaluate_one

NAMES = {0: "Z", 2: "K", 3: "N", 4: "D", 5: "T", 6: "M"}  # the size of a named dim; 1 stays a literal 1
DIMS = {size: sv.dim(name) for size, name in NAMES.items()}
SIZES = {name: size for size, name in NAMES.items()}


def value_of(expression, values=None, sizes=SIZES):
    """The value of an expression in the user's shape."""
    array = array_of(expression)
    given = {key.leaf: value for key, value in (values or {}).items()}
    anonymous = {
        node.leaf: node.leaf.attributes["value"]
        for node in postorder((array,))
        if isinstance(node, Input) and "value" in node.leaf.attributes
    }
    found = evaluate_one(array, {**anonymous, **given}, sizes)
    return found.reshape([dim.size(sizes) for dim in expression.shape])


def leaf_for(name, array):
    """A data leaf for an array: named dims for its extents."""
    dtype = {"f": float, "i": int, "b": bool}[array.dtype.kind]
    return sv.data(name, *(Dim(1) if n == 1 else DIMS.get(n, n) for n in array.shape), dtype=dtype)


def same(found, expression, expected):
    """Shape, kind and values."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape, f"shape {found.shape}, NumPy {expected.shape}, of {expression}"
    assert expression.kind == expected.dtype.kind, f"kind {expression.kind}, NumPy {expected.dtype.kind}, of {expression}"
    np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=1e-11, atol=1e-11, err_msg=str(expression))


def compare(case, *arrays, named=True):
    """`case(module, *arrays)` on named dims and on anonymous arrays of literal extents, against NumPy."""
    arrays = [np.asarray(a) for a in arrays]
    with np.errstate(all="ignore"):
        expected = case(np, *arrays)
    if named:
        compare_named(case, arrays, expected)
    literal = case(sv, *(as_expr(a) for a in arrays))
    same(value_of(literal), literal, expected)


def compare_named(case, arrays, expected):
    """On leaves whose dims are named sizes."""
    leaves = [leaf_for(f"x{k}", a) for k, a in enumerate(arrays)]
    symbolic = case(sv, *leaves)
    same(value_of(symbolic, dict(zip(leaves, arrays, strict=True))), symbolic, expected)


@pytest.fixture(scope="session")
def agrees():
    return compare


@pytest.fixture(scope="session")
def value():
    return value_of
