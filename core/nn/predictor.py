"""A network that has learnt, and answers. It holds no state that shows, so any number of threads may ask it at once."""

from collections.abc import Callable

import numpy as np

from core.nn.arrays import Array, Mask
from core.nn.execution.replay import Recording
from core.nn.network import Network
from core.nn.plan import Views
from core.nn.step.context import PassContext, inference

SMALL = 1 << 16
"""Numbers of a row's pass up to which it is recorded: of a larger one the calls are most of the time as it is."""


class Predictor:
    """A network's forward pass for its weights `(parameters,)` and statistics `(measured,)`, which may change.

    The pass of a single row, as most questions are, is recorded if it is small: once for each thread that asks at the
    same time as others.
    """

    def __init__(self, network: Network, weights: Array, statistics: Array) -> None:
        self.network = network
        self._views = network.views(weights, statistics)
        self._dtype = weights.dtype
        self._records = sum(plan.activation_size for plan in network.plan.walk()) <= SMALL
        self._idle: list[Recording] = []
        """Those that no thread plays just now; to take one from a list's end and to put it there are safe."""

    def outputs(self, x: Array) -> Array:
        """The outputs (logits) `(rows, *output_shape)` for any number of rows `(rows, *input_shape)`."""
        return self.answers(x, lambda outputs, _: outputs)

    def answers(self, x: Array, link: Callable[[Array, Mask | None], Array]) -> Array:
        """What the link of a loss makes of the outputs, and of the mask on their steps."""
        network = self.network
        if len(x) == 1 and self._records and x.dtype == self._dtype:
            return self._answer(x, link)
        parts = []
        for start in range(0, len(x), network.prediction_batch):
            ctx = inference(x.dtype)
            outputs = self._outputs(x[start : start + network.prediction_batch], self._views, ctx)
            parts.append(link(outputs, ctx.mask))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else link(np.empty((0, *network.output_shape), x.dtype), None)

    def _answer(self, row: Array, link: Callable[[Array, Mask | None], Array]) -> Array:
        """The answer for a single row."""
        ctx = inference(row.dtype)
        try:
            recording = self._idle.pop()
        except IndexError:
            recording = Recording(self._outputs, (row,), self._views, ctx)
            self._records = recording.ready
        else:
            recording.play((row,), ctx)
        answer = link(recording.result.copy(), ctx.mask)
        if recording.ready:
            self._idle.append(recording)
        return answer

    def _outputs(self, x: Array, views: Views, ctx: PassContext) -> Array:
        return self.network.forward(x, views, ctx)[0]
