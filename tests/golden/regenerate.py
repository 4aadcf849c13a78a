"""Writes the golden files anew: the emitted modules of four models, read by people when they change.

    python -m tests.golden.regenerate

A change to these files is a change of the product: look at the difference before it is committed.
"""

from __future__ import annotations

from pathlib import Path

from symvi.array.expression import array_of
from symvi.fit.function import output_of
from symvi.fit.leaves import unique_names
from symvi.fit.pipeline import Request, lower_request
from symvi.targets.cpu.module import emit

FOLDER = Path(__file__).parent
HELPERS = "symvi_helpers"  # in the cache the name ends in a digest


def emitted(model) -> str:
    """The module of a model: value and gradients."""
    bound, parameters = model()
    request = Request([output_of("value", bound)], name=model.__name__)
    request.gradients = [array_of(parameter) for parameter in parameters]
    _, plan = lower_request(request)
    names = unique_names(request.leaves)
    numbers = {leaf: number for number, leaf in enumerate(request.leaves)}
    originals = [output.term for output in request.outputs]
    module = emit(plan, model.__name__, f"{model.__name__}: emitted by symvi.", names, numbers, "float64", HELPERS, originals)
    return module.source.rstrip() + "\n"


def path_of(model) -> Path:
    return FOLDER / f"{model.__name__}.py"


def main() -> None:
    from tests.golden.models import MODELS

    for model in MODELS:
        path_of(model).write_text(emitted(model), encoding="utf-8")
        print(path_of(model).name)


if __name__ == "__main__":
    main()
