"""The fully connected layer."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from core.nn.activations import Activation, Linear
from core.nn.arrays import MAX_AXIS_LENGTH, Array, Backward, Shape, size
from core.nn.kernels.reductions import column_sums
from core.nn.layers.base import Bias, Kernel
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Dense(Kernel, Bias):
    """Fully connected layer: `y = f(x · W + b)` over the last axis, `(batch, …, inputs)` → `(batch, …, units)`."""

    type: Literal["dense"] = "dense"
    units: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)]
    """The number of outputs."""
    activation: Activation = field(default=Linear())
    """The activation function f."""

    def plan(self, shape: Shape) -> Plan:
        """Kernel W `(inputs, units)` and, with `use_bias`, bias b `(units,)`."""
        if not shape:
            raise ShapeMismatch("needs (…, inputs) but gets a single number per row: nest each row in a list")
        weights = {"kernel": self.kernel_weight((shape[-1], self.units))}
        if self.use_bias:
            weights["bias"] = self.bias_weight((self.units,))
        output = (*shape[:-1], self.units)
        plan = Plan(
            output,
            weights,
            flops=2 * size(output) * shape[-1],
            activation_size=size(shape) + 3 * size(output),
            output_activation=self.activation.type,
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """With `z = x·W + b` and `δ = ∂loss/∂z`: `∂W = xᵀ·δ`, `∂b = Σ δ` over the batch, `∂x = δ·Wᵀ`."""
        kernel = views.weights["kernel"]
        rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
        z = np.dot(rows, kernel, out=ctx.empty((len(rows), self.units)))
        if self.use_bias:
            np.add(z, views.weights["bias"], out=z)
        back_activation = self.activation.forward(z, z, ctx)
        input_shape, rows_shape, z_shape = x.shape, rows.shape, z.shape

        def backward(d_output: Array) -> Array:
            nonlocal rows
            delta = back_activation(d_output.reshape(z_shape))
            np.dot(rows.T, delta, out=views.gradients["kernel"])
            del rows  # frees x, where nothing else refers to it, before its gradient is allocated
            if self.use_bias:
                column_sums(delta, views.gradients["bias"])
            if not views.input_gradient:
                return delta
            d_rows = np.dot(delta, kernel.T, out=ctx.empty(rows_shape))
            return d_rows if len(input_shape) == 2 else d_rows.reshape(input_shape)

        return (z if x.ndim == 2 else z.reshape(*x.shape[:-1], self.units)), backward
