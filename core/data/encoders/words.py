"""Texts as the ids of their words."""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.encoders.tokens import (
    FIRST_TOKEN,
    TokenEncoder,
    TokenOptions,
    ids_of,
    most_frequent,
    normalized,
    numbered,
)
from core.data.schema import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsOptions(TokenOptions):
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

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Words":
        """Return the encoder with the vocabulary of texts `(rows,)`, None for missing ones."""
        tokenized = (words_of(text, self.length, lower=self.lower) for text in values)
        found = most_frequent(tokenized, self.vocabulary - FIRST_TOKEN)
        return Words(column=column.name, length=self.length, lower=self.lower, vocabulary=found)


@dataclass(frozen=True, kw_only=True)
class Words(TokenEncoder):
    """A column of texts: the ids of their first words."""

    type: Literal["words"] = "words"
    """`words`."""

    vocabulary: tuple[str, ...]
    """The words with the ids 2, 3, …."""

    @cached_property
    def _ids(self) -> dict[str, int]:
        return numbered(self.vocabulary)

    def ids(self, text: str | None) -> list[int]:
        """Return the ids of the first words of a text."""
        return ids_of(words_of(text, self.length, lower=self.lower), self._ids, self.length)


WORD = re.compile(r"\w+|[^\w\s]")


def words_of(text: str | None, length: int, *, lower: bool) -> list[str]:
    """Return the first words of a text."""
    found = WORD.finditer(normalized(text, length, lower=lower))
    return [match.group() for match in islice(found, length)]
