"""The batches of a training: the order of the rows, bucketing by length, mixup."""

from typing import Any

import numpy as np

from core.nn.arrays import Array
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.step.context import PassContext
from core.nn.step.state import State
from core.nn.training.bucketing import Buckets
from core.nn.training.data import Data
from core.nn.training.options import Training


class Batches:
    """Batches of the training rows, from the position in the state."""

    def __init__(self, network: Network, loss: Loss, training: Training, data: Data) -> None:
        self.x, self.rows = data.x, len(data.x)
        self.y = loss.encode(data.y, network.output_shape)
        self._sample_weight = data.sample_weight
        self._training, self._output_shape = training, network.output_shape
        bucketed = training.bucket_by_length and data.lengths is not None
        self._buckets = Buckets(network, data.lengths, labels=loss.predicts == "labels") if bucketed else None

    def next_batch(self, state: State, ctx: PassContext) -> tuple[Array, Any]:
        """Return the inputs `(batch, *input_shape)` and encoded targets of the next batch; set its sample weights.

        The position in `state` stays; an epoch's first batch draws its order.
        """
        if self._training.shuffle and state.position == 0:
            state.order = self._new_order(state.rng)
        rows = self._next_rows(state)
        if self._sample_weight is not None:
            ctx.sample_weight = self._sample_weight[rows]
        if self._training.shuffle:
            x = np.take(self.x, rows, axis=0, out=ctx.empty((len(rows), *self.x.shape[1:])), mode="clip")
            y = np.take(self.y, rows, axis=0, out=ctx.empty((len(rows), *self.y.shape[1:]), self.y.dtype), mode="clip")
        else:
            x, y = self.x[rows], self.y[rows]
        if self._buckets:
            x, y = self._buckets.cut(x, y, self._buckets.width(rows), ctx.empty)
        if self._training.mixup:
            x, y = self._training.mixup.mix(x, y, self._output_shape, ctx, state.rng)
        return x, y

    def row_number(self, state: State, row: int) -> int:
        """Return the number, in the data, of a row of the batch at the state's position."""
        at = state.position + row
        return int(state.order[at]) if self._training.shuffle else at

    def _next_rows(self, state: State) -> Any:
        start, end = state.position, min(state.position + self._training.batch_size, self.rows)
        return state.order[start:end] if self._training.shuffle else slice(start, end)

    def _new_order(self, rng: np.random.Generator) -> Any:
        order = rng.permutation(self.rows)
        return self._buckets.order(order, self._training.batch_size, rng) if self._buckets else order
