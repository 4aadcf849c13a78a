"""Results that are written over the input they replace: theta + rate * gradient over theta, in one loop, without a copy.

A loop nest that reads x[i] and stores new_x[i] may store to x[i] instead, if every other use of x and new_x is at the very same element
and in the very same nest. The value of x[i] is then loaded once, ahead of the statements of the innermost loop, so that no statement
reads what another one has already replaced. One array in place of two also tells the compiler that iterations do not touch each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace

from symvi.loops.ast import Assign, BlockLoop, Expression, For, Function, Let, Load, Matrix, Name, Statement, View
from symvi.loops.naming import Names

__all__ = ["write_in_place"]


def write_in_place(functions: Iterable[Function], wanted: Mapping[str, str], names: Names) -> dict[str, str]:
    """Let functions store results over inputs, {result: input} by names of arrays; returns those for which that is safe.

    The functions are changed. A pair that is not safe is left alone: its result stays an array of its own.
    """
    granted = {}
    for result, source in wanted.items():
        users = [function for function in functions if _mentions(function.body, {result, source})]
        if len(users) == 1 and _store_over(users[0], result, source, names):
            granted[result] = source
    return granted


def _store_over(function: Function, result: str, source: str, names: Names) -> bool:
    """Do it for one function, if it is safe."""
    outside, nests = _nests(function.body)
    views = {view.name: view for view in _walk(outside) if isinstance(view, View) and view.array in (result, source)}
    arrays = {result, source, *views}
    using = [nest for nest in nests if _mentions([nest], arrays)]
    others = [item for item in _walk(outside) if _array_of(item) in arrays and item not in views.values()]
    if others or len(using) != 1 or len({(view.axis, view.rank) for view in views.values()}) > 1:
        return False
    loops = _loops_of(using[0])
    if loops is None:
        return False
    body = loops[-1].body
    to_result = {name for name in arrays if name == result or (name in views and views[name].array == result)}
    uses = [item for item in _walk(body) if _array_of(item) in arrays]
    stores = [item for item in uses if isinstance(item, Assign)]
    loads = [item for item in uses if isinstance(item, Load)]
    element = stores[0].indices if stores else ()
    variables = {loop.index for loop in loops}
    if len(stores) != 1 or stores[0].array not in to_result or len(uses) != len(stores) + len(loads):
        return False
    if any(load.array in to_result or load.indices != element for load in loads):
        return False
    if not all(isinstance(index, Name) for index in element) or {index.text for index in element} != variables:
        return False
    if len(element) != len(variables) or any((load.array in views) != (stores[0].array in views) for load in loads):
        return False
    _rewrite(function, loops[-1], stores[0], loads, source, views, names)
    return True


def _rewrite(function: Function, loop: For, store: Assign, loads: list[Load], source: str, views: Mapping[str, View], names: Names) -> None:
    """Load the element first, use the local wherever it was loaded, store to the input."""
    if loads:
        local = names.unique(f"{source}_i")
        value = Name(local, loads[0].kind)
        loop.body[:] = [_mapped(statement, lambda item: value if item in loads else item) for statement in loop.body]
        loop.body.insert(0, Let(local, loads[0]))
        store = next(statement for statement in _walk(loop.body) if isinstance(statement, Assign) and statement.array == store.array)
    if store.array not in views:
        store.array = source
        return
    old = views[store.array]
    of_source = next((view.name for view in views.values() if view.array == source), None)
    if of_source is None:
        old.array = source
        return
    store.array = of_source
    _remove(function.body, old)


def _remove(body: list[Statement], view: View) -> None:
    for statement in body:
        if isinstance(statement, BlockLoop):
            statement.body[:] = [inner for inner in statement.body if inner is not view]


def _nests(body: list[Statement]) -> tuple[list[Statement], list[For]]:
    """The statements of a function that are not loops, and its outermost loops over elements."""
    outside, nests = [], []
    for statement in body:
        if isinstance(statement, BlockLoop):
            inner, loops = _nests(statement.body)
            outside += inner
            nests += loops
        elif isinstance(statement, For):
            nests.append(statement)
        else:
            outside.append(statement)
    return outside, nests


def _loops_of(nest: For) -> list[For] | None:
    """The loops of a perfect nest, from the outside in; None where statements stand between them."""
    loops = [nest]
    while any(isinstance(statement, For) for statement in loops[-1].body):
        if len(loops[-1].body) != 1:
            return None
        loops.append(loops[-1].body[0])
    return loops


def _array_of(item: object) -> str | None:
    """The array that a node of the loop program touches."""
    if isinstance(item, (Load, Assign, View, Matrix)):
        return item.array
    return getattr(item, "target", None) if getattr(item, "indices", None) is not None else None


def _mentions(body: Iterable[Statement], arrays: set[str]) -> bool:
    return any(_array_of(item) in arrays or (isinstance(item, Name) and item.text in arrays) for item in _walk(body))


def _walk(items: Iterable) -> Iterable:
    """Statements, expressions and matrices of a body, also inside one another."""
    stack = list(items)
    while stack:
        item = stack.pop()
        if isinstance(item, (tuple, list)):
            stack.extend(item)
        elif isinstance(item, (Statement, Expression, Matrix)):
            yield item
            stack.extend(getattr(item, field.name) for field in fields(item))


def _mapped(item, change: Callable):
    """The same with expressions changed, innermost last; statements stay the same objects."""
    if isinstance(item, (tuple, list)):
        return type(item)(_mapped(part, change) for part in item)
    if isinstance(item, Statement):
        for field in fields(item):
            setattr(item, field.name, _mapped(getattr(item, field.name), change))
        return item
    if isinstance(item, Expression) and is_dataclass(item):
        changed = change(item)
        if changed is not item:
            return changed
        return replace(item, **{field.name: _mapped(getattr(item, field.name), change) for field in fields(item) if field.init})
    return item
