"""Values of two kinds: 1 for true, 0 for false."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.encoders.encoder import Parsed
from core.data.encoders.tokens import TextEncoder
from core.data.encoders.values import ValueOptions, texts_of, value_schema
from core.data.schema import Column

TRUE = frozenset(["true", "t", "yes", "y", "1", "on", "ja", "oui", "sí", "si", "sim", "да", "x"])
"""Words for true, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanOptions(ValueOptions):
    """Values of two kinds: 1 for true, and 0 for all else; where values are missing, a second number marks them with 1.

    True are `true`, or else true, t, yes, y, 1, on and x in any case, and ja, oui, sí, sim, да. Missing values are
    encoded as 0.
    """

    type: Literal["boolean"] = "boolean"
    """`boolean`."""

    true: str | None = None
    """The value that is encoded as 1, in any case, such as `paid`."""

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(1,)`, or `(2,)` where values of the column are missing."""
        return (1 + (column.missing > 0),)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Boolean":
        """Return the encoder; nothing depends on the training rows."""
        return Boolean(column=column.name, true=self.true, marked=column.missing > 0)


@dataclass(frozen=True, kw_only=True)
class Boolean(TextEncoder):
    """A column of truth values."""

    type: Literal["boolean"] = "boolean"
    """`boolean`."""

    true: str | None
    """The value that is encoded as 1; None for the words of `TRUE`."""

    marked: bool
    """Whether a second number is 1 for missing values and 0 for others."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value."""
        return (1 + self.marked,)

    def parse(self, value: Any) -> Parsed:
        """Return the text of a JSON value, None where it is missing. Raises `WrongValue` for lists and objects."""
        texts = texts_of(value)
        if not texts:
            return None, None if self.marked else f"{self.column} is missing: false is used"
        if isinstance(value, bool) and self.true is not None:
            return texts[0], f"{self.column}: {quote(self.true)} is encoded as 1, and {texts[0]} is another value"
        return texts[0], None

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode texts `(rows,)`, None for missing ones, into `out` `(rows, 1 or 2)`."""
        true = TRUE if self.true is None else {self.true.strip().lower()}
        out[:, 0] = [text is not None and text.strip().lower() in true for text in values]
        if self.marked:
            out[:, 1] = [text is None for text in values]

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value."""
        return value_schema(self.column)
