"""`@`, einsum and their kin, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

rng = np.random.default_rng(2)


def array(*shape):
    return rng.normal(size=shape)


MATMUL = [
    ((4,), (4,)), ((3, 4), (4,)), ((3,), (3, 4)), ((3, 4), (4, 5)), ((3, 3), (3, 3)), ((2, 3, 4), (4,)), ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((3, 4), (2, 4, 5)), ((4,), (2, 4, 5)), ((2, 3, 4), (1, 4, 5)), ((1, 3, 4), (2, 4, 5)), ((5, 1, 3, 4), (2, 4, 3)),
    ((2, 3, 3), (2, 3, 3)),
    ((5, 2, 3, 4), (5, 2, 4, 3)), ((1, 4), (4, 1)), ((1,), (1,)), ((3, 1), (1, 4)), ((3, 0), (0, 4)), ((0, 4), (4, 2)), ((0,), (0,)),
    ((1, 1), (1, 1)),
    ((3, 1), (1,)), ((1,), (1, 4)), ((3, 3, 3), (3, 3, 3)), ((2, 2), (2,)), ((6, 5), (5, 6)),
]  # fmt: skip


@pytest.mark.parametrize("left, right", MATMUL)
def test_matmul(agrees, left, right):
    agrees(lambda m, a, b: a @ b, array(*left), array(*right))
    agrees(lambda m, a, b: m.matmul(a, b), array(*left), array(*right))


def test_matmul_of_integers(agrees):
    agrees(lambda m, a, b: a @ b, np.arange(6).reshape(2, 3), np.arange(3))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_matmul_of_any_ranks(agrees, data):
    extent = st.sampled_from([0, 1, 2, 3])
    n, k, m = (data.draw(extent) for _ in range(3))
    batch = data.draw(st.lists(extent, max_size=2))
    left = [data.draw(st.sampled_from([b, 1])) for b in batch][data.draw(st.integers(0, len(batch))) :]
    right = [data.draw(st.sampled_from([b, 1])) for b in batch][data.draw(st.integers(0, len(batch))) :]
    a = array(*left, n, k) if left or data.draw(st.booleans()) else array(k)
    b = array(*right, k, m) if right or data.draw(st.booleans()) else array(k)
    agrees(lambda m, a, b: a @ b, a, b)


EINSUM = {
    "i,i->": ((4,), (4,)), "i,i": ((4,), (4,)), "i,j->ij": ((3,), (4,)), "i,j": ((3,), (4,)), "ij->ji": ((3, 4),), "ij->": ((3, 4),),
    "ij->i": ((3, 4),),
    "ij->j": ((3, 4),), "ba": ((3, 4),), "ii->": ((3, 3),), "ii": ((3, 3),), "ii->i": ((3, 3),), "ij,jk->ik": ((3, 4), (4, 5)),
    "ij,jk": ((3, 4), (4, 5)),
    "ij,kj->ik": ((3, 4), (5, 4)), "ij,ij->": ((3, 4), (3, 4)), "ij,ij->ij": ((3, 4), (3, 4)), "ij,j->i": ((3, 4), (4,)),
    "ij,i->ij": ((3, 4), (3,)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)), "bij,jk->bik": ((2, 3, 4), (4, 5)),
    "ijk,ilm,njm,nlk,abc->": ((2, 3, 4), (2, 5, 6), (3, 3, 6), (3, 5, 4), (2, 2, 2)),
    "i,ij,j->": ((3,), (3, 4), (4,)), "ni,ij,nj->n": ((5, 3), (3, 4), (5, 4)), "nd,md->nm": ((3, 4), (5, 4)), "ijk->kij": ((2, 3, 4),),
    "iij->j": ((3, 3, 4),),
    "iji->j": ((3, 4, 3),), "iij->ij": ((3, 3, 4),), "ii,jj->": ((3, 3), (4, 4)), "ii,jj->ij": ((3, 3), (4, 4)),
    "...ij,...jk->...ik": ((2, 3, 4), (2, 4, 5)),
    "...ij,jk->...ik": ((6, 2, 3, 4), (4, 5)), "...i,...i->...": ((2, 3, 4), (3, 4)), "i...->...i": ((2, 3, 4),), "...": ((2, 3),),
    "...i->...": ((2, 3),),
    "...ii->...i": ((2, 3, 3),), "...ij,...jk": ((2, 3, 4), (1, 4, 5)), "i...,i...": ((3, 4), (3, 4)),
    "ij...,jk...->ik...": ((2, 3, 5), (3, 4, 5)),
    "...,...": ((3, 4), (4,)), "...,...->...": ((2, 1, 4), (3, 1)), "i,i,i->i": ((4,), (4,), (4,)), "aab,b->a": ((3, 3, 4), (4,)),
    "i , j -> i j": ((3,), (4,)),
    ",": ((), ()), ",i->i": ((), (3,)), "ij,ij,jk->ik": ((3, 4), (3, 4), (4, 2)), "abcd,cd->ab": ((2, 3, 4, 5), (4, 5)),
    "a,ab,bc,cd->d": ((2,), (2, 3), (3, 4), (4, 5)),
    "eb,cb,fb->cef": ((3, 2), (4, 2), (5, 2)), "dd,fb,be,cdb->cef": ((4, 4), (5, 2), (2, 3), (4, 4, 2)),
    "bca,cdb,dbf,afc->": ((2, 3, 4), (3, 5, 2), (5, 2, 6), (4, 6, 3)),
    "efc,dbc,acf,fd->abe": ((2, 3, 4), (5, 6, 4), (2, 4, 3), (3, 5)), "dba,ead,cad->bce": ((5, 3, 2), (4, 2, 5), (6, 2, 5)),
    "cc,fb,b->f": ((3, 3), (4, 2), (2,)),
}  # fmt: skip


@pytest.mark.parametrize("subscripts", EINSUM)
def test_einsum(agrees, subscripts):
    agrees(lambda m, *operands: m.einsum(subscripts, *operands), *(array(*shape) for shape in EINSUM[subscripts]))


@pytest.mark.parametrize("subscripts", ["ij,jk->ik", "ij->j", "ii->i", "...ij,...jk->...ik", "i,j->ij", "ij,ij->"])
@pytest.mark.parametrize("extent", [0, 1])
def test_einsum_of_extents_0_and_1(agrees, subscripts, extent):
    operands = [array(*[extent] * len(letters.replace("...", ""))) for letters in subscripts.split("->")[0].split(",")]
    agrees(lambda m, *arrays: m.einsum(subscripts, *arrays), *operands)


def test_einsum_broadcasts_extents_of_1(agrees):
    agrees(lambda m, a, b: m.einsum("ij,ij->i", a, b), array(3, 4), array(3, 1))
    agrees(lambda m, a, b: m.einsum("ij,jk->ik", a, b), array(3, 1), array(4, 5))
    agrees(lambda m, a, b: m.einsum("ij,ij->ij", a, b), array(1, 4), array(3, 1))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_einsum_of_random_subscripts(agrees, data):
    extents = dict(zip("abcde", [2, 3, 4, 3, 1], strict=True))
    letters = st.text("abcde", max_size=3)
    inputs = data.draw(st.lists(letters, min_size=1, max_size=3))
    used = sorted(set("".join(inputs)))
    output = "".join(data.draw(st.permutations(used)))[: data.draw(st.integers(0, len(used)))]
    agrees(
        lambda m, *arrays: m.einsum(f"{','.join(inputs)}->{output}", *arrays),
        *(array(*(extents[letter] for letter in word)) for word in inputs),
    )


PRODUCTS = {
    "dot of vectors": (lambda m, a, b: m.dot(a, b), array(4), array(4)),
    "dot of matrices": (lambda m, a, b: m.dot(a, b), array(3, 4), array(4, 5)),
    "dot of matrix and vector": (lambda m, a, b: a.dot(b), array(3, 4), array(4)),
    "dot with a number": (lambda m, a, b: m.dot(a, b), array(3, 4), array()),
    "dot of three axes": (lambda m, a, b: m.dot(a, b), array(2, 3, 4), array(5, 4, 3)),
    "dot of three axes and a vector": (lambda m, a, b: m.dot(a, b), array(2, 3, 4), array(4)),
    "outer": (lambda m, a, b: m.outer(a, b), array(3), array(4)),
    "outer of matrices": (lambda m, a, b: m.outer(a, b), array(2, 3), array(4)),
    "outer with an extent of 1": (lambda m, a, b: m.outer(a, b), array(1), array(4)),
    "inner of vectors": (lambda m, a, b: m.inner(a, b), array(4), array(4)),
    "inner of matrices": (lambda m, a, b: m.inner(a, b), array(3, 4), array(5, 4)),
    "inner with a number": (lambda m, a, b: m.inner(a, b), array(3), array()),
    "vdot": (lambda m, a, b: m.vdot(a, b), array(3, 4), array(3, 4)),
    "kron": (lambda m, a, b: m.kron(a, b), array(2, 3), array(4, 5)),
    "kron of vectors": (lambda m, a, b: m.kron(a, b), array(2), array(3)),
    "kron with extents of 1": (lambda m, a, b: m.kron(a, b), array(1, 3), array(4, 1)),
    "kron of matrix and vector": (lambda m, a, b: m.kron(a, b), array(2, 3), array(4)),
    "trace": (lambda m, a: m.trace(a), array(3, 3)),
    "trace of a product": (lambda m, a, b: m.trace(a @ b), array(3, 4), array(4, 3)),
    "trace of one number": (lambda m, a: m.trace(a), array(1, 1)),
    "tensordot": (lambda m, a, b: m.tensordot(a, b), array(2, 3, 4), array(3, 4, 5)),
    "tensordot over one axis": (lambda m, a, b: m.tensordot(a, b, 1), array(2, 3), array(3, 5)),
    "tensordot over none": (lambda m, a, b: m.tensordot(a, b, 0), array(2), array(3)),
    "tensordot over pairs": (lambda m, a, b: m.tensordot(a, b, ((0, 1), (1, 0))), array(2, 3, 4), array(3, 2, 5)),
    "tensordot over a pair": (lambda m, a, b: m.tensordot(a, b, (1, 0)), array(2, 3), array(3, 5)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(agrees, name):
    case, *arrays = PRODUCTS[name]
    agrees(case, *arrays)
