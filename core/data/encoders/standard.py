"""Numbers, standardized: (value − mean) / standard deviation of the training rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX
from core.data.encoders.encoder import Transform
from core.data.encoders.numbers import NumberEncoder, NumberOptions, mean_and_std
from core.data.schema import Column
from core.data.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardOptions(NumberOptions):
    """Numbers: (x − μ) / σ with mean μ and standard deviation σ of the training rows.

    A missing value is encoded as the mean, 0; where the dataset has missing values, a second number marks them with 1.
    With the data's `scaling` of `none`, numbers stay as they are.
    """

    type: Literal["standard"] = "standard"
    """`standard`."""

    def fit(self, column: Column, values: NDArray[np.float64], *, scaled: bool) -> "Standardize":
        """Return the encoder for values `(rows,)` with NaN for missing ones; unscaled, it only imputes."""
        mean, std = mean_and_std(values)
        return Standardize(
            column=column.name,
            mean=mean if scaled else 0.0,
            std=std if scaled else 1.0,
            imputed=mean,
            marked=column.missing > 0,
            seen=Seen.of(values),
            decimal=column.decimal,
        )


@dataclass(frozen=True, kw_only=True)
class Standardize(NumberEncoder):
    """A column of numbers: (value − mean) / std, and a column of marks where values were missing at the upload."""

    type: Literal["standardize"] = "standardize"
    """`standardize`."""

    mean: float
    """Subtracted from each value; 0 where nothing is scaled."""

    std: float
    """Divides each value; 1 where nothing is scaled or all values are equal."""

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standardized numbers."""
        return (values - self.mean) / self.std

    @classmethod
    def combine(cls, encoders: Sequence[Self], starts: Sequence[int]) -> Transform:
        """Return the transform of several columns of numbers: one expression for all of them."""
        mean, std, imputed = np.array([(encoder.mean, encoder.std, encoder.imputed) for encoder in encoders]).T
        places = np.array(starts, np.int64)
        marked = np.flatnonzero([encoder.marked for encoder in encoders])
        marks = places[marked] + 1

        def transform(values: NDArray[np.float64], x: NDArray[np.float32]) -> None:
            missing = np.isnan(values)
            with np.errstate(over="ignore"):
                scaled = (np.where(missing, imputed, values) - mean) / std
            x[:, places] = np.clip(scaled, -FLOAT32_MAX, FLOAT32_MAX)
            x[:, marks] = missing[:, marked]

        return transform
