"""Categories, one-hot: one column for each category, 1 for the category of the row and 0 for others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.cells import category_texts, is_missing, quote
from core.data.encoders.encoder import Parsed, Transform, WrongValue, separately, with_tuples
from core.data.schema import Column, ColumnType

MISSING_CODE = -1
UNKNOWN_CODE = -2


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHotOptions:
    """Categories: a number for each category, 1 for that of the row and 0 for all others.

    A category without a training row is encoded as zeros, or as other; where the dataset has missing values, one more
    number marks them with 1.
    """

    type: Literal["one_hot"] = "one_hot"
    """`one_hot`."""

    min_rows: Annotated[int, Ge(1)] = 1
    """Rows of the dataset that a category needs for a number of its own; rarer ones are other categories."""

    max_categories: Annotated[int, Ge(1), Le(65_536)] | None = None
    """Categories with a number of their own: the most frequent ones of the dataset; the rest are other categories."""

    other: bool = False
    """Whether one more number is 1 for other categories: rare ones, and those that no training row has."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("category",)
    alone: ClassVar[bool] = False

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return the number of categories, one more for others, and one more where values of the column are missing."""
        return (len(self._chosen(column)) + self.other + (column.missing > 0),)

    def _chosen(self, column: Column) -> list[str]:
        """Return the categories that get a number of their own, in the order of the dataset."""
        frequent = [(name, count) for name, count in column.classes if count >= self.min_rows]
        if self.max_categories is not None and len(frequent) > self.max_categories:
            most = sorted(frequent, key=lambda one: (-one[1], one[0]))[: self.max_categories]
            frequent = [one for one in frequent if one in most]
        return [name for name, _ in frequent]

    def fit(self, column: Column, values: NDArray[np.int32], *, scaled: bool) -> "OneHot":
        """Return the encoder for codes `(rows,)`, −1 for missing values."""
        seen = set(values.tolist())
        names = tuple(name for name, _ in column.classes)
        unseen = tuple(name for code, name in enumerate(names) if code not in seen)
        chosen = frozenset(self._chosen(column))
        rare = tuple(name for name in names if name not in chosen)
        return OneHot(
            column=column.name,
            categories=names,
            unseen=unseen,
            marked=column.missing > 0,
            rare=rare,
            other=self.other,
        )


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

    rare: tuple[str, ...] = ()
    """Categories that are too rare for a column of their own."""

    other: bool = False
    """Whether one more column is 1 for categories that are rare or unseen."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.int32)
    reads_files: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value."""
        return (self._own + self.other + self.marked,)

    @property
    def _own(self) -> int:
        """The number of categories that have a column of their own."""
        return len(self.categories) - len(self.rare)

    @cached_property
    def _code_of(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.categories)}

    @cached_property
    def _places(self) -> NDArray[np.int32]:
        """For each category, and last for unknown ones, its column; −1 where it has none."""
        left_out, none = {*self.rare, *self.unseen}, self._own if self.other else -1
        rare, own, places = frozenset(self.rare), 0, []
        for name in self.categories:
            places.append(none if name in left_out else own)
            own += name not in rare
        return np.array([*places, none], np.int32)

    def parse(self, value: Any) -> Parsed:
        """Return the code of the category that a JSON value names: −1 where missing, −2 where unknown.

        Raises `WrongValue` for lists and objects.
        """
        if is_missing(value) and value not in self._code_of:
            return MISSING_CODE, None if self.marked else f"{self.column} is missing: no category is set"
        if not isinstance(value, str | int | float):
            raise WrongValue("is a list or an object: give a text, a number or a boolean, which names a category")
        code = next((self._code_of[text] for text in category_texts(value) if text in self._code_of), None)
        if code is None or self.categories[code] in self.unseen:
            instead = "it counts as another category" if self.other else "no category is set"
            return UNKNOWN_CODE, f"{self.column}: {quote(str(value))} is in no training row: {instead}"
        return code, None

    def transform(self, values: NDArray[np.int32], out: NDArray[np.float32]) -> None:
        """Encode codes `(rows,)` into `out` `(rows, categories)`, one more column for others, and one for the mark."""
        there = np.flatnonzero(values != MISSING_CODE)
        codes = values[there]
        places = self._places[np.where(codes == UNKNOWN_CODE, len(self.categories), codes)]
        placed = places >= 0
        out[there[placed], places[placed]] = 1
        if self.marked:
            out[:, self._own + self.other] = values == MISSING_CODE

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
