"""A column that says which part each row is in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Len, MaxLen
from numpy.typing import NDArray

from core.data.errors import InvalidData
from core.data.splits.split import (
    POINTER,
    Counts,
    KnownRows,
    LoadedRows,
    Parts,
    parts_of,
    require_filled,
    require_values,
)

Values = Annotated[list[Annotated[str, MaxLen(256)]], Len(1, 100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSplit:
    """The part of each row stands in a column. Rows with any other value are for training."""

    keeps_feature: ClassVar[bool] = False

    type: Literal["column"] = "column"
    """`column`."""

    column: Annotated[str, MaxLen(256)]
    """The column; it is not learnt from unless `features` names it."""

    validation: Values | None = None
    """The values of validation rows, such as `["validation"]`; numbers are written as texts."""

    test: Values | None = None
    """The values of test rows, such as `["test"]`."""

    @property
    def reads(self) -> str:
        """The column."""
        return self.column

    def count(self, known: KnownRows) -> Counts:
        """Return the rows of each part; estimated for a column with too many values to count.

        Raises `InvalidData` where a part is empty.
        """
        if self.validation is None and self.test is None:
            raise InvalidData(POINTER, "must hold out some rows: set validation, test or both")
        column = require_values(known.column, self.column)
        if not column.classes:
            return Counts(known.rows, 0, 0)
        counts = dict(column.classes)
        validation, test = (sum(counts.get(value, 0) for value in values or ()) for values in self._disjoint())
        return self._require_filled(Counts(known.rows - validation - test, validation, test))

    def split(self, loaded: LoadedRows, seed: int) -> Parts:
        """Return the parts. Raises `InvalidData` where one is empty."""
        texts = np.array([_text(value) for value in np.asarray(loaded.values).tolist()], object)
        validation, test = (None if values is None else _rows_with(texts, values) for values in self._disjoint())
        parts = parts_of(loaded.rows, validation, test)
        self._require_filled(Counts(*(0 if part is None else len(part) for part in parts)))
        return parts

    def _disjoint(self) -> tuple[Sequence[str] | None, Sequence[str] | None]:
        """Return the values of validation and test rows; one that both name is for validation."""
        validation, test = self.validation, self.test
        return validation, None if test is None else [value for value in test if value not in (validation or ())]

    def _require_filled(self, counts: Counts) -> Counts:
        return require_filled(
            counts,
            validation=self.validation is not None,
            test=self.test is not None,
            pointer=POINTER,
            remedy=f"give values that the column {self.column} has",
        )


def _rows_with(texts: NDArray[Any], values: Sequence[str]) -> NDArray[np.int64]:
    return np.flatnonzero(np.isin(texts, list(values)))


def _text(value: Any) -> str:
    """Return a value as a client writes it: 2.0 is `2`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
