"""All that the next step of a training depends on.

Saved at any step and loaded again, it leads to the same weights to the last bit.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.nn.arrays import Array, lazy_zeros
from core.nn.metrics.base import Sums
from core.nn.network import Network
from core.nn.optimizers.slots import initial_slots
from core.nn.optimizers.wrappers import Optimizer


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch so far, by the metric that is watched."""

    metric: str
    value: float
    epoch: int
    step: int


@dataclass(slots=True)
class State:
    """Where a training stands. Vectors are float32; counters count what is done."""

    weights: Array
    statistics: Array
    slots: dict[str, Array]
    best_weights: Array
    """Those of the best epoch; zeros before the first has ended."""
    best_statistics: Array
    rng: np.random.Generator
    order: Any = field(default_factory=lambda: np.empty(0, np.int64))
    """The rows of this epoch in the order of their turn, where they are shuffled."""
    step: int = 0
    epoch: int = 0
    position: int = 0
    """How many rows of this epoch are done."""
    sums: dict[str, Sums] = field(default_factory=dict)
    """What the metrics have gathered of this epoch."""
    best: Best | None = None
    waited: int = 0
    """Epochs since the best."""
    still: int = 0
    """Epochs in which the loss stood still."""
    last_loss: float | None = None
    rate_factor: float = 1.0
    """By which the schedule's rate is multiplied, where a plateau has lowered it."""
    plateau: float | None = None
    """The best value of the metric that must not stand still."""
    plateau_waited: int = 0
    """Epochs since then."""
    cooling: int = 0
    """Epochs until it is watched again."""
    stop: str | None = None

    def arrays(self) -> dict[str, Array]:
        """All vectors by name."""
        named = {name: getattr(self, name) for name in _VECTORS}
        named |= {f"slots.{name}": vector for name, vector in self.slots.items()}
        return named | {f"sums.{name}": np.array(own) for name, own in self.sums.items()}

    def counters(self) -> dict[str, Any]:
        """All else, as JSON can hold it (numbers of any size, none of them rounded)."""
        counters = {name: getattr(self, name) for name in _COUNTERS}
        best = asdict(self.best) if self.best else None
        return counters | {"best": best, "rng": self.rng.bit_generator.state}

    @staticmethod
    def restore(arrays: Mapping[str, Any], counters: Mapping[str, Any]) -> State:
        """The state that gave these arrays and counters; the arrays are copied."""
        rng = np.random.Generator(np.random.PCG64())
        rng.bit_generator.state = counters["rng"]
        best = counters["best"] and Best(**counters["best"])
        slots = {name: vector.copy() for name, vector in _under("slots.", arrays).items()}
        gathered = _under("sums.", arrays) or counters.get("sums", {})  # an older one had them among its counters
        sums = {name: array("d", own) for name, own in gathered.items()}
        vectors = {name: arrays[name].copy() for name in _VECTORS}
        counted = {name: counters[name] for name in _COUNTERS if name in counters}  # an older one knew fewer of them
        return State(rng=rng, slots=slots, sums=sums, best=best, **vectors, **counted)


_VECTORS = ("weights", "statistics", "best_weights", "best_statistics", "order")
_COUNTERS = ("step", "epoch", "position", "waited", "still", "last_loss", "rate_factor", "plateau",
             "plateau_waited", "cooling", "stop")  # fmt: skip


def _under(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): own for name, own in arrays.items() if name.startswith(prefix)}


def start(network: Network, optimizer: Optimizer, seed: int) -> State:
    """The state before the first step: weights drawn by `seed`, which also decides every later draw."""
    rng = np.random.Generator(np.random.PCG64(seed))
    weights, statistics = network.initialize(rng)
    slots = initial_slots(optimizer.slots(), network.shapes, weights.dtype)
    best = lazy_zeros(weights.shape, weights.dtype)
    return State(weights, statistics, slots, best, np.zeros_like(statistics), rng)
