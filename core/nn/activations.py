"""What bends the line: the functions between linear maps, without which depth would add nothing.

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
from core.nn.step.context import PassContext
from core.nn.tagged_union import Tagged

BLOCK_SIZE = 32_768
"""How many numbers are computed with at a time where many passes are made over them, so that they stay in the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """`f(z) = z`."""

    type: Literal["linear"] = "linear"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`z` as it is; the gradient passes unchanged."""
        if out is not z:
            np.copyto(out, z)
        return _unchanged


@dataclass(frozen=True, kw_only=True, slots=True)
class Relu:
    """`f(z) = max(z, 0)` (Nair & Hinton 2010), if wanted with a slope below 0 and a ceiling above."""

    type: Literal["relu"] = "relu"
    negative_slope: Annotated[float, Ge(0)] = 0.0
    """The slope where `z < 0`."""
    max_value: Annotated[float, Gt(0)] | None = None
    """The largest value; 6 makes it relu6 (Krizhevsky 2010)."""

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """The gradient passes where `z > 0`, and below the ceiling; at 0 it is the slope below 0."""
        if self.negative_slope or self.max_value is not None:
            return _bent(z, out, ctx, self.negative_slope, self.max_value)
        np.maximum(z, _zeros(z), out=out)
        # A quarter of what `out` takes, which is others' memory once nobody else goes back by it.
        passes: Any = np.greater(out, 0, out=ctx.empty(out.shape, np.bool_)) if ctx.training else None
        return lambda d_out: np.multiply(d_out, passes, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakyRelu:
    """`f(z) = max(z, s · z)`: a relu whose units cannot die (Maas et al. 2013)."""

    type: Literal["leaky_relu"] = "leaky_relu"
    negative_slope: Annotated[float, Ge(0), Le(1)] = 0.2
    """The slope s where `z < 0`."""

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1` where `z > 0`, else s."""
        return _bent(z, out, ctx, self.negative_slope, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Elu:
    """`f(z) = z` where `z > 0`, else `α · (eᶻ − 1)` (Clevert et al. 2016, eq. 15)."""

    type: Literal["elu"] = "elu"
    alpha: Annotated[float, Ge(0)] = 1.0
    """Where f ends for very negative z: at −α."""

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1` where `z > 0`, else `f + α`."""
        return _elu(z, out, ctx, self.alpha, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Selu:
    """`f(z) = λ · elu(z)` with the λ and α that keep mean 0 and variance 1 (Klambauer et al. 2017, eq. 2 and 14)."""

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
        """The gradient passes where `−1 < z < 1`."""
        np.copyto(out, z)
        return _clipped(out, -1.0, 1.0, 1.0, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class HardSigmoid:
    """`f(z) = min(max(z / 6 + 1/2, 0), 1)`: straight lines instead of a sigmoid (Courbariaux et al. 2015)."""

    type: Literal["hard_sigmoid"] = "hard_sigmoid"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = 1/6` where `−3 < z < 3`, else 0."""
        np.multiply(z, 1 / 6, out=out)
        out += 0.5
        return _clipped(out, 0.0, 1.0, 1 / 6, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class Softsign:
    """`f(z) = z / (1 + |z|)`: a tanh that saturates slowly (Bergstra et al. 2009)."""

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
    """`f(z) = eᶻ`: for what is positive."""

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
    """`f(z) = z · Φ(z)`, Φ the normal distribution function (Hendrycks & Gimpel 2016)."""

    type: Literal["gelu"] = "gelu"
    approximate: bool = False
    """Use the paper's tanh formula instead of Φ itself."""

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`f' = Φ + z · Φ'`; Φ and Φ' are computed at once, for as many rows as stay in the cache."""
        phi = _tanh_phi if self.approximate else normal_cdf
        slope = ctx.empty(z.shape)
        at_once = max(1, min(len(z), BLOCK_SIZE * len(z) // max(1, z.size)))
        cdf, off, spare = (ctx.empty((at_once, *z.shape[1:])) for _ in range(3))
        entry = ctx.empty(cdf.shape, np.intp)
        for start in range(0, len(z), at_once):
            rows = slice(start, start + at_once)
            given, density = z[rows], slope[rows]
            few = slice(0, len(given))
            phi(given, cdf[few], density, off[few], spare[few], entry[few])
            density *= given
            density += cdf[few]
            np.multiply(given, cdf[few], out=out[rows])
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Silu:
    """`f(z) = z · sigmoid(z)`, also called swish (Hendrycks & Gimpel 2016; Ramachandran et al. 2017)."""

    type: Literal["silu"] = "silu"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """With `s = sigmoid(z)`: `f' = s · (1 + z · (1 − s)) = s + f · (1 − s)`."""
        share = sigmoid(z, ctx.empty(z.shape))
        np.multiply(z, share, out=out)
        slope = np.subtract(1, share, out=ctx.empty(z.shape))
        slope *= out
        slope += share
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mish:
    """`f(z) = z · tanh(log(1 + eᶻ))` (Misra 2019)."""

    type: Literal["mish"] = "mish"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """With `t = tanh(softplus(z))`: `f' = t + z · sigmoid(z) · (1 − t²)`."""
        share, slope = softplus(z, ctx.empty(z.shape), ctx.empty(z.shape)), sigmoid(z, ctx.empty(z.shape))
        np.tanh(share, out=share)
        slope *= z
        np.multiply(z, share, out=out)
        rest = np.multiply(share, share, out=ctx.empty(z.shape))
        np.subtract(1, rest, out=rest)
        slope *= rest
        slope += share
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax:
    """`f(z)ᵢ = e^zᵢ / Σⱼ e^zⱼ` over the last axis: shares that add up to one."""

    type: Literal["softmax"] = "softmax"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`∂loss/∂z = f · (∂loss/∂f − Σⱼ fⱼ · ∂loss/∂fⱼ)`: the Jacobian is never built."""
        softmax(z, out)

        def backward(d_out: Array) -> Array:
            shared = np.multiply(d_out, out, out=ctx.empty(out.shape))
            d_out -= np.add.reduce(shared, axis=-1, keepdims=True)
            d_out *= out
            return d_out

        return backward


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSoftmax:
    """`f(z)ᵢ = zᵢ − log Σⱼ e^zⱼ` over the last axis: the logarithms of shares that add up to one."""

    type: Literal["log_softmax"] = "log_softmax"

    def forward(self, z: Array, out: Array, ctx: PassContext) -> Backward:
        """`∂loss/∂z = ∂loss/∂f − e^f · Σⱼ ∂loss/∂fⱼ`."""
        np.subtract(z, np.maximum.reduce(z, axis=-1, keepdims=True), out=out)
        shares = np.exp(out, out=ctx.empty(z.shape))
        total = np.add.reduce(shares, axis=-1, keepdims=True)
        out -= np.log(total)
        shares /= total

        def backward(d_out: Array) -> Array:
            np.multiply(shares, np.add.reduce(d_out, axis=-1, keepdims=True), out=shares)
            return np.subtract(d_out, shares, out=d_out)

        return backward


def _zeros(z: Array) -> Any:
    """Zeros to compare z with: NumPy takes a half to a third of the time where both sides lie in memory alike."""
    shape = z.shape if z.size <= BLOCK_SIZE else z.shape[1:]
    return _zeros_of(shape, z.dtype) if size(shape) <= BLOCK_SIZE else 0


@lru_cache(maxsize=32)
def _zeros_of(shape: Shape, dtype: Any) -> Array:
    zeros = np.zeros(shape, dtype)
    zeros.flags.writeable = False
    return zeros


def _unchanged(d_out: Array) -> Array:
    return d_out


def _bent(z: Array, out: Array, ctx: PassContext, below: float, most: float | None) -> Backward:
    """Two straight lines that meet at 0, the one below with the slope `below`, and a ceiling at `most`."""
    slope = np.greater(z, 0, out=ctx.empty(z.shape))  # 1 or 0: to choose by a mask takes ten times as long
    if below:
        under = np.less_equal(z, 0, out=ctx.empty(z.shape))
        under *= below
        slope += under
    np.multiply(z, slope, out=out)
    if most is not None:
        slope *= np.less(out, most, out=ctx.empty(z.shape, np.bool_))
        np.minimum(out, most, out=out)
    return lambda d_out: np.multiply(d_out, slope, out=d_out)


def _elu(z: Array, out: Array, ctx: PassContext, alpha: float, scale: float) -> Backward:
    """`scale · z` where `z > 0`, else `scale · alpha · (eᶻ − 1)`."""
    slope, rest = np.minimum(z, 0, out=ctx.empty(z.shape)), ctx.empty(z.shape)
    slope *= 0.5
    np.tanh(slope, out=slope)
    np.subtract(1, slope, out=rest)
    slope *= 2 * alpha
    slope /= rest  # e^z − 1 = 2t / (1 − t) with t = tanh(z / 2), which NumPy computes four times as fast as `expm1`
    np.greater(z, 0, out=rest)
    np.maximum(z, 0, out=out)
    out += slope
    out *= scale
    slope += alpha
    rest *= 1 - alpha
    slope += rest
    slope *= scale
    return lambda d_out: np.multiply(d_out, slope, out=d_out)


def _clipped(out: Array, least: float, most: float, slope: float, ctx: PassContext) -> Backward:
    """Brings the straight line in `out` between both ends; the gradient is its slope between them and 0 beyond."""
    np.clip(out, least, most, out=out)

    def backward(d_out: Array) -> Array:
        inside = np.greater(out, least, out=ctx.empty(out.shape, np.bool_))
        inside &= np.less(out, most, out=ctx.empty(out.shape, np.bool_))
        d_out *= inside
        d_out *= slope
        return d_out

    return backward


def sigmoid(z: Array, out: Array) -> Array:
    """`1 / (1 + e⁻ᶻ)` into `out`, for any `z`."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    return np.add(out, 0.5, out=out)


def softplus(z: Array, out: Array, scratch: Array) -> Array:
    """`log(1 + eᶻ)` into `out`, for any `z`, which may be `out` itself; `scratch` has the same shape."""
    np.abs(z, out=scratch)
    np.negative(scratch, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(z, 0, out=out)
    return np.add(out, scratch, out=out)


def softmax(z: Array, out: Array) -> Array:
    """The shares of `e^z` over the last axis into `out`; the largest is taken off first, so nothing overflows."""
    np.subtract(z, np.maximum.reduce(z, axis=-1, keepdims=True), out=out)
    np.exp(out, out=out)
    return np.divide(out, np.add.reduce(out, axis=-1, keepdims=True), out=out)


def _tanh_phi(z: Array, share: Array, slope: Array, *_: Array) -> None:
    """Φ ≈ (1 + tanh u) / 2 with u = √(2/π) · (z + 0.044715 z³), into `share`, and its derivative into `slope`."""
    root = math.sqrt(2 / math.pi)
    np.multiply(z, z, out=slope)
    np.multiply(slope, 0.044715 * root, out=share)
    share += root
    share *= z
    np.tanh(share, out=share)
    slope *= 3 * 0.044715 * root
    slope += root
    slope *= 0.5 * (1 - share * share)
    share += 1
    share *= 0.5


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
    Tagged(),
]
