"""The mode of a model in unconstrained space and the curvature there: the coordinates in which a guide is fitted.

One kernel gives value, gradient and Hessian product of the joint log-density. Newton's method with a trust region finds
the mode; blocks of the Hessian come from its products: dense up to `DENSE` values, else block by block, where the elements of
a plate share one product because they do not interact.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symvi.array.expression import Expr, array_of, leaf_expr
from symvi.errors import NonFiniteError
from symvi.expr.leaf import Leaf
from symvi.fit.blame import blame
from symvi.fit.data_binding import bind_data, require_data
from symvi.fit.flatness import escape
from symvi.fit.function import raise_status
from symvi.fit.leaves import Sizes
from symvi.fit.objective import Objective
from symvi.fit.pipeline import compile_request
from symvi.runtime.binding import Binding

__all__ = ["LogJoint", "Laplace", "find_mode", "block_covariances"]

DENSE = 2000
FLAT = 1e-7  # curvature, relative to the largest, below which a direction counts as undetermined
STREAM_MODE = 3
SETTLED = 1e-2  # the largest gradient at which a flat density is called so, and not one that still rises


class LogJoint:
    """The joint log-density over the parameters `<block>_mode`, as functions of one flat vector."""

    def __init__(self, bound: Expr, data: Mapping[Leaf, Any], sizes: Sizes, name: str, incomplete: Iterable[Leaf] = ()):
        objective = Objective(bound, name)
        self.objective, self.sizes = objective, sizes
        self.parameters = objective.parameters
        self.directions = [Leaf("data", f"along_{leaf.name}", leaf.shape, "f") for leaf in self.parameters]
        request = objective.request
        request.directions = [array_of(leaf_expr(leaf)) for leaf in self.directions]
        request.leaves = [*request.leaves, *self.directions]
        self.shapes = [tuple(dim.size(sizes.values) for dim in leaf.shape) for leaf in self.parameters]
        self.starts = np.cumsum([0] + [int(np.prod(shape)) for shape in self.shapes])
        self.size = int(self.starts[-1])
        self.theta, self.along = np.zeros(self.size), np.zeros(self.size)
        self.gradient, self.product = np.zeros(self.size), np.zeros(self.size)
        arrays = bind_data(objective, data, sizes, incomplete)
        require_data(objective, arrays, sizes, incomplete)
        self.result = compile_request(request, sizes.values)
        self._bind(arrays)

    def part(self, flat: np.ndarray, leaf: Leaf) -> np.ndarray:
        """The piece of a flat vector that belongs to a parameter."""
        k = self.parameters.index(leaf)
        return flat[self.starts[k] : self.starts[k + 1]].reshape(self.shapes[k])

    @staticmethod
    def _without_ones(array: np.ndarray, leaf: Leaf) -> np.ndarray:
        """The array as kernels see it: axes of extent 1 exist only in the user's space."""
        return array.reshape([n for n, dim in zip(array.shape, leaf.shape, strict=True) if dim != 1])

    def _bind(self, arrays: Mapping[Leaf, np.ndarray]) -> None:
        compiled, leaves = self.result.compiled, self.objective.request.leaves
        inputs, outputs = {}, {}
        for number, entry in compiled.inputs.items():
            leaf = leaves[number]
            if leaf in self.parameters:
                inputs[entry["name"]] = self._without_ones(self.part(self.theta, leaf), leaf)
            elif leaf in self.directions:
                inputs[entry["name"]] = self._without_ones(self.part(self.along, self.parameters[self.directions.index(leaf)]), leaf)
            elif leaf.role != "noise":
                inputs[entry["name"]] = arrays[leaf]
        for leaf in self.parameters:
            outputs[f"g_{leaf.name}"] = self._without_ones(self.part(self.gradient, leaf), leaf)
            outputs[f"h_{leaf.name}"] = self._without_ones(self.part(self.product, leaf), leaf)
        self.binding = Binding(compiled, self.sizes.values, inputs, outputs=outputs)

    def run(self, theta: np.ndarray, along: np.ndarray | None = None) -> tuple[float, np.ndarray, np.ndarray]:
        """(value, gradient, Hessian product); the value is -inf where the density or a factorisation fails."""
        self.theta[:] = theta
        if along is not None:
            self.along[:] = along
        status = self.binding.run(0, STREAM_MODE, 0)
        value = float(self.binding.outputs["value"])
        if status or not np.isfinite(value) or not np.isfinite(self.gradient).all():
            self.status = status
            return -np.inf, np.zeros(self.size), np.zeros(self.size)
        if not np.isfinite(self.product).all():  # a step along it would never end
            return value, self.gradient.copy(), np.zeros(self.size)
        return value, self.gradient.copy(), self.product.copy()

    def complain(self, where: str) -> None:
        """Raise the error of a point at which the density is not finite."""
        status = getattr(self, "status", 0)
        if status:
            raise_status(self.binding, status, where)
        culprit = blame(self.objective, self.result, self.binding) or "its gradient overflows"
        raise NonFiniteError(f"the joint log-density is {float(self.binding.outputs['value'])}{where}: {culprit}")


