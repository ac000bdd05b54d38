"""The error function's complement, which NumPy has not, for whole arrays."""

import functools
import math
from typing import Any

import numpy as np

from core.nn.arrays import Array

_LARGEST = 26  # erfc underflows beyond it, even in float64
_SMALLEST = 2 / (2 + _LARGEST)
_STRETCH, _SHIFT = 2 / (1 - _SMALLEST), (1 + _SMALLEST) / (1 - _SMALLEST)


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
