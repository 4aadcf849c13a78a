"""The compiler's order: stabilise, restructure, differentiate, simplify, plan, lower, print, cache, compile.

A hit in the cache skips it all. Choices by size are made on the way, at the sizes at hand, and recorded as guards. A request has one
module for each outcome of its guards (`fit/variants.py` picks the one for given sizes); most requests have no guard and one module.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from symvi.atoms.elementwise import as_float
from symvi.calculus.forward import pushforward
from symvi.calculus.reverse import gradients
from symvi.expr.build import counting_rows, read_own
from symvi.expr.dims import Dim
from symvi.expr.facts import asserted
from symvi.expr.labels import Label, canonical_axes
from symvi.expr.leaf import Leaf
from symvi.expr.nodes import Array, Node, postorder
from symvi.expr.provenance import value_names
from symvi.fit.leaves import collect_leaves, unique_names
from symvi.plan.reductions import open_reductions
from symvi.plan.regions import Output, Plan, plan
from symvi.rewrite.guard import Decisions, deciding
from symvi.rewrite.rule import fingerprint
from symvi.rules import restructure, simplify, stabilise
from symvi.runtime import helpers, module_cache
from symvi.runtime.binding import Compiled, guards_hold
from symvi.runtime.versions import toolchain_digest
from symvi.targets.cpu.module import emit

__all__ = ["Request", "Result", "compile_request", "lower_request"]


@dataclass
class Request:
    """What is to be computed: named terms with their axes, and the gradient of the first by arrays (as g_<name>)."""

    outputs: Sequence[Output]
    gradients: Sequence[Array] = ()
    name: str = "kernel"
    dtype: str = "float64"
    batched: tuple[Dim, ...] = ()
    directions: Sequence[Array] = ()  # one per gradient: also the Hessian times these, as h_<name>
    into: Mapping[str, str] = field(default_factory=dict)  # results to be written over inputs, {result: input}, where that is safe
    leaves: list[Leaf] = field(default_factory=list)

    def __post_init__(self):
        self.leaves = collect_leaves([*(output.term for output in self.outputs), *self.directions])

    def key(self) -> str:
        """The digest of what the user gave, before any pass, with the rules and the versions of everything that shapes the module."""
        order = list(postorder([output.term for output in self.outputs]))
        variables = value_names(order)
        hints = [variables.get(node, "") for node in order if node.is_term]
        facts = [sorted(asserted(node)) for node in order if asserted(node)]
        parts = [
            [output.name, output.term.digest.hex(), [str(axis) for axis in output.axes]] for output in self.outputs
        ]  # fmt: skip
        arrays = [self.leaves.index(array.leaf) for array in (*self.gradients, *self.directions)]
        known = [[name.known for dim in leaf.shape for name in dim.names] for leaf in self.leaves]
        data = [
            parts,
            arrays,
            self.name,
            self.dtype,
            [str(d) for d in self.batched],
            hints,
            facts,
            known,
            [leaf.text for leaf in self.leaves],
            sorted(self.into.items()),
            fingerprint(),
            toolchain_digest(),
        ]
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()


@dataclass
class Result:
    """A compiled request."""

    compiled: Compiled
    leaves: list[Leaf]
    seconds: float
    hit: bool
    request: Request
    sizes: Mapping[str, int] | None = None  # at which choices were made; None where they were assumed


def gradient_name(array: Array, names: dict[Leaf, str]) -> str:
    return f"g_{names[array.leaf]}"


def lower_request(request: Request, sizes: Mapping[str, int] | None = None) -> tuple[list[Output], Plan]:
    """The outputs after all passes on expressions, and their plan. Choices by size are made at `sizes`; what they leave open is assumed."""
    with deciding(Decisions(sizes=sizes)) as decisions:
        outputs = _differentiated(request)
        program = plan(outputs, request.batched)
    program.guards = decisions.taken
    return outputs, program


def _differentiated(request: Request) -> list[Output]:
    """The outputs with their derivatives, after all passes on expressions."""
    names = unique_names(request.leaves)
    roots: list[Node] = restructure(stabilise([output.term for output in request.outputs]))
    terms = list(roots)
    axes: list[tuple[Label, ...]] = [output.axes for output in request.outputs]
    labels = [output.name for output in request.outputs]
    if request.gradients:
        with counting_rows(request.batched):
            terms += gradients(roots[0], request.gradients)
        axes += [canonical_axes(array.shape) for array in request.gradients]
        labels += [gradient_name(array, names) for array in request.gradients]
    if request.directions:
        along = {array: read_own(direction) for array, direction in zip(request.gradients, request.directions, strict=True)}
        terms += pushforward(terms[len(roots) :], along)
        axes += axes[len(roots) :]
        labels += [f"h_{names[array.leaf]}" for array in request.gradients]
    terms = open_reductions(simplify(terms))
    for position, output in enumerate(request.outputs):  # a real result stays one, also where it becomes 0 or an identity matrix
        if output.term.kind == "f" and terms[position].kind != "f":
            terms[position] = as_float(terms[position])
    return [Output(label, term, a) for label, term, a in zip(labels, terms, axes, strict=True)]


def stored_module(request: Request, key: str, sizes: Mapping[str, int] | None) -> Path | None:
    """The module of a request in the cache: the only one, or the variant whose guards hold at `sizes`."""
    only = module_cache.find(key, request.name)
    if only is not None or sizes is None:
        return only
    variants = module_cache.find_variants(key, request.name)
    return next((path for path in variants if guards_hold(module_cache.read_manifest(path), sizes)), None)


def store_module(request: Request, key: str, program: Plan) -> Path:
    """Emit the module of a plan into the cache."""
    names = unique_names(request.leaves)
    numbers = {leaf: number for number, leaf in enumerate(request.leaves)}
    originals = [output.term for output in request.outputs]
    module = emit(
        program, request.name, f"{request.name}: emitted by symvi.", names, numbers, request.dtype, helpers.helper_name(), originals,
        request.into,
    )  # fmt: skip
    manifest = {**module.manifest, "helpers": helpers.helper_name()}
    path = module_cache.write(key, request.name, module.source, manifest, variant_of(manifest["guards"]))
    helpers.helper_module()
    return path


def variant_of(guards: Sequence) -> str:
    """The digest of what a module relies on; empty where it suits all sizes."""
    return hashlib.sha256(json.dumps(guards).encode()).hexdigest() if guards else ""


def load_module(request: Request, path: Path, hit: bool, seconds: float, sizes: Mapping[str, int] | None) -> Result:
    """Import a module of the cache, which compiles it where its machine code is not there."""
    start = time.perf_counter()
    compiled = Compiled(module_cache.load(path), module_cache.read_manifest(path), module_cache.source_of(path), str(path))
    return Result(compiled, request.leaves, seconds + time.perf_counter() - start, hit, request, sizes)


def compile_request(request: Request, sizes: Mapping[str, int] | None = None) -> Result:
    """The compiled module of a request, from the cache where it is there. Choices by size are good at `sizes`; without, assumed."""
    start = time.perf_counter()
    key = request.key()
    path = stored_module(request, key, sizes)
    hit = path is not None
    if path is None:
        _, program = lower_request(request, sizes)
        path = store_module(request, key, program)
    return load_module(request, path, hit, time.perf_counter() - start, sizes)
