"""Numbers over several orders of magnitude: sign(x) · ln(1 + |x|), standardized."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.numbers import NumberEncoder, NumberOptions, mean_and_std, present
from core.data.schema import Column
from core.data.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions(NumberOptions):
    """Numbers: (l − μ) / σ with l = sign(x) · ln(1 + |x|), its mean μ and standard deviation σ in the training rows.

    For amounts, counts and other numbers of several orders of magnitude; 0 and negative numbers are allowed. A missing
    value is encoded as the median; where the dataset has missing values, a second number marks them with 1.
    """

    type: Literal["log"] = "log"
    """`log`."""

    def fit(self, column: Column, values: NDArray[np.float64], *, scaled: bool) -> "Log":
        """Return the encoder for values `(rows,)` with NaN for missing ones."""
        mean, std = mean_and_std(signed_log(values))
        return Log(
            column=column.name,
            mean=mean,
            std=std,
            imputed=float(np.median(present(values))),
            marked=column.missing > 0,
            seen=Seen.of(values),
            decimal=column.decimal,
        )


@dataclass(frozen=True, kw_only=True)
class Log(NumberEncoder):
    """A column of numbers, by their logarithm."""

    type: Literal["log"] = "log"
    """`log`."""

    mean: float
    """Subtracted from each logarithm."""

    std: float
    """Divides each logarithm; 1 where all are equal."""

    imputed_by: ClassVar[str] = "median"

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scaled logarithms."""
        return (signed_log(values) - self.mean) / self.std


def signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sign(x) · ln(1 + |x|)."""
    found: NDArray[np.float64] = np.copysign(np.log1p(np.abs(values)), values)
    return found
