"""What the encoders of texts share: ids of tokens, and rows of ids of one length."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import is_missing, quote
from core.data.encoders.encoder import Parsed, WrongValue

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


def write_ids(rows: Iterable[Sequence[int]], out: NDArray[np.float32]) -> None:
    """Write the ids of each row into `out` `(rows, length)`, which is zero before: `PADDING`."""
    for row, ids in zip(out, rows, strict=True):
        row[: len(ids)] = ids


def parse_text(column: str, value: Any) -> Parsed:
    """Return a JSON text, or None where it is missing. Raises `WrongValue`."""
    if is_missing(value):
        return None, f"{column} is missing: a text without tokens is used"
    if not isinstance(value, str):
        raise WrongValue(f"is {quote(str(value))}: give a text")
    return value, None


def text_schema(column: str) -> dict[str, Any]:
    """Return the JSON Schema of a raw text."""
    return {"title": column, "type": ["string", "null"]}
