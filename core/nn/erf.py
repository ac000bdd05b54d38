"""The normal distribution, by the error function's complement, which NumPy has not, for whole arrays."""

import functools
import math
from typing import Any

import numpy as np

from core.nn.arena import Run
from core.nn.arrays import Array

_LARGEST = 26  # erfc underflows beyond it, even in float64
_SMALLEST = 2 / (2 + _LARGEST)
_STRETCH, _SHIFT = 2 / (1 - _SMALLEST), (1 + _SMALLEST) / (1 - _SMALLEST)

BLOCK = 16_384
"""How many numbers are computed with at a time where many passes are made over them, so that they stay in the cache."""


def normal_phi(z: Array, share: Array, slope: Array, run: Run) -> None:
    """Φ into `share` and the bell curve, its derivative, into `slope`."""
    z, share, slope = z.reshape(-1), share.reshape(-1), slope.reshape(-1)
    spare, more = (run.empty((min(BLOCK, len(z)),)) for _ in range(2))
    for start in range(0, len(z), BLOCK):
        part = slice(start, start + BLOCK)
        length = len(z[part])
        _phi_of_block(z[part], share[part], slope[part], spare[:length], more[:length])


def _phi_of_block(z: Array, share: Array, slope: Array, spare: Array, more: Array) -> None:
    """By `Φ(−|z|) = erfc(x) / 2` with `x = |z| / √2`, and `erfc(x) = e^(−x²) · (e^(x²) · erfc(x))`."""
    np.multiply(z, math.sqrt(0.5), out=more)
    np.abs(more, out=more)
    scaled_erfc(more, share, spare)
    np.multiply(more, more, out=more)
    np.negative(more, out=more)
    np.exp(more, out=more)
    np.multiply(more, 1 / math.sqrt(2 * math.pi), out=slope)
    np.multiply(share, more, out=share)
    np.multiply(share, 0.5, out=share)
    np.greater(z, 0, out=more)  # 1 or 0: what is right of 0 has the rest
    np.subtract(more, share, out=share)
    np.abs(share, out=share)


def scaled_erfc(x: Array, out: Array, scratch: Array) -> Array:
    """`e^(x²) · erfc(x)` for `x ≥ 0` into `out`, to some ulps of the arrays' own precision; none of them is another.

    With `t = 2 / (2 + x)` it is t times a smooth function of t, so that a short series holds it (the substitution of
    Numerical Recipes, 3rd ed., section 6.2.2; the series is fitted here, from `math.erfc`). Beyond x = 26 the series is
    left, for what is multiplied with 0 there.
    """
    np.add(x, 2, out=scratch)
    np.divide(2 * _STRETCH, scratch, out=scratch)
    np.subtract(scratch, _SHIFT, out=scratch)  # t from −1 to 1
    highest, *others = _series(10 if out.dtype == np.float32 else 24)
    np.multiply(scratch, highest, out=out)
    for coefficient in others[:-1]:  # Horner's rule
        np.add(out, coefficient, out=out)
        np.multiply(out, scratch, out=out)
    np.add(out, others[-1], out=out)
    np.add(scratch, _SHIFT, out=scratch)
    np.divide(scratch, _STRETCH, out=scratch)  # t again
    return np.multiply(out, scratch, out=out)


@functools.cache
def _series(degree: int) -> tuple[float, ...]:
    """The coefficients by falling powers of t, stretched to −1 to 1."""

    def smooth(t: Any) -> Any:
        x = 2 / t - 2
        return np.array([math.exp(v * v) * math.erfc(v) for v in x]) / t

    series = np.polynomial.Chebyshev.interpolate(smooth, degree, domain=[_SMALLEST, 1])
    return tuple(float(c) for c in np.polynomial.chebyshev.cheb2poly(series.coef)[::-1])
