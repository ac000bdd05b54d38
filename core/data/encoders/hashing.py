"""Values of very many kinds: one of a fixed number of places by the hash of the value."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.encoders.encoder import Parsed
from core.data.encoders.tokens import TextEncoder
from core.data.encoders.values import ValueOptions, texts_of, value_schema
from core.data.schema import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class HashingOptions(ValueOptions):
    """Values of any number of kinds: 1 at the place h(value) mod `buckets`, and 0 elsewhere.

    h is BLAKE2b of the text in UTF-8, so that a value has the same place in every dataset, also one that no training
    row has. Different values may share a place. A missing value is encoded as zeros. (Weinberger et al., Feature
    Hashing for Large Scale Multitask Learning, 2009.)
    """

    type: Literal["hashing"] = "hashing"
    """`hashing`."""

    buckets: Annotated[int, Ge(2), Le(65_536)] = 64
    """Places, the width of the encoding."""

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(buckets,)`."""
        return (self.buckets,)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Hashing":
        """Return the encoder; nothing depends on the training rows."""
        return Hashing(column=column.name, buckets=self.buckets)


@dataclass(frozen=True, kw_only=True)
class Hashing(TextEncoder):
    """A column of values: a place by the hash of the value."""

    type: Literal["hashing"] = "hashing"
    """`hashing`."""

    buckets: int
    """Places."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value."""
        return (self.buckets,)

    def parse(self, value: Any) -> Parsed:
        """Return the text of a JSON value, None where it is missing. Raises `WrongValue` for lists and objects."""
        return next(iter(texts_of(value)), None), None

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode texts `(rows,)`, None for missing ones, into `out` `(rows, buckets)`."""
        for row, text in zip(out, values, strict=True):
            if text is not None:
                row[place(text, self.buckets)] = 1

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value."""
        return value_schema(self.column)


def place(text: str, buckets: int) -> int:
    """Return the place of a text."""
    digest = hashlib.blake2b(text.strip().encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % buckets
