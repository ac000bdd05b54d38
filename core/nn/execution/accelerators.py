"""The accelerators behind the interface of `core.nn.step.acceleration`: which one is used, and from what size on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.nn.arrays import Array, Mask
from core.nn.execution.processes import shared_copy
from core.nn.execution.replay import Recording, Replayer
from core.nn.execution.segments import shard_bytes, shard_count
from core.nn.execution.sharding import Shards
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.plan import Views
from core.nn.step.context import PassContext, inference
from core.nn.step.state import State
from core.nn.step.step import Update, no_update, training_step

MAX_REPLAYED_NUMBERS = 1 << 20
"""Activations of a batch (or of a predicted row) up to which its pass is replayed.

Plain time ÷ replayed time, one thread: 1.66 with 17,000 numbers, 1.31 with 69,000, 1.06 with 301,000 and 0.98 with
2,200,000 in dense networks; 1.29 with 949,000 in LeNet, and 1.41 with 166,000 in an LSTM, which make more calls.
"""


def new_stepper(
    network: Network, loss: Loss, state: State, gradient: Array, *, rows: int, threads: int
) -> ShardedStepper | ReplayedStepper | None:
    """Return the stepper that accelerates such batches, or None where a plain one is as fast. Raises `MemoryError`."""
    count = shard_count(network, rows, threads)
    if count > 1:
        return ShardedStepper(network, loss, state, gradient, count=count, rows=rows)
    if rows * activation_size(network) <= MAX_REPLAYED_NUMBERS:
        return ReplayedStepper(network, loss, network.views(state.weights, state.statistics, gradient))
    return None


def new_row_predictor(network: Network, views: Views, dtype: Any) -> ReplayedRows | None:
    """Return the replayed forward pass of single rows, or None where it is not faster."""
    return ReplayedRows(network, views, dtype) if activation_size(network) <= MAX_REPLAYED_NUMBERS else None


def extra_step_bytes(network: Network, rows: int, threads: int) -> int:
    """Return the bytes that a step in shards takes beyond those of a whole one, in float32."""
    return shard_bytes(network, rows, shard_count(network, rows, threads))


def activation_size(network: Network) -> int:
    """Return how many numbers both passes keep for a row."""
    return sum(plan.activation_size for plan in network.plan.walk())


class ReplayedStepper:
    """Steps whose forward pass, loss and backward pass are replayed."""

    def __init__(self, network: Network, loss: Loss, views: Views) -> None:
        self._network, self._loss, self.views = network, loss, views
        self._replayer = Replayer(self._passes, views)

    def step(self, x: Array, targets: Any, ctx: PassContext, update: Update) -> tuple[Array, Any]:
        """Take one step as `training_step` does."""
        outputs, loss = self._replayer(ctx, x, targets)
        return outputs, update(loss, ctx)

    def _passes(self, x: Array, targets: Any, views: Views, ctx: PassContext) -> tuple[Array, Any]:
        return training_step(self._network, self._loss, no_update, x, targets, views, ctx)

    def close(self) -> None:
        """Release nothing."""


class ShardedStepper:
    """Steps whose batches are divided over processes. Moves the weights and slots of `state` to shared memory."""

    def __init__(self, network: Network, loss: Loss, state: State, gradient: Array, *, count: int, rows: int) -> None:
        state.weights, state.best_weights = shared_copy(state.weights), shared_copy(state.best_weights)
        state.slots = {name: shared_copy(slot) for name, slot in state.slots.items()}
        self._network, self._loss = network, loss
        self.shards = Shards(network, state.weights, state.statistics, gradient, count=count, rows=rows)
        self.views = network.views(state.weights, state.statistics, gradient)

    def step(self, x: Array, targets: Any, ctx: PassContext, update: Update) -> tuple[Array, Any]:
        """Take one step as `training_step` does."""
        network = self._network if len(x) < self.shards.count else self.shards
        with self.shards.one_blas_thread():
            return training_step(network, self._loss, update, x, targets, self.views, ctx)

    def close(self) -> None:
        """End the processes."""
        self.shards.close()


class ReplayedRows:
    """The forward pass of single rows, recorded once for each thread that predicts at the same time as others."""

    def __init__(self, network: Network, views: Views, dtype: Any) -> None:
        self._network, self._views, self._dtype = network, views, dtype
        self._replayable = True
        self._idle: list[Recording] = []
        """Recordings that no thread uses at the moment; popping from a list and appending to it are atomic."""

    def __call__(self, row: Array, link: Callable[[Array, Mask | None], Array]) -> Array:
        """Return what `link` makes of the outputs for a row `(1, *input_shape)` and of their mask."""
        ctx = inference(row.dtype)
        if not self._replayable or row.dtype != self._dtype:
            return link(self._outputs(row, self._views, ctx), ctx.mask)
        try:
            recording = self._idle.pop()
        except IndexError:
            recording = Recording(self._outputs, (row,), self._views, ctx)
            self._replayable = recording.ready
        else:
            recording.replay((row,), ctx)
        answer = link(recording.result.copy(), ctx.mask)
        if recording.ready:
            self._idle.append(recording)
        return answer

    def _outputs(self, x: Array, views: Views, ctx: PassContext) -> Array:
        return self._network.forward(x, views, ctx)[0]
