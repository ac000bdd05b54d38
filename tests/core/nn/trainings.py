"""Builders of small trainings with full defaults."""

import itertools
import json
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from core.nn.activations import Relu
from core.nn.arrays import Array, Shape
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Dropout
from core.nn.layers.normalization import BatchNormalization
from core.nn.losses import Loss
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.metrics.classification import Accuracy
from core.nn.metrics.regression import MeanAbsoluteErrorMetric
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.sgd import StochasticGradientDescent
from core.nn.optimizers.wrappers import Optimizer
from core.nn.step.context import PassContext
from core.nn.step.state import State, start
from core.nn.training.learner import Learner
from core.nn.training.options import Epoch, Step, Training
from tests.core.nn.cases import sequential


@dataclass(frozen=True)
class Rows:
    """Data for training, validation and testing."""

    x: Array
    y: Any
    x_validation: Array | None = None
    y_validation: Any = None
    sample_weight: Array | None = None
    sample_weight_validation: Array | None = None
    x_test: Array | None = None
    y_test: Any = None
    sample_weight_test: Array | None = None
    lengths: Any = None


def classes(rows: int = 50, *, validation: int = 0, seed: int = 0) -> Rows:
    """Return two noisy clusters in four dimensions with class numbers 0 and 1."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows + validation)
    x = (rng.standard_normal((rows + validation, 4)) + y[:, None]).astype(np.float32)
    if not validation:
        return Rows(x, y)
    return Rows(x[:rows], y[:rows], x[rows:], y[rows:])


def line(slope: float = 2.0) -> Rows:
    """Return y = `slope` · x for x from 1 to 5."""
    x = np.arange(1, 6, dtype=np.float32)[:, None]
    return Rows(x, slope * x)


STATEFUL = sequential(
    Dense(units=8, activation=Relu()), BatchNormalization(momentum=0.9), Dropout(rate=0.3), Dense(units=2)
)
"""A network that uses all of the state: random draws, moving statistics, weights."""

WIDE = sequential(Dense(units=300), Dense(units=240), Dense(units=2))
"""A network with more weights than an optimizer's block."""


@dataclass
class ATraining:
    """A training that can run and resume."""

    data: Rows
    architecture: Sequential = STATEFUL
    loss: Loss = CrossEntropy()  # noqa: RUF009  frozen
    optimizer: Optimizer = Adam()  # noqa: RUF009  frozen
    training: Training = Training(epochs=4, batch_size=8, metrics=(Accuracy(),))  # noqa: RUF009  frozen
    state: State | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        """Plan the network, and initialize the state if there is none."""
        self.network = Network(self.architecture, self.data.x.shape[1:])
        if self.state is None:
            self.state = start(self.network, self.optimizer, self.training.seed)

    def items(self) -> Iterator[Step | Epoch]:
        """Yield the remaining steps and epochs."""
        assert self.state is not None
        return Learner(
            self.network, self.loss, self.optimizer, self.training, self.data, self.state, threads=self.threads
        ).train()

    def run(self, items: int | None = None) -> list[Step | Epoch]:
        """Return the remaining steps and epochs, at most `items` of them."""
        return list(itertools.islice(self.items(), items))

    def step_bytes(self) -> tuple[int, int]:
        """Return the peak of memory allocated during steps 4 to 7, and the part that remains after them, in bytes."""
        items = self.items()
        next(items), next(items)
        tracemalloc.start()
        next(items)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(4):
            next(items)
        after, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak - before, after - before

    @property
    def weights(self) -> Array:
        """The current weights."""
        assert self.state is not None
        return self.state.weights


FULL_BATCH = Training(epochs=100, batch_size=5, shuffle=False, metrics=(MeanAbsoluteErrorMetric(),))


def a_line_training(**changes: Any) -> ATraining:
    """Return a training of y = 2x with one weight and plain gradient descent."""
    defaults: dict[str, Any] = {
        "data": line(),
        "architecture": sequential(Dense(units=1, use_bias=False)),
        "loss": MeanSquaredError(),
        "optimizer": StochasticGradientDescent(),
        "training": FULL_BATCH,
    }
    return ATraining(**(defaults | changes))


def losses(items: list[Step | Epoch]) -> list[float]:
    """Return the loss of every step."""
    return [item.loss for item in items if isinstance(item, Step)]


def reloaded(state: State) -> State:
    """Return the state as it is loaded from a checkpoint: copied arrays, and counters as JSON."""
    arrays = {name: array.copy() for name, array in state.arrays().items()}
    return State.restore(arrays, json.loads(json.dumps(state.counters())))


class MeasuringContext(PassContext):
    """A training pass that measures the peak size of its arrays, in bytes."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(training=True, rng=rng)
        self.peak = self._live = 0

    def empty(self, shape: Shape, dtype: DTypeLike | None = None) -> Any:
        """Return an array of `shape`, counted until it and its views are released."""
        array = super().empty(shape, dtype)
        self._live += array.nbytes
        self.peak = max(self.peak, self._live)
        weakref.finalize(array, self._release, array.nbytes)
        return array

    def _release(self, nbytes: int) -> None:
        self._live -= nbytes


def peak_bytes(function: Callable[[], object]) -> int:
    """Return the peak of memory allocated during the second of two calls, in bytes."""
    function()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - before
