"""One training step: the four lines of backpropagation."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from core.nn.arrays import Array, Backward
from core.nn.losses import Loss
from core.nn.plan import Views
from core.nn.step.context import PassContext

Update: TypeAlias = Callable[[Any, PassContext], Any]
"""Changes the weights by the gradient, given the loss (a number or an array without axes) and the pass context.

Returns the loss with its penalties.
"""


class Differentiable(Protocol):
    """A network, or what computes the same outputs and gradients as one."""

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Return the outputs, and the backward pass that writes the gradient into the views."""


def training_step(
    network: Differentiable, loss_function: Loss, update: Update, x: Array, targets: Any, views: Views, ctx: PassContext
) -> tuple[Array, Any]:
    """Take one step on a batch; return the outputs and the loss, both of the weights before the update.

    `x` is `(batch, *input_shape)`, `targets` are as the loss encodes them. `update` is `apply_update` with its first
    arguments, or `no_update`.
    """
    outputs, backward = network.forward(x, views, ctx)  # forward pass
    loss, loss_gradient = loss_function.forward(outputs, targets, ctx)  # loss
    backward(loss_gradient())  # backward pass
    loss = update(loss, ctx)  # update
    return outputs, loss


def no_update(loss: Any, _: PassContext) -> Any:
    """Leave the weights as they are, where only the loss and the gradient are wanted."""
    return loss


class ShardProcessKilled(Exception):
    """A process that computed part of a step was ended by a signal: by an operator, or by the kernel out of memory."""

    def __init__(self, number: int) -> None:
        super().__init__(f"a process that computed part of a step was ended by signal {number}")
        self.signal = number
