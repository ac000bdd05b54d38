"""Peak memory of a training, weights and optimizer included, beside PyTorch's: the growth of the process."""

import gc
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.nets import LITTLE, Net
from benchmarks.outcome import Missing, Outcome, at_most
from benchmarks.rounds import Contestant
from benchmarks.steps import MUST, THREADS, planned, theirs
from benchmarks.tasks.learning import Rows
from core.allocator import keep_freed_memory
from core.nn.step.state import start
from core.nn.training.learner import Learner

STEPS = 3
ROUNDS = 3
ROOM = 1.0
"""Uncertainty of a reading in MB: the kernel counts pages, and an allocator takes several at a time."""


def measure() -> Iterator[Outcome]:
    """Yield a line per network."""
    if find_spec("torch") is None:
        raise Missing("torch", "No module named 'torch'")
    for net in MUST:
        own, other = _apart(ours, "core.nn.training.learner", net), _apart(partial(theirs, way="fused"), "torch", net)
        what = f"peak memory of a training against PyTorch: {net.name}"
        yield at_most(what, (own + ROOM) / (other + ROOM), 1, "×", f"{own:.1f} MB, PyTorch {other:.1f} MB")


def _apart(make: Callable[[Net], Contestant], library: str, net: Net) -> float:
    return median(_once(make, library, net) for _ in range(ROUNDS))


def _once(make: Callable[[Net], Contestant], library: str, net: Net) -> float:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(grown, make, library, net).result()


def ours(net: Net) -> Contestant:
    """Return our contestant, which trains on arrays as PyTorch's does; a job's data come from JSON."""
    keep_freed_memory()
    spec, resolved, _ = planned(replace(net, rows=2))
    rows = _rows(net)
    state = start(resolved.network, spec.optimizer, seed=0)
    learner = Learner(resolved.network, resolved.loss, spec.optimizer, resolved.training, rows, state, threads=THREADS)

    def run(steps: int) -> None:
        for _ in range(steps):
            learner.step()

    return run


def _rows(net: Net) -> Rows:
    x, y = net.samples()
    return Rows(x.astype(np.float32, copy=False), y)


def grown(make: Callable[[Net], Contestant], library: str, net: Net) -> float:
    """Return the MB by which this process grows during some steps, without what the library itself takes."""
    import_module(library)
    with threadpool_limits(THREADS, user_api="blas"):
        make(LITTLE)(STEPS)  # a first step creates threads, kernels and caches
        net.samples()
        gc.collect()  # free reference cycles, so that their memory can be used again
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # reset the peak
        before = _megabytes("VmRSS")
        contestant = make(net)  # keep a reference: its shard processes end with it
        contestant(STEPS)
        own = max(0.0, _megabytes("VmHWM") - before)
        return own + sum(_megabytes("Private_Dirty", f"{process}/smaps_rollup") for process in _shard_processes())


def _shard_processes() -> list[str]:
    """Return the ids of this process's shard processes. Memory that they share is already in this process's peak."""
    return [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]


def _megabytes(field: str, file: str = "self/status") -> float:
    lines = Path("/proc", file).read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
