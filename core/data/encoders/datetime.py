"""Dates and times: how long ago, and where in the year, the month, the week and the day."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import MaxLen, MinLen
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX, is_missing, quote
from core.data.date_forms import DateForm, parse_any_date, parse_date
from core.data.encoders.encoder import Parsed, WrongValue
from core.data.encoders.numbers import mean_and_std
from core.data.encoders.tokens import TextEncoder
from core.data.encoders.values import ValueOptions
from core.data.errors import InvalidFile
from core.data.schema import Column

DAY = 86_400.0
"""Seconds of a day."""
LAST_SECOND = 253_402_300_799
"""The end of the year 9999 in seconds since 1970."""
FIRST_SECOND = -62_135_596_800
"""The beginning of the year 1, likewise."""

Part = Literal["age", "year_day", "month", "month_day", "weekday", "hour"]
Moments = NDArray[np.datetime64]


def _year_day(moments: Moments) -> NDArray[np.float64]:
    years = moments.astype("M8[Y]")
    begin, end = years.astype("M8[s]"), (years + 1).astype("M8[s]")
    fractions: NDArray[np.float64] = (moments - begin) / (end - begin)
    return fractions


def _month(moments: Moments) -> NDArray[np.float64]:
    return (moments.astype("M8[M]").astype(np.int64) % 12) / 12


def _month_day(moments: Moments) -> NDArray[np.float64]:
    days = moments.astype("M8[D]") - moments.astype("M8[M]").astype("M8[D]")
    return days.astype(np.int64) / 31


def _weekday(moments: Moments) -> NDArray[np.float64]:
    return (moments.astype("M8[D]").astype(np.int64) + 3) % 7 / 7  # 1970 began on a Thursday


def _hour(moments: Moments) -> NDArray[np.float64]:
    return moments.astype(np.int64) % int(DAY) / DAY


FRACTIONS: Mapping[str, Callable[[Moments], NDArray[np.float64]]] = MappingProxyType(
    {"year_day": _year_day, "month": _month, "month_day": _month_day, "weekday": _weekday, "hour": _hour}
)
"""The parts of a date as fractions p of their period: of the year, 12 months, 31 days, the week, the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatetimeOptions(ValueOptions):
    """Dates and times, in UTC unless they have an offset: for each part sin 2πp and cos 2πp, with p its fraction.

    `age` is (d − μ) / σ for d in days, with mean and standard deviation of the training rows. `year_day` is the
    fraction of the year, `hour` that of the day; `month`, `month_day` and `weekday` count whole months, days, and days
    from Monday. A missing value is encoded as zeros; where the dataset has missing values, one more number marks them
    with 1.
    """

    type: Literal["datetime"] = "datetime"
    """`datetime`."""

    parts: Annotated[tuple[Part, ...], MinLen(1), MaxLen(6)] = ("age", "year_day", "weekday", "hour")
    """The parts that are encoded, in this order."""

    cyclic: bool = True
    """Whether a part is the two numbers sin 2πp and cos 2πp, so that December is near January; else it is p."""

    format: Annotated[str, MaxLen(64)] | None = None
    """How a date is written, such as `%d %b %Y`; by default ISO (`2024-03-31`) and national forms are read."""

    day_first: bool | None = None
    """Whether `3/4/2024` is the third of April; by default it is the fourth of March."""

    takes: ClassVar[tuple[Any, ...]] = ("datetime", "text", "category")

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return the number of all parts, one more where values of the column are missing."""
        return (width_of(self.parts, self.cyclic) + (column.missing > 0),)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Datetime":
        """Return the encoder for texts or seconds since 1970 `(rows,)`, None or NaN for missing ones."""
        encoder = Datetime(
            column=column.name,
            parts=self.parts,
            cyclic=self.cyclic,
            format=self.format or (None if column.date_format == "iso" else column.date_format),
            day_first=self.day_first,
            mean=0.0,
            std=1.0,
            marked=column.missing > 0,
        )
        mean, std = mean_and_std(encoder.seconds(values) / DAY)
        return Datetime(**{**encoder.to_json(), "mean": mean, "std": std})


@dataclass(frozen=True, kw_only=True)
class Datetime(TextEncoder):
    """A column of dates and times."""

    type: Literal["datetime"] = "datetime"
    """`datetime`."""

    parts: tuple[Part, ...]
    """The parts that are encoded."""

    cyclic: bool
    """Whether a part is a sine and a cosine."""

    format: str | None
    """How a date is written; None for the usual forms."""

    day_first: bool | None
    """Whether the day comes before the month."""

    mean: float
    """Subtracted from the days since 1970."""

    std: float
    """Divides what remains."""

    marked: bool
    """Whether one more number is 1 for missing values and 0 for others."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value."""
        return (width_of(self.parts, self.cyclic) + self.marked,)

    def parse(self, value: Any) -> Parsed:
        """Return a date as seconds since 1970, None where it is missing. Raises `WrongValue`."""
        if is_missing(value):
            return None, None if self.marked else f"{self.column} is missing: zeros are used"
        if not isinstance(value, str):
            raise WrongValue(f"is {quote(str(value))}: give a date as a text, such as 2024-03-31T12:00:00Z")
        return self._parse(value), None

    def _parse(self, text: str) -> float:
        text = text.strip()
        if self.format is None:
            found = parse_any_date(text, day_first=self.day_first)
        else:
            found = parse_date(text, DateForm(self.format))
        if found is None:
            wanted = f"of the form {self.format}" if self.format else "such as 2024-03-31 or 2024-03-31T12:00:00Z"
            raise WrongValue(f"is {quote(text)}: give a date {wanted}")
        return found

    def seconds(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return texts, seconds since 1970, None and NaN `(rows,)` as seconds, NaN for missing ones.

        Raises `InvalidFile` for a text that is no date.
        """
        if values.dtype.kind == "f":
            return values
        found = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            if isinstance(value, str):
                try:
                    found[row] = self._parse(value)
                except WrongValue as error:
                    raise InvalidFile(f"column {quote(self.column)} {error}, or set the encoder's format") from None
            elif value is not None:
                found[row] = value
        return found

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode dates `(rows,)`, as texts or seconds, into `out` `(rows, width)`."""
        seconds = self.seconds(values)
        there = np.flatnonzero(~np.isnan(seconds))
        moments = np.clip(seconds[there], FIRST_SECOND, LAST_SECOND).astype("M8[s]")
        place = 0
        for part in self.parts:
            if part == "age":
                ages = (seconds[there] / DAY - self.mean) / self.std
                out[there, place] = np.clip(ages, -FLOAT32_MAX, FLOAT32_MAX)
            elif self.cyclic:
                angles = 2 * np.pi * FRACTIONS[part](moments)
                out[there, place], out[there, place + 1] = np.sin(angles), np.cos(angles)
            else:
                out[there, place] = FRACTIONS[part](moments)
            place += width_of((part,), self.cyclic)
        if self.marked:
            out[:, place] = np.isnan(seconds)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: a date as a text, or null."""
        return {"title": self.column, "type": ["string", "null"], "examples": ["2024-03-31"]}


def width_of(parts: Sequence[Part], cyclic: bool) -> int:
    """Return the numbers of encoded parts."""
    return sum(2 if cyclic and part != "age" else 1 for part in parts)
