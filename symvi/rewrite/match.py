"""Matching modulo commutativity: a pattern against a term, operands found by head and labels inside longer sums and products.

The match of a whole rule is anchored: `Pattern` (pattern.py) only calls it at nodes that hold the heads it needs.
Inside a function or a reduction a pattern takes its whole argument; at the root what is left over stays as the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations

from symvi.expr.build import add, constant, multiply, read, split_coefficient
from symvi.expr.labels import Label, sort_labels
from symvi.expr.nodes import Apply, Array, Constant, Contract, Input, NamedConstant, Operator, Read, Reduce, Sum, Tensor, Term
from symvi.rewrite.binding import Binding, Captured, Stack
from symvi.rewrite.instantiate import instantiate
from symvi.rewrite.variables import variable_of, variables_in
from symvi.rewrite.views import arguments_of, fresh_labels, opened, opened_reduction, opened_sum

__all__ = ["match", "match_sum", "match_product", "match_contraction", "terms_of", "factors_of"]

Weighted = list[tuple[Fraction, Term]]
Powers = list[tuple[Term, int]]


def terms_of(term: Term) -> Weighted:
    """A term as a flat sum; a number is a multiple of one."""
    if isinstance(term, Sum):
        return list(term.terms)
    coefficient, operand = split_coefficient(term)
    return [(coefficient, operand)] if coefficient else []


def factors_of(term: Term) -> Powers:
    """A term as a product of powers."""
    if isinstance(term, Contract) and not term.bound:
        return list(term.factors)
    return [(term, 1)]


def match(pattern: Term, term: Term, binding: Binding) -> Iterator[Binding]:
    """All ways in which the whole of `term` is an instance of `pattern`."""
    if _is_known(pattern, binding):
        if instantiate(pattern, binding) is term:
            yield binding
    elif variable_of(pattern) is not None:
        yield from _capture(pattern, term, binding)
    elif isinstance(pattern, (Constant, NamedConstant)):
        if type(term) is type(pattern) and term.payload == pattern.payload:
            yield binding
    elif isinstance(pattern, Apply):
        yield from _match_apply(pattern, term, binding)
    elif isinstance(pattern, Sum):
        for found, _, rest in match_sum(pattern, terms_of(term), binding, scaled=False):
            if not rest:
                yield found
    elif isinstance(pattern, Contract) and not pattern.bound:
        coefficient, operand = split_coefficient(term)
        for found, _, rest in match_product(list(pattern.factors), factors_of(operand), binding, coefficient, repeated=False):
            if not rest:
                yield found
    elif isinstance(pattern, Contract):
        yield from _match_whole_contraction(pattern, term, binding)
    elif isinstance(pattern, Reduce):
        yield from _match_reduction(pattern, term, binding)
    elif isinstance(pattern, Read):
        yield from _match_read(pattern, term, binding)


def _is_known(pattern: Term, binding: Binding) -> bool:
    """Has the match decided what the pattern stands for?"""
    variables = variables_in(pattern)
    return bool(variables) and variables <= binding.values.keys() and pattern.labels <= binding.labels.keys()


# ------------------------------------------------------------------------------------------------------------- variables
def _capture(pattern: Read, term: Term, binding: Binding) -> Iterator[Binding]:
    variable = variable_of(pattern)
    if variable.sort == "matrix":
        yield from _match_array_read(pattern, term, binding)
        return
    written = [label for index in pattern.indices for label in binding.labels.get(index, ())]
    if any(index not in binding.labels for index in pattern.indices) or term.labels & binding.summed - set(written):
        return
    value = Captured(term, tuple(written)) if variable.sort == "indexed" else term
    known = binding.values.get(variable)
    if known is None:
        yield binding.with_value(variable, value)
    elif (known if variable.sort == "scalar" else instantiate(pattern, binding)) is term:
        yield binding


def _bare(pattern: Term, binding: Binding) -> bool:
    """A variable, not yet bound, that stands directly in a sum or product: it takes what the others leave."""
    variable = variable_of(pattern)
    return variable is not None and variable.sort != "matrix" and variable not in binding.values


# ---------------------------------------------------------------------------------------------------- sums and products
def match_sum(pattern: Sum, terms: Weighted, binding: Binding, scaled: bool) -> Iterator[tuple[Binding, Fraction, Weighted]]:
    """(binding, scale, rest) for every way to find scale * pattern among `terms`; `scaled` allows a scale other than 1."""
    fixed = sorted((item for item in pattern.terms if not _bare(item[1], binding)), key=lambda item: isinstance(item[1], Constant))
    bare = [item for item in pattern.terms if _bare(item[1], binding)]
    assert len(bare) <= 1, "a sum in a pattern holds at most one bare variable"
    states: list[tuple[Binding, Fraction | None, Weighted]] = [(binding, None if scaled else Fraction(1), terms)]
    for coefficient, operand in fixed:
        states = [state for start in states for state in _take_term(coefficient, operand, *start)]
    for found, scale, rest in states:
        scale = Fraction(1) if scale is None else scale
        if not bare:
            yield found, scale, rest
        elif rest:
            coefficient, variable = bare[0]
            for complete in match(variable, add([(c / (coefficient * scale), t) for c, t in rest]), found):
                yield complete, scale, []


def _take_term(coefficient: Fraction, operand: Term, binding: Binding, scale: Fraction | None, terms: Weighted):
    wanted = instantiate(operand, binding) if _is_known(operand, binding) else None
    for position, (c, term) in enumerate(terms):
        if (scale is not None and c != scale * coefficient) or (wanted is not None and term is not wanted):
            continue
        rest = terms[:position] + terms[position + 1 :]
        for found in [binding] if wanted is not None else match(operand, term, binding):
            yield found, c / coefficient, rest


def match_product(
    pattern: Powers, factors: Powers, binding: Binding, coefficient: Fraction, repeated: bool
) -> Iterator[tuple[Binding, int, Powers]]:
    """(binding, times, rest) for every way to find pattern^times among `factors`; `repeated` allows times > 1."""
    bare = [item for item in pattern if _bare(item[0], binding)]
    if len(bare) > 1 and all(_is_indexed(variable) for variable, _ in bare):
        bare = []  # U[i, k] U[j, k]: told apart by their labels, one factor each
    fixed = [item for item in pattern if item not in bare]
    assert len(bare) <= 1, "a product in a pattern holds at most one bare scalar variable"
    states: list[tuple[Binding, int, list[tuple[int, int]]]] = [(binding, 0, [])]
    for base, exponent in fixed:
        states = [state for start in states for state in _take_factor(base, exponent, factors, *start)]
    for found, times, used in states:
        times = times if repeated else 1
        left = dict(enumerate(e for _, e in factors))
        for position, exponent in used:
            left[position] -= exponent * times
        rest = [(factors[position][0], e) for position, e in left.items() if e]
        if not bare:
            if coefficient == 1:
                yield found, times, rest
        elif rest or coefficient != 1:
            variable, exponent = bare[0]
            if all(e % exponent == 0 for _, e in rest) and (coefficient == 1 or abs(exponent) == 1):
                value = multiply([(constant(coefficient), exponent), *((t, e // exponent) for t, e in rest)])
                for complete in match(variable, value, found):
                    yield complete, times, []


def _take_factor(base: Term, exponent: int, factors: Powers, binding: Binding, times: int, used: list):
    wanted = instantiate(base, binding) if _is_known(base, binding) else None
    for position, (factor, power) in enumerate(factors):
        if (power > 0) != (exponent > 0) or abs(power) < abs(exponent) or any(position == p for p, _ in used):
            continue
        if wanted is not None and factor is not wanted:
            continue
        for found in [binding] if wanted is not None else match(base, factor, binding):
            ratio = power // exponent
            yield found, min(times, ratio) if times else ratio, [*used, (position, exponent)]


def match_contraction(pattern: Contract, term: Contract, binding: Binding) -> Iterator[tuple[Binding, tuple[Label, ...], Powers]]:
    """(binding, summed labels, rest): the pattern's sum inside a larger one; its labels occur nowhere in the rest."""
    operands = [(f, e) for f, e in pattern.factors if not _is_indexed(f)]
    functions = [(f, e) for f, e in pattern.factors if _is_indexed(f)]
    for found, _, rest in match_product(operands, list(term.factors), binding, Fraction(1), repeated=False):
        complete: Binding | None = found
        for variable, exponent in functions:
            labels = [label for index in variable.indices for label in complete.labels.get(index, ())]
            taken = [(f, e) for f, e in rest if f.labels & set(labels)]
            if not labels or not taken or abs(exponent) != 1:
                complete = None
                break
            rest = [item for item in rest if item not in taken]
            complete = next(match(variable, multiply([(f, e * exponent) for f, e in taken]), complete), None)
            if complete is None:
                break
        if complete is None:
            continue
        summed = [label for index in pattern.bound for label in complete.labels.get(index, ())]
        inside = set(summed) <= set(term.bound) and len(set(summed)) == len(summed) >= len(pattern.bound)
        if inside and not any(f.labels & set(summed) for f, _ in rest):
            yield complete, tuple(summed), rest


