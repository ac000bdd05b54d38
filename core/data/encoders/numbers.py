"""What the encoders of single numbers share: how a value is read, and how a missing one is encoded."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX, MISSING_AMONG_NUMBERS, fits_float32, is_missing, number_in, quote
from core.data.encoders.encoder import Parsed, Transform, WrongValue, separately, with_tuples
from core.data.schema import Column, ColumnType
from core.data.seen import Seen


class NumberOptions:
    """The options of an encoder whose value is one number, and one more for missing values where there are any."""

    __slots__ = ()

    takes: ClassVar[tuple[ColumnType, ...]] = ("number",)
    alone: ClassVar[bool] = False

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(1,)`, or `(2,)` where values of the column are missing."""
        return (1 + (column.missing > 0),)


@dataclass(frozen=True, kw_only=True)
class NumberEncoder(ABC):
    """A column of numbers, and a column of marks where values were missing at the upload."""

    type: str
    """The word for the encoder in JSON."""

    column: str
    """The column's name."""

    imputed: float
    """Replaces a missing value."""

    marked: bool
    """Whether a second number is 1 for missing values and 0 for others."""

    seen: Seen | None = None
    """The range of the training rows; None where they have no number."""

    decimal: str = "."
    """The decimal sign of numbers in texts, as the dataset had it."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float64)
    reads_files: ClassVar[bool] = False
    imputed_by: ClassVar[str] = "mean"
    """What replaces a missing value, in words."""

    @abstractmethod
    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the encoded numbers `(rows,)` of numbers `(rows,)`, none of them NaN."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value: `(1,)`, or `(2,)` with the mark."""
        return (1 + self.marked,)

    def parse(self, value: Any) -> Parsed:
        """Return a JSON number, or the number in a text, as float; NaN where it is missing. Raises `WrongValue`."""
        if is_missing(value) or (isinstance(value, str) and value.strip() in MISSING_AMONG_NUMBERS):
            used = f"the {self.imputed_by} {self.imputed:.6g} is used"
            return np.nan, None if self.marked else f"{self.column} is missing: {used}"
        return number_of(value, self.decimal), None

    def transform(self, values: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        """Encode numbers `(rows,)`, NaN for missing, into `out` `(rows, 1 or 2)`."""
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            encoded = self.scaled(np.where(missing, self.imputed, values))
        out[:, 0] = np.clip(encoded, -FLOAT32_MAX, FLOAT32_MAX)
        if self.marked:
            out[:, 1] = missing

    @classmethod
    def combine(cls, encoders: Sequence[Self], starts: Sequence[int]) -> Transform:
        """Return the transform of several columns, one after the other."""
        return separately(encoders, starts)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: a number, a text with a number or a missing-value text, or null."""
        return number_schema(self.column)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the encoder that `to_json` wrote."""
        seen = json.get("seen")
        return cls(**{**with_tuples(json), "seen": seen and Seen(**seen)})


def number_of(value: Any, decimal: str = ".") -> float:
    """Return a JSON number, or the number in a text as the dataset had it. Raises `WrongValue`."""
    found = number_in(value.strip(), decimal) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise WrongValue(f"is {quote(str(value))}: give a number")
    if not fits_float32(found):
        raise WrongValue("is outside the range of float32: give a smaller number")
    return float(found)


def number_schema(column: str) -> dict[str, Any]:
    """Return the JSON Schema of a raw number."""
    return {"title": column, "type": ["number", "string", "null"]}


def present(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the numbers that are not missing; a single 0 where all are."""
    found = values[~np.isnan(values)]
    return found if found.size else np.zeros(1)


def mean_and_std(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation of the numbers that are there; a deviation of 1 where all are equal."""
    found = present(values)
    std = float(found.std())
    # Equal values leave a deviation of rounding errors; dividing by it would turn the errors into ±1.
    rounding = 8 * float(np.finfo(np.float64).eps) * float(np.abs(found).max())
    return float(found.mean()), std if std > rounding else 1.0


def width_or_one(low: float, high: float) -> float:
    """Return the width of a range, 1 where it has none, so that equal values are encoded as 0."""
    return high - low if high > low else 1.0
