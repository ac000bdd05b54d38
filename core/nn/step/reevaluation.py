"""The loss and the gradient of a batch once more, at other weights."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.nn.arrays import Array
from core.nn.plan import Views
from core.nn.step.context import PassContext
from core.nn.step.passes import Passes
from core.nn.step.state import State


@dataclass(frozen=True, slots=True)
class Reevaluation:
    """A pass through the network that can be made any number of times; without penalties.

    `draws` is the state of the source of chance before the first pass: each has the same draws, and leaves the source
    where the first did. Moving statistics are measured by the first alone.
    """

    passes: Passes
    views: Views
    state: State
    x: Array
    targets: Any
    ctx: PassContext
    draws: Any

    def __call__(self) -> float:
        """The loss; the gradient is in the vector that the views write to."""
        statistics = self.state.statistics
        measured = self.ctx.empty(statistics.shape)
        np.copyto(measured, statistics)
        self.state.rng.bit_generator.state = self.draws
        _, loss = self.passes(self.x, self.targets, self.views, self.ctx)
        np.copyto(statistics, measured)
        return float(loss)
