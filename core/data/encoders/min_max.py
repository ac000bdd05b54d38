"""Numbers, brought to a range: low + (x − min) / (max − min) · (high − low) by the training rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.numbers import NumberEncoder, NumberOptions, present, width_or_one
from core.data.schema import Column
from core.data.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class MinMaxOptions(NumberOptions):
    """Numbers: low + (x − min) / (max − min) · (high − low), with the range of the training rows.

    Values outside that range are encoded outside [low, high]; equal values as low. A missing value is encoded as the
    mean; where the dataset has missing values, a second number marks them with 1.
    """

    type: Literal["min_max"] = "min_max"
    """`min_max`."""

    low: float = 0.0
    """The encoding of the smallest value."""

    high: float = 1.0
    """The encoding of the largest value."""

    def fit(self, column: Column, values: NDArray[np.float64], *, scaled: bool) -> "MinMax":
        """Return the encoder for values `(rows,)` with NaN for missing ones."""
        found = present(values)
        return MinMax(
            column=column.name,
            min=float(found.min()),
            max=float(found.max()),
            low=self.low,
            high=self.high,
            imputed=float(found.mean()),
            marked=column.missing > 0,
            seen=Seen.of(values),
            decimal=column.decimal,
        )


@dataclass(frozen=True, kw_only=True)
class MinMax(NumberEncoder):
    """A column of numbers, brought to a range."""

    type: Literal["min_max"] = "min_max"
    """`min_max`."""

    min: float
    """The smallest value of the training rows."""

    max: float
    """The largest one."""

    low: float
    """The encoding of `min`."""

    high: float
    """The encoding of `max`."""

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers in the range."""
        return self.low + (values - self.min) / width_or_one(self.min, self.max) * (self.high - self.low)
