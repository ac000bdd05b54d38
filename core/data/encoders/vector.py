"""Several numbers in one cell, such as `0.1 0.7 0.2` or `[0.1, 0.7, 0.2]`."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.cells import fits_float32, is_missing, parse_number, quote
from core.data.encoders.encoder import Parsed, WrongValue
from core.data.encoders.tokens import TextEncoder
from core.data.encoders.values import ValueOptions
from core.data.errors import InvalidFile
from core.data.schema import Column

BETWEEN = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorOptions(ValueOptions):
    """Lists of numbers in one cell, such as `0.1 0.7 0.2`, `0.1, 0.7, 0.2` or `[0.1, 0.7, 0.2]`, as they are.

    A missing cell is encoded as zeros.
    """

    type: Literal["vector"] = "vector"
    """`vector`."""

    length: Annotated[int, Ge(1), Le(65_536)]
    """Numbers of each cell."""

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(length,)`."""
        return (self.length,)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Vector":
        """Return the encoder; nothing depends on the training rows."""
        return Vector(column=column.name, length=self.length)


@dataclass(frozen=True, kw_only=True)
class Vector(TextEncoder):
    """A column of lists of numbers."""

    type: Literal["vector"] = "vector"
    """`vector`."""

    length: int
    """Numbers of each cell."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value: `(length,)`."""
        return (self.length,)

    def parse(self, value: Any) -> Parsed:
        """Return a text with numbers, or a list of them, as one text; None where missing. Raises `WrongValue`."""
        if isinstance(value, list):
            if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in value):
                raise WrongValue(f"must be a list of {self.length} numbers")
            value = " ".join(map(repr, value))
        if is_missing(value):
            return None, f"{self.column} is missing: zeros are used"
        if not isinstance(value, str):
            raise WrongValue(f"is {quote(str(value))}: give a list of {self.length} numbers")
        self._numbers(value)
        return value, None

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode texts `(rows,)`, None for missing ones, into `out` `(rows, length)`.

        Raises `InvalidFile` for a cell that has no such list.
        """
        for number, text in enumerate(values, 1):
            if text is not None:
                try:
                    out[number - 1] = self._numbers(text)
                except WrongValue as error:
                    raise InvalidFile(f"column {quote(self.column)}: {quote(text)} {error}") from None

    def _numbers(self, text: str) -> list[float]:
        cells = [cell for cell in BETWEEN.split(text.strip().strip("[]()")) if cell]
        numbers = [number for cell in cells if (number := parse_number(cell)) is not None and fits_float32(number)]
        if len(numbers) < len(cells):
            raise WrongValue(f"must have {self.length} numbers in the range of float32")
        if len(numbers) != self.length:
            raise WrongValue(f"has {len(numbers)} numbers and not {self.length}")
        return numbers

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: a list of numbers, a text with them, or null."""
        numbers = {"items": {"type": "number"}, "minItems": self.length, "maxItems": self.length}
        return {"title": self.column, "type": ["string", "array", "null"], **numbers}
