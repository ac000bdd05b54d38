"""What the encoders of texts share: ids of tokens, and rows of ids of one length."""

import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import is_missing, quote
from core.data.encoders.encoder import Parsed, Transform, WrongValue, separately, with_tuples
from core.data.schema import Column, ColumnType

PADDING = 0
"""The id after the last token of a short text."""
UNKNOWN = 1
"""The id of a token that is not in the vocabulary."""
FIRST_TOKEN = 2
"""The id of the first token of the vocabulary."""

MAX_CHARACTERS_PER_TOKEN = 64
"""Only so many characters of a text are read for each id that is kept, so that the work is bounded."""


def normalized(text: str | None, length: int, *, lower: bool) -> str:
    """Return the beginning of a text in Unicode's composed form NFC, in lower case if asked; a missing one is empty."""
    beginning = unicodedata.normalize("NFC", (text or "")[: MAX_CHARACTERS_PER_TOKEN * length])
    return beginning.lower() if lower else beginning


def most_frequent(texts: Iterable[Sequence[str]], size: int) -> tuple[str, ...]:
    """Return the `size` most frequent tokens of tokenized texts, equally frequent ones in the order of code points."""
    counts = Counter(token for tokens in texts for token in tokens)
    return tuple(sorted(counts, key=lambda token: (-counts[token], token))[:size])


def ids_of(tokens: Sequence[str], vocabulary: dict[str, int], length: int) -> list[int]:
    """Return the ids of the first `length` tokens, `UNKNOWN` for those that the vocabulary lacks."""
    return [vocabulary.get(token, UNKNOWN) for token in tokens[:length]]


def numbered(vocabulary: Sequence[str]) -> dict[str, int]:
    """Return the id of each token."""
    return {token: number for number, token in enumerate(vocabulary, FIRST_TOKEN)}


@dataclass(frozen=True, kw_only=True)
class TextEncoder(ABC):
    """A column of texts: what does not depend on how they are encoded."""

    type: str
    """The word for the encoder in JSON."""

    column: str
    """The column's name."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(object)
    reads_files: ClassVar[bool] = False

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded text."""

    @abstractmethod
    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode texts `(rows,)`, None for missing ones, into `out` `(rows, *shape)`, which is zero before."""

    def parse(self, value: Any) -> Parsed:
        """Return a JSON text, None where it is missing. Raises `WrongValue`."""
        if is_missing(value):
            return None, f"{self.column} is missing: a text without tokens is used"
        if not isinstance(value, str):
            raise WrongValue(f"is {quote(str(value))}: give a text")
        return value, None

    @classmethod
    def combine(cls, encoders: Sequence[Self], starts: Sequence[int]) -> Transform:
        """Return the transform of several columns, one after the other."""
        return separately(encoders, starts)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: a text, or null."""
        return {"title": self.column, "type": ["string", "null"]}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the encoder that `to_json` wrote."""
        return cls(**with_tuples(json))


@dataclass(frozen=True, kw_only=True)
class TokenEncoder(TextEncoder):
    """A column of texts: the ids of their first tokens."""

    length: int
    """Ids of each text."""

    lower: bool
    """Whether upper case is read as lower case."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded text: `(length,)`."""
        return (self.length,)

    @abstractmethod
    def ids(self, text: str | None) -> Sequence[int]:
        """Return the ids of the first `length` tokens of a text."""

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode texts `(rows,)`, None for missing ones, into `out` `(rows, length)`, `PADDING` before."""
        for row, text in zip(out, values, strict=True):
            ids = self.ids(text)
            row[: len(ids)] = ids


class TokenOptions:
    """The options of an encoder of tokens: the column must be the only feature."""

    __slots__ = ()

    length: int
    takes: ClassVar[tuple[ColumnType, ...]] = ("text", "category")
    alone: ClassVar[bool] = True

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(length,)`."""
        return (self.length,)
