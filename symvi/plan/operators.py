"""Array atoms as helper calls on whole arrays: one factor per operator, shared by everything that needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symvi.atoms.linear_algebra import cholesky
from symvi.expr import provenance
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
FACTORED = ("inverse", "solve", "logdet", "det")  # atoms that work from a factor of their operator


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

    def _factor(self, node: Operator) -> tuple[Buffer, ...]:
        """The Cholesky factor of a positive definite operator, else LU with its pivots."""
        planner, operand = self.planner, node.children[0]
        s, k = planner.stages[operand]
        if "psd" in matrix_facts(operand):
            with provenance.within(provenance.site_of(node)):
                factor = cholesky(operand)
            planner.stages.setdefault(factor, (s, k + 1))
            return (planner.store_array(factor),)
        if operand not in planner.lu_factors:
            axes = canonical_axes(operand.shape)
            factor = planner.buffer(axes, "temporary", "f", None, "")
            pivots = planner.buffer(axes[:-1], "temporary", "pivot", None, "")
            factor.about = pivots.about = operand
            planner.lu_factors[operand] = (factor, pivots)
            only_determinants = node.name in ("logdet", "det")
            self._add("lu", node, (planner.store_array(operand), factor, pivots), (s, k), int(only_determinants))
        elif node.name not in ("logdet", "det"):
            for call in planner.calls:
                if call.helper == "lu" and call.buffers[1] is planner.lu_factors[operand][0]:
                    call.flag = 0
        return planner.lu_factors[operand]

    def _cholesky(self, node: Operator, result: Buffer) -> None:
        self._add("cholesky", node, (self.planner.store_array(node.children[0]), result), self._stage(node))

    def _inverse(self, node: Operator, result: Buffer) -> None:
        factor = self._factor(node)
        if len(factor) == 1:
            self._add("cholesky_inverse", node, (*factor, result), self._stage(node))
        else:
            self._add("lu_inverse", node, (factor[0], result, factor[1]), self._stage(node))

    def _solve(self, node: Operator, result: Buffer) -> None:
        right = self.planner.store_array(node.children[1])
        transposed, vector = node.attributes
        columns = ONE if vector else node.shape[-1]
        if "lower" in matrix_facts(node.children[0]):
            left = self.planner.store_array(node.children[0])
            self._add(_triangular_solve(transposed), node, (left, right, result), self._stage(node), 0, columns)
            return
        factor = self._factor(node)
        if len(factor) == 1:
            self._add("cholesky_solve", node, (*factor, right, result), self._stage(node), 0, columns)
        else:
            self._add("lu_solve", node, (factor[0], right, result, factor[1]), self._stage(node), int(transposed), columns)

    def _solve_triangular(self, node: Operator, result: Buffer) -> None:
        left, right = (self.planner.store_array(child) for child in node.children)
        transposed, vector = node.attributes
        self._add(_triangular_solve(transposed), node, (left, right, result), self._stage(node), 0, ONE if vector else node.shape[-1])

    def _logdet(self, node: Operator, result: Buffer) -> None:
        factor = self._factor(node)
        if len(factor) == 1:
            self._add("cholesky_logdet", node, (*factor, result), self._stage(node))
        else:
            self._add("lu_logdet", node, (factor[0], result, factor[1]), self._stage(node))

    def _det(self, node: Operator, result: Buffer) -> None:
        operand = node.children[0]
        factor = self.planner.lu_factors.get(operand) or self._lu_of(node)
        self._add("lu_logdet", node, (factor[0], result, factor[1]), self._stage(node), 1)

    def _lu_of(self, node: Operator) -> tuple[Buffer, Buffer]:
        planner, operand = self.planner, node.children[0]
        axes = canonical_axes(operand.shape)
        factor, pivots = planner.buffer(axes, "temporary", "f", None, ""), planner.buffer(axes[:-1], "temporary", "pivot", None, "")
        factor.about = pivots.about = operand
        planner.lu_factors[operand] = (factor, pivots)
        self._add("lu", node, (planner.store_array(operand), factor, pivots), planner.stages[operand], 1)
        return factor, pivots

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


def _triangular_solve(transposed: bool) -> str:
    return "solve_lower_transposed" if transposed else "solve_lower"
