"""The normal distribution for whole arrays, since NumPy has no error function: read off a table, or asked of `math`."""

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.nn.arrays import Array

REACH = 8
"""Beyond it Φ is 1 in float32, and below its negative taken for 0."""
FINE = 1024
"""Entries for each unit of z: a straight line between two of them errs by 3e-8 at most, half an ulp of 1."""


def normal(z: Array, cdf: Array, density: Array, off: Array, spare: Array, entry: NDArray[np.intp]) -> None:
    """Φ of each number of z into `cdf`, and its derivative, the bell curve, into `density`.

    In float32 off a table, which takes half the time of a series: the value at the nearest entry, and the slope there.
    Other numbers, in which only gradients are checked, go through `math.erfc` one by one. All arrays have the shape of
    z; what `off`, `spare` and `entry` held is lost.
    """
    if z.dtype != np.float32:
        np.multiply(_erfc(z * -math.sqrt(0.5)), 0.5, out=cdf, casting="unsafe")
        np.multiply(np.exp(z * z * -0.5), 1 / math.sqrt(2 * math.pi), out=density)
        return
    values, slopes = _tables()
    np.clip(z, -REACH, REACH, out=off)
    np.multiply(off, FINE, out=off)
    np.rint(off, out=cdf)
    np.subtract(off, cdf, out=off)  # from the nearest entry, in steps of the table
    np.add(cdf, REACH * FINE, out=cdf)
    with np.errstate(invalid="ignore"):  # where z is not a number, `off` is none either, whatever the entry
        np.copyto(entry, cdf, casting="unsafe")
    np.take(slopes, entry, out=density, mode="clip")
    np.take(values, entry, out=cdf, mode="clip")
    np.add(cdf, np.multiply(off, density, out=spare), out=cdf)
    np.multiply(off, z, out=off)  # φ(z + d) ≈ φ(z) · (1 − z · d)
    np.subtract(FINE, off, out=off)
    np.multiply(density, off, out=density)


_erfc: Any = np.frompyfunc(math.erfc, 1, 1)


@functools.cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Φ and its slope from one entry to the next, from −`REACH` to `REACH`."""
    z = np.arange(-REACH * FINE, REACH * FINE + 1) / FINE
    values = (_erfc(z * -math.sqrt(0.5)) * 0.5).astype(np.float32)
    slopes = (np.exp(z * z * -0.5) / (math.sqrt(2 * math.pi) * FINE)).astype(np.float32)
    values[0] = slopes[0] = 0
    for table in (values, slopes):
        table.flags.writeable = False
    return values, slopes
