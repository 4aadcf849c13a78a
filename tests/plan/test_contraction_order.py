"""Orders of summation: exact against brute force, counted in planned operations, equal in value, guarded."""

from __future__ import annotations

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symvi as sv
from symvi.array.expression import array_of, as_expr
from symvi.expr.build import add, constant, contract, read, surrogate
from symvi.expr.dims import dim
from symvi.expr.labels import Label
from symvi.expr.nodes import Contract, postorder
from symvi.fit.function import output_of
from symvi.fit.pipeline import Request, lower_request
from symvi.oracle.pass_check import PassError, check_pass
from symvi.plan import common_factors, held_products
from symvi.plan.clusters import Cluster, Sizes
from symvi.plan.common_factors import factor_sums
from symvi.plan.contraction_order import Builder, order_contractions
from symvi.plan.networks import Uses, gather
from symvi.plan.products import arrange_products
from symvi.plan.program import Region
from symvi.plan.tree_search import EXACT, STORING, Forest, TreeSearch
from symvi.report.cost import cost_of

LETTERS = "abcdefghkijl"
EMPTY = np.zeros((1, 1))
N, M, K = sv.dims("N M K")
A, B, C = sv.param("A", M, N, init=EMPTY), sv.param("B", N, K, init=EMPTY), sv.param("C", N, K, init=EMPTY)
S, R = sv.param("S", N, N, init=EMPTY), sv.param("R", M, M, init=EMPTY)
b, x, y = sv.param("b", K), sv.param("x", N), sv.param("y", M)


def product(equation: str, sizes: dict[str, int] | None = None):
    """The one contraction of an equation such as `ab,bc->ac`, of named dims, known ones if sizes are given."""
    left, _, right = equation.partition("->")
    labels = {letter: Label(dim(letter, (sizes or {}).get(letter)), 0) for letter in LETTERS}
    operands = []
    for number, letters in enumerate(left.split(",")):
        axes = tuple(labels[letter] for letter in letters)
        leaf = sv.param(f"p{number}", *(axis.dim for axis in axes), init=np.zeros((1,) * len(axes)))
        operands.append((read(array_of(leaf), axes), 1))
    return contract({labels[letter] for letter in set(left) - {","} - set(right)}, operands)


def search_in(term, sizes: dict[str, int] | None = None) -> TreeSearch:
    return TreeSearch(Forest(gather(term, set())), lambda label: label.dim.size(sizes or {}))


# ---------------------------------------------------------------------------------------------------------- brute force
def partitions(items: tuple) -> list[list[tuple]]:
    if not items:
        return [[]]
    found = []
    for size in range(len(items)):
        for rest in itertools.combinations(items[1:], size):
            part = (items[0], *rest)
            found += [[part, *others] for others in partitions(tuple(item for item in items if item not in part))]
    return found


def cheapest(operands: tuple[str, ...], outside: frozenset, size: dict[str, int]) -> float:
    """The least cost over all trees whose inner nodes are sums that tie their operands; `operands` are the letters of each."""

    def after(part: tuple[str, ...]) -> frozenset:
        kept = outside.union(*(set(other) for other in operands if other not in part))
        return frozenset("".join(part)) & kept

    best = float("inf")
    for parts in partitions(operands):
        if len(parts) == 1 and len(operands) > 1:
            continue
        choices = []
        for part in parts:
            kept = after(part)
            below = cheapest(part, kept, size) if part != operands and is_tied(part, frozenset("".join(part)) - kept) else float("inf")
            choices.append([(below, kept)] + ([(0.0, frozenset(part[0]))] if len(part) == 1 else []))
        for choice in itertools.product(*choices):
            loops = frozenset().union(*(letters for _, letters in choice))
            result = after(operands)
            nest = len(parts) * prod(size[c] for c in loops) + STORING * prod(size[c] for c in result)
            best = min(best, nest + sum(cost for cost, _ in choice))
    return best


def is_tied(part: tuple[str, ...], summed: frozenset) -> bool:
    """Do the letters that are summed join all operands into one sum?"""
    reached = {part[0]}
    for _ in part:
        reached |= {other for other in part if any(set(other) & set(one) & summed for one in reached)}
    return bool(summed) and reached == set(part)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 60), min_size=3, max_size=6))
def test_chains_cost_what_the_best_bracketing_costs(lengths):
    letters = LETTERS[: len(lengths)]
    equation = ",".join(p + q for p, q in itertools.pairwise(letters)) + f"->{letters[0]}{letters[-1]}"
    size = dict(zip(letters, lengths, strict=True))
    found = search_in(product(equation), size).best()
    assert found.cost == cheapest(tuple(equation.partition("->")[0].split(",")), frozenset((letters[0], letters[-1])), size)


