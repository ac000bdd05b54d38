"""Texts as the ids of their characters."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.encoders.encoder import Parsed, Transform, separately, with_tuples
from core.data.encoders.tokens import (
    FIRST_TOKEN,
    ids_of,
    most_frequent,
    normalized,
    numbered,
    parse_text,
    text_schema,
    write_ids,
)
from core.data.schema import Column, ColumnType


@dataclass(frozen=True, slots=True, kw_only=True)
class CharactersOptions:
    """Texts: the id of each character, for an embedding layer.

    Ids are 0 for padding, 1 for unknown characters, and 2, 3, … for the most frequent characters of the training rows,
    in Unicode's composed form (NFC).
    """

    type: Literal["characters"] = "characters"
    """`characters`."""

    length: Annotated[int, Ge(1), Le(65_536)] = 64
    """Ids of each text: longer ones are cut at the end, shorter ones padded with 0."""

    vocabulary: Annotated[int, Ge(3), Le(100_000)] = 256
    """Ids at most, those for padding and unknown characters among them: the `input_dim` of an embedding layer."""

    lower: bool = False
    """Whether upper case is read as lower case."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("text", "category")
    alone: ClassVar[bool] = True

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(length,)`."""
        return (self.length,)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Characters":
        """Return the encoder with the vocabulary of texts `(rows,)`, None for missing ones."""
        tokenized = (characters_of(text, self.length, lower=self.lower) for text in values)
        found = most_frequent(tokenized, self.vocabulary - FIRST_TOKEN)
        return Characters(column=column.name, length=self.length, lower=self.lower, vocabulary=found)


@dataclass(frozen=True, kw_only=True)
class Characters:
    """A column of texts: the ids of their first characters."""

    type: Literal["characters"] = "characters"
    """`characters`."""

    column: str
    """The column's name."""

    length: int
    """Ids of each text."""

    lower: bool
    """Whether upper case is read as lower case."""

    vocabulary: tuple[str, ...]
    """The characters with the ids 2, 3, …."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(object)
    reads_files: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded text: `(length,)`."""
        return (self.length,)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return numbered(self.vocabulary)

    def parse(self, value: Any) -> Parsed:
        """Return a JSON text, None where it is missing. Raises `WrongValue`."""
        return parse_text(self.column, value)

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode texts `(rows,)`, None for missing ones, into `out` `(rows, length)`."""
        tokenized = (characters_of(text, self.length, lower=self.lower) for text in values)
        write_ids((ids_of(tokens, self._ids, self.length) for tokens in tokenized), out)

    @classmethod
    def combine(cls, encoders: Sequence[Self], starts: Sequence[int]) -> Transform:
        """Return the transform of several columns, one after the other."""
        return separately(encoders, starts)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: a text, or null."""
        return text_schema(self.column)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the encoder that `to_json` wrote."""
        return cls(**with_tuples(json))


def characters_of(text: str | None, length: int, *, lower: bool) -> str:
    """Return the first characters of a text."""
    return normalized(text, length, lower=lower)[:length]
