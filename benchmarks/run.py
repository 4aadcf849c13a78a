"""symvi against its peers, same model, data, float type, draws and threads: `python benchmarks/run.py --peers jax,numpyro`.

Every system runs each workload in a process of its own on the same cores; before timing, value and gradient are compared at the same
parameters and draws; then the systems take turns, each for about half a second at a time. The table shows milliseconds per step (median
and quartiles), the ratio, cold and warm starts, peak memory and the distance to the machine's limit.

The peers live in an environment of their own:

    python -m venv peers && peers/bin/pip install jax numpyro
    python benchmarks/run.py --peers jax,numpyro --peer-python peers/bin/python

`--rows logistic,mixture` chooses workloads, `--threads 1` the number of threads, `--cold` also measures starts from an empty kernel
cache, `--plot FILE` draws the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.speed.limits import Limits  # noqa: E402
from benchmarks.speed.workload import Workload  # noqa: E402
from benchmarks.speed.workloads import all_workloads  # noqa: E402

TURN = 0.5  # seconds that a system runs at a time
TURNS = 7


def popen(arguments: list[str], threads: int, environment: dict[str, str]) -> subprocess.Popen:
    """A process on the first `threads` cores, with pipes."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    settings = {**os.environ, **{name: str(threads) for name in names}, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment}
    command = ["taskset", "-c", ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads])), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=settings)


def measured_limits(dtype: str, threads: int) -> Limits:
    output, _ = popen([sys.executable, "-m", "benchmarks.speed.limits", dtype], threads, {}).communicate()
    return Limits(**json.loads(output))


class Process:
    """A worker process and its answers."""

    def __init__(self, workload: str, system: str, python: str, threads: int, environment: dict[str, str]):
        self.process = popen([python, "-m", "benchmarks.speed.worker", workload, system], threads, environment)

    def ask(self, *request) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args[3:])} stopped with status {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Row:
    """One workload, measured."""

    def __init__(self, workload: Workload, systems: list[str], options: argparse.Namespace, cache: str):
        self.workload, self.options, self.cache = workload, options, cache
        self.seconds: dict[str, list[float]] = {name: [] for name in systems}
        self.first: dict[str, float] = {}
        self.warm: dict[str, float] = {}
        self.memory: dict[str, float] = {}

    def process(self, system: str) -> Process:
        python = sys.executable if system == "symvi" else self.options.peer_python
        return Process(self.workload.name, system, python, self.options.threads, {"SYMVI_CACHE_DIR": self.cache} if self.cache else {})

    def measure(self) -> None:
        processes = {}
        for system in self.seconds:
            processes[system] = self.process(system)
            self.first[system] = processes[system].ask("start")["age"]
        self._compare(processes)
        steps = {system: self._steps(process) for system, process in processes.items()}
        for _ in range(TURNS):
            for system, process in processes.items():
                self.seconds[system].append(process.ask("run", steps[system])["seconds"] / steps[system])
        for system, process in processes.items():
            self.memory[system] = process.ask("memory")["bytes"]
            process.close()
        again = self.process("symvi")
        self.warm["symvi"] = again.ask("start")["age"]
        again.close()

    @staticmethod
    def _steps(process: Process) -> int:
        """As many steps as take about one turn; all that a system compiles for a number of steps is compiled here."""
        steps = 1
        while (seconds := process.ask("run", steps)["seconds"]) < TURN / 4 and steps < 100_000:
            steps *= 4
            process.ask("run", steps)
        steps = max(1, round(steps * TURN / max(seconds, 1e-9)))
        process.ask("run", steps)
        return steps

    def _compare(self, processes: dict[str, Process]) -> None:
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            for number, (system, process) in enumerate(processes.items()):
                file = f"{folder}/{number}.npz"
                process.ask("agree", file)
                with np.load(file) as arrays:
                    found[system] = {name: arrays[name] for name in arrays.files}
        ours = found.pop("symvi")
        for system, theirs in found.items():
            for name, array in theirs.items():
                scale = np.abs(array).max(initial=0.0) + 1e-300
                error = np.abs(ours[name] - array).max(initial=0.0) / scale
                if not error <= self.workload.tolerance:
                    raise SystemExit(f"{self.workload.name}: symvi and {system} differ in {name} by {error:.2e}")

    def ratio(self, peer: str) -> float:
        return statistics.median(self.seconds[peer]) / statistics.median(self.seconds["symvi"])

    def lines(self, limits) -> list[str]:
        limit = limits.seconds(self.workload.counts(self.workload.data()))
        lines = [self.workload.title, f"    {'limit':<28}{limit * 1e3:>11.4f}"]
        for system, seconds in self.seconds.items():
            low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75]) * 1e3
            text = f"    {system:<28}{middle:>11.4f} ({low:.4f} to {high:.4f})"
            if system == "symvi":
                text += f", {middle / limit / 1e3:.2f} times the limit, warm start {self.warm['symvi']:.2f} s"
            else:
                bar = self.workload.bars.get(system)
                reached = "" if bar is None else f" (bar {bar:g}: {'reached' if self.ratio(system) >= bar else 'MISSED'})"
                text += f", ratio {self.ratio(system):.2f}{reached}"
            lines.append(f"{text}, first step {self.first[system]:.1f} s, peak {self.memory[system] / 1e6:.0f} MB")
        return lines


def chosen(options: argparse.Namespace) -> list[Workload]:
    names = options.rows.split(",") if options.rows else None
    rows = [row for row in all_workloads() if names is None or row.name in names]
    if names and len(rows) < len(names):
        raise SystemExit(f"the workloads are {', '.join(row.name for row in all_workloads())}")
    return rows


def plot(rows: list[Row], file: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    entries = [(f"{row.workload.name} ({peer})", row.ratio(peer)) for row in rows for peer in row.seconds if peer != "symvi"]
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(entries) + 1))
    axes.barh([name for name, _ in entries][::-1], [value for _, value in entries][::-1])
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="time of the peer / time of symvi")
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="jax, numpyro; comma-separated")
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter of the peers' environment")
    parser.add_argument("--rows", default="", help="workloads; all by default")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--cold", action="store_true", help="begin every workload with an empty kernel cache")
    parser.add_argument("--plot", default="")
    options = parser.parse_args()
    peers = [name for name in options.peers.split(",") if name]
    limits = {dtype: measured_limits(dtype, options.threads) for dtype in ("float64", "float32")}
    for dtype, found in limits.items():
        rates = f"read {found.bandwidth / 1e9:.1f} GB/s, product {found.gemm / 1e9:.1f} GFlop/s, exp {found.exp / 1e9:.2f} G/s"
        print(f"{options.threads} threads, {dtype}: {rates}")
    print("milliseconds per step: median (quartiles)", flush=True)
    measured = []
    for workload in chosen(options):
        systems = ["symvi", *(name for name in workload.peers if name.split(",")[0] in peers)]
        with tempfile.TemporaryDirectory() as empty:
            row = Row(workload, systems, options, empty if options.cold else os.environ.get("SYMVI_CACHE_DIR", ""))
            row.measure()
        print("\n".join(row.lines(limits[workload.dtype])), flush=True)
        measured.append(row)
    ratios = [row.ratio(next(iter(row.workload.peers))) for row in measured if len(row.seconds) > 1]
    if ratios:
        print(f"geometric mean of the ratios as written: {np.exp(np.mean(np.log(ratios))):.2f}")
    if options.plot:
        plot(measured, options.plot)


if __name__ == "__main__":
    main()
