"""Numbers by their rank among the training rows: uniform in [0, 1], or normally distributed."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.encoders.numbers import NumberEncoder, NumberOptions, present
from core.data.schema import Column
from core.data.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileOptions(NumberOptions):
    """Numbers: F(x), the fraction of the training rows below x; or Φ⁻¹(F(x)), which is normally distributed.

    F is interpolated linearly between `quantiles` of the training rows; equal quantiles count as their middle. Values
    outside the training rows are encoded as the nearest end. For Φ⁻¹ the ends are half a row away from 0 and 1. A
    missing value is encoded as the median; where the dataset has missing values, a second number marks them with 1.
    """

    type: Literal["quantile"] = "quantile"
    """`quantile`."""

    quantiles: Annotated[int, Ge(2), Le(10_000)] = 100
    """Quantiles that are kept, the smallest and the largest value among them."""

    output: Literal["normal", "uniform"] = "normal"
    """`normal` for Φ⁻¹(F(x)), `uniform` for F(x)."""

    def fit(self, column: Column, values: NDArray[np.float64], *, scaled: bool) -> "Quantile":
        """Return the encoder for values `(rows,)` with NaN for missing ones."""
        found = present(values)
        fractions = np.linspace(0, 1, self.quantiles)
        knots, places = np.unique(np.quantile(found, fractions), return_inverse=True)
        middles = np.bincount(places.ravel(), fractions) / np.bincount(places.ravel())
        if self.output == "normal":
            edge = 0.5 / len(found)
            middles = np.array([NormalDist().inv_cdf(p) for p in np.clip(middles, edge, 1 - edge)])
        return Quantile(
            column=column.name,
            knots=tuple(knots.tolist()),
            encoded=tuple(middles.tolist()),
            imputed=float(np.median(found)),
            marked=column.missing > 0,
            seen=Seen.of(values),
            decimal=column.decimal,
        )


@dataclass(frozen=True, kw_only=True)
class Quantile(NumberEncoder):
    """A column of numbers, by their rank."""

    type: Literal["quantile"] = "quantile"
    """`quantile`."""

    knots: tuple[float, ...]
    """Different quantiles of the training rows, ascending."""

    encoded: tuple[float, ...]
    """Their encodings; values between them are interpolated."""

    imputed_by: ClassVar[str] = "median"

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the interpolated encodings."""
        return np.interp(values, self.knots, self.encoded)
