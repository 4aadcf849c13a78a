"""Names in emitted code: the user's own first, adjoints `g_w`, factors `chol_K`, then the operation and what it acts on."""

from __future__ import annotations

import builtins
import keyword
from collections import ChainMap
from collections.abc import Iterable, MutableMapping

from symvi.atoms.scalar_function import TABLE
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Contract, Node, Operator, Read, Reduce, Sum, Tensor
from symvi.expr.provenance import hint_of, is_derived, primal_of, site_of

__all__ = ["Names"]

RESERVED = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *TABLE, "n0", "n1", "lo", "hi", "rows", "inf", "nan", "pi"}


class Names:
    """Unique names over one module; users' names are reserved first."""

    def __init__(self, reserved: Iterable[str] = (), parent: Names | None = None):
        self.parent = parent
        self.taken: set[str] = set(reserved) | (RESERVED if parent is None else set())
        self.inside: set[str] = set()  # names of locals of any function: free for other functions, not for arrays of the module
        self.of_node: MutableMapping[Node, str] = ChainMap({}, parent.of_node) if parent is not None else {}
        self.hints: dict[Node, str] = parent.hints if parent is not None else {}

    def scope(self) -> Names:
        """Names for the locals of one function: they avoid the module's, not those of other functions."""
        return Names(parent=self)

    def _is_free(self, name: str) -> bool:
        return name not in self.taken and name not in self.inside and (self.parent is None or name not in self.parent.taken)

    def _take(self, name: str) -> None:
        self.taken.add(name)
        if self.parent is not None:
            self.parent.inside.add(name)

    def unique(self, wanted: str) -> str:
        """`wanted`, or `wanted_2`, ... if it is taken."""
        base = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in wanted) or "value"
        if base[0].isdigit():
            base = "n" + base
        name, number = base, 1
        while not self._is_free(name):
            number += 1
            name = f"{base}_{number}"
        self._take(name)
        return name

    def learn_hints(self, nodes: Iterable[Node]) -> None:
        """The variable that a line assigns names the last node that the line made: `eta = X @ w`."""
        last: dict[object, Node] = {}
        for node in nodes:
            site = site_of(node)
            if site is not None and node.is_term and not isinstance(node, Read) and not is_derived(node):
                last[site] = node
        for node in last.values():
            hint = hint_of(node)
            if hint and not hint.startswith("_") and hint not in ("fit", "model", "result") and node not in self.of_node:
                self.hints.setdefault(node, hint)
        for node, hint in self.hints.items():
            if node not in self.of_node:
                self.of_node[node] = self.unique(hint)

    def for_node(self, node: Node) -> str:
        """The name of a node, the same wherever it is asked for."""
        if node not in self.of_node:
            self.of_node[node] = self.unique(self.hints.get(node) or self._describe(node))
        return self.of_node[node]

    def _describe(self, node: Node) -> str:
        primal = primal_of(node)
        if primal is not None:
            return f"g_{self.of_node.get(primal) or self.hints.get(primal) or (primal.name if not primal.children else self._nearest(primal))}"
        if isinstance(node, Operator):
            short = {"inverse": "inv", "cholesky": "chol", "solve_triangular": "solve", "concatenate": "joined"}.get(node.name, node.name)
            return f"{short}_{self._nearest(node.children[-1])}"
        if isinstance(node, Tensor):
            return self._describe(node.term)
        if isinstance(node, Apply):
            return f"{node.function.name}_{self._nearest(node.children[0])}" if node.function.name != "where" else f"{self._nearest(node.children[1])}_or"
        if isinstance(node, Reduce):
            return f"{node.operation}_{self._nearest(node.children[0])}"
        if isinstance(node, Contract):
            nearest = [self._nearest(child) for child in node.children]
            joined = "_".join(dict.fromkeys(name for name in nearest if name))
            if len(nearest) == 1 or len(set(nearest)) == 1:
                joined = f"sum_{joined}" if node.bound else joined
            return (joined if len(joined) <= 15 else joined[:15].rstrip("_")) or "product"
        if isinstance(node, Sum):
            return f"sum_{self._nearest(node.children[0])}"
        return "value"

    def _nearest(self, node: Node) -> str:
        """The name of the first named value below a node."""
        stack, steps = [node], 0
        while stack and steps < 40:
            steps += 1
            current = stack.pop()
            if current in self.hints:
                return self.hints[current]
            if current in self.of_node:
                return self.of_node[current]
            if current.name and not isinstance(current, (Apply, Operator, Reduce)) and not current.children:
                return current.name
            stack.extend(reversed([child for child in current.children]))
        return "value"

    def loop_names(self, labels: Iterable[Label], plate: Label | None) -> dict[Label, str]:
        """Loop variables of a function: `i` for the rows of a block, else the dim's letter."""
        names: dict[Label, str] = {}
        for label in labels:
            if label == plate:
                wanted = "i"
            else:
                wanted = str(label.dim).lower() if label.dim.is_name else "k"
                wanted = wanted if wanted.isidentifier() else "k"
            name, number = wanted, label.number if label != plate else 0
            name = wanted + (str(number + 1) if number else "")
            while not self._is_free(name):
                number += 1
                name = f"{wanted}{number + 1}"
            self._take(name)
            names[label] = name
        return names


