"""One training step beside PyTorch's fastest mode, two threads each, on the same batches in the same order."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

from benchmarks.apart import apart
from benchmarks.models import model_of
from benchmarks.nets import (
    GRU,
    LARGE,
    LENET,
    LINE,
    LITTLE,
    LSTM,
    TRANSFORMER,
    VGG,
    WIDE,
    Net,
    Transformer,
    made_ready,
)
from benchmarks.outcome import Missing, Outcome, at_least, information, ratios
from benchmarks.rounds import Contestant, alternate
from core.allocator import keep_freed_memory
from core.data.prepare import Prepared
from core.jobs.resolve import Resolved
from core.jobs.spec import JobSpec
from core.nn.step.state import start
from core.nn.training.learner import Learner

MUST = {
    LINE: 4.0,
    LITTLE: 5.0,
    LARGE: 1.1,
    WIDE: 1.0,
    LENET: 1.0,
    VGG: 0.7,
    LSTM: 0.8,
    GRU: 1.0,
    TRANSFORMER: 1.0,
}
THREADS = 2
ROUNDS = 31
SECONDS = 0.06
"""Seconds of one round: many short rounds, so that a disturbance affects few of them."""
WAYS = {
    "eager": {"foreach": False, "fused": False},
    "foreach": {"foreach": True, "fused": False},
    "fused": {"foreach": False, "fused": True},
    "compiled": {"foreach": False, "fused": True},
}
"""PyTorch's modes: its optimizer's implementation, and `torch.compile`."""


def measure() -> Iterator[Outcome]:
    """Yield a line per network; without PyTorch only our step time."""
    if not find_spec("torch"):
        for net in MUST:
            with apart(partial(ours, net), THREADS) as contestant:
                own = median(alternate({"ours": contestant}, ROUNDS, SECONDS)["ours"])
            yield information(f"one training step: {net.name}", own * 1e6, "µs")
        raise Missing("torch", "No module named 'torch'")
    for net, least in MUST.items():
        yield _beside(net, least)


def _beside(net: Net, least: float) -> Outcome:
    with ExitStack() as stack:
        contestants = {"ours": stack.enter_context(apart(partial(ours, net), THREADS))}
        for way in WAYS:
            with suppress(EOFError):  # torch.compile needs a C++ compiler
                contestants[way] = stack.enter_context(apart(partial(theirs, net, way), THREADS))
        measured = alternate(contestants, ROUNDS, SECONDS)
    own = measured.pop("ours")
    best = min(measured, key=lambda way: median(measured[way]))
    ratio, spread = ratios(measured[best], own)
    took = f"{median(own) * 1e6:.0f} µs, PyTorch {best} {median(measured[best]) * 1e6:.0f} µs"
    if "compiled" not in measured:
        took += "; it could not be compiled"
    return at_least(f"one training step against PyTorch: {net.name}", ratio, least, "×", f"{spread}; {took}")


def ours(net: Net) -> Contestant:
    """Return our contestant, in a process that keeps freed memory as a worker's does."""
    keep_freed_memory()
    spec, resolved, data = planned(net)
    state = start(resolved.network, spec.optimizer, seed=0)
    learner = Learner(resolved.network, resolved.loss, spec.optimizer, resolved.training, data, state, threads=THREADS)

    def run(steps: int) -> None:
        for _ in range(steps):
            if state.position == learner.rows:
                state.position = 0
            learner.step()

    return run


def planned(net: Net) -> tuple[JobSpec, Resolved, Prepared]:
    """Return the network as a job's: spec, resolved network and prepared data."""
    np.seterr(all="ignore")
    spec = JobSpec.model_validate_json(json.dumps(net.spec()))
    return spec, *made_ready(spec)


def theirs(net: Net, way: str) -> Contestant:
    """Return PyTorch's contestant, which reads the loss after each step as ours does."""
    torch: Any = import_module("torch")
    torch.set_num_threads(THREADS)
    x, y = (torch.from_numpy(array) for array in net.samples())
    x, y = x if isinstance(net, Transformer) else x.float(), y if net.classes else y.float()
    model = model_of(torch, net)
    compare = torch.nn.CrossEntropyLoss() if net.classes else torch.nn.MSELoss()
    if isinstance(net, Transformer):  # PyTorch expects the classes on the second axis
        compare = partial(_each_token, compare)
    optimizer = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[net.optimizer]
    optimizer = optimizer(model.parameters(), lr=net.rate, **WAYS[way])
    if way == "compiled":
        model = torch.compile(model)
    place = 0

    def run(steps: int) -> None:
        nonlocal place
        for _ in range(steps):
            if place == len(x):
                place = 0
            end = min(place + net.batch, len(x))
            optimizer.zero_grad()
            loss = compare(model(x[place:end]), y[place:end])
            loss.backward()
            optimizer.step()
            loss.item()
            place = end

    run(2)  # compile before measuring
    return run


def _each_token(compare: Any, outputs: Any, tokens: Any) -> Any:
    return compare(outputs.flatten(0, 1), tokens.flatten())