def _is_indexed(factor: Term) -> bool:
    variable = variable_of(factor)
    return variable is not None and variable.sort == "indexed"


def _bind_groups(pattern: tuple[Label, ...], actual: tuple[Label, ...], binding: Binding) -> Iterator[Binding]:
    """The bound labels of a pattern for those of a term: one index of the pattern stands for them all, else one each."""
    if len(pattern) == 1:
        choices = [[sort_labels(actual)]]
    elif len(pattern) == len(actual):
        choices = [[(label,) for label in order] for order in permutations(actual)]
    else:
        return
    for choice in choices:
        found: Binding | None = binding
        for label, images in zip(pattern, choice, strict=True):
            found = found.with_label(label, images, summed=True) if found is not None else None
        if found is not None:
            yield found


def _match_whole_contraction(pattern: Contract, term: Term, binding: Binding) -> Iterator[Binding]:
    found = opened_sum(term, binding.avoid)
    if found is None:
        return
    bound, factors = found
    for labelled in _bind_groups(pattern.bound, bound, binding):
        for complete, _, rest in match_product(list(pattern.factors), list(factors), labelled, Fraction(1), repeated=False):
            if not rest:
                yield complete


def _match_reduction(pattern: Reduce, term: Term, binding: Binding) -> Iterator[Binding]:
    found = opened_reduction(term, pattern.operation, binding.avoid)
    if found is None:
        return
    bound, body = found
    for labelled in _bind_groups(pattern.bound, bound, binding):
        yield from match(pattern.children[0], body, labelled)


