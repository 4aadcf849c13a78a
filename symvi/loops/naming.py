"""Names in emitted code: the user's own first, adjoints `g_w`, factors `chol_K`, then the operation and what it acts on."""

from __future__ import annotations

import builtins
import keyword
from collections import ChainMap
from collections.abc import Iterable, MutableMapping

from symvi.atoms.scalar_function import TABLE
from symvi.expr.labels import Label
from symvi.expr.nodes import Apply, Contract, Node, Operator, Read, Reduce, Sum, Surrogate, Tensor
from symvi.expr.provenance import origins, primal_of, value_names
from symvi.plan.reductions import role_of

__all__ = ["Names"]

RESERVED = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *TABLE, "n0", "n1", "lo", "hi", "rows", "inf", "nan", "pi"}
SHORT = {"inverse": "inv", "cholesky": "chol", "solve_triangular": "solve", "concatenate": "joined"}
LONGEST = 20
FAR = 40  # nodes looked at for a named value


class Names:
    """Unique names over one module; users' names are reserved first."""

    def __init__(self, reserved: Iterable[str] = (), parent: Names | None = None):
        self.parent = parent
        self.taken: set[str] = set(reserved) | (RESERVED if parent is None else set())
        self.inside: set[str] = set()  # names of locals of any function: free for other functions, not for arrays of the module
        self.of_node: MutableMapping[Node, str] = ChainMap({}, parent.of_node) if parent is not None else {}
        self.users: dict[Node, str] = parent.users if parent is not None else {}
        self.users_only = False

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

    # -- values ------------------------------------------------------------------------------------------------
    def learn(self, originals: Iterable[Node], program: Iterable[Node]) -> None:
        """The variables of the user's lines, for the nodes of the program that stand for what those lines made."""
        self.users = value_names(originals)
        for node in program:
            if node.is_term and not isinstance(node, Read) and node not in self.of_node and (name := self._users_name(node)):
                self.of_node[node] = self.unique(name)

    def _users_name(self, node: Node) -> str | None:
        return next((self.users[each] for each in origins(node) if each in self.users), None)

    def for_node(self, node: Node) -> str:
        """The name of a node, the same wherever it is asked for."""
        if node not in self.of_node:
            name = self._describe(node)
            if len(name) > LONGEST + 4:  # names of names of names: begin again at the user's
                self.users_only = True
                name = self._describe(node)
                self.users_only = False
            self.of_node[node] = self.unique(name)
        return self.of_node[node]

    def _describe(self, node: Node) -> str:
        primal = primal_of(node)
        if primal is not None:
            return f"g_{self._nearest(primal)}"
        role = role_of(node)
        if role is not None:
            return f"{role[0]}_{self._nearest(role[1])}"
        if isinstance(node, Tensor):
            return self.of_node.get(node.term) or self._describe(node.term)
        if isinstance(node, Operator):
            return f"{SHORT.get(node.name, node.name)}_{self._nearest(node.children[-1])}"
        if isinstance(node, Apply):
            return self._describe_function(node)
        if isinstance(node, Reduce):
            return f"{node.operation}_{self._nearest(node.children[0])}"
        if isinstance(node, Contract):
            return self._describe_product(node)
        if isinstance(node, Sum):
            return self._describe_sum(node)
        if isinstance(node, Surrogate):
            return self._describe(node.children[0])
        return "value"

    def _describe_function(self, node: Apply) -> str:
        if node.function.name == "where":
            return f"{self._nearest(node.children[1])}_where"
        return f"{node.function.name}_{self._nearest(node.children[0])}"

    def _describe_product(self, node: Contract) -> str:
        parts = list(dict.fromkeys(self._nearest(child) for child in node.children))
        joined = "_".join(parts)
        if len(parts) == 1:
            power = "_squared" if node.payload[1] == (2,) else "" if node.bound else "_product"
            return f"sum_{joined}{power}" if node.bound else f"{joined}{power}"
        return joined if len(joined) <= LONGEST else f"{parts[0]}_{parts[-1]}"[:LONGEST].rstrip("_")

    def _describe_sum(self, node: Sum) -> str:
        ordered = sorted(node.terms, key=lambda item: item[0] < 0)
        parts = [self._nearest(term) for _, term in ordered]
        if len(parts) == 2 and parts[0] != parts[1] and "value" not in parts:
            name = f"{parts[0]}_minus_{parts[1]}" if ordered[1][0] < 0 else f"{parts[0]}_plus_{parts[1]}"
            if len(name) <= LONGEST:
                return name
        return f"{next((part for part in parts if part != 'value'), 'value')}_sum"

    def _nearest(self, node: Node) -> str:
        """The name of the first named value below a node."""
        stack, steps = [node], 0
        while stack and steps < FAR:
            steps += 1
            current = stack.pop()
            name = (None if self.users_only else self.of_node.get(current)) or self._users_name(current)
            if name:
                return name
            if current.name and not isinstance(current, (Apply, Operator, Reduce)) and not current.children:
                return current.name
            stack.extend(reversed(current.children))
        return "value"

    # -- loops -------------------------------------------------------------------------------------------------
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
