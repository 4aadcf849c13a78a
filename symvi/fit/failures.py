"""Why a compiled run stopped, as an exception that names the sub-expression, the step and the user's line."""

from __future__ import annotations

import numpy as np

from symvi.errors import NonFiniteError
from symvi.fit import loop_layout as layout
from symvi.fit.blame import blame
from symvi.fit.function import raise_status

__all__ = ["raise_failure"]

KEPT = "Parameters stay at the last finite state"
WHAT = {layout.GRADIENT_NOT_FINITE: "the gradient", layout.PARAMETER_NOT_FINITE: "the parameter", layout.UPDATE_FAILED: "the update"}


def raise_failure(trainer, step: int) -> None:
    """Raise the error behind the state that the loop left."""
    code, segment, element = (int(v) for v in trainer.state[: layout.STATE_KEPT])
    where = f" at step {step}"
    if code < layout.VALUE_NOT_FINITE or code > layout.UPDATE_FAILED:
        raise_status(trainer.binding, (code >> 32 << 32) | (code & 0xFFFFFFFF) - trainer.kernel.steps_ahead, where)
    if code == layout.VALUE_NOT_FINITE:
        raise NonFiniteError(f"the bound became {trainer.value[0]}{where}: {_culprit(trainer, step)}. {KEPT}")
    name = trainer.parameters.coordinate(segment, element)
    raise NonFiniteError(f"{WHAT[code]} of {name} is not finite{where}: {_culprit(trainer, step)}. {KEPT}")


def _culprit(trainer, step: int) -> str:
    """The sub-expression at fault: at the present parameters, or at those that the last update had led to and that were taken back."""
    found = blame(trainer.objective, trainer.result, trainer.binding)
    if found is None and trainer.plan is None and step > 0:
        found = _blame_after_update(trainer, step)
    return found or "every sub-expression is finite, but the gradient overflows"


def _blame_after_update(trainer, step: int) -> str | None:
    """Take the last step once more, look, and put everything back."""
    arrays = [array for array in trainer.segments[0] if array is not None] + list(trainer.slots[0].values())
    kept = [array.copy() for array in arrays]
    try:
        if trainer.take(step - 1, 1, np.zeros(1)) == 1:
            trainer.binding.run(trainer.seed, 0, step)
            return blame(trainer.objective, trainer.result, trainer.binding)
    finally:
        for array, before in zip(arrays, kept, strict=True):
            array[:] = before
    return None
