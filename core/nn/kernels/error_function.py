"""The normal distribution function of whole arrays, from a table, since NumPy has no error function."""

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.nn.arrays import Array

TABLE_LIMIT = 8
"""The largest |z| in the table: beyond it Φ is 1 in float32, and below its negative it is taken as 0."""
ENTRIES_PER_UNIT = 1024
"""Table entries per unit of z: linear interpolation between them errs by at most 3e-8, half an ulp of 1."""


def normal_cdf(z: Array, cdf: Array, density: Array, offset: Array, scratch: Array, entry: NDArray[np.intp]) -> None:
    """Write Φ(z) into `cdf` and its derivative, the normal density, into `density`.

    In float32 both come from a table, the value at the nearest entry plus its slope, in half the time of a series.
    Other dtypes, used only to check gradients, go through `math.erfc` element by element. All arrays have the shape of
    z; `offset`, `scratch` and `entry` are overwritten.
    """
    if z.dtype != np.float32:
        np.multiply(_erfc(z * -math.sqrt(0.5)), 0.5, out=cdf, casting="unsafe")
        np.multiply(np.exp(z * z * -0.5), 1 / math.sqrt(2 * math.pi), out=density)
        return
    values, slopes = _tables()
    np.clip(z, -TABLE_LIMIT, TABLE_LIMIT, out=offset)
    np.multiply(offset, ENTRIES_PER_UNIT, out=offset)
    np.rint(offset, out=cdf)
    np.subtract(offset, cdf, out=offset)  # from the nearest entry, in steps of the table
    np.add(cdf, TABLE_LIMIT * ENTRIES_PER_UNIT, out=cdf)
    with np.errstate(invalid="ignore"):  # where z is NaN, so is `offset`, and any entry will do
        np.copyto(entry, cdf, casting="unsafe")
    np.take(slopes, entry, out=density, mode="clip")
    np.take(values, entry, out=cdf, mode="clip")
    np.add(cdf, np.multiply(offset, density, out=scratch), out=cdf)
    np.multiply(offset, z, out=offset)  # φ(z + d) ≈ φ(z) · (1 − z · d)
    np.subtract(ENTRIES_PER_UNIT, offset, out=offset)
    np.multiply(density, offset, out=density)


_erfc: Any = np.frompyfunc(math.erfc, 1, 1)


@functools.cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return Φ at each entry from −`TABLE_LIMIT` to `TABLE_LIMIT`, and its slope per entry."""
    z = np.arange(-TABLE_LIMIT * ENTRIES_PER_UNIT, TABLE_LIMIT * ENTRIES_PER_UNIT + 1) / ENTRIES_PER_UNIT
    values = (_erfc(z * -math.sqrt(0.5)) * 0.5).astype(np.float32)
    slopes = (np.exp(z * z * -0.5) / (math.sqrt(2 * math.pi) * ENTRIES_PER_UNIT)).astype(np.float32)
    values[0] = slopes[0] = 0
    for table in (values, slopes):
        table.flags.writeable = False
    return values, slopes
