"""The error function's complement, which NumPy has not, for whole arrays."""

import functools
import math
from typing import Any

import numpy as np

from core.nn.arrays import Array

_LARGEST = 26  # erfc underflows beyond it, even in float64
_SMALLEST = 2 / (2 + _LARGEST)


def erfc(x: Array) -> Array:
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
