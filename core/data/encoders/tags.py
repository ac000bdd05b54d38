"""Sets of tags in one cell: a number for each of the most frequent tags."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le, MaxLen, MinLen
from numpy.typing import NDArray

from core.data.cells import is_missing, quote
from core.data.encoders.encoder import Parsed, WrongValue
from core.data.encoders.tokens import TextEncoder, most_frequent
from core.data.encoders.values import ValueOptions
from core.data.schema import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class TagsOptions(ValueOptions):
    """Sets of tags, such as `red, round, cheap`: 1 for each of the most frequent tags that the cell has, else 0.

    Blanks around tags do not count. A missing cell has no tag.
    """

    type: Literal["tags"] = "tags"
    """`tags`."""

    separator: Annotated[str, MinLen(1), MaxLen(8)] = ","
    """Between two tags."""

    vocabulary: Annotated[int, Ge(1), Le(65_536)] = 64
    """Tags that are encoded, the most frequent ones of the training rows: the width of the encoding."""

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(vocabulary,)`."""
        return (self.vocabulary,)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Tags":
        """Return the encoder with the most frequent tags of texts `(rows,)`, None for missing ones."""
        tags = most_frequent((tags_of(text, self.separator) for text in values), self.vocabulary)
        return Tags(column=column.name, separator=self.separator, tags=tags, width=self.vocabulary)


@dataclass(frozen=True, kw_only=True)
class Tags(TextEncoder):
    """A column of sets of tags."""

    type: Literal["tags"] = "tags"
    """`tags`."""

    separator: str
    """Between two tags."""

    tags: tuple[str, ...]
    """The tags by their places."""

    width: int
    """Numbers of an encoded value; places without a tag are 0."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value: `(width,)`."""
        return (self.width,)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {tag: number for number, tag in enumerate(self.tags)}

    def parse(self, value: Any) -> Parsed:
        """Return a text with tags, or a list of them, as one text; None where it is missing. Raises `WrongValue`."""
        if isinstance(value, list):
            if not all(isinstance(tag, str) for tag in value):
                raise WrongValue("must be a list of texts")
            value = self.separator.join(value)
        if is_missing(value):
            return None, None
        if not isinstance(value, str):
            raise WrongValue(f"is {quote(str(value))}: give a text such as a{self.separator}b, or a list of texts")
        unknown = [tag for tag in tags_of(value, self.separator) if tag not in self._places]
        warning = f"{self.column}: {quote(unknown[0])} is in no training row, or in too few" if unknown else None
        return value, warning

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode texts `(rows,)`, None for missing ones, into `out` `(rows, width)`."""
        for row, text in zip(out, values, strict=True):
            row[[self._places[tag] for tag in tags_of(text, self.separator) if tag in self._places]] = 1

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: a text, a list of texts, or null."""
        return {"title": self.column, "type": ["string", "array", "null"], "items": {"type": "string"}}


def tags_of(text: str | None, separator: str) -> list[str]:
    """Return the different tags of a text, in order."""
    found = (tag.strip() for tag in (text or "").split(separator))
    return list(dict.fromkeys(tag for tag in found if tag))
