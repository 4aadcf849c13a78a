"""The constructors of canonical terms and arrays: the only place where nodes are made.

Canonical forms: sums are flat with rational coefficients; products have integer exponents and are
never flattened through a contraction; bound-free factors leave their sum; a delta that meets a bound label is
substituted; a bound label gets the smallest number of its dim that is not free in the result; heavy nodes exist only
on labels 0..r-1 per dim, any other labelling is a view of that one node. So equal mathematics is one node.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import inf, isfinite

from symvi.errors import ExpressionError
from symvi.expr.dims import Dim
from symvi.expr.labels import Label, canonical_axes, label_key, sort_labels
from symvi.expr.nodes import (
    Apply,
    Array,
    Constant,
    Contract,
    Delta,
    Input,
    Iota,
    NamedConstant,
    Node,
    Operator,
    Read,
    Reduce,
    Size,
    Sum,
    Surrogate,
    Tensor,
    Term,
    order_key,
    postorder,
)

__all__ = [
    "constant", "named_constant", "size", "iota", "delta", "read", "read_own", "tensor", "apply", "add", "scale", "multiply", "contract",
    "counting_rows", "reduce", "surrogate", "rename", "operator", "input_array", "zero", "one", "rebuild", "split_coefficient",
]  # fmt: skip

Index = Label | Term
KINDS = "bif"
MAX_NUMBERINGS = 24
_NAN = float("nan")  # one object, so that the constant nan is one node


def _join(kinds: Iterable[str], least: str = "b") -> str:
    return max((*kinds, least), key=KINDS.index)


# --------------------------------------------------------------------------------------------------------------- leaves
def constant(value: int | float | Fraction | bool, kind: str | None = None) -> Constant:
    """A number. Finite values are kept as exact fractions; the kind follows the Python type."""
    if kind is None:
        kind = "b" if isinstance(value, bool) else "f" if isinstance(value, (float, Fraction)) else "i"
    if isinstance(value, float) and not isfinite(value):
        return Constant.make((_NAN if value != value else value,), (), kind="f")
    return Constant.make((Fraction(value),), (), kind=kind)


def named_constant(name: str) -> NamedConstant:
    return NamedConstant.make((name,), ())


def size(dim: Dim, rows: bool = False) -> Term:
    """The full size of a dim as an integer term; with `rows` the number of its rows in a call of the kernel."""
    extra = ("rows",) if rows else ()
    total = []
    for monomial, coefficient in dim.terms:
        names = [Size.make((Dim({(name,): 1}), *extra), ()) if name.known is None else constant(name.known) for name in monomial]
        factors = [(name, 1) for name in names]
        total.append((Fraction(coefficient), multiply(factors)))
    return add(total)


_sliced: frozenset[Dim] = frozenset()  # dims of which a call sees a batch of rows


@contextmanager
def counting_rows(dims: Iterable[Dim]) -> Iterator[None]:
    """Inside, a sum over a label of these dims that no factor carries counts the rows of a batch, not the whole plate.

    A bound whose plates are scaled for minibatches is differentiated under it: its sums run over a batch of rows.
    """
    global _sliced
    before, _sliced = _sliced, frozenset(dims)
    try:
        yield
    finally:
        _sliced = before


def iota(label: Label) -> Term:
    return Iota.make((label,), ())


def input_array(leaf) -> Input:
    return Input.make((leaf,), (), leaf=leaf)


zero = constant(0)
one = constant(1)


def as_index(index: Index) -> Index:
    """`iota(l)` as an index is the label itself."""
    return index.label if isinstance(index, Iota) else index


def index_term(index: Index) -> Term:
    return iota(index) if isinstance(index, Label) else index


def _index_key(index: Index) -> tuple:
    return (0, *label_key(index)) if isinstance(index, Label) else (1, index.digest)


def delta(left: Index, right: Index) -> Term:
    """1 where two indices are equal, else 0."""
    left, right = as_index(left), as_index(right)
    if left == right:
        return one
    if not isinstance(left, Label) and not isinstance(right, Label):
        difference = add([(Fraction(1), left), (Fraction(-1), right)])
        if isinstance(difference, Constant):
            return one if difference.value == 0 else zero
    if _index_key(right) < _index_key(left):
        left, right = right, left
    payload = tuple(index if isinstance(index, Label) else None for index in (left, right))
    children = tuple(index for index in (left, right) if not isinstance(index, Label))
    return Delta.make(payload, children, left=left, right=right)


def tensor(term: Term, axes: Sequence[Label]) -> Array:
    """Close a term over `axes`. A plain read of an array in its own axis order is that array."""
    axes = tuple(axes)
    if isinstance(term, Read) and term.indices == axes and term.plain:
        return term.array
    canonical = canonical_axes(label.dim for label in axes)
    if axes != canonical:
        term = rename(term, dict(zip(axes, canonical, strict=True)))
        return tensor(term, canonical)
    return Tensor.make((axes,), (term,))


def read_own(array: Array) -> Term:
    """The array read at its canonical axes."""
    return read(array, canonical_axes(array.shape))


def read(array: Array, indices: Sequence[Index]) -> Term:
    """An array as a term. Reading a tensor gives its term, renamed, where that is light or nothing changes."""
    indices = tuple(as_index(index) for index in indices)
    if isinstance(array, Tensor):
        term, axes = array.term, array.axes
        if indices == axes:
            return term
        if term.light:
            return rename(term, dict(zip(axes, indices, strict=True)))
        symmetries = term.memo.get("symmetries", ())
        if symmetries and axes == term.sorted_labels():
            views = [indices, *(tuple(indices[p] for p in permutation) for permutation in symmetries)]
            indices = min(views, key=lambda view: [_index_key(index) for index in view])
            if indices == axes:
                return term
    elif len(indices) >= 2 and _index_key(indices[-1]) < _index_key(indices[-2]) and _is_symmetric(array):
        indices = (*indices[:-2], indices[-1], indices[-2])
    payload = tuple(index if isinstance(index, Label) else None for index in indices)
    children = (array, *(index for index in indices if not isinstance(index, Label)))
    return Read.make(payload, children, indices=indices)


def _is_symmetric(array: Array) -> bool:
    if len(array.shape) < 2 or array.shape[-1] != array.shape[-2]:
        return False
    from symvi.expr.facts import matrix_facts

    return "symmetric" in matrix_facts(array)


# ----------------------------------------------------------------------------------------------------- sums and products
def split_coefficient(term: Term) -> tuple[Fraction, Term]:
    """`c * t` as (c, t); a number is (number, 1)."""
    if isinstance(term, Constant) and isinstance(term.value, Fraction):
        return term.value, one
    if isinstance(term, Sum) and len(term.children) == 1:
        return term.payload[0][0], term.children[0]
    return Fraction(1), term


def scale(coefficient: Fraction | int, term: Term) -> Term:
    return add([(Fraction(coefficient), term)])


def add(terms: Iterable[tuple[Fraction, Term]], kind: str = "b") -> Term:
    """A flat sum, at least of `kind`. Equal operands join; cancellation holds for terms that are finite (not `extended`)."""
    total: dict[Term, Fraction] = {}
    kept: list[tuple[Fraction, Term]] = []
    for coefficient, term in terms:
        kind = _join((kind, term.kind))
        if coefficient.denominator != 1:
            kind = "f"
        for inner, operand in term.terms if isinstance(term, Sum) else (split_coefficient(term),):
            product = coefficient * inner
            if operand.extended and (not product or total.get(operand, Fraction(0)) + product == 0):
                kept.append((product, operand))
            else:
                total[operand] = total.get(operand, Fraction(0)) + product
    operands = [(term, c) for term, c in total.items() if c] + [(term, c) for c, term in kept]
    if not operands:
        return constant(0, "f" if kind == "f" else "i")
    operands.sort(key=lambda item: order_key(item[0]))
    kind = _join((kind, "i"))
    if len(operands) == 1:
        term, coefficient = operands[0]
        if coefficient == 1 and term is not one:
            return term
        if term is one:
            return constant(coefficient, kind)
    return Sum.make((tuple(c for _, c in operands),), tuple(t for t, _ in operands), kind=kind)


def _collect(factors: Iterable[tuple[Term, int]]) -> tuple[Fraction, dict[Term, int]]:
    """Flatten products, draw out coefficients, join powers of one base."""
    coefficient = Fraction(1)
    powers: dict[Term, int] = {}
    pending = list(factors)
    pending.reverse()
    while pending:
        base, exponent = pending.pop()
        if exponent == 0:
            continue
        if isinstance(base, Constant) and isinstance(base.value, Fraction):
            if base.value == 0 and exponent < 0:
                powers[constant(inf)] = powers.get(constant(inf), 0) + 1
            else:
                coefficient *= base.value**exponent
        elif isinstance(base, Sum) and len(base.children) == 1 and base.payload[0][0]:
            coefficient *= base.payload[0][0] ** exponent
            pending.append((base.children[0], exponent))
        elif isinstance(base, Sum) and base.payload[0][0] < 0 and not isinstance(base.children[0], Constant):
            coefficient *= -1 if exponent % 2 else 1  # one sign, so that (a - b)^2 and (b - a)^2 are one node
            flipped = add([(-c, t) for c, t in base.terms])
            powers[flipped] = powers.get(flipped, 0) + exponent
        elif isinstance(base, Contract) and not base.bound:
            pending.extend((inner, power * exponent) for inner, power in base.factors)
        elif isinstance(base, Apply) and base.function.name == "sqrt" and exponent % 2 == 0:
            pending.append((base.children[0], exponent // 2))
        elif isinstance(base, Delta):
            powers[base] = 1
        else:
            powers[base] = powers.get(base, 0) + exponent
    return coefficient, {base: exponent for base, exponent in powers.items() if exponent}


def _kind_of_product(factors: Iterable[tuple[Term, int]]) -> str:
    return "f" if any(e < 0 for _, e in factors) else _join((t.kind for t, _ in factors), "i")


def multiply(factors: Iterable[tuple[Term, int]]) -> Term:
    """A product of powers with integer exponents."""
    factors = list(factors)
    coefficient, powers = _collect(factors)
    kind = _kind_of_product(factors)
    if coefficient == 0 and not any(t.extended for t in powers):
        return constant(0, kind)
    return _scaled(coefficient, _product(powers), kind)


def _scaled(coefficient: Fraction, term: Term, kind: str) -> Term:
    if coefficient == 1:
        return term if term is not one else constant(1, kind)
    if coefficient == 0:
        return constant(0, kind) if not term.extended else Sum.make(((coefficient,),), (term,), kind="f")
    return add([(coefficient, term)], kind) if term is not one else constant(coefficient, "f" if coefficient.denominator != 1 else kind)


def _product(powers: Mapping[Term, int]) -> Term:
    if not powers:
        return one
    operands = sorted(powers.items(), key=lambda item: order_key(item[0]))
    if len(operands) == 1 and operands[0][1] == 1:
        return operands[0][0]
    return Contract.make(((), tuple(e for _, e in operands)), tuple(t for t, _ in operands), kind=_kind_of_product(operands))


# ---------------------------------------------------------------------------------------------------------- contractions
def contract(bound: Iterable[Label], factors: Iterable[tuple[Term, int]]) -> Term:
    """Σ over `bound` of a product of powers.

    A label that no factor carries contributes its size; factors free of bound labels leave the sum; independent sums
    separate; deltas on bound labels are substituted away.
    """
    bound, factors = set(bound), list(factors)
    coefficient, powers = _collect(factors)
    kind = _kind_of_product(factors)
    if not bound:
        return _scaled(coefficient, _product(powers), kind)
    if coefficient == 0 and not any(t.extended for t in powers):
        return constant(0, kind)
    for term, exponent in powers.items():
        if isinstance(term, Delta):
            solved = _solve_delta(term, bound)
            if solved is not None:
                label, replacement = solved
                rest = [(rename(t, {label: replacement}), e) for t, e in powers.items() if t is not term]
                return add([(coefficient, contract(bound - {label}, rest))], kind)
        elif exponent == 1 and isinstance(term, Sum) and _has_delta_on(term, bound):
            rest = [(t, e) for t, e in powers.items() if t is not term]
            with_delta = [(c, t) for c, t in term.terms if _delta_factor(t, bound)]
            without = [(c, t) for c, t in term.terms if not _delta_factor(t, bound)]
            pieces = [(c * coefficient, contract(bound, [*rest, (t, 1)])) for c, t in with_delta]
            if without:
                pieces.append((coefficient, contract(bound, [*rest, (add(without), 1)])))
            return add(pieces, kind)
    outer: list[tuple[Term, int]] = []
    inner: list[tuple[Term, int]] = []
    carried: set[Label] = set()
    for term, exponent in powers.items():
        if term.labels & bound:
            inner.append((term, exponent))
            carried |= term.labels & bound
        else:
            outer.append((term, exponent))
    outer.extend((size(label.dim, label.dim in _sliced), 1) for label in sort_labels(bound - carried))
    outer.extend((_heavy_contract(labels, group), 1) for labels, group in _components(carried, inner))
    return add([(coefficient, multiply(outer))], kind)


def _solve_delta(term: Delta, bound: set[Label]) -> tuple[Label, Index] | None:
    for label, other in ((term.left, term.right), (term.right, term.left)):
        if isinstance(label, Label) and label in bound:
            if isinstance(other, Label) or label not in other.labels:
                if isinstance(other, Label) and other.dim != label.dim:
                    continue
                return label, other
    return None


def _delta_factor(term: Term, bound: set[Label]) -> bool:
    factors = term.children if isinstance(term, Contract) and not term.bound else (term,)
    return any(isinstance(factor, Delta) and _solve_delta(factor, bound) is not None for factor in factors)


def _has_delta_on(term: Sum, bound: set[Label]) -> bool:
    return any(_delta_factor(t, bound) for t in term.children)


def _components(bound: set[Label], factors: list[tuple[Term, int]]) -> list[tuple[set[Label], list[tuple[Term, int]]]]:
    """Factors that share no bound label are separate sums."""
    groups: list[tuple[set[Label], list[tuple[Term, int]]]] = []
    for factor in factors:
        labels, members = factor[0].labels & bound, [factor]
        rest = []
        for other_labels, other_members in groups:
            if other_labels & labels:
                labels, members = labels | other_labels, other_members + members
            else:
                rest.append((other_labels, other_members))
        groups = [*rest, (set(labels), members)]
    return groups


def _heavy_contract(bound: set[Label], factors: list[tuple[Term, int]]) -> Term:
    free = frozenset().union(*(t.labels for t, _ in factors)) - bound

    def build(mapping: Mapping[Label, Label]) -> Term:
        coefficient, renamed = _collect((rename(t, mapping), e) for t, e in factors)
        operands = sorted(renamed.items(), key=lambda item: order_key(item[0]))
        labels = sort_labels(mapping.get(label, label) for label in bound)
        kind = _kind_of_product(operands)
        return scale(coefficient, Contract.make((labels, tuple(e for _, e in operands)), tuple(t for t, _ in operands), kind=kind))

    return _canonical(free, bound, build)


def _canonical(free: Iterable[Label], bound: Iterable[Label], build) -> Term:
    """The canonical heavy node over all numberings of its labels, or the view of it that has the labels `free`."""
    free, bound = sort_labels(free), sort_labels(bound)
    dims = sorted({label.dim for label in (*free, *bound)}, key=lambda dim: dim.sort_key)
    choices = []
    for dim in dims:
        f = [label for label in free if label.dim == dim]
        b = [label for label in bound if label.dim == dim]
        options = [
            {**dict(zip(f, p, strict=True)), **dict(zip(b, q, strict=True))}
            for p in itertools.permutations([Label(dim, k) for k in range(len(f))])
            for q in itertools.permutations([Label(dim, len(f) + k) for k in range(len(b))])
        ]
        choices.append(options)
    mappings = []
    for combination in itertools.islice(itertools.product(*choices), MAX_NUMBERINGS):
        mappings.append({label: image for part in combination for label, image in part.items()})
    if len(mappings) == 1:
        mapping = mappings[0]
        coefficient, best = split_coefficient(build(mapping))
    else:
        trials = [(*split_coefficient(build(m)), m) for m in mappings]
        coefficient, best, mapping = min(trials, key=lambda trial: (trial[1].digest, trial[0]))
        trials = [(node, m) for c, node, m in trials if c == coefficient]
        if "symmetries" not in best.memo:
            order = [mapping[label] for label in free]
            images = {tuple(m[label] for label in free) for node, m in trials if node is best} - {tuple(order)}
            canonical = sort_labels(order)
            best.memo["symmetries"] = tuple(
                sorted({tuple(canonical.index(dict(zip(order, image, strict=True))[label]) for label in canonical) for image in images})
            )
    inverse = {image: label for label, image in mapping.items() if label in free}
    canonical = sort_labels(inverse)
    indices = tuple(inverse[label] for label in canonical)
    return scale(coefficient, best if indices == canonical else read(tensor(best, canonical), indices))


# ------------------------------------------------------------------------------------------------- functions, reductions
def _cast(term: Term, kind: str) -> Term:
    """A constant of a wider kind; any other term as it is."""
    wider = isinstance(term, Constant) and KINDS.index(term.kind) < KINDS.index(kind)
    return constant(term.value, kind) if wider else term


def _with_cast_constants(function, arguments: tuple[Term, ...]) -> tuple[Term, ...]:
    """Constants take the widest kind of the operands: `where(c, x, 0)` and `where(c, x, 0.0)` are one node."""
    first = 1 if function.name == "where" else 0  # the condition keeps its own kind
    kinds = tuple(argument.kind for argument in arguments)
    widest = _join((*kinds[first:], function.kind_of(kinds)))
    return (*arguments[:first], *(_cast(argument, widest) for argument in arguments[first:]))


def apply(function, *arguments: Term) -> Term:
    """A scalar function of the table, label by label."""
    arguments = _with_cast_constants(function, arguments)
    simple = function.simplify(arguments)
    if simple is not None:
        return simple
    kind = function.kind_of(tuple(argument.kind for argument in arguments))
    if function.light:
        return _make_apply(function, arguments, kind)
    free = frozenset().union(*(argument.labels for argument in arguments))

    def build(mapping: Mapping[Label, Label]) -> Term:
        return _make_apply(function, tuple(rename(argument, mapping) for argument in arguments), kind)

    return _canonical(free, (), build)


def _make_apply(function, arguments: tuple[Term, ...], kind: str) -> Term:
    if function.commutative:
        arguments = tuple(sorted(arguments, key=order_key))
    return Apply.make((function.name,), tuple(arguments), function=function, kind=kind)


REDUCTIONS = ("max", "min", "prod", "logsumexp", "any", "all")


def reduce(operation: str, bound: Iterable[Label], term: Term) -> Term:
    """max, min, prod, logsumexp, any or all of a term over bound labels."""
    bound = set(bound)
    assert operation in REDUCTIONS, operation
    if operation not in ("logsumexp", "prod"):  # those count an absent label, the others do not see it
        bound &= term.labels
    if not bound:
        return term
    kind = "b" if operation in ("any", "all") else "f" if operation == "logsumexp" else term.kind

    def build(mapping: Mapping[Label, Label]) -> Term:
        labels = sort_labels(mapping[label] for label in bound)
        return Reduce.make((operation, labels), (rename(term, mapping),), kind=kind)

    return _canonical(term.labels - bound, bound, build)


def surrogate(value: Term, derivative: Term) -> Term:
    """Evaluates as `value`, is differentiated as `derivative`."""
    value, derivative = _cast(value, derivative.kind), _cast(derivative, "f")
    return value if value is derivative else Surrogate.make((), (value, derivative))


def operator(atom, arguments: Sequence[Array], attributes: tuple = ()) -> Array:
    """An array atom applied to arrays; its shape and kind come from the atom."""
    arguments = tuple(arguments)
    simple = atom.simplify(arguments, attributes)
    if simple is not None:
        return simple
    shape = atom.shape(arguments, attributes)
    return Operator.make((atom.name, attributes), arguments, atom=atom, shape=shape, kind=atom.kind(arguments))


# ---------------------------------------------------------------------------------------------------- renaming, rebuild
def _light_children(node: Node) -> tuple[Node, ...]:
    return tuple(child for child in node.children if child.is_term) if node.light else ()


def rename(term: Term, mapping: Mapping[Label, Index]) -> Term:
    """Replace free labels by labels or integer terms. Light terms are rebuilt, heavy ones become views."""
    mapping = {label: as_index(image) for label, image in mapping.items()}
    mapping = {label: image for label, image in mapping.items() if image != label}
    if not mapping or not any(label in mapping for label in term.labels):
        return term
    keys = mapping.keys()
    done: dict[Node, Term] = {}
    for node in postorder((term,), _light_children):
        if not (node.labels & keys):
            done[node] = node
        elif not node.light:
            axes = node.sorted_labels()
            done[node] = read(tensor(node, axes), tuple(mapping.get(label, label) for label in axes))
        else:
            done[node] = _rename_one(node, mapping, done)
    return done[term]


def _rename_one(node: Term, mapping: Mapping[Label, Index], done: Mapping[Node, Term]) -> Term:
    def image(index: Index) -> Index:
        return mapping.get(index, index) if isinstance(index, Label) else done[index]

    if isinstance(node, Read):
        return read(node.array, tuple(image(index) for index in node.indices))
    if isinstance(node, Iota):
        return index_term(mapping[node.label])
    if isinstance(node, Delta):
        return delta(image(node.left), image(node.right))
    return rebuild(node, tuple(done[child] for child in node.children))


def rebuild(node: Node, children: tuple[Node, ...]) -> Node:
    """The node with other children, through the constructors: the one rebuild function."""
    if children == node.children:
        return node
    if isinstance(node, Sum):
        return add(zip(node.payload[0], children, strict=True))
    if isinstance(node, Contract):
        return contract(node.bound, zip(children, node.payload[1], strict=True))
    if isinstance(node, Apply):
        return apply(node.function, *children)
    if isinstance(node, Read):
        terms = iter(children[1:])
        return read(children[0], tuple(label if label is not None else next(terms) for label in node.payload))
    if isinstance(node, Delta):
        terms = iter(children)
        return delta(*(label if label is not None else next(terms) for label in node.payload))
    if isinstance(node, Reduce):
        return reduce(node.operation, node.bound, children[0])
    if isinstance(node, Surrogate):
        return surrogate(*children)
    if isinstance(node, Tensor):
        return tensor(children[0], node.axes)
    if isinstance(node, Operator):
        return operator(node.atom, children, node.attributes)
    raise ExpressionError(f"{type(node).__name__} has no children to replace")


# ----------------------------------------------------------------------------------------------------- term arithmetic
def as_term(value) -> Term:
    """A term from a term, a number or a dim."""
    if isinstance(value, Term):
        return value
    if isinstance(value, Dim):
        return size(value)
    return constant(value)


def _divide(left, right) -> Term:
    return multiply([(as_term(left), 1), (as_term(right), -1)])


def _power(base: Term, exponent: int) -> Term:
    if not isinstance(exponent, int):
        raise ExpressionError("terms have integer powers; use atoms.power for others")
    return multiply([(base, exponent)])


def _install_arithmetic() -> None:
    """Label-by-label arithmetic on terms, so that derivatives and rules read as mathematics."""
    minus = Fraction(-1)
    unit = Fraction(1)
    Term.__add__ = lambda a, b: add([(unit, a), (unit, as_term(b))])
    Term.__radd__ = lambda a, b: add([(unit, as_term(b)), (unit, a)])
    Term.__sub__ = lambda a, b: add([(unit, a), (minus, as_term(b))])
    Term.__rsub__ = lambda a, b: add([(unit, as_term(b)), (minus, a)])
    Term.__neg__ = lambda a: add([(minus, a)])
    Term.__mul__ = lambda a, b: multiply([(a, 1), (as_term(b), 1)])
    Term.__rmul__ = Term.__mul__
    Term.__truediv__ = _divide
    Term.__rtruediv__ = lambda a, b: _divide(b, a)
    Term.__pow__ = _power


_install_arithmetic()
