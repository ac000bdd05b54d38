"""Categories, one-hot: one column for each category, 1 for the category of the row and 0 for others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import category_texts, is_missing, quote
from core.data.encoders.encoder import Parsed, Transform, WrongValue, separately, with_tuples
from core.data.schema import Column, ColumnType

MISSING_CODE = -1
UNKNOWN_CODE = -2


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHotOptions:
    """Categories: a number for each category, 1 for that of the row and 0 for all others.

    A category without a training row is encoded as zeros; where the dataset has missing values, one more number marks
    them with 1.
    """

    type: Literal["one_hot"] = "one_hot"
    """`one_hot`."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("category",)
    alone: ClassVar[bool] = False

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return the number of categories, one more where values of the column are missing."""
        return (len(column.classes) + (column.missing > 0),)

    def fit(self, column: Column, values: NDArray[np.int32], *, scaled: bool) -> "OneHot":
        """Return the encoder for codes `(rows,)`, −1 for missing values."""
        seen = set(values.tolist())
        names = tuple(name for name, _ in column.classes)
        unseen = tuple(name for code, name in enumerate(names) if code not in seen)
        return OneHot(column=column.name, categories=names, unseen=unseen, marked=column.missing > 0)


@dataclass(frozen=True, kw_only=True)
class OneHot:
    """A column of categories: a column of x for each, and one of marks where values were missing at the upload."""

    type: Literal["one_hot"] = "one_hot"
    """`one_hot`."""

    column: str
    """The column's name."""

    categories: tuple[str, ...]
    """All categories of the dataset."""

    unseen: tuple[str, ...]
    """Categories without a training row: no weight was trained for them, so they are encoded as zeros."""

    marked: bool
    """Whether one more column is 1 for missing values and 0 for others."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.int32)
    reads_files: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value."""
        return (len(self.categories) + self.marked,)

    @cached_property
    def _code_of(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.categories)}

    @cached_property
    def _trained_codes(self) -> NDArray[np.int32]:
        """For each category its code, or `UNKNOWN_CODE` where no training row has it."""
        codes = np.arange(len(self.categories), dtype=np.int32)
        codes[[self._code_of[name] for name in self.unseen]] = UNKNOWN_CODE
        return codes

    def parse(self, value: Any) -> Parsed:
        """Return the code of the category that a JSON value names: −1 where missing, −2 where unknown.

        Raises `WrongValue` for lists and objects.
        """
        if is_missing(value):
            return MISSING_CODE, None if self.marked else f"{self.column} is missing: no category is set"
        if not isinstance(value, str | int | float):
            raise WrongValue("is a list or an object: give a text, a number or a boolean, which names a category")
        code = next((self._code_of[text] for text in category_texts(value) if text in self._code_of), None)
        if code is None or self._trained_codes[code] == UNKNOWN_CODE:
            return UNKNOWN_CODE, f"{self.column}: {quote(str(value))} is in no training row: no category is set"
        return code, None

    def transform(self, values: NDArray[np.int32], out: NDArray[np.float32]) -> None:
        """Encode codes `(rows,)` into `out` `(rows, categories)`, with the mark `(rows, categories + 1)`."""
        known = np.flatnonzero(values >= 0)
        codes = self._trained_codes[values[known]]
        trained = codes >= 0
        out[known[trained], codes[trained]] = 1
        if self.marked:
            out[:, len(self.categories)] = values == MISSING_CODE

    @classmethod
    def combine(cls, encoders: Sequence[Self], starts: Sequence[int]) -> Transform:
        """Return the transform of several columns, one after the other."""
        return separately(encoders, starts)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value; other values than the examples are taken, with a warning."""
        return {
            "title": self.column,
            "type": ["string", "number", "boolean", "null"],
            "examples": list(self.categories),
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the encoder that `to_json` wrote."""
        return cls(**with_tuples(json))