# ------------------------------------------------------------------------------------------------- functions and arrays
def _match_apply(pattern: Apply, term: Term, binding: Binding) -> Iterator[Binding]:
    arguments = arguments_of(term, pattern.function.name)
    if arguments is None:
        return
    orders = permutations(arguments) if pattern.function.commutative else [arguments]
    for order in orders:
        states = [binding]
        for child, argument in zip(pattern.children, order, strict=True):
            states = [found for state in states for found in match(child, argument, state)]
        yield from states


def _match_read(pattern: Read, term: Term, binding: Binding) -> Iterator[Binding]:
    inner, renaming = opened(pattern)
    if inner is not pattern:  # a view inside the pattern: match its term under the labels of the view
        labels = {axis: binding.labels[index] for axis, index in renaming.items() if index in binding.labels}
        moved = binding._replace(labels={**binding.labels, **labels})
        for found in match(inner, term, moved):
            yield found._replace(labels=binding.labels)
        return
    yield from _match_array_read(pattern, term, binding)


def _match_array_read(pattern: Read, term: Term, binding: Binding) -> Iterator[Binding]:
    """A read of an array atom, or of a `Matrix` variable, at indices that may still be open."""
    if not isinstance(term, Read) or len(term.indices) < len(pattern.indices):
        return
    split = len(term.indices) - len(pattern.indices)
    batch, own = term.indices[:split], term.indices[split:]
    found: Binding | None = binding
    for index, actual in zip(pattern.indices, own, strict=True):
        if found is None or not isinstance(actual, Label):
            return
        found = found.with_label(index, (actual,))
    if found is not None:
        yield from _match_array(pattern.array, term.array, batch, found)


def _match_array(pattern: Array, array: Array, batch: tuple, binding: Binding) -> Iterator[Binding]:
    variable = variable_of(pattern)
    if len(array.shape) != len(pattern.shape) + len(batch):
        return
    if variable is not None:
        found: Binding | None = binding
        for dim, actual in zip(pattern.shape, array.shape[len(batch) :], strict=True):
            found = found.with_dims(dim, (actual,)) if found is not None else None
        if found is None:
            return
        value: Stack | Captured = Stack(array, batch)
        if variable.sort == "indexed":  # the whole array as a function of fresh labels
            axes = _fresh_axes(array.shape[len(batch) :], found.avoid, batch)
            value = Captured(read(array, (*batch, *axes)), axes)
        known = found.values.get(variable)
        if known is None or known == value:
            yield found.with_value(variable, value)
    elif isinstance(pattern, Operator):
        if isinstance(array, Operator) and array.name == pattern.name and array.attributes == pattern.attributes:
            states = [binding]
            for child, actual in zip(pattern.children, array.children, strict=True):
                states = [found for state in states for found in _match_array(child, actual, batch, state)]
            yield from states
    elif isinstance(pattern, Tensor):
        axes = _fresh_axes(array.shape[len(batch) :], binding.avoid, batch)
        outside = {label: images for label, images in binding.labels.items() if label in pattern.axes}  # axes are labels of their own
        found = binding._replace(labels={label: images for label, images in binding.labels.items() if label not in outside})
        for axis, label in zip(pattern.axes, axes, strict=True):
            found = found.with_label(axis, (label,), summed=True) if found is not None else None
        if found is not None:
            for inside in match(pattern.term, read(array, (*batch, *axes)), found):
                kept = {label: images for label, images in inside.labels.items() if label not in pattern.axes}
                yield inside._replace(labels={**kept, **outside})
    else:
        assert isinstance(pattern, Input)




def _fresh_axes(shape: tuple, avoid: frozenset[Label], batch: tuple) -> tuple[Label, ...]:
    """Labels for the axes of an array that meet neither `avoid` nor the indices `batch`."""
    taken = {*avoid, *(index for index in batch if isinstance(index, Label))}
    axes: list[Label] = []
    for dim in shape:
        bare = Label(dim, 0)
        axes.append(fresh_labels([bare], taken)[bare])
        taken.add(axes[-1])
    return tuple(axes)