OPERAND = st.sets(st.sampled_from("abcde"), min_size=1, max_size=3)
OPERANDS = st.lists(OPERAND, min_size=2, max_size=4, unique_by=lambda letters: "".join(sorted(letters)))


@settings(max_examples=40, deadline=None)
@given(OPERANDS, st.sets(st.sampled_from("abcde"), max_size=2), st.lists(st.integers(1, 40), min_size=5, max_size=5))
def test_networks_cost_what_the_best_tree_costs(operands, kept, lengths):
    operands = tuple("".join(sorted(letters)) for letters in operands)
    equation = f"{','.join(operands)}->{''.join(kept & set(''.join(operands)))}"
    size = dict(zip("abcde", lengths, strict=True))
    for term in postorder([product(equation)]):
        if isinstance(term, Contract) and term.bound:
            reads = tuple("".join(sorted(str(label.dim) for label in child.labels)) for child in term.children)
            assert search_in(term, size).best().cost == cheapest(reads, frozenset(str(label.dim) for label in term.labels), size)


def test_eight_operands_are_searched_and_more_are_not_worse_than_typed():
    lengths = [2, 60, 3, 50, 4, 40, 5, 30, 6]
    dims = [sv.dim(f"d{i}", length) for i, length in enumerate(lengths)]
    matrices = [sv.param(f"W{i}", *dims[i : i + 2], init=np.zeros(lengths[i : i + 2])) for i in range(EXACT)]
    chain = matrices[0]
    for matrix in matrices[1:]:
        chain = chain @ matrix
    best = [[0] * EXACT for _ in range(EXACT)]
    for span in range(1, EXACT):
        for i in range(EXACT - span):
            j = i + span
            ways = (best[i][k] + best[k + 1][j] + 2 * lengths[i] * lengths[k + 1] * lengths[j + 1] for k in range(i, j))
            best[i][j] = min(ways) + STORING * lengths[i] * lengths[j + 1]
    assert total_cost(chain) == best[0][-1]
    e = sv.dim("e", 1000)
    long = chain @ sv.param("V", dims[8], e, init=np.zeros((6, 1000))) @ sv.param("v", e)
    from_the_right = sum((2 * p + STORING) * q for p, q in zip([*lengths[1:], 1000], lengths, strict=True))
    assert total_cost(long) <= from_the_right < 24_000, "less than a product with the long matrix"


def total_cost(expression) -> int:
    """The cost that the search finds for one value."""
    uses = Uses([as_expr(expression).term], postorder([as_expr(expression).term]))
    return Cluster(uses.all, uses).solve(Sizes(()), {}).cost(Sizes(()))


# ------------------------------------------------------------------------------------------------------ planned operations
AT = {"N": 70, "M": 80, "K": 90}
n, m, k = AT["N"], AT["M"], AT["K"]


def planned(bound, parameters=(), sizes=None):
    request = Request([output_of("value", as_expr(bound))])
    request.gradients = [array_of(parameter) for parameter in parameters]
    return lower_request(request, sizes)[1]


def flops(plan) -> float:
    return cost_of(plan).flops.at({name: AT[name] for name in ("N", "M", "K")})


