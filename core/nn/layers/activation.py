"""An activation function as a layer of its own."""

from dataclasses import dataclass
from typing import Literal

from core.nn.activations import Activation
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivationLayer:
    """Activation layer: `y = f(x)` elementwise, for an input of any shape."""

    type: Literal["activation"] = "activation"
    activation: Activation
    """The activation function f."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(
            shape,
            flops=4 * size(shape),
            activation_size=3 * size(shape),
            output_activation=self.activation.type,
        )

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = ∂y · f'(x)`; x is not overwritten, since the layer before may need it."""
        y: Array = ctx.empty(x.shape)
        return y, self.activation.forward(x, y, ctx)
