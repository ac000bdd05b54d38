"""The range of numbers that a net was trained on, to warn of values far outside it."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FAR_DEVIATIONS = 6.0
"""Standard deviations from the mean beyond which a value outside the range is far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The numbers of one column in the training rows."""

    min: float
    max: float
    mean: float
    std: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self | None:
        """Return the range of numbers `(rows,)`, NaN for missing ones; None where there are none."""
        present = values[~np.isnan(values)].astype(np.float64)
        if not present.size:
            return None
        return cls(
            min=float(present.min()), max=float(present.max()), mean=float(present.mean()), std=float(present.std())
        )

    def far_outside(self, value: float) -> str | None:
        """Return in words how far a number is outside, or None if it is not far.

        Far is more than 6 standard deviations from the mean, or further from the range than the range is wide.
        """
        if not (value < self.min or value > self.max):  # inside, or NaN
            return None
        width = self.max - self.min
        beyond = max(self.min - value, value - self.max)
        if abs(value - self.mean) <= FAR_DEVIATIONS * self.std and beyond <= width:
            return None
        return f"{value:.6g} is far from the training rows, which go from {self.min:.6g} to {self.max:.6g}"
