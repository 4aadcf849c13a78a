"""Loops over scalar functions become vector code: on this machine, for AVX2, for any x86-64 and for Arm, with the same accuracy."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest
from numba import types

from symvi.runtime.helpers import join_sources, template_directory

FILES = ("scalar_math", "rare_cases", "trigonometry", "gamma_functions")
WORKER = Path(__file__).with_name("vector_loops.py")


def neighbour(name):
    """The module of another file of this folder."""
    spec = importlib.util.spec_from_file_location(f"{name}_of_vector_math", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


loops = neighbour("vector_loops")
scalar = neighbour("test_scalar_math")
KINDS = {"float64": loops.TYPICAL, "float32": ("exp", "log", "sin")}


@pytest.fixture(scope="module")
def vector_file(tmp_path_factory):
    """The helper files of vector functions, joined."""
    path = tmp_path_factory.mktemp("vector") / "vector_helpers.py"
    path.write_text(join_sources({name: (template_directory() / f"{name}.py").read_text(encoding="utf-8") for name in FILES}))
    return path


def run_for(cpu, arguments, cache, **environment):
    """Run the worker in a process whose Numba compiles for another CPU."""
    environment = {**os.environ, "NUMBA_CPU_NAME": cpu, "NUMBA_CACHE_DIR": str(cache), **environment}
    subprocess.run([sys.executable, "-W", "ignore", str(WORKER), *map(str, arguments)], env=environment, check=True, timeout=300)


def code_of(loop):
    """The optimised LLVM of a loop without the wrappers that Python calls, the memory manager and the slow paths."""
    pieces = re.split(r"(?m)^(?=define )", loop.inspect_llvm(loop.signatures[0]))
    code = "".join(piece for piece in pieces if re.match(r"define .*@_ZN(?!7cpython).*loop", piece))
    assert code
    return code


@pytest.mark.parametrize("kind", [types.float64, types.float32], ids=str)
def test_loops_become_vector_code(kind):
    word = "double" if kind is types.float64 else "float"
    bad = []
    for name in loops.PACKED if kind is types.float64 else loops.TYPICAL:
        code = code_of(loops.loop_over(scalar.helper(name), kind))
        packed = re.search(rf"call [^\n]*<\d+ x {word}> @llvm\.fma\.", code)
        tested = re.search(rf"call [^\n]*<\d+ x {word}> @symvi_where_nan_{name}_", code)
        library = re.search(r"call [^\n]*@(?!llvm\.|NRT_|symvi_where_nan_)\w+", code)
        if not packed or library or bool(tested) != (name in loops.RARE) or "double" in code and kind is types.float32:
            bad.append((name, bool(packed), bool(tested), library and library.group()))
    assert not bad


def arguments_of(name, kind):
    """Every third argument of the table of a function, the rare ones among the others, in an array of odd length."""
    with np.errstate(all="ignore"):
        x = np.array(scalar.CASES[name][1], kind)
    x = x[np.concatenate([np.arange(start, x.size, 3) for start in range(3)])]
    return x if x.size % 2 else x[:-1]


@pytest.mark.parametrize("kind", [types.float64, types.float32], ids=str)
def test_loops_have_the_values_of_single_calls(kind):
    bad = []
    for name in (*loops.RARE, "log_ndtr", "sinh"):
        x = arguments_of(name, str(kind))
        found = np.empty_like(x)
        loops.loop_over(scalar.helper(name), kind)(x, found)
        single = np.array([scalar.helper(name)(v) for v in x], x.dtype)
        if not np.array_equal(found, single, equal_nan=True):
            bad.append((name, x[found != single]))
    assert not bad


@pytest.mark.parametrize("cpu, features", [
    pytest.param("haswell", "+avx2,+fma", marks=pytest.mark.slow, id="avx2"), pytest.param("generic", "", id="any x86-64")])
def test_accuracy_on_other_cpus(cpu, features, vector_file, tmp_path):
    if features and not all(llvm.get_host_cpu_features().get(f[1:], False) for f in features.split(",")):
        pytest.skip("this machine does not run AVX2")
    points = {f"{name} {kind}": arguments_of(name, kind) for kind, names in KINDS.items() for name in names}
    np.savez(tmp_path / "points.npz", **points)
    more = {"NUMBA_CPU_FEATURES": features} if features else {}
    run_for(cpu, ["values", vector_file, tmp_path / "points.npz", tmp_path / "found.npz"], tmp_path / "cache", **more)
    bad = {}
    with np.load(tmp_path / "found.npz") as found, mpmath.workdps(60):
        for key, x in points.items():
            name, kind = key.split()
            error, where = scalar.worst_of(name, np.dtype(kind).type, list(zip(x.tolist(), found[key].tolist())))[:2]
            if error > scalar.CASES[name][2]:
                bad[key] = error, where
    assert not bad


@pytest.mark.parametrize("triple, cpu, fused, call", [
    ("aarch64-unknown-linux-gnu", "generic", r"fmla\s+v\d+\.2d", r"\bbl\s+(\w+)"),
    ("x86_64-unknown-linux-gnu", "haswell", r"vfn?m(?:add|sub)\w+pd\s[^\n]*%ymm", r"\bcallq?\s+(\w+)"),
], ids=["arm", "avx2"])  # fmt: skip
def test_assembly_of_other_cpus_is_packed(triple, cpu, fused, call, unoptimised):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3, codemodel="small")
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    passes = llvm.create_pass_builder(machine, options)
    bad = []
    for name in loops.TYPICAL:
        text = (unoptimised / f"{name}.ll").read_text(encoding="utf-8")
        module = llvm.parse_assembly(re.sub(r"(?m)^target (datalayout|triple).*$", "", text))
        module.triple, module.data_layout = triple, str(machine.target_data)
        passes.getModulePassManager().run(module, passes)
        body = next(piece for piece in re.split(r"(?m)^(?=_?_ZN\w+:)", machine.emit_assembly(module)) if re.match(r"_?_ZN.*loop", piece))
        body = body[: body.index(".cfi_endproc")]
        calls = {symbol for symbol in re.findall(call, body) if not symbol.startswith(("symvi_where_nan_", "NRT_"))}
        if not re.search(fused, body) or calls:
            bad.append((name, calls))
    assert not bad


@pytest.fixture(scope="module")
def unoptimised(vector_file, tmp_path_factory):
    """A folder with the LLVM of every loop before optimisation."""
    folder = tmp_path_factory.mktemp("llvm")
    run_for("generic", ["llvm", vector_file, folder], folder / "cache", NUMBA_OPT="0")
    return folder
