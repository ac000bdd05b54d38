"""The memory of a training at its peak, weights and optimizer included, beside PyTorch's: what a process grows by."""

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
from core.nn.step.state import start
from core.nn.training.learner import Learner

STEPS = 3
ROUNDS = 3
ROOM = 1.0
"""MB by which a reading may be off: the kernel counts pages, and an allocator takes them some at a time."""


def measure() -> Iterator[Outcome]:
    """A line for each net."""
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
    """The core's steps on arrays, as PyTorch has them; a job's come out of JSON."""
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
    """The MB by which this process grows until some steps are taken; what the library itself takes came before."""
    import_module(library)
    with threadpool_limits(THREADS, user_api="blas"):
        make(LITTLE)(STEPS)  # what any first step makes: threads, kernels, caches
        net.samples()
        gc.collect()  # what they left in cycles is memory for what comes
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before = _megabytes("VmRSS")
        contestant = make(net)  # by name, as its helpers end with it
        contestant(STEPS)
        own = max(0.0, _megabytes("VmHWM") - before)
        return own + sum(_megabytes("Private_Dirty", f"{helper}/smaps_rollup") for helper in _helpers())


def _helpers() -> list[str]:
    """The processes that help this one. What is theirs alone stays theirs; what is in common is in this one's peak."""
    return [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]


def _megabytes(field: str, file: str = "self/status") -> float:
    lines = Path("/proc", file).read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