Av, Sx = 2 * m * n, 2 * n * n
SPELLINGS = {
    # expression, parameters, operations allowed: those of the products that are needed, and what is linear in the sizes beside them
    "(A B) b": (sv.sum((A @ B @ b) ** 2), (), Av + 2 * n * k),
    "b' A' A b": (x @ A.T @ A @ x, (), Av),
    "b' (A' A) b": (x @ (A.T @ A) @ x, (), Av),
    "x' S x": (x @ S @ x, (), Sx),
    "x' S x and its gradients": (x @ S @ x, (x, S), 2 * Sx + n * n + n * n),
    "Σ S x x'": (sv.sum(S * x[:, None] * x[None, :]), (), Sx),
    "Σ S x x' and its gradient": (sv.sum(S * x[:, None] * x[None, :]), (x,), 2 * Sx),
    "trace(A S A')": (sv.trace(A @ S @ A.T), (), 2 * m * n * n + Av),
    "trace(A A')": (sv.trace(A @ A.T), (), Av),
    "diag(A A')": (sv.sum(sv.diag(A @ A.T)), (), Av),
    "diag(A B C' A')": (sv.sum(sv.diag(A @ B @ C.T @ A.T)), (), 4 * m * n * k + 3 * m * k),
    "y' A B b": (y @ (A @ (B @ C.T)) @ x, (), Av + 4 * n * k),
    "A B + A C": (sv.sum(sv.exp(A @ B + A @ C)), (), 2 * m * n * k + n * k + 30 * m * k),
    "(A B + A C) b": (sv.sum((A @ B @ b + A @ C @ b) ** 2), (), Av + 3 * n * k),
    "gradient of |A B b - y|²": (sv.sum((A @ B @ b - y) ** 2), (b,), 2 * Av + 4 * n * k),
    "gradients of |A B b - y|²": (sv.sum((A @ B @ b - y) ** 2), (A, B, b), 2 * Av + 4 * n * k + 4 * m * n + 4 * n * k),
    "gradient of a low-rank form": (x @ (B @ C.T) @ x, (x,), 8 * n * k),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_no_product_is_needless(name):
    bound, parameters, allowed = SPELLINGS[name]
    assert flops(planned(bound, parameters)) <= allowed + 20 * (n + m + k)


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_value_stays(name):
    bound, parameters, _ = SPELLINGS[name]
    before, after = arranged(bound, parameters)
    check_pass(before, after)


def arranged(bound, parameters=()):
    """The outputs of a bound before the pass and after it."""
    seen = []

    def noting(roots, plates, passes):
        found = arrange_products(roots, plates, passes)
        seen.append((list(roots), found[0]))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("symvi.plan.regions.arrange_products", noting)
        planned(bound, parameters)
    return seen[0]


@pytest.mark.parametrize("name", ["x' S x", "y' A b", "x' A' (A x)", "|A x|²"])
def test_what_is_typed_well_stays(name):
    bound = {"x' S x": x @ S @ x, "y' A b": y @ (A @ x), "x' A' (A x)": (A @ x) @ (A @ x), "|A x|²": sv.sum((A @ x) ** 2)}[name]
    before, after = arranged(bound)
    assert all(one is other for one, other in zip(before, after, strict=True))


EQUATIONS = """a,b,c-> ab,ab,c-> abc,abc-> ab,bc->ac ab,bc,cd->ad ab,bc,cd,de->ae abc,bcd->ad a,ab,abc->abc a,b,ab->ab
ea,fb,abcd,gc,hd->efgh abcd,cd,ab-> ab,ba-> abc,ac,b->a bdk,bac,kd->ac abcdef,bd->acef 
cdab,cd,ef,ab->ef abc,def,fda->bc eb,cb,fb->cef dd,fb,be,cdb->cef
bca,cdb,dbf,afc-> efc,dbc,acf,fd->abe ba,ac,da->bcd fdf,cdd,ccd,afe->ae abcd,ad ed,fcd,ff,bcf->be baa,dcf,af,cde->be""".split()


@pytest.mark.parametrize("equation", [equation for equation in EQUATIONS if "->" in equation])
def test_equations_keep_their_value_and_do_not_cost_more(equation):
    term = product(equation)
    ordered, changes = order_contractions([term])
    check_pass([term], ordered, trials=1)
    for change in changes:
        size = {name.name: 32 for dims in (change.flops_before, change.flops_after) for name in dims.names}
        assert change.flops_after.size(size) < change.flops_before.size(size)


# ----------------------------------------------------------------------------------------------------------------- guards
def test_the_guard_of_a_chain_is_an_inequality_between_dims():
    bound = sv.sum(sv.exp(A @ B @ C.T))
    narrow, wide = {"N": 1000, "M": 5, "K": 10}, {"N": 5, "M": 1000, "K": 10}
    left, right = planned(bound, sizes=narrow), planned(bound, sizes=wide)
    assert left.guards and right.guards
    assert all(guard.at(narrow) for guard in left.guards) and all(guard.at(wide) for guard in right.guards)
    short, long = {"N": 4, "M": 500, "K": 500}, {"N": 500, "M": 4, "K": 500}
    costs = {str(sizes): cost_of(planned(bound, sizes=sizes)).flops for sizes in (short, long)}
    assert costs[str(short)].at(short) < 0.5 * costs[str(long)].at(short), "each size has its order"
    assert not all(guard.at(short) for guard in planned(bound, sizes=long).guards), "and the guard tells them apart"


def test_where_one_order_is_best_at_all_sizes_there_is_no_guard():
    plan = planned(sv.sum((A @ B @ b - y) ** 2), [b])
    assert not plan.guards and plan.reorderings
    assert all(str(change.flops_after) and change.before is not change.after for change in plan.reorderings)


# -------------------------------------------------------------------------------------------------------- passes, factors
X, t = sv.data("X", N, M), sv.data("t", N)


def passes(plan) -> int:
    return sum(isinstance(step, Region) and step.plate is not None for step in plan.steps)


def test_a_reordering_adds_no_pass():
    c = sv.exp(t)
    plan = planned(sv.sum(c * (X @ y)) + sv.sum((X @ y) ** 2), [y])
    assert passes(plan) == 1


def test_a_square_of_the_plate_is_worth_a_pass():
    plan = planned(sv.sum(sv.tanh(X @ X.T @ t)), [])
    assert cost_of(plan).flops.degree("N") == 1 and passes(plan) == 2


def test_a_scalar_leaves_the_sum_over_the_plate():
    draws = sv.dim("draws")
    w = y + sv.noise("e", draws, M)
    before, after = arranged(sv.sum(t * (w @ X.T) - sv.softplus(w @ X.T)) / draws, [y])
    over_rows = [node for node in postorder(after) if any(label.dim == N for label in getattr(node, "bound", ()))]
    assert over_rows and not any("draws" in str(child) for node in over_rows for child in node.children if not child.labels)
    check_pass(before, after)


def test_arrays_summed_with_data_lie_along_its_rows():
    draws = sv.dim("draws")
    w = y + sv.exp(y) * sv.noise("e", draws, M)
    plan = planned(sv.sum(t * (w @ X.T) - sv.softplus(w @ X.T)) / draws, [y])
    tables = [buffer for buffer in plan.buffers if buffer.role == "temporary" and set(buffer.dims) == {draws, M}]
    assert len(tables) == 2 and all(buffer.dims[-1] == M for buffer in tables), "the draws, and their adjoint"


def test_a_responsibility_is_divided_once_per_row():
    mu = sv.param("mu", K, M, init=EMPTY)
    bound = sv.sum(sv.logsumexp(-sv.sum((X[:, None, :] - mu) ** 2, axis=2), axis=1))
    before, after = arranged(bound, [mu])
    check_pass(before, after)
    dividing = [node for node in postorder(after) if isinstance(node, Contract) and -1 in node.payload[1]]
    assert len(dividing) == 1 and {label.dim for label in dividing[0].labels} == {N, K} and not dividing[0].bound


def test_a_product_that_a_sum_repeats_gets_a_place():
    weights = sv.exp(t) * sv.sin(t)
    plan = planned(sv.sum(sv.exp(weights @ X)))
    assert cost_of(plan).flops.at({"N": 1000, "M": 100}) < 2 * 1000 * 100 + 30 * (1000 + 100)


# ------------------------------------------------------------------------------------------------- a fault is seen (law 10)
def lossy_sum(self, search, mask, tree):
    forest, factors = search.forest, []
    for part, summed in tree.parts[:-1]:
        factors += [(self._part(search, part), 1)] if summed else forest.groups[part.bit_length() - 1].factors
    return contract(frozenset().union(*(base.labels for base, _ in factors)) - forest.result(mask), factors)


FAULTS = {
    "a part is lost": (Builder, "_sum", lossy_sum, "(A B) b"),
    "an operand of a joined sum is lost": (common_factors, "scale", lambda c, term: 2 * c * term, "A B + A C"),
    "a held product is another": (held_products, "held", lambda value: surrogate(2 * value, constant(0.0)), "a weighted product"),
}
WEIGHTED = {
    "a weighted product": (sv.sum(sv.exp((sv.exp(t) * sv.sin(t)) @ X)), ()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault, monkeypatch):
    place, name, wrong, spelling = FAULTS[fault]
    bound, parameters = (SPELLINGS.get(spelling) or WEIGHTED[spelling])[:2]
    check_pass(*arranged(bound, parameters))
    monkeypatch.setattr(place, name, wrong)
    with pytest.raises(PassError):
        check_pass(*arranged(bound, parameters))


def test_a_lost_operand_of_a_factored_sum_is_seen(monkeypatch):
    scalar, rows, more = (as_expr(e).term for e in (1 + sv.sum(b**2), t, sv.exp(t)))
    before = [contract(rows.labels, [(rows / scalar - more / scalar, 1), (more, 1)])]
    after = factor_sums(before)
    assert after[0] is not before[0]
    check_pass(before, after)
    monkeypatch.setattr(common_factors, "add", lambda terms, kind: add(list(terms)[1:], kind))
    with pytest.raises(PassError):
        check_pass(before, factor_sums(before))
