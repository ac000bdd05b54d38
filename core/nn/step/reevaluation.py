"""The loss and the gradient of a batch once more, at other weights."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.nn.arrays import Array
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.plan import Views
from core.nn.step.context import PassContext
from core.nn.step.state import State
from core.nn.step.step import no_update, training_step


@dataclass(frozen=True, slots=True)
class Reevaluation:
    """Passes on the batch of a step, any number of times, without penalties.

    `rng_state` is the state of the random generator before the first pass: each pass draws the same numbers, and
    leaves the generator where the first did. Only the first pass updates the moving statistics.
    """

    network: Network
    loss: Loss
    views: Views
    state: State
    x: Array
    targets: Any
    ctx: PassContext
    rng_state: Any

    def __call__(self) -> float:
        """Return the loss at the current weights; the gradient is written into the views."""
        statistics = self.state.statistics
        kept = statistics.copy()
        self.state.rng.bit_generator.state = self.rng_state
        _, loss = training_step(self.network, self.loss, no_update, self.x, self.targets, self.views, self.ctx)
        np.copyto(statistics, kept)
        return float(loss)
