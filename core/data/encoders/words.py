"""Texts as the ids of their words."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
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
class WordsOptions:
    """Texts: the id of each word and of each punctuation mark, for an embedding layer.

    Words are runs of letters, digits and underscores; every other character that is not a blank is a token of its own.
    Ids are 0 for padding, 1 for unknown words, and 2, 3, … for the most frequent words of the training rows.
    """

    type: Literal["words"] = "words"
    """`words`."""

    length: Annotated[int, Ge(1), Le(65_536)] = 64
    """Ids of each text: longer ones are cut at the end, shorter ones padded with 0."""

    vocabulary: Annotated[int, Ge(3), Le(100_000)] = 10_000
    """Ids at most, those for padding and unknown words among them: the `input_dim` of an embedding layer."""

    lower: bool = True
    """Whether upper case is read as lower case."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("text", "category")
    alone: ClassVar[bool] = True

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(length,)`."""
        return (self.length,)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Words":
        """Return the encoder with the vocabulary of texts `(rows,)`, None for missing ones."""
        tokenized = (words_of(text, self.length, lower=self.lower) for text in values)
        found = most_frequent(tokenized, self.vocabulary - FIRST_TOKEN)
        return Words(column=column.name, length=self.length, lower=self.lower, vocabulary=found)


@dataclass(frozen=True, kw_only=True)
class Words:
    """A column of texts: the ids of their first words."""

    type: Literal["words"] = "words"
    """`words`."""

    column: str
    """The column's name."""

    length: int
    """Ids of each text."""

    lower: bool
    """Whether upper case is read as lower case."""

    vocabulary: tuple[str, ...]
    """The words with the ids 2, 3, …."""

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
        tokenized = (words_of(text, self.length, lower=self.lower) for text in values)
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


WORD = re.compile(r"\w+|[^\w\s]")


def words_of(text: str | None, length: int, *, lower: bool) -> list[str]:
    """Return the first words of a text."""
    found = WORD.finditer(normalized(text, length, lower=lower))
    return [match.group() for match in islice(found, length)]
