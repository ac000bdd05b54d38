"""A trained network that predicts. It has no visible state, so any number of threads may use it at once."""

from collections.abc import Callable

import numpy as np

from core.nn.arrays import Array, Mask
from core.nn.network import Network
from core.nn.step.acceleration import new_row_predictor
from core.nn.step.context import inference


class Predictor:
    """The forward pass of a network with its weights `(parameters,)` and statistics, whose content may change."""

    def __init__(self, network: Network, weights: Array, statistics: Array) -> None:
        self.network = network
        self._views = network.views(weights, statistics)
        self._row_predictor = new_row_predictor(network, self._views, weights.dtype)

    def outputs(self, x: Array) -> Array:
        """Return the outputs (logits) `(rows, *output_shape)` for any number of rows `(rows, *input_shape)`."""
        return self.predict(x, lambda outputs, _: outputs)

    def predict(self, x: Array, link: Callable[[Array, Mask | None], Array]) -> Array:
        """Return what `link`, such as a loss's, makes of the outputs and of the mask on their steps."""
        network = self.network
        if len(x) == 1 and self._row_predictor is not None:
            return self._row_predictor(x, link)
        parts = []
        for start in range(0, len(x), network.prediction_batch):
            ctx = inference(x.dtype)
            outputs, _ = network.forward(x[start : start + network.prediction_batch], self._views, ctx)
            parts.append(link(outputs, ctx.mask))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else link(np.empty((0, *network.output_shape), x.dtype), None)
