"""Where a node came from: the user's file and line, and the name the user gave it. A side table, never part of identity."""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Iterable
from contextlib import contextmanager
from typing import NamedTuple
from weakref import WeakKeyDictionary

__all__ = [
    "Site",
    "here",
    "record",
    "site_of",
    "within",
    "hint_of",
    "value_names",
    "replaced",
    "origins",
    "record_adjoint",
    "primal_of",
    "is_derived",
]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Site(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


_sites: WeakKeyDictionary = WeakKeyDictionary()
_derived: WeakKeyDictionary = WeakKeyDictionary()  # nodes that a pass made, and the node whose adjoint they are
_replaced: WeakKeyDictionary = WeakKeyDictionary()  # nodes that a pass put in the place of others, and the latter
_operands: WeakKeyDictionary = WeakKeyDictionary()  # nodes that went into another node of their own line
_override: list[Site | None] = []


def here() -> Site | None:
    """The innermost line outside symvi on the call stack, or the site of the surrounding `within`."""
    if _override:
        return _override[-1]
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return Site(frame.f_code.co_filename, frame.f_lineno) if frame is not None else None


def record(node: object) -> None:
    """Remember the present line for `node`, unless an earlier line is known."""
    if node not in _sites:
        site = here()
        if site is not None:
            _sites[node] = site
            if not _override and getattr(node, "is_term", False) and not getattr(node, "indices", None):
                for operand in node.children:
                    if _sites.get(operand) == site:
                        _operands[operand] = True
        if _override:
            _derived.setdefault(node, None)


def site_of(node: object) -> Site | None:
    """The user's line that made `node`."""
    return _sites.get(node)


@contextmanager
def within(site: Site | None):
    """Nodes made inside belong to `site`: derivatives and rewrites belong to the line they come from."""
    _override.append(site)
    try:
        yield
    finally:
        _override.pop()


def record_adjoint(adjoint: object, primal: object) -> None:
    """Remember that `adjoint` is the derivative of the bound by `primal`: it is called `g_` and the name of that."""
    if adjoint in _derived and _derived[adjoint] is None:
        _derived[adjoint] = primal


def replaced(old: object, new: object) -> None:
    """Remember that a pass put `new` in the place of `old`: it goes by the same name."""
    if new is not old and new in _derived and new not in _replaced and old not in origins(new):
        _replaced[new] = old


def origins(node: object) -> list[object]:
    """The node, what it replaced, what that replaced, ..."""
    chain = [node]
    while (node := _replaced.get(node)) is not None and len(chain) < 100:
        chain.append(node)
    return chain


def primal_of(node: object) -> object | None:
    """The node whose adjoint this is."""
    return next((_derived[each] for each in origins(node) if _derived.get(each) is not None), None)


def is_derived(node: object) -> bool:
    """Was the node made by a pass rather than by the user's line?"""
    return node in _derived


_ASSIGNMENT = re.compile(r"^\s*([A-Za-z_]\w*)\s*(?::[^=]+)?=[^=]")
_COMPILES = re.compile(r"\b(fit|maximize|minimize|compile|function|elbo|Model)\(")  # what such a line assigns is no expression


def value_names(order: Iterable[object]) -> dict[object, str]:
    """{node: variable} for the values that the user's lines assign; `order` lists the nodes of a program, operands first.

    A line makes several nodes; the one that it assigns comes last. What is made of numbers alone belongs to no line: it is
    shared by all models of a process.
    """
    last: dict[Site, object] = {}
    of_leaves: set[object] = set()
    for node in order:
        if getattr(node, "leaf", None) is not None or any(child in of_leaves for child in node.children):
            of_leaves.add(node)
        site = _sites.get(node)
        if site is None or node not in of_leaves or node in _derived or node in _operands:
            continue
        if getattr(node, "is_term", False) and node.children:
            last[site] = node
    names = {node: hint_of(node) for node in last.values()}
    return {node: name for node, name in names.items() if name}


def hint_of(node: object) -> str | None:
    """The variable to which the user's line assigned this node: `eta = X @ w` gives `eta`."""
    site = _sites.get(node)
    if site is None or node in _derived:
        return None
    line = linecache.getline(site.file, site.line)
    match = None if _COMPILES.search(line) else _ASSIGNMENT.match(line)
    return match.group(1) if match else None
