"""Time of a training step by depth, width and batch size: ours, PyTorch's, and the machine's bound.

The bound is the step's number of operations at the rate of large matrix products on this machine. The picture goes to
`docs/cost.svg`.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.apart import apart
from benchmarks.counting import estimate
from benchmarks.nets import Net
from benchmarks.outcome import Outcome, information
from benchmarks.panels import Axis, Point, panel, picture
from benchmarks.rounds import alternate
from benchmarks.steps import THREADS, ours, planned, theirs

PICTURE = Path(__file__).parents[1] / "docs" / "cost.svg"
ROUNDS, SECONDS = 21, 0.05
INPUTS, CLASSES, UNITS, BATCH = 64, 10, 128, 64
SERIES: Mapping[str, Mapping[int, Net]] = {
    "hidden layers": {
        depth: Net((INPUTS, *[UNITS] * depth, CLASSES), BATCH, 4 * BATCH, "adam") for depth in (1, 2, 4, 8, 16)
    },
    "units of each": {
        units: Net((INPUTS, units, units, CLASSES), BATCH, 4 * BATCH, "adam") for units in (16, 64, 256, 1024)
    },
    "rows of a batch": {rows: Net((INPUTS, UNITS, UNITS, CLASSES), rows, 4 * rows, "adam") for rows in (1, 8, 64, 512)},
}
"""The three series. Apart from what grows: two hidden layers of 128 relu units, batches of 64."""


def measure() -> Iterator[Outcome]:
    """Yield a line per network; draw the picture of all."""
    rate = _multiplied()
    yield information("matrices of 1024 × 1024 multiplied, two threads", rate / 1e9, "GFLOP/s")
    panels = []
    for what, nets in SERIES.items():
        curves: dict[str, list[Point]] = {"Chainrule": [], "PyTorch": [], "bound": []}
        for size, net in nets.items():
            taken = _steps(net) | {"bound": _operations(net) / rate}
            for name, seconds in taken.items():
                curves[name].append((size, 1e6 * seconds))
            times = ", ".join(
                f"{name} {1e6 * seconds:.0f} µs" for name, seconds in taken.items() if name != "Chainrule"
            )
            yield information(f"a step by {what}: {size}", 1e6 * taken["Chainrule"], "µs", times)
        panels.append((what, {name: points for name, points in curves.items() if points}))
    PICTURE.write_text(_drawn(panels), encoding="utf-8")


def _steps(net: Net) -> dict[str, float]:
    """Return seconds per step, the median of the rounds; without PyTorch only ours."""
    sides: dict[str, Any] = {"Chainrule": partial(ours, net)}
    if find_spec("torch"):
        sides["PyTorch"] = partial(theirs, net, "fused")
    with ExitStack() as stack:
        contestants = {name: stack.enter_context(apart(make, THREADS)) for name, make in sides.items()}
        return {name: median(seconds) for name, seconds in alternate(contestants, ROUNDS, SECONDS).items()}


def _operations(net: Net) -> int:
    _, resolved, _ = planned(net)
    return estimate(resolved.network, net.batch).flops


def _multiplied() -> float:
    """Return floating-point operations per second of a large product, the best of several."""
    size = 1024
    a, b, out = np.random.default_rng(0).standard_normal((3, size, size), np.float32)
    best = np.inf
    with threadpool_limits(THREADS, user_api="blas"):
        for _ in range(20):
            began = time.perf_counter()
            np.matmul(a, b, out=out)
            best = min(best, time.perf_counter() - began)
    return 2 * size**3 / float(best)


def _drawn(panels: Sequence[tuple[str, Mapping[str, Sequence[Point]]]]) -> str:
    every = [value for _, curves in panels for points in curves.values() for _, value in points]
    lowest, highest = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    ticks = [10.0**power for power in range(lowest, highest + 1)]
    up = Axis(ticks[0], ticks[-1], ticks, logarithmic=True)
    drawn = []
    for what, curves in panels:
        sizes = [size for size, _ in curves["Chainrule"]]
        across = Axis(sizes[0], sizes[-1], sizes, logarithmic=True)
        drawn.append(panel(f"µs a step, by {what}", curves, across, up))
    return picture("What a training step costs by depth, width and rows of a batch", drawn)
