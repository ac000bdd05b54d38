"""Categories as ids, for an embedding layer that learns a vector for each."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.encoders.encoder import Parsed
from core.data.encoders.tokens import FIRST_TOKEN, PADDING, UNKNOWN, TextEncoder, most_frequent, numbered
from core.data.encoders.values import ValueOptions, texts_of, value_schema
from core.data.schema import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingOptions(ValueOptions):
    """Categories: one id, for an embedding layer. The column must be the only feature.

    Ids are 0 for missing values, 1 for values that no training row has or that are too rare, and 2, 3, … for the most
    frequent values of the training rows.
    """

    type: Literal["embedding"] = "embedding"
    """`embedding`."""

    vocabulary: Annotated[int, Ge(3), Le(100_000)] = 1000
    """Ids at most, those for missing and unknown values among them: the `input_dim` of the embedding layer."""

    alone: ClassVar[bool] = True

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(1,)`."""
        return (1,)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Embedding":
        """Return the encoder with the most frequent values of `(rows,)`, None for missing ones."""
        found = most_frequent(([text] for text in values if text is not None), self.vocabulary - FIRST_TOKEN)
        return Embedding(column=column.name, vocabulary=found)


@dataclass(frozen=True, kw_only=True)
class Embedding(TextEncoder):
    """A column of categories: their ids."""

    type: Literal["embedding"] = "embedding"
    """`embedding`."""

    vocabulary: tuple[str, ...]
    """The values with the ids 2, 3, …."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value: `(1,)`."""
        return (1,)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return numbered(self.vocabulary)

    def parse(self, value: Any) -> Parsed:
        """Return the text of a JSON value, None where it is missing. Raises `WrongValue` for lists and objects."""
        texts = texts_of(value)
        if not texts:
            return None, None
        known = next((text for text in texts if text in self._ids), None)
        warning = None if known else f"{self.column}: {quote(str(value))} is in no training row, or in too few"
        return known or texts[0], warning

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode texts `(rows,)`, None for missing ones, into `out` `(rows, 1)`."""
        out[:, 0] = [PADDING if text is None else self._ids.get(text, UNKNOWN) for text in values]

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value."""
        return value_schema(self.column)
