"""How far a column's distribution in one part of a split is from that in the training rows, from 0 to 1.

Of numbers it is the Kolmogorov-Smirnov distance, the largest difference of the two distribution functions. Of classes
it is the total variation distance, half the sum of the differences of their parts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 0.1
"""The distance below which no difference matters."""
CHANCE = 2.2
"""Of the Kolmogorov-Smirnov distance, the number of √(1/n + 1/m) that chance exceeds in one of 10,000 columns."""


def drift(values: NDArray[Any], train: NDArray[np.bool_], part: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Return the distance of the `part` of a column `(n,)` from its training rows, and whether it is large.

    Values are floats with NaN, or codes of classes with −1. It is large where chance hardly gives as much. None where
    one side has no values.
    """
    present = ~np.isnan(values) if values.dtype.kind == "f" else values >= 0
    a, b = values[train & present], values[part & present]
    if not len(a) or not len(b):
        return None
    noise = float(np.sqrt(1 / len(a) + 1 / len(b)))
    if values.dtype.kind == "f":
        distance, by_chance = _kolmogorov_smirnov(a, b), CHANCE * noise
    else:
        size = int(max(a.max(), b.max())) + 1
        parts = [np.bincount(side, minlength=size) / len(side) for side in (a, b)]
        classes = int((parts[0] + parts[1] > 0).sum())
        distance = float(np.abs(parts[0] - parts[1]).sum()) / 2
        by_chance = noise * (CHANCE + float(np.sqrt(classes))) / 2
    return {"distance": distance, "large": distance > max(LARGE, by_chance)}


def _kolmogorov_smirnov(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate([a, b])
    differences = np.searchsorted(a, both, "right") / len(a) - np.searchsorted(b, both, "right") / len(b)
    return float(np.abs(differences).max())
