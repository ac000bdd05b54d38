"""Profiles of datasets as JSON, computed in a process of the compute pool and kept for the next request."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from api.http.errors import InvalidParameter
from api.http.responses import json_bytes
from api.schemas.profile import Profile
from core.data.errors import InvalidData
from core.data.profile import ProfileQuery, profile
from core.data.schema import Schema
from core.data.sources.source import StoredDataset
from core.data.splits import Split

MAX_CACHE_BYTES = 16 * 2**20

SPLIT: TypeAdapter[Split] = TypeAdapter(Split)


class ProfileCache:
    """Answers by the dataset's fingerprint and the query, bounded in bytes; the least recently used go. Thread-safe."""

    def __init__(self, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> bytes | None:
        """Return the answer of this key, if it is there."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def put(self, key: str, answer: bytes) -> None:
        """Keep an answer, and drop the oldest ones above the bound."""
        with self._lock:
            self._bytes += len(answer) - len(self._answers.pop(key, b""))
            self._answers[key] = answer
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._answers.popitem(last=False)[1])


def parse_split(text: str) -> Split:
    """Return the split that a query has as JSON. Raises `InvalidParameter`."""
    try:
        return SPLIT.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"][1:]))
        message = f'must be a split as in a spec, such as {{"type": "fraction", "validation": 0.2}}: {first["msg"]}'
        raise InvalidParameter("split", f"{message} at /{place}" if place else message) from None


def profile_json(path: Path, columns: dict[str, Any], query: ProfileQuery) -> bytes:
    """Return the profile of a stored dataset as JSON.

    Raises
    ------
    InvalidParameter
        The target is no column of the dataset, or the split cannot be made.
    InvalidFile
        The file does not match its schema.
    """
    try:
        found = profile(StoredDataset(path=path, schema=Schema.from_json(columns)), query)
    except InvalidData as error:
        name = "target" if error.pointer.startswith("/data/target") else "split"
        raise InvalidParameter(name, error.message) from None
    return json_bytes(Profile.model_validate(found))
