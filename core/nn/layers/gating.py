"""Gated linear units: one half of the features gates the other half."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from core.nn.activations import Activation, Sigmoid, Silu
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Glu:
    """Gated linear unit: `y = a · sigmoid(b)`, with a and b the halves of the last axis (Dauphin et al. 2017)."""

    type: Literal["glu"] = "glu"

    def plan(self, shape: Shape) -> Plan:
        """No weights; half as many features."""
        output = _halved(shape)
        return Plan(output, flops=5 * size(output), activation_size=5 * size(output))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Halves of `∂x`: `∂a = ∂y · sigmoid(b)`, `∂b = ∂y · a · sigmoid'(b)`."""
        half = x.shape[-1] // 2
        return _gated(x, Sigmoid(), slice(half, None), slice(None, half), ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class SwiGlu:
    """SwiGLU: `y = silu(a) · b`, with a and b the halves of the last axis (Shazeer 2020)."""

    type: Literal["swiglu"] = "swiglu"

    def plan(self, shape: Shape) -> Plan:
        """No weights; half as many features."""
        output = _halved(shape)
        return Plan(output, flops=6 * size(output), activation_size=6 * size(output))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Halves of `∂x`: `∂a = ∂y · b · silu'(a)`, `∂b = ∂y · silu(a)`."""
        half = x.shape[-1] // 2
        return _gated(x, Silu(), slice(None, half), slice(half, None), ctx)


def _halved(shape: Shape) -> Shape:
    if not shape or shape[-1] % 2:
        raise ShapeMismatch(
            f"needs (…, features) with an even number of features but gets {shape}: let the layer before it emit twice "
            "the number of features that this one should emit"
        )
    return (*shape[:-1], shape[-1] // 2)


def _gated(x: Array, activation: Activation, gate: slice, value: slice, ctx: PassContext) -> tuple[Array, Backward]:
    """Compute `y = f(gate) · value` of two halves of the last axis."""
    shape = (*x.shape[:-1], x.shape[-1] // 2)
    gates = ctx.empty(shape)
    back_activation = activation.forward(x[..., gate], gates, ctx)

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(x.shape)
        np.multiply(d_y, gates, out=d_x[..., value])
        np.multiply(d_y, x[..., value], out=d_y)
        np.copyto(d_x[..., gate], back_activation(d_y))
        return d_x

    return np.multiply(gates, x[..., value], out=ctx.empty(shape)), backward


Gating: TypeAlias = Glu | SwiGlu
