"""The values of a column of files.

A loaded column is an object array of these, so that no more than one file at a time need be read and decoded.
"""

import zlib
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.data.errors import InvalidFile

LOCAL_HEADER_BYTES = 30
"""Bytes of a zip file's header before a member, without its name and extra field."""
DATA_URL = ";base64,"


class FileValue(Protocol):
    """A file of a dataset."""

    @property
    def name(self) -> str:
        """Its name in the archive."""
        ...

    def read(self) -> bytes:
        """Return its content. Raises `InvalidFile`."""
        ...


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file in memory."""

    name: str
    content: bytes

    def read(self) -> bytes:
        """Return its content."""
        return self.content


@dataclass(frozen=True, slots=True)
class PlainMember:
    """A file that stands in a stored archive as it is."""

    path: Path
    """The archive."""
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Return its content. Raises `InvalidFile` where the archive is shorter."""
        with self.path.open("rb") as archive:
            archive.seek(self.offset)
            content = archive.read(self.size)
        if len(content) != self.size:
            raise InvalidFile(f"{self.name} is cut off: send the whole archive")
        return content


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file of a stored zip archive, deflated or stored."""

    path: Path
    """The archive."""
    name: str
    offset: int
    """Of its local header."""
    packed_size: int
    size: int
    checksum: int
    """CRC-32 of its content."""
    deflated: bool

    def read(self) -> bytes:
        """Return its content. Raises `InvalidFile` where it is damaged."""
        with self.path.open("rb") as archive:
            archive.seek(self.offset)
            header = archive.read(LOCAL_HEADER_BYTES)
            archive.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
            packed = archive.read(self.packed_size)
        try:
            # No more than the declared size is unpacked, whatever the packed bytes hold.
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.size + 1) if self.deflated else packed
        except zlib.error as error:
            raise InvalidFile(f"{self.name} is damaged ({error}): make the archive again") from None
        if len(content) != self.size or zlib.crc32(content) != self.checksum:
            raise InvalidFile(f"{self.name} is damaged, its size or checksum is wrong: make the archive again")
        return content


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture that is an array already, as in IDX and CIFAR files."""

    name: str
    array: NDArray[np.uint8]
    """(height, width) or (height, width, 3)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file of a prediction that was decoded when it was checked, in the form that its encoder writes."""

    array: NDArray[Any]


def column_of(values: list[Any]) -> NDArray[Any]:
    """Return an object array `(rows,)` of values, which NumPy must not take for sequences."""
    column = np.empty(len(values), object)
    column[:] = values
    return column


def content_of_json(value: Any) -> bytes | None:
    """Return the bytes that a JSON value holds, in base64 as a text or as `{"b64": …}`; None where it holds none."""
    text = value.get("b64") if isinstance(value, dict) and len(value) == 1 else value
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        return None
    _, mark, encoded = text[:64].partition(DATA_URL)
    try:
        return b64decode(text[len(text[:64]) - len(encoded) :] if mark else text, validate=True)
    except ValueError:
        return None


FILE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "contentEncoding": "base64"},
        {
            "type": "object",
            "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
            "required": ["b64"],
            "additionalProperties": False,
        },
    ]
}
"""The JSON Schema of a file in a record."""
