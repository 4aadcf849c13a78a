"""Why a compiled run stopped, as an exception that names the sub-expression, the step and the user's line."""

from __future__ import annotations

from symvi.errors import NonFiniteError
from symvi.fit import loop_layout as layout
from symvi.fit.blame import first_non_finite
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
        raise NonFiniteError(f"the bound became {trainer.value[0]}{where}: {first_non_finite(trainer)}. {KEPT}")
    name = trainer.parameters.coordinate(segment, element)
    raise NonFiniteError(f"{WHAT[code]} of {name} is not finite{where}: {first_non_finite(trainer)}. {KEPT}")
