"""Activations: the nonlinear functions between linear maps.

`forward(z, out, ctx)` writes `f(z)` into `out`, which may be `z` itself, and returns the backward pass, which turns
`∂loss/∂f` into `∂loss/∂z = ∂loss/∂f · f'(z)` in place. All arrays have the shape `(batch, …)`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.error_function import normal_cdf
from core.nn.kernels.exponentials import sigmoid, softmax, softplus
from core.nn.step.context import PassContext
from core.nn.tagged_union import Tagged

BLOCK_SIZE = 32_768
"""Numbers that are processed at a time by functions of many passes, so that they stay in the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """`f(z) = z`."""

    type: Literal["linear"] = "linear"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1`."""
        if out is not z:
            np.copyto(out, z)
        return _unchanged


@dataclass(frozen=True, kw_only=True, slots=True)
class Relu:
    """`f(z) = max(z, 0)` (Nair & Hinton 2010), with an optional slope below 0 and an optional upper bound."""

    type: Literal["relu"] = "relu"
    negative_slope: Annotated[float, Ge(0)] = 0.0
    """The slope where `z < 0`."""
    max_value: Annotated[float, Gt(0)] | None = None
    """The upper bound; 6 gives relu6 (Krizhevsky 2010)."""

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1` where `z > 0` and f is below the upper bound; at 0 it is the slope below 0."""
        if self.negative_slope or self.max_value is not None:
            return _piecewise_linear(z, out, ctx, self.negative_slope, self.max_value)
        np.maximum(z, _zeros(z), out=out)
        # A quarter of the bytes of `out`, which is released unless another backward pass needs it.
        passes: Any = np.greater(out, 0, out=ctx.empty(out.shape, np.bool_)) if ctx.training else None
        return lambda d_out: np.multiply(d_out, passes, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakyRelu:
    """`f(z) = max(z, s · z)`: a relu whose units always have a gradient (Maas et al. 2013)."""

    type: Literal["leaky_relu"] = "leaky_relu"
    negative_slope: Annotated[float, Ge(0), Le(1)] = 0.2
    """The slope s where `z < 0`."""

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1` where `z > 0`, else s."""
        return _piecewise_linear(z, out, ctx, self.negative_slope, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Elu:
    """`f(z) = z` where `z > 0`, else `α · (eᶻ − 1)` (Clevert et al. 2016, eq. 15)."""

    type: Literal["elu"] = "elu"
    alpha: Annotated[float, Ge(0)] = 1.0
    """The limit of f for very negative z is −α."""

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1` where `z > 0`, else `f + α`."""
        return _elu(z, out, ctx, self.alpha, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Selu:
    """`f(z) = λ · elu(z)` with λ and α that preserve mean 0 and variance 1 (Klambauer et al. 2017, eq. 2 and 14)."""

    type: Literal["selu"] = "selu"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = λ` where `z > 0`, else `f + λ · α`."""
        return _elu(z, out, ctx, 1.6732632423543772, 1.0507009873554805)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tanh:
    """The hyperbolic tangent."""

    type: Literal["tanh"] = "tanh"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1 − f²`."""
        np.tanh(z, out=out)

        def backward(d_out: Array) -> Array:
            slope = np.multiply(out, out, out=ctx.empty(out.shape))
            np.subtract(1, slope, out=slope)
            return np.multiply(d_out, slope, out=d_out)

        return backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Sigmoid:
    """`f(z) = 1 / (1 + e⁻ᶻ)`, computed as `(1 + tanh(z/2)) / 2`, which cannot overflow."""

    type: Literal["sigmoid"] = "sigmoid"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = f · (1 − f)`."""
        sigmoid(z, out)

        def backward(d_out: Array) -> Array:
            slope = np.subtract(1, out, out=ctx.empty(out.shape))
            slope *= out
            return np.multiply(d_out, slope, out=d_out)

        return backward


@dataclass(frozen=True, kw_only=True, slots=True)
class HardTanh:
    """`f(z) = min(max(z, −1), 1)` (Collobert 2004)."""

    type: Literal["hard_tanh"] = "hard_tanh"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1` where `−1 < z < 1`, else 0."""
        np.copyto(out, z)
        return _clip(out, -1.0, 1.0, 1.0, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class HardSigmoid:
    """`f(z) = min(max(z / 6 + 1/2, 0), 1)`: a piecewise linear sigmoid (Courbariaux et al. 2015)."""

    type: Literal["hard_sigmoid"] = "hard_sigmoid"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1/6` where `−3 < z < 3`, else 0."""
        np.multiply(z, 1 / 6, out=out)
        out += 0.5
        return _clip(out, 0.0, 1.0, 1 / 6, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class Softsign:
    """`f(z) = z / (1 + |z|)`: like tanh, with slower saturation (Bergstra et al. 2009)."""

    type: Literal["softsign"] = "softsign"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1 / (1 + |z|)²`."""
        slope = np.abs(z, out=ctx.empty(z.shape))
        slope += 1
        np.divide(z, slope, out=out)
        slope *= slope
        return lambda d_out: np.divide(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exponential:
    """`f(z) = eᶻ`, for positive outputs."""

    type: Literal["exponential"] = "exponential"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = f`."""
        np.exp(z, out=out)
        return lambda d_out: np.multiply(d_out, out, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Softplus:
    """`f(z) = log(1 + eᶻ)`, a smooth relu (Dugas et al. 2001)."""

    type: Literal["softplus"] = "softplus"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = sigmoid(z)`; `log(1 + eᶻ) = max(z, 0) + log(1 + e^−|z|)` cannot overflow."""
        slope = sigmoid(z, ctx.empty(z.shape))
        softplus(z, out, ctx.empty(z.shape))
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gelu:
    """`f(z) = z · Φ(z)`, with Φ the normal distribution function (Hendrycks & Gimpel 2016)."""

    type: Literal["gelu"] = "gelu"
    approximate: bool = False
    """Whether to use the paper's tanh approximation of Φ."""

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = Φ + z · Φ'`; Φ and Φ' are computed together, for as many rows as stay in the cache."""
        phi = _tanh_phi if self.approximate else normal_cdf
        slope = ctx.empty(z.shape)
        block_rows = max(1, min(len(z), BLOCK_SIZE * len(z) // max(1, z.size)))
        cdf, off, scratch = (ctx.empty((block_rows, *z.shape[1:])) for _ in range(3))
        entry = ctx.empty(cdf.shape, np.intp)
        for start in range(0, len(z), block_rows):
            rows = slice(start, start + block_rows)
            block, density = z[rows], slope[rows]
            used = slice(0, len(block))
            phi(block, cdf[used], density, off[used], scratch[used], entry[used])
            density *= block
            density += cdf[used]
            np.multiply(block, cdf[used], out=out[rows])
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Silu:
    """`f(z) = z · sigmoid(z)`, also called swish (Hendrycks & Gimpel 2016; Ramachandran et al. 2017)."""

    type: Literal["silu"] = "silu"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """With `s = sigmoid(z)`: `f' = s · (1 + z · (1 − s)) = s + f · (1 − s)`."""
        s = sigmoid(z, ctx.empty(z.shape))
        np.multiply(z, s, out=out)
        slope = np.subtract(1, s, out=ctx.empty(z.shape))
        slope *= out
        slope += s
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mish:
    """`f(z) = z · tanh(log(1 + eᶻ))` (Misra 2019)."""

    type: Literal["mish"] = "mish"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """With `t = tanh(softplus(z))`: `f' = t + z · sigmoid(z) · (1 − t²)`."""
        t, slope = softplus(z, ctx.empty(z.shape), ctx.empty(z.shape)), sigmoid(z, ctx.empty(z.shape))
        np.tanh(t, out=t)
        slope *= z
        np.multiply(z, t, out=out)
        tanh_slope = np.multiply(t, t, out=ctx.empty(z.shape))
        np.subtract(1, tanh_slope, out=tanh_slope)
        slope *= tanh_slope
        slope += t
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax:
    """`f(z)ᵢ = e^zᵢ / Σⱼ e^zⱼ` over the last axis: probabilities that add up to 1."""

    type: Literal["softmax"] = "softmax"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`∂loss/∂z = f · (∂loss/∂f − Σⱼ fⱼ · ∂loss/∂fⱼ)`: the Jacobian is never built."""
        softmax(z, out)

        def backward(d_out: Array) -> Array:
            products = np.multiply(d_out, out, out=ctx.empty(out.shape))
            d_out -= np.add.reduce(products, axis=-1, keepdims=True)
            d_out *= out
            return d_out

        return backward


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSoftmax:
    """`f(z)ᵢ = zᵢ − log Σⱼ e^zⱼ` over the last axis: the logarithm of softmax."""

    type: Literal["log_softmax"] = "log_softmax"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`∂loss/∂z = ∂loss/∂f − e^f · Σⱼ ∂loss/∂fⱼ`."""
        np.subtract(z, np.maximum.reduce(z, axis=-1, keepdims=True), out=out)
        p = np.exp(out, out=ctx.empty(z.shape))
        total = np.add.reduce(p, axis=-1, keepdims=True)
        out -= np.log(total)
        p /= total

        def backward(d_out: Array) -> Array:
            np.multiply(p, np.add.reduce(d_out, axis=-1, keepdims=True), out=p)
            return np.subtract(d_out, p, out=d_out)

        return backward


def _zeros(z: Array) -> Any:
    """Return zeros to compare z with: with operands of equal layout NumPy takes a half to a third of the time."""
    shape = z.shape if z.size <= BLOCK_SIZE else z.shape[1:]
    return _zeros_of(shape, z.dtype) if size(shape) <= BLOCK_SIZE else 0


@lru_cache(maxsize=32)
def _zeros_of(shape: Shape, dtype: Any) -> Array:
    """Return a read-only array of zeros, cached."""
    zeros = np.zeros(shape, dtype)
    zeros.flags.writeable = False
    return zeros


def _unchanged(d_out: Array) -> Array:
    """Return the gradient as it is."""
    return d_out


def _piecewise_linear(
    z: Array, out: Array, ctx: PassContext, negative_slope: float, max_value: float | None
) -> Backward:
    """`min(z, max_value)` where `z > 0`, else `negative_slope · z`."""
    slope = np.greater(z, 0, out=ctx.empty(z.shape))  # 1 or 0: selecting by a mask takes ten times as long
    if negative_slope:
        negative = np.less_equal(z, 0, out=ctx.empty(z.shape))
        negative *= negative_slope
        slope += negative
    np.multiply(z, slope, out=out)
    if max_value is not None:
        slope *= np.less(out, max_value, out=ctx.empty(z.shape, np.bool_))
        np.minimum(out, max_value, out=out)
    return lambda d_out: np.multiply(d_out, slope, out=d_out)


def _elu(z: Array, out: Array, ctx: PassContext, alpha: float, scale: float) -> Backward:
    """`scale · z` where `z > 0`, else `scale · alpha · (eᶻ − 1)`."""
    slope, scratch = np.minimum(z, 0, out=ctx.empty(z.shape)), ctx.empty(z.shape)
    slope *= 0.5
    np.tanh(slope, out=slope)
    np.subtract(1, slope, out=scratch)
    slope *= 2 * alpha
    slope /= scratch  # e^z − 1 = 2t / (1 − t) with t = tanh(z / 2), which NumPy computes four times as fast as `expm1`
    np.greater(z, 0, out=scratch)
    np.maximum(z, 0, out=out)
    out += slope
    out *= scale
    slope += alpha
    scratch *= 1 - alpha
    slope += scratch
    slope *= scale
    return lambda d_out: np.multiply(d_out, slope, out=d_out)


def _clip(out: Array, low: float, high: float, slope: float, ctx: PassContext) -> Backward:
    """Clip the linear function in `out`; its derivative is `slope` between the bounds and 0 outside."""
    np.clip(out, low, high, out=out)

    def backward(d_out: Array) -> Array:
        inside = np.greater(out, low, out=ctx.empty(out.shape, np.bool_))
        inside &= np.less(out, high, out=ctx.empty(out.shape, np.bool_))
        d_out *= inside
        d_out *= slope
        return d_out

    return backward


def _tanh_phi(z: Array, cdf: Array, slope: Array, *_: Array) -> None:
    """Compute Φ ≈ (1 + tanh u) / 2, u = √(2/π) · (z + 0.044715 z³), into `cdf`, and its derivative into `slope`."""
    root = math.sqrt(2 / math.pi)
    np.multiply(z, z, out=slope)
    np.multiply(slope, 0.044715 * root, out=cdf)
    cdf += root
    cdf *= z
    np.tanh(cdf, out=cdf)
    slope *= 3 * 0.044715 * root
    slope += root
    slope *= 0.5 * (1 - cdf * cdf)
    cdf += 1
    cdf *= 0.5


Activation: TypeAlias = Annotated[
    Linear
    | Relu
    | LeakyRelu
    | Elu
    | Selu
    | Tanh
    | Sigmoid
    | HardTanh
    | HardSigmoid
    | Softsign
    | Exponential
    | Softplus
    | Gelu
    | Silu
    | Mish
    | Softmax
    | LogSoftmax,
    Tagged("Activation"),
]
