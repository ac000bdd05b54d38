"""How one column of a table becomes columns of x: a number by its distance from the mean, a category by a one.

A rule is fitted on the training rows; how wide it is follows from the schema, so that shapes are known before.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.data.cells import absent, fits, number, shown, spellings
from core.data.schema import Column

MISSING_CODE = -1
UNKNOWN_CODE = -2


class WrongValue(Exception):
    """A record's value is not what its column needs."""


@dataclass(frozen=True, kw_only=True)
class Standardize:
    """A column of numbers: (value − mean) / std; where values were missing at the upload, a second column of marks."""

    type: Literal["standardize"] = "standardize"
    """`standardize`."""

    column: str
    """The column's name."""

    mean: float
    """What is taken away; 0 where nothing is scaled."""

    std: float
    """What is divided by; 1 where nothing is scaled or all values are the same."""

    imputed: float
    """What stands in for a missing value: the mean of the training rows."""

    marked: bool
    """Whether a second column says which values were missing (1) and which not (0)."""

    @property
    def width(self) -> int:
        """How many columns of x this takes."""
        return 1 + self.marked

    def parse(self, value: Any) -> tuple[float, str | None]:
        """The number that a JSON value is, or that a text writes (NaN where missing); and what is doubtful.

        Raises `WrongValue`.
        """
        if absent(value):
            return np.nan, None if self.marked else f"{self.column} is missing: the mean {self.imputed:.6g} stands in"
        found = number(value.strip()) if isinstance(value, str) else value
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise WrongValue(f"is {shown(str(value))} where a number belongs")
        if not fits(found):
            raise WrongValue("is beyond what a float32 holds")
        return float(found), None

    def schema(self) -> dict[str, Any]:
        """What a record holds for this, for a reader."""
        return {"name": self.column, "type": "number"}


@dataclass(frozen=True, kw_only=True)
class OneHot:
    """A column of categories: one column of x for each, 1 for the row's own; where values were missing one more."""

    type: Literal["one_hot"] = "one_hot"
    """`one_hot`."""

    column: str
    """The column's name."""

    categories: tuple[str, ...]
    """All categories of the dataset."""

    unseen: tuple[str, ...]
    """Those that no training row showed: they mean nothing to the net, and are written as zeros."""

    marked: bool
    """Whether one more column says which values were missing."""

    @property
    def width(self) -> int:
        """How many columns of x this takes."""
        return len(self.categories) + self.marked

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.categories)}

    @cached_property
    def codes(self) -> NDArray[np.int32]:
        """For each category's place: the same place, or `UNKNOWN_CODE` where no training row showed it."""
        codes = np.arange(len(self.categories), dtype=np.int32)
        codes[[self._places[name] for name in self.unseen]] = UNKNOWN_CODE
        return codes

    def parse(self, value: Any) -> tuple[int, str | None]:
        """The place of the category that a JSON value names (−1 where missing, −2 where unknown); and what is doubtful.

        Raises `WrongValue`.
        """
        if absent(value):
            return MISSING_CODE, None if self.marked else f"{self.column} is missing: no category stands in"
        if not isinstance(value, str | int | float):
            raise WrongValue("is a list or an object where a category belongs")
        place = next((self._places[text] for text in spellings(value) if text in self._places), None)
        if place is None or self.codes[place] == UNKNOWN_CODE:
            return UNKNOWN_CODE, f"{self.column}: {shown(str(value))} was never seen in training"
        return place, None

    def schema(self) -> dict[str, Any]:
        """What a record holds for this, for a reader."""
        return {"name": self.column, "type": "category", "categories": list(self.categories)}


Encoder = Standardize | OneHot
ENCODERS: dict[str, type[Standardize] | type[OneHot]] = {"standardize": Standardize, "one_hot": OneHot}


def width(column: Column) -> int:
    """How many columns of x a column of a table takes, known from the schema."""
    return (len(column.classes) if column.type == "category" else 1) + (column.missing > 0)


def fit(column: Column, values: NDArray[Any], *, scaled: bool) -> Encoder:
    """The rule for a column, by its values in the training rows: float64 with NaN, or codes with −1, for missing."""
    fitted = _one_hot if column.type == "category" else _standardized if scaled else _plain
    return fitted(column, values)


def _one_hot(column: Column, codes: NDArray[np.int32]) -> OneHot:
    seen = set(codes.tolist())
    names = tuple(name for name, _ in column.classes)
    unseen = tuple(name for code, name in enumerate(names) if code not in seen)
    return OneHot(column=column.name, categories=names, unseen=unseen, marked=column.missing > 0)


def _plain(column: Column, values: NDArray[np.float64]) -> Standardize:
    mean, _ = _mean_and_std(values)
    return Standardize(column=column.name, mean=0.0, std=1.0, imputed=mean, marked=column.missing > 0)


def _standardized(column: Column, values: NDArray[np.float64]) -> Standardize:
    mean, std = _mean_and_std(values)
    return Standardize(column=column.name, mean=mean, std=std, imputed=mean, marked=column.missing > 0)


def _mean_and_std(values: NDArray[np.float64]) -> tuple[float, float]:
    there = values[~np.isnan(values)]
    if not there.size:
        return 0.0, 1.0
    std = float(there.std())
    # Equal values leave a deviation of rounding errors, which must not be blown up to 1.
    noise = 8 * float(np.finfo(np.float64).eps) * float(np.abs(there).max())
    return float(there.mean()), std if std > noise else 1.0
