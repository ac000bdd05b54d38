"""Forward pass of a single row, beside PyTorch in inference mode."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

from benchmarks.apart import apart
from benchmarks.models import model_of
from benchmarks.nets import LENET, LINE, LITTLE, Net
from benchmarks.outcome import Missing, Outcome, at_least, ratios
from benchmarks.rounds import Contestant, alternate
from benchmarks.steps import ROUNDS, SECONDS, THREADS, planned
from core.nn.predictor import Predictor
from core.nn.step.state import start

MUST = {LINE: 10.0, LITTLE: 10.0, LENET: 3.0}


def measure() -> Iterator[Outcome]:
    """Yield a line per network."""
    if find_spec("torch") is None:
        raise Missing("torch", "No module named 'torch'")
    for net, least in MUST.items():
        with ExitStack() as stack:
            sides = {side.__name__: stack.enter_context(apart(partial(side, net), THREADS)) for side in (ours, theirs)}
            measured = alternate(sides, ROUNDS, SECONDS)
        ratio, spread = ratios(measured["theirs"], measured["ours"])
        took = ", PyTorch ".join(f"{median(measured[side]) * 1e6:.1f} µs" for side in ("ours", "theirs"))
        yield at_least(f"one row forward against PyTorch: {net.name}", ratio, least, "×", f"{spread}; {took}")


def ours(net: Net) -> Contestant:
    """Return our contestant."""
    spec, resolved, data = planned(net)
    state = start(resolved.network, spec.optimizer, seed=0)
    predictor, row = Predictor(resolved.network, state.weights, state.statistics), np.ascontiguousarray(data.x[:1])

    def run(times: int) -> None:
        for _ in range(times):
            predictor.outputs(row)

    return run


def theirs(net: Net) -> Contestant:
    """Return PyTorch's contestant."""
    torch: Any = import_module("torch")
    torch.set_num_threads(THREADS)
    model, row = model_of(torch, net).eval(), torch.from_numpy(net.samples()[0][:1]).float()

    def run(times: int) -> None:
        with torch.inference_mode():
            for _ in range(times):
                model(row)

    return run
