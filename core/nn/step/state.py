"""The state of a training: all that its next step depends on.

Saved after any step and loaded again, it leads to the same weights to the last bit.
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
    """The best epoch so far, by the monitored metric."""

    metric: str
    value: float
    epoch: int
    step: int


@dataclass(slots=True)
class State:
    """The state of a training. Vectors are float32; counters count what is complete."""

    weights: Array
    statistics: Array
    slots: dict[str, Array]
    best_weights: Array
    """The weights of the best epoch; zeros before the first has ended."""
    best_statistics: Array
    rng: np.random.Generator
    order: Any = field(default_factory=lambda: np.empty(0, np.int64))
    """The order of the rows in this epoch, where they are shuffled."""
    step: int = 0
    epoch: int = 0
    position: int = 0
    """Rows of this epoch that are complete."""
    sums: dict[str, Sums] = field(default_factory=dict)
    """The sums of the loss and the metrics in this epoch."""
    best: Best | None = None
    last_loss: float | None = None
    """The training loss of the last epoch."""
    rate_factor: float = 1.0
    """The factor of the scheduled learning rate."""
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each rule keeps from epoch to epoch, by its field of `Training`."""
    stop: str | None = None

    def arrays(self) -> dict[str, Array]:
        """Return all vectors by name."""
        named = {name: getattr(self, name) for name in _VECTORS}
        named |= {f"slots.{name}": vector for name, vector in self.slots.items()}
        return named | {f"sums.{name}": np.array(own) for name, own in self.sums.items()}

    def counters(self) -> dict[str, Any]:
        """Return all else as JSON values, with integers of any size and no rounding."""
        counters = {name: getattr(self, name) for name in _COUNTERS}
        best = asdict(self.best) if self.best else None
        rules = {name: dict(memory) for name, memory in self.rules.items()}
        return counters | {"best": best, "rules": rules, "rng": self.rng.bit_generator.state}

    def copy(self) -> State:
        """Return the same state with its own arrays."""
        return State.restore(self.arrays(), self.counters())

    @staticmethod
    def restore(arrays: Mapping[str, Any], counters: Mapping[str, Any], *, copy: bool = True) -> State:
        """Return the state that gave these arrays and counters, with copies of the arrays or with these themselves."""
        rng = np.random.Generator(np.random.PCG64())
        rng.bit_generator.state = counters["rng"]
        best = counters["best"] and Best(**counters["best"])
        own = _copied if copy else _as_it_is
        slots = {name: own(vector) for name, vector in _with_prefix("slots.", arrays).items()}
        saved_sums = _with_prefix("sums.", arrays) or counters.get("sums", {})  # older checkpoints had them as counters
        sums = {name: array("d", values) for name, values in saved_sums.items()}
        rules = {name: dict(memory) for name, memory in counters.get("rules", {}).items()}
        vectors: dict[str, Any] = {name: own(arrays[name]) for name in _VECTORS}
        numbers = {name: counters[name] for name in _COUNTERS if name in counters}  # older checkpoints had fewer
        return State(rng=rng, slots=slots, sums=sums, best=best, rules=rules, **vectors, **numbers)


_VECTORS = ("weights", "statistics", "best_weights", "best_statistics", "order")
_COUNTERS = ("step", "epoch", "position", "last_loss", "rate_factor", "stop")


def _copied(vector: Array) -> Array:
    return vector.copy()


def _as_it_is(vector: Array) -> Array:
    return vector


def _with_prefix(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): own for name, own in arrays.items() if name.startswith(prefix)}


def start(network: Network, optimizer: Optimizer, seed: int) -> State:
    """Return the state before the first step; `seed` decides the initial weights and all later random numbers."""
    rng = np.random.Generator(np.random.PCG64(seed))
    weights, statistics = network.initialize(rng)
    slots = initial_slots(optimizer.slots(), network.shapes, weights.dtype)
    best = lazy_zeros(weights.shape, weights.dtype)
    return State(weights, statistics, slots, best, np.zeros_like(statistics), rng)
