"""`Model`: the random variables that its roots reach, and their joint log-density as an expression."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from symvi.array.expression import Expr, as_expr, mistake
from symvi.array.reductions import sum as sum_of
from symvi.array.substitution import leaves_of
from symvi.errors import DataError, ModelError, NameClashError, SymviWarning
from symvi.expr import provenance
from symvi.expr.leaf import Leaf
from symvi.stats.named import Factor, Named
from symvi.stats.random_variable import RandomVariable, data_twin, variable_of

__all__ = ["Model"]


class Model:
    """A joint distribution. `roots` are random variables (usually the observed ones) and factors.

    Every random variable reachable through the parameters of others belongs to the model. `track` names further
    expressions to report. Names of variables, data, deterministics and factors are distinct, else NameClashError.

    - `variables`: name -> random variable, parents before children;
    - `deterministics`, `factors`: name -> named expression; `data`: name -> data leaf;
    - `terms`: name -> log-density of that variable (or factor), summed over all its axes.
    """

    def __init__(self, *roots: Expr, track: Sequence[Expr] | Mapping[str, Expr] = ()):
        if len(roots) == 1 and isinstance(roots[0], (list, tuple)):
            roots = tuple(roots[0])
        if not roots:
            raise mistake("a model needs at least one random variable: sv.Model(y)", ModelError)
        self.factors: dict[str, Factor] = {}
        tracked = list(track.items()) if isinstance(track, Mapping) else [(None, expression) for expression in track]
        starts: list[Expr] = []
        for root in roots:
            if isinstance(root, Factor):
                self._claim(self.factors, root.name, root)
            elif not isinstance(root, Expr) or root.leaf is None or root.leaf.role != "latent":
                raise mistake(
                    f"the roots of a model are random variables and factors, not {root!r}; report expressions with track=[...]", ModelError
                )
            starts.append(root)
        starts.extend(as_expr(expression) for _, expression in tracked)
        leaves = _reachable(starts)
        self.roots = roots
        self.leaves = {leaf.name: leaf for leaf in leaves if leaf.role == "latent"}
        self.variables: dict[str, RandomVariable] = {}
        for leaf in leaves:
            if leaf.role == "latent":
                self._claim_leaf(leaf)
                self.variables[leaf.name] = variable_of(leaf)
        # in the order in which they were written: parents first, since a parameter exists before what it is given to
        self.variables = dict(sorted(self.variables.items(), key=lambda item: item[1].leaf.serial))
        self._inputs = [leaf for leaf in leaves if leaf.role != "latent"]
        self.deterministics: dict[str, Expr] = {}
        self._collect_deterministics(tracked)
        self._check_names()
        self._warn_of_left_out_factors()

    # -- collecting ---------------------------------------------------------------------------------------------
    def _claim(self, table: dict, name: str, item: Any) -> None:
        other = table.get(name)
        if other is not None and other is not item:
            raise NameClashError(_clash(name, _site(other), _site(item)))
        table[name] = item

    def _claim_leaf(self, leaf: Leaf) -> None:
        other = self.variables.get(leaf.name)
        if other is not None and other.leaf is not leaf:
            raise NameClashError(_clash(leaf.name, other.leaf.site, leaf.site))

    def _collect_deterministics(self, tracked: list[tuple[str | None, Expr]]) -> None:
        own = set(self.leaves.values())
        found: dict[Named, None] = {}
        for leaf in own:
            for named in leaf.attributes.get("deterministic", ()):
                if all(other in own for other in leaves_of(named) if other.role == "latent"):
                    found[named] = None
        for named in sorted(found, key=lambda named: named.name):
            other = self.deterministics.get(named.name)
            if other is not None and other != named and _site(other) != named.site:
                raise NameClashError(_clash(named.name, _site(other), named.site))
            self.deterministics[named.name] = named
        for name, expression in tracked:
            name = name or getattr(expression, "name", None)
            if name is None:
                raise mistake(
                    "a tracked expression needs a name: sv.deterministic(name, expression), or track={name: expression}", ModelError
                )
            if name not in self.variables:
                self._claim_tracked(name, as_expr(expression))

    def _claim_tracked(self, name: str, expression: Expr) -> None:
        other = self.deterministics.get(name)
        if other is not None and other != expression:
            raise NameClashError(_clash(name, _site(other), _site(expression)))
        self.deterministics[name] = expression

    def _check_names(self) -> None:
        seen: dict[str, Any] = {}
        items = [(name, variable.leaf) for name, variable in self.variables.items()]
        items += [(leaf.name, leaf) for leaf in self._inputs if leaf.role not in ("anonymous",)]
        items += [*self.deterministics.items(), *self.factors.items()]
        for name, item in items:
            other = seen.setdefault(name, item)
            if other is not item and other != item:
                raise NameClashError(_clash(name, _site(other), _site(item)))

    def _warn_of_left_out_factors(self) -> None:
        own = set(self.leaves.values())
        for leaf in own:
            for named in leaf.attributes.get("factor", ()):
                if named.name not in self.factors and all(other in own for other in leaves_of(named) if other.role == "latent"):
                    warnings.warn(
                        f"the factor {named.name!r} [{named.site}] reads {leaf.name} but is not a root of the model; "
                        f"if it belongs there write sv.Model(..., {named.name})",
                        SymviWarning,
                        stacklevel=3,
                    )

    # -- what it holds ------------------------------------------------------------------------------------------
    @property
    def data(self) -> dict[str, Leaf]:
        """The data leaves that the distributions and factors read, by name."""
        return {leaf.name: leaf for leaf in self._inputs if leaf.role == "data"}

    @property
    def parameters(self) -> dict[str, Leaf]:
        """Free parameters (`sv.param`) of the model: maximised, not integrated."""
        return {leaf.name: leaf for leaf in self._inputs if leaf.role == "param"}

    def __getitem__(self, name: str | Expr) -> Expr:
        """A variable, deterministic or factor by name."""
        if isinstance(name, Expr):
            return name
        for table in (self.variables, self.deterministics, self.factors):
            if name in table:
                return table[name]
        raise NameClashError(f"the model has no variable {name!r}{_nearest(name, [*self.variables, *self.deterministics, *self.factors])}")

    def __repr__(self) -> str:
        return f"Model({', '.join(f'{name} ~ {variable.dist!r}' for name, variable in self.variables.items())})"

    # -- the joint density --------------------------------------------------------------------------------------
    def log_density_of(self, name: str, inside: bool = False) -> Expr:
        """The log-density of one variable (over its batch axes), or one factor, as an expression of the variables.

        `inside` says that the variable lies in its support by construction (a latent with its transform).
        """
        if name in self.factors:
            return self.factors[name]
        variable = self.variables[name]
        with provenance.within(variable.leaf.site):
            return variable.dist.logp(variable, inside)

    @property
    def terms(self) -> dict[str, Expr]:
        return {name: sum_of(self.log_density_of(name)) for name in (*self.variables, *self.factors)}

    @property
    def logp(self) -> Expr:
        """The joint log-density, a scalar expression of all random variables and the data."""
        return sum(self.terms.values(), as_expr(0.0))

    def log_density(self, values: Mapping[Expr | str, Any]) -> Expr:
        """The joint log-density with variables replaced: keys are variables or names, values expressions, arrays, numbers."""
        rule = {self.variable(key): value for key, value in values.items()}
        return self.logp.xreplace(rule)

    # -- observed and latent ------------------------------------------------------------------------------------
    def variable(self, key: Expr | str) -> RandomVariable:
        """The random variable that a key stands for; an unknown one is an error that suggests the nearest."""
        name = key if isinstance(key, str) else getattr(key, "name", None)
        variable = self.variables.get(name)
        if variable is None or (isinstance(key, Expr) and key.leaf is not variable.leaf):
            raise mistake(f"{name or key!r} is not a random variable of the model{_nearest(name, self.variables)}", DataError)
        return variable

    def split(self, keys: Iterable[Expr | str]) -> tuple[dict[str, RandomVariable], dict[str, RandomVariable]]:
        """(observed, latent) variables, given the keys of `data`: nodes or names of variables and of data leaves.

        Unknown names, data leaves without values and roots without data raise DataError and suggest the nearest name.
        """
        names: set[str] = set()
        known = {**self.variables, **self.data}
        for key in keys:
            name = key if isinstance(key, str) else getattr(key, "name", None)
            if name not in known:
                raise mistake(f"data has the key {name or key!r}, which the model does not know{_nearest(name, known)}", DataError)
            if isinstance(key, Expr) and key.leaf is not None:
                leaf = known[name] if isinstance(known[name], Leaf) else known[name].leaf
                if key.leaf is not leaf and key.leaf is not leaf.attributes.get("twin"):
                    raise mistake(
                        f"{name!r} in data is another leaf of that name than the one of the model "
                        f"({_clash(name, leaf.site, key.leaf.site)})",
                        DataError,
                    )
            names.add(name)
        given = f"; data has {', '.join(sorted(names)) or 'no keys'}"
        for name, leaf in self.data.items():
            if name not in names:
                raise mistake(f"the model reads the data {name!r} [{leaf.site}], but data has no such key{given}", DataError)
        observed = {name: variable for name, variable in self.variables.items() if name in names}
        for root in self.roots:
            if not isinstance(root, Factor) and root.name not in names and not self.factors:
                raise mistake(f"the root {root.name!r} [{root.leaf.site}] of the model has no data{given}", DataError)
        latent = {name: variable for name, variable in self.variables.items() if name not in names}
        return observed, latent

    def twins(self, observed: Iterable[RandomVariable]) -> dict[Expr, Expr]:
        """Observed variables and the data leaves that stand for them in a bound."""
        return {variable: data_twin(variable) for variable in observed}


def _reachable(starts: Sequence[Expr]) -> list[Leaf]:
    """All leaves below expressions and below the parameters of the random variables met, parents first. Iterative."""
    order: list[Leaf] = []
    done: set[Leaf] = set()
    stack: list[tuple[Leaf, bool]] = [(leaf, False) for start in reversed(starts) for leaf in reversed(leaves_of(start))]
    while stack:
        leaf, expanded = stack.pop()
        if expanded:
            order.append(leaf)
        elif leaf not in done:
            done.add(leaf)
            stack.append((leaf, True))
            if leaf.role == "latent":
                below = leaves_of(*leaf.distribution.parameters.values(), *_support_expressions(leaf))
                stack.extend((parent, False) for parent in reversed(below) if parent not in done)
    return order


def _support_expressions(leaf: Leaf) -> list[Expr]:
    return [bound for bound in leaf.support.bounds if isinstance(bound, Expr)]


def _site(item: Any) -> Any:
    if isinstance(item, Expr) and not isinstance(item, Named):
        return item.leaf.site if item.leaf is not None else None
    return getattr(item, "site", None)


def _clash(name: str, first: Any, second: Any) -> str:
    return (
        f"two things are named {name!r}: one at {first or 'an unknown line'}, one at {second or 'an unknown line'}; give one another name"
    )


def _nearest(name: Any, candidates: Iterable[str]) -> str:
    candidates = list(candidates)
    near = difflib.get_close_matches(str(name), candidates, 1, 0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; it knows {', '.join(sorted(candidates))}" if candidates else ""
