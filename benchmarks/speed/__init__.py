"""Speed against the peers: workloads, the systems that run them, the limits of the machine. `python benchmarks/run.py --help`."""
