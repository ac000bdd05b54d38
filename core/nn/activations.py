"""What bends the line: the functions between linear maps, without which depth would add nothing.

`forward(z, out, run)` writes `f(z)` into `out`, which may be `z` itself, and returns the backward pass, which turns
`∂loss/∂f` into `∂loss/∂z = ∂loss/∂f · f'(z)` in place. All arrays have the shape `(batch, …)`.
"""

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np

from core.nn.arena import Run
from core.nn.arrays import Array, Backward
from core.nn.kinds import Tagged


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """`f(z) = z`."""

    type: Literal["linear"] = "linear"

    def forward(self, z: Array, out: Array, run: Run) -> Backward:
        """`z` as it is; the gradient passes unchanged."""
        if out is not z:
            np.copyto(out, z)
        return _unchanged


@dataclass(frozen=True, kw_only=True, slots=True)
class Relu:
    """`f(z) = max(z, 0)` (Nair & Hinton 2010)."""

    type: Literal["relu"] = "relu"

    def forward(self, z: Array, out: Array, run: Run) -> Backward:
        """The gradient passes where `z > 0`; at 0 it is 0."""
        np.maximum(z, 0, out=out)

        def backward(d_out: Array) -> Array:
            passes = np.greater(out, 0, out=run.empty(out.shape, np.bool_))
            return np.multiply(d_out, passes, out=d_out)

        return backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Tanh:
    """The hyperbolic tangent."""

    type: Literal["tanh"] = "tanh"

    def forward(self, z: Array, out: Array, run: Run) -> Backward:
        """`f' = 1 − f²`."""
        np.tanh(z, out=out)

        def backward(d_out: Array) -> Array:
            slope = np.multiply(out, out, out=run.empty(out.shape))
            np.subtract(1, slope, out=slope)
            return np.multiply(d_out, slope, out=d_out)

        return backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Sigmoid:
    """`f(z) = 1 / (1 + e⁻ᶻ)`, computed as `(1 + tanh(z/2)) / 2`, which cannot overflow."""

    type: Literal["sigmoid"] = "sigmoid"

    def forward(self, z: Array, out: Array, run: Run) -> Backward:
        """`f' = f · (1 − f)`."""
        sigmoid(z, out)

        def backward(d_out: Array) -> Array:
            slope = np.subtract(1, out, out=run.empty(out.shape))
            slope *= out
            return np.multiply(d_out, slope, out=d_out)

        return backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Softplus:
    """`f(z) = log(1 + eᶻ)`, a smooth relu (Dugas et al. 2001)."""

    type: Literal["softplus"] = "softplus"

    def forward(self, z: Array, out: Array, run: Run) -> Backward:
        """`f' = sigmoid(z)`; `log(1 + eᶻ) = max(z, 0) + log(1 + e^−|z|)` cannot overflow."""
        slope = sigmoid(z, run.empty(z.shape))
        rest = np.abs(z, out=run.empty(z.shape))
        np.negative(rest, out=rest)
        np.exp(rest, out=rest)
        np.log1p(rest, out=rest)
        np.maximum(z, 0, out=out)
        np.add(out, rest, out=out)
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gelu:
    """`f(z) = z · Φ(z)`, Φ the normal distribution function (Hendrycks & Gimpel 2016)."""

    type: Literal["gelu"] = "gelu"
    approximate: bool = False
    """Use the paper's tanh formula instead of Φ itself."""

    def forward(self, z: Array, out: Array, run: Run) -> Backward:
        """`f' = Φ + z · Φ'`; Φ and Φ' are computed at once."""
        share, slope = run.empty(z.shape), run.empty(z.shape)
        (_tanh_phi if self.approximate else _normal_phi)(z, share, slope)
        slope *= z
        slope += share
        np.multiply(z, share, out=out)
        return lambda d_out: np.multiply(d_out, slope, out=d_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax:
    """`f(z)ᵢ = e^zᵢ / Σⱼ e^zⱼ` over the last axis: shares that add up to one."""

    type: Literal["softmax"] = "softmax"

    def forward(self, z: Array, out: Array, run: Run) -> Backward:
        """`∂loss/∂z = f · (∂loss/∂f − Σⱼ fⱼ · ∂loss/∂fⱼ)`: the Jacobian is never built."""
        softmax(z, out)

        def backward(d_out: Array) -> Array:
            common = np.multiply(d_out, out, out=run.empty(out.shape)).sum(axis=-1, keepdims=True)
            d_out -= common
            d_out *= out
            return d_out

        return backward


def _unchanged(d_out: Array) -> Array:
    return d_out


def sigmoid(z: Array, out: Array) -> Array:
    """`1 / (1 + e⁻ᶻ)` into `out`, for any `z`."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    return np.add(out, 0.5, out=out)


def softmax(z: Array, out: Array) -> Array:
    """The shares of `e^z` over the last axis into `out`; the largest is taken off first, so nothing overflows."""
    np.subtract(z, np.maximum.reduce(z, axis=-1, keepdims=True), out=out)
    np.exp(out, out=out)
    return np.divide(out, np.add.reduce(out, axis=-1, keepdims=True), out=out)


def _tanh_phi(z: Array, share: Array, slope: Array) -> None:
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


def _normal_phi(z: Array, share: Array, slope: Array) -> None:
    """Φ into `share` and the bell curve, its derivative, into `slope`."""
    tail = np.abs(z)
    tail *= math.sqrt(0.5)
    np.copyto(share, _erfc(tail))
    share *= 0.5  # what lies beyond |z|: Φ(−|z|)
    np.subtract(1, share, out=share, where=z > 0)
    np.multiply(z, z, out=slope)
    slope *= -0.5
    np.exp(slope, out=slope)
    slope *= 1 / math.sqrt(2 * math.pi)


_LARGEST = 26  # erfc underflows beyond it, even in float64
_SMALLEST = 2 / (2 + _LARGEST)


def _erfc(x: Array) -> Array:
    """The complementary error function for `x ≥ 0`, to some ulps of the array's own precision; NumPy has none.

    With `t = 2 / (2 + x)`, `log(erfc(x) / t) + x²` is smooth, so that a short Chebyshev series holds it (the
    substitution of Numerical Recipes, 3rd ed., section 6.2.2; the series is fitted here, from `math.erfc`).
    """
    x = np.minimum(x, _LARGEST)
    t = 2 / (2 + x)
    u = (2 * t - (1 + _SMALLEST)) / (1 - _SMALLEST)
    first, *others = _erfc_series(10 if x.dtype == np.float32 else 22)
    last: Any = 0.0
    before: Any = 0.0
    for c in reversed(others):  # Clenshaw's recurrence
        last, before = 2 * u * last - before + c, last
    return np.asarray(t * np.exp(u * last - before + first - x * x), x.dtype)


@functools.cache
def _erfc_series(degree: int) -> tuple[float, ...]:
    def smooth(t: Any) -> Any:
        x = 2 / t - 2
        return np.array([math.log(math.erfc(v)) + v * v for v in x]) - np.log(t)

    series = np.polynomial.Chebyshev.interpolate(smooth, degree, domain=[_SMALLEST, 1])
    return tuple(float(c) for c in series.coef)


Activation: TypeAlias = Annotated[Linear | Relu | Tanh | Sigmoid | Softplus | Gelu | Softmax, Tagged()]
