"""One system on one workload in a process of its own: `python -m benchmarks.speed.worker WORKLOAD SYSTEM`.

Reads requests from standard input, one JSON list per line, and answers with one line of JSON each:

    ["start"]              build, compile and take the first step        {"seconds": since the process began, "ready": ...}
    ["agree", file]        value and gradient at the workload's point    written to the file (npz)
    ["run", steps]         take steps                                    {"seconds": of the steps}
    ["memory"]             peak resident memory                          {"bytes": ...}
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import numpy as np

from benchmarks.speed.workloads import find

__all__ = ["main"]


def process_age() -> float:
    """Seconds since this process was started, interpreter and imports included."""
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


class Worker:
    """The system and what may be asked of it."""

    def __init__(self, workload: str, system: str):
        self.workload = find(workload)
        self.name = system
        self.data = self.workload.data()
        self.prepared = time.perf_counter()
        self.system = None

    def start(self) -> dict:
        before = time.perf_counter()
        if self.name == "symvi":
            self.system = self.workload.ours(self.data)
        else:
            from benchmarks.speed.peers import setup

            setup(self.workload.dtype)
            self.system = self.workload.peers[self.name](self.data)
        return {"seconds": time.perf_counter() - before, "age": process_age()}

    def agree(self, file: str) -> dict:
        value, gradient = self.system.agree(*self.workload.point(self.data))
        np.savez(file, value=value, **{f"g_{name}": array for name, array in gradient.items()})
        return {}

    def run(self, steps: int) -> dict:
        start = time.perf_counter()
        self.system.run(steps)
        return {"seconds": time.perf_counter() - start}

    def memory(self) -> dict:
        return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main(workload: str, system: str) -> None:
    worker = Worker(workload, system)
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints does not mix with the answers
    for line in sys.stdin:
        request, *arguments = json.loads(line)
        answers.write(json.dumps(getattr(worker, request)(*arguments)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
