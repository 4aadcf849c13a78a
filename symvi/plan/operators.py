"""Array atoms as helper calls on whole arrays: one factor per operator, shared by everything that needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symvi.expr.dims import Dim
from symvi.expr.facts import matrix_facts
from symvi.expr.labels import canonical_axes
from symvi.expr.nodes import Operator
from symvi.plan.program import Buffer, OperatorCall, Stage

if TYPE_CHECKING:
    from symvi.plan.regions import Planner

__all__ = ["FACTORED", "OperatorCalls"]

OF_KIND = {"f": "", "i": "_integers", "b": "_booleans"}
ONE = Dim(1)
PANEL = 8  # as in codegen_templates/accurate_factors.py
FACTORED = ("inverse", "solve", "logdet", "det", "det_sign", "cholesky")  # atoms that work from a factor of their operator
DETERMINANTS = ("logdet", "det", "det_sign")  # those of them for which a singular operator is no failure
SIGNED = ("det", "det_sign")  # 0 for a semidefinite operator: by LU, unless there is a Cholesky factor anyway
Factor = tuple[Buffer, ...]  # the factor, its low part, its notes


class OperatorCalls:
    """Array atoms as helper calls: one factor per operator, shared by everything that needs it."""

    def __init__(self, planner: Planner):
        self.planner = planner

    def call(self, node: Operator, result: Buffer) -> None:
        getattr(self, "_" + node.name)(node, result)

    def _add(
        self, helper: str, node: Operator, buffers: Sequence[Buffer], stage: Stage, flag: Dim | int = 0, columns: Dim = ONE
    ) -> None:
        shape = node.children[0].shape
        self.planner.calls.append(OperatorCall(helper, tuple(buffers), shape[:-2], shape[-1], columns, flag, stage, node))

    def _stage(self, node: Operator) -> Stage:
        s, k = self.planner.stages[node]
        return (s, k - 1)

    def _factor(self, node: Operator, definite: bool = False) -> Factor:
        """The Cholesky factor of a positive definite operator, else LU: made once for everything that needs it."""
        planner, operand = self.planner, node.children[0]
        definite = definite or ("psd" in matrix_facts(operand) and node.name not in SIGNED)
        found = planner.factors.get((operand, definite))
        if found is None and node.name in SIGNED:
            found = planner.factors.get((operand, True))
        if found is None:
            found = planner.factors[operand, definite] = self._new_factor(node, definite)
        elif not definite and node.name not in DETERMINANTS:
            for call in planner.calls:
                if call.helper == "lu" and call.buffers[1] is found[0]:
                    call.flag = 0
        return found

    def _new_factor(self, node: Operator, definite: bool) -> Factor:
        planner, operand = self.planner, node.children[0]
        batch, order = operand.shape[:-2], operand.shape[-1]
        shapes = (operand.shape, (*batch, order + 2 * PANEL, order), (*batch, 3 * order + 1))
        names = ("chol" if definite else "lu", "low", "notes")
        buffers = []
        for shape, name in zip(shapes, names, strict=True):
            made = planner.buffer(canonical_axes(shape), "temporary", "pivot" if name == "notes" else "f", None, "")
            made.about, made.prefix = operand, name
            buffers.append(made)
        stored = planner.store_array(operand)
        only_determinants = not definite and node.name in DETERMINANTS
        self._add("cholesky" if definite else "lu", node, (stored, *buffers), planner.stages[operand], int(only_determinants))
        return tuple(buffers)

    def _cholesky(self, node: Operator, result: Buffer) -> None:
        self._add("lower_factor", node, (*self._factor(node, definite=True), result), self._stage(node))

    def _inverse(self, node: Operator, result: Buffer) -> None:
        if "lower" in matrix_facts(node.children[0]):
            self._add("lower_inverse", node, (self.planner.store_array(node.children[0]), result), self._stage(node))
            return
        self._add("factored_inverse", node, (*self._factor(node), result), self._stage(node))

    def _solve(self, node: Operator, result: Buffer) -> None:
        right = self.planner.store_array(node.children[1])
        transposed, vector = node.attributes
        columns = ONE if vector else node.shape[-1]
        if "lower" in matrix_facts(node.children[0]):
            left = self.planner.store_array(node.children[0])
            self._add(_triangular_solve(transposed), node, (left, right, result), self._stage(node), 0, columns)
            return
        flag = int(transposed)
        self._add("factored_solve", node, (*self._factor(node), right, result), self._stage(node), flag, columns)

    def _solve_triangular(self, node: Operator, result: Buffer) -> None:
        left, right = (self.planner.store_array(child) for child in node.children)
        transposed, vector = node.attributes
        self._add(_triangular_solve(transposed), node, (left, right, result), self._stage(node), 0, ONE if vector else node.shape[-1])

    def _logdet(self, node: Operator, result: Buffer, flag: int = 0) -> None:
        self._add("factored_logdet", node, (*self._factor(node), result), self._stage(node), flag)

    def _det(self, node: Operator, result: Buffer) -> None:
        self._logdet(node, result, 1)

    def _det_sign(self, node: Operator, result: Buffer) -> None:
        self._logdet(node, result, 2)

    def _cumsum(self, node: Operator, result: Buffer) -> None:
        source = self.planner.store_array(node.children[0])
        helper, reverse = "cumsum" + OF_KIND[node.kind], int(node.attributes[0])
        call = OperatorCall(helper, (source, result), node.shape[:-1], node.shape[-1], ONE, reverse, self._stage(node), node)
        self.planner.calls.append(call)

    def _concatenate(self, node: Operator, result: Buffer) -> None:
        (axis,) = node.attributes
        inner = ONE
        for dim in node.shape[axis + 1 :]:
            inner = inner * dim
        offset = Dim(0)
        for child in node.children:
            part = child.shape[axis]
            buffers, helper = (self.planner.store_array(child), result), "concatenate" + OF_KIND[node.kind]
            whole = node.shape[axis] * inner
            call = OperatorCall(helper, buffers, node.shape[:axis], part * inner, whole, offset * inner, self._stage(node), node)
            self.planner.calls.append(call)
            offset = offset + part

    def _block_diagonal(self, node: Operator, result: Buffer) -> None:
        offset = Dim(0)
        for child in node.children:
            buffers, order = (self.planner.store_array(child), result), child.shape[-1]
            call = OperatorCall("block_diagonal", buffers, child.shape[:-2], order, node.shape[-1], offset, self._stage(node), node)
            self.planner.calls.append(call)
            offset = offset + order


def _triangular_solve(transposed: bool) -> str:
    return "solve_lower_transposed" if transposed else "solve_lower"
