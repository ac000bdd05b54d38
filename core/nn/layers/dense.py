"""The fully connected layer: every output sees every input."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from core.nn.activations import Activation, Linear
from core.nn.arrays import MOST, Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import GlorotUniform, Initializer, Zeros
from core.nn.kernels.reductions import over_rows
from core.nn.plan import Plan, ShapeMismatch, Views, Weight
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Dense:
    """`y = f(x · W + b)` over the last axis: `(batch, …, inputs)` → `(batch, …, units)`."""

    type: Literal["dense"] = "dense"
    units: Annotated[int, Ge(1), Le(MOST)]
    """How many numbers it emits."""
    activation: Activation = field(default=Linear())
    """The function f."""
    use_bias: bool = True
    """Add b, one number a unit."""
    kernel_initializer: Initializer = field(default=GlorotUniform())
    """How W begins."""
    bias_initializer: Initializer = field(default=Zeros())
    """How b begins."""
    kernel_regularizer: Regularizer | None = None
    """A penalty on W."""
    bias_regularizer: Regularizer | None = None
    """A penalty on b."""
    kernel_constraint: Constraint | None = None
    """A constraint on W."""
    bias_constraint: Constraint | None = None
    """A constraint on b."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """A kernel `(inputs, units)` and, if wanted, a bias `(units,)`."""
        if not shape:
            raise ShapeMismatch("needs (…, inputs), and gets a single number a row: nest each row in a list")
        weights = {
            "kernel": Weight(
                (shape[-1], self.units), self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
            )
        }
        if self.use_bias:
            weights["bias"] = Weight((self.units,), self.bias_initializer, self.bias_regularizer, self.bias_constraint)
        output = (*shape[:-1], self.units)
        plan = Plan(output, weights, flops=2 * size(output) * shape[-1], activation_size=size(shape) + 3 * size(output))
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """With `z = x·W + b` and `δ = ∂loss/∂z`: `∂W = xᵀ·δ`, `∂b = Σ δ` over the batch, `∂x = δ·Wᵀ`."""
        kernel = views.weights["kernel"]
        rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
        z = np.dot(rows, kernel, out=ctx.empty((len(rows), self.units)))
        if self.use_bias:
            np.add(z, views.weights["bias"], out=z)
        back_activation = self.activation.forward(z, z, ctx)
        given, inner, outer = x.shape, rows.shape, z.shape  # neither x nor z is kept for its shape alone

        def backward(d_output: Array) -> Array:
            nonlocal rows
            delta = back_activation(d_output.reshape(outer))
            np.dot(rows.T, delta, out=views.gradients["kernel"])
            del rows  # in whose memory its own gradient can be, if nobody else keeps it
            if self.use_bias:
                over_rows(delta, views.gradients["bias"])
            if not views.input_gradient:
                return delta
            d_rows = np.dot(delta, kernel.T, out=ctx.empty(inner))
            return d_rows if len(given) == 2 else d_rows.reshape(given)

        return (z if x.ndim == 2 else z.reshape(*x.shape[:-1], self.units)), backward
