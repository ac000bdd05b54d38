"""Three of the four lines of backpropagation: forward pass, loss, backward pass. The fourth is the update."""

from dataclasses import dataclass
from typing import Any

from core.nn.arrays import Array
from core.nn.execution.sharding import Shards
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.plan import Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, slots=True)
class Passes:
    """Through a network to its loss and back, in shards where there are any, and there are rows enough."""

    network: Network
    loss: Loss
    shards: Shards | None = None

    def __call__(self, x: Array, targets: Any, views: Views, ctx: PassContext) -> tuple[Array, Any]:
        """The outputs, and the loss, a number or an array of no axes; the gradient is where the views have it."""
        if self.shards is None or len(x) < self.shards.count:
            outputs, backward = self.network.forward(x, views, ctx)
        else:
            outputs, backward = self.shards.forward(x, ctx)
        loss, gradient_of_loss = self.loss.forward(outputs, targets, ctx)
        backward(gradient_of_loss())
        return outputs, loss
