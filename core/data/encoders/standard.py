"""Numbers, standardized: (value − mean) / standard deviation of the training rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX, fits_float32, is_missing, parse_number, quote
from core.data.encoders.encoder import Parsed, Transform, WrongValue
from core.data.schema import Column, ColumnType
from core.data.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardOptions:
    """Numbers: (x − μ) / σ with mean μ and standard deviation σ of the training rows.

    A missing value is encoded as the mean, 0; where the dataset has missing values, a second number marks them with 1.
    With the data's `scaling` of `none`, numbers stay as they are.
    """

    type: Literal["standard"] = "standard"
    """`standard`."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("number",)
    alone: ClassVar[bool] = False

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(1,)`, or `(2,)` where values of the column are missing."""
        return (1 + (column.missing > 0),)

    def fit(self, column: Column, values: NDArray[np.float64], *, scaled: bool) -> "Standardize":
        """Return the encoder for values `(rows,)` with NaN for missing ones; unscaled, it only imputes."""
        mean, std = _mean_and_std(values)
        return Standardize(
            column=column.name,
            mean=mean if scaled else 0.0,
            std=std if scaled else 1.0,
            imputed=mean,
            marked=column.missing > 0,
            seen=Seen.of(values),
        )


@dataclass(frozen=True, kw_only=True)
class Standardize:
    """A column of numbers: (value − mean) / std, and a column of marks where values were missing at the upload."""

    type: Literal["standardize"] = "standardize"
    """`standardize`."""

    column: str
    """The column's name."""

    mean: float
    """Subtracted from each value; 0 where nothing is scaled."""

    std: float
    """Divides each value; 1 where nothing is scaled or all values are equal."""

    imputed: float
    """Replaces a missing value: the mean of the training rows."""

    marked: bool
    """Whether a second column is 1 for missing values and 0 for others."""

    seen: Seen | None = None
    """The range of the training rows; None for encoders from before version 0.2.0."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float64)
    reads_files: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value: `(1,)`, or `(2,)` with the mark."""
        return (1 + self.marked,)

    def parse(self, value: Any) -> Parsed:
        """Return a JSON number, or the number in a text, as float; NaN where it is missing. Raises `WrongValue`."""
        if is_missing(value):
            warning = None if self.marked else f"{self.column} is missing: the mean {self.imputed:.6g} is used"
            return np.nan, warning
        found = parse_number(value.strip()) if isinstance(value, str) else value
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise WrongValue(f"is {quote(str(value))}: give a number")
        if not fits_float32(found):
            raise WrongValue("is outside the range of float32: give a smaller number")
        return float(found), None

    def transform(self, values: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        """Encode numbers `(rows,)`, NaN for missing, into `out` `(rows, 1 or 2)`."""
        self.combine([self], [0])(values[:, None], out)

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

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: a number, a text with a number or a missing-value text, or null."""
        return {"title": self.column, "type": ["number", "string", "null"]}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the encoder that `to_json` wrote."""
        seen = json.get("seen")
        return cls(**{**json, "seen": seen and Seen(**seen)})


def _mean_and_std(values: NDArray[np.float64]) -> tuple[float, float]:
    present = values[~np.isnan(values)]
    if not present.size:
        return 0.0, 1.0
    std = float(present.std())
    # Equal values leave a deviation of rounding errors; dividing by it would turn the errors into ±1.
    rounding = 8 * float(np.finfo(np.float64).eps) * float(np.abs(present).max())
    return float(present.mean()), std if std > rounding else 1.0