@dataclass
class Laplace:
    """A mode with curvature. `found` says whether it is a proper mode; else `why` says what is wrong."""

    mode: np.ndarray
    value: float
    found: bool
    why: str = ""
    ill_posed: bool = False
    hessian: np.ndarray | None = None  # of minus the log-density, dense; None for large models
    evaluations: int = 0


def find_mode(joint: LogJoint, max_iterations: int = 200, deadline: float | None = None) -> Laplace:
    """Newton's method with a trust region on the joint log-density, from where it stands."""
    from scipy import optimize

    start = joint.theta.copy()
    count = inner = 0

    class OutOfTime(Exception):
        pass

    def negative(theta):
        nonlocal count, inner
        count, inner = count + 1, 0
        if deadline is not None and time.perf_counter() > deadline:
            raise OutOfTime
        value, gradient, _ = joint.run(theta)
        return (-value, -gradient) if np.isfinite(value) else (1e300, np.zeros_like(theta))

    def product(theta, along):
        nonlocal inner
        if deadline is not None and time.perf_counter() > deadline:
            raise OutOfTime
        inner += 1
        if inner > 2 * joint.size + 20:  # conjugate gradients that rounding keeps from ending: no curvature ends them at the region's edge
            return np.zeros_like(along)
        return -joint.run(theta, along)[2]

    if not np.isfinite(joint.run(start)[0]):
        joint.complain(" at the starting point")
    try:
        method = {"method": "trust-ncg", "hessp": product} if joint.size <= DENSE else {"method": "L-BFGS-B"}
        options = {"maxiter": max_iterations, "gtol": 1e-6} if joint.size <= DENSE else {"maxiter": 10 * max_iterations, "maxcor": 20}
        with np.errstate(all="ignore"):
            result = optimize.minimize(negative, start, jac=True, options=options, **method)
    except OutOfTime:
        return Laplace(joint.theta.copy(), -np.inf, False, "the time was up before the mode was found", evaluations=count)
    value, gradient, _ = joint.run(result.x)
    laplace = Laplace(result.x.copy(), value, True, evaluations=count)
    if joint.size <= DENSE:
        laplace.hessian = dense_hessian(joint, result.x)
        _judge(joint, laplace, gradient)
    return laplace


def dense_hessian(joint: LogJoint, theta: np.ndarray) -> np.ndarray:
    """Minus the Hessian of the log-density, column by column, symmetrised."""
    matrix = np.empty((joint.size, joint.size))
    unit = np.zeros(joint.size)
    for k in range(joint.size):
        unit[:] = 0.0
        unit[k] = 1.0
        matrix[:, k] = -joint.run(theta, unit)[2]
    return (matrix + matrix.T) / 2


