"""Numbers as they are."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.numbers import NumberEncoder, NumberOptions, present
from core.data.schema import Column
from core.data.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneOptions(NumberOptions):
    """Numbers: x as it is.

    A missing value is encoded as the mean of the training rows; where the dataset has missing values, a second number
    marks them with 1.
    """

    type: Literal["none"] = "none"
    """`none`."""

    def fit(self, column: Column, values: NDArray[np.float64], *, scaled: bool) -> "Unscaled":
        """Return the encoder for values `(rows,)` with NaN for missing ones."""
        mean = float(present(values).mean())
        return Unscaled(
            column=column.name,
            imputed=mean,
            marked=column.missing > 0,
            seen=Seen.of(values),
            decimal=column.decimal,
        )


@dataclass(frozen=True, kw_only=True)
class Unscaled(NumberEncoder):
    """A column of numbers as they are."""

    type: Literal["none"] = "none"
    """`none`."""

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers."""
        return values
