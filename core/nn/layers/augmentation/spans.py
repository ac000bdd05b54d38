"""Random spans of positions along an axis, which masks and erasing hide."""

import numpy as np

from core.nn.arrays import Array
from core.nn.step.context import PassContext


def outside_span(widths: Array, starts: Array, length: int, ctx: PassContext) -> Array:
    """Return `(rows, length)` ones, with zeros on a span of the given width in each row `(rows, 1)`.

    `starts` are draws from 0 to 1 of where the span begins, among all positions at which it fits; they are overwritten.
    """
    starts *= length + 1 - widths
    np.floor(starts, out=starts)
    positions = np.subtract(np.arange(length, dtype=starts.dtype), starts, out=ctx.empty((len(starts), length)))
    before = np.less(positions, 0, out=ctx.empty(positions.shape))
    np.greater_equal(positions, widths, out=positions)
    return np.maximum(positions, before, out=positions)
