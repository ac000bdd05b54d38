"""Texts as the ids of their characters."""

from dataclasses import dataclass
from functools import cached_property
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
class CharactersOptions(TokenOptions):
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

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Characters":
        """Return the encoder with the vocabulary of texts `(rows,)`, None for missing ones."""
        tokenized = (characters_of(text, self.length, lower=self.lower) for text in values)
        found = most_frequent(tokenized, self.vocabulary - FIRST_TOKEN)
        return Characters(column=column.name, length=self.length, lower=self.lower, vocabulary=found)


@dataclass(frozen=True, kw_only=True)
class Characters(TokenEncoder):
    """A column of texts: the ids of their first characters."""

    type: Literal["characters"] = "characters"
    """`characters`."""

    vocabulary: tuple[str, ...]
    """The characters with the ids 2, 3, …."""

    @cached_property
    def _ids(self) -> dict[str, int]:
        return numbered(self.vocabulary)

    def ids(self, text: str | None) -> list[int]:
        """Return the ids of the first characters of a text."""
        return ids_of(characters_of(text, self.length, lower=self.lower), self._ids, self.length)


def characters_of(text: str | None, length: int, *, lower: bool) -> str:
    """Return the first characters of a text."""
    return normalized(text, length, lower=lower)[:length]
