"""Numbers, scaled so that outliers do not matter: (x − median) / (q75 − q25) of the training rows."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.numbers import NumberEncoder, NumberOptions, present, width_or_one
from core.data.schema import Column
from core.data.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustOptions(NumberOptions):
    """Numbers: (x − median) / (q75 − q25), with median and quartiles of the training rows, which outliers do not move.

    Where the quartiles are equal, the divisor is 1. A missing value is encoded as the median, 0; where the dataset has
    missing values, a second number marks them with 1.
    """

    type: Literal["robust"] = "robust"
    """`robust`."""

    def fit(self, column: Column, values: NDArray[np.float64], *, scaled: bool) -> "Robust":
        """Return the encoder for values `(rows,)` with NaN for missing ones."""
        low, median, high = np.quantile(present(values), [0.25, 0.5, 0.75]).tolist()
        return Robust(
            column=column.name,
            median=median,
            spread=width_or_one(low, high),
            imputed=median,
            marked=column.missing > 0,
            seen=Seen.of(values),
            decimal=column.decimal,
        )


@dataclass(frozen=True, kw_only=True)
class Robust(NumberEncoder):
    """A column of numbers, scaled by their quartiles."""

    type: Literal["robust"] = "robust"
    """`robust`."""

    median: float
    """Subtracted from each value."""

    spread: float
    """Divides each value: the distance of the quartiles, 1 where they are equal."""

    imputed_by: ClassVar[str] = "median"

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scaled numbers."""
        return (values - self.median) / self.spread