def _judge(joint: LogJoint, laplace: Laplace, gradient: np.ndarray) -> None:
    """Is the point a mode with positive curvature in every direction?"""
    if joint.size == 0:
        return
    values, vectors = np.linalg.eigh(laplace.hessian)
    found = escape(lambda theta: joint.run(theta)[0], laplace.mode, gradient, laplace.hessian)
    if found is not None:
        settled = float(np.abs(gradient).max()) < SETTLED and not found.unbounded
        laplace.found, laplace.ill_posed = False, settled
        name = _name_of(joint, int(np.abs(found.direction).argmax()))
        if not settled:
            laplace.why = f"the joint log-density has no highest point that was found: from {laplace.value:.4g} it still rises"
        else:
            laplace.why = f"the log-density does not fall along {name} from {laplace.value:.4g}: there is no proper posterior"
    elif values[0] <= FLAT * max(values[-1], 1e-12) or values[0] <= 1e-12:
        laplace.found = False
        name = _name_of(joint, int(np.abs(vectors[:, 0]).argmax()))
        laplace.why = f"the log-density is not concave at its highest point found (curvature {values[0]:.1e} along {name})"
    elif float(np.abs(gradient).max()) > 1e-2 * max(1.0, float(np.sqrt(values[-1]))):
        laplace.found = False
        laplace.why = f"the mode was not reached (gradient {float(np.abs(gradient).max()):.1e})"


def _name_of(joint: LogJoint, element: int) -> str:
    k = int(np.searchsorted(joint.starts, element, side="right")) - 1
    return joint.parameters[k].name.removesuffix("_mode")


def block_covariances(joint: LogJoint, laplace: Laplace) -> dict[Leaf, np.ndarray]:
    """For every parameter of the joint density, the covariance of the values of one plate element: (plate axes..., k, k).

    From the dense inverse Hessian where there is one, else the inverse of the curvature of each block alone.
    """
    result = {}
    from scipy import linalg

    inverse = linalg.inv(laplace.hessian) if laplace.hessian is not None and laplace.found else None
    for leaf in joint.parameters:
        shape = joint.shapes[joint.parameters.index(leaf)]
        result[leaf] = _from_inverse(joint, leaf, shape, inverse) if inverse is not None else _by_probes(joint, laplace, leaf, shape)
    return result


def _from_inverse(joint: LogJoint, leaf: Leaf, shape: tuple[int, ...], inverse: np.ndarray) -> np.ndarray:
    start = joint.starts[joint.parameters.index(leaf)]
    order = np.arange(int(np.prod(shape))).reshape(shape) + start
    width = shape[-1] if shape else 1
    rows = order.reshape(-1, width)
    return np.stack([inverse[np.ix_(r, r)] for r in rows]).reshape(*shape[:-1], width, width) if rows.size else np.zeros((*shape, width))


def _by_probes(joint: LogJoint, laplace: Laplace, leaf: Leaf, shape: tuple[int, ...]) -> np.ndarray:
    """One Hessian product per value of a plate element: elements do not interact, so all of them are probed at once."""
    width = shape[-1] if shape else 1
    outer = int(np.prod(shape[:-1])) if shape else 1
    curvature = np.zeros((outer, width, width))
    along = np.zeros(joint.size)
    for k in range(width):
        along[:] = 0.0
        joint.part(along, leaf).reshape(outer, width)[:, k] = 1.0
        product = -joint.run(laplace.mode, along)[2]
        curvature[:, :, k] = joint.part(product, leaf).reshape(outer, width)
    curvature = (curvature + np.swapaxes(curvature, 1, 2)) / 2
    values, vectors = np.linalg.eigh(curvature)
    values = np.where(values > 1e-6, values, 1.0)
    covariance = np.einsum("oij,oj,okj->oik", vectors, 1 / values, vectors)
    return covariance.reshape(*shape[:-1], width, width)
